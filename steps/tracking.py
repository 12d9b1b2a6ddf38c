"""Runs of the registry: what is logged of a training, and of a map that was made.

A map never waits for the registry. What is to be logged of it is written to a file in `outbox` first, and sent by the
next command that reaches the registry: nothing is lost, and nothing fails, while it is away.
"""

import contextlib
import fcntl
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import structlog

from steps.errors import GeoCropError, ModelError
from steps.mlflow_client import absent_is_fine, artifacts_root, connect, log_values, translated
from steps.model.card import ModelCard
from steps.model.digest import digest
from steps.model.job import ModelRef
from steps.model.registry import MapNote
from steps.settings import Settings

_log = structlog.get_logger()
_NOT_IN_NAMES = re.compile(r"[^\w.\- :]+")
_CONFUSION = "confusion"
_NAME_LENGTH = 250
_LONG = 500
"""Characters of a parameter; what is longer is in the file `training/trained.json` alone."""
DRIFT = "drift"
"""The tag of a map, and of the version that made it, that holds the verdict on drift."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is logged of one run."""

    experiment: str
    name: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    """JSON content by path."""
    when: int = 0
    """Milliseconds since 1970; 0: now."""


def training_facts(card: ModelCard, choice: Mapping[str, Any] | None = None) -> RunFacts:
    """What is logged of a training; `choice` are the learner's parameters as the evaluation has them. Pure."""
    split, headline = headline_of(card)
    spec = msgspec.to_builtins(card.spec)
    shape = {"learner": card.learner, "features": len(card.spec.feature_names), "classes": len(card.classes)}
    return RunFacts(
        experiment=f"geocrop/{card.name}",
        name=f"{card.name} {card.digest}",
        params=texts({"spec": spec, **shape, "choice": dict(choice or {}), "trained": card.trained}),
        metrics={**numbers({"headline": headline}), **numbers({"splits": card.scores})},
        tags={"kind": "training", "split": split, **provenance(card)},
        files={
            "training/trained.json": card.trained,
            "training/features.json": {"spec": spec, "names": list(card.spec.feature_names)},
            "training/confusion.json": _confusion(headline),
        },
    )


def headline_of(card: ModelCard) -> tuple[str, Mapping[str, Any]]:
    """The card's first split and its scores, which are empty when nothing could be held out."""
    return next(iter(card.scores.items()), ("", {}))


def provenance(card: ModelCard) -> dict[str, str]:
    """What a run and a version are found by: digests of the model and of its labels, and the code."""
    labels = card.trained.get("labels digest") or card.trained.get("samples digest") or ""
    found = {"digest": card.digest, "labels": labels, "code": card.trained.get("code", "")}
    return {name: str(value) for name, value in found.items() if value}


def numbers(tree: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a tree by their path; a confusion matrix is none of them."""
    return {
        name: float(value)
        for name, value in _leaves(tree)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def texts(tree: Mapping[str, Any]) -> dict[str, str]:
    """The values of a tree by their path, as text; of long ones the digest."""
    return {name: _text(value) for name, value in _leaves(tree) if value not in (None, "")}


def _leaves(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = before + (_NOT_IN_NAMES.sub("-", str(key)).strip(" .-") or "-")
        if str(key).startswith(_CONFUSION):
            continue
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{name}/")
        else:
            yield name[:_NAME_LENGTH], value


def _text(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _LONG else f"{len(value)} long, digest {digest(value)}"


def _confusion(headline: Mapping[str, Any]) -> dict[str, Any]:
    return next((value for name, value in headline.items() if name.startswith(_CONFUSION)), {})


@contextlib.contextmanager
def logged_run(client: Any, facts: RunFacts, settings: Settings) -> Iterator[Any]:
    """A run with all its facts. It ends as FINISHED, or as FAILED when what is done within fails."""
    when = facts.when or _now()
    experiment = _experiment(client, facts.experiment, settings)
    run = client.create_run(experiment, start_time=when, tags=dict(facts.tags), run_name=facts.name)
    try:
        log_values(client, run.info.run_id, facts.params, facts.metrics, when)
        for path, content in facts.files.items():
            client.log_dict(run.info.run_id, content, path)
        yield run
    except BaseException:
        with contextlib.suppress(Exception):  # the registry may be what failed
            client.set_terminated(run.info.run_id, "FAILED")
        raise
    client.set_terminated(run.info.run_id, "FINISHED")


def _experiment(client: Any, name: str, settings: Settings) -> str:
    """Its id, made where there is none. Raises ModelError when somebody deleted it."""
    if client.get_experiment_by_name(name) is None:
        with absent_is_fine("RESOURCE_ALREADY_EXISTS"):  # another process was faster
            client.create_experiment(name, artifact_location=artifacts_root(settings))
    found = client.get_experiment_by_name(name)
    if found.lifecycle_stage != "active":
        raise ModelError(f"experiment {name} of the registry was deleted", "restore it there, or use another name")
    return str(found.experiment_id)


def _now() -> int:
    return int(time.time() * 1000)


def log_map(
    job: str, model: ModelRef, metrics: Mapping[str, float], tags: Mapping[str, str], settings: Settings
) -> None:
    """Log a finished map, now or by a later command. Never fails.

    Only maps by a version of the registry are logged: a bare folder has none that they could belong to.
    """
    if not model.version:
        return
    note = MapNote(job=job, model=model, metrics=dict(metrics), tags=dict(tags), when=_now())
    try:
        _post(note, _outbox(settings))
    except OSError as error:
        _log.warning("map.not_logged", job=job, error=str(error))
    else:
        flush_outbox(settings)


def flush_outbox(settings: Settings) -> int:
    """Send what waits; how many were sent. Never fails: what cannot be sent now stays."""
    if not _waiting(settings):
        return 0
    sent = 0
    try:
        with _only_one(_outbox(settings)) as alone, connect(settings) as client:
            for path in _waiting(settings) if alone else []:
                sent += _deliver(client, path, settings)
    except (GeoCropError, OSError) as error:
        _log.warning("maps.wait_for_registry", waiting=len(_waiting(settings)), error=str(error))
    return sent


def _outbox(settings: Settings) -> Path:
    return settings.home / "outbox"


def _waiting(settings: Settings) -> list[Path]:
    return sorted(_outbox(settings).glob("*.json"))


def _post(note: MapNote, outbox: Path) -> None:
    """Write a note whole or not at all; a map that is logged again replaces what waits of it."""
    outbox.mkdir(parents=True, exist_ok=True)
    draft = outbox / f"{note.job}.draft"
    draft.write_bytes(msgspec.json.encode(note))
    draft.replace(outbox / f"{note.job}.json")


@contextlib.contextmanager
def _only_one(outbox: Path) -> Iterator[bool]:
    """Whether no other process is sending."""
    with (outbox / "lock").open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _deliver(client: Any, path: Path, settings: Settings) -> bool:
    """Send one note; one that the registry refuses is set aside. Raises TryAgainError when it is away."""
    try:
        note = msgspec.json.decode(path.read_bytes(), type=MapNote)
        _send(client, note, settings)
    except (ModelError, msgspec.DecodeError) as error:
        _log.warning("map.refused_by_registry", file=path.name, error=str(error))
        path.replace(path.with_suffix(".refused"))
        return False
    path.unlink()
    return True


def _send(client: Any, note: MapNote, settings: Settings) -> None:
    """One run, and the verdict on drift at the version. A note that was sent before is not sent twice."""
    model = note.model
    sent = {"job": note.job, "sent": digest(note)}
    facts = RunFacts(
        experiment=f"geocrop/{model.name}/maps",
        name=note.job,
        params=texts({"model": model.name, "version": model.version, "digest": model.digest}),
        metrics=numbers(note.metrics),
        tags={"kind": "map", **note.tags, **sent},
        when=note.when,
    )
    with translated(settings):
        if not _is_sent(client, facts):
            with logged_run(client, facts, settings):
                _tag_version(client, note)


def _is_sent(client: Any, facts: RunFacts) -> bool:
    found = client.get_experiment_by_name(facts.experiment)
    if found is None:
        return False
    wanted = f"tags.sent = '{facts.tags['sent']}' and attributes.status = 'FINISHED'"
    return bool(client.search_runs([found.experiment_id], wanted, max_results=1))


def _tag_version(client: Any, note: MapNote) -> None:
    if DRIFT in note.tags:
        with absent_is_fine():  # the version may have been deleted since
            client.set_model_version_tag(note.model.name, note.model.version, DRIFT, note.tags[DRIFT])
