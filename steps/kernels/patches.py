"""Patches of equal pixels, 4-connected: which are small, and giving their pixels to what surrounds them."""

from typing import Any

import numpy as np
from numba import njit

_JIT: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**_JIT)
def _root(parents, place):
    while parents[place] >= 0:
        above = parents[place]
        if parents[above] >= 0:
            parents[place] = parents[above]
        place = above
    return place


@njit(**_JIT)
def _join(parents, one, other):
    """A root holds its patch's size, negative; the smaller patch goes below the larger (Tarjan 1975)."""
    one, other = _root(parents, one), _root(parents, other)
    if one == other:
        return
    if parents[one] > parents[other]:
        one, other = other, one
    parents[one] += parents[other]
    parents[other] = one


@njit(**_JIT)
def find_small(codes, nodata, least, parents, out):
    """Out (y, x) bool: pixels of patches of fewer than `least` pixels of codes (y, x); nodata is in no patch.

    `parents` (y * x) int32 is room to work in.
    """
    rows, cols = codes.shape
    for y in range(rows):
        for x in range(cols):
            place = y * cols + x
            parents[place] = -1
            if codes[y, x] == nodata:
                continue
            if x > 0 and codes[y, x - 1] == codes[y, x]:
                _join(parents, place - 1, place)
            if y > 0 and codes[y - 1, x] == codes[y, x]:
                _join(parents, place - cols, place)
    for y in range(rows):
        for x in range(cols):
            out[y, x] = codes[y, x] != nodata and -parents[_root(parents, y * cols + x)] < least


@njit(**_JIT)
def _surroundings(codes, loose, nodata, y, x):
    """The commonest class of the four neighbours that have one to give, the lowest of equals; nodata where none has."""
    best, most = nodata, 0
    for dy, dx in ((-1, 0), (0, -1), (0, 1), (1, 0)):
        i, j = y + dy, x + dx
        if not (0 <= i < codes.shape[0] and 0 <= j < codes.shape[1]) or loose[i, j] or codes[i, j] == nodata:
            continue
        count = 0
        for up, left in ((-1, 0), (0, -1), (0, 1), (1, 0)):
            k, m = y + up, x + left
            if 0 <= k < codes.shape[0] and 0 <= m < codes.shape[1] and not loose[k, m] and codes[k, m] == codes[i, j]:
                count += 1
        if count > most or (count == most and codes[i, j] < best):
            best, most = codes[i, j], count
    return best


@njit(**_JIT)
def give_away(codes, loose, nodata, rounds):
    """Loose pixels of codes (y, x) take the class of their surroundings, ring by ring, `rounds` rings at most.

    Within a round no pixel sees what another one takes. What no ring reaches stays as it was, and loose.
    """
    count = 0
    for y in range(codes.shape[0]):
        for x in range(codes.shape[1]):
            count += loose[y, x]
    waiting, taken = np.empty((count, 2), np.int32), np.empty(count, codes.dtype)
    count = 0
    for y in range(codes.shape[0]):
        for x in range(codes.shape[1]):
            if loose[y, x]:
                waiting[count, 0], waiting[count, 1] = y, x
                count += 1
    for _ in range(rounds):
        for n in range(count):
            taken[n] = _surroundings(codes, loose, nodata, waiting[n, 0], waiting[n, 1])
        left = 0
        for n in range(count):
            y, x = waiting[n]
            if taken[n] != nodata:
                codes[y, x], loose[y, x] = taken[n], False
            else:
                waiting[left, 0], waiting[left, 1] = y, x
                left += 1
        if left == count:
            break
        count = left
