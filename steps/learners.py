"""Tree learners of two families, within the limits of the compiled forest: gradient boosting and extra trees.

Same samples, same bytes: one thread each, fixed seeds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import xgboost
from sklearn.ensemble import ExtraTreesClassifier

CHECKPOINTS = (25, 50, 100, 150, 200, 300, 400)
"""Numbers of boosting rounds to choose from."""
TREES = 100
"""Of a forest."""
MAX_THRESHOLDS = 250
BOOSTING: Mapping[str, Any] = {
    "tree_method": "hist",
    "max_depth": 6,
    "max_bin": 128,
    "eta": 0.08,
    "subsample": 0.8,
    "colsample_bynode": 0.3,
    "min_child_weight": 2.0,
    "nthread": 1,
    "seed_per_iteration": True,
    "verbosity": 0,
}
"""Depth of 6 and so many bins fit the fastest compiled form. Without a seed for each round, boosters that take turns on
a thread would share its random numbers."""
EXTRA_TREES: Mapping[str, Any] = {
    "max_leaf_nodes": 256,
    "max_depth": 20,
    "max_features": 0.3,
    "min_samples_leaf": 1,
    "n_jobs": 1,
}


@dataclass(frozen=True, slots=True)
class Part:
    """Samples to learn from. Every class number below `classes` may occur; some may not."""

    features: np.ndarray
    """float32 (n, feature)."""
    targets: np.ndarray
    """int64 (n): class numbers."""
    weights: np.ndarray
    """float32 (n)."""
    units: np.ndarray
    """int64 (n): what inner folds hold out whole."""
    classes: int
    places: np.ndarray | None = None
    """float64 (n, 2): metres; needed with a buffer."""
    buffer: float = 0.0
    """Metres around what inner folds hold out in which nothing trains; 0: none."""

    def take(self, chosen: np.ndarray) -> "Part":
        """Some of the samples."""
        return replace(
            self,
            features=self.features[chosen],
            targets=self.targets[chosen],
            weights=self.weights[chosen],
            units=self.units[chosen],
            places=None if self.places is None else self.places[chosen],
        )


class Predictor(Protocol):
    """A fitted learner."""

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """float32 (n, class) of features float32 (n, feature)."""
        ...


@dataclass(frozen=True, slots=True)
class Boosted:
    """Gradient boosted trees, and the class numbers they know."""

    booster: xgboost.Booster
    known: np.ndarray
    classes: int

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """See Predictor."""
        found = self.booster.inplace_predict(features)
        if found.ndim == 1:
            found = np.stack([np.float32(1) - found, found], axis=1)
        return _spread(found, self.known, self.classes)


@dataclass(frozen=True, slots=True)
class Averaged:
    """Extra trees over frozen bins, and the class numbers they know."""

    trees: ExtraTreesClassifier
    edges: tuple[np.ndarray, ...]
    """By feature: float32, rising; a value's bin is the number of edges that it reaches, and -1 when missing."""
    known: np.ndarray
    classes: int

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """See Predictor."""
        found = self.trees.predict_proba(binned(features, self.edges)).astype(np.float32)
        return _spread(found, self.known, self.classes)


@dataclass(frozen=True, slots=True)
class Constant:
    """Where there is nothing to learn: one class."""

    known: int
    classes: int

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """See Predictor."""
        return _spread(np.ones((len(features), 1), np.float32), np.array([self.known]), self.classes)


def _spread(found: np.ndarray, known: np.ndarray, classes: int) -> np.ndarray:
    """Columns of the known classes among those of all; zero for the others."""
    if len(known) == classes:
        return found
    out = np.zeros((len(found), classes), np.float32)
    out[:, known] = found
    return out


def boosting_parameters(known: int, seed: int, changed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What xgboost is told for a number of classes; `changed` are found by a search."""
    objective: dict[str, Any] = (
        {"objective": "binary:logistic"} if known == 2 else {"objective": "multi:softprob", "num_class": known}
    )
    return {**BOOSTING, **(changed or {}), **objective, "seed": seed}


def boosted_stages(
    part: Part, seed: int, stages: tuple[int, ...], changed: Mapping[str, Any] | None = None
) -> Iterator[Predictor]:
    """The learner after each of some numbers of rounds; it is the same object, grown on. Take one before the next."""
    known = np.unique(part.targets)
    if len(known) < 2:
        yield from (Constant(int(known[0]), part.classes) for _ in stages)
        return
    numbers = np.searchsorted(known, part.targets)
    data = xgboost.DMatrix(part.features, numbers, weight=part.weights, nthread=1)
    booster = xgboost.Booster(boosting_parameters(len(known), seed, changed), [data])
    done = 0
    for rounds in stages:
        for number in range(done, rounds):
            booster.update(data, number)
        done = rounds
        yield Boosted(booster, known, part.classes)


def fit_boosted(part: Part, rounds: int, seed: int, changed: Mapping[str, Any] | None = None) -> Predictor:
    """Gradient boosting for a number of rounds."""
    return next(boosted_stages(part, seed, (rounds,), changed))


def fit_extra_trees(part: Part, seed: int, count: int = TREES) -> Predictor:
    """Extremely randomised trees (Geurts et al. 2006, Machine Learning 63) over at most 250 bins of each feature."""
    known = np.unique(part.targets)
    if len(known) < 2:
        return Constant(int(known[0]), part.classes)
    edges = tuple(_edges(column) for column in part.features.T)
    trees = ExtraTreesClassifier(n_estimators=count, **EXTRA_TREES, random_state=seed)
    trees.fit(binned(part.features, edges), part.targets, sample_weight=part.weights)
    return Averaged(trees, edges, known, part.classes)


def _edges(column: np.ndarray) -> np.ndarray:
    """Thresholds between the quantiles of a feature's values."""
    values = np.unique(column[np.isfinite(column)])
    if len(values) > MAX_THRESHOLDS + 1:
        values = np.unique(np.quantile(column[np.isfinite(column)], np.linspace(0, 1, MAX_THRESHOLDS + 1)))
    found: np.ndarray = np.unique(values[1:].astype(np.float32))
    return found


def binned(features: np.ndarray, edges: tuple[np.ndarray, ...]) -> np.ndarray:
    """float32 (n, feature): how many edges each value reaches, -1 where it is missing."""
    out = np.empty(features.shape, np.float32)
    for number, (column, steps) in enumerate(zip(features.T, edges, strict=True)):
        out[:, number] = np.where(np.isnan(column), -1, np.searchsorted(steps, column, side="right"))
    return out
