"""Training is honest and repeatable."""

import numpy as np
import pytest

from steps.errors import LabelError
from steps.forest import CompiledForest, compile_forest
from steps.model.card import ClassDef
from steps.samples import SampleTable
from steps.train import fit, sample_weights, score

CLASSES = (ClassDef(code=3, name="crop", colour="e49635"), ClassDef(code=0, name="water", colour="419bdf"))
CLASSES = tuple(sorted(CLASSES, key=lambda entry: entry.code))


def any_table(parcels: int = 12, pixels: int = 20, noise: float = 0.3) -> SampleTable:
    """Two classes that the first feature tells apart; the second is the same within a parcel and says nothing else."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(parcels), pixels)
    codes = np.where(groups % 2 == 0, 0, 3)
    features = np.stack([codes + rng.normal(0, noise, len(codes)), rng.normal(size=parcels)[groups]], 1)
    return SampleTable(features.astype(np.float32), codes, groups, np.arange(len(codes)) // 4)


def test_the_same_samples_give_the_same_bytes() -> None:
    """Training twice makes one model."""
    assert fit(any_table(), CLASSES).model_bytes == fit(any_table(), CLASSES).model_bytes


def test_the_model_fits_the_compiled_forest() -> None:
    """What training makes never falls back."""
    assert isinstance(compile_forest(fit(any_table(), CLASSES).model_bytes), CompiledForest)


def test_parcels_held_out_are_never_trained_on() -> None:
    """A feature that only names the parcel helps by pixel blocks, and not with parcels held out."""
    table = any_table(parcels=24, noise=50.0)
    scores = fit(table, CLASSES).scores
    assert scores["pixel blocks (optimistic)"]["overall accuracy"] > 0.9
    assert scores["parcels held out"]["overall accuracy"] < 0.8


def test_classes_keep_their_codes() -> None:
    """Classes come in the order of the learner's numbers, without those that have no sample."""
    extra = ClassDef(code=9, name="snow", colour="b39fe1")
    assert [entry.code for entry in fit(any_table(), (*CLASSES, extra)).classes] == [0, 3]


def test_scores_count_by_class() -> None:
    """Recall is right over labelled, precision right over mapped."""
    found = score(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), CLASSES)
    assert found["overall accuracy"] == 0.75
    assert found["classes"]["water"] == {"precision": 1.0, "recall": 0.6667, "f1": 0.8, "samples": 3}
    assert found["classes"]["crop"]["precision"] == 0.5


def test_large_parcels_do_not_rule() -> None:
    """A pixel of a large parcel weighs less than one of a small parcel of its class."""
    groups = np.array([0] * 90 + [1] * 10 + [2] * 50)
    weights = sample_weights(np.array([0] * 100 + [1] * 50), groups)
    assert weights[0] < weights[95]
    assert weights.mean() == pytest.approx(1)


def test_two_classes_of_one_code_are_refused() -> None:
    """A legend with a code twice makes no model."""
    from steps.model.spec import standard_spec
    from steps.train import make_card

    fitted = fit(any_table(), CLASSES)
    twice = type(fitted)(fitted.model_bytes, (CLASSES[0], CLASSES[0]), {})
    with pytest.raises(LabelError, match="share a code"):
        make_card("any", standard_spec(["red", "nir"]), twice, {})


def test_classes_in_any_order_make_the_same_model() -> None:
    """The learner numbers classes by code, whatever order the legend has."""
    one, other = fit(any_table(), CLASSES), fit(any_table(), CLASSES[::-1])
    assert one.model_bytes == other.model_bytes
    assert one.classes == other.classes


@pytest.mark.parametrize("parcels", [2, 3, 4])
def test_every_sample_is_scored_however_few_parcels_there_are(parcels: int) -> None:
    """Where the parcels left have one class only, that class is the prediction: a miss, and not left out."""
    found = fit(any_table(parcels=parcels), CLASSES).scores["parcels held out"]
    assert found["samples"] == parcels * 20
    if parcels == 2:
        assert found["overall accuracy"] == 0.0


def test_a_single_parcel_has_no_score() -> None:
    """Nothing can be held out of one parcel: no score rather than a flattering one."""
    table = any_table()
    one = SampleTable(table.features, table.codes, np.zeros_like(table.groups), table.blocks)
    scores = fit(one, CLASSES).scores
    assert scores["parcels held out"] == {}
    assert scores["pixel blocks (optimistic)"]["overall accuracy"] > 0.9


def test_balanced_accuracy_is_the_mean_recall_of_labelled_classes() -> None:
    """A class without labels among those predicted does not count."""
    classes = (*CLASSES, ClassDef(code=9, name="snow", colour="b39fe1"))
    found = score(np.array([0, 0, 0, 1]), np.array([0, 0, 2, 1]), classes)
    assert found["balanced accuracy"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-4)
    assert found["confusion (rows: label, columns: map)"]["water"] == {"water": 2, "crop": 0, "snow": 1}
