"""The life of a job through the API, with an engine that moves when the test says so."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from stac_pydantic import Item
from stac_pydantic.api import ItemCollection

from api.database.jobs import find_job
from api.engines.fake import FakeEngine
from api.engines.protocol import Sighting
from steps import naming
from steps.model.job import Phase
from steps.settings import Settings
from tests.api_server import ANY_ORDER, ApiServer, api_server, store_item, store_plan, store_tile

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with api_server(tmp_path) as one:
        yield one


async def test_a_job_is_kept_before_it_is_started(server: ApiServer) -> None:
    """Submitting writes an intent and nothing else; the reconciler starts it, once."""
    job = await server.submit()
    assert (job["phase"], job["queue"]["jobs_ahead"], server.engine.starts) == ("queued", 0, [])
    await server.settle()
    await server.settle()
    assert server.engine.starts == [f"{job['id']}-1"]


async def test_the_same_submission_twice_is_one_job(server: ApiServer) -> None:
    """Under one Idempotency-Key; another order under it is refused."""
    key = {"Idempotency-Key": "once"}
    first, again = await server.submit(key), await server.submit(key)
    assert first["id"] == again["id"]
    other = await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER | {"name": "b"}}, headers=key)
    assert (other.status_code, other.json()["title"]) == (422, "cannot be mapped")


async def test_a_quote_can_be_required_first(tmp_path: Path) -> None:
    """Then an order alone is refused, and a quote is taken; quotes say how many wait before it."""
    async with api_server(tmp_path, require_quote=True) as server:
        refused = await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER})
        assert (refused.status_code, "quote" in refused.json()["remedy"]) == (422, True), refused.text
        quote = (await server.client.post("/api/v1/quotes", json=ANY_ORDER)).json()
        assert (await server.client.post("/api/v1/jobs", json={"quote": quote["id"]})).status_code == 202
        later = (await server.client.post("/api/v1/quotes", json=ANY_ORDER | {"name": "later"})).json()
        assert (quote["queue"]["jobs_ahead"], later["queue"]["jobs_ahead"]) == (0, 1)


async def test_a_job_from_start_to_map(server: ApiServer) -> None:
    """Phases follow the engine, tiles and the map follow the store; events tell all of it in order."""
    job = (await server.submit())["id"]
    await server.settle()
    server.engine.move(f"{job}-1", Phase.RUNNING)
    plan = store_plan(server, job)
    store_tile(server, plan, 0)
    await server.settle()
    there = await server.job(job)
    assert (there["phase"], there["tiles"]["total"], there["tiles"]["succeeded"]) == ("running", 2, 1)
    shown = (await server.client.get(f"/api/v1/jobs/{job}/tiles")).json()
    assert [one["properties"]["phase"] for one in shown["features"]] == ["succeeded", "queued"]
    assert shown["features"][0]["geometry"]["type"] == "Polygon"
    store_tile(server, plan, 1)
    store_item(server, plan)
    server.engine.move(f"{job}-1", Phase.SUCCEEDED)
    await server.settle()
    assert (await server.job(job))["phase"] == "succeeded"
    kinds = [line.split(": ")[1] for line in await _events(server, job) if line.startswith("event")]
    assert kinds == ["phase", "phase", "planned", "tiles", "tiles", "phase"]
    result = (await server.client.get(f"/api/v1/jobs/{job}/result")).json()
    assert [(one["name"], one["hectares"]) for one in result["areas"]][:2] == [("maize", 3.0), ("soya", 9.0)]
    assert "signature=" in result["layers"]["map"]["tilejson"]["tiles"][0]


async def test_a_tile_runs_from_its_beginning_until_it_is_done(server: ApiServer) -> None:
    """Also as long as nobody notes anything new; tiles that a job leaves behind wait again."""
    job = (await server.submit())["id"]
    await server.settle()
    server.engine.move(f"{job}-1", Phase.RUNNING)
    plan = store_plan(server, job)
    seen = []
    for number in range(2):
        server.context.store.put_bytes(naming.begun_key(job, plan.tiles[number].tile), b"")
        await server.settle()
        seen.append(await _tiles(server, job))
        store_tile(server, plan, 0)
        await server.settle()
        seen.append(await _tiles(server, job))
    assert seen == [["running", "queued"], ["succeeded", "queued"], *[["succeeded", "running"]] * 2]
    assert (await server.job(job))["tiles"] == {"total": 2, "queued": 0, "running": 1, "succeeded": 1, "failed": 0}
    server.engine.move(f"{job}-1", Phase.FAILED)
    await server.settle()
    assert (await _tiles(server, job), (await server.job(job))["tiles"]["queued"]) == (["succeeded", "queued"], 1)
    told = [line.split('"phase":"')[1].split('"')[0] for line in await _events(server, job) if '{"tiles":[{' in line]
    assert told == ["running", "succeeded", "running", "queued"]


async def _tiles(server: ApiServer, job: str) -> list[str]:
    shown = (await server.client.get(f"/api/v1/jobs/{job}/tiles")).json()
    return [one["properties"]["phase"] for one in shown["features"]]


async def _events(server: ApiServer, job: str, after: int = 0) -> list[str]:
    async with server.client.stream("GET", f"/api/v1/jobs/{job}/events", params={"after": after}) as answer:
        return [line async for line in answer.aiter_lines() if line]


async def test_events_resume_without_a_gap(server: ApiServer) -> None:
    """After the last one that was heard; a job that has ended and was heard out answers 204."""
    job = (await server.submit())["id"]
    await server.settle()
    server.engine.move(f"{job}-1", Phase.FAILED, "broken")
    await server.settle()
    ids = [line for line in await _events(server, job, after=1) if line.startswith("id")]
    assert ids == ["id: 2", "id: 3"]
    answer = await server.client.get(f"/api/v1/jobs/{job}/events", headers={"Last-Event-ID": "3"})
    assert answer.status_code == 204


async def test_cancelling(server: ApiServer) -> None:
    """A job that was not started never starts; one that runs is stopped by the engine."""
    early, late = (await server.submit())["id"], (await server.submit())["id"]
    await server.client.post(f"/api/v1/jobs/{early}/cancel")
    await server.settle()
    assert ((await server.job(early))["phase"], f"{early}-1" in server.engine.seen) == ("cancelled", False)
    await server.client.post(f"/api/v1/jobs/{late}/cancel")
    await server.settle()
    assert (await server.job(late))["phase"] == "cancelled"


async def test_retrying_does_what_is_missing(server: ApiServer) -> None:
    """A second attempt under a name of its own; what the first one noted of failed tiles is forgotten."""
    job = (await server.submit())["id"]
    await server.settle()
    plan = store_plan(server, job)
    store_tile(server, plan, 0)
    server.engine.move(f"{job}-1", Phase.FAILED)
    await server.settle()
    assert (await server.client.post(f"/api/v1/jobs/{job}/retry")).status_code == 202
    again = await server.client.post(f"/api/v1/jobs/{job}/retry")
    assert again.status_code == 409
    await server.settle()
    there = await server.job(job)
    assert (there["attempt"], there["phase"], there["tiles"]["succeeded"]) == (2, "queued", 1)
    assert server.engine.starts == [f"{job}-1", f"{job}-2"]


async def test_status_names_what_is_away(tmp_path: Path, free_port: int) -> None:
    """Every server that we depend on, and no other; we are ready all the same."""
    away = f"http://127.0.0.1:{free_port}"
    shared = Settings(home=tmp_path, mlflow_uri=away)
    issuer = {"oidc_issuer": away, "oidc_client_id": "any"}
    async with api_server(tmp_path, shared=shared, tiler_url=away, **issuer) as server:
        status = (await server.client.get("/api/v1/health/status")).json()
        assert (await server.client.get("/api/v1/health/ready")).status_code == 200
    found = {name: one["status"] for name, one in status["dependencies"].items()}
    theirs = {"models": "failing", "tiler": "failing", "sign_in": "failing"}
    assert found == {"database": "ok", "engine": "ok", "store": "ok"} | theirs
    assert (status["status"], away in status["dependencies"]["models"]["detail"]) == ("degraded", True)


async def test_while_the_engine_is_away_submissions_are_kept(server: ApiServer) -> None:
    """They go out when it is back; readiness asks only our own database."""
    server.engine.away = True
    job = (await server.submit())["id"]
    await server.reconciler.round()
    assert (await server.client.get("/api/v1/health/ready")).status_code == 200
    assert (await server.client.get("/api/v1/health/status")).json()["dependencies"]["engine"]["status"] == "failing"
    server.engine.away = False
    await server.settle()
    assert server.engine.starts == [f"{job}-1"]


async def test_a_crash_between_engine_and_record(server: ApiServer) -> None:
    """The engine was told, the record was not: starting it again finds the same work."""
    job = (await server.submit())["id"]
    await server.settle()
    async with server.context.database.write() as connection:
        await connection.run("update jobs set uid = ''")
    await server.settle()
    assert server.engine.starts == [f"{job}-1"]


async def test_two_replicas_do_not_double(server: ApiServer, tmp_path: Path) -> None:
    """Only one leads; a job is started once whichever it is."""
    async with api_server(tmp_path, engine=server.engine) as other:
        job = (await other.submit())["id"]
        await server.settle()
        await other.settle()
        server.engine.move(f"{job}-1", Phase.FAILED)
        await other.settle()
        await server.settle()
        assert server.engine.starts == [f"{job}-1"]
        async with server.context.database.read() as connection:
            row = await find_job(connection, job)
        assert row is not None
        assert (row.phase, row.seq) == (Phase.FAILED, 3)


async def test_a_deleted_job_does_not_come_back(server: ApiServer) -> None:
    """What the engine had said of its work before it was removed, and is heard after, makes no job of it."""
    job = (await server.submit())["id"]
    await server.settle()
    (late,) = server.engine.seen.values()
    assert (await server.client.delete(f"/api/v1/jobs/{job}")).status_code == 204
    await server.reconciler.round()
    await server.reconciler._adopt(late)
    assert (await server.client.get("/api/v1/jobs")).json()["items"] == []


async def test_a_work_deleted_behind_our_back(server: ApiServer) -> None:
    """Failed, with that reason; but where its map was published, it was only cleaned up."""
    lost, tidied = (await server.submit())["id"], (await server.submit())["id"]
    await server.settle()
    for job in (lost, tidied):
        server.engine.move(f"{job}-1", Phase.RUNNING)
    await server.settle()
    store_item(server, store_plan(server, tidied))
    await _vanish(server, f"{lost}-1", f"{tidied}-1")
    assert "deleted before it ended" in (await server.job(lost))["error"]
    assert (await server.job(tidied))["phase"] == "succeeded"


async def _vanish(server: ApiServer, *names: str) -> None:
    """As a watch tells it."""
    for name in names:
        server.reconciler._seen[name] = msgspec.structs.replace(server.engine.seen.pop(name), gone=True)
    await server.reconciler.round()


async def test_a_work_started_elsewhere_becomes_a_job(server: ApiServer) -> None:
    """With the owner `workflows`, described once it is planned."""
    made = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    server.engine.seen["nightly"] = Sighting(name="nightly", uid="u", phase=Phase.RUNNING, created=made)
    await server.reconciler.round()
    await server.settle()
    store_plan(server, "nightly")
    await server.settle()
    there = await server.job("nightly")
    assert (there["owner"], there["origin"], there["phase"]) == ("workflows", "workflow", "running")
    assert there["season"]["start"] == "2021-10-01"


async def test_a_work_told_while_another_led_becomes_a_job(server: ApiServer, tmp_path: Path) -> None:
    """Once its leader is gone, whoever leads next takes it in, though it is not told again."""
    async with api_server(tmp_path, engine=server.engine) as other:
        await other.reconciler.round()
        made = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        seen = Sighting(name="nightly", uid="u", phase=Phase.RUNNING, created=made)
        server.reconciler._seen["nightly"] = seen
        await server.reconciler.round()
        assert (await server.client.get("/api/v1/jobs/nightly")).status_code == 404
        async with server.context.database.write() as connection:
            await connection.run("delete from leases")
        await server.reconciler.round()
        assert (await server.job("nightly"))["origin"] == "workflow"


async def test_deleting_keeps_what_others_need(server: ApiServer) -> None:
    """The job's own objects and the tiles of nobody else go; shared tiles stay."""
    first, second = (await server.submit())["id"], (await server.submit())["id"]
    await server.settle()
    for job in (first, second):
        plan = store_plan(server, job)
        server.engine.move(f"{job}-1", Phase.RUNNING)
    keys = store_tile(server, plan, 0)
    await server.settle()
    for job in (first, second):
        assert all(server.context.store.exists(key) for key in keys)
        assert (await server.client.delete(f"/api/v1/jobs/{job}")).status_code == 204
        assert (await server.client.get(f"/api/v1/jobs/{job}")).status_code == 404
        await server.settle()
    assert not any(server.context.store.exists(key) for key in keys)
    assert list(server.context.store.list("plans/")) == []


async def test_deleting_keeps_what_is_used_by_jobs_that_were_started_elsewhere(server: ApiServer) -> None:
    """The store knows of jobs that the records do not: their tiles and models stay, here as in `clean-storage`."""
    job, store = (await server.submit())["id"], server.context.store
    await server.settle()
    plan = store_plan(server, job)
    model = naming.model_key(plan.card.digest)
    store.put_bytes(model, b"any")
    server.engine.move(f"{job}-1", Phase.RUNNING)
    shared, own = store_tile(server, plan, 0), store_tile(server, plan, 1)
    await server.settle()
    store_tile(server, store_plan(server, "elsewhere"), 0)
    await server.client.delete(f"/api/v1/jobs/{job}")
    await server.settle()
    assert all(store.exists(key) for key in (*shared, model))
    assert not any(store.exists(key) for key in own)


async def test_published_maps_are_a_stac_api(server: ApiServer) -> None:
    """Items and searches are valid, and found by box, time and id."""
    job = (await server.submit())["id"]
    await server.settle()
    store_item(server, store_plan(server, job))
    server.engine.move(f"{job}-1", Phase.SUCCEEDED)
    await server.settle()
    found = (await server.client.get("/api/v1/search", params={"bbox": "30,-19,32,-17"})).json()
    assert ItemCollection.model_validate(found).features
    item = (await server.client.get(f"/api/v1/collections/maps/items/{job}")).json()
    assert Item.model_validate(item).id == job
    for body, count in (({"ids": ["no"]}, 0), ({"datetime": "2022-01-01T00:00:00Z"}, 1), ({"collections": ["x"]}, 0)):
        assert len((await server.client.post("/api/v1/search", json=body)).json()["features"]) == count, body
    assert FakeEngine
