"""Models that are right as often as a test wants, with what they said of samples held out."""

from typing import Any

import numpy as np

from steps.contest import Contender
from steps.model.card import ClassDef
from steps.oof import OutOfFold
from steps.testing import any_card

N, UNITS = 600, 30
SPLIT = "blocks of 10 km held out"
CLASSES = tuple(
    ClassDef(code=code, name=name, colour="000000") for code, name in ((1, "wheat"), (2, "maize"), (5, "tree"))
)
CODES = np.array([1, 2, 5], np.int16)


def any_contender(
    wrong: Any = (), *, sure: float = 0.8, card: dict[str, Any] | None = None, **changes: Any
) -> Contender:
    """One that is right but for some samples, with always the same confidence."""
    classes = np.arange(N) % 3
    said = classes.copy()
    said[np.asarray(wrong, int)] = (said[np.asarray(wrong, int)] + 1) % 3
    probabilities = np.full((N, 3), (1 - sure) / 2, np.float32)
    probabilities[np.arange(N), said] = sure
    fields: dict[str, Any] = {
        "ids": np.arange(N, dtype=np.uint64) * 7,
        "folds": (np.arange(N) // 20 % 5).astype(np.int16),
        "groups": np.arange(N) // 20,
        "truth": CODES[classes],
        "codes": CODES,
        "probabilities": probabilities,
        "side": np.float64(10_000),
    }
    return Contender(
        any_card(**({"scores": {SPLIT: {}}, "classes": CLASSES} | (card or {}))), OutOfFold(**(fields | changes))
    )
