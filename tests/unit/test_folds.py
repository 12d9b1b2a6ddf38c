"""Splits keep what belongs together on one side."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.folds import block_side, block_units, buffered, cells, commonest, grouped, inherited, shuffled


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
    """No training sample lies nearer than the buffer to one held out; a fold without any left is none."""
    xy = np.array(places)
    half = len(xy) // 2
    fold = (np.arange(half), np.arange(half, len(xy)))
    apart = np.linalg.norm(xy[:half][:, None] - xy[half:][None], axis=2).min(axis=1)
    found = buffered([fold], xy, distance)
    assert len(found) == int((apart > distance * (1 + 1e-9)).any()) or np.isclose(apart, distance).any()
    for train, test in found:
        assert (apart[train] >= distance * (1 - 1e-9)).all()
        np.testing.assert_array_equal(test, fold[1])


@settings(deadline=None)
@given(labelled(), st.integers(2, 5), st.integers(0, 10))
def test_what_was_held_out_together_is_so_again(samples: tuple[np.ndarray, np.ndarray], most: int, new: int) -> None:
    """With more samples, of old units or new ones, each old one is held out in the fold that it was in."""
    targets, units = samples
    before = np.full(len(units) + new, -1)
    for number, (_, test) in enumerate(grouped(targets, units, most, seed=0)):
        before[test] = number
    more = np.random.default_rng(new)
    all_targets, all_units = np.append(targets, more.integers(0, 3, new)), np.append(units, more.integers(0, 20, new))
    folds = inherited(all_targets, all_units, before, most)
    if len(set(before[before >= 0])) < 2:
        return
    held = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(np.sort(held), np.arange(len(all_units)))
    for _, test in folds:
        assert len({*before[test]} - {-1}) <= 1
        assert not set(all_units[test]) & set(np.delete(all_units, test))


def test_new_units_go_where_their_classes_are_few() -> None:
    """A fold that lacks a class gets the new unit of that class; folds that are missing are filled first."""
    targets, units = np.array([0, 0, 0, 1, 1]), np.array([1, 2, 3, 2, 4])
    folds = inherited(targets, units, np.array([0, 1, 2, 1, -1]), 3)
    assert [test.tolist() for _, test in folds] == [[0, 4], [1, 3], [2]]
    assert [test.tolist() for _, test in inherited(targets, units, np.array([0, 1, -1, 1, -1]), 4)] == [
        [0], [1, 3], [4], [2]
    ]  # fmt: skip


def test_the_commonest_value_of_each_key() -> None:
    """The least of equals; -1 where there is none."""
    keys, values = np.array([0, 0, 0, 2, 2, 2, 2]), np.array([5, 7, 7, 9, 8, 8, 9])
    assert commonest(keys, values, 4).tolist() == [7, -1, 8, -1]


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
