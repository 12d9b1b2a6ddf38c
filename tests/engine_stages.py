"""Engines, and who does their work: what one test suite for all of them needs.

Whoever does the work is played by the test: it moves the fake, holds the lock of a local work's folder, or patches the
status of a Workflow as Argo's controller does.
"""

import asyncio
import contextlib
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

from api.engines.argo import ArgoEngine
from api.engines.fake import FakeEngine
from api.engines.local import LocalEngine
from api.engines.protocol import Engine, Sighting, Synced, Work
from steps.engine import LOCK_FILE, LocalOutcome, write_outcome
from steps.model.job import Phase
from steps.settings import Settings
from steps.testing import any_request
from tests.kubernetes_server import KubernetesServer

_PATIENCE_SECONDS = 20
_WORKER = """
import fcntl, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
file = open(sys.argv[1], "a+b"); fcntl.flock(file, fcntl.LOCK_EX)
file.truncate(0); file.write(str(os.getpid()).encode()); file.flush()
print("held", flush=True); signal.pause()
"""


class Stage(Protocol):
    """An engine, and who does its work."""

    engine: Engine

    async def replica(self) -> Engine:
        """Another engine over the same works: another replica, or the same after a restart."""

    async def move(self, name: str, phase: Phase, error: str = "") -> None:
        """A work runs, or ends."""

    async def obey(self, name: str) -> None:
        """Whoever works on it heeds a cancellation."""

    async def vanish(self, name: str) -> None:
        """Somebody else deletes a work."""

    async def leave(self) -> None:
        """The engine is away."""

    async def close(self) -> None:
        """The end."""


class FakeStage:
    """Moves at a word."""

    def __init__(self) -> None:
        self.engine = FakeEngine()

    async def replica(self) -> Engine:
        """See Stage."""
        return self.engine

    async def move(self, name: str, phase: Phase, error: str = "") -> None:
        """See Stage."""
        self.engine.move(name, phase, error)

    async def obey(self, name: str) -> None:
        """See Stage."""

    async def vanish(self, name: str) -> None:
        """See Stage."""
        self.engine.vanish(name)

    async def leave(self) -> None:
        """See Stage."""
        self.engine.away = True

    async def close(self) -> None:
        """See Stage."""


class LocalStage:
    """Starts no process of its own: the test's hold the locks of folders, and write outcomes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.engine = LocalEngine(folder, places=0)
        self._replicas: list[LocalEngine] = []
        self._workers: dict[str, asyncio.subprocess.Process] = {}

    async def replica(self) -> Engine:
        """See Stage."""
        made = LocalEngine(self._folder, places=0)
        await made.open()
        self._replicas.append(made)
        return made

    async def move(self, name: str, phase: Phase, error: str = "") -> None:
        """See Stage."""
        if phase is Phase.RUNNING:
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _WORKER, str(self._folder / name / LOCK_FILE)),
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            assert worker.stdout is not None
            assert await worker.stdout.readline() == b"held\n"
            self._workers[name] = worker
            return
        write_outcome(self._folder / name, LocalOutcome(phase=phase, error=error))
        await self._end(name)

    async def obey(self, name: str) -> None:
        """The signal was enough."""
        if name in self._workers:
            assert await self._workers.pop(name).wait() == 143

    async def vanish(self, name: str) -> None:
        """See Stage."""
        await self._end(name)
        (self._folder / name).rename(self._folder / f".{name}.part")

    async def _end(self, name: str) -> None:
        worker = self._workers.pop(name, None)
        if worker is not None and worker.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            await worker.wait()

    async def leave(self) -> None:
        """See Stage."""
        await self.engine.close()

    async def close(self) -> None:
        """See Stage."""
        for name in list(self._workers):
            await self._end(name)
        for one in (self.engine, *self._replicas):
            await one.close()


class ArgoStage:
    """A namespace of a real Kubernetes API; the test patches what the controller would."""

    def __init__(self, server: KubernetesServer, folder: Path, watch_seconds: int = 60) -> None:
        self.server, self._folder, self._watch_seconds = server, folder, watch_seconds
        self.namespace = server.namespace(f"t{uuid.uuid4().hex[:8]}")
        self._replicas: list[ArgoEngine] = []
        self.engine = self._made()

    def _made(self) -> ArgoEngine:
        shared = Settings(home=self._folder)
        engine = ArgoEngine(self.namespace, "map-aoi", shared, self.server.config(), self._watch_seconds)
        self._replicas.append(engine)
        return engine

    async def replica(self) -> Engine:
        """See Stage."""
        return self._made()

    async def ask(self, method: str, name: str = "", body: Any = None, kind: str = "json") -> Any:
        """Of a Workflow, as whoever may do everything."""
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}/workflows/{name}".rstrip("/")
        answer = await asyncio.to_thread(self.server.ask, method, path, body, kind=kind)
        assert answer.is_success, answer.text
        return answer.json()

    async def move(self, name: str, phase: Phase, error: str = "") -> None:
        """See Stage."""
        status = {"phase": str(phase).capitalize(), "message": error}
        await self.ask("PATCH", name, {"status": status}, "merge-patch+json")

    async def obey(self, name: str) -> None:
        """See Stage."""
        found = await self.ask("GET", name)
        if found["spec"].get("shutdown") == "Stop":
            await self.move(name, Phase.FAILED, "Stopped with strategy 'Stop'")

    async def vanish(self, name: str) -> None:
        """See Stage."""
        await self.ask("DELETE", name)

    async def leave(self) -> None:
        """See Stage."""
        self.server.stop("kube-apiserver")

    async def close(self) -> None:
        """See Stage."""
        for one in self._replicas:
            await one.close()
        self.server.start()


def any_work(folder: Path, job: str = "any-job", attempt: int = 1) -> Work:
    store = str(folder / "store")
    return Work(name=f"{job}-{attempt}", job=job, attempt=attempt, request=any_request(), store=store)


class Ear:
    """Hears an engine in the background."""

    def __init__(self, engine: Engine) -> None:
        self.heard: list[Sighting | Synced] = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._listen(engine))

    async def _listen(self, engine: Engine) -> None:
        async for said in engine.sightings():
            self.heard.append(said)
            self._news.set()

    async def until(self, wanted: Any) -> Any:
        """The first that was or will be said and fits."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                self._news.clear()
                for said in self.heard:
                    if wanted(said):
                        return said
                await self._news.wait()

    async def synced(self) -> Synced:
        """Once all there is has been told."""
        found: Synced = await self.until(lambda said: isinstance(said, Synced))
        return found

    async def phase(self, name: str, phase: Phase) -> Sighting:
        """A work in a phase."""
        found: Sighting = await self.until(
            lambda said: isinstance(said, Sighting) and not said.gone and (said.name, said.phase) == (name, phase)
        )
        return found

    async def gone(self, name: str) -> Sighting:
        """A work that is not there any more."""
        found: Sighting = await self.until(lambda said: isinstance(said, Sighting) and said.gone and said.name == name)
        return found

    async def close(self) -> None:
        """Hear no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@contextlib.asynccontextmanager
async def listening(engine: Engine) -> AsyncIterator[Ear]:
    ear = Ear(engine)
    try:
        await ear.synced()
        yield ear
    finally:
        await ear.close()
