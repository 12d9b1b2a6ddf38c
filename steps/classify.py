"""From features to classes. Pure: arrays in, arrays out."""

from dataclasses import dataclass

import numpy as np

from steps.errors import ModelError
from steps.features import Features
from steps.forest import Forest, classify
from steps.model.card import NODATA_CLASS, ModelCard


@dataclass(frozen=True, slots=True)
class ClassifiedBlock:
    """What the map says of a block of pixels. 255 is nodata everywhere."""

    classes: np.ndarray
    """uint8 (y, x): class codes."""
    confidence: np.ndarray
    """uint8 (y, x): probability of the class, 0 to 100."""
    margin: np.ndarray
    """uint8 (y, x): distance to the second-best class, 0 to 100."""
    probabilities: np.ndarray | None
    """uint8 (class, y, x): 0 to 100, in the order of the model's classes."""


def classify_block(
    features: Features, forest: Forest, card: ModelCard, *, probabilities: bool = False, threads: int = 1
) -> ClassifiedBlock:
    """Classify the pixels that were seen clear; the others are nodata, never a guess.

    Raises ModelError when forest and card do not fit.
    """
    if forest.classes != len(card.classes):
        raise ModelError(f"the model has {forest.classes} classes, its card {len(card.classes)}", "train it again")
    shape = features.clear.shape
    known = features.clear.ravel() > 0
    values = features.values.values.reshape(features.values.shape[0], -1)
    found = classify(
        forest, values if known.all() else np.ascontiguousarray(values[:, known]), threads, card.temperature
    )
    codes = np.array([entry.code for entry in card.classes], np.uint8)
    return ClassifiedBlock(
        classes=_spread(codes[found.best], known, shape),
        confidence=_spread(found.confidence, known, shape),
        margin=_spread(found.margin, known, shape),
        probabilities=_spread_all(found.probabilities, known, shape) if probabilities else None,
    )


def _spread(values: np.ndarray, known: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    out = np.full(known.size, NODATA_CLASS, np.uint8)
    out[known] = values
    return out.reshape(shape)


def _spread_all(probabilities: np.ndarray, known: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    rounded = np.rint(probabilities * 100).astype(np.uint8)
    return np.stack([_spread(values, known, shape) for values in rounded])
