"""Keys, sessions and links. Secrets are kept as SHA-256 only: they are random, so that no slow hash is needed."""

import datetime as dt

import msgspec

from api.database.driver import Connection, Row


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """An API key."""

    id: str
    owner: str
    name: str
    scopes: str
    """Separated by spaces."""
    hash: str
    created: dt.datetime
    revoked: dt.datetime | None = None


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in browser."""

    hash: str
    owner: str
    scopes: str
    csrf: str
    created: dt.datetime
    expires: dt.datetime


class LinkRow(msgspec.Struct, frozen=True, kw_only=True):
    """A read-only link to a job."""

    id: str
    job: str
    owner: str
    hash: str
    created: dt.datetime
    expires: dt.datetime


async def _insert(connection: Connection, table: str, row: msgspec.Struct) -> None:
    values: Row = msgspec.structs.asdict(row)
    marks = ", ".join(f":{name}" for name in values)
    await connection.run(f"insert into {table} ({', '.join(values)}) values ({marks})", **values)  # noqa: S608


async def insert_key(connection: Connection, key: KeyRow) -> None:
    """Keep a key."""
    await _insert(connection, "keys", key)


async def find_key(connection: Connection, key: str) -> KeyRow | None:
    """A key that is not revoked."""
    row = await connection.one("select * from keys where id = :key and revoked is null", key=key)
    return None if row is None else msgspec.convert(row, KeyRow, strict=False)


async def list_keys(connection: Connection) -> list[KeyRow]:
    """All keys, the oldest first."""
    rows = await connection.all("select * from keys order by created, id")
    return [msgspec.convert(row, KeyRow, strict=False) for row in rows]


async def revoke_key(connection: Connection, key: str, now: dt.datetime) -> bool:
    """End a key; False where there is none that holds."""
    return (
        await connection.run("update keys set revoked = :now where id = :key and revoked is null", key=key, now=now) > 0
    )


async def insert_session(connection: Connection, session: SessionRow) -> None:
    """Keep a session, and forget those that are over."""
    await connection.run("delete from sessions where expires < :now", now=session.created)
    await _insert(connection, "sessions", session)


async def find_session(connection: Connection, digest: str, now: dt.datetime) -> SessionRow | None:
    """A session that holds."""
    row = await connection.one("select * from sessions where hash = :digest and expires > :now", digest=digest, now=now)
    return None if row is None else msgspec.convert(row, SessionRow, strict=False)


async def erase_session(connection: Connection, digest: str) -> None:
    """Sign out."""
    await connection.run("delete from sessions where hash = :digest", digest=digest)


async def insert_link(connection: Connection, link: LinkRow) -> None:
    """Keep a link."""
    await _insert(connection, "links", link)


async def find_link(connection: Connection, digest: str, now: dt.datetime) -> LinkRow | None:
    """A link that holds."""
    row = await connection.one("select * from links where hash = :digest and expires > :now", digest=digest, now=now)
    return None if row is None else msgspec.convert(row, LinkRow, strict=False)


async def list_links(connection: Connection, job: str) -> list[LinkRow]:
    """A job's links, the oldest first."""
    rows = await connection.all("select * from links where job = :job order by created, id", job=job)
    return [msgspec.convert(row, LinkRow, strict=False) for row in rows]


async def erase_link(connection: Connection, job: str, link: str) -> bool:
    """Revoke a link; False where the job has none of this id."""
    return await connection.run("delete from links where id = :link and job = :job", link=link, job=job) > 0
