"""An engine whose works move when the test says so."""

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator

import msgspec

from api.engines.protocol import Sighting, Synced, Work
from api.schemas import LogLine
from steps.errors import StoreError
from steps.model.job import Phase

_FINAL = {Phase.SUCCEEDED, Phase.PARTIAL, Phase.FAILED, Phase.CANCELLED}


class FakeEngine:
    """See Engine."""

    def __init__(self) -> None:
        self.works: dict[str, Work] = {}
        self.seen: dict[str, Sighting] = {}
        self.away = False
        self.starts: list[str] = []
        self._listeners: set[asyncio.Queue[Sighting]] = set()

    async def start(self, work: Work) -> str:
        """See Engine."""
        await self.ping()
        if work.name not in self.seen:
            self.starts.append(work.name)
            self.works[work.name] = work
            now = dt.datetime.now(dt.UTC)
            self._tell(Sighting(name=work.name, uid=uuid.uuid4().hex, phase=Phase.QUEUED, job=work.job, created=now))
        return self.seen[work.name].uid

    async def cancel(self, name: str) -> None:
        """See Engine."""
        await self.ping()
        if name in self.seen and self.seen[name].phase not in _FINAL:
            self.move(name, Phase.CANCELLED)

    async def remove(self, name: str) -> None:
        """See Engine."""
        await self.ping()
        self.vanish(name)

    async def sightings(self) -> AsyncIterator[Sighting | Synced]:
        """See Engine."""
        queue: asyncio.Queue[Sighting] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            for sighting in list(self.seen.values()):
                yield sighting
            yield Synced(names=frozenset(self.seen))
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    async def logs(self, name: str, tile: str, *, follow: bool) -> AsyncIterator[LogLine]:  # noqa: ARG002
        """See Engine."""
        if name in self.seen:
            yield LogLine(event="fake.log", tile=tile)

    async def ping(self) -> None:
        """See Engine."""
        if self.away:
            raise StoreError("the engine is away", "try again")

    async def open(self) -> None:
        """See Engine."""

    async def close(self) -> None:
        """See Engine."""

    # -- what the test says ----------------------------------------------------------------------------------------

    def move(self, name: str, phase: Phase, error: str = "") -> None:
        """A work moves on."""
        self._tell(msgspec.structs.replace(self.seen[name], phase=phase, error=error))

    def vanish(self, name: str) -> None:
        """A work is deleted."""
        seen = self.seen.pop(name, None)
        if seen is not None:
            for queue in self._listeners:
                queue.put_nowait(msgspec.structs.replace(seen, gone=True))

    def _tell(self, sighting: Sighting) -> None:
        self.seen[sighting.name] = sighting
        for queue in self._listeners:
            queue.put_nowait(sighting)
