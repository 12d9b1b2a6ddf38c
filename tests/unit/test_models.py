import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import xgboost

from steps.errors import ModelError
from steps.model.card import ModelCard
from steps.models import list_models, load_card, load_model, register, resolve, save_model
from steps.settings import Settings
from steps.testing import any_card

ANY_BYTES = b'{"learner":{}}'


def card_for(data: bytes = ANY_BYTES, **changes: Any) -> ModelCard:
    """A card that names these bytes."""
    return any_card(**({"version": "", "model_sha256": hashlib.sha256(data).hexdigest()} | changes))


def saved(folder: Path, data: bytes = ANY_BYTES, **changes: Any) -> Path:
    """A model's folder."""
    save_model(folder, card_for(data, **changes), data)
    return folder


@pytest.fixture
def registry(home: Path) -> Settings:
    """Settings with a registry of their own."""
    return Settings(home=home)


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
    assert sorted(path.name for path in folder.iterdir()) == ["MLmodel", "card.json", "model.json", "requirements.txt"]
    assert load_model(str(folder), load_card(str(folder))) == b'{"learner":1}'


def test_a_folder_is_resolved_without_mlflow(tmp_path: Path) -> None:
    """MLflow takes seconds to import; a folder, good or missing, needs none of it."""
    code = (
        "import sys; from pathlib import Path; from steps.errors import ModelError; from steps.models import resolve; "
        "from steps.settings import Settings; settings = Settings(home=Path('/nowhere'))\n"
        "print(resolve(sys.argv[1], settings)[0].href)\n"
        "try: resolve('/no/such/folder', settings)\n"
        "except ModelError as error: print(error)\n"
        "assert not {'mlflow', 'numba', 'rasterio', 'xarray', 'xgboost'} & {*sys.modules}"
    )
    folder = saved(tmp_path / "model")
    run = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    href, message = run.stdout.splitlines()
    assert href == str(folder)
    assert "/no/such/folder" in message
    assert "card.json" in message


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
    with pytest.raises(ModelError, match="learner 'ensemble', not xgboost"):
        load_card(str(saved(tmp_path / "model", learner="ensemble")))


@pytest.mark.parametrize("text", ["", "{", '{"name": 3}', "[]", "\x80"])
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, text: str) -> None:
    """Anything but a card is a ModelError that names the file."""
    path = saved(tmp_path / "model") / "card.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"card\.json is no model card"):
        load_card(str(path.parent))


def test_versions_and_aliases(tmp_path: Path, registry: Settings) -> None:
    """A name is the newest version; name/version and name@alias are pinned to theirs, with or without models:/."""
    refs = [register(saved(tmp_path / text, text.encode()), registry) for text in ("one", "two", "three")]
    assert [ref.version for ref in refs] == ["1", "2", "3"]
    _set_alias(registry, "any-model", "champion", "2")
    for text, ref in {"any-model": refs[2], "any-model/1": refs[0], "any-model@champion": refs[1]}.items():
        for prefix in ("", "models:/"):
            found, card = resolve(prefix + text, registry)
            assert (found, card.version) == (ref, ref.version)
            assert load_model(found.href, card) == ["one", "two", "three"][int(ref.version) - 1].encode()
    assert list_models(registry) == refs


def _set_alias(settings: Settings, name: str, alias: str, version: str) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{settings.home / 'mlflow.db'}"
    MlflowClient(registry_uri=uri, tracking_uri=uri).set_registered_model_alias(name, alias, version)


def test_a_registered_model_outlives_its_folder(tmp_path: Path, registry: Settings) -> None:
    """The registry keeps its own copy."""
    folder = saved(tmp_path / "model")
    register(folder, registry)
    saved(folder, b"another")
    ref, card = resolve("any-model", registry)
    assert load_model(ref.href, card) == ANY_BYTES


def test_other_names_for_the_same_learner_are_another_version(tmp_path: Path, registry: Settings) -> None:
    """What is no part of the digest, as class names, is registered with its version all the same."""
    register(saved(tmp_path / "one"), registry)
    renamed = tuple(msgspec.structs.replace(entry, name=entry.name.upper()) for entry in any_card().classes)
    register(saved(tmp_path / "two", classes=renamed), registry)
    assert resolve("any-model/1", registry)[1].classes == any_card().classes
    assert resolve("any-model/2", registry)[1].classes == renamed


def test_an_unregistered_name_is_said(tmp_path: Path, registry: Settings) -> None:
    """The message names the model and where to look, be it the name, the version or the alias that is unknown."""
    register(saved(tmp_path / "model"), registry)
    for text in ("nothing-so-named", "any-model/9", "any-model@nobody", "models:/other/1"):
        with pytest.raises(ModelError, match=f"{text.removeprefix('models:/')}.*geocrop models"):
            resolve(text, registry)


@pytest.mark.parametrize("text", ["a/b/c", "./model", "../x", "name@", "", "models:/", "name/latest"])
def test_what_is_neither_folder_nor_name_is_refused(registry: Settings, text: str) -> None:
    """Such a text never reaches the registry."""
    with pytest.raises(ModelError, match="is no model"):
        resolve(text, registry)
    assert not (registry.home / "mlflow.db").exists()


def test_tampered_bytes_are_never_registered(tmp_path: Path, registry: Settings) -> None:
    """A model that does not fit its card gets no version."""
    folder = saved(tmp_path / "model")
    (folder / "model.json").write_bytes(b"tampered")
    with pytest.raises(ModelError):
        register(folder, registry)
    assert list_models(registry) == []


def test_mlflow_loads_the_folder(tmp_path: Path) -> None:
    """The packaging is MLflow's: its xgboost flavour opens the folder and predicts the same."""
    x = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(x, np.arange(40) % 3), 2)
    folder = saved(tmp_path / "model", bytes(booster.save_raw("json")))
    code = (
        "import sys, mlflow.xgboost, numpy as np; model = mlflow.xgboost.load_model(sys.argv[1]); "
        "np.save(sys.argv[2], model.inplace_predict(np.load(sys.argv[3])))"
    )
    np.save(tmp_path / "x.npy", x)
    command = [sys.executable, "-c", code, folder, tmp_path / "p.npy", tmp_path / "x.npy"]
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run(command, env=quiet, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), booster.inplace_predict(x))
