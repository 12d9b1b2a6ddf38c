"""What may be done with a job that is there. Intents are written down; the reconciler carries them out."""

import asyncio

import msgspec

from api.clock import now
from api.context import Context
from api.database.jobs import (
    ACTIVE,
    JobFilter,
    JobRow,
    begin_attempt,
    find_job,
    jobs_ahead,
    list_jobs,
    read_job,
    want,
)
from api.database.tiles import TileRow, add_event, list_tiles, reset_tiles
from api.orders import use_of, work_name
from api.principal import Principal
from api.problems import ProblemError
from api.quota import check_quota
from api.results import thumbnail
from api.schemas import JobPage, JobView, PhaseEvent
from api.views import counts, job_view, queue_view
from steps import naming
from steps.model.grid import TileId
from steps.model.job import SCENES_LEFT_OUT, Phase


async def own_job(context: Context, who: Principal, job: str) -> JobRow:
    """A job that is the caller's to see; raises a 404."""
    return who.check_sees(await read_job(context.database, job), job)


async def view(context: Context, job: JobRow) -> JobView:
    """With its place in the queue, while it is queued."""
    if job.phase is not Phase.QUEUED:
        return job_view(job, thumbnail(context, job))
    async with context.database.read() as connection:
        return job_view(job, "", queue_view(await jobs_ahead(connection, job.n)))


async def page(context: Context, wanted: JobFilter) -> JobPage:
    """One page of jobs, and where the next begins."""
    one_more = msgspec.structs.replace(wanted, limit=wanted.limit + 1)
    async with context.database.read() as connection:
        found = await list_jobs(connection, one_more)
    shown = found[: wanted.limit]
    following = str(shown[-1].n) if len(found) > wanted.limit else None
    return JobPage(items=[job_view(job, thumbnail(context, job)) for job in shown], next=following)


async def cancel(context: Context, who: Principal, name: str) -> JobRow:
    """Ask a job to stop; nothing changes where it is over."""
    job = await own_job(context, who, name)
    if not job.is_final:
        async with context.database.write() as connection:
            await want(connection, job.id, "cancel", now())
        context.wake.set()
    return await own_job(context, who, name)


async def retry(context: Context, who: Principal, name: str) -> JobRow:
    """Queue a job again: tiles that are done come from the store. Raises a 409 while it is active."""
    job = await own_job(context, who, name)
    _check_retry(job)
    tiles = await _tiles(context, job)
    unfinished = [tile.tile for tile in tiles if _is_unfinished(tile)]
    await asyncio.to_thread(_forget_notes, context, job, unfinished)
    async with context.database.write() as connection:
        await check_quota(connection, context.settings, job.owner, use_of(job))
        if not await begin_attempt(connection, job, work_name(job.id, job.attempt + 1), now()):
            raise ProblemError(409, f"job {job.id} was just started again", "look at it")
        await reset_tiles(connection, job.id, unfinished)
        fresh = who.check_sees(await find_job(connection, job.id), name)
        event = PhaseEvent(phase=Phase.QUEUED, attempt=fresh.attempt, tiles=counts(fresh))
        await add_event(connection, job.id, "phase", msgspec.json.encode(event), now())
    context.wake.set()
    return await own_job(context, who, name)


def _check_retry(job: JobRow) -> None:
    if job.phase in ACTIVE:
        raise ProblemError(409, f"job {job.id} is {job.phase}", "cancel it first, or wait")
    if job.phase is Phase.SUCCEEDED:
        raise ProblemError(409, f"job {job.id} has succeeded", "there is nothing to try again")
    if job.origin != "api":
        raise ProblemError(409, f"job {job.id} was not started here", "retry it where it was started")


def _is_unfinished(tile: TileRow) -> bool:
    return tile.phase != Phase.SUCCEEDED or tile.reason in SCENES_LEFT_OUT


async def _tiles(context: Context, job: JobRow) -> list[TileRow]:
    async with context.database.read() as connection:
        return await list_tiles(connection, job.id)


def _forget_notes(context: Context, job: JobRow, tiles: list[str]) -> None:
    """What the last attempt noted of them would be taken for this one's."""
    for tile in map(TileId.parse, tiles):
        for key in (naming.job_tile_key(job.id, tile), naming.begun_key(job.id, tile)):
            context.store.delete(key)


async def delete(context: Context, who: Principal, name: str) -> None:
    """Have a job deleted with its objects; it is gone from sight at once."""
    job = await own_job(context, who, name)
    async with context.database.write() as connection:
        await want(connection, job.id, "delete", now())
    context.wake.set()
