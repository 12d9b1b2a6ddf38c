"""Models: folders in MLflow packaging, and the MLflow registry that numbers them.

A model's folder holds `model.json` (xgboost's own format, never a pickle), `card.json`, `MLmodel` and
`requirements.txt`. Loading from a folder needs no MLflow at all.
"""

import contextlib
import hashlib
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from steps.errors import ModelError, StoreError, TryAgainError
from steps.model.card import ModelCard
from steps.model.digest import digest
from steps.model.job import ModelRef
from steps.settings import Settings

MODEL_FILE, CARD_FILE = "model.json", "card.json"
LEARNER = "xgboost"
_NAME = re.compile(r"(models:/)?(?P<name>[a-z0-9-]+)(@(?P<alias>[\w-]+)|/(?P<version>\d+))?", re.IGNORECASE)


def save_model(folder: Path, card: ModelCard, model_bytes: bytes) -> None:
    """Write a model's folder, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".geocrop-model-", dir=folder.parent) as scratch:
        made = Path(scratch) / "model"
        made.mkdir()
        (made / MODEL_FILE).write_bytes(model_bytes)
        (made / CARD_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1))
        (made / "MLmodel").write_text(_mlmodel(card), encoding="utf-8")
        (made / "requirements.txt").write_text(f"xgboost-cpu=={version('xgboost-cpu')}\n", encoding="utf-8")
        if folder.exists():
            folder.rename(Path(scratch) / "replaced")
        made.rename(folder)


def _mlmodel(card: ModelCard) -> str:
    """MLflow's description of the folder: its xgboost flavour."""
    return (
        "flavors:\n"
        "  xgboost:\n"
        f"    data: {MODEL_FILE}\n"
        "    model_class: xgboost.core.Booster\n"
        "    model_format: json\n"
        f"    xgb_version: {version('xgboost-cpu')}\n"
        "metadata:\n"
        f"  geocrop_card: {CARD_FILE}\n"
        f"  geocrop_digest: {card.digest}\n"
    )


def load_card(href: str) -> ModelCard:
    """The card of a model's folder; raises ModelError when there is none that this code can use."""
    path = Path(href) / CARD_FILE
    try:
        card = msgspec.json.decode(path.read_bytes(), type=ModelCard)
    except OSError as error:
        raise ModelError(f"model {href} has no {CARD_FILE}", "give a folder that `geocrop train` made") from error
    except msgspec.DecodeError as error:
        raise ModelError(f"{path} is no model card: {error}", "train the model again with this version") from error
    if card.learner != LEARNER:
        raise ModelError(f"{path} has learner {card.learner!r}, not {LEARNER}", "update GeoCrop, or train it again")
    return card


def load_model(href: str, card: ModelCard) -> bytes:
    """The learner's bytes; raises ModelError when they are not the ones that the card names."""
    path = Path(href) / MODEL_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", "train or fetch the model again") from error
    check_digest(data, card, str(path))
    return data


def check_digest(data: bytes, card: ModelCard, where: str) -> None:
    """Raises ModelError when a model's bytes are not the ones that its card names."""
    if (found := hashlib.sha256(data).hexdigest()) != card.model_sha256:
        raise ModelError(
            f"{where} has digest {found[:12]}, its card says {card.model_sha256[:12]}", "train or fetch the model again"
        )


def resolve(text: str, settings: Settings) -> tuple[ModelRef, ModelCard]:
    """A model as a user names it, pinned: a folder, or NAME, NAME@alias or NAME/version of the registry.

    `models:/` may stand before a name; a folder of that name comes first when it does not. Raises ModelError when there
    is no such model, TryAgainError when the registry is away.
    """
    if (Path(text) / CARD_FILE).exists():
        card = load_card(text)
        return _ref(card, str(Path(text).resolve())), card
    name = _NAME.fullmatch(text)
    if name is None or Path(text).is_dir():
        raise ModelError(f"{text} is no model", f"give a folder with a {CARD_FILE}, or NAME, NAME/version, NAME@alias")
    folder, number = _registered(text, name["name"], name["alias"], name["version"], settings)
    card = msgspec.structs.replace(load_card(folder), version=number)
    return _ref(card, folder), card


def _ref(card: ModelCard, href: str) -> ModelRef:
    return ModelRef(name=card.name, version=card.version, digest=card.digest, href=href)


def register(folder: Path, settings: Settings) -> ModelRef:
    """Give a model's folder the next version of its name. Raises TryAgainError when the registry is away."""
    card = load_card(str(folder))
    load_model(str(folder), card)
    with _client(settings) as client:
        _ensure_name(client, card.name)
        kept = _keep(folder, _artifacts(settings) / card.name / digest(card))
        made = client.create_model_version(
            card.name, source=kept.as_uri(), tags={"digest": card.digest, "folder": str(kept)}
        )
    return ModelRef(name=card.name, version=str(made.version), digest=card.digest, href=str(kept))


def _keep(folder: Path, kept: Path) -> Path:
    """Copy a model's folder to where its card's digest says, whole or not at all."""
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".geocrop-model-", dir=kept.parent) as scratch:
            copy = shutil.copytree(folder, Path(scratch) / "model")
            with contextlib.suppress(FileExistsError):  # another process was faster, with the same content
                copy.rename(kept)
    return kept


def list_models(settings: Settings) -> list[ModelRef]:
    """Every version of every model of the registry."""
    with _client(settings) as client:
        versions = [found for model in client.search_registered_models() for found in _versions(client, model.name)]
    return [_version_ref(found) for found in versions]


def _versions(client: Any, name: str) -> list[Any]:
    return sorted(client.search_model_versions(f"name = '{name}'"), key=lambda found: int(found.version))


def _version_ref(found: Any) -> ModelRef:
    tags = found.tags
    return ModelRef(
        name=found.name, version=str(found.version), digest=tags.get("digest", ""), href=tags.get("folder", "")
    )


def _registered(text: str, name: str, alias: str | None, number: str | None, settings: Settings) -> tuple[str, str]:
    """Folder and version of NAME (the newest), NAME@alias or NAME/version."""
    with _client(settings) as client:
        found = _find(client, name, alias, number)
    if found is None:
        raise ModelError(f"model {text} is neither a folder nor registered", "see `geocrop models`")
    return _version_ref(found).href, str(found.version)


def _find(client: Any, name: str, alias: str | None, number: str | None) -> Any:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        if alias:
            return client.get_model_version_by_alias(name, alias)
        if number:
            return client.get_model_version(name, number)
        return next(reversed(_versions(client, name)), None)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def _ensure_name(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _artifacts(settings: Settings) -> Path:
    return settings.home / "models"


@contextlib.contextmanager
def _client(settings: Settings) -> Iterator[Any]:
    """MLflow's registry client; its failures become ours, its warnings and telemetry are kept quiet."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient  # noqa: PLC0415 - takes seconds
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        logging.getLogger("alembic").setLevel(logging.ERROR)
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        try:
            yield MlflowClient(registry_uri=_uri(settings), tracking_uri=_uri(settings))
        except MlflowException as error:
            raise TryAgainError(f"the model registry fails: {error.message}", "check MLFLOW_TRACKING_URI") from error


def _uri(settings: Settings) -> str:
    if settings.mlflow_uri:
        return settings.mlflow_uri
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{settings.home} cannot be made: {error.strerror}", "set GEOCROP_HOME") from error
    return f"sqlite:///{settings.home / 'mlflow.db'}"
