"""The API on the Argo engine, against a real Kubernetes API; the test plays Argo's controller."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from steps.model.job import Phase
from tests.api_server import ANY_ORDER, any_context, live_api
from tests.engine_stages import ArgoStage
from tests.kubernetes_server import KubernetesServer

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("kubernetes")]
_PATIENCE_SECONDS = 30


@pytest.fixture
async def argo(kubernetes: KubernetesServer, tmp_path: Path) -> AsyncIterator[ArgoStage]:
    made = ArgoStage(kubernetes, tmp_path)
    yield made
    await made.close()


class Api:
    """A replica, asked without blocking the test's loop."""

    def __init__(self, url: str) -> None:
        self._root = f"{url}/api/v1"

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One request."""
        return await asyncio.to_thread(httpx.request, method, self._root + path, json=body, trust_env=False, timeout=20)

    async def submit(self) -> str:
        """A job's id."""
        answer = await self.ask("POST", "/jobs", {"order": ANY_ORDER})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def job(self, job: str) -> dict[str, Any]:
        """As it stands; empty where it is not."""
        answer = await self.ask("GET", f"/jobs/{job}")
        return dict(answer.json()) if answer.status_code == 200 else {}

    async def until(self, job: str, phase: str) -> dict[str, Any]:
        """The job, once it is in a phase."""
        found: dict[str, Any] = await until(lambda: self._in(job, phase))
        return found

    async def _in(self, job: str, phase: str) -> dict[str, Any]:
        there = await self.job(job)
        return there if there.get("phase") == phase else {}


async def until(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The first answer that is not empty."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not (found := await ask()):
            await asyncio.sleep(0.1)
    return found


async def _started(argo: ArgoStage, name: str) -> Any:
    async def look() -> Any:
        return [one for one in (await argo.ask("GET"))["items"] if one["metadata"]["name"] == name]

    return await until(look)


async def test_phases_follow_the_watch(argo: ArgoStage, tmp_path: Path) -> None:
    """Queued, running, failed with Argo's reason; cancelled by a stop; retried by another Workflow."""
    with live_api(any_context(tmp_path, engine=argo.engine)) as url:
        api = Api(url)
        job, other = await api.submit(), await api.submit()
        await _started(argo, f"{job}-1")
        await argo.move(f"{job}-1", Phase.RUNNING)
        await api.until(job, "running")
        await argo.move(f"{job}-1", Phase.FAILED, "no node has room")
        assert (await api.until(job, "failed"))["error"] == "no node has room"
        await _started(argo, f"{other}-1")
        await api.ask("POST", f"/jobs/{other}/cancel")

        async def stopped() -> bool:
            return (await argo.ask("GET", f"{other}-1"))["spec"].get("shutdown") == "Stop"

        await until(stopped)
        await argo.obey(f"{other}-1")
        await api.until(other, "cancelled")
        assert (await api.ask("POST", f"/jobs/{other}/retry")).json()["attempt"] == 2
        await _started(argo, f"{other}-2")


async def test_workflows_of_others_become_jobs(argo: ArgoStage, tmp_path: Path) -> None:
    """One that is submitted by other means, under its name; one that is deleted behind our back has failed, and why."""
    with live_api(any_context(tmp_path, engine=argo.engine)) as url:
        api = Api(url)
        spec = {"workflowTemplateRef": {"name": "map-aoi"}}
        kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}
        await argo.ask("POST", "", {**kind, "metadata": {"name": "nightly-farm"}, "spec": spec})
        found = await api.until("nightly-farm", "queued")
        assert (found["owner"], found["origin"]) == ("workflows", "workflow")
        job = await api.submit()
        await _started(argo, f"{job}-1")
        await argo.move(f"{job}-1", Phase.RUNNING)
        await api.until(job, "running")
        await argo.vanish(f"{job}-1")
        assert "deleted before it ended" in (await api.until(job, "failed"))["error"]


async def test_while_kubernetes_is_away(argo: ArgoStage, tmp_path: Path) -> None:
    """Submissions are kept and say why they wait; readiness is our own database; they go out, once, when it is back."""
    with live_api(any_context(tmp_path, engine=argo.engine)) as url:
        api = Api(url)
        argo.server.stop("kube-apiserver")
        job = await api.submit()
        assert (await api.ask("GET", "/health/ready")).status_code == 200
        status = (await api.ask("GET", "/health/status")).json()
        assert status["dependencies"]["engine"]["status"] == "failing"

        async def told() -> str:
            return str((await api.job(job))["error"])

        assert "Kubernetes" in await until(told)
        await asyncio.to_thread(argo.server.start)
        await _started(argo, f"{job}-1")

        async def clear() -> bool:
            return (await api.job(job))["error"] == ""

        assert await until(clear)


async def test_a_restart_and_two_replicas(argo: ArgoStage, tmp_path: Path) -> None:
    """What was known is known after it; what happened meanwhile is heard; nothing is doubled."""
    with live_api(any_context(tmp_path, engine=argo.engine)) as url:
        job = await Api(url).submit()
        await _started(argo, f"{job}-1")
    await argo.move(f"{job}-1", Phase.RUNNING)
    contexts = [any_context(tmp_path, engine=await argo.replica()) for _ in range(2)]
    with live_api(contexts[0]) as first, live_api(contexts[1]) as second:
        await Api(second).until(job, "running")
        jobs = [await Api(url).submit() for url in (first, second, first, second)]
        for name in jobs:
            await _started(argo, f"{name}-1")
        names = [found["metadata"]["name"] for found in (await argo.ask("GET"))["items"]]
        assert sorted(names) == sorted(f"{name}-1" for name in (job, *jobs))
        listed = (await Api(first).ask("GET", "/jobs")).json()["items"]
        assert sorted(found["id"] for found in listed) == sorted([job, *jobs])
