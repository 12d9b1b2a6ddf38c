"""Votes and calibration from predictions for samples held out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.learners import Part
from steps.mixing import crossed_vote, fit_temperature, heated, log_loss, mix, vote_weights
from steps.recipe import BOOSTING, ENSEMBLE, EXTRA_TREES, Recipe, best_of, choose
from steps.search import best_parameters


def said(truth: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Probabilities (n, 2) that give the true class `sure`."""
    right = sure[:, None] * np.eye(2)[truth]
    return (right + (1 - sure)[:, None] * np.eye(2)[1 - truth]).astype(np.float32)


TRUTH = np.tile([0, 1], 200)
ONES = np.ones(400, np.float32)


def test_who_knows_more_has_more_say() -> None:
    """Weights follow the likelihood of the labels, and sum to 1."""
    rng = np.random.default_rng(0)
    members = np.stack([said(TRUTH, rng.uniform(0.6, 0.9, 400)), said(TRUTH, rng.uniform(0.3, 0.7, 400))])
    weights = vote_weights(members, TRUTH, ONES)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0.9


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_no_other_weights_are_likelier(seed: int) -> None:
    """Expectation maximisation ends at the maximum."""
    rng = np.random.default_rng(seed)
    members = np.stack([said(TRUTH, rng.beta(4, 2, 400)), said(TRUTH, rng.beta(4, 2, 400))])
    best = log_loss(mix(members, vote_weights(members, TRUTH, ONES)), TRUTH, ONES)
    for share in np.linspace(0, 1, 11):
        assert best <= log_loss(mix(members, np.array([share, 1 - share])), TRUTH, ONES) + 1e-3


def test_a_fold_is_voted_on_with_the_weights_of_the_others() -> None:
    """Labels of a fold do not reach what is said of it."""
    rng = np.random.default_rng(1)
    members = np.stack([said(TRUTH, rng.beta(4, 2, 400)) for _ in range(2)])
    folds = [(np.arange(200, 400), np.arange(200)), (np.arange(200), np.arange(200, 400))]
    other = TRUTH.copy()
    other[:200] = 1 - other[:200]
    one, two = crossed_vote(members, TRUTH, ONES, folds), crossed_vote(members, other, ONES, folds)
    np.testing.assert_array_equal(one[:200], two[:200])
    assert not np.array_equal(one[200:], two[200:])


@pytest.mark.parametrize("temperature", [0.5, 2.0, 4.0])
def test_a_temperature_is_found_again(temperature: float) -> None:
    """Probabilities that were sharpened or flattened are put right; classes stay."""
    rng = np.random.default_rng(2)
    true = rng.dirichlet((1, 1, 1), 20_000).astype(np.float32)
    truth = (rng.random((20_000, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    wrong = heated(true, 1 / temperature)
    found = fit_temperature(wrong, truth, np.ones(20_000))
    assert found == pytest.approx(temperature, rel=0.08)
    np.testing.assert_array_equal(heated(wrong, found).argmax(axis=1), wrong.argmax(axis=1))


def scored(first: np.ndarray, second: np.ndarray) -> str:
    """What is chosen of two members."""
    part = Part(np.zeros((400, 1), np.float32), TRUTH, ONES, np.arange(400), 2)
    folds = [(np.arange(200, 400), np.arange(200)), (np.arange(200), np.arange(200, 400))]
    return best_of(part, 10, {BOOSTING: first, EXTRA_TREES: second}, folds, np.arange(400)).learner


def test_a_vote_that_does_not_beat_each_member_is_not_chosen() -> None:
    """Two that know different things are better together; one that knows nothing adds nothing."""
    rng = np.random.default_rng(3)
    one, two, none = (said(TRUTH, sure) for sure in (rng.beta(3, 2, 400), rng.beta(3, 2, 400), np.full(400, 0.5)))
    assert scored(one, two) == ENSEMBLE
    assert scored(one, none) == BOOSTING
    assert scored(none, two) == EXTRA_TREES


def test_a_search_never_does_worse_than_the_usual_parameters() -> None:
    """What it finds beats them by its own score, or it finds nothing."""
    assert best_parameters(lambda changed: -1.0 if changed else 0.0, 0.2, seed=0) == {}
    found = best_parameters(lambda changed: -abs(changed.get("max_depth", 6) - 4), 0.3, seed=0)
    assert found["max_depth"] == 4


def test_a_search_sees_inner_folds_only_and_is_kept() -> None:
    """What was found is what the chosen learner is fitted with."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 4)).astype(np.float32)
    targets = (features[:, 0] * features[:, 1] > 0).astype(np.int64)
    part = Part(features, targets, np.ones(120, np.float32), np.arange(120), 2)
    choice = choose(part, Recipe(rounds=(10,), ensemble=False, search_seconds=0.5))
    usual = choose(part, Recipe(rounds=(10,), ensemble=False))
    better = choice.inner[BOOSTING]["balanced accuracy"] - usual.inner[BOOSTING]["balanced accuracy"]
    assert better > 0 if choice.boosting else better == 0
