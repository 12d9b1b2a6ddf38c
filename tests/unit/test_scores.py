"""Numbers of a classification."""

import numpy as np
import pytest

from steps.model.card import ClassDef
from steps.scores import expected_calibration_error, reliability, score, suspects

CLASSES = (ClassDef(code=0, name="water", colour="419bdf"), ClassDef(code=3, name="crop", colour="e49635"))
SNOW = ClassDef(code=9, name="snow", colour="b39fe1")


def sure_of(numbers: list[int], classes: int, confidence: float = 0.9) -> np.ndarray:
    """Probabilities (n, class) that choose some class numbers."""
    rest = (1 - confidence) / (classes - 1)
    return np.where(np.eye(classes)[numbers] == 1, confidence, rest)


def test_scores_count_by_class() -> None:
    """Recall is right over labelled, precision right over mapped."""
    found = score(np.array([0, 0, 0, 1]), sure_of([0, 0, 1, 1], 2), CLASSES)
    assert found["overall accuracy"] == 0.75
    assert found["classes"]["water"] == {"precision": 1.0, "recall": 0.6667, "f1": 0.8, "samples": 3}
    assert found["classes"]["crop"]["precision"] == 0.5


def test_balanced_accuracy_is_the_mean_recall_of_labelled_classes() -> None:
    """A class without labels among those predicted does not count."""
    found = score(np.array([0, 0, 0, 1]), sure_of([0, 0, 2, 1], 3), (*CLASSES, SNOW))
    assert found["balanced accuracy"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-4)
    assert found["confusion (rows: label, columns: map)"]["water"] == {"water": 2, "crop": 0, "snow": 1}


def test_the_calibration_error_is_the_distance_from_being_right() -> None:
    """A confidence of 0.9 that is right half the time is 0.4 off; all samples are in the curve."""
    truth = np.array([0, 0, 1, 1])
    found = sure_of([0, 0, 0, 0], 2)
    assert expected_calibration_error(truth, found) == pytest.approx(0.4)
    (only,) = reliability(truth, found)
    assert (only.samples, only.right) == (4, 0.5)
    assert expected_calibration_error(np.zeros(10, int), sure_of([0] * 9 + [1], 2)) == pytest.approx(0)


def test_labels_that_others_contradict_are_suspects() -> None:
    """By parcel: one whose pixels are called another class as surely as that class is where it is labelled."""
    groups = np.repeat(np.arange(10), 4)
    truth = np.where(groups < 5, 0, 1)
    called = np.where(groups == 7, 0, truth)
    probabilities = sure_of(called.tolist(), 2)
    probabilities[groups == 8] = [0.55, 0.45]  # doubtful, but not as sure
    (found,) = suspects(truth, probabilities, groups)
    assert (found.group, found.samples, found.given, found.suggested) == (7, 4, 1, 0)
