"""The web API over one engine protocol. Knows no rasters."""
