"""Works towards what was written down: starts, cancels, deletes, and follows what the engine says.

Nothing here is a transaction over the database, the engine and the store. An intent is a row; a work's name follows
from it; so whatever a crash left undone is done again by whoever leads next, and doing it twice does no harm.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Collection

import msgspec
import structlog

from api.clock import now
from api.context import Context
from api.database.jobs import (
    ACTIVE,
    JobRow,
    erase_job,
    find_job,
    find_work,
    insert_job,
    load_request,
    move_on,
    unsettled_jobs,
)
from api.database.records import (
    forget_orphans,
    hold_lease,
    holds_objects,
    leave_lease,
    orphan_objects,
    take_orphans,
)
from api.database.tiles import add_event
from api.engines.protocol import Sighting, Synced, Work
from api.feed import Feed
from api.orders import Pinned
from api.schemas import PhaseEvent
from api.secrets import new_id
from api.tasks import end
from api.views import counts
from steps import naming
from steps.cleaning import held
from steps.errors import DataError, TryAgainError, UsageError
from steps.model.job import Coverage, Phase
from steps.store import MissingObject

_ROUND_SECONDS = 0.5
_LEASE_SECONDS = 15
_AWAY_SECONDS = 2.0
_SWEEP_BATCH = 200
_log = structlog.get_logger()


class Reconciler:
    """The background task of one replica; it acts only while it leads."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._feed = Feed(context)
        self._me = new_id()
        self._leads = False
        self._seen: dict[str, Sighting] = {}
        self._synced = False
        self._deleted: set[str] = set()
        """Works of deleted jobs of which the engine has not said yet that they are gone."""

    async def run(self) -> None:
        """For ever; what fails is logged and tried again. Whoever led and ends lets another lead at once."""
        works = (self._rounds(), self._listen(), self._context.hub.run())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            await asyncio.gather(*ended)
        finally:
            await end(*tasks)
            with contextlib.suppress(TryAgainError):
                async with self._context.database.write() as connection:
                    await leave_lease(connection, "reconciler", self._me)

    async def _rounds(self) -> None:
        while True:
            await self._calmly(self.round())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ROUND_SECONDS):
                    await self._context.wake.wait()
            self._context.wake.clear()
            await self._calmly(self._context.desk.end_idle())
            await self._calmly(self._context.planner.end_idle())

    async def _calmly(self, work: Awaitable[None]) -> None:
        """One job that cannot be worked on keeps no other from being worked on."""
        try:
            await work
        except TryAgainError as error:
            _log.warning("reconcile.away", error=str(error))
            await asyncio.sleep(_AWAY_SECONDS)
        except Exception as error:
            _log.exception("reconcile.failed", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(_AWAY_SECONDS)

    async def round(self) -> None:
        """Look once at all that is unsettled."""
        led, self._leads = self._leads, await self._lead()
        if not self._leads:
            return
        if not led:  # what was told while another led, or nobody
            for seen in list(self._seen.values()):
                await self._adopt(seen)
        async with self._context.database.read() as connection:
            jobs = await unsettled_jobs(connection)
        for job in jobs:
            try:
                await self._settle(job)
            except TryAgainError as error:
                _log.warning("reconcile.job_waits", job=job.id, error=str(error))
        await self._sweep(jobs)

    async def _lead(self) -> bool:
        at = now()
        async with self._context.database.write() as connection:
            until = at + dt.timedelta(seconds=_LEASE_SECONDS)
            return await hold_lease(connection, "reconciler", self._me, at, until)

    async def _settle(self, job: JobRow) -> None:
        if job.wanted == "delete":
            await self._delete(job)
        elif job.wanted == "cancel" and not job.is_final:
            await self._cancel(job)
        elif job.phase is Phase.QUEUED and not job.uid:
            await self._start(job)
        elif not job.is_final:
            await self._watch(job)

    # -- intents ---------------------------------------------------------------------------------------------------

    async def _start(self, job: JobRow) -> None:
        async with self._context.database.read() as connection:
            pinned = msgspec.json.decode(await load_request(connection, job.id), type=Pinned)
        work = Work(
            name=job.work,
            job=job.id,
            attempt=job.attempt,
            request=pinned.request,
            store=self._context.store_url,
            probe=pinned.probe,
        )
        try:
            uid = await self._context.engine.start(work)
        except (DataError, UsageError) as error:
            await self._move(job, Phase.FAILED, error=str(error))
            return
        except TryAgainError as error:
            await self._say_why_it_waits(job, str(error))
            raise
        async with self._context.database.write() as connection:
            await connection.run(
                "update jobs set uid = :uid, error = '' where id = :job and attempt = :attempt",
                uid=uid,
                job=job.id,
                attempt=job.attempt,
            )

    async def _say_why_it_waits(self, job: JobRow, error: str) -> None:
        if job.error != error:
            async with self._context.database.write() as connection:
                await connection.run(
                    "update jobs set error = :error where id = :job and phase = 'queued'", error=error, job=job.id
                )

    async def _cancel(self, job: JobRow) -> None:
        if job.uid:
            await self._context.engine.cancel(job.work)
            await self._watch(job)
        else:  # the engine may have been told of it just before a crash
            await self._context.engine.remove(job.work)
            await self._move(job, Phase.CANCELLED)

    async def _delete(self, job: JobRow) -> None:
        """The work first, then the objects, then the record: what is left undone is done in the next round."""
        await self._context.engine.remove(job.work)
        await asyncio.to_thread(self._erase_objects, job.id)
        self._deleted.add(job.work)
        async with self._context.database.write() as connection:
            await orphan_objects(connection, job.id)
            await erase_job(connection, job.id)
        self._feed.forget(job.id)
        self._seen.pop(job.work, None)
        _log.info("job.deleted", job=job.id)

    def _erase_objects(self, job: str) -> None:
        """What is this job's alone; the item first, so that nobody finds half a map."""
        store = self._context.store
        store.delete(naming.item_key(job))
        for prefix in (naming.map_key(job, ""), naming.job_prefix(job)):
            for key in store.list(prefix):
                store.delete(key)
        store.delete(naming.request_key(job))

    async def _sweep(self, jobs: list[JobRow]) -> None:
        """Remove shared objects that nobody needs, neither a job of ours nor one that was started by other means.

        Not while an active job has yet to say what it needs; and none starts meanwhile, since one task does both.
        """
        async with self._context.database.read() as connection:
            for job in jobs:
                if not job.is_final and not await holds_objects(connection, job.id):
                    return
            keys = await take_orphans(connection, _SWEEP_BATCH)
        if not keys:
            return
        await asyncio.to_thread(self._erase_shared, keys)
        async with self._context.database.write() as connection:
            await forget_orphans(connection, keys)

    def _erase_shared(self, keys: Collection[str]) -> None:
        """Results of tiles first: one without its raster would be taken for a tile that is done."""
        store = self._context.store
        unused = set(keys) - held(store, keys)
        for key in sorted(unused, key=lambda one: not one.endswith(".json")):
            store.delete(key)

    # -- what the engine says --------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            await self._calmly(self._hear())
            await asyncio.sleep(_ROUND_SECONDS)

    async def _hear(self) -> None:
        async for said in self._context.engine.sightings():
            if isinstance(said, Synced):
                self._seen = {name: seen for name, seen in self._seen.items() if name in said.names}
                self._synced = True
                self._deleted &= said.names
            elif said.gone:
                self._seen[said.name] = said
                self._deleted.discard(said.name)
            else:
                self._seen[said.name] = said
                await self._adopt(said)
            self._context.wake.set()

    async def _adopt(self, seen: Sighting) -> None:
        """A work that was started by other means becomes a job of the administrators."""
        if not self._leads or seen.gone:
            return
        async with self._context.database.write() as connection:
            known = await find_work(connection, seen.name) or (
                await find_job(connection, seen.job) if seen.job else None
            )
            if known is not None or seen.name in self._deleted:
                return
            made = seen.created or now()
            job = JobRow(
                id=seen.job or seen.name,
                owner=WORKFLOWS,
                name=seen.name,
                origin="workflow",
                work=seen.name,
                uid=seen.uid,
                created=made,
                updated=now(),
            )
            await insert_job(connection, job, "")
        _log.info("job.adopted", job=job.id, work=seen.name)

    async def _watch(self, job: JobRow) -> None:
        """Bring a started job's record to where its work is."""
        seen = self._seen.get(job.work)
        if seen is not None and seen.uid and job.uid and seen.uid != job.uid:
            return  # of a work of the same name, long ago
        if seen is None or seen.gone:
            if self._synced and (seen is not None or self._lost(job)):
                await self._vanished(job)
            return
        if seen.phase is Phase.QUEUED:
            return
        if job.phase is Phase.QUEUED:
            await self._move(job, Phase.RUNNING)
        await self._feed.follow(job)
        if seen.phase not in ACTIVE:
            await self._finish(job, seen)

    def _lost(self, job: JobRow) -> bool:
        """Started long enough ago for the engine to have told of it."""
        return (now() - job.updated).total_seconds() > _LEASE_SECONDS

    async def _vanished(self, job: JobRow) -> None:
        """The engine knows nothing of it: over and cleaned up, cancelled, or deleted behind our back."""
        await self._feed.follow(job)
        if job.wanted == "cancel":
            await self._move(job, Phase.CANCELLED)
            return
        phase = await asyncio.to_thread(self._published_phase, job)
        if phase is None:
            await self._move(job, Phase.FAILED, error="its work was deleted before it ended: retry it")
            return
        await self._move(job, phase, href=await self._feed.publish(job))

    def _published_phase(self, job: JobRow) -> Phase | None:
        """The gate's verdict, where a map was published since this attempt began."""
        store = self._context.store
        try:
            item = msgspec.json.decode(store.get_bytes(naming.item_key(job.id)))
        except MissingObject:
            return None
        made = dt.datetime.fromisoformat(item["properties"]["created"])
        if job.started is not None and made < job.started - dt.timedelta(minutes=1):
            return None
        return Phase(item["properties"]["geocrop:phase"])

    async def _finish(self, job: JobRow, seen: Sighting) -> None:
        phase, error, href = seen.phase, seen.error, ""
        if phase is Phase.SUCCEEDED or phase is Phase.PARTIAL:
            href = await self._feed.publish(job)
            published = await asyncio.to_thread(self._published_phase, job)
            phase = published or phase
        elif phase is Phase.FAILED and not error:
            error = await asyncio.to_thread(self._gate_error, job.id)
        await self._move(job, phase, error=error, href=href)

    def _gate_error(self, job: str) -> str:
        try:
            coverage = msgspec.json.decode(self._context.store.get_bytes(naming.coverage_key(job)), type=Coverage)
        except (MissingObject, msgspec.DecodeError):
            return "the work failed: its log says why"
        return f"{coverage.share:.1%} of the area could be mapped"

    async def _move(self, job: JobRow, phase: Phase, *, error: str = "", href: str = "") -> None:
        """Write down a phase, once, with its event."""
        if phase not in ACTIVE:
            await self._feed.end(job)
        async with self._context.database.write() as connection:
            if not await move_on(connection, job, phase, now(), error=error, href=href):
                return
            fresh = await find_job(connection, job.id)
            if fresh is None:
                return
            event = PhaseEvent(phase=phase, attempt=job.attempt, error=error, tiles=counts(fresh))
            await add_event(connection, job.id, "phase", msgspec.json.encode(event), now())
        self._context.hub.tell(job.id)
        _log.info("job.moved", job=job.id, phase=str(phase), error=error)


WORKFLOWS = "workflows"
"""The owner of jobs that were started in Argo by other means; administrators see them."""
