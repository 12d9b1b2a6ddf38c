"""One module for each manifest; its `build` makes the object."""
