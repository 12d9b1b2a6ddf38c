"""Quotes, published items, what objects a job holds on to, and who leads among replicas."""

import datetime as dt
from collections.abc import Collection, Sequence

import msgspec

from api.database.driver import Box, Connection, Row


class QuoteRow(msgspec.Struct, frozen=True, kw_only=True):
    """A quote as kept."""

    id: str
    owner: str
    request: str
    """What was quoted, pinned, as JSON."""
    body: str
    """The answer, as JSON."""
    created: dt.datetime
    expires: dt.datetime


async def insert_quote(connection: Connection, quote: QuoteRow) -> None:
    """Keep a quote, and forget those that are over."""
    await connection.run("delete from quotes where expires < :now", now=quote.created)
    values: Row = msgspec.structs.asdict(quote)
    marks = ", ".join(f":{name}" for name in values)
    await connection.run(f"insert into quotes ({', '.join(values)}) values ({marks})", **values)  # noqa: S608


async def find_quote(connection: Connection, quote: str, now: dt.datetime) -> QuoteRow | None:
    """A quote that holds."""
    row = await connection.one("select * from quotes where id = :quote and expires > :now", quote=quote, now=now)
    return None if row is None else msgspec.convert(row, QuoteRow, strict=False)


# -- published items -----------------------------------------------------------------------------------------------


async def put_item(connection: Connection, job: str, body: str, now: dt.datetime) -> None:
    """Keep a published map's STAC item."""
    await connection.run(
        "insert into items values (:job, :body, :now) on conflict (job) do update set body = excluded.body",
        job=job,
        body=body,
        now=now,
    )


async def find_item(connection: Connection, job: str) -> str:
    """A published map's STAC item; empty where there is none."""
    row = await connection.one("select body from items where job = :job", job=job)
    return "" if row is None else str(row["body"])


class ItemFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which items to find."""

    owner: str | None
    box: Box | None = None
    ids: Collection[str] = ()
    start: str | None = None
    """Day; only seasons that end then or later."""
    end: str | None = None
    """Day; only seasons that start then or earlier."""
    before: int | None = None
    limit: int = 10


async def search_items(connection: Connection, wanted: ItemFilter) -> list[tuple[int, str, str]]:
    """Number, job and item of published maps, the newest first."""
    conditions, values = ["jobs.wanted <> 'delete'"], Row()
    for condition, name, value in (
        ("jobs.owner = :owner", "owner", wanted.owner),
        ("jobs.season_end >= :start", "start", wanted.start),
        ("jobs.season_start <= :until", "until", wanted.end),
        ("jobs.n < :before", "before", wanted.before),
    ):
        if value is not None:
            conditions.append(condition)
            values[name] = value
    if wanted.ids:
        names = {f"i{index}": one for index, one in enumerate(wanted.ids)}
        conditions.append(f"jobs.id in ({', '.join(f':{name}' for name in names)})")
        values |= names
    if wanted.box is not None:
        condition, more = connection.overlaps("jobs", wanted.box)
        conditions.append(condition)
        values |= more
    rows = await connection.all(
        "select jobs.n as n, jobs.id as id, items.body as body from items join jobs on jobs.id = items.job "  # noqa: S608
        f"where {' and '.join(conditions)} order by jobs.n desc limit :limit",
        limit=wanted.limit,
        **values,
    )
    return [(row["n"], row["id"], row["body"]) for row in rows]


# -- objects -------------------------------------------------------------------------------------------------------


async def hold_objects(connection: Connection, job: str, keys: Collection[str]) -> None:
    """Note that a job needs these shared objects."""
    await connection.many(
        "insert into objects values (:job, :key) on conflict do nothing", [{"job": job, "key": key} for key in keys]
    )
    await connection.many("delete from orphans where key = :key", [{"key": key} for key in keys])


async def holds_objects(connection: Connection, job: str) -> bool:
    """Whether it is known what a job needs."""
    return await connection.one("select 1 as one from objects where job = :job limit 1", job=job) is not None


async def orphan_objects(connection: Connection, job: str) -> None:
    """Mark the shared objects that only this job needs, to be removed once it is gone."""
    await connection.run(
        "insert into orphans select key from objects where job = :job and not exists "
        "(select 1 from objects other where other.key = objects.key and other.job <> :job) on conflict do nothing",
        job=job,
    )


async def take_orphans(connection: Connection, limit: int) -> list[str]:
    """Some marked objects that still nobody needs."""
    rows = await connection.all(
        "select key from orphans where not exists (select 1 from objects where objects.key = orphans.key) limit :limit",
        limit=limit,
    )
    return [row["key"] for row in rows]


async def forget_orphans(connection: Connection, keys: Sequence[str]) -> None:
    """These are gone."""
    await connection.many("delete from orphans where key = :key", [{"key": key} for key in keys])


# -- leadership ----------------------------------------------------------------------------------------------------


async def hold_lease(connection: Connection, name: str, holder: str, now: dt.datetime, until: dt.datetime) -> bool:
    """Whether a replica may lead: nobody else does, or has not been heard of."""
    changed = await connection.run(
        "insert into leases values (:name, :holder, :until) on conflict (name) do update set "
        "holder = excluded.holder, until = excluded.until where leases.holder = :holder or leases.until < :now",
        name=name,
        holder=holder,
        now=now,
        until=until,
    )
    return changed > 0


async def leave_lease(connection: Connection, name: str, holder: str) -> None:
    """Lead no more."""
    await connection.run("delete from leases where name = :name and holder = :holder", name=name, holder=holder)
