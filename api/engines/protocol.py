"""The seam between the API and who does the work. One test suite holds for all of them."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from api.schemas import LogLine
from steps.model.job import MapRequest, Phase


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a job."""

    name: str
    """The same attempt has the same name: starting it twice starts it once."""
    job: str
    attempt: int
    request: MapRequest
    store: str
    probe: bool = True


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """Where a work stands, as the engine says."""

    name: str
    uid: str
    phase: Phase
    error: str = ""
    job: str = ""
    """Where the engine knows it; a work that was started by other means may have none."""
    gone: bool = False
    """The engine has forgotten it: deleted, by us, by age or behind our back."""
    created: dt.datetime | None = None


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """All there is has been told; what is not among these names is not there."""

    names: frozenset[str]


class Engine(Protocol):
    """Starts works and says where they stand. Raises TryAgainError while it is away, DataError for what it refuses."""

    async def start(self, work: Work) -> str:
        """Start a work that is not there yet; returns its uid in any case."""

    async def cancel(self, name: str) -> None:
        """Ask a work to stop; nothing happens where it is not there or is over."""

    async def remove(self, name: str) -> None:
        """Forget a work, stopping it first; nothing happens where it is not there."""

    def sightings(self) -> AsyncIterator[Sighting | Synced]:
        """All works, then `Synced`, then every change, for ever; the same again after a lost connection."""

    def logs(self, name: str, tile: str, *, follow: bool) -> AsyncIterator[LogLine]:
        """A work's log, of one tile or (empty) all; with `follow` until it ends. Nothing where there is no log."""

    async def ping(self) -> None:
        """Raises TryAgainError while the engine is away."""

    async def open(self) -> None:
        """Begin."""

    async def close(self) -> None:
        """Let go; works go on."""
