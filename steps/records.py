"""What became of jobs and tiles: SQLite under the home folder, safe for several processes at once."""

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from steps.errors import StoreError
from steps.model.grid import TileId
from steps.model.job import JobRecord, Phase
from steps.settings import Settings

_BUSY_SECONDS = 30
_MIGRATIONS = (
    """
    create table jobs (
        id text primary key, created text not null, updated text not null, phase text not null, body text not null
    );
    create index jobs_by_time on jobs (updated desc);
    create table tiles (
        job text not null references jobs (id) on delete cascade, tile text not null, phase text not null,
        reason text not null, seconds real not null, updated text not null, primary key (job, tile)
    ) without rowid;
    """,
)
"""One script per version of the schema; `user_version` says how many have run."""


class TileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a tile in a job."""

    tile: str
    phase: Phase
    reason: str
    seconds: float
    updated: dt.datetime


class Records(Protocol):
    """Jobs and their tiles."""

    def save_job(self, record: JobRecord) -> None:
        """Insert or replace a job; its tiles stay."""

    def job(self, job: str) -> JobRecord | None:
        """A job with its tiles counted by phase."""

    def jobs(self) -> Iterator[JobRecord]:
        """All jobs, the last updated first."""

    def save_tile(self, job: str, tile: TileId, phase: Phase, reason: str, seconds: float) -> None:
        """Insert or replace what became of a tile."""

    def tiles(self, job: str) -> list[TileRecord]:
        """A job's tiles, by id."""


def open_records(settings: Settings) -> Records:
    """The records of this machine; made on first use."""
    return SqliteRecords(settings.home / "records.db")


class SqliteRecords:
    """Each call is a transaction on a connection of its own, so that threads and processes can share the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path.parent} cannot be made: {error.strerror}", "set GEOCROP_HOME") from error
        with self._connection() as connection:
            _migrate(connection)

    def save_job(self, record: JobRecord) -> None:
        """See Records."""
        row = (record.id, record.created.isoformat(), record.updated.isoformat(), record.phase, _encoded(record))
        with self._connection() as connection:
            connection.execute(
                "insert into jobs values (?, ?, ?, ?, ?) on conflict (id) do update set "
                "updated = excluded.updated, phase = excluded.phase, body = excluded.body",
                row,
            )

    def job(self, job: str) -> JobRecord | None:
        """See Records."""
        with self._connection() as connection:
            found = connection.execute("select body from jobs where id = ?", (job,)).fetchone()
            counts = connection.execute("select phase, count(*) from tiles where job = ? group by phase", (job,))
            tiles = {Phase(phase): count for phase, count in counts}
        return msgspec.structs.replace(_decoded(found[0]), tiles=tiles) if found else None

    def jobs(self) -> Iterator[JobRecord]:
        """See Records."""
        with self._connection() as connection:
            rows = connection.execute("select body from jobs order by updated desc").fetchall()
        return (_decoded(body) for (body,) in rows)

    def save_tile(self, job: str, tile: TileId, phase: Phase, reason: str, seconds: float) -> None:
        """See Records."""
        row = (job, str(tile), phase, reason, seconds, dt.datetime.now(dt.UTC).isoformat())
        with self._connection() as connection:
            connection.execute("insert or replace into tiles values (?, ?, ?, ?, ?, ?)", row)

    def tiles(self, job: str) -> list[TileRecord]:
        """See Records."""
        query = "select tile, phase, reason, seconds, updated from tiles where job = ? order by tile"
        with self._connection() as connection:
            rows = connection.execute(query, (job,)).fetchall()
        return [_tile(*row) for row in rows]

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"{self._path} cannot be opened: {error}", "set GEOCROP_HOME to a folder of yours"
            ) from error
        try:
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
            connection.execute("pragma foreign_keys = on")
            with connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self._path}: {error}", "free the disk, or end what holds the file") from error
        finally:
            connection.close()


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, once, whoever comes first."""
    connection.execute("begin immediate")
    (version,) = connection.execute("pragma user_version").fetchone()
    for script in _MIGRATIONS[version:]:
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement)
    connection.execute(f"pragma user_version = {len(_MIGRATIONS)}")


def _encoded(record: JobRecord) -> str:
    return msgspec.json.encode(record).decode()


def _decoded(body: str) -> JobRecord:
    return msgspec.json.decode(body, type=JobRecord)


def _tile(tile: str, phase: str, reason: str, seconds: float, updated: str) -> TileRecord:
    when = dt.datetime.fromisoformat(updated)
    return TileRecord(tile=tile, phase=Phase(phase), reason=reason, seconds=seconds, updated=when)
