"""The life of a job in any order of events: none is lost, none is done twice, no phase is wrong."""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from api.database.jobs import find_job
from api.engines.fake import FakeEngine
from steps.errors import TryAgainError
from steps.model.job import Phase
from tests.api_server import ANY_ORDER, ApiServer, api_server

RANK = {"queued": 0, "running": 1}


class LifeOfJobs(RuleBasedStateMachine):
    """One database and one engine; replicas of the API that come and go."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.errands: asyncio.Queue[tuple[Coroutine[Any, Any, Any], asyncio.Future[Any]]] = asyncio.Queue()
        self.runner = self.loop.create_task(_run(self.errands))
        self.folder = tempfile.TemporaryDirectory()
        self.engine = FakeEngine()
        self.stack = contextlib.AsyncExitStack()
        self.server = self.do(self._started())
        self.known: dict[str, str] = {}
        """The key under which each job was submitted."""
        self.seen: dict[str, tuple[int, int]] = {}
        """Attempt and rank that a job was last seen in."""

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        """In one task for all, since a server ends in the task that it began in."""
        done = self.loop.create_future()
        self.errands.put_nowait((what, done))
        return self.loop.run_until_complete(done)

    async def _started(self) -> ApiServer:
        home = Path(self.folder.name)
        return await self.stack.enter_async_context(api_server(home, engine=self.engine, max_active_jobs=1000))

    def teardown(self) -> None:
        """Every example has a server of its own."""
        self.do(self.stack.aclose())
        self.runner.cancel()
        self.loop.run_until_complete(asyncio.gather(self.runner, return_exceptions=True))
        self.loop.close()
        self.folder.cleanup()

    # -- what may happen -------------------------------------------------------------------------------------------

    @rule(target=jobs, key=st.integers(0, 5))
    def submit(self, key: int) -> Any:
        """The same key is the same job, whatever happened to it since; while that is being deleted it is none."""
        headers, body = {"Idempotency-Key": str(key)}, {"order": ANY_ORDER}
        answer = self.do(self.server.client.post("/api/v1/jobs", json=body, headers=headers))
        if answer.status_code == 409:
            assert str(key) not in self.known.values()
            return multiple()
        assert answer.status_code in {200, 202}
        job = answer.json()["id"]
        assert self.known.setdefault(job, str(key)) == str(key)
        return job

    @rule(job=jobs)
    def cancel(self, job: str) -> None:
        """Whether or not it has started."""
        if job in self.known:
            assert self.do(self.server.client.post(f"/api/v1/jobs/{job}/cancel")).status_code == 202

    @rule(job=jobs)
    def retry(self, job: str) -> None:
        """Only what ended without a map."""
        if job in self.known:
            before = self.do(self.server.job(job))
            code = self.do(self.server.client.post(f"/api/v1/jobs/{job}/retry")).status_code
            assert code == (202 if before["phase"] in {"failed", "cancelled", "partial"} else 409)

    @rule(job=consumes(jobs))
    def delete(self, job: str) -> None:
        """It is gone at once, and its key makes another job."""
        if self.known.pop(job, None):
            self.seen.pop(job, None)
            assert self.do(self.server.client.delete(f"/api/v1/jobs/{job}")).status_code == 204
            self.settle()

    @rule(job=jobs, phase=st.sampled_from([Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED]))
    def engine_moves(self, job: str, phase: Phase) -> None:
        """As an engine does: only on."""
        for name, seen in list(self.engine.seen.items()):
            if seen.job == job and seen.phase in {Phase.QUEUED, Phase.RUNNING} and seen.phase != phase:
                self.engine.move(name, phase)

    @rule(job=jobs)
    def work_is_deleted(self, job: str) -> None:
        """Behind our back."""
        for name, seen in list(self.engine.seen.items()):
            if seen.job == job:
                self.engine.vanish(name)

    @rule(away=st.booleans())
    def engine_leaves_or_comes(self, away: bool) -> None:
        """Submissions wait meanwhile."""
        self.engine.away = away

    @rule(rounds=st.integers(1, 3))
    def settle(self, rounds: int = 2) -> None:
        """The reconciler hears and acts."""
        with contextlib.suppress(TryAgainError):
            self.do(self.server.settle(rounds))

    @rule()
    def crash_and_restart(self) -> None:
        """Another process takes over, with nothing but the database and the engine."""
        self.do(self.stack.aclose())
        self.stack = contextlib.AsyncExitStack()
        self.server = self.do(self._started())
        self.do(_forget_leader(self.server))

    @precondition(lambda self: not self.engine.away)
    @rule(job=jobs)
    def crash_between_engine_and_record(self, job: str) -> None:
        """The engine was told, and the record was not."""
        self.do(_forget_start(self.server, job))

    # -- what holds ------------------------------------------------------------------------------------------------

    @invariant()
    def no_job_is_lost(self) -> None:
        """Each that was accepted and not deleted is there."""
        listed = self.do(self.server.client.get("/api/v1/jobs", params={"limit": 200})).json()["items"]
        assert {one["id"] for one in listed} == set(self.known)

    @invariant()
    def phases_only_move_on(self) -> None:
        """Within an attempt; and attempts only count up."""
        for job in self.known:
            there = self.do(self.server.job(job))
            now = (there["attempt"], RANK.get(there["phase"], 2))
            assert now >= self.seen.get(job, (0, 0))
            self.seen[job] = now

    @invariant()
    def nothing_is_started_twice(self) -> None:
        """A work of a name is started once, unless somebody deleted it before its start was written down."""
        alive = [seen.job for seen in self.engine.seen.values() if seen.phase in {Phase.QUEUED, Phase.RUNNING}]
        assert len(alive) == len(set(alive))

    @invariant()
    def what_is_settled_is_true(self) -> None:
        """A job that has ended has no work that goes on, once the engine could be told."""
        if self.engine.away:
            return
        for job in self.known:
            row = self.do(_row(self.server, job))
            seen = self.engine.seen.get(row.work)
            if row.phase is Phase.SUCCEEDED and seen is not None:
                assert seen.phase is Phase.SUCCEEDED


async def _run(errands: "asyncio.Queue[tuple[Coroutine[Any, Any, Any], asyncio.Future[Any]]]") -> None:
    while True:
        what, done = await errands.get()
        try:
            done.set_result(await what)
        except Exception as error:
            done.set_exception(error)


async def _row(server: ApiServer, job: str) -> Any:
    async with server.context.database.read() as connection:
        return await find_job(connection, job)


async def _forget_start(server: ApiServer, job: str) -> None:
    async with server.context.database.write() as connection:
        await connection.run("update jobs set uid = '' where id = :job and phase = 'queued'", job=job)


async def _forget_leader(server: ApiServer) -> None:
    """As if its lease had run out."""
    async with server.context.database.write() as connection:
        await connection.run("delete from leases")


LifeOfJobs.TestCase.settings = settings(
    max_examples=10, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck),
    phases=[Stage.explicit, Stage.reuse, Stage.generate],
)  # fmt: skip
test_the_life_of_jobs: Callable[..., None] = LifeOfJobs.TestCase
