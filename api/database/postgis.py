"""PostGIS through psycopg 3, pooled."""

import contextlib
import datetime as dt
import functools
import re
import select
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.database.driver import Box, Placed, Row, TakenError, shifted
from api.database.schema import migrations
from api.database.together import Finder
from steps.errors import DataError, StoreError

_POOL = 8
_PATIENCE_SECONDS = 5.0
_MIGRATION_LOCK = 7_305_211
"""Of our own choosing: two replicas that start at once migrate one after the other."""
_NAMED = re.compile(r":([a-z_][a-z0-9_]*)")


class PostgisDatabase:
    """A pool of connections that come back by themselves after the server was away."""

    def __init__(self, url: str, *, size: int = _POOL) -> None:
        self._pool: AsyncConnectionPool[AsyncConnection[Row]] = AsyncConnectionPool(
            url,
            open=False,
            min_size=1,
            max_size=size,
            timeout=_PATIENCE_SECONDS,
            reconnect_timeout=30,
            kwargs={"row_factory": dict_row, "autocommit": True, "connect_timeout": 5},
            check=_check,
        )
        self._finder = Finder(self._look)

    async def open(self) -> None:
        """See Database."""
        with _translated():
            await self._pool.open()
            async with self._pool.connection() as connection, connection.transaction():
                await _migrate(connection)

    async def find(self, select: str, column: str, key: str) -> Row | None:
        """See Database."""
        return await self._finder.find(select, column, key)

    async def _look(self, select: str, column: str, keys: list[str]) -> dict[str, Row]:
        async with self.read() as connection:
            rows = await connection.all(f"{select} where {column} = any(:keys)", keys=keys)
        return {row[column]: row for row in rows}

    @contextlib.asynccontextmanager
    async def read(self) -> "AsyncIterator[PostgisConnection]":
        """See Database."""
        with _translated():
            async with self._pool.connection() as connection:
                yield PostgisConnection(connection)

    @contextlib.asynccontextmanager
    async def write(self) -> "AsyncIterator[PostgisConnection]":
        """See Database."""
        with _translated():
            async with self._pool.connection() as connection, connection.transaction():
                yield PostgisConnection(connection)

    async def ping(self) -> None:
        """See Database."""
        async with self.read() as connection:
            await connection.one("select 1 as one from leases limit 1")

    async def close(self) -> None:
        """See Database."""
        await self._pool.close()


class PostgisConnection:
    """See Connection."""

    def __init__(self, connection: AsyncConnection[Row]) -> None:
        self._connection = connection

    async def one(self, sql: str, **values: object) -> Row | None:
        """See Connection."""
        return await (await self._connection.execute(_placeholders(sql), values)).fetchone()

    async def all(self, sql: str, **values: object) -> list[Row]:
        """See Connection."""
        return await (await self._connection.execute(_placeholders(sql), values)).fetchall()

    async def run(self, sql: str, **values: object) -> int:
        """See Connection."""
        return (await self._connection.execute(_placeholders(sql), values)).rowcount

    async def many(self, sql: str, rows: Sequence[Row]) -> None:
        """See Connection."""
        async with self._connection.cursor() as cursor:
            await cursor.executemany(_placeholders(sql), rows)

    async def place(self, table: Placed, number: int, box: Box, geometry: str = "") -> None:
        """See Connection."""
        shape = (
            "ST_SetSRID(ST_GeomFromGeoJSON(:geometry), 4326)" if geometry else "ST_MakeEnvelope(:w, :s, :e, :n, 4326)"
        )
        west, south, east, north = box
        box_values = {} if geometry else {"w": west, "s": south, "e": east, "n": north}
        values: dict[str, Any] = {"number": number, **box_values} | ({"geometry": geometry} if geometry else {})
        await self.run(f"update {table} set shape = {shape} where n = :number", **values)  # noqa: S608

    def overlaps(self, table: Placed, box: Box) -> tuple[str, Row]:
        """See Connection."""
        conditions: list[str] = []
        values: Row = {}
        for turn, (west, south, east, north) in enumerate(shifted(box)):
            envelope = f"ST_MakeEnvelope(:w{turn}, :s{turn}, :e{turn}, :n{turn}, 4326)"
            conditions.append(f"{table}.shape && {envelope}")
            values |= {f"w{turn}": west, f"e{turn}": east, f"s{turn}": south, f"n{turn}": north}
        return f"({' or '.join(conditions)})", values


async def _check(connection: AsyncConnection[Row]) -> None:
    """A server that went away has closed its end, and can be read from: only then is it asked, over the wire."""
    end = select.poll()
    end.register(connection.fileno(), select.POLLIN)
    if end.poll(0):
        await AsyncConnectionPool.check_connection(connection)


@functools.cache
def _placeholders(sql: str) -> Any:
    """psycopg's spelling of `:name`."""
    return _NAMED.sub(r"%(\1)s", sql.replace("%", "%%"))


async def _migrate(connection: AsyncConnection[Row]) -> None:
    versions = migrations("postgis")
    await connection.execute("select pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
    await connection.execute("create extension if not exists postgis")
    await connection.execute("create table if not exists schema_version (version integer not null, made timestamptz)")
    row = await (await connection.execute("select coalesce(max(version), 0) as done from schema_version")).fetchone()
    done = row["done"] if row else 0
    if done > len(versions):
        raise DataError("the database is of a later version of GeoCrop", "use that version")
    for number, version in enumerate(versions[done:], done + 1):
        for statement in version:
            await connection.execute(statement)
        await connection.execute("insert into schema_version values (%s, %s)", (number, dt.datetime.now(dt.UTC)))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """A server that is away becomes an error that says so."""
    try:
        yield
    except psycopg.IntegrityError as error:
        raise TakenError(str(error)) from error
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        raise StoreError("the database does not answer", "try again in some seconds") from error
