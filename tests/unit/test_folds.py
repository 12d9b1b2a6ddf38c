"""Splits keep what belongs together on one side."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.folds import block_side, block_units, buffered, cells, grouped, shuffled


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers and units of some samples; every class occurs."""
    units = np.array(draw(st.lists(st.integers(0, 8), min_size=4, max_size=60)))
    classes = draw(st.integers(1, 3))
    targets = np.array([draw(st.integers(0, classes - 1)) for _ in units])
    return np.unique(targets, return_inverse=True)[1], units


@settings(deadline=None)
@given(labelled(), st.integers(2, 5))
def test_no_unit_is_on_both_sides(samples: tuple[np.ndarray, np.ndarray], most: int) -> None:
    """And every sample is held out once, unless there is one unit only, when nothing is."""
    targets, units = samples
    folds = grouped(targets, units, most, seed=0)
    held = np.sort(np.concatenate([test for _, test in folds])) if folds else np.empty(0)
    if len(np.unique(units)) < 2:
        assert not folds
        return
    if len(np.unique(units)) < len(units):
        np.testing.assert_array_equal(held, np.arange(len(units)))
    for train, test in folds:
        assert not set(units[train]) & set(units[test])


def test_classes_are_balanced_in_small_folds() -> None:
    """Each fold holds a like share of a rare class."""
    targets = np.repeat([0, 0, 0, 1], 10)
    units = np.arange(40) // 2
    shares = [targets[test].mean() for _, test in grouped(targets, units, 5, seed=1)]
    assert max(shares) - min(shares) < 0.2


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=4, max_size=40), st.floats(1, 3e5))
def test_nothing_trains_near_what_is_held_out(places: list[tuple[float, float]], distance: float) -> None:
    """No training sample lies nearer than the buffer to one held out, unless the fold would train on nothing."""
    xy = np.array(places)
    half = len(xy) // 2
    fold = (np.arange(half), np.arange(half, len(xy)))
    ((train, test),) = buffered([fold], xy, distance)
    apart = np.linalg.norm(xy[train][:, None] - xy[test][None], axis=2)
    assert len(train)
    assert len(train) == half or (apart >= distance * (1 - 1e-9)).all()


def test_a_parcel_over_an_edge_lies_in_one_block() -> None:
    """In that of its centre."""
    places = np.array([[90.0, 50.0], [99.0, 50.0], [105.0, 50.0], [150.0, 50.0]])
    units = block_units(places, np.array([1, 1, 1, 2]), 100)
    assert len(set(units[:3])) == 1
    assert units[3] != units[0]


def test_blocks_are_as_large_as_leave_enough_of_them() -> None:
    """Twenty blocks for five folds: a country gets larger ones than a farm."""
    lattice = np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).reshape(-1, 2) + 0.5
    assert block_side(lattice * 200_000, 5) == 200_000
    assert block_side(lattice * 100, 5) == 200
    assert block_side(lattice, 5) == 100


def test_blocks_begin_at_the_origin() -> None:
    """The published split of the samples of Eastern Africa: a lattice through 0, 0 of EPSG:6933."""
    assert len(set(cells(np.array([[1.0, 1.0], [499_999.0, 1.0]]), 500_000))) == 1
    assert len(set(cells(np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]]), 500_000))) == 3


@pytest.mark.filterwarnings("error")
def test_a_class_of_two_samples_makes_two_folds() -> None:
    """More folds than samples of a class would leave folds without it."""
    assert len(shuffled(np.array([0] * 10 + [1] * 2), 5, 0)) == 2
    assert shuffled(np.array([0] * 10 + [1]), 5, 0) == []
