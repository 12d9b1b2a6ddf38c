"""Models as folders in MLflow's packaging; reading and writing one needs no MLflow.

A folder holds `model.json` (the learner, as JSON), `card.json`, and what training found out. No pickle is in it,
and the learner's bytes are used only when they have the digest that the card names.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from steps.card_page import card_page
from steps.checksum import file_sha256
from steps.errors import ModelError
from steps.model.card import ModelCard
from steps.model.digest import digest
from steps.packaging import mlmodel, requirements

MODEL_FILE, CARD_FILE = "model.json", "card.json"
EVALUATION_FILE = "evaluation/evaluation.json"
LEARNERS = ("xgboost", "ensemble")


def save_model(folder: Path, card: ModelCard, model_bytes: bytes, files: Mapping[str, bytes] | None = None) -> None:
    """Write a model's folder, whole or not at all; `files` are further ones by their path in it."""
    content = {
        MODEL_FILE: model_bytes,
        CARD_FILE: msgspec.json.format(msgspec.json.encode(card), indent=1),
        "README.md": card_page(card).encode(),
        "MLmodel": mlmodel(card, MODEL_FILE).encode(),
        "requirements.txt": requirements(card).encode(),
        **(files or {}),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".geocrop-model-", dir=folder.parent) as scratch:
        made = Path(scratch) / "model"
        for name, data in content.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(data)
        if folder.exists():
            folder.rename(Path(scratch) / "replaced")
        made.rename(folder)


def load_card(href: str) -> ModelCard:
    """The card of a model's folder; raises ModelError when there is none that this code can use."""
    path = Path(href) / CARD_FILE
    try:
        card = msgspec.json.decode(path.read_bytes(), type=ModelCard)
    except OSError as error:
        raise ModelError(f"model {href} has no {CARD_FILE}", "give a folder that `geocrop train` made") from error
    except msgspec.DecodeError as error:
        raise ModelError(f"{path} is no model card: {error}", "train the model again with this version") from error
    if card.learner not in LEARNERS:
        raise ModelError(
            f"{path} has learner {card.learner!r}, not {' or '.join(LEARNERS)}", "update GeoCrop, or train it again"
        )
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


def load_evaluation(folder: Path) -> dict[str, Any]:
    """What training measured, as numbers; empty for a folder without an evaluation. Raises ModelError."""
    path = folder / EVALUATION_FILE
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "train the model again") from error


def folder_digest(folder: Path) -> str:
    """Of the paths and bytes of all files in a model's folder. Raises ModelError when one cannot be read."""
    try:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return digest({path.relative_to(folder).as_posix(): file_sha256(path) for path in paths})
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror}", "train or fetch the model again") from error
