"""Dissimilarity index and area of applicability, against the naive answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist

from steps.applicability import Scaling, applicable_until, dissimilarity, held_out_dissimilarity, mean_distance


def any_points(count: int, features: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, features)).astype(np.float32)


@given(st.integers(1, 40), st.integers(2, 30), st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_distances_are_the_naive_ones(rows: int, points: int, features: int, seed: int) -> None:
    """Nearest distance over mean distance, as SciPy measures them."""
    some, others = any_points(rows, features, seed), any_points(points, features, seed + 1)
    mean = mean_distance(others)
    assert mean == pytest.approx(pdist(others.astype(float)).mean(), rel=1e-3)
    naive = cdist(some.astype(float), others.astype(float)).min(axis=1) / mean
    assert dissimilarity(some, others, mean) == pytest.approx(naive, abs=2e-3)


def test_rows_do_not_depend_on_their_company() -> None:
    """A pixel's index is the same in a block of thousands as in one of its own block size."""
    points, rows = any_points(50), any_points(2500, seed=1)
    whole = dissimilarity(rows, points, 1.0)
    parts = [dissimilarity(rows[start : start + 1024], points, 1.0) for start in range(0, 2500, 1024)]
    assert np.array_equal(whole, np.concatenate(parts))


def test_own_group_does_not_count() -> None:
    """A sample is measured to points of other parcels; where there are none it is left out."""
    points = np.array([[0.0], [1.0], [5.0]], np.float32)
    groups = np.array([1, 1, 2])
    assert held_out_dissimilarity(points, groups, points, groups, 1.0).tolist() == [5.0, 4.0, 4.0]
    assert held_out_dissimilarity(points, np.ones(3), points, np.ones(3), 1.0).size == 0


def test_the_border_is_the_whisker() -> None:
    """The largest value within one and a half interquartile ranges of the upper quartile."""
    assert applicable_until(np.array([1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 40.0])) == 4.0


def test_scaling_knows_missing_and_constant_features() -> None:
    """A missing value stands at the median; a constant or always missing feature has no distance in training."""
    features = np.array([[1, 7, np.nan], [2, 7, np.nan], [np.nan, 7, np.nan], [9, 7, np.nan]], np.float32)
    scaled = Scaling.of(features).apply(features)
    assert np.isfinite(scaled).all()
    assert (scaled[:, 1:] == 0).all()
    assert scaled[2, 0] == pytest.approx(Scaling.of(features).apply(np.array([[2, 7, 0]]))[0, 0])


def test_importance_stretches_the_space() -> None:
    """A feature that the model does not use has no say in distances; weights are 1 on average."""
    features = any_points(60, 2)
    scaling = Scaling.of(features, np.array([3.0, 0.0]))
    assert scaling.weights.tolist() == [2.0, 0.0]
    assert (scaling.apply(features)[:, 1] == 0).all()


def test_points_that_coincide_have_a_mean_distance() -> None:
    """Nothing is divided by zero."""
    assert mean_distance(np.ones((5, 3), np.float32)) == 1.0
    assert mean_distance(np.ones((1, 3), np.float32)) == 1.0
