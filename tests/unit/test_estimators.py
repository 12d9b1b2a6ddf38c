"""Sample size, allocation and estimates: the paper's example, properties, and coverage by simulation."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.estimators import (
    LEAST,
    Accuracy,
    Assessment,
    Estimate,
    Stratum,
    Z,
    allocate,
    estimate,
    metrics_of,
    sample_size,
)

PAPER = ("deforestation", "forest gain", "stable forest", "stable non-forest")
PAPER_PIXELS = (200_000, 150_000, 3_200_000, 6_450_000)
PAPER_COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])


def strata_of(pixels: Any, hectares: Any = None, names: Any = None) -> list[Stratum]:
    """Strata of pixels of 30 m unless told."""
    areas = [count * 0.09 for count in pixels] if hectares is None else hectares
    names = names or [f"class {code}" for code in range(len(pixels))]
    return [
        Stratum(code=code, name=name, pixels=int(count), hectares=float(area))
        for code, (name, count, area) in enumerate(zip(names, pixels, areas, strict=True))
    ]


def assessment_of(accuracy: Accuracy) -> Assessment:
    """An assessment around estimates."""
    return Assessment(
        item="any-map", map_sha256="ab" * 32, created="2022-10-03T12:00:00Z", code_version="any", design="any",
        drawn=accuracy.units, unlabelled=(), accuracy=accuracy,
    )  # fmt: skip


def estimates(accuracy: Accuracy) -> list[Estimate]:
    """All of them."""
    by_class = [one for k in accuracy.classes for one in (k.users, k.producers, k.share, k.hectares)]
    return [accuracy.overall, *by_class]


@st.composite
def samples(draw: st.DrawFn, *, least: int = LEAST) -> tuple[list[Stratum], np.ndarray]:
    """Strata with any areas, and the labels of at least so many units in each."""
    size = draw(st.integers(2, 5))
    cells = st.lists(st.integers(0, 30), min_size=size, max_size=size)
    counts = np.array([draw(cells.filter(lambda row: sum(row) >= least)) for _ in range(size)])
    areas = [draw(st.floats(0.01, 1e6)) for _ in range(size)]
    pixels = [int(units) + draw(st.integers(0, 10**6)) for units in counts.sum(axis=1)]
    return strata_of(pixels, areas), counts


def test_the_papers_example() -> None:
    """Overall accuracy, areas and their intervals are those that Olofsson et al. print in section 5."""
    found = estimate(strata_of(PAPER_PIXELS), PAPER_COUNTS)
    assert found.overall.value == pytest.approx(0.947, abs=5e-4)
    assert Z * (found.overall.standard_error or 0) == pytest.approx(0.018, abs=5e-4)
    hectares = [(round(k.hectares.value or 0), round(Z * (k.hectares.standard_error or 0))) for k in found.classes]
    assert hectares == [(21158, 6158), (11686, 3756), (285770, 15510), (581386, 16282)]


def test_the_papers_users_and_producers_accuracy() -> None:
    """User's and producer's accuracy by class, with half their intervals, are those that the paper prints."""
    found = estimate(strata_of(PAPER_PIXELS), PAPER_COUNTS)

    def rounded(one: Estimate) -> tuple[float, float]:
        return round(one.value or 0, 2), round(Z * (one.standard_error or 0), 2)

    assert [rounded(one.users) for one in found.classes] == [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)]
    assert [rounded(one.producers) for one in found.classes] == [
        (0.75, 0.21), (0.85, 0.25), (0.93, 0.03), (0.96, 0.02),
    ]  # fmt: skip


def test_the_papers_sample_size() -> None:
    """Expected user's accuracies of 0.70, 0.60, 0.90 and 0.95 and a standard error of 0.01 ask for 641 units."""
    users = dict(enumerate((0.70, 0.60, 0.90, 0.95)))
    assert sample_size(strata_of(PAPER_PIXELS), users, 0.01) == 641


def test_a_sample_has_at_most_all_pixels() -> None:
    """However small the wanted error, no more units are asked for than there are."""
    assert sample_size(strata_of([30, 20]), {0: 0.5, 1: 0.5}, 0.001) == 50


def test_rare_classes_get_the_minimum_and_the_rest_is_proportional() -> None:
    """As the paper allocates: 75 to each of the two rare classes, the others in proportion to their area."""
    first, second, third, fourth = allocate(641, strata_of(PAPER_PIXELS), 75)
    assert (first, second, third + fourth) == (75, 75, 641 - 150)
    assert third / fourth == pytest.approx(3_200_000 / 6_450_000, abs=0.005)


@given(
    pixels=st.lists(st.integers(1, 5000), min_size=1, max_size=8),
    total=st.integers(1, 20_000),
    minimum=st.integers(2, 200),
)
@settings(deadline=None)
def test_an_allocation_keeps_its_bounds(pixels: list[int], total: int, minimum: int) -> None:
    """No stratum gets less than the minimum or more than its pixels, and the sum is what was wanted if it can be."""
    units = allocate(total, strata_of(pixels), minimum)
    least = [min(minimum, one) for one in pixels]
    assert all(low <= count <= high for low, count, high in zip(least, units, pixels, strict=True))
    assert sum(units) == min(max(total, sum(least)), sum(pixels))


@given(samples())
@settings(deadline=None)
def test_areas_sum_to_the_mapped_area(sample: tuple[list[Stratum], np.ndarray]) -> None:
    """Whatever the labels, the areas of the classes are the mapped area together, and their shares are 1."""
    strata, counts = sample
    found = estimate(strata, counts)
    assert math.fsum(k.hectares.value or 0 for k in found.classes) == pytest.approx(sum(s.hectares for s in strata))
    assert math.fsum(k.share.value or 0 for k in found.classes) == pytest.approx(1)
    assert math.fsum(one or 0 for row in found.proportions for one in row) == pytest.approx(1)


@given(samples())
@settings(deadline=None)
def test_intervals_hold_the_estimate(sample: tuple[list[Stratum], np.ndarray]) -> None:
    """Each estimate lies in its interval, and the interval in what is possible."""
    found = estimate(*sample)
    for one in estimates(found):
        if one.value is not None:
            assert one.low is not None
            assert one.high is not None
            assert 0 <= one.low <= one.value <= one.high
    assert all((k.share.high or 0) <= 1 and (k.users.high or 0) <= 1 for k in found.classes)


@given(samples())
@settings(deadline=None)
def test_a_perfect_sample_is_a_perfect_map(sample: tuple[list[Stratum], np.ndarray]) -> None:
    """When map and reference always agree, accuracies are 1 and areas those mapped, without error."""
    strata, counts = sample
    found = estimate(strata, np.diag(counts.sum(axis=1)))
    assert found.overall.value == pytest.approx(1)
    assert {one.standard_error for one in estimates(found)} == {0.0}
    assert [k.hectares.value for k in found.classes] == pytest.approx([s.hectares for s in strata])
    assert all(k.users.value == k.producers.value == 1 for k in found.classes)


@given(samples(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_classes_does_not_matter(sample: tuple[list[Stratum], np.ndarray], random: Any) -> None:
    """Classes in another order have the same estimates."""
    strata, counts = sample
    order = list(range(len(strata)))
    random.shuffle(order)
    first = estimate(strata, counts)
    second = estimate([strata[index] for index in order], counts[np.ix_(order, order)])
    for place, index in enumerate(order):
        for name in ("users", "producers", "hectares"):
            one, other = getattr(first.classes[index], name), getattr(second.classes[place], name)
            assert one.value == (None if other.value is None else pytest.approx(other.value))
            assert one.standard_error == (
                None if other.standard_error is None else pytest.approx(other.standard_error, abs=1e-9)
            )


def covered(population: np.ndarray, units: int, draws: int = 1000) -> tuple[dict[str, float], dict[str, float]]:
    """How often intervals hold the truth, and the mean estimate relative to the truth, by what is estimated.

    The population is pixels by map class and reference class; the draws are without replacement, as ours.
    """
    pixels, rng = population.sum(axis=1), np.random.default_rng(7)
    strata, diagonal = strata_of(pixels), np.diagonal(population)
    truth = np.concatenate([
        [diagonal.sum() / pixels.sum()], diagonal / pixels, diagonal / population.sum(axis=0),
        population.sum(axis=0) * 0.09,
    ])  # fmt: skip
    named = [f"{what} {code}" for what in ("users", "producers", "area") for code in range(len(pixels))]
    held, total = np.zeros(len(truth)), np.zeros(len(truth))
    for _ in range(draws):
        counts = np.array([rng.multivariate_hypergeometric(row, units) for row in population])
        found = estimate(strata, counts)
        parts = [[getattr(k, what) for k in found.classes] for what in ("users", "producers", "hectares")]
        made = [found.overall, *(one for part in parts for one in part)]
        held += [(one.low or 0) <= known <= (one.high or 0) for one, known in zip(made, truth, strict=True)]
        total += [one.value or 0 for one in made]
    names = ["overall", *named]
    return dict(zip(names, held / draws, strict=True)), dict(zip(names, total / draws / truth, strict=True))


def test_intervals_cover_the_truth() -> None:
    """Of many samples of a known population about 95 % of the intervals hold the truth, and the mean is the truth."""
    population = np.array([[16_000, 3_000, 1_000], [7_500, 127_500, 15_000], [18_000, 42_000, 540_000]])
    shares, means = covered(population, units=300)
    assert {name: share for name, share in shares.items() if not 0.92 < share < 0.98} == {}
    ratios = {name: mean for name, mean in means.items() if name.startswith("producers")}
    assert ratios == pytest.approx(dict.fromkeys(ratios, 1.0), rel=0.04), "a ratio has a bias, which is small"
    rest = {name: mean for name, mean in means.items() if name not in ratios}
    assert rest == pytest.approx(dict.fromkeys(rest, 1.0), rel=0.01)


def test_rare_omissions_make_intervals_too_narrow() -> None:
    """Where a sample finds one or two omissions in a large class, fewer than 95 % of a rare class's intervals hold."""
    population = np.array([[16_000, 3_000, 1_000], [7_500, 127_500, 15_000], [6_000, 24_000, 570_000]])
    shares, means = covered(population, units=150)
    assert 0.85 < shares["area 0"] < 0.91
    assert shares["overall"] > 0.93
    assert means["area 0"] == pytest.approx(1, rel=0.02)


def test_standard_errors_are_those_of_repeated_samples() -> None:
    """The mean standard error is how much the estimates of many samples differ."""
    truth = np.array([[0.9, 0.1], [0.2, 0.8]])
    strata, rng = strata_of([300_000, 700_000]), np.random.default_rng(11)
    found = [estimate(strata, np.array([rng.multinomial(100, row) for row in truth])) for _ in range(1500)]
    for get in (lambda one: one.overall, lambda one: one.classes[0].producers, lambda one: one.classes[1].hectares):
        values = np.array([get(one).value for one in found])
        errors = np.array([get(one).standard_error for one in found])
        assert errors.mean() == pytest.approx(values.std(), rel=0.05)


def test_one_unit_has_no_standard_error() -> None:
    """With a single unit in a stratum values are given without error, and a note names the class."""
    found = estimate(strata_of([1000, 1000], names=["maize", "soya"]), np.array([[1, 0], [3, 20]]))
    assert found.overall.value == pytest.approx((1 + 20 / 23) / 2)
    assert found.overall.standard_error is None
    assert found.classes[0].users == Estimate(value=1.0, standard_error=None, low=None, high=None)
    assert found.classes[1].users.standard_error is not None
    assert [note.split(" is ")[0] for note in found.notes] == ["One unit of maize"]


def test_a_stratum_without_units_leaves_the_map_unknown() -> None:
    """Nothing of the whole map is estimated when a class has no unit; what the others say of themselves still is."""
    found = estimate(strata_of([1000, 1000], names=["maize", "soya"]), np.array([[0, 0], [3, 20]]))
    assert found.overall.value is None
    assert [k.hectares.value for k in found.classes] == [None, None]
    assert found.classes[0].users.value is None
    assert found.classes[1].users.value == pytest.approx(20 / 23)
    assert found.proportions[0] == (None, None)
    assert any("No unit of maize" in note for note in found.notes)


def test_a_class_that_is_not_on_the_map() -> None:
    """It has an area if the reference finds some, a producer's accuracy of zero, and no user's accuracy."""
    found = estimate(strata_of([1000, 0]), np.array([[40, 10], [0, 0]]))
    lost = found.classes[1]
    assert lost.users.value is None
    assert (lost.producers.value, lost.producers.standard_error) == (0.0, 0.0)
    assert lost.hectares.value == pytest.approx(18)
    assert found.notes == ()


def test_a_class_that_the_reference_never_has() -> None:
    """It has no producer's accuracy, and an area of zero."""
    found = estimate(strata_of([1000, 1000]), np.array([[30, 0], [30, 0]]))
    assert found.classes[1].producers.value is None
    assert (found.classes[1].users.value, found.classes[1].hectares.value) == (0.0, 0.0)


def test_a_stratum_that_is_wholly_labelled_is_known() -> None:
    """When every pixel is labelled nothing is left to chance: no error, down to a class of a single pixel."""
    found = estimate(strata_of([1, 12]), np.array([[0, 1], [2, 10]]))
    assert {one.standard_error for one in estimates(found)} == {0.0}
    assert found.overall.value == pytest.approx(10 / 13)
    assert found.notes == ()


def test_zero_width_is_said_to_be_too_narrow() -> None:
    """Classes without an error in the sample are named in one note."""
    found = estimate(strata_of([1000, 1000, 900], names=["a", "b", "c"]), np.diag([30, 30, 0]) + np.diag([0, 0, 9]))
    assert [note.partition(":")[0] for note in found.notes] == ["No error was found among the units of a, b, c"]


def test_metrics_are_finite_floats_by_name() -> None:
    """Overall accuracy, accuracies and areas by class are plain floats under names that say what they are."""
    found = metrics_of(assessment_of(estimate(strata_of(PAPER_PIXELS, names=PAPER), PAPER_COUNTS)))
    assert {type(value) for value in found.values()} == {float}
    assert found["assess.overall"] == pytest.approx(0.947, abs=5e-4)
    assert found["assess.area.forest-gain.ha"] == pytest.approx(11686, abs=1)
    assert Z * found["assess.area.forest-gain.ha.standard_error"] == pytest.approx(3756, abs=1)
    assert found["assess.users.deforestation"] == pytest.approx(0.88)
    assert found["assess.producers.deforestation"] == pytest.approx(0.75, abs=5e-3)
    assert found["assess.units"] == 640


def test_metrics_leave_out_what_is_not_known() -> None:
    """No metric is None or NaN: of a map with an unlabelled stratum there is no overall accuracy."""
    found = metrics_of(assessment_of(estimate(strata_of([1000, 1000]), np.array([[0, 0], [3, 20]]))))
    assert set(found) == {"assess.units", "assess.users.class-1", "assess.users.class-1.standard_error"}


def test_metric_names_tell_classes_apart() -> None:
    """Classes with names in other scripts, or that are spelt alike, do not overwrite each other."""
    names = ["玉米", "Maize (dry)", "maize dry"]
    found = metrics_of(assessment_of(estimate(strata_of([100] * 3, names=names), np.full((3, 3), 5))))
    areas = {name for name in found if name.endswith(".ha")}
    assert areas == {"assess.area.class-0.ha", "assess.area.maize-dry-1.ha", "assess.area.maize-dry-2.ha"}
