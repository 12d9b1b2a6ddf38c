"""Calibration and soft votes: probabilities raised to a power, and weighted."""

import numpy as np
from numba import njit

from steps.kernels.bins import JIT


@njit(**JIT)
def _temper_one(probabilities, i, inverse):
    """Pixel i of probabilities (class, n): raised to `inverse` and normed; returns the class that was the likeliest."""
    classes, top, total = probabilities.shape[0], 0, 0.0
    for c in range(1, classes):
        if probabilities[c, i] > probabilities[top, i]:
            top = c
    most = probabilities[top, i]
    for c in range(classes):
        raised = (probabilities[c, i] / most) ** inverse
        probabilities[c, i] = raised
        total += np.float64(raised)
    for c in range(classes):
        probabilities[c, i] = probabilities[c, i] / np.float32(total)
    return top


@njit(**JIT)
def temper(probabilities, inverse):
    """Probabilities float32 (class, n) in place: raised to `inverse` (float32, of a temperature) and normed.

    Guo et al. 2017, On Calibration of Modern Neural Networks (ICML). Of all softmax it is the margins over temperature.
    """
    for i in range(probabilities.shape[1]):
        _temper_one(probabilities, i, inverse)


@njit(**JIT)
def rank_tempered(probabilities, best, confidence, margin, inverse):
    """As `steps.kernels.forest.rank` after temper, in one pass; but the likeliest class is the one before."""
    classes, n = probabilities.shape
    for i in range(n):
        top, second = _temper_one(probabilities, i, inverse), np.float32(0)
        for c in range(classes):
            if c != top and probabilities[c, i] > second:
                second = probabilities[c, i]
        best[i] = top
        confidence[i] = np.uint8(np.rint(probabilities[top, i] * np.float32(100)))
        margin[i] = np.uint8(np.rint((probabilities[top, i] - second) * np.float32(100)))


@njit(**JIT)
def add(probabilities, weight, out):
    """Add probabilities (class, n) times weight to out, all float32."""
    for c in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[c, i] += weight * probabilities[c, i]
