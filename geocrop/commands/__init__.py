"""The commands that a server can carry out as well: what `--server` makes of them."""
