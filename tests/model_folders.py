"""Models that say nothing, in folders."""

import hashlib
from pathlib import Path
from typing import Any

from steps.model.card import ModelCard
from steps.models import save_model
from steps.testing import any_card

ANY_BYTES = b'{"learner":{}}'


def card_for(data: bytes = ANY_BYTES, **changes: Any) -> ModelCard:
    """A card that names these bytes."""
    return any_card(**({"version": "", "model_sha256": hashlib.sha256(data).hexdigest()} | changes))


def saved(folder: Path, data: bytes = ANY_BYTES, **changes: Any) -> Path:
    """A model's folder."""
    save_model(folder, card_for(data, **changes), data)
    return folder
