"""The table of samples that learners are trained on. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, slots=True)
class SampleTable:
    """Labelled pixels with their features; n of them, in an order that does not depend on who made them."""

    names: tuple[str, ...]
    """Of the features, in the order of their axis."""
    features: np.ndarray
    """float32 (n, feature); NaN where missing."""
    codes: np.ndarray
    """int64 (n): class codes."""
    groups: np.ndarray
    """int64 (n): parcel, or point; pixels of one are never on both sides of a split."""
    places: np.ndarray
    """float64 (n, 2): x and y in EPSG:6933, metres; NaN where the sample does not say where it is."""
    ids: np.ndarray
    """uint64 (n): the same sample has the same number in every table."""

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def placed(self) -> bool:
        """Whether every sample says where it is."""
        return bool(np.isfinite(self.places).all())

    def take(self, chosen: np.ndarray) -> "SampleTable":
        """The samples at some positions, or where a mask holds."""
        rows = {field.name: getattr(self, field.name)[chosen] for field in fields(self) if field.name != "names"}
        return SampleTable(names=self.names, **rows)

    @property
    def digest(self) -> str:
        """Hash of all samples, names and values."""
        found = hashlib.sha256("\n".join(self.names).encode())
        for field in fields(self)[1:]:
            found.update(np.ascontiguousarray(getattr(self, field.name)).tobytes())
        return found.hexdigest()[:32]


def joined(parts: Sequence[SampleTable]) -> SampleTable:
    """One table of several with the same features."""
    rows = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(SampleTable)
        if field.name != "names"
    }
    return SampleTable(names=parts[0].names, **rows)


def sample_ids(*columns: np.ndarray) -> np.ndarray:
    """uint64 (n): a number of each row of some columns (n) of numbers, mixed by splitmix64 (Steele et al. 2014)."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        bits = np.ascontiguousarray(column).astype(np.float64).view(np.uint64)
        mixed = _mixed(mixed + bits)
    return mixed


def _mixed(state: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        state = state + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: np.ndarray = state ^ (state >> np.uint64(31))
    return mixed
