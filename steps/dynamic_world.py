"""The years of Dynamic World that a store has: each has a note beside its raster, which need not be opened."""

import msgspec

from steps import naming
from steps.store import Store


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """One year."""

    year: int
    partial_from: str = ""
    """First day, where the year does not begin in January."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north in degrees."""
    bytes: int
    sha256: str = ""
    """Of the raster."""

    @property
    def version(self) -> str:
        """Part of addresses of its tiles, so that the same address has the same pixels."""
        return self.sha256[:16] or "unknown"


def list_baselines(store: Store) -> list[Baseline]:
    """By year; raises StoreError when the store does not answer."""
    notes = [key for key in store.list(naming.BASELINES) if key.endswith(".json")]
    found = [msgspec.json.decode(store.get_bytes(key), type=Baseline) for key in notes]
    return sorted(found, key=lambda one: one.year)


def note_baseline(store: Store, baseline: Baseline) -> None:
    """Once its raster is there."""
    store.put_bytes(naming.baseline_note_key(baseline.year), msgspec.json.encode(baseline))
