"""One promise for all engines: the fake, the local one, and Argo Workflows on a real Kubernetes API."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from api.engines.fake import FakeEngine
from api.engines.protocol import Sighting, Synced
from steps import naming
from steps.errors import TryAgainError
from steps.model.job import MapRequest, Phase
from steps.settings import Settings
from steps.store import open_store
from tests.engine_stages import ArgoStage, FakeStage, LocalStage, Stage, any_work, listening
from tests.kubernetes_server import SUBMITTER, KubernetesServer

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("kubernetes")]


@pytest.fixture(params=["fake", "local", "argo"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    made: Stage
    if request.param == "fake":
        made = FakeStage()
    elif request.param == "local":
        made = LocalStage(tmp_path / "engine")
    else:
        made = ArgoStage(request.getfixturevalue("kubernetes"), tmp_path)
    await made.engine.open()
    yield made
    await made.close()


async def test_started_twice_is_once(stage: Stage, tmp_path: Path) -> None:
    """By one replica or by two: one work, one uid; it is told with its job, queued."""
    async with listening(stage.engine) as ear:
        first = await stage.engine.start(any_work(tmp_path))
        other = await stage.replica()
        assert {await stage.engine.start(any_work(tmp_path)), await other.start(any_work(tmp_path))} == {first}
        seen = await ear.phase("any-job-1", Phase.QUEUED)
    assert (seen.uid, seen.job) == (first, "any-job")
    assert seen.created is not None
    assert first != await stage.engine.start(any_work(tmp_path, attempt=2))


async def test_a_work_is_followed_to_its_end(stage: Stage, tmp_path: Path) -> None:
    """Queued, running, over: with its reason where it failed."""
    works = [any_work(tmp_path, job) for job in ("good", "bad")]
    async with listening(stage.engine) as ear:
        for work in works:
            await stage.engine.start(work)
            await ear.phase(work.name, Phase.QUEUED)
            await stage.move(work.name, Phase.RUNNING)
            await ear.phase(work.name, Phase.RUNNING)
        await stage.move("good-1", Phase.SUCCEEDED)
        await stage.move("bad-1", Phase.FAILED, "the disk is full")
        await ear.phase("good-1", Phase.SUCCEEDED)
        assert (await ear.phase("bad-1", Phase.FAILED)).error == "the disk is full"


async def test_after_a_restart_all_is_told_again(stage: Stage, tmp_path: Path) -> None:
    """With the same uids; then all names, then what is new."""
    uid = await stage.engine.start(any_work(tmp_path))
    await stage.move("any-job-1", Phase.RUNNING)
    async with listening(await stage.replica()) as ear:
        assert (await ear.phase("any-job-1", Phase.RUNNING)).uid == uid
        assert "any-job-1" in (await ear.synced()).names
        await stage.engine.start(any_work(tmp_path, "later"))
        await ear.phase("later-1", Phase.QUEUED)


@pytest.mark.parametrize("running", [False, True])
async def test_cancelling(stage: Stage, tmp_path: Path, running: bool) -> None:
    """A work that waits or runs is asked to stop, and told as cancelled once it has."""
    await stage.engine.start(any_work(tmp_path))
    if running:
        await stage.move("any-job-1", Phase.RUNNING)
    async with listening(stage.engine) as ear:
        if running:
            await ear.phase("any-job-1", Phase.RUNNING)
        await stage.engine.cancel("any-job-1")
        await stage.obey("any-job-1")
        await ear.phase("any-job-1", Phase.CANCELLED)


async def test_what_is_over_or_not_there_is_not_cancelled(stage: Stage, tmp_path: Path) -> None:
    """Nothing happens, however often."""
    await stage.engine.start(any_work(tmp_path))
    await stage.move("any-job-1", Phase.SUCCEEDED)
    async with listening(stage.engine) as ear:
        await ear.phase("any-job-1", Phase.SUCCEEDED)
        await stage.engine.cancel("any-job-1")
        await stage.engine.cancel("never-1")
    async with listening(await stage.replica()) as ear:
        await ear.phase("any-job-1", Phase.SUCCEEDED)


async def test_removing(stage: Stage, tmp_path: Path) -> None:
    """A work is stopped and forgotten, and told as gone; under its name another may start."""
    first = await stage.engine.start(any_work(tmp_path))
    await stage.move("any-job-1", Phase.RUNNING)
    async with listening(stage.engine) as ear:
        await ear.phase("any-job-1", Phase.RUNNING)
        await stage.engine.remove("any-job-1")
        await ear.gone("any-job-1")
        await stage.engine.remove("any-job-1")
        assert await stage.engine.start(any_work(tmp_path)) != first


async def test_deleted_behind_our_back(stage: Stage, tmp_path: Path) -> None:
    """Is told as gone, too."""
    await stage.engine.start(any_work(tmp_path))
    async with listening(stage.engine) as ear:
        await ear.phase("any-job-1", Phase.QUEUED)
        await stage.vanish("any-job-1")
        await ear.gone("any-job-1")


async def test_an_engine_that_is_away_says_so(stage: Stage) -> None:
    """As something that may work later."""
    await stage.engine.ping()
    await stage.leave()
    with pytest.raises(TryAgainError):
        await stage.engine.ping()


async def test_where_there_is_no_log_nothing_is_told(stage: Stage, tmp_path: Path) -> None:
    """Neither of a work that is not there, nor of one that has said nothing."""
    assert [line async for line in stage.engine.logs("never-1", "", follow=True)] == []
    await stage.engine.start(any_work(tmp_path))
    await stage.move("any-job-1", Phase.SUCCEEDED)
    if not isinstance(stage.engine, FakeEngine):
        assert [line async for line in stage.engine.logs("any-job-1", "", follow=True)] == []


# -- what only Argo knows ------------------------------------------------------------------------------------------


@pytest.fixture
async def argo(kubernetes: KubernetesServer, tmp_path: Path) -> AsyncIterator[ArgoStage]:
    """Whose watches end, and begin again where they were, every second."""
    made = ArgoStage(kubernetes, tmp_path, watch_seconds=1)
    yield made
    await made.close()


async def test_a_workflow_as_it_is_submitted(argo: ArgoStage, tmp_path: Path) -> None:
    """It names the template and its job; the request lies in the store, since a parameter holds 256 kB at most."""
    work = any_work(tmp_path)
    await argo.engine.start(work)
    found = await argo.ask("GET", work.name)
    parameters = {one["name"]: one["value"] for one in found["spec"]["arguments"]["parameters"]}
    assert found["spec"]["workflowTemplateRef"] == {"name": "map-aoi"}
    assert (parameters["job"], parameters["store"], parameters["no-probe"]) == (work.job, work.store, "false")
    key = naming.request_key(work.job)
    store = open_store(work.store, Settings(home=tmp_path))
    assert parameters["request"] == store.href(key)
    assert msgspec.json.decode(store.get_bytes(key), type=MapRequest) == work.request


async def test_cancelling_lets_exit_handlers_run(argo: ArgoStage, tmp_path: Path) -> None:
    """`shutdown: Stop`, not Terminate."""
    await argo.engine.start(any_work(tmp_path))
    await argo.engine.cancel("any-job-1")
    assert (await argo.ask("GET", "any-job-1"))["spec"]["shutdown"] == "Stop"


async def test_a_watch_begins_again_where_it_was(argo: ArgoStage, tmp_path: Path) -> None:
    """After the server ended it: what is new is heard, and nothing is listed again."""
    async with listening(argo.engine) as ear:
        await asyncio.sleep(1.5)
        await argo.engine.start(any_work(tmp_path))
        await ear.phase("any-job-1", Phase.QUEUED)
        assert len([said for said in ear.heard if isinstance(said, Synced)]) == 1


async def test_a_watch_whose_past_is_forgotten_begins_with_a_list(argo: ArgoStage, tmp_path: Path) -> None:
    """410 Gone: a list says what there is, and what is not there any more; then it goes on."""
    await argo.engine.start(any_work(tmp_path, "old"))
    async with listening(argo.engine) as ear:
        await ear.phase("old-1", Phase.QUEUED)
        for name in ("some", "more"):
            path, body = f"/api/v1/namespaces/{argo.namespace}/configmaps", {"metadata": {"name": name}}
            await asyncio.to_thread(argo.server.ask, "POST", path, body)
        await asyncio.to_thread(argo.server.compact)
        await ear.until(lambda _: len([said for said in ear.heard if isinstance(said, Synced)]) >= 2)
        await argo.engine.start(any_work(tmp_path, "new"))
        await ear.phase("new-1", Phase.QUEUED)


async def test_a_server_that_comes_back(argo: ArgoStage, tmp_path: Path) -> None:
    """The connection breaks, works move meanwhile; a list tells where they are."""
    await argo.engine.start(any_work(tmp_path))
    async with listening(argo.engine) as ear:
        argo.server.stop("kube-apiserver")
        with pytest.raises(TryAgainError):
            await argo.engine.start(any_work(tmp_path, "meanwhile"))
        await asyncio.to_thread(argo.server.start)
        await argo.move("any-job-1", Phase.RUNNING)
        await ear.phase("any-job-1", Phase.RUNNING)


async def test_workflows_of_others(argo: ArgoStage) -> None:
    """Made with the same template by whatever means they are told; all others are none of ours."""
    reference = {"spec": {"workflowTemplateRef": {"name": "map-aoi"}}}
    cron = {"labels": {"workflows.argoproj.io/workflow-template": "map-aoi"}}
    kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}
    async with listening(argo.engine) as ear:
        await argo.ask("POST", "", {**kind, "metadata": {"name": "by-hand"}, **reference})
        await argo.ask("POST", "", {**kind, "metadata": {"name": "by-cron", **cron}, "spec": {}})
        await argo.ask("POST", "", {**kind, "metadata": {"name": "backup"}, "spec": {}})
        await argo.ask("POST", "", {**kind, "metadata": {"name": "last"}, **reference})
        for name in ("by-hand", "by-cron", "last"):
            assert (await ear.phase(name, Phase.QUEUED)).job == ""
        assert "backup" not in {said.name for said in ear.heard if isinstance(said, Sighting)}


async def test_the_role_allows_what_is_needed_and_no_more(argo: ArgoStage) -> None:
    """The engine works under the committed role; the same token reads no secret and starts no pod."""
    root = f"/api/v1/namespaces/{argo.namespace}"
    for method, path in (("GET", "secrets"), ("POST", "pods"), ("GET", "configmaps"), ("DELETE", "pods")):
        answer = await asyncio.to_thread(argo.server.ask, method, f"{root}/{path}", {}, token=SUBMITTER)
        assert answer.status_code == 403, path
    elsewhere = "/apis/argoproj.io/v1alpha1/namespaces/default/workflows"
    assert (await asyncio.to_thread(argo.server.ask, "GET", elsewhere, token=SUBMITTER)).status_code == 403
