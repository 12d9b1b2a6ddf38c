import hashlib
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
import xgboost

from steps.card_page import card_page
from steps.ensemble import Ensemble, XgboostMember, encode_ensemble
from steps.errors import ModelError
from steps.model.spec import FeatureSpec, Layer
from steps.models import load_card, load_evaluation, load_model
from steps.packaging import requirements, signature
from steps.served import _load_pyfunc
from steps.testing import any_card
from tests.model_folders import ANY_BYTES, card_for, saved

FEATURES, CLASSES = len(any_card().spec.feature_names), len(any_card().classes)


def test_a_folder_gives_back_what_was_saved(tmp_path: Path) -> None:
    """Card and bytes survive the folder, and nothing else is left beside it."""
    folder = saved(tmp_path / "deep" / "model", scores={"parcels held out": {"overall accuracy": 0.8}})
    card = load_card(str(folder))
    assert card == card_for(scores={"parcels held out": {"overall accuracy": 0.8}})
    assert load_model(str(folder), card) == ANY_BYTES
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_saving_again_replaces_the_whole_folder(tmp_path: Path) -> None:
    """No file of the model before is left."""
    folder = saved(tmp_path / "model")
    (folder / "stray").touch()
    saved(folder, b'{"learner":1}')
    assert sorted(path.name for path in folder.iterdir()) == [
        "MLmodel", "README.md", "card.json", "model.json", "requirements.txt",
    ]  # fmt: skip
    assert load_model(str(folder), load_card(str(folder))) == b'{"learner":1}'


def test_bytes_of_another_digest_are_refused(tmp_path: Path) -> None:
    """The message names both digests."""
    folder = saved(tmp_path / "model")
    (folder / "model.json").write_bytes(b"tampered")
    card = load_card(str(folder))
    with pytest.raises(ModelError) as caught:
        load_model(str(folder), card)
    assert card.model_sha256[:12] in str(caught.value)
    assert hashlib.sha256(b"tampered").hexdigest()[:12] in str(caught.value)


def test_a_missing_model_file_is_said(tmp_path: Path) -> None:
    """A card alone is no model."""
    folder = saved(tmp_path / "model")
    (folder / "model.json").unlink()
    with pytest.raises(ModelError, match=r"model\.json cannot be read"):
        load_model(str(folder), load_card(str(folder)))


def test_a_card_of_another_spec_version_is_refused(tmp_path: Path) -> None:
    """A spec that this code does not make is refused with what to do."""
    path = saved(tmp_path / "model") / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["spec"]["version"] = 99
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match=r"version 99 is not 1.*train the model again"):
        load_card(str(path.parent))


def test_a_learner_of_later_times_is_refused(tmp_path: Path) -> None:
    """A card that names a learner unknown here is refused with its name."""
    with pytest.raises(ModelError, match="learner 'oracle', not xgboost or ensemble"):
        load_card(str(saved(tmp_path / "model", learner="oracle")))


@pytest.mark.parametrize("text", ["", "{", '{"name": 3}', "[]", "\x80"])
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, text: str) -> None:
    """Anything but a card is a ModelError that names the file."""
    path = saved(tmp_path / "model") / "card.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"card\.json is no model card"):
        load_card(str(path.parent))


def any_booster(seed: int = 0) -> xgboost.Booster:
    """Of as many features and classes as any card has."""
    rng = np.random.default_rng(seed)
    x, y = rng.random((60, FEATURES)).astype(np.float32), rng.integers(0, CLASSES, 60)
    return xgboost.train({"objective": "multi:softprob", "num_class": CLASSES}, xgboost.DMatrix(x, y), 2)


def json_of(booster: xgboost.Booster) -> bytes:
    """The model file."""
    return bytes(booster.save_raw("json"))


def test_mlflow_opens_the_folder(tmp_path: Path) -> None:
    """In xgboost's flavour it predicts the same; as python_function it takes named columns in any order and heats."""
    booster = any_booster()
    folder = saved(tmp_path / "model", json_of(booster), temperature=2.0)
    names = list(any_card().spec.feature_names)
    x = np.random.default_rng(1).random((40, FEATURES)).astype(np.float32)
    frame = pd.DataFrame(x.astype(np.float64), columns=names)[names[::-1]]
    flavour, function = _by_mlflow(tmp_path, folder, x, frame)
    np.testing.assert_array_equal(flavour, booster.inplace_predict(x))
    raised = np.sqrt(booster.inplace_predict(x))
    np.testing.assert_allclose(function, raised / raised.sum(axis=1, keepdims=True), atol=1e-6)


def _by_mlflow(scratch: Path, folder: Path, x: np.ndarray, frame: pd.DataFrame) -> list[np.ndarray]:
    """What MLflow's two flavours of a folder say, in a process of its own."""
    code = (
        "import sys, mlflow.xgboost, mlflow.pyfunc, numpy as np, pandas as pd\n"
        "folder, x, frame, out = sys.argv[1:]\n"
        "flavour = mlflow.xgboost.load_model(folder).inplace_predict(np.load(x))\n"
        "function = mlflow.pyfunc.load_model(folder).predict(pd.read_parquet(frame))\n"
        "np.savez(out, flavour, function)\n"
    )
    np.save(scratch / "x.npy", x)
    frame.to_parquet(scratch / "frame.parquet")
    command = [sys.executable, "-c", code, folder, scratch / "x.npy", scratch / "frame.parquet", scratch / "p.npz"]
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run(command, env=quiet, cwd=scratch, check=True, capture_output=True, timeout=120)
    with np.load(scratch / "p.npz") as found:
        return list(found.values())


def test_an_ensemble_is_served(tmp_path: Path) -> None:
    """The python_function of a vote is the mean of its members, and other shapes are refused."""
    boosters = [any_booster(seed) for seed in (0, 1)]
    members = tuple(XgboostMember(weight=0.5, model=msgspec.Raw(json_of(one))) for one in boosters)
    data = encode_ensemble(Ensemble(classes=CLASSES, features=FEATURES, members=members))
    served = _load_pyfunc(str(saved(tmp_path / "model", data, learner="ensemble")))
    x = np.random.default_rng(1).random((40, FEATURES)).astype(np.float32)
    np.testing.assert_allclose(served.predict(x), sum(one.inplace_predict(x) for one in boosters) / 2, atol=1e-6)
    with pytest.raises(ModelError, match=f"give {FEATURES} columns"):
        served.predict(x[:, 1:])


def test_requirements_are_exact_and_name_one_wheel_of_xgboost() -> None:
    """Every line pins what is installed; the large wheel of the same library is not among them."""
    lines = requirements(any_card()).splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pinned == {name: version(name) for name in pinned}
    assert "xgboost-cpu" in pinned
    assert "xgboost" not in pinned


def test_the_signature_names_the_features() -> None:
    """In the spec's order; the output has a column for each class."""
    card = any_card()
    found = signature(card)
    assert [column["name"] for column in json.loads(found["inputs"])] == list(card.spec.feature_names)
    assert json.loads(found["outputs"])[0]["tensor-spec"]["shape"] == [-1, CLASSES]


def test_a_card_can_be_read_by_people() -> None:
    """Classes with colours, every split's numbers, what a table cannot break."""
    scores = {
        "blocks held out": {"balanced accuracy": 0.7125, "classes": {"a|b": {"recall": 0.5}}},
        "single samples (optimistic)": {},
    }
    page = card_page(any_card(scores=scores, trained={"labels": "fields.gpkg", "scenes": [f"S{n}" for n in range(30)]}))
    assert page.startswith("# Model any-model\n")
    for entry in any_card().classes:
        assert f"| {entry.code} | {entry.name} | #{entry.colour} |" in page
    assert "| balanced accuracy | 0.7125 |" in page
    assert "| a\\|b | 0.5 |" in page
    assert "### single samples (optimistic)\n\nNot measured" in page
    assert "S19 and 10 more" in page
    assert "no map can be made" not in page


def test_a_card_of_a_table_says_that_it_cannot_map() -> None:
    """A model whose features are not ours is no model for maps."""
    spec = FeatureSpec(bands=(), layers=(Layer(name="table", kind="table", bands=("a", "b")),))
    assert "no map can be made" in card_page(any_card(spec=spec))


def test_a_damaged_evaluation_is_said(tmp_path: Path) -> None:
    """A folder may have none; one that is no JSON is refused."""
    folder = saved(tmp_path / "model")
    assert load_evaluation(folder) == {}
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "evaluation.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="train the model again"):
        load_evaluation(folder)
