"""Numbers of a classification: accuracy, calibration, doubtful labels. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from steps.model.card import ClassDef

_BINS = 10


def score(truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[ClassDef]) -> dict[str, Any]:
    """Accuracy and calibration of probabilities (n, class) for class numbers (n), overall and by class."""
    predicted = probabilities.argmax(axis=1)
    numbers = np.arange(len(classes))
    matrix = confusion_matrix(truth, predicted, labels=numbers)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=numbers, zero_division=0.0
    )
    return {
        "overall accuracy": _rounded((truth == predicted).mean()),
        "balanced accuracy": _rounded(recall[support > 0].mean()),
        "calibration error": _rounded(expected_calibration_error(truth, probabilities)),
        "samples": len(truth),
        "classes": {
            entry.name: {
                "precision": _rounded(precision[n]),
                "recall": _rounded(recall[n]),
                "f1": _rounded(f1[n]),
                "samples": int(support[n]),
            }
            for n, entry in enumerate(classes)
        },
        "confusion (rows: label, columns: map)": {
            row.name: {column.name: int(matrix[r, c]) for c, column in enumerate(classes)}
            for r, row in enumerate(classes)
        },
    }


def _rounded(value: Any) -> float:
    return round(float(value), 4)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Samples whose confidence is alike."""

    confidence: float
    """Mean."""
    right: float
    """Share whose class is right."""
    samples: int


def reliability(truth: np.ndarray, probabilities: np.ndarray) -> list[ReliabilityBin]:
    """The reliability curve: ten equal bins of the confidence, those without samples left out."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    number = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        ReliabilityBin(float(confidence[here].mean()), float(right[here].mean()), int(here.sum()))
        for here in (number == position for position in range(_BINS))
        if here.any()
    ]


def expected_calibration_error(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean distance of confidence and share right over the bins (Naeini et al. 2015, AAAI)."""
    found = reliability(truth, probabilities)
    return sum(abs(one.confidence - one.right) * one.samples for one in found) / max(1, len(truth))


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """How good the recipe is with a share of the labels."""

    labels: int
    """Parcels or points trained on, the mean of the folds."""
    balanced: float
    """Balanced accuracy, the mean of the folds."""
    deviation: float
    """Of the folds, each with labels of its own draw."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A parcel or point whose label is doubted."""

    group: int
    samples: int
    given: int
    """Class number of the label."""
    suggested: int
    """Class number that was predicted instead, by learners that had not seen it."""
    probability: float
    """Mean probability of the suggested class."""


def suspects(truth: np.ndarray, probabilities: np.ndarray, groups: np.ndarray) -> list[Suspect]:
    """Groups whose samples are called another class, as surely as that class is called where it is; surest first.

    The rule of confident learning (Northcutt et al. 2021, Journal of Artificial Intelligence Research 70), by group:
    the mean probability of another class reaches the mean that samples labelled so have for it.
    """
    names, position, counts = np.unique(groups, return_inverse=True, return_counts=True)
    classes = probabilities.shape[1]
    mean = np.stack([np.bincount(position, probabilities[:, c]) / counts for c in range(classes)], axis=1)
    given = truth[np.unique(position, return_index=True)[1]]
    usual = np.array([probabilities[truth == c, c].mean() if (truth == c).any() else 1.0 for c in range(classes)])
    best = mean.argmax(axis=1)
    sure = mean[np.arange(len(names)), best]
    doubted = np.flatnonzero((best != given) & (sure >= usual[best]))
    found = [Suspect(int(names[i]), int(counts[i]), int(given[i]), int(best[i]), float(sure[i])) for i in doubted]
    return sorted(found, key=lambda one: (-one.probability, one.group))
