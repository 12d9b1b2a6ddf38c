"""The embedded database: one file, read at once by the event loop, written by one transaction at a time."""

import asyncio
import contextlib
import datetime as dt
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from api.database.driver import Box, Placed, Row, TakenError, shifted
from api.database.schema import migrations
from api.database.together import Finder
from steps.errors import DataError, StoreError, UsageError

_BUSY_SECONDS = 10
_NAME = itemgetter(0)
"""Of a column's description."""
T = TypeVar("T")


class SqliteDatabase:
    """Single rows are read on the event loop, in microseconds; all else is done by threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._finder = Finder(self._look)

    async def open(self) -> None:
        """See Database."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self._path.parent} cannot be made: {error.strerror}", "set GEOCROP_HOME") from error
        with _translated(self._path):
            self._quick, self._bulk, self._writer = (_connect(self._path) for _ in range(3))
            await asyncio.to_thread(_migrate, self._writer, self._path)

    async def find(self, select: str, column: str, key: str) -> Row | None:
        """See Database."""
        return await self._finder.find(select, column, key)

    async def _look(self, select: str, column: str, keys: list[str]) -> dict[str, Row]:
        sql = f"{select} where {column} in (select value from json_each(:keys))"  # noqa: S608
        with _translated(self._path):
            rows = self._quick.execute(sql, {"keys": json.dumps(keys)}).fetchall()
        return {row[column]: row for row in rows}

    @contextlib.asynccontextmanager
    async def read(self) -> "AsyncIterator[SqliteConnection]":
        """See Database."""
        with _translated(self._path):
            yield SqliteConnection(self._quick, self._bulk, self._reading)

    @contextlib.asynccontextmanager
    async def write(self) -> "AsyncIterator[SqliteConnection]":
        """See Database. A commit is on disk when this ends."""
        with _translated(self._path):
            async with self._writing:
                try:
                    await _whole(self._writer.execute, "begin immediate")
                    yield SqliteConnection(self._writer, self._writer, None)
                    await _whole(self._writer.commit)
                finally:
                    if self._writer.in_transaction:
                        self._writer.rollback()

    async def ping(self) -> None:
        """See Database."""
        async with self.read() as connection:
            await connection.one("select 1 as one from leases limit 1")

    async def close(self) -> None:
        """See Database."""
        for connection in (self._quick, self._bulk, self._writer):
            connection.close()


class SqliteConnection:
    """See Connection."""

    def __init__(self, quick: sqlite3.Connection, bulk: sqlite3.Connection, turn: asyncio.Lock | None) -> None:
        self._quick, self._bulk, self._turn = quick, bulk, turn

    async def one(self, sql: str, **values: object) -> Row | None:
        """See Connection."""
        row: Row | None = self._quick.execute(sql, _adapted(values)).fetchone()
        return row

    async def all(self, sql: str, **values: object) -> list[Row]:
        """See Connection."""
        if self._turn is None:
            return self._fetch(sql, values)
        async with self._turn:
            return await _whole(self._fetch, sql, values)

    def _fetch(self, sql: str, values: Row) -> list[Row]:
        return self._bulk.execute(sql, _adapted(values)).fetchall()

    async def run(self, sql: str, **values: object) -> int:
        """See Connection."""
        return self._quick.execute(sql, _adapted(values)).rowcount

    async def many(self, sql: str, rows: Sequence[Row]) -> None:
        """See Connection."""
        self._quick.executemany(sql, [_adapted(row) for row in rows])

    async def place(self, table: Placed, number: int, box: Box, geometry: str = "") -> None:  # noqa: ARG002
        """See Connection; boxes only."""
        west, south, east, north = box
        sql = f"insert or replace into {table}_box values (:n, :west, :east, :south, :north)"  # noqa: S608
        await self.run(sql, n=number, west=west, east=east, south=south, north=north)

    def overlaps(self, table: Placed, box: Box) -> tuple[str, Row]:
        """See Connection."""
        conditions: list[str] = []
        values: Row = {}
        for turn, (west, south, east, north) in enumerate(shifted(box)):
            conditions.append(f"(east >= :w{turn} and west <= :e{turn} and north >= :s{turn} and south <= :n{turn})")
            values |= {f"w{turn}": west, f"e{turn}": east, f"s{turn}": south, f"n{turn}": north}
        inner = " union all ".join(f"select n from {table}_box where {one}" for one in conditions)  # noqa: S608
        return f"{table}.n in ({inner})", values


async def _whole(call: Callable[..., T], *arguments: Any) -> T:
    """A call in a thread, to its end: whoever is cancelled meanwhile goes on holding what it holds until then."""
    done = asyncio.ensure_future(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(done)
    finally:
        if not done.done():
            await asyncio.wait([done])


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = _as_dict
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma foreign_keys = on")
    return connection


def _as_dict(cursor: sqlite3.Cursor, row: tuple[object, ...]) -> Row:
    return dict(zip(map(_NAME, cursor.description), row, strict=True))


def _adapted(values: Row) -> Row:
    """Times in one width, so that they sort as text."""
    return {name: _text(value) if isinstance(value, dt.datetime) else value for name, value in values.items()}


def _text(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    versions = migrations("sqlite")
    connection.execute("begin immediate")
    try:
        done = connection.execute("pragma user_version").fetchone()["user_version"]
        if done > len(versions):
            raise DataError(f"{path} is of a later version of GeoCrop", "use that version, or another GEOCROP_HOME")
        for statement in (text for version in versions[done:] for text in version):
            connection.execute(statement)
        connection.execute(f"pragma user_version = {len(versions)}")
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's refusals become ours."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise TakenError(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: {error}", "free the disk, or end what holds the file") from error
