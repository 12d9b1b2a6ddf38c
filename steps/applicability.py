"""How far a pixel lies from what a model was trained on: dissimilarity index and area of applicability. Pure.

Meyer & Pebesma 2021, Predicting into unknown space? Estimating the area of applicability of spatial prediction models,
Methods in Ecology and Evolution 12. Features are scaled by the training samples, weighted by their importance where it
is known; the index is the distance to the nearest training point over the mean distance between training points.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_ROWS = 1024
"""Rows whose distances are held at once."""
_WHISKER = 1.5
"""Of interquartile ranges above the upper quartile: what is beyond is an outlier (Tukey)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """From features to the space in which distances are measured."""

    centre: np.ndarray
    """float32 (feature): mean of the training samples."""
    scale: np.ndarray
    """float32 (feature): their standard deviation; 1 where it is 0."""
    fill: np.ndarray
    """float32 (feature): their median, which stands for a missing value."""
    weights: np.ndarray
    """float32 (feature): importance, 1 on average."""

    @classmethod
    def of(cls, features: np.ndarray, weights: np.ndarray | None = None) -> "Scaling":
        """The scaling of training samples (n, feature), NaN where missing; a feature that is always missing is 0."""
        count = features.shape[1]
        finite = np.isfinite(features)
        known = np.where(finite, features, np.float32("nan"))
        known[:, ~finite.any(axis=0)] = 0
        fill = np.nanmedian(known, axis=0)
        filled = np.where(np.isnan(known), fill, known).astype(np.float64)
        scale = filled.std(axis=0)
        scale[scale <= 1e-6 * np.abs(filled).max(axis=0)] = 1.0
        given = np.ones(count) if weights is None else np.maximum(np.asarray(weights, np.float64), 0.0)
        mean = given.mean() or 1.0
        return cls(
            centre=filled.mean(axis=0).astype(np.float32),
            scale=scale.astype(np.float32),
            fill=fill.astype(np.float32),
            weights=(given / mean).astype(np.float32),
        )

    def apply(self, features: np.ndarray) -> np.ndarray:
        """float32 (n, feature): scaled and weighted; missing values stand at the training median."""
        filled = np.where(np.isfinite(features), features, self.fill)
        scaled: np.ndarray = (filled - self.centre) / self.scale * self.weights
        return scaled.astype(np.float32)


def mean_distance(points: np.ndarray) -> float:
    """Mean Euclidean distance between different points (n, feature); 1 where they all coincide."""
    count = len(points)
    total = sum(float(np.sqrt(block).sum(dtype=np.float64)) for block in _squares(points, points))
    return total / (count * (count - 1)) if count > 1 and total > 0 else 1.0


def dissimilarity(rows: np.ndarray, points: np.ndarray, mean: float) -> np.ndarray:
    """float32 (n): distance of rows (n, feature) to the nearest of the points (m, feature), over the mean distance."""
    found = [np.sqrt(block.min(axis=1)) for block in _squares(rows, points)]
    return np.concatenate([*found, np.empty(0, np.float32)]) / np.float32(mean)


def held_out_dissimilarity(
    rows: np.ndarray, row_groups: np.ndarray, points: np.ndarray, point_groups: np.ndarray, mean: float
) -> np.ndarray:
    """float32 (n): as `dissimilarity`, but to points of other groups only; rows without any such point are left out."""
    found, start = [], 0
    for block in _squares(rows, points):
        own = row_groups[start : start + len(block), None] == point_groups[None]
        found.append(np.sqrt(np.where(own, np.float32(np.inf), block).min(axis=1)))
        start += len(block)
    nearest = np.concatenate([*found, np.empty(0, np.float32)])
    return nearest[np.isfinite(nearest)] / np.float32(mean)


def applicable_until(values: np.ndarray) -> float:
    """The largest index of the training samples (n) that is no outlier: the border of the area of applicability."""
    lower, upper = np.percentile(values, (25, 75))
    return float(values[values <= upper + _WHISKER * (upper - lower)].max())


def _squares(rows: np.ndarray, points: np.ndarray) -> Iterator[np.ndarray]:
    """float32 (some rows, m) from the first row on, squared distances: |a|² + |b|² - 2ab by one matrix product."""
    lengths = np.einsum("ij,ij->i", points, points)
    table = np.concatenate([-2 * points, lengths[:, None]], axis=1).T
    for start in range(0, len(rows), _ROWS):
        block = rows[start : start + _ROWS]
        squares = np.concatenate([block, np.ones((len(block), 1), np.float32)], axis=1) @ table
        squares += np.einsum("ij,ij->i", block, block)[:, None]
        yield np.maximum(squares, 0, out=squares)
