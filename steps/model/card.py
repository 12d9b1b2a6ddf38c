"""What a model says of itself: classes, colours, feature spec, digest."""

import functools
from typing import Any

import msgspec

from steps.model.digest import digest
from steps.model.spec import FeatureSpec

NODATA_CLASS = 255
"""The class map's nodata; 0 may be a class."""


class ClassDef(msgspec.Struct, frozen=True, kw_only=True):
    """One class of the map."""

    code: int
    """0 to 254, the pixel value."""
    name: str
    colour: str
    """Six hex digits without #, as e49635."""

    def __post_init__(self) -> None:
        if not 0 <= self.code < NODATA_CLASS:
            raise ValueError(f"class {self.name!r} has code {self.code}: codes are 0 to {NODATA_CLASS - 1}")


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """How the training samples are distributed: what a mapped area is compared with."""

    edges: dict[str, tuple[float, ...]]
    """By feature, the inner edges of its bins, rising; n edges make n + 1 bins."""
    shares: dict[str, tuple[float, ...]]
    """By feature, the share of samples in each bin; one more at the end for missing values. They sum to 1."""
    classes: dict[int, float]
    """Share of samples by class code."""
    points_sha256: str = ""
    """Of the file `points.npz` beside the card: training samples that a pixel's distance is measured to."""
    threshold: float = 0.0
    """Dissimilarity above which a pixel lies outside what the model was trained on."""


class ModelCard(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The file `card.json` beside a model's `model.json`."""

    name: str
    version: str = ""
    """Registry version; empty for a model that is only a folder."""
    learner: str = "xgboost"
    """xgboost, or ensemble."""
    model_sha256: str
    """Of the model file's bytes."""
    spec: FeatureSpec
    classes: tuple[ClassDef, ...]
    """In the order of the learner's class indices."""
    temperature: float = 1.0
    """Probabilities are raised to its inverse and normed, so that a confidence of 0.9 is right nine times in ten.
    It never changes the class (Guo et al. 2017, On Calibration of Modern Neural Networks)."""
    reference: Reference | None = None
    trained: dict[str, Any] = {}
    """Provenance of training: labels' digest, season, catalog, code version, number of samples."""
    scores: dict[str, Any] = {}
    """What is known of its accuracy, each number with the split it was measured on."""

    @functools.cached_property
    def digest(self) -> str:
        """Of all that changes pixels: the learner's bytes, the spec, the class codes, the calibration."""
        codes = [entry.code for entry in self.classes]
        return digest([self.learner, self.model_sha256, self.spec, codes, self.temperature])
