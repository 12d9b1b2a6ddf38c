from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.contest import BALANCED, LOSS, OVERALL, Contender, compare
from steps.model.promotion import Comparison
from steps.model.spec import FeatureSpec, Layer
from steps.oof import OutOfFold
from tests.contenders import CLASSES, SPLIT, UNITS, N, any_contender


def measured(found: Comparison, measure: str) -> Any:
    """One difference."""
    return next(one for one in found.differences if one.measure == measure)


def test_a_model_is_not_worse_than_itself() -> None:
    """No difference, no interval, no reason; nothing is left out."""
    found = compare(any_contender(range(90)), any_contender(range(90)))
    assert found.reasons == ()
    assert found.left_out == 0
    assert (found.samples, found.units, found.split) == (N, UNITS, SPLIT)
    assert {(one.difference, one.low, one.high) for one in found.differences} == {(0.0, 0.0, 0.0)}


def test_a_worse_model_is_refused_with_numbers() -> None:
    """The reason names the measure, both values and the interval."""
    found = compare(any_contender(), any_contender(range(0, N, 5)))
    assert any(reason.startswith(f"{BALANCED} 0.800 against 1.000 (-0.") for reason in found.reasons)
    assert any(reason.startswith(OVERALL) for reason in found.reasons)
    assert measured(found, BALANCED).difference == -0.2


def test_a_better_model_is_not() -> None:
    """The interval lies above zero."""
    found = compare(any_contender(range(0, N, 5)), any_contender())
    assert found.reasons == ()
    assert 0 < measured(found, BALANCED).low <= 0.2 <= measured(found, BALANCED).high


def test_a_fall_within_chance_is_put_up_with() -> None:
    """Three samples of six hundred are no reason, two parcels of thirty are."""
    assert compare(any_contender(), any_contender([1, 100, 300])).reasons == ()
    assert compare(any_contender(), any_contender(range(40))).reasons


def test_a_class_that_is_lost_is_a_reason() -> None:
    """What all others gain does not make good for one that is hardly recognised any more."""
    before = [n for n in range(N) if n % 3 != 2 and n % 5 == 0]
    after = [n for n in range(N) if n % 3 == 2 and n % 4 == 0]
    found = compare(any_contender(before), any_contender(after))
    assert [reason for reason in found.reasons if "tree" in reason]
    assert not [reason for reason in found.reasons if reason.startswith(OVERALL)]


def test_overconfidence_is_a_reason() -> None:
    """The same classes with probabilities that are further off."""
    wrong = range(0, N, 5)
    found = compare(any_contender(wrong, sure=0.8), any_contender(wrong, sure=0.999))
    assert [reason.split(" 1.")[0] for reason in found.reasons] == [LOSS]


def test_samples_of_a_unit_are_not_independent() -> None:
    """The same errors all in few units leave far more doubt than spread over all."""
    spread, clumped = (compare(any_contender(), any_contender(wrong)) for wrong in (range(0, N, 10), range(60)))
    width = [measured(one, OVERALL).high - measured(one, OVERALL).low for one in (spread, clumped)]
    assert width[1] > 3 * width[0]


def test_the_same_comparison_gives_the_same_bytes() -> None:
    """Its draws are always the same."""
    pair = any_contender(range(50)), any_contender(range(30, 70))
    assert msgspec.json.encode(compare(*pair)) == msgspec.json.encode(compare(*pair))


def test_the_order_of_samples_does_not_matter() -> None:
    """They are matched by id."""
    one, other = any_contender(range(50)), any_contender(range(30, 70))
    order = np.random.default_rng(0).permutation(N)
    names = OutOfFold.__dataclass_fields__
    mixed = OutOfFold(**{
        name: getattr(other.oof, name)[... if name in {"codes", "side"} else order] for name in names
    })  # fmt: skip
    assert compare(one, Contender(other.card, mixed)) == compare(one, other)


def test_other_labels_are_not_compared() -> None:
    """Two models that share no samples, or too few, cannot be told apart."""
    stranger = any_contender(ids=np.arange(N, dtype=np.uint64) * 7 + 1)
    (reason,) = compare(any_contender(), stranger).reasons
    assert reason.startswith("they have 0 labelled samples in common: train both on the same labels")


def test_a_corrected_label_is_left_out() -> None:
    """Samples whose label changed count for neither."""
    truth = any_contender().oof.truth.copy()
    truth[:90] = 5
    found = compare(any_contender(), any_contender(truth=truth))
    assert found.samples == N - 60


def test_other_units_are_other_folds() -> None:
    """A challenger that held smaller blocks out had it easier."""
    found = compare(any_contender(), any_contender(groups=np.arange(N) // 10))
    assert ["300 of 600 common samples were held out in others" in reason for reason in found.reasons] == [True]
    found = compare(any_contender(), any_contender(card={"scores": {"single samples (optimistic)": {}}}))
    assert ["single samples (optimistic)" in reason for reason in found.reasons] == [True]


def test_folds_may_have_other_numbers() -> None:
    """What counts is what was held out together."""
    found = compare(any_contender(), any_contender(folds=(any_contender().oof.folds + 3) % 5))
    assert (found.left_out, found.samples, found.reasons) == (0, N, ())


def test_regrouped_folds_are_other_folds() -> None:
    """The same units in other company are refused, with the way out."""
    regrouped = any_contender(folds=(np.arange(N) // 20 % 4).astype(np.int16))
    (reason,) = compare(any_contender(), regrouped).reasons
    assert "held out in others" in reason
    assert "`geocrop train` takes the champion's folds" in reason


@pytest.mark.parametrize("what", ["groups", "folds"])
def test_what_moved_is_left_out(what: str) -> None:
    """A few samples in another unit or fold count for neither, and are counted; the comparison is of the others."""
    moved = np.array(getattr(any_contender().oof, what))
    moved[:6] = moved[-1]
    found = compare(any_contender(), any_contender(range(6), **{what: moved}))
    assert (found.left_out, found.samples, found.reasons) == (6, N - 6, ())
    assert measured(found, OVERALL).difference == 0


def test_what_the_challenger_cannot_do_is_a_reason() -> None:
    """It must know the champion's classes, and map if that does."""
    fewer = any_contender(card={"classes": CLASSES[:2]})
    assert "it does not know tree" in compare(any_contender(), fewer).reasons
    table = FeatureSpec(bands=(), layers=(Layer(name="table", kind="table", bands=("a",)),))
    assert "no map can be made with it" in compare(any_contender(), any_contender(card={"spec": table})).reasons


@given(st.lists(st.integers(0, N - 1), unique=True, max_size=200))
def test_differences_are_those_of_the_plain_scores(wrong: list[int]) -> None:
    """Overall and balanced accuracy are what a naive count gives, whatever is wrong."""
    found = compare(any_contender(), any_contender(wrong))
    classes = np.arange(N) % 3
    right = ~np.isin(np.arange(N), wrong)
    assert measured(found, OVERALL).challenger == pytest.approx(right.mean(), abs=1e-4)
    naive = np.mean([right[classes == one].mean() for one in range(3)])
    assert measured(found, BALANCED).challenger == pytest.approx(naive, abs=1e-4)
    assert measured(found, BALANCED).low <= measured(found, BALANCED).difference <= measured(found, BALANCED).high
