"""Compiled loops (numba). They release the GIL and run on threads of ours: numba's own threads are not safe everywhere."""
