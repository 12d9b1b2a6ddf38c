import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from steps.cli import main
from steps.mlflow_client import connect
from steps.model.card import ClassDef, ModelCard
from steps.model.spec import FeatureSpec, Layer
from steps.models import save_model
from steps.oof import OOF_FILE, OutOfFold, encode_oof
from steps.registry import log_and_register
from steps.remeasure import Asked, answers, remeasure
from steps.settings import Settings
from steps.table import SampleTable
from steps.tables import read_table
from steps.testing import any_card

CLASSES = (ClassDef(code=7, name="wheat", colour="d2a63b"), ClassDef(code=3, name="maize", colour="4f7d2b"))
"""Not in the order of their codes."""
SPEC = FeatureSpec(bands=(), layers=(Layer(name="table", kind="table", bands=("a", "b")),))


def any_samples(seed: int, rows: int = 120) -> pd.DataFrame:
    """Fields of four samples, all wheat or all maize; `a` tells which."""
    rng = np.random.default_rng(seed)
    field = np.arange(rows) // 4
    wheat = field % 2 == 0
    return pd.DataFrame(
        {
            "class": np.where(wheat, "wheat", "maize"),
            "field": field,
            "a": np.where(wheat, 1.0, -1.0) + rng.normal(0, 0.7, rows).round(3),
            "b": rng.normal(0, 1, rows).round(3),
        }
    )


def model_of(frame: pd.DataFrame, folder: Path, scratch: Path, **changes: Any) -> Path:
    """One trained on a table; its out-of-fold file says so."""
    frame.to_csv(scratch / "trained.csv", index=False)
    table = read_table(str(scratch / "trained.csv"), "class", None, None).samples
    y = (frame["class"] == "maize").to_numpy(int)
    options = {"objective": "multi:softprob", "num_class": 2, "max_depth": 2, "seed": 0}
    booster = xgboost.train(options, xgboost.DMatrix(table.features, y), 5)
    data = bytes(booster.save_raw("json"))
    card = ModelCard(
        name="fields", model_sha256=hashlib.sha256(data).hexdigest(), spec=SPEC, classes=CLASSES, **changes
    )
    n = len(table)
    oof = OutOfFold(
        ids=table.ids,
        folds=np.zeros(n, np.int16),
        groups=table.groups,
        truth=np.where(y, 3, 7).astype(np.int16),
        codes=np.array([7, 3], np.int16),
        probabilities=np.full((n, 2), 0.5, np.float32),
        side=np.float64(0),
    )
    save_model(folder, card, data, {OOF_FILE: encode_oof(oof)})
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Trained on the samples of seed 0."""
    return model_of(any_samples(0), tmp_path / "model", tmp_path)


def write(frame: pd.DataFrame, path: Path) -> str:
    """As CSV."""
    frame.to_csv(path, index=False)
    return str(path)


def test_a_model_is_scored_on_new_labels(
    tmp_path: Path, registry: Settings, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Accuracy with intervals by field, per class, as text, as JSON and in a run of the registry."""
    log_and_register(model, registry)
    table = write(any_samples(1), tmp_path / "new.csv")
    assert main(["evaluate", "fields@champion", "--table", table, "--json", str(tmp_path / "found.json")]) == 0
    said = capsys.readouterr().out
    assert "fields/1: 120 samples of 30 labels that it was not trained on" in said
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    low, high = found["intervals"]["overall accuracy"]
    assert 0.7 < low < found["scores"]["overall accuracy"] < high
    with connect(registry) as client:
        experiment = client.get_experiment_by_name("geocrop/fields").experiment_id
        (run,) = client.search_runs([experiment], "tags.kind = 'evaluation'")
    assert run.data.metrics["overall accuracy"] == found["scores"]["overall accuracy"]
    assert run.data.params["version"] == "1"
    assert len(run.data.params["labels/labels digest"]) == 64


def test_fields_of_the_training_are_left_out(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A field of which one sample was in training counts with none of its samples; the rest does."""
    known, new = any_samples(0), any_samples(1)
    mixed = pd.concat([new.iloc[:60], known.iloc[:2], new.iloc[62:]])
    mixed["field"] = new["field"].to_numpy()
    assert main(["evaluate", str(model), "--table", write(mixed, tmp_path / "mixed.csv")]) == 0
    said = capsys.readouterr().out
    assert "116 samples of 29 labels" in said
    assert "4 more samples are of labels that were in its training" in said


@pytest.mark.parametrize("labels", [{}, {"wheat": "maize"}])
def test_the_samples_of_the_training_say_nothing(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], labels: dict[str, str]
) -> None:
    """A model is not scored on what it knows, nor when that was labelled anew."""
    frame = any_samples(0)
    frame.loc[:59, "class"] = frame.loc[:59, "class"].replace(labels)
    assert main(["evaluate", str(model), "--table", write(frame, tmp_path / "same.csv")]) == 65
    assert "all 120 samples were in the training" in capsys.readouterr().err


def test_other_features_are_refused(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table with other columns than the model's is no test of it."""
    frame = any_samples(1).rename(columns={"b": "c"})
    assert main(["evaluate", str(model), "--table", write(frame, tmp_path / "other.csv")]) == 65
    assert "does not have the features of model fields" in capsys.readouterr().err


def test_an_unknown_label_is_named(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model's classes are the legend, unless another is given."""
    frame = any_samples(1).replace({"class": {"maize": "rice"}})
    assert main(["evaluate", str(model), "--table", write(frame, tmp_path / "rice.csv")]) == 65
    assert "rice" in capsys.readouterr().err


def test_class_codes_are_labels_too(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table may name classes by code."""
    frame = any_samples(1)
    frame["class"] = frame["class"].map({"maize": 3, "wheat": 7})
    assert main(["evaluate", str(model), "--table", write(frame, tmp_path / "codes.csv")]) == 0
    assert "120 samples" in capsys.readouterr().out


@pytest.mark.parametrize("more", [[], ["--labels", "a.gpkg", "--table", "a.csv"], ["--labels", "a.gpkg"]])
def test_arguments_that_do_not_go_together(model: Path, more: list[str]) -> None:
    """Exit code 2."""
    assert main(["evaluate", str(model), *more]) == 2


def test_answers_are_in_the_order_of_the_card(tmp_path: Path, model: Path) -> None:
    """Whatever codes the classes have, a target is the position of its class."""
    table = read_table(write(any_samples(1), tmp_path / "new.csv"), "class", None, None).samples
    codes = np.where(any_samples(1)["class"] == "wheat", 7, 3)
    table = SampleTable(**{name: getattr(table, name) for name in SampleTable.__dataclass_fields__} | {"codes": codes})
    card = any_card(name="fields", spec=SPEC, classes=CLASSES)
    asked = answers(card, (model / "model.json").read_bytes(), table)
    np.testing.assert_array_equal(asked.targets, (codes == 3).astype(int))
    assert (asked.probabilities.argmax(axis=1) == asked.targets).mean() > 0.8


def test_the_interval_is_of_fields() -> None:
    """Samples of one field that are right or wrong together leave more doubt than single ones."""
    targets = np.arange(400) % 2
    right = np.arange(400) // 20 % 4 > 0
    said = np.where(right, targets, 1 - targets)
    probabilities = np.eye(2, dtype=np.float32)[said]
    card = any_card(classes=CLASSES)
    by_field, single = (
        remeasure(Asked(targets, groups, probabilities), card) for groups in (np.arange(400) // 20, np.arange(400))
    )
    width = [high - low for low, high in (one.intervals["overall accuracy"] for one in (by_field, single))]
    assert width[0] > 3 * width[1]
    assert by_field.scores["overall accuracy"] == 0.75
