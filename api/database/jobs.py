"""Jobs: what was asked, where it stands. Phases of one attempt only ever move on."""

import datetime as dt
from typing import Any

import msgspec

from api.database.driver import Box, Connection, Database, Row
from steps.model.job import Phase

ACTIVE = (Phase.QUEUED, Phase.RUNNING)
RANK = {Phase.QUEUED: 0, Phase.RUNNING: 1}
"""Of a phase; all others are final."""
_FINAL = 2
_COLUMNS = (
    "n, id, owner, name, phase, wanted, origin, attempt, work, uid, season_start, season_end, model_name, "
    "model_version, model_digest, catalog, collection, area_km2, west, south, east, north, ordered, total, running, "
    "succeeded, failed, href, error, submission, fingerprint, seq, created, started, finished, updated"
)


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job as kept."""

    n: int = 0
    """Counts up; newer jobs have larger ones."""
    id: str
    owner: str
    name: str
    phase: Phase = Phase.QUEUED
    wanted: str = "run"
    """run, cancel or delete: what the reconciler works towards."""
    origin: str = "api"
    attempt: int = 1
    work: str
    """Name of the engine's work for this attempt: the same attempt has the same name."""
    uid: str = ""
    """The engine's own id of it."""
    season_start: str | None = None
    season_end: str | None = None
    model_name: str = ""
    model_version: str = ""
    model_digest: str = ""
    catalog: str = ""
    collection: str = ""
    area_km2: float = 0.0
    west: float | None = None
    south: float | None = None
    east: float | None = None
    north: float | None = None
    ordered: int = 0
    """Tiles that it takes, as counted when it was accepted."""
    total: int = 0
    """Tiles of its plan."""
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    href: str = ""
    error: str = ""
    submission: str | None = None
    """The client's Idempotency-Key."""
    fingerprint: str = ""
    """Of what was asked under that key."""
    seq: int = 0
    """The last event's number."""
    created: dt.datetime
    started: dt.datetime | None = None
    finished: dt.datetime | None = None
    updated: dt.datetime

    @property
    def box(self) -> Box | None:
        """west, south, east, north, where the area is known."""
        if self.west is None or self.south is None or self.east is None or self.north is None:
            return None
        return self.west, self.south, self.east, self.north

    @property
    def is_final(self) -> bool:
        """Whether the attempt has ended."""
        return self.phase not in RANK


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs to list."""

    owner: str | None
    """None: everyone's."""
    phase: Phase | None = None
    box: Box | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    before: int | None = None
    """Cursor: only jobs with a smaller number."""
    limit: int = 50


def _job(row: Row) -> JobRow:
    return msgspec.convert(row, JobRow, strict=False)


async def find_job(connection: Connection, job: str) -> JobRow | None:
    """A job by its id."""
    row = await connection.one(f"select {_COLUMNS} from jobs where id = :job", job=job)  # noqa: S608
    return None if row is None else _job(row)


async def read_job(database: Database, job: str) -> JobRow | None:
    """A job by its id, outside of any transaction."""
    row = await database.find(f"select {_COLUMNS} from jobs", "id", job)  # noqa: S608
    return None if row is None else _job(row)


async def find_submission(connection: Connection, owner: str, submission: str) -> JobRow | None:
    """The job that an owner submitted under an Idempotency-Key."""
    row = await connection.one(
        f"select {_COLUMNS} from jobs where owner = :owner and submission = :submission",  # noqa: S608
        owner=owner,
        submission=submission,
    )
    return None if row is None else _job(row)


async def find_work(connection: Connection, work: str) -> JobRow | None:
    """The job whose present attempt has this name at the engine."""
    row = await connection.one(f"select {_COLUMNS} from jobs where work = :work", work=work)  # noqa: S608
    return None if row is None else _job(row)


async def list_jobs(connection: Connection, wanted: JobFilter) -> list[JobRow]:
    """Jobs that pass a filter, the newest first; deleted ones are gone from here at once."""
    conditions, values = ["wanted <> 'delete'"], dict[str, Any]()
    for condition, name, value in (
        ("owner = :owner", "owner", wanted.owner),
        ("phase = :phase", "phase", wanted.phase and str(wanted.phase)),
        ("created >= :since", "since", wanted.since),
        ("created < :until", "until", wanted.until),
        ("n < :before", "before", wanted.before),
    ):
        if value is not None:
            conditions.append(condition)
            values[name] = value
    if wanted.box is not None:
        condition, more = connection.overlaps("jobs", wanted.box)
        conditions.append(condition)
        values |= more
    sql = f"select {_COLUMNS} from jobs where {' and '.join(conditions)} order by n desc limit :limit"  # noqa: S608
    return [_job(row) for row in await connection.all(sql, limit=wanted.limit, **values)]


async def unsettled_jobs(connection: Connection) -> list[JobRow]:
    """Jobs that the reconciler has something to do for, the oldest first."""
    sql = f"select {_COLUMNS} from jobs where phase in ('queued', 'running') or wanted <> 'run' order by n"  # noqa: S608
    return [_job(row) for row in await connection.all(sql)]


async def insert_job(connection: Connection, job: JobRow, request: str) -> None:
    """Keep a new job and its request; raises the driver's IntegrityError where id or submission are taken."""
    values = {name: _plain(value) for name, value in msgspec.structs.asdict(job).items() if name != "n"}
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    await connection.run(f"insert into jobs ({names}) values ({marks})", **values)  # noqa: S608
    await connection.run("insert into requests values (:job, :body)", job=job.id, body=request)
    row = await connection.one("select n from jobs where id = :job", job=job.id)
    if row is not None and job.box is not None:
        await connection.place("jobs", row["n"], job.box)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Phase) else value


async def load_request(connection: Connection, job: str) -> str:
    """The request as JSON; empty where there is none."""
    row = await connection.one("select body from requests where job = :job", job=job)
    return "" if row is None else str(row["body"])


async def want(connection: Connection, job: str, wanted: str, now: dt.datetime) -> None:
    """State an intent; a job that is to be deleted stays so."""
    await connection.run(
        "update jobs set wanted = :wanted, updated = :now where id = :job and wanted <> 'delete'",
        job=job,
        wanted=wanted,
        now=now,
    )


async def move_on(  # noqa: PLR0913 - what an engine may say
    connection: Connection,
    job: JobRow,
    phase: Phase,
    now: dt.datetime,
    *,
    error: str = "",
    href: str = "",
    uid: str = "",
) -> bool:
    """Move the present attempt to a later phase; False where it has been there, or the attempt is over."""
    rank = RANK.get(phase, _FINAL)
    final = rank == _FINAL
    changed = await connection.run(
        "update jobs set phase = :phase, updated = :now, error = :error, "
        "uid = case when :uid <> '' then :uid else uid end, "
        "href = case when :href <> '' then :href else href end, "
        "started = coalesce(started, :started), finished = :finished, "
        "running = case when :final = 1 then 0 else running end, "
        "wanted = case when :final = 1 and wanted = 'cancel' then 'run' else wanted end "
        "where id = :job and attempt = :attempt and "
        "case phase when 'queued' then 0 when 'running' then 1 else 2 end < :rank",
        job=job.id,
        attempt=job.attempt,
        phase=str(phase),
        rank=rank,
        now=now,
        error=error,
        href=href,
        uid=uid,
        started=now if rank >= 1 else None,
        finished=now if final else None,
        final=int(final),
    )
    return changed > 0


async def begin_attempt(connection: Connection, job: JobRow, work: str, now: dt.datetime) -> bool:
    """Queue a finished job again; False where somebody was faster."""
    changed = await connection.run(
        "update jobs set phase = 'queued', wanted = 'run', attempt = :next, work = :work, uid = '', error = '', "
        "started = null, finished = null, updated = :now, running = 0 "
        "where id = :job and attempt = :attempt and phase not in ('queued', 'running') and wanted <> 'delete'",
        job=job.id,
        attempt=job.attempt,
        next=job.attempt + 1,
        work=work,
        now=now,
    )
    return changed > 0


async def describe(connection: Connection, job: str, columns: Row) -> None:
    """Fill in what became known later."""
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    await connection.run(f"update jobs set {assignments} where id = :job", job=job, **columns)  # noqa: S608


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What jobs take together."""

    jobs: int = 0
    tiles: int = 0
    km2: float = 0.0


async def take_turn(connection: Connection, owner: str) -> None:
    """Until this transaction ends, no other counts what an owner has, whatever replica it came through."""
    await connection.run(
        "insert into owners values (:owner) on conflict (owner) do update set owner = excluded.owner", owner=owner
    )


async def active_use(connection: Connection, owner: str) -> Use:
    """By an owner's jobs that are queued or running."""
    row = await connection.one(
        "select count(*) as jobs, coalesce(sum(ordered), 0) as tiles, coalesce(sum(area_km2), 0.0) as km2 from jobs "
        "where owner = :owner and phase in ('queued', 'running') and wanted <> 'delete'",
        owner=owner,
    )
    return msgspec.convert(row, Use, strict=False)


async def active_km2(connection: Connection) -> float:
    """Area that active jobs have yet to map, everyone's."""
    row = await connection.one(
        "select coalesce(sum(area_km2 * case when total > 0 then 1.0 - 1.0 * (succeeded + failed) / total else 1.0 end)"
        ", 0.0) as km2 from jobs where phase in ('queued', 'running') and wanted <> 'delete'"
    )
    return 0.0 if row is None else float(row["km2"])


async def jobs_ahead(connection: Connection, number: int | None) -> list[JobRow]:
    """Active jobs older than one, or all of them."""
    before = "" if number is None else "and n < :number"
    sql = f"select {_COLUMNS} from jobs where phase in ('queued', 'running') and wanted <> 'delete' {before}"  # noqa: S608
    values = {} if number is None else {"number": number}
    return [_job(row) for row in await connection.all(sql, **values)]


async def erase_job(connection: Connection, job: str) -> None:
    """Forget a job and all that belongs to it."""
    await connection.run("delete from jobs where id = :job", job=job)


async def count_by_phase(connection: Connection) -> dict[str, int]:
    """How many jobs are in each phase."""
    rows = await connection.all("select phase, count(*) as n from jobs group by phase")
    return {row["phase"]: row["n"] for row in rows}
