"""What uses a server of GeoCrop: a client for programs and notebooks, and the command line's `--server`."""
