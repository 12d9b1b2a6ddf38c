"""Soft votes and calibration, from predictions for samples that were held out. Pure."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from steps.folds import Fold

_FLOOR = 1e-6
_STEPS = 200
_TEMPERATURES = (0.25, 8.0)


def mix(members: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float32 (n, class): the weighted mean of probabilities (member, n, class)."""
    found: np.ndarray = np.tensordot(weights.astype(np.float32), members, axes=1)
    return found


def vote_weights(members: np.ndarray, targets: np.ndarray, sample_weights: np.ndarray) -> np.ndarray:
    """float64 (member): the weights of a soft vote that give the labels the greatest likelihood; they sum to 1.

    Expectation maximisation of a mixture whose components are given; the likelihood has one maximum.
    """
    likely = np.maximum(members[:, np.arange(len(targets)), targets].astype(np.float64), _FLOOR)
    share = sample_weights / sample_weights.sum()
    weights = np.full(len(members), 1 / len(members))
    for _ in range(_STEPS):
        parts = weights[:, None] * likely
        weights = (parts / parts.sum(axis=0)) @ share
    return weights


def crossed_vote(
    members: np.ndarray, targets: np.ndarray, sample_weights: np.ndarray, folds: Sequence[Fold]
) -> np.ndarray:
    """float32 (n, class): the soft vote of each fold with weights from the other folds. Rows of no fold are zero."""
    voted = np.zeros(members.shape[1:], np.float32)
    tests = [test for _, test in folds]
    for number, test in enumerate(tests):
        others = np.concatenate([other for position, other in enumerate(tests) if position != number])
        weights = vote_weights(members[:, others], targets[others], sample_weights[others])
        voted[test] = mix(members[:, test], weights)
    return voted


def heated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """float32 (n, class): probabilities to the power of 1 / temperature, normed."""
    if temperature == 1.0:
        return probabilities
    raised = np.power(probabilities.astype(np.float64), 1 / temperature)
    found: np.ndarray = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return found


def fit_temperature(probabilities: np.ndarray, targets: np.ndarray, sample_weights: np.ndarray) -> float:
    """The temperature that gives the labels the greatest likelihood (Guo et al. 2017), rounded to three digits."""

    def loss(exponent: float) -> float:
        return log_loss(heated(probabilities, float(np.exp(exponent))), targets, sample_weights)

    low, high = np.log(_TEMPERATURES)
    return round(float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x)), 3)


def log_loss(probabilities: np.ndarray, targets: np.ndarray, sample_weights: np.ndarray) -> float:
    """Mean negative logarithm of the labels' probabilities (n, class), none taken as less than one in a million."""
    found = np.maximum(probabilities[np.arange(len(targets)), targets].astype(np.float64), _FLOOR)
    return float(np.average(-np.log(found), weights=sample_weights))
