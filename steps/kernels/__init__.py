"""Compiled loops (numba). They release the GIL and run on threads of ours: numba's own are not safe everywhere."""
