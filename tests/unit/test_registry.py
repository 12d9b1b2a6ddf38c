import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from steps.errors import ModelError, StoreError, TryAgainError, UsageError
from steps.mlflow_client import artifacts_root, connect
from steps.model.job import ModelRef
from steps.models import load_card, save_model
from steps.registry import crown, list_models, log_and_register, model_folder, pinned, resolve
from steps.settings import Settings
from steps.testing import any_card
from tests.model_folders import ANY_BYTES, card_for, saved

SCORES = {
    "parcels held out": {
        "overall accuracy": 0.8,
        "balanced accuracy": 0.75,
        "confusion (rows: label, columns: map)": {"a": {"a": 3, "b": 1}},
        "classes": {"a": {"f1": 0.9}},
    }
}


def register(folder: Path, settings: Settings, data: bytes = ANY_BYTES, **changes: Any) -> ModelRef:
    """A version of any model."""
    return log_and_register(saved(folder, data, **changes), settings)


def test_a_folder_is_resolved_without_mlflow(tmp_path: Path) -> None:
    """MLflow takes seconds to import; a folder, good or missing, needs none of it."""
    code = (
        "import sys; from pathlib import Path; from steps.errors import ModelError\n"
        "from steps.registry import resolve\n"
        "from steps.settings import Settings; settings = Settings(home=Path('/nowhere'))\n"
        "print(resolve(sys.argv[1], settings)[0].href)\n"
        "try: resolve('/no/such/folder', settings)\n"
        "except ModelError as error: print(error)\n"
        "assert not {'mlflow', 'numba', 'rasterio', 'xarray', 'xgboost'} & {*sys.modules}"
    )
    folder = saved(tmp_path / "model")
    run = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, encoding="utf-8", check=True)
    href, message = run.stdout.splitlines()
    assert href == str(folder)
    assert "/no/such/folder" in message
    assert "card.json" in message


def test_versions_and_aliases(tmp_path: Path, registry: Settings) -> None:
    """A name is the newest version; name/version and name@alias are pinned to theirs, with or without models:/."""
    refs = [register(tmp_path / text, registry, text.encode()) for text in ("one", "two", "three")]
    assert [ref.version for ref in refs] == ["1", "2", "3"]
    wanted = {"any-model": 2, "any-model/2": 1, "any-model@champion": 0, "any-model@challenger": 2}
    for text, number in wanted.items():
        for prefix in ("", "models:/"):
            found, card = resolve(prefix + text, registry)
            assert (found, card.version) == (refs[number], refs[number].version)
            assert pinned(found, registry).model_bytes == [b"one", b"two", b"three"][number]


def test_the_first_version_is_champion_and_later_ones_challenge(tmp_path: Path, registry: Settings) -> None:
    """There is one challenger, the newest; the champion stays until it is replaced, and is remembered then."""
    for text in ("one", "two", "three"):
        register(tmp_path / text, registry, text.encode())
    assert [model.aliases for model in list_models(registry)] == [("champion",), (), ("challenger",)]
    first, _, third = list_models(registry)
    crown(third, first, registry)
    found = list_models(registry)
    assert [model.aliases for model in found] == [(), (), ("challenger", "champion")]
    assert found[2].former == "1"


def test_a_version_says_how_good_it_is(tmp_path: Path, registry: Settings) -> None:
    """The scores of the first split, and what that held out."""
    register(tmp_path / "model", registry, scores=SCORES)
    (found,) = list_models(registry)
    assert (found.overall, found.balanced, found.split) == (0.8, 0.75, "parcels held out")


def test_a_training_is_logged_whole(tmp_path: Path, registry: Settings) -> None:
    """Parameters, metrics, feature spec, confusion, provenance and the model's files are in the version's run."""
    trained = {"labels digest": "ab12", "code": "0.1+abc", "season": "2021-01-01/2021-12-31", "scenes": ["S1", "S2"]}
    files = {"evaluation/evaluation.json": b'{"choice": {"rounds": 40}}', "evaluation/confusion.svg": b"<svg/>"}
    card = card_for(scores=SCORES, trained=trained)
    save_model(tmp_path / "model", card, ANY_BYTES, files)
    log_and_register(tmp_path / "model", registry)
    (found,) = list_models(registry)
    with connect(registry) as client:
        run = client.get_run(found.run)
        paths = {one.path for folder in ("training", "model", "model/evaluation")
                 for one in client.list_artifacts(found.run, folder)}  # fmt: skip
        confusion = client.download_artifacts(found.run, "training/confusion.json", str(tmp_path))
    assert run.info.status == "FINISHED"
    assert run.data.metrics["headline/balanced accuracy"] == 0.75
    assert run.data.metrics["splits/parcels held out/classes/a/f1"] == 0.9
    assert not [name for name in run.data.metrics if "confusion" in name]
    assert run.data.params["choice/rounds"] == "40"
    assert run.data.params["trained/season"] == "2021-01-01/2021-12-31"
    assert run.data.params["trained/scenes"] == "S1, S2"
    assert run.data.params["spec/periods"] == str(any_card().spec.periods)
    assert {"labels": "ab12", "code": "0.1+abc", "digest": card.digest}.items() <= run.data.tags.items()
    assert {"training/trained.json", "training/features.json", "model/card.json", "model/README.md"} <= paths
    assert "model/evaluation/confusion.svg" in paths
    assert json.loads(Path(confusion).read_text(encoding="utf-8")) == {"a": {"a": 3, "b": 1}}


def test_a_registered_model_outlives_its_folder(tmp_path: Path, registry: Settings) -> None:
    """The registry keeps its own copy."""
    ref = register(tmp_path / "model", registry)
    saved(tmp_path / "model", b"another")
    assert pinned(ref, registry).model_bytes == ANY_BYTES


def test_other_names_for_the_same_learner_are_another_version(tmp_path: Path, registry: Settings) -> None:
    """What is no part of the digest, as class names, is registered with its version all the same."""
    register(tmp_path / "one", registry)
    renamed = tuple(msgspec.structs.replace(entry, name=entry.name.upper()) for entry in any_card().classes)
    register(tmp_path / "two", registry, classes=renamed)
    assert resolve("any-model/1", registry)[1].classes == any_card().classes
    assert resolve("any-model/2", registry)[1].classes == renamed


def test_an_unregistered_name_is_said(tmp_path: Path, registry: Settings) -> None:
    """The message names the model and where to look, be it the name, the version or the alias that is unknown."""
    register(tmp_path / "model", registry)
    for text in ("nothing-so-named", "any-model/9", "any-model/99999999999", "any-model@nobody", "models:/other/1"):
        with pytest.raises(ModelError, match=f"{text.removeprefix('models:/')}.*geocrop models"):
            resolve(text, registry)


@pytest.mark.parametrize("text", ["a/b/c", "./model", "../x", "name@", "", "models:/", "name/latest"])
def test_what_is_neither_folder_nor_name_is_refused(home: Path, text: str) -> None:
    """Such a text never reaches the registry."""
    with pytest.raises(ModelError, match="is no model"):
        resolve(text, Settings(home=home))
    assert not (home / "mlflow.db").exists()


def test_tampered_bytes_are_never_registered(tmp_path: Path, registry: Settings) -> None:
    """A model that does not fit its card gets no version."""
    folder = saved(tmp_path / "model")
    (folder / "model.json").write_bytes(b"tampered")
    with pytest.raises(ModelError):
        log_and_register(folder, registry)
    assert list_models(registry) == []


def _tamper_learner(folder: Path) -> None:
    (folder / "model.json").write_bytes(b"tampered")


def _tamper_card(folder: Path) -> None:
    path = folder / "card.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"name": "', '"name": "not '), encoding="utf-8")


def _tamper_other(folder: Path) -> None:
    (folder / "README.md").write_bytes(b"tampered")


@pytest.mark.parametrize("tamper", [_tamper_learner, _tamper_card, _tamper_other])
def test_tampered_artifacts_are_never_used(tmp_path: Path, registry: Settings, tamper: Callable[[Path], None]) -> None:
    """Whatever was changed where the registry keeps it, the model is refused and nothing of it is kept here."""
    register(tmp_path / "model", registry)
    (card,) = registry.home.glob("mlflow/**/card.json")
    tamper(card.parent)
    with pytest.raises(ModelError, match="train"):
        resolve("any-model/1", registry)
    assert not list(registry.home.glob("models/*/*"))


def test_a_damaged_copy_is_downloaded_again(tmp_path: Path, registry: Settings) -> None:
    """What is kept on this machine is checked each time."""
    ref = register(tmp_path / "model", registry)
    _tamper_learner(model_folder(ref, registry))
    assert pinned(ref, registry).model_bytes == ANY_BYTES


def test_another_model_than_was_pinned_is_refused(tmp_path: Path, registry: Settings) -> None:
    """A folder that was trained again since, or a version of another digest, is not what the request named."""
    folder = saved(tmp_path / "model")
    ref, _ = resolve(str(folder), registry)
    saved(folder, b"another")
    with pytest.raises(ModelError, match="ask for the map again"):
        pinned(ref, registry)
    kept = msgspec.structs.replace(register(tmp_path / "one", registry), digest="0" * 32)
    with pytest.raises(ModelError, match="ask for the map again"):
        pinned(kept, registry)


def test_promoting_changes_nothing_that_was_accepted(tmp_path: Path, registry: Settings) -> None:
    """`name@champion` is pinned when it is resolved: another champion since leaves it as it was."""
    register(tmp_path / "one", registry, b"one")
    register(tmp_path / "two", registry, b"two")
    accepted, _ = resolve("any-model@champion", registry)
    first, second = list_models(registry)
    crown(second, first, registry)
    assert resolve("any-model@champion", registry)[0].version == "2"
    assert accepted.href == "models:/any-model/1"
    assert pinned(accepted, registry).model_bytes == b"one"


def test_a_version_that_others_made_is_listed_but_not_used(registry: Settings) -> None:
    """A model without our card has no digest that it could be checked by."""
    with connect(registry) as client:
        client.create_registered_model("foreign")
        client.create_model_version("foreign", source=(registry.home / "foreign").as_uri())
    assert [(model.name, model.digest) for model in list_models(registry)] == [("foreign", "")]
    with pytest.raises(ModelError, match="not registered by GeoCrop"):
        resolve("foreign", registry)


@pytest.mark.parametrize(
    "moment", ["log_artifacts", "create_registered_model", "create_model_version", "set_registered_model_alias"]
)
def test_a_registration_that_fails_leaves_no_version(
    tmp_path: Path, registry: Settings, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Whenever it is stopped, there is no version and the run says FAILED; done again, it is version 1."""
    from mlflow import MlflowClient

    def stop(*_args: object, **_named: object) -> None:
        raise KeyboardInterrupt

    folder = saved(tmp_path / "model")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, moment, stop)
        with pytest.raises(KeyboardInterrupt):
            log_and_register(folder, registry)
    assert list_models(registry) == []
    with connect(registry) as client:
        assert client.search_registered_models() == []
        experiment = client.get_experiment_by_name("geocrop/any-model")
        assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]
    assert log_and_register(folder, registry).version == "1"


def test_a_later_registration_that_fails_leaves_the_others(
    tmp_path: Path, registry: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name keeps its versions and aliases."""
    from mlflow import MlflowClient

    register(tmp_path / "one", registry, b"one")
    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        register(tmp_path / "two", registry, b"two")
    assert [(model.version, model.aliases) for model in list_models(registry)] == [("1", ("champion",))]


def test_a_folder_that_is_registered_again_keeps_its_version(tmp_path: Path, registry: Settings) -> None:
    """What was interrupted after its version was made is finished so, and an older model challenges again."""
    refs = [register(tmp_path / text, registry, text.encode()) for text in ("one", "two", "three")]
    assert log_and_register(tmp_path / "two", registry) == refs[1]
    assert [model.aliases for model in list_models(registry)] == [("champion",), ("challenger",), ()]


def test_a_server_that_is_away_is_tried_again_later(tmp_path: Path, home: Path, free_port: int) -> None:
    """Exit code 75, the address without its password, and soon."""
    settings = Settings(home=home, mlflow_uri=f"http://user:secret@127.0.0.1:{free_port}")
    for act in (
        lambda: list_models(settings),
        lambda: resolve("any-model@champion", settings),
        lambda: log_and_register(saved(tmp_path / "model"), settings),
    ):
        with pytest.raises(TryAgainError, match=f"127.0.0.1:{free_port} does not answer") as caught:
            act()
        assert caught.value.exit_code == 75
        assert "secret" not in str(caught.value)


def test_what_was_pinned_and_fetched_needs_no_registry(tmp_path: Path, registry: Settings, free_port: int) -> None:
    """With its digest known and its files here, a model is used while the registry is away."""
    ref = register(tmp_path / "model", registry)
    pinned(ref, registry)
    away = Settings(home=registry.home, mlflow_uri=f"http://127.0.0.1:{free_port}")
    assert pinned(ref, away).model_bytes == ANY_BYTES


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, UsageError, "MLFLOW_TRACKING_USERNAME"),
        (403, UsageError, "MLFLOW_TRACKING_USERNAME"),
        (404, TryAgainError, "MLFLOW_TRACKING_URI"),
        (500, TryAgainError, "MLFLOW_TRACKING_URI"),
        (200, TryAgainError, "MLFLOW_TRACKING_URI"),
    ],
)
def test_what_answers_like_no_registry_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception], said: str
) -> None:
    """A server that does not know us, one that fails, and a web page that is none: each with what to check."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with answering(status) as uri, pytest.raises(error, match=said):
        list_models(Settings(home=home, mlflow_uri=uri))


@contextlib.contextmanager
def answering(status: int) -> Iterator[str]:
    """The address of a web server that answers everything the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_mapping_imports_no_mlflow() -> None:
    """Neither the command line nor a worker that maps tiles waits for it, or has it in memory."""
    code = "import sys, steps.cli, steps.work, steps.local, steps.jobs, steps.publish\nprint('mlflow' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert run.stdout == "False\n"


@pytest.mark.parametrize("uri", ["ftp://host/x", "databricks", "mysql://user:secret@host/db"])
def test_other_kinds_of_registries_are_refused(home: Path, uri: str) -> None:
    """The message says what is supported, without a password."""
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI") as caught:
        list_models(Settings(home=home, mlflow_uri=uri))
    assert "secret" not in str(caught.value)


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file in its place."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="set GEOCROP_HOME"):
        list_models(Settings(home=tmp_path / "file" / "home"))


def test_a_model_of_another_spec_version_is_refused(tmp_path: Path, registry: Settings) -> None:
    """Registered by a later GeoCrop; the message says the versions, not that its files are damaged."""
    folder = saved(tmp_path / "model")
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["spec"]["version"] = 99
    later = any_card(version="", model_sha256=load_card(str(folder)).model_sha256)
    path.write_text(json.dumps(card), encoding="utf-8")
    with connect(registry) as client:
        run = client.create_run(client.create_experiment("any", artifacts_root(registry)))
        client.log_artifacts(run.info.run_id, str(folder), "model")
        client.create_registered_model("any-model")
        tags = {"digest": later.digest, "files": "any"}
        client.create_model_version("any-model", f"{run.info.artifact_uri}/model", run.info.run_id, tags)
    with pytest.raises(ModelError, match=r"version 99 is not 1"):
        resolve("any-model", registry)
