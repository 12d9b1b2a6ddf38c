"""What became of jobs and tiles: SQLite under the home folder, safe for several processes at once."""

import contextlib
import datetime as dt
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from steps.errors import DataError, GeoCropError, StoreError, UsageError
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
    """
    alter table tiles rename to old_tiles;
    alter table jobs rename to old_jobs;
    drop index jobs_by_time;
    create table jobs (
        id text not null, store text not null, created text not null, updated text not null, phase text not null,
        body text not null, primary key (id, store)
    );
    create index jobs_by_time on jobs (updated desc);
    insert into jobs select id, json_extract(body, '$.store'), created, updated, phase, body from old_jobs;
    create table tiles (
        job text not null, store text not null, tile text not null, phase text not null, reason text not null,
        seconds real not null, updated text not null, primary key (job, store, tile),
        foreign key (job, store) references jobs (id, store) on delete cascade
    ) without rowid;
    insert into tiles
        select job, jobs.store, tile, old.phase, reason, seconds, old.updated
        from old_tiles old join jobs on jobs.id = old.job;
    drop table old_tiles;
    drop table old_jobs;
    """,
)
"""One script per version of the schema; `user_version` says how many have run."""
_HOME = "set GEOCROP_HOME to a folder that you may write to"
_REFUSED = {"SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_READONLY"}


class TileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a tile in a job."""

    tile: str
    phase: Phase
    reason: str
    seconds: float
    updated: dt.datetime


class Records(Protocol):
    """Jobs and their tiles. The same job in another store, as after a replay, has a record of its own."""

    def save_job(self, record: JobRecord) -> None:
        """Insert or replace a job; its tiles stay."""

    def jobs(self, job: str = "") -> Iterator[JobRecord]:
        """All jobs, or those of one id, with their tiles counted by phase, the last updated first."""

    def save_tile(self, record: JobRecord, tile: TileId, phase: Phase, reason: str, seconds: float) -> None:
        """Insert or replace what became of a job's tile."""

    def tiles(self, record: JobRecord) -> list[TileRecord]:
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
            raise UsageError(f"{path.parent} cannot be made: {error.strerror}", _HOME) from error
        with self._connection() as connection:
            _migrate(connection, path)

    def save_job(self, record: JobRecord) -> None:
        """See Records."""
        times = (record.created.isoformat(), record.updated.isoformat())
        row = (record.id, record.store, *times, record.phase, msgspec.json.encode(record).decode())
        with self._connection() as connection:
            connection.execute(
                "insert into jobs values (?, ?, ?, ?, ?, ?) on conflict (id, store) do update set "
                "updated = excluded.updated, phase = excluded.phase, body = excluded.body",
                row,
            )

    def jobs(self, job: str = "") -> Iterator[JobRecord]:
        """See Records."""
        clause, parameters = ("where id = ?", (job,)) if job else ("", ())
        with self._connection() as connection:
            return iter(list(_jobs(connection, f"{clause} order by updated desc, id", parameters)))

    def save_tile(self, record: JobRecord, tile: TileId, phase: Phase, reason: str, seconds: float) -> None:
        """See Records."""
        row = (record.id, record.store, str(tile), phase, reason, seconds, dt.datetime.now(dt.UTC).isoformat())
        with self._connection() as connection:
            connection.execute("insert or replace into tiles values (?, ?, ?, ?, ?, ?, ?)", row)

    def tiles(self, record: JobRecord) -> list[TileRecord]:
        """See Records."""
        query = "select tile, phase, reason, seconds, updated from tiles where job = ? and store = ? order by tile"
        with self._connection() as connection:
            rows = connection.execute(query, (record.id, record.store)).fetchall()
        return [_tile(*row) for row in rows]

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes all happen at the end, or none of them."""
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as connection:
                _use_wal(connection)
                connection.execute("pragma synchronous = normal")
                connection.execute("pragma foreign_keys = on")
                with connection:
                    yield connection
        except sqlite3.DatabaseError as error:
            raise _refused(error, self._path) from error


def _use_wal(connection: sqlite3.Connection) -> None:
    """Readers and a writer at once. Two processes that switch a new file to it at once do not wait for each other."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _refused(error: sqlite3.DatabaseError, path: Path) -> GeoCropError:
    """SQLite's refusal, as an error that says what to do."""
    name = getattr(error, "sqlite_errorname", "")
    if name in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
        return DataError(f"{path} is damaged: {error}", "move it away; the maps themselves are in their stores")
    if any(name.startswith(refused) for refused in _REFUSED):
        return UsageError(f"{path} cannot be used: {error}", _HOME)
    return StoreError(f"{path}: {error}", "free the disk, or end what holds the file")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date, once, whoever comes first; raises DataError for a file of a later GeoCrop."""
    if _version(connection) == len(_MIGRATIONS):
        return
    connection.execute("begin immediate")
    version = _version(connection)
    if version > len(_MIGRATIONS):
        raise DataError(f"{path} is of a later version of GeoCrop", "use that version, or another GEOCROP_HOME")
    for script in _MIGRATIONS[version:]:
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement)
    connection.execute(f"pragma user_version = {len(_MIGRATIONS)}")


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("pragma user_version").fetchone()[0]
    return version


def _jobs(connection: sqlite3.Connection, clause: str, parameters: tuple[str, ...]) -> Iterator[JobRecord]:
    """Jobs as they were saved, but for their tiles: these are counted, where there are any."""
    counted = (
        "(select json_group_object(phase, n) from "
        "(select phase, count(*) n from tiles t where t.job = jobs.id and t.store = jobs.store group by 1))"
    )
    for body, tiles in connection.execute(f"select body, {counted} from jobs {clause}", parameters):  # noqa: S608
        record = msgspec.json.decode(body, type=JobRecord)
        counts = msgspec.json.decode(tiles, type=dict[Phase, int])
        yield msgspec.structs.replace(record, tiles=counts or record.tiles)


def _tile(tile: str, phase: str, reason: str, seconds: float, updated: str) -> TileRecord:
    when = dt.datetime.fromisoformat(updated)
    return TileRecord(tile=tile, phase=Phase(phase), reason=reason, seconds=seconds, updated=when)
