"""Drift between training samples and a map: indices, their chance, counting, verdict and words."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from steps.drift import (
    BINS,
    BORDER,
    FLOOR,
    MISSING,
    Drift,
    FeatureDrift,
    Mapped,
    Trained,
    Verdict,
    bin_numbers,
    chance,
    count_bins,
    count_tile,
    direction,
    expected,
    judge,
    make_edges,
    measure,
    metrics,
    nothing_mapped,
    properties,
    psi,
    shares,
    to_csv,
    total_variation,
    used_bins,
)
from steps.testing import any_classes

CODES = np.array([0, 1, 7], np.uint8)
NAMES = ("red_p1", "red_p2", "ndvi_p1", "ndvi_p2")


def any_samples(count: int, shift: float = 0.0, odds: tuple[float, ...] = (0.4, 0.4, 0.2), seed: int = 0) -> np.ndarray:
    """float32 (n, 5): four features of three classes, moved by `shift` standard deviations, and the class code."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(len(CODES), size=count, p=odds)
    features = rng.normal(size=(count, len(NAMES))) + 3 * classes[:, None] + shift
    return np.column_stack([features, CODES[classes]]).astype(np.float32)


def trained_on(samples: np.ndarray) -> Trained:
    features, codes = samples[:, :-1], samples[:, -1].astype(np.uint8)
    edges = make_edges(features)
    return Trained(
        names=NAMES,
        edges=edges,
        codes=CODES,
        counts=count_bins(bin_numbers(features, edges), np.searchsorted(CODES, codes), len(CODES)),
        usual=np.zeros(len(NAMES)),
        weights=np.ones(len(NAMES)),
        outside=0.02,
    )


def mapped_as(trained: Trained, samples: np.ndarray, far: int = 50) -> Mapped:
    bins = bin_numbers(samples[:, :-1], trained.edges)
    return count_tile(trained, bins, samples[:, -1].astype(np.uint8), np.full(len(samples), far, np.uint8))


def drift_of(samples: np.ndarray, far: int = 50) -> Drift:
    trained = trained_on(any_samples(2000, seed=1))
    return measure(trained, mapped_as(trained, samples, far), any_classes())


def some_shares() -> st.SearchStrategy[np.ndarray]:
    return arrays(np.int64, 6, elements=st.integers(0, 50)).map(lambda counts: (counts + 0.0) / max(counts.sum(), 1))


@given(some_shares(), some_shares())
def test_the_index_is_a_distance_of_shares(one: np.ndarray, other: np.ndarray) -> None:
    """It is never below 0, 0 for equal shares, and the same both ways."""
    assert psi(one, one) == 0
    assert psi(one, other) == pytest.approx(float(psi(other, one)))
    assert psi(one, other) >= 0


def test_the_index_of_a_worked_example() -> None:
    """Halves against a quarter and three quarters: (1/4) ln 2 + (1/4) ln 1.5."""
    assert psi(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(0.25 * np.log(2) + 0.25 * np.log(1.5))


def test_an_empty_bin_counts_as_the_floor() -> None:
    """What was never seen makes the index large, not infinite."""
    found = psi(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    assert found == pytest.approx(0.5 * np.log(2) + (0.5 - FLOOR) * np.log(0.5 / FLOOR))


def test_edges_are_deciles() -> None:
    """Training samples fall evenly into ten bins."""
    features = np.random.default_rng(0).normal(size=(5000, 1)).astype(np.float32)
    edges = make_edges(features)
    counts = np.bincount(bin_numbers(features, edges)[:, 0], minlength=BINS)
    assert counts[:10].min() >= 499
    assert counts[10:].sum() == 0


@pytest.mark.parametrize(
    ("column", "bins"), [([np.nan] * 20, 2), ([5.0] * 20, 4), ([0.0] * 15 + [1.0] * 5, 5), ([1.0, np.inf], 4)]
)
def test_odd_columns_have_bins(column: list[float], bins: int) -> None:
    """Without a value, constant, of two values, with infinity: as many bins as can tell something apart."""
    features = np.array(column, np.float32)[:, None]
    assert used_bins(make_edges(features)).sum() == bins


def test_what_exceeds_a_constant_has_a_bin_of_its_own() -> None:
    """A feature that never varied is seen to move, upwards as downwards."""
    edges = make_edges(np.full((50, 1), 3.0, np.float32))
    found = bin_numbers(np.array([[2.0], [3.0], [3.1], [np.nan]], np.float32), edges)[:, 0]
    assert len(set(found.tolist())) == 4


@given(arrays(np.float32, (30, 1), elements=st.floats(-100, 100, width=32) | st.just(np.nan)))
def test_bins_are_those_of_a_plain_count(features: np.ndarray) -> None:
    """A value's bin is how many edges do not exceed it; a missing value has its own."""
    edges = make_edges(features)
    naive = [MISSING if np.isnan(one) else sum(bool(edge <= one) for edge in edges[0]) for one in features[:, 0]]
    assert bin_numbers(features, edges)[:, 0].tolist() == naive


def test_chance_is_what_fair_samples_seldom_exceed() -> None:
    """Of samples drawn as the training's, one in a hundred has a larger index."""
    used, rng = np.ones((1, BINS), bool), np.random.default_rng(0)
    before = np.full(BINS, 1 / BINS)
    drawn = rng.multinomial(400, before, size=4000)
    exceeded = (psi(shares(drawn, used), before) > chance(400, used)).mean()
    assert 0.004 < exceeded < 0.02


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_tiles_add_up_in_any_order(data: st.DataObject) -> None:
    """However pixels are cut into tiles and tiles into batches: the same numbers, to the last bit."""
    trained = trained_on(any_samples(300))
    samples = any_samples(400, shift=0.4, seed=2)
    cuts = sorted(data.draw(st.lists(st.integers(0, 400), max_size=6)))
    tiles = [mapped_as(trained, part) for part in np.split(samples, cuts)]
    order = data.draw(st.permutations(tiles))
    total = sum(order, start=nothing_mapped(trained))
    whole = mapped_as(trained, samples)
    assert np.array_equal(total.counts, whole.counts)
    assert np.array_equal(total.far, whole.far)
    assert total.tiles == len(tiles)


def test_the_same_land_has_not_moved() -> None:
    """Other pixels of the same distribution: the model may be used."""
    found = drift_of(any_samples(5000, seed=3))
    assert found.verdict is Verdict.OK
    assert found.moved == 0
    assert found.outside == 0
    assert found.sentence.startswith("The area looks like what the model was trained on")


def test_other_shares_of_classes_are_no_drift_of_features() -> None:
    """An area of forest is compared with training samples of forest; the shift of classes is told beside it."""
    found = drift_of(any_samples(5000, odds=(0.05, 0.05, 0.9), seed=3))
    assert found.verdict is Verdict.OK
    assert found.moved == 0
    assert found.class_shift == pytest.approx(0.7, abs=0.03)


def test_moved_features_are_named() -> None:
    """All features a standard deviation higher: not to be trusted, and the sentence says what moved and where to."""
    found = drift_of(any_samples(5000, shift=1.5, seed=3))
    assert found.verdict is Verdict.DISTRUST
    assert found.moved == 1
    assert found.sentence.startswith("Do not trust this map")
    assert found.features[0].name in found.sentence
    assert "(higher)" in found.sentence


def test_one_feature_of_four_asks_for_caution() -> None:
    """A quarter of the importance has moved."""
    samples = any_samples(5000, seed=3)
    samples[:, 2] -= 3
    found = drift_of(samples)
    assert found.verdict is Verdict.CAUTION
    assert found.features[0].name == "ndvi_p1"
    assert direction(found.features[0]) == "lower"
    assert "1 of 4 features has moved: ndvi_p1 (lower)." in found.sentence


def test_importance_counts() -> None:
    """A feature that the model never looks at may move."""
    base = trained_on(any_samples(2000, seed=1))
    trained = Trained(
        **{name: getattr(base, name) for name in Trained.__slots__ if name != "weights"}, weights=np.array([1, 1, 0, 1])
    )
    samples = any_samples(5000, seed=3)
    samples[:, 2] -= 3
    found = measure(trained, mapped_as(trained, samples), any_classes())
    assert found.verdict is Verdict.OK
    assert found.features[0].moved


def test_missing_values_are_told() -> None:
    """A feature that is often missing has moved, and the words say how."""
    samples = any_samples(5000, seed=3)
    samples[::2, 1] = np.nan
    found = drift_of(samples)
    assert found.features[0].name == "red_p2"
    assert direction(found.features[0]) == "missing more often"
    assert found.features[0].missing == 0.5


def test_fewer_missing_values_are_no_drift() -> None:
    """A feature that half of the training samples lack is there in the whole area, and looks the same."""
    training = any_samples(4000, seed=1)
    training[::2, 1] = np.nan
    trained = trained_on(training)
    found = measure(trained, mapped_as(trained, any_samples(5000, seed=3)), any_classes())
    assert found.verdict is Verdict.OK
    assert found.moved == 0


def test_far_pixels_are_not_to_be_trusted() -> None:
    """Features within the training's ranges, but in combinations that it never had."""
    found = drift_of(any_samples(5000, seed=3), far=BORDER + 1)
    assert found.verdict is Verdict.DISTRUST
    assert found.outside == 1
    assert found.dissimilarity == pytest.approx(1.01)


def test_the_border_itself_is_inside() -> None:
    """A dissimilarity of 1 is the border of the area of applicability, and part of it."""
    assert drift_of(any_samples(100), far=BORDER).outside == 0


def test_few_pixels_say_nothing() -> None:
    """Below thirty pixels there is no verdict, and no number for a tracker."""
    found = drift_of(any_samples(29))
    assert found.verdict is Verdict.UNKNOWN
    assert "29 pixels" in found.sentence
    assert metrics(found) == {}
    assert set(properties(found)) == {"geocrop:drift_verdict", "geocrop:drift_sentence"}


def test_a_small_area_is_not_accused_by_chance() -> None:
    """Of fifty samples of forty pixels each, none is called drifted."""
    assert {drift_of(any_samples(40, seed=seed)).verdict for seed in range(50)} == {Verdict.OK}


def test_tiles_without_a_sample_are_told() -> None:
    """Tiles made before the model had a reference: the sentence says why nothing is known."""
    trained = trained_on(any_samples(300))
    found = measure(trained, nothing_mapped(trained, unmeasured=3), any_classes())
    assert found.verdict is Verdict.UNKNOWN
    assert "3 tiles" in found.sentence


def test_classes_that_were_never_trained_are_left_out() -> None:
    """A pixel of another model's class is no evidence."""
    trained = trained_on(any_samples(300))
    found = count_tile(trained, np.zeros((4, 4), np.uint8), np.array([0, 1, 5, 9]), np.zeros(4, np.uint8))
    assert found.pixels == 2
    assert found.classes.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("outside", "moved", "verdict"),
    [
        (0.0, 0.0, Verdict.OK),
        (0.19, 0.19, Verdict.OK),
        (0.2, 0.0, Verdict.CAUTION),
        (0.0, 0.2, Verdict.CAUTION),
        (0.5, 0.0, Verdict.DISTRUST),
        (0.0, 0.5, Verdict.DISTRUST),
    ],
)
def test_either_makes_the_verdict(outside: float, moved: float, verdict: Verdict) -> None:
    """Pixels outside or features moved: a fifth asks for caution, half of them for more."""
    assert judge(outside, moved) is verdict


def test_shares_are_mixed_by_class() -> None:
    """What is expected of a map of one class are the shares of that class."""
    samples = any_samples(500)
    trained = trained_on(samples)
    alone = expected(trained.counts, trained.used, np.array([0.0, 1.0, 0.0]))
    assert alone == pytest.approx(shares(trained.counts[1], trained.used))
    assert alone.sum(axis=1) == pytest.approx(np.ones(len(NAMES)))


def test_class_shift_is_total_variation() -> None:
    """A tenth of the land changed its class."""
    assert total_variation(np.array([0.5, 0.5]), np.array([0.4, 0.6])) == pytest.approx(0.1)


def test_numbers_for_a_tracker_are_finite_and_named() -> None:
    """The verdict as a level, shares, and every feature's index by name."""
    found = metrics(drift_of(any_samples(5000, shift=1.5, seed=3)))
    assert found["drift.level"] == 2
    assert {f"drift.psi.{name}" for name in NAMES} <= set(found)
    assert all(np.isfinite(list(found.values())))


def test_fields_of_an_item_name_every_feature() -> None:
    """The verdict, its sentence, its numbers, and the index of each feature, worst first; which of them moved."""
    drift = drift_of(any_samples(5000, shift=1.5, seed=3))
    found = properties(drift)
    assert found["geocrop:drift_verdict"] == "do not trust"
    assert found["geocrop:drift_features"] == {one.name: pytest.approx(one.psi, abs=1e-6) for one in drift.features}
    assert found["geocrop:drift_features_moved"] == [one.name for one in drift.features if one.moved]
    assert found["geocrop:drift_psi_max"] == next(iter(found["geocrop:drift_features"].values()))
    calm = properties(drift_of(any_samples(5000, seed=3)))
    assert len(calm["geocrop:drift_features"]) == len(NAMES)
    assert calm["geocrop:drift_features_moved"] == []


def test_the_table_has_every_feature() -> None:
    """Worst first, under the names of its columns."""
    lines = to_csv(drift_of(any_samples(5000, shift=1.5, seed=3))).splitlines()
    assert lines[0].startswith("feature,psi,limit,moved")
    assert len(lines) == 1 + len(NAMES)
    indices = [float(line.split(",")[1]) for line in lines[1:]]
    assert all(one >= other for one, other in itertools.pairwise(indices))


def any_feature(**changes: float) -> FeatureDrift:
    facts = {"psi": 0.5, "limit": 0.1, "weight": 0.5, "rise": 0.0, "missing": 0.0, "missing_trained": 0.0}
    return FeatureDrift(name="any", **(facts | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rise": 2.0}, "higher"),
        ({"rise": -2.0}, "lower"),
        ({"rise": 0.2}, "other spread"),
        ({"missing": 0.4}, "missing more often"),
    ],
)
def test_directions_have_words(changes: dict[str, float], words: str) -> None:
    """Where a feature moved to, in a word or two."""
    assert direction(any_feature(**changes)) == words


def test_chance_can_excuse_a_large_index() -> None:
    """An index is called moved only beyond what samples of this size have by chance."""
    assert any_feature().moved
    assert not any_feature(limit=0.6).moved
