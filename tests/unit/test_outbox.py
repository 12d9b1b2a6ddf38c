from pathlib import Path
from typing import Any

import msgspec
import pytest

from steps.errors import StoreError
from steps.mlflow_client import connect
from steps.model.job import ModelRef
from steps.model.registry import MapNote
from steps.naming import outbox_key
from steps.outbox import flush_outbox, home_outbox, log_map
from steps.registry import crown, list_models, log_and_register
from steps.settings import Settings
from steps.store import MemoryStore
from tests.model_folders import saved


def any_note(model: ModelRef, **changes: Any) -> MapNote:
    """Of a map that does not exist."""
    fields: dict[str, Any] = {
        "job": "any-0123456789ab",
        "model": model,
        "metrics": {"coverage": 0.97, "drift.level": 1.0, "bad": float("nan")},
        "tags": {"aoi": "any", "drift": "caution"},
        "when": 1_700_000_000_000,
    }
    return MapNote(**(fields | changes))


@pytest.fixture
def model(tmp_path: Path, registry: Settings) -> ModelRef:
    """A registered one."""
    return log_and_register(saved(tmp_path / "model"), registry)


def runs_of(settings: Settings) -> list[Any]:
    """The runs of maps by any-model."""
    with connect(settings) as client:
        experiment = client.get_experiment_by_name("geocrop/any-model/maps")
        return list(client.search_runs([experiment.experiment_id])) if experiment else []


def waiting(settings: Settings) -> list[str]:
    """Keys in this machine's outbox."""
    return list(home_outbox(settings).list("outbox/"))


def test_a_map_is_logged(registry: Settings, model: ModelRef) -> None:
    """Its numbers and tags are in a run of its own; the version's drift is that of its last map; nothing waits."""
    log_map(any_note(model), home_outbox(registry), registry)
    (run,) = runs_of(registry)
    assert run.info.run_name == "any-0123456789ab"
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"coverage": 0.97, "drift.level": 1.0}
    assert run.data.params == {"model": "any-model", "version": "1", "digest": model.digest}
    assert {"job": "any-0123456789ab", "aoi": "any", "kind": "map"}.items() <= run.data.tags.items()
    assert list_models(registry)[0].drift == "caution"
    assert waiting(registry) == []


def test_what_is_logged_again_updates_the_run(registry: Settings, model: ModelRef) -> None:
    """A job has one run: of the map that was made last, with its assessment."""
    box = home_outbox(registry)
    log_map(any_note(model), box, registry)
    log_map(any_note(model), box, registry)
    log_map(any_note(model, metrics={"coverage": 1.0}, when=1_700_000_001_000), box, registry)
    log_map(any_note(model, metrics={"assess.overall": 0.9}, kind="assessment"), box, registry)
    (run,) = runs_of(registry)
    assert run.data.metrics == {"coverage": 1.0, "drift.level": 1.0, "assess.overall": 0.9}


def test_a_registry_that_is_away_is_told_later(registry: Settings, model: ModelRef, free_port: int) -> None:
    """The note waits, whichever command is next sends it, and the run has the time of the map."""
    away = Settings(home=registry.home, mlflow_uri=f"http://127.0.0.1:{free_port}")
    log_map(any_note(model), home_outbox(away), away)
    assert waiting(away) == [outbox_key("any-0123456789ab", "map")]
    assert flush_outbox(away) == 0
    list_models(registry)
    assert waiting(registry) == []
    (run,) = runs_of(registry)
    assert run.info.start_time == 1_700_000_000_000


def test_a_pod_leaves_its_note_in_the_store(registry: Settings, model: ModelRef, free_port: int) -> None:
    """What one pod could not send, the next one at the same store does."""
    store = MemoryStore()
    away = Settings(home=registry.home / "pod", mlflow_uri=f"http://127.0.0.1:{free_port}")
    log_map(any_note(model), store, away)
    log_map(any_note(model, job="other-0123456789ab"), store, registry)
    assert {run.info.run_name for run in runs_of(registry)} == {"any-0123456789ab", "other-0123456789ab"}
    assert list(store.list("outbox/")) == []


def test_a_map_of_a_bare_folder_is_of_the_version_that_it_is(registry: Settings, model: ModelRef) -> None:
    """By its digest: the run names the version, which has the drift."""
    log_map(any_note(msgspec.structs.replace(model, version="")), home_outbox(registry), registry)
    (run,) = runs_of(registry)
    assert run.data.params["version"] == "1"
    assert list_models(registry)[0].drift == "caution"


@pytest.mark.parametrize("change", [{"digest": "00"}, {"digest": ""}, {"name": "other"}])
def test_a_map_of_a_folder_that_is_not_registered_has_a_run(
    registry: Settings, model: ModelRef, change: dict[str, str]
) -> None:
    """Without a version, whose drift it would be."""
    bare = msgspec.structs.replace(model, version="", **change)
    log_map(any_note(bare), home_outbox(registry), registry)
    with connect(registry) as client:
        experiment = client.get_experiment_by_name(f"geocrop/{bare.name}/maps")
        (run,) = client.search_runs([experiment.experiment_id])
    assert "version" not in run.data.params
    assert list_models(registry)[0].drift == ""


def test_a_map_makes_no_registry(home: Path) -> None:
    """Where nothing was ever registered, it waits until something is."""
    here, bare = Settings(home=home), ModelRef(name="any-model", version="", digest="00", href="any")
    log_map(any_note(bare), home_outbox(here), here)
    assert len(waiting(here)) == 1
    assert not (home / "mlflow.db").exists()


def test_a_version_that_is_gone_keeps_no_note(registry: Settings, model: ModelRef) -> None:
    """The map is logged all the same."""
    with connect(registry) as client:
        client.delete_model_version("any-model", "1")
    log_map(any_note(model), home_outbox(registry), registry)
    assert len(runs_of(registry)) == 1
    assert waiting(registry) == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"job": 3}'])
def test_a_damaged_note_holds_nothing_up(registry: Settings, model: ModelRef, content: bytes) -> None:
    """It is let go, and those after it are sent."""
    box = home_outbox(registry)
    box.put_bytes("outbox/a.json", content)
    log_map(any_note(model), box, registry)
    assert len(runs_of(registry)) == 1
    assert waiting(registry) == []


def test_a_refused_note_holds_nothing_up(registry: Settings, model: ModelRef) -> None:
    """One that MLflow will never take, as its job has other parameters there, is let go."""
    log_map(any_note(model), home_outbox(registry), registry)
    log_map(any_note(msgspec.structs.replace(model, digest="other")), home_outbox(registry), registry)
    assert waiting(registry) == []


def test_a_full_disk_fails_no_map(registry: Settings, model: ModelRef) -> None:
    """An outbox that cannot be written is a warning."""

    class Full(MemoryStore):
        def put_bytes(self, key: str, data: bytes) -> None:  # noqa: ARG002
            raise StoreError(f"{key} cannot be written", "free some space")

    log_map(any_note(model), Full(), registry)
    assert runs_of(registry) == []


def test_promotion_keeps_the_drift(tmp_path: Path, registry: Settings, model: ModelRef) -> None:
    """It belongs to the version, whatever alias that has."""
    log_map(any_note(model), home_outbox(registry), registry)
    log_and_register(saved(tmp_path / "two", b"two"), registry)
    first, second = list_models(registry)
    crown(second, first, registry)
    assert [model.drift for model in list_models(registry)] == ["caution", ""]
