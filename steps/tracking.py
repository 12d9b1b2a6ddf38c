"""Runs of the registry: what is logged of a training, and of a model measured again."""

import contextlib
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from steps.errors import ModelError
from steps.mlflow_client import absent_is_fine, artifacts_root, connect, log_values
from steps.model.card import ModelCard
from steps.model.digest import digest
from steps.model.job import ModelRef
from steps.settings import Settings

_NOT_IN_NAMES = re.compile(r"[^\w.\- :]+")
_CONFUSION = "confusion"
_NAME_LENGTH = 250
_LONG = 500
"""Characters of a parameter; what is longer is in the file `training/trained.json` alone."""


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
    when = now()
    experiment = experiment_id(client, facts.experiment, settings)
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


def experiment_id(client: Any, name: str, settings: Settings) -> str:
    """Its id, made where there is none. Raises ModelError when somebody deleted it."""
    if client.get_experiment_by_name(name) is None:
        with absent_is_fine("RESOURCE_ALREADY_EXISTS"):  # another process was faster
            client.create_experiment(name, artifact_location=artifacts_root(settings))
    found = client.get_experiment_by_name(name)
    if found.lifecycle_stage != "active":
        raise ModelError(f"experiment {name} of the registry was deleted", "restore it there, or use another name")
    return str(found.experiment_id)


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def log_evaluation(model: ModelRef, scores: Mapping[str, Any], labels: Mapping[str, Any], settings: Settings) -> None:
    """A run of a model measured again. Raises TryAgainError when the registry is away."""
    facts = RunFacts(
        experiment=f"geocrop/{model.name}",
        name=f"{model.name} {model.version} evaluated",
        params=texts({"version": model.version, "digest": model.digest, "labels": labels}),
        metrics=numbers(scores),
        tags={"kind": "evaluation", "version": model.version},
        files={"evaluation/scores.json": dict(scores)},
    )
    with connect(settings) as client, logged_run(client, facts, settings):
        pass
