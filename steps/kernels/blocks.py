"""From the bytes of a block to values, in one pass each."""

from typing import Any

import numpy as np
from numba import njit

_JIT: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**_JIT)
def copy_block(block, is_differences, top, left, out):
    """Out (y, x) becomes the part of block (rows, cols) that starts at top, left; differences along rows are summed."""
    for y in range(out.shape[0]):
        source, target = block[top + y], out[y]
        if is_differences:
            value = source[0]
            value -= value
            for x in range(left):
                value += source[x]
            for x in range(out.shape[1]):
                value += source[left + x]
                target[x] = value
        else:
            for x in range(out.shape[1]):
                target[x] = source[left + x]


@njit(**_JIT)
def shift_values(pixels, nodata, shift, out):
    """Out (y, x) uint16 becomes pixels + shift, kept within 1 to 65534; 0 where pixels are nodata."""
    low, high = np.int32(1), np.int32(65534)
    for y in range(out.shape[0]):
        source, target = pixels[y], out[y]
        for x in range(out.shape[1]):
            value = min(max(np.int32(source[x]) + np.int32(shift), low), high)
            target[x] = np.uint16(0) if source[x] == nodata else np.uint16(value)


@njit(**_JIT)
def scale_values(pixels, nodata, scale, offset, out):
    """Out (y, x) uint16 becomes pixels * scale + offset, half to even, within 1 to 65534; 0 for nodata and NaN."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            pixel = pixels[y, x]
            value = np.float64(pixel) * scale + offset
            if pixel == nodata or np.isnan(value):
                out[y, x] = 0
            else:
                out[y, x] = np.uint16(min(max(np.rint(value), 1.0), 65534.0))
