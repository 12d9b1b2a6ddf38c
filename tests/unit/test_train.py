"""Training is honest and repeatable."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from steps.drift_reference import POINTS_FILE, read_known
from steps.errors import LabelError
from steps.evaluation import OPTIMISTIC, Split
from steps.forest import classify, compile_forest
from steps.learners import Part
from steps.model.card import ClassDef, ModelCard
from steps.model.spec import FeatureSpec, Layer
from steps.oof import OOF_FILE, load_oof
from steps.recipe import BOOSTING, ENSEMBLE, Choice, Recipe, follow, inner_folds
from steps.table import SampleTable
from steps.train import STEPS, Fitted, Problem, fit, problem_of, sample_weights, write_model

CLASSES = (ClassDef(code=0, name="water", colour="419bdf"), ClassDef(code=3, name="crop", colour="e49635"))
QUICK = Recipe(rounds=(5, 10), trees=10)
SINGLE = Recipe(rounds=(5,), ensemble=False)


def quiet(_steps: int = 1, _note: str = "") -> None:
    """No progress bar."""


def any_table(parcels: int = 40, pixels: int = 5, noise: float = 1.0, *, placed: bool = True) -> SampleTable:
    """Two classes that the first feature tells apart; the second is the same within a parcel and says nothing else."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(parcels), pixels)
    codes = np.where(groups % 2 == 0, 0, 3)
    features = np.stack([codes + rng.normal(0, noise, len(codes)), rng.normal(size=parcels)[groups]], 1)
    corner = np.stack(np.divmod(np.arange(parcels), 7), 1)[groups] * 3_000.0
    places = corner + rng.uniform(0, 100, (len(codes), 2))
    return SampleTable(
        names=("table.signal", "table.parcel"),
        features=features.astype(np.float32),
        codes=codes,
        groups=groups,
        places=places if placed else np.full_like(places, np.nan),
        ids=np.arange(len(codes), dtype=np.uint64),
    )


def fitted(table: SampleTable, recipe: Recipe = SINGLE) -> tuple[Problem, Fitted]:
    """A problem and its learner."""
    problem = problem_of(table, CLASSES, recipe)
    return problem, fit(problem, recipe, quiet)


def headline(table: SampleTable) -> tuple[str, dict[str, float]]:
    """The first split and its scores."""
    return next(iter(fitted(table)[1].evaluation.scores.items()))


def test_the_same_samples_give_the_same_bytes() -> None:
    """Training twice makes one model, the ensemble's included."""
    (_, one), (_, two) = (fitted(any_table(), QUICK) for _ in range(2))
    assert (one.model_bytes, one.choice) == (two.model_bytes, two.choice)


def test_the_bar_ends_with_the_training() -> None:
    """As many advances as the bar was promised."""
    steps: list[int] = []
    fit(problem_of(any_table(), CLASSES, SINGLE), SINGLE, lambda count=1, _note="": steps.append(count))
    assert sum(steps) == STEPS


def test_classes_in_any_order_make_the_same_model() -> None:
    """The learner numbers classes by code, whatever order the legend has; those without a sample are left out."""
    extra = ClassDef(code=9, name="snow", colour="b39fe1")
    one, other = (problem_of(any_table(), classes, SINGLE) for classes in (CLASSES, (extra, *CLASSES[::-1])))
    assert one.classes == other.classes == CLASSES
    np.testing.assert_array_equal(one.part.targets, other.part.targets)


def test_two_classes_of_one_code_are_refused() -> None:
    """A legend with a code twice makes no model."""
    with pytest.raises(LabelError, match="share a code"):
        problem_of(any_table(), (*CLASSES, CLASSES[0]), SINGLE)


def test_land_held_out_is_never_trained_on() -> None:
    """A feature that only names the parcel helps by single samples, and not with blocks of land held out."""
    scores = fitted(any_table(pixels=20, noise=50.0), Recipe(rounds=(60,), ensemble=False))[1].evaluation.scores
    names = list(scores)
    assert names[0].startswith("blocks of ")
    assert names[1:] == [OPTIMISTIC]
    assert scores[OPTIMISTIC]["overall accuracy"] > 0.9
    assert scores[names[0]]["overall accuracy"] < 0.7


def test_without_coordinates_parcels_are_held_out() -> None:
    """The headline is no spatial one then, and says so."""
    name, scores = headline(any_table(placed=False, noise=50.0))
    assert name == "parcels held out"
    assert scores["overall accuracy"] < 0.7


def test_single_samples_without_coordinates_have_an_optimistic_headline() -> None:
    """Nothing more honest is possible, and the name says what it is."""
    assert headline(any_table(parcels=60, pixels=1, placed=False))[0] == OPTIMISTIC


@pytest.mark.parametrize("parcels", [2, 3, 4])
def test_every_sample_is_scored_however_few_parcels_there_are(parcels: int) -> None:
    """Where the parcels left have one class only, that class is the prediction: a miss, and not left out."""
    found = headline(any_table(parcels=parcels, pixels=20, placed=False))[1]
    assert found["samples"] == parcels * 20
    if parcels == 2:
        assert found["overall accuracy"] == 0.0


def test_a_single_parcel_has_no_score() -> None:
    """Nothing can be held out of one parcel: no score rather than a flattering one, and a model all the same."""
    table = any_table(placed=False)
    one = SampleTable(table.names, table.features, table.codes, np.zeros_like(table.groups), table.places, table.ids)
    _, found = fitted(one)
    assert list(found.evaluation.scores.values()) == [{}]
    assert compile_forest(found.model_bytes, found.learner).classes == 2


def test_large_parcels_do_not_rule() -> None:
    """A pixel of a large parcel weighs less than one of a small parcel of its class."""
    groups = np.array([0] * 90 + [1] * 10 + [2] * 50)
    weights = sample_weights(np.array([0] * 100 + [1] * 50), groups)
    assert weights[0] < weights[95]
    assert weights.mean() == pytest.approx(1)


def more_than(table: SampleTable, parcels: int) -> SampleTable:
    """The samples of the first parcels of a table."""
    return table.take(table.groups < parcels)


def partition(split: Split, table: SampleTable, among: SampleTable) -> set[frozenset[int]]:
    """Which of some samples are held out together, by id."""
    return {frozenset(table.ids[test].tolist()) & frozenset(among.ids.tolist()) for _, test in split.folds} - {
        frozenset()
    }


@pytest.mark.parametrize("placed", [True, False])
def test_labels_that_are_added_are_placed_among_the_folds_before(*, placed: bool) -> None:
    """What was held out together is so again, in the same blocks; new parcels join them, each whole."""
    table = any_table(placed=placed)
    few = more_than(table, 30)
    _, first = fitted(few)
    before = first.evaluation.oof
    assert before is not None
    old, own = problem_of(few, CLASSES, SINGLE).split, problem_of(table, CLASSES, SINGLE).split
    new = problem_of(table, CLASSES, SINGLE, before=before).split
    assert new.inherited
    assert (new.name, new.side) == (old.name, old.side)
    assert partition(new, table, few) == partition(old, few, few) != partition(own, table, few)
    assert sum(len(test) for _, test in new.folds) == len(table)
    for _, test in new.folds:
        assert not set(new.units[test]) & set(np.delete(new.units, test))


def test_a_parcel_stays_in_the_block_that_it_was_in() -> None:
    """Though more of it is seen clear now, and its centre lies in the next block."""
    table = any_table()
    before = fitted(table)[1].evaluation.oof
    assert before is not None
    places = np.where(table.groups[:, None] == 9, table.places + 2 * float(before.side), table.places)
    moved = SampleTable(
        **{name: getattr(table, name) for name in SampleTable.__dataclass_fields__} | {"places": places}
    )
    split = problem_of(moved, CLASSES, SINGLE, before=before).split
    np.testing.assert_array_equal(split.units, before.groups)


def test_samples_of_another_kind_have_folds_of_their_own() -> None:
    """Blocks are not inherited by a table without coordinates, nor by samples of which none was there."""
    before = fitted(any_table())[1].evaluation.oof
    assert not problem_of(any_table(placed=False), CLASSES, SINGLE, before=before).split.inherited
    table = any_table()
    others = SampleTable(
        **{name: getattr(table, name) for name in SampleTable.__dataclass_fields__} | {"ids": table.ids + 10**6}
    )
    assert not problem_of(others, CLASSES, SINGLE, before=before).split.inherited


def test_the_folds_that_choose_have_the_buffer_too() -> None:
    """No inner fold trains nearer than the buffer to what it holds out, nor on a unit of it."""
    part = problem_of(any_table(parcels=60), CLASSES, SINGLE).part
    part = replace(part, buffer=3_500.0)
    assert part.places is not None
    folds = inner_folds(part, 0)
    assert len(folds) > 1
    for train, test in folds:
        apart = np.linalg.norm(part.places[train][:, None] - part.places[test][None], axis=2)
        assert apart.min() >= part.buffer
        assert not set(part.units[train]) & set(part.units[test])


def test_samples_without_anything_beyond_their_buffer_are_in_no_score() -> None:
    """Where everything lies close together no score is made up."""
    table = any_table()
    near = SampleTable(
        **{name: getattr(table, name) for name in SampleTable.__dataclass_fields__} | {"places": table.places % 20 - 10}
    )
    problem = problem_of(near, CLASSES, SINGLE)
    assert problem.split.folds == ()
    assert list(fit(problem, SINGLE, quiet).evaluation.scores.values()) == [{}]


def vote(weights: dict[str, float]) -> Choice:
    """A choice as inner folds may make it."""
    return Choice(rounds=10, learner=ENSEMBLE, weights=weights, temperature=1.7, inner={})


@pytest.mark.parametrize("weights", [{BOOSTING: 0.6, "extra trees": 0.4}, {"extra trees": 1.0}, {BOOSTING: 1.0}])
@pytest.mark.parametrize("known", [2, 3])
def test_the_map_says_what_the_evaluation_measured(weights: dict[str, float], known: int) -> None:
    """The model's file gives the probabilities, calibrated ones included, that the learner in memory gives."""
    from steps.recipe import Followed, fit_members
    from steps.votes import encode_predictor

    rng = np.random.default_rng(4)
    features = rng.normal(size=(300, 5)).astype(np.float32)
    targets = np.digitize(features[:, 0] + rng.normal(0, 0.5, 300), np.linspace(-0.5, 0.5, known - 1))
    features[rng.random(features.shape) < 0.1] = np.nan
    part = Part(features, targets, np.ones(300, np.float32), np.arange(300), known)
    choice = vote(weights)
    made = Followed(choice, fit_members(part, QUICK, choice, weights))
    learner, data = encode_predictor(made, 5, known)
    values = rng.normal(size=(5, 1000)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    found = classify(compile_forest(data, learner), values, temperature=choice.temperature).probabilities
    np.testing.assert_allclose(found.T, made.probabilities(np.ascontiguousarray(values.T)), atol=3e-6)


def table_spec(table: SampleTable) -> FeatureSpec:
    """A spec of ready-made features."""
    return FeatureSpec(
        bands=(), layers=(Layer(name="table", kind="table", bands=tuple(name.split(".")[1] for name in table.names)),)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder, of parcels one of which has the wrong label."""
    table = any_table(noise=0.2)
    wrong = table.groups == 6
    codes = np.where(wrong, 3, table.codes)
    table = SampleTable(table.names, table.features, codes, table.groups, table.places, table.ids)
    recipe = Recipe(rounds=(30,), ensemble=False)
    problem = problem_of(table, CLASSES, recipe, {6: "row 7 at 28.1 -20.2"})
    made = tmp_path_factory.mktemp("trained") / "model"
    write_model(made, "any", table_spec(table), problem, fit(problem, recipe, quiet), {"labels": "any.gpkg"})
    return made


def card_of(folder: Path) -> ModelCard:
    """The card as it was written."""
    return msgspec.json.decode((folder / "card.json").read_bytes(), type=ModelCard)


def test_a_wrong_label_is_listed_with_its_id(folder: Path) -> None:
    """By the name that people find it by in their file, with what it was taken for."""
    rows = list(csv.DictReader(io.StringIO((folder / "evaluation/suspects.csv").read_text(encoding="utf-8"))))
    assert [(row["label"], row["given"], row["suggested"]) for row in rows] == [
        ("row 7 at 28.1 -20.2", "crop", "water")
    ]


def test_the_numbers_of_the_evaluation_are_kept(folder: Path) -> None:
    """Scores, candidates, reliability, importance and the learning curve, and a figure of each."""
    found = msgspec.json.decode((folder / "evaluation/evaluation.json").read_bytes())
    assert next(iter(found["importance"])) == "table.signal"
    assert {"chosen", "gradient boosting"} <= {*found["candidates"]}
    assert [point["labels"] for point in found["learning curve"]] == sorted(
        point["labels"] for point in found["learning curve"]
    )
    assert sum(one["samples"] for one in found["reliability"]) == 200
    figures = {path.name for path in (folder / "evaluation").glob("*.svg")}
    assert figures == {"reliability.svg", "learning.svg", "importance.svg", "confusion.svg", "classes.svg"}


def test_out_of_fold_predictions_are_kept(folder: Path) -> None:
    """One for each sample, whose scores are those of the card."""
    oof = load_oof(folder / OOF_FILE)
    right = float((oof.predicted == oof.truth).mean())
    assert right == pytest.approx(next(iter(card_of(folder).scores.values()))["overall accuracy"], abs=1e-4)
    np.testing.assert_allclose(oof.probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_training_samples_are_what_maps_are_compared_with(folder: Path) -> None:
    """The card names the file beside it, which knows the features."""
    card = card_of(folder)
    assert card.reference is not None
    known = read_known((folder / POINTS_FILE).read_bytes(), card.reference, card.spec.feature_names, "any")
    assert known.trained.names == ("table.signal", "table.parcel")


def test_a_calibrated_confidence_is_right_as_often_as_it_says() -> None:
    """The temperature found on inner folds makes the confidence of samples held out true."""
    rng = np.random.default_rng(1)
    signal = rng.normal(size=3000)
    truth = (rng.random(3000) < 1 / (1 + np.exp(-signal))).astype(np.int64)
    noise = rng.normal(size=(3000, 12))
    part = Part(
        np.column_stack([signal, noise]).astype(np.float32), truth, np.ones(3000, np.float32), np.arange(3000), 2
    )
    recipe = Recipe(rounds=(150,), ensemble=False)
    train, held = part.take(np.arange(1500)), part.take(np.arange(1500, 3000))
    made = follow(train, recipe)
    found = made.probabilities(held.features)
    right = found.argmax(axis=1) == held.targets
    plain = made.members[BOOSTING].probabilities(held.features)
    assert made.choice.temperature > 1.2
    gap, plain_gap = (said.max(axis=1).mean() - right.mean() for said in (found, plain))
    assert abs(gap) < 0.05
    assert plain_gap > 0.04
