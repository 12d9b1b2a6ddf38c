"""Open streams of a job."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.database.jobs import JobRow, insert_job
from api.database.sqlite import SqliteConnection, SqliteDatabase
from api.database.tiles import add_event
from api.hub import Hub

pytestmark = pytest.mark.anyio
NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


class CountingDatabase(SqliteDatabase):
    """Knows how often it was read."""

    reads = 0

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[SqliteConnection]:
        """See Database."""
        self.reads += 1
        async with super().read() as connection:
            yield connection


async def test_many_streams_of_a_job_cost_one_query(tmp_path: Path) -> None:
    """Each hears every event, in order, whenever it began."""
    database = CountingDatabase(tmp_path / "api.db")
    await database.open()
    hub, streams = Hub(database), 50
    heard: list[list[int]] = [[] for _ in range(streams)]
    async with database.write() as connection:
        job = JobRow(id="any", owner="ann", name="any", work="any-1", created=NOW, updated=NOW)
        await insert_job(connection, job, "{}")

    async def listen(number: int) -> None:
        async for event in hub.follow("any", number % 2):
            if event is not None:
                heard[number].append(event.seq)

    tasks = [asyncio.create_task(listen(number)) for number in range(streams)]
    for _ in range(3):
        async with database.write() as connection:
            await add_event(connection, "any", "tiles", b"{}", NOW)
        hub.tell("any")
        await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert heard == [[1, 2, 3], [2, 3]] * (streams // 2)
    assert database.reads < streams
    await database.close()
