"""Splits of samples that keep what belongs together on one side. Pure.

The honest split holds whole blocks of land out, with a buffer around them: neighbours look alike, and a map is used
where nobody sampled (Roberts et al. 2017, Ecography 40; Ploton et al. 2020, Nature Communications 11).
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

Fold = tuple[np.ndarray, np.ndarray]
"""Positions of the samples to train on, and of those to predict."""
SIDES_M = (500_000, 200_000, 100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100)
"""Sides of blocks to choose from."""
_BLOCKS_PER_FOLD = 4
_BUFFER_SHARE = 0.1


def block_side(places: np.ndarray, folds: int) -> float:
    """The largest side in metres that makes several blocks for each fold, of places (n, 2) in metres.

    The smallest there is when none does.
    """
    for side in SIDES_M:
        if len(np.unique(cells(places, side))) >= folds * _BLOCKS_PER_FOLD:
            return float(side)
    return float(SIDES_M[-1])


def buffer_of(side: float) -> float:
    """The buffer in metres around blocks of a side."""
    return side * _BUFFER_SHARE


def cells(places: np.ndarray, side: float) -> np.ndarray:
    """int64 (n): the square of a lattice through (0, 0) that each of places (n, 2) lies in."""
    col, row = np.floor(places / side).astype(np.int64).T
    found: np.ndarray = row * 1_000_003 + col
    return found


def block_units(places: np.ndarray, groups: np.ndarray, side: float) -> np.ndarray:
    """int64 (n): the block of each sample; all samples of a group are in the block of the group's centre."""
    _, position, counts = np.unique(groups, return_inverse=True, return_counts=True)
    centres = np.stack([np.bincount(position, places[:, axis]) / counts for axis in (0, 1)], axis=1)
    return cells(centres, side)[position]


def grouped(targets: np.ndarray, units: np.ndarray, most: int, seed: int) -> list[Fold]:
    """Up to `most` folds that hold whole units out, each with about the same share of every class.

    None when there are fewer than two units.
    """
    count = min(most, len(np.unique(units)))
    if count < 2:
        return []
    if len(np.unique(units)) == len(units):
        return shuffled(targets, most, seed)
    rarest = np.bincount(targets)[np.unique(targets)].min()
    if rarest < count:  # StratifiedGroupKFold warns and cannot balance what is not there
        splitter = GroupKFold(count, shuffle=True, random_state=seed)
    else:
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    folds = splitter.split(np.zeros(len(targets)), targets, units)
    return [(train, test) for train, test in folds if len(train) and len(test)]


def shuffled(targets: np.ndarray, most: int, seed: int) -> list[Fold]:
    """Folds of single samples, neighbours on both sides: optimistic."""
    rarest = int(np.bincount(targets)[np.unique(targets)].min())
    count = min(most, rarest)
    if count < 2:
        return []
    return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(np.zeros(len(targets)), targets))


def buffered(folds: Sequence[Fold], places: np.ndarray, distance: float) -> list[Fold]:
    """The folds without the training samples that lie nearer than a distance to one held out.

    A fold that would train on nothing keeps what it had.
    """
    return [_without_near(train, test, places, distance) for train, test in folds]


def _without_near(train: np.ndarray, test: np.ndarray, places: np.ndarray, distance: float) -> Fold:
    near, _ = cKDTree(places[test]).query(places[train], distance_upper_bound=distance)
    kept = train[~np.isfinite(near)]
    return (kept if len(kept) else train), test
