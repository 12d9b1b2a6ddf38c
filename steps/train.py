"""Training: from labels to a model with honest scores.

The headline score holds whole parcels out. The score by pixel blocks stands beside it, named optimistic: neighbouring
pixels of one field are on both sides of its splits.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from sklearn.model_selection import StratifiedGroupKFold

from steps.errors import LabelError
from steps.features import cores
from steps.model.card import ClassDef, ModelCard
from steps.model.spec import FeatureSpec
from steps.samples import SampleTable

_FOLDS = 5
_BLOCK_FOLDS = 3
_ROUNDS = 80
_SEED = 7
Fold = tuple[np.ndarray, np.ndarray]
"""Positions of the samples to train on, and of those to predict."""
PARAMETERS: Mapping[str, Any] = {
    "objective": "multi:softprob",
    "tree_method": "hist",
    "max_depth": 5,
    "max_bin": 250,
    "eta": 0.15,
    "subsample": 0.8,
    "colsample_bynode": 0.3,
    "min_child_weight": 2.0,
    "seed": _SEED,
    "nthread": 1,
    "verbosity": 0,
}
"""Within the limits of the compiled forest: depth <= 6, at most 254 thresholds of a feature."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained learner and what is known of it."""

    model_bytes: bytes
    classes: tuple[ClassDef, ...]
    """Those that have samples, in the order of the learner's class numbers."""
    scores: dict[str, Any]


def fit(table: SampleTable, classes: tuple[ClassDef, ...]) -> Fitted:
    """Train on all samples; score by cross-validation. Same samples, same bytes."""
    ordered = sorted(classes, key=lambda entry: entry.code)
    present = tuple(entry for entry in ordered if (table.codes == entry.code).any())
    targets = np.searchsorted([entry.code for entry in present], table.codes)
    booster = _train(table.features, targets, table.groups, len(present))
    return Fitted(bytes(booster.save_raw("json")), present, _scores(table, targets, present))


def _train(features: np.ndarray, targets: np.ndarray, groups: np.ndarray, classes: int) -> xgboost.Booster:
    data = xgboost.DMatrix(features, targets, weight=sample_weights(targets, groups), nthread=1)
    return xgboost.train({**PARAMETERS, "num_class": classes}, data, _ROUNDS)


def sample_weights(targets: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """float32 (n): the square roots of what would give classes, and parcels in them, the same say."""
    weights = np.ones(len(targets))
    for keys in (targets, groups):
        _, position, counts = np.unique(keys, return_inverse=True, return_counts=True)
        weights /= np.sqrt(counts[position])
    return (weights / weights.mean()).astype(np.float32)


def _scores(table: SampleTable, targets: np.ndarray, classes: tuple[ClassDef, ...]) -> dict[str, Any]:
    return {
        "parcels held out": _cross_validated(table, targets, _folds(targets, table.groups, _FOLDS), classes),
        "pixel blocks (optimistic)": _cross_validated(
            table, targets, _folds(targets, table.blocks, _BLOCK_FOLDS), classes
        ),
    }


def _cross_validated(
    table: SampleTable, targets: np.ndarray, folds: Sequence[Fold], classes: tuple[ClassDef, ...]
) -> dict[str, Any]:
    """Scores of predictions for samples whose whole group was held out. Classes of one group cannot be found then."""
    predicted = np.empty_like(targets)

    def run(fold: Fold) -> None:
        train, test = fold
        predicted[test] = _predicted(table, targets, train, test)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(run, folds))
    return score(targets, predicted, classes) if folds else {}


def _predicted(table: SampleTable, targets: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Class numbers of the samples `test` by a learner of the samples `train`, which can only find their classes."""
    known = np.unique(targets[train])
    if len(known) == 1 or len(test) == 0:
        return np.full(len(test), known[0])
    numbers = np.searchsorted(known, targets[train])
    booster = _train(table.features[train], numbers, table.groups[train], len(known))
    found: np.ndarray = known[booster.inplace_predict(table.features[test]).argmax(axis=1)]
    return found


def _folds(targets: np.ndarray, groups: np.ndarray, most: int) -> list[Fold]:
    count = min(most, len(np.unique(groups)))
    if count < 2:
        return []
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=_SEED)
    return list(splitter.split(np.zeros(len(targets)), targets, groups))


def score(truth: np.ndarray, predicted: np.ndarray, classes: tuple[ClassDef, ...]) -> dict[str, Any]:
    """Overall and balanced accuracy, and per class precision, recall, F1 and number of samples."""
    numbers = np.arange(len(classes))
    matrix = confusion_matrix(truth, predicted, labels=numbers)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=numbers, zero_division=0.0
    )
    return {
        "overall accuracy": round(float((truth == predicted).mean()), 4),
        "balanced accuracy": round(float(recall[support > 0].mean()), 4),
        "samples": len(truth),
        "classes": {
            entry.name: {
                "precision": round(float(precision[n]), 4),
                "recall": round(float(recall[n]), 4),
                "f1": round(float(f1[n]), 4),
                "samples": int(support[n]),
            }
            for n, entry in enumerate(classes)
        },
        "confusion (rows: label, columns: map)": {
            row.name: {column.name: int(matrix[r, c]) for c, column in enumerate(classes)}
            for r, row in enumerate(classes)
        },
    }


def make_card(name: str, spec: FeatureSpec, fitted: Fitted, trained: dict[str, Any]) -> ModelCard:
    """The card of a trained model; raises LabelError when two classes share a code."""
    codes = [entry.code for entry in fitted.classes]
    if len(set(codes)) != len(codes):
        raise LabelError("two classes share a code", "correct the legend")
    return ModelCard(
        name=name,
        model_sha256=hashlib.sha256(fitted.model_bytes).hexdigest(),
        spec=spec,
        classes=fitted.classes,
        trained={**trained, "when": dt.datetime.now(dt.UTC).date().isoformat()},
        scores=fitted.scores,
    )
