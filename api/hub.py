"""Tells open event streams that their job has news: by this process at once, by other replicas within a moment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from api.database.driver import Database
from api.database.tiles import EventRow, events_after, last_events
from api.database.together import Together
from steps.errors import TryAgainError

_POLL_SECONDS = 0.3
_HEARTBEAT_SECONDS = 15.0
_CHUNK = 500
_log = structlog.get_logger()


class Hub:
    """One query for all that listen, however many."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._known: dict[str, int] = {}
        self._events: Together[tuple[str, int], list[EventRow]] = Together(self._read)

    @property
    def listening(self) -> int:
        """Open streams."""
        return sum(len(events) for events in self._listeners.values())

    async def run(self) -> None:
        """Look for news of the jobs that somebody listens to, for ever."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            with contextlib.suppress(TryAgainError):
                await self._look()

    async def _look(self) -> None:
        jobs = list(self._listeners)
        for start in range(0, len(jobs), _CHUNK):
            async with self._database.read() as connection:
                found = await last_events(connection, jobs[start : start + _CHUNK])
            for job, seq in found.items():
                if seq > self._known.get(job, 0):
                    self.tell(job)
                    self._known[job] = seq

    def tell(self, job: str) -> None:
        """A job has news."""
        for event in self._listeners.get(job, ()):
            event.set()

    async def follow(self, job: str, after: int) -> AsyncIterator[EventRow | None]:
        """Every event after a number, as they come; None now and then where there is nothing to say."""
        news = asyncio.Event()
        self._listeners.setdefault(job, set()).add(news)
        try:
            while True:
                news.clear()
                for event in await self._after(job, after):
                    after = event.seq
                    yield event
                try:
                    async with asyncio.timeout(_HEARTBEAT_SECONDS):
                        await news.wait()
                except TimeoutError:
                    yield None
        finally:
            self._forget(job, news)

    async def _after(self, job: str, after: int) -> list[EventRow]:
        try:
            return await self._events.find((job, after)) or []
        except TryAgainError as error:
            _log.warning("hub.database_away", job=job, error=str(error))
            return []

    async def _read(self, wanted: list[tuple[str, int]]) -> dict[tuple[str, int], list[EventRow]]:
        """Streams of one job that have heard the same share one query."""
        async with self._database.read() as connection:
            return {(job, after): await events_after(connection, job, after) for job, after in wanted}

    def _forget(self, job: str, news: asyncio.Event) -> None:
        listeners = self._listeners.get(job, set())
        listeners.discard(news)
        if not listeners:
            self._listeners.pop(job, None)
            self._known.pop(job, None)
