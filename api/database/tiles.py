"""Tiles of a job and its events. Both change under the job's row lock, so that events are seen in their order."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from api.database.driver import Connection, Row


class TileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tile of a job."""

    tile: str
    phase: str
    reason: str = ""
    seconds: float = 0.0
    outline: str = ""
    """GeoJSON geometry."""


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a job."""

    seq: int
    """Counts up from 1 without gaps."""
    kind: str
    body: str
    """JSON."""


async def add_event(connection: Connection, job: str, kind: str, body: bytes, now: dt.datetime) -> None:
    """Append an event. The job's row stays locked until the transaction ends, so no later number is seen before."""
    row = await connection.one(
        "update jobs set seq = seq + 1, updated = :now where id = :job returning seq", job=job, now=now
    )
    if row is not None:
        await connection.run(
            "insert into events values (:job, :seq, :kind, :body, :now)",
            job=job,
            seq=row["seq"],
            kind=kind,
            body=body.decode(),
            now=now,
        )


async def events_after(connection: Connection, job: str, seq: int, limit: int = 500) -> list[EventRow]:
    """Events with larger numbers, in order."""
    rows = await connection.all(
        "select seq, kind, body from events where job = :job and seq > :seq order by seq limit :limit",
        job=job,
        seq=seq,
        limit=limit,
    )
    return [msgspec.convert(row, EventRow) for row in rows]


async def last_events(connection: Connection, jobs: Sequence[str]) -> dict[str, int]:
    """The last event's number of each job that exists."""
    names: Row = {f"j{index}": job for index, job in enumerate(jobs)}
    marks = ", ".join(f":{name}" for name in names)
    rows = await connection.all(f"select id, seq from jobs where id in ({marks})", **names)  # noqa: S608
    return {row["id"]: row["seq"] for row in rows}


async def put_tiles(connection: Connection, job: str, tiles: Sequence[TileRow]) -> None:
    """Insert or replace tiles; an outline once known stays."""
    await connection.many(
        "insert into tiles values (:job, :tile, :phase, :reason, :seconds, :outline) on conflict (job, tile) "
        "do update set phase = excluded.phase, reason = excluded.reason, seconds = excluded.seconds, "
        "outline = case when excluded.outline <> '' then excluded.outline else tiles.outline end",
        [{"job": job, **msgspec.structs.asdict(tile)} for tile in tiles],
    )
    await _count(connection, job)


async def _count(connection: Connection, job: str) -> None:
    await connection.run(
        "update jobs set "
        "total = (select count(*) from tiles where job = :job), "
        "running = (select count(*) from tiles where job = :job and phase = 'running'), "
        "succeeded = (select count(*) from tiles where job = :job and phase = 'succeeded'), "
        "failed = (select count(*) from tiles where job = :job and phase = 'failed') where id = :job",
        job=job,
    )


async def list_tiles(connection: Connection, job: str) -> list[TileRow]:
    """A job's tiles, in raster order."""
    rows = await connection.all(
        "select tile, phase, reason, seconds, outline from tiles where job = :job order by tile", job=job
    )
    return [msgspec.convert(row, TileRow) for row in rows]


async def reset_tiles(connection: Connection, job: str, unfinished: Sequence[str]) -> None:
    """Queue some tiles again."""
    rows: list[dict[str, Any]] = [{"job": job, "tile": tile} for tile in unfinished]
    if rows:
        await connection.many(
            "update tiles set phase = 'queued', reason = '', seconds = 0 where job = :job and tile = :tile", rows
        )
        await _count(connection, job)
