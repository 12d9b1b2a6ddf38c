"""Keys, sessions and links. Secrets are kept as SHA-256 only: they are random, so that no slow hash is needed."""

import datetime as dt

import msgspec

from api.database.driver import Connection, Database, Row


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


class SignInRow(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to sign in."""

    made: dt.datetime
    owner: str = ""
    """Empty where it failed."""
    address: str = ""
    error: str = ""
    """Why it failed; empty where it did not."""


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


async def find_key(database: Database, key: str) -> KeyRow | None:
    """A key that is not revoked."""
    row = await database.find("select * from keys", "id", key)
    return None if row is None or row["revoked"] is not None else msgspec.convert(row, KeyRow, strict=False)


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


async def find_session(database: Database, digest: str, now: dt.datetime) -> SessionRow | None:
    """A session that holds."""
    row = await database.find("select * from sessions", "hash", digest)
    session = None if row is None else msgspec.convert(row, SessionRow, strict=False)
    return session if session and session.expires > now else None


async def erase_session(connection: Connection, digest: str) -> bool:
    """Sign out, by the whole digest or its beginning; False where there is none."""
    sql = "delete from sessions where substr(hash, 1, :length) = :digest"
    return await connection.run(sql, digest=digest, length=len(digest)) > 0


async def list_sessions(connection: Connection, now: dt.datetime) -> list[SessionRow]:
    """All that hold, the newest first."""
    rows = await connection.all("select * from sessions where expires > :now order by created desc, hash", now=now)
    return [msgspec.convert(row, SessionRow, strict=False) for row in rows]


async def insert_sign_in(connection: Connection, attempt: SignInRow) -> None:
    """Note an attempt, and forget those of long ago."""
    await _insert(connection, "sign_ins", attempt)
    await connection.run("delete from sign_ins where n <= (select max(n) from sign_ins) - :kept", kept=_SIGN_INS)


_SIGN_INS = 1000


async def list_sign_ins(connection: Connection, limit: int) -> list[SignInRow]:
    """The newest first."""
    rows = await connection.all("select * from sign_ins order by n desc limit :limit", limit=limit)
    return [msgspec.convert(row, SignInRow, strict=False) for row in rows]


async def insert_link(connection: Connection, link: LinkRow) -> None:
    """Keep a link."""
    await _insert(connection, "links", link)


async def find_link(database: Database, digest: str, now: dt.datetime) -> LinkRow | None:
    """A link that holds."""
    row = await database.find("select * from links", "hash", digest)
    link = None if row is None else msgspec.convert(row, LinkRow, strict=False)
    return link if link and link.expires > now else None


async def list_links(connection: Connection, job: str) -> list[LinkRow]:
    """A job's links, the oldest first."""
    rows = await connection.all("select * from links where job = :job order by created, id", job=job)
    return [msgspec.convert(row, LinkRow, strict=False) for row in rows]


async def list_all_links(connection: Connection, now: dt.datetime) -> list[LinkRow]:
    """Everyone's that hold, the newest first."""
    rows = await connection.all("select * from links where expires > :now order by created desc, id", now=now)
    return [msgspec.convert(row, LinkRow, strict=False) for row in rows]


async def erase_link(connection: Connection, job: str, link: str) -> bool:
    """Revoke a link; False where the job has none of this id."""
    return await connection.run("delete from links where id = :link and job = :job", link=link, job=job) > 0
