"""A finished model, measured again on samples that it has not seen. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from steps.contest import BALANCED, OVERALL, Answers, drawn, interval, measures, sums
from steps.errors import LabelError
from steps.forest import classify, compile_forest
from steps.model.card import ModelCard
from steps.scores import score
from steps.table import SampleTable


@dataclass(frozen=True, slots=True)
class Asked:
    """Samples, and what a model said of them."""

    targets: np.ndarray
    """int64 (n): class numbers, in the order of the card."""
    groups: np.ndarray
    """int64 (n): parcel or point."""
    probabilities: np.ndarray
    """float32 (n, class): calibrated."""


@dataclass(frozen=True, slots=True)
class Remeasured:
    """The scores, with 95 % intervals of drawing whole parcels and points again."""

    scores: dict[str, Any]
    """As of a training."""
    intervals: dict[str, tuple[float, float]]
    """By the name of a score."""
    groups: int


def answers(card: ModelCard, model_bytes: bytes, table: SampleTable) -> Asked:
    """Ask a model about samples with its features. Raises LabelError when they have a class that it does not know."""
    codes = np.array([entry.code for entry in card.classes])
    order = np.argsort(codes)
    targets = order[np.searchsorted(codes, table.codes, sorter=order).clip(max=len(codes) - 1)]
    if (unknown := np.flatnonzero(codes[targets] != table.codes)).size:
        code = int(table.codes[unknown[0]])
        raise LabelError(f"model {card.name} knows no class {code}", "leave it out, or map its label with --legend")
    said = classify(compile_forest(model_bytes, card.learner), table.features.T, temperature=card.temperature)
    return Asked(targets, table.groups, said.probabilities.T)


def remeasure(asked: Asked, card: ModelCard) -> Remeasured:
    """Accuracy and calibration of what a model said."""
    right = asked.probabilities.argmax(axis=1) == asked.targets
    said = Answers(asked.targets, right, np.zeros(len(right)), {})
    low, high = interval(measures(drawn(sums(said, np.unique(asked.targets), asked.groups))))
    return Remeasured(
        scores=score(asked.targets, asked.probabilities, card.classes),
        intervals={
            name: (round(float(low[at]), 4), round(float(high[at]), 4)) for at, name in enumerate((BALANCED, OVERALL))
        },
        groups=len(np.unique(asked.groups)),
    )
