"""Argo Workflows as an engine, through the Kubernetes API: a list, then a watch from where the list ended.

Large Workflows are compressed and then offloaded, so nothing is read of their nodes: phase, message, labels and
timestamps are enough. The watch ends and begins again as the server likes; 410 Gone begins with a list.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import httpx2  # what lightkube speaks through
import msgspec
import structlog
from lightkube import ApiError, AsyncClient, ConfigError
from lightkube.config.kubeconfig import KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.core_v1 import Pod
from lightkube.types import PatchType

from api.engines.pod_logs import archived, spoken
from api.engines.protocol import Sighting, Synced, Work
from api.schemas import LogLine
from steps import naming
from steps.errors import DataError, GeoCropError, StoreError
from steps.model.job import MapRequest, Phase
from steps.settings import Settings
from steps.store import open_store

Workflow: Any = create_namespaced_resource("argoproj.io", "v1alpha1", "Workflow", "workflows")
JOB_LABEL = "geocrop.io/job"
_OURS = "geocrop.io/workflow"
_TEMPLATE_LABEL = "workflows.argoproj.io/workflow-template"
_WATCH_SECONDS = 240
"""After so long the server ends a watch, which begins again where it was."""
_SILENCE_SECONDS = 30
"""On top of that: a connection that is dead without having been closed."""
_AGAIN_SECONDS = 1.0
_PHASES = {
    "": Phase.QUEUED,
    "Pending": Phase.QUEUED,
    "Running": Phase.RUNNING,
    "Succeeded": Phase.SUCCEEDED,
    "Failed": Phase.FAILED,
    "Error": Phase.FAILED,
}
_log = structlog.get_logger()


class ArgoEngine:
    """See Engine."""

    def __init__(
        self,
        namespace: str,
        template: str,
        shared: Settings,
        config: KubeConfig | None = None,
        watch_seconds: int = _WATCH_SECONDS,
        store_url: str = "",
    ) -> None:
        """`store_url`: where Argo archives logs."""
        self._namespace, self._template, self._shared = namespace, template, shared
        self._config, self._watch_seconds, self._store_url = config, watch_seconds, store_url
        self._opened: AsyncClient | None = None

    @property
    def _client(self) -> AsyncClient:
        if self._opened is None:
            try:
                config = (self._config or KubeConfig.from_env()).get()
            except ConfigError as error:
                raise StoreError(f"no cluster is known: {error}", "set KUBECONFIG, or run in a cluster") from error
            self._opened = AsyncClient(config, namespace=self._namespace, trust_env=False)
        return self._opened

    async def open(self) -> None:
        """See Engine."""

    async def close(self) -> None:
        """See Engine."""
        if self._opened is not None:
            await self._opened.aclose()

    async def ping(self) -> None:
        """See Engine."""
        with _translated():
            async for _ in self._client.list(Workflow, chunk_size=1, labels={JOB_LABEL: "none"}):
                break

    async def start(self, work: Work) -> str:
        """See Engine. The request goes to the store first: a parameter is capped at 256 kB."""
        key = naming.request_key(work.job)
        store = open_store(work.store, self._shared)
        await asyncio.to_thread(store.put_bytes, key, msgspec.json.encode(work.request))
        wanted = self._workflow(work, store.href(key))
        try:
            with _translated(conflict_is_ours=True):
                made = await self._client.create(wanted)
        except _AlreadyThere:
            with _translated():
                made = await self._client.get(Workflow, work.name)
        return str(made.metadata.uid)

    def _workflow(self, work: Work, request: str) -> Any:
        parameters = _shown(work.request) | {
            "request": request,
            "job": work.job,
            "store": work.store,
            "no-probe": "false" if work.probe else "true",
        }
        return Workflow(
            metadata={
                "name": work.name,
                "namespace": self._namespace,
                "labels": {JOB_LABEL: work.job, _OURS: self._template},
            },
            spec={
                "workflowTemplateRef": {"name": self._template},
                "arguments": {"parameters": [{"name": name, "value": value} for name, value in parameters.items()]},
            },
        )

    async def cancel(self, name: str) -> None:
        """See Engine. Stop, not Terminate: exit handlers still run."""
        with _translated(missing_is_fine=True):
            found = await self._client.get(Workflow, name)
            if _phase(found) in {Phase.QUEUED, Phase.RUNNING}:
                await self._client.patch(Workflow, name, {"spec": {"shutdown": "Stop"}}, patch_type=PatchType.MERGE)

    async def remove(self, name: str) -> None:
        """See Engine."""
        with _translated(missing_is_fine=True):
            await self._client.delete(Workflow, name, cascade=None, grace_period=None)

    async def sightings(self) -> AsyncIterator[Sighting | Synced]:
        """See Engine."""
        while True:
            try:
                async for said in self._listed_and_watched():
                    yield said
            except GeoCropError as error:
                _log.warning("argo.away", error=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _listed_and_watched(self) -> AsyncIterator[Sighting | Synced]:
        """Until the server has forgotten where we were."""
        with _translated():
            listing = self._client.list(Workflow)
            found = [one async for one in listing]
            version = listing.resourceVersion
        ours = [one for one in found if self._is_ours(one)]
        for one in ours:
            yield _sighting(one)
        yield Synced(names=frozenset(one.metadata.name for one in ours))
        with _translated(gone_is_fine=True):
            watch = self._client.watch(Workflow, resource_version=version, server_timeout=self._watch_seconds)
            async for event, one in _until_silent(watch, self._watch_seconds + _SILENCE_SECONDS):
                if self._is_ours(one):
                    yield _sighting(one, gone=event == "DELETED")

    def _is_ours(self, workflow: Any) -> bool:
        labels = workflow.metadata.labels or {}
        return self._template in {labels.get(_OURS), labels.get(_TEMPLATE_LABEL), self._named_template(workflow)}

    def _named_template(self, workflow: Any) -> str:
        return str(((workflow.get("spec") or {}).get("workflowTemplateRef") or {}).get("name", ""))

    async def logs(self, name: str, tile: str, *, follow: bool) -> AsyncIterator[LogLine]:
        """See Engine. Pods that are gone are read from the archive in the store."""
        there = set(await self._pods(name))
        if self._store_url:
            store = open_store(self._store_url, self._shared)
            async for line in archived(store, name, there):
                if not tile or line.tile == tile:
                    yield line
        spoke = spoken(
            lambda: self._pods(name),
            lambda pod: self._said(pod, follow=follow),
            lambda: self._is_over(name),
            follow=follow,
        )
        async for line in spoke:
            if not tile or line.tile == tile:
                yield line

    async def _pods(self, name: str) -> list[str]:
        labels: dict[str, Any] = {"workflows.argoproj.io/workflow": name}
        with _translated():
            found = self._client.list(Pod, namespace=self._namespace, labels=labels)
            return [str(pod.metadata.name) async for pod in found if pod.metadata]

    async def _said(self, pod: str, *, follow: bool) -> AsyncIterator[str]:
        """Nothing of a pod that has not begun, or is gone by now."""
        with contextlib.suppress(httpx2.HTTPError):
            async for text in self._client.log(pod, container="main", follow=follow):
                yield text

    async def _is_over(self, name: str) -> bool:
        over = True
        with _translated(missing_is_fine=True):
            over = _phase(await self._client.get(Workflow, name)) not in {Phase.QUEUED, Phase.RUNNING}
        return over  # noqa: RET504 - one that is not there is over, too


def _shown(request: MapRequest) -> dict[str, str]:
    """What people read of it in Argo; what is done stands in the request itself."""
    return {
        "name": request.aoi.name,
        "season": str(request.season),
        "model": f"{request.model.name}/{request.model.version}",
        "catalog": request.catalog,
    }


class _AlreadyThere(Exception):  # noqa: N818 - not an error
    """A Workflow of this name."""


async def _until_silent(watch: AsyncIterable[Any], seconds: float) -> AsyncIterator[Any]:
    """Ends when nothing was heard for so long: whoever listens begins anew, with a list."""
    following = aiter(watch)
    with contextlib.suppress(TimeoutError, StopAsyncIteration):
        while True:
            async with asyncio.timeout(seconds):
                heard = await anext(following)
            yield heard


def _sighting(workflow: Any, *, gone: bool = False) -> Sighting:
    facts, status = workflow.metadata, workflow.get("status") or {}
    return Sighting(
        name=facts.name,
        uid=facts.uid,
        phase=_phase(workflow),
        error=str(status.get("message", ""))[:2000],
        job=(facts.labels or {}).get(JOB_LABEL, ""),
        gone=gone,
        created=facts.creationTimestamp or dt.datetime.now(dt.UTC),
    )


def _phase(workflow: Any) -> Phase:
    """A workflow that was stopped has failed, for Argo; for us it is cancelled."""
    phase = _PHASES.get((workflow.get("status") or {}).get("phase", ""), Phase.QUEUED)
    stopped = (workflow.get("spec") or {}).get("shutdown") in {"Stop", "Terminate"}
    return Phase.CANCELLED if phase is Phase.FAILED and stopped else phase


@contextlib.contextmanager
def _translated(*, missing_is_fine: bool = False, conflict_is_ours: bool = False, gone_is_fine: bool = False) -> Any:
    """Kubernetes' answers become ours: refused, or later."""
    try:
        yield
    except httpx2.HTTPStatusError as error:
        code, said = _code(error), str(error).partition("\n")[0]
        if (code == 404 and missing_is_fine) or (code == 410 and gone_is_fine):
            return
        if code == 409 and conflict_is_ours:
            raise _AlreadyThere from error
        if code in {400, 413, 422}:
            raise DataError(f"Kubernetes refuses: {said}", "check the template") from error
        raise StoreError(f"Kubernetes answers {code}: {said}", "see that it runs, and what we may do there") from error
    except httpx2.HTTPError as error:
        raise StoreError(f"Kubernetes does not answer ({type(error).__name__})", "try again") from error


def _code(error: httpx2.HTTPStatusError) -> int:
    """Of the answer, or of an event of a watch that stands for one."""
    if isinstance(error, ApiError):
        return error.status.code or 0
    return error.response.status_code
