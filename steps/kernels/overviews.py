"""Rasters of half the size: every pixel from 2 x 2 of the larger raster. uint8.

`tops` are the source rows of the pairs; columns start at 2 x, from column `seam` of the result on at 2 x - 1 (a raster
of odd width: so the smaller one, stretched over the same ground, is nowhere off by more than half a source pixel).
"""

from typing import Any

import numpy as np
from numba import njit

_JIT: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**_JIT)
def _mode(a, b, c, d, nodata):
    """The commonest of four values, of equally common ones the lowest; nodata only where all four are."""
    best, most = nodata, 0
    if a != nodata:
        best, most = a, 1 + (a == b) + (a == c) + (a == d)
    if b != nodata:
        count = 1 + (b == a) + (b == c) + (b == d)
        if count > most or (count == most and b < best):
            best, most = b, count
    if c != nodata:
        count = 1 + (c == a) + (c == b) + (c == d)
        if count > most or (count == most and c < best):
            best, most = c, count
    if d != nodata:
        count = 1 + (d == a) + (d == b) + (d == c)
        if count > most or (count == most and d < best):
            best, most = d, count
    return best


@njit(**_JIT)
def _mean(a, b, c, d, nodata):
    """The mean of what is not nodata, halves rounded up; nodata only where all four are."""
    total, count = 0, 0
    for value in (a, b, c, d):
        if value != nodata:
            total += value
            count += 1
    if count == 4:
        return np.uint8((total + 2) >> 2)
    return np.uint8((2 * total + count) // (2 * count)) if count else nodata


@njit(**_JIT)
def halve_mode(source, tops, seam, nodata, out):
    """Out (band, y, x) becomes the mode of 2 x 2 pixels of source (band, rows, cols)."""
    for band in range(out.shape[0]):
        for y in range(out.shape[1]):
            upper, lower, target = source[band, tops[y]], source[band, tops[y] + 1], out[band, y]
            for x in range(seam):
                target[x] = _mode(upper[2 * x], upper[2 * x + 1], lower[2 * x], lower[2 * x + 1], nodata)
            for x in range(seam, out.shape[2]):
                target[x] = _mode(upper[2 * x - 1], upper[2 * x], lower[2 * x - 1], lower[2 * x], nodata)


@njit(**_JIT)
def halve_mean(source, tops, seam, nodata, out):
    """Out (band, y, x) becomes the mean of 2 x 2 pixels of source (band, rows, cols)."""
    for band in range(out.shape[0]):
        for y in range(out.shape[1]):
            upper, lower, target = source[band, tops[y]], source[band, tops[y] + 1], out[band, y]
            for x in range(seam):
                target[x] = _mean(upper[2 * x], upper[2 * x + 1], lower[2 * x], lower[2 * x + 1], nodata)
            for x in range(seam, out.shape[2]):
                target[x] = _mean(upper[2 * x - 1], upper[2 * x], lower[2 * x - 1], lower[2 * x], nodata)
