"""Step names, parameters and files, as data. Standard library only."""
