"""Splits of samples that keep what belongs together on one side. Pure.

The honest split holds whole blocks of land out, with a buffer around them: neighbours look alike, and a map is used
where nobody sampled (Roberts et al. 2017, Ecography 40; Ploton et al. 2020, Nature Communications 11).

A split may be inherited: what a model before held out together stays together in the same fold, and what is new finds
its place among it, so that two models can be compared on identical folds (docs/decisions/0005).
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
_BUFFER_SHARE, _LEAST_BUFFER_M = 0.1, 30.0
"""Of the side of a block, and metres: three pixels, since what a pixel sees reaches beyond its edge."""


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
    return max(side * _BUFFER_SHARE, _LEAST_BUFFER_M)


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


def inherited(targets: np.ndarray, units: np.ndarray, before: np.ndarray, most: int) -> list[Fold]:
    """Folds that hold whole units out, each in the fold that most of its samples had `before` (n); -1 is none.

    Units without such a sample are placed one by one, large ones first, where they make the shares of the classes most
    alike; there are `most` folds at least, if there is something to put into them. None when nothing was held out
    before, or would be.
    """
    numbers = np.unique(units, return_inverse=True)[1]
    known = before >= 0
    fold_of = commonest(numbers[known], before[known], int(numbers.max()) + 1)
    if not known.any():
        return []
    counts = np.zeros((len(fold_of), int(targets.max()) + 1))
    np.add.at(counts, (numbers, targets), 1)
    folds = _placed(fold_of, counts / counts.sum(axis=0).clip(1), max(most, int(before.max()) + 1))[numbers]
    found = [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in np.unique(folds)]
    return found if len(found) > 1 else []


def _placed(fold_of: np.ndarray, shares: np.ndarray, count: int) -> np.ndarray:
    """int64 (unit): its fold; `shares` (unit, class) are what it holds of each class."""
    held = np.zeros((count, shares.shape[1]))
    known = fold_of >= 0
    np.add.at(held, fold_of[known], shares[known])
    placed, new = fold_of.copy(), np.flatnonzero(~known)
    for unit in new[np.argsort(-shares[new].sum(axis=1), kind="stable")].tolist():
        # the sum of squares is least where what is added meets least of its own classes; of equals, the emptiest
        placed[unit] = int(np.lexsort((held.sum(axis=1), held @ shares[unit]))[0])
        held[placed[unit]] += shares[unit]
    return placed


def commonest(keys: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """int64 (count): for each key below `count` its commonest value, the least of equals; -1 for a key without one."""
    found = np.full(count, -1, np.int64)
    pairs, times = np.unique(np.stack([keys, values], axis=1).astype(np.int64), axis=0, return_counts=True)
    order = np.lexsort((-pairs[:, 1], times))
    found[pairs[order, 0]] = pairs[order, 1]
    return found


def buffered(folds: Sequence[Fold], places: np.ndarray, distance: float) -> list[Fold]:
    """The folds without the training samples that lie nearer than a distance to one held out.

    A fold that would train on nothing is left out: a score of it would have no buffer.
    """
    found = [_without_near(train, test, places, distance) for train, test in folds]
    return [(train, test) for train, test in found if len(train)]


def _without_near(train: np.ndarray, test: np.ndarray, places: np.ndarray, distance: float) -> Fold:
    near, _ = cKDTree(places[test]).query(places[train], distance_upper_bound=distance)
    return train[~np.isfinite(near)], test
