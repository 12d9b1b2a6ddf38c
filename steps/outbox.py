"""What is to be logged of maps. A map never waits for the registry, and never fails because of it.

A note is written to the outbox of a store first: that of this machine's home, or of the job's own store where the
machine is a pod. It is sent at once when the registry answers, else by whoever comes by the same outbox later. A job
has one run, which what is logged again updates: a note may be sent twice.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from steps import naming
from steps.errors import GeoCropError, ModelError
from steps.mlflow_client import absent_is_fine, connect, is_unmade, log_values, translated
from steps.model.job import ModelRef
from steps.model.registry import MapNote
from steps.settings import Settings
from steps.store import MissingObject, Store, open_store
from steps.tracking import experiment_id, now, numbers, texts

_log = structlog.get_logger()
DRIFT = "drift"
"""The tag of a map, and of the version that made it, that holds the verdict on drift."""


def home_outbox(settings: Settings) -> Store:
    """The one of this machine."""
    return open_store(str(settings.home), settings)


def log_map(note: MapNote, outbox: Store, settings: Settings) -> None:
    """Log a map, now or later. Never fails."""
    keep_note(note, outbox)
    send_notes(outbox, settings)


def keep_note(note: MapNote, outbox: Store) -> None:
    """To be sent by whoever sends next. Never fails."""
    note = msgspec.structs.replace(note, metrics=numbers(note.metrics), tags=texts(note.tags))
    try:
        outbox.put_bytes(naming.outbox_key(note.job, note.kind), msgspec.json.encode(note))
    except GeoCropError as error:
        _log.warning("map.not_logged", job=note.job, error=str(error))


def send_notes(outbox: Store, settings: Settings) -> None:
    """Send what waits, if it can be sent now. Never fails.

    Where nothing was ever registered on this machine, a map by a bare folder makes no registry: it waits for one.
    """
    if not is_unmade(settings):
        flush_outbox(settings, outbox)


def flush_outbox(settings: Settings, outbox: Store | None = None) -> int:
    """Send what waits, in this machine's outbox unless told; how many were sent.

    Never fails: what cannot be sent now stays.
    """
    box, sent = outbox or home_outbox(settings), 0
    try:
        if waiting := list(box.list(naming.OUTBOX)):
            with connect(settings) as client:
                for key in waiting:
                    sent += _deliver(client, key, box, settings)
    except GeoCropError as error:
        _log.warning("maps.wait_for_registry", error=str(error))
    return sent


def _deliver(client: Any, key: str, box: Store, settings: Settings) -> bool:
    """Send one note; one that can never be sent is let go. Raises TryAgainError when the registry is away."""
    try:
        note = msgspec.json.decode(box.get_bytes(key), type=MapNote)
        _send(client, note, settings)
    except MissingObject:  # another process was faster
        return False
    except (ModelError, msgspec.DecodeError) as error:
        _log.error("map.refused_by_registry", note=box.href(key), error=str(error))
    box.delete(key)
    return True


def _send(client: Any, note: MapNote, settings: Settings) -> None:
    """One run for each job, and the verdict on drift at the version."""
    with translated(settings):
        model = _known(client, note.model)
        run = _run_of(client, note, experiment_id(client, f"geocrop/{model.name}/maps", settings))
        params = texts({"model": model.name, "version": model.version, "digest": model.digest})
        log_values(client, run, params, note.metrics, note.when)
        for name, value in note.tags.items():
            client.set_tag(run, name, value)
        client.set_terminated(run, "FINISHED", note.when)
        if DRIFT in note.tags and model.version:
            with absent_is_fine():  # the version may have been deleted since
                client.set_model_version_tag(model.name, model.version, DRIFT, note.tags[DRIFT])


def _known(client: Any, model: ModelRef) -> ModelRef:
    """The model with its version: a bare folder has the newest one of its name and digest, or none."""
    if model.version or not model.digest:
        return model
    found = client.search_model_versions(f"tags.digest = '{model.digest}'")
    versions = [int(one.version) for one in found if one.name == model.name]
    return msgspec.structs.replace(model, version=str(max(versions))) if versions else model


def _run_of(client: Any, note: MapNote, experiment: str) -> str:
    """MLflow's id of the run of a job, made where there is none."""
    found = client.search_runs([experiment], f"tags.job = '{note.job}'", max_results=1)
    tags = {"kind": "map", "job": note.job}
    run = found[0] if found else client.create_run(experiment, start_time=note.when, tags=tags, run_name=note.job)
    return str(run.info.run_id)


def note_of(job: str, model: ModelRef, metrics: Mapping[str, float], tags: Mapping[str, str], kind: str) -> MapNote:
    """A note of now; `kind` is map or assessment, of each of which one may wait for a job."""
    return MapNote(job=job, model=model, metrics=dict(metrics), tags=dict(tags), when=now(), kind=kind)
