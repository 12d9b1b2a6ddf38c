"""Frozen structs that flow through everything. Standard library and msgspec only."""
