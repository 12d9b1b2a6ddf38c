"""The API in this process: real records and store, a fake engine, and the clerk's answers without its process."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar.testing import AsyncTestClient

from api.app import make_app
from api.context import Context, make_context
from api.engines.fake import FakeEngine
from api.engines.protocol import Engine
from api.hub import Hub
from api.problems import ProblemError
from api.reconcile import Reconciler
from api.settings import ApiSettings
from steps import clerk, naming
from steps.model.job import Plan, Reason, TileMapped
from steps.settings import Settings
from steps.testing import any_plan, any_request
from tests.s3_server import free_ports

ANY_SEASON = {"start": "2021-10-01", "end": "2022-09-30"}
ANY_ORDER: dict[str, Any] = {
    "aoi": {"type": "Polygon", "coordinates": [[[31, -18], [31.1, -18], [31.1, -17.9], [31, -17.9], [31, -18]]]},
    "season": ANY_SEASON,
    "model": "any-model",
}


_ANY_COST: dict[str, Any] = {
    "tiles": 2, "stored": 0, "bare": 0, "scenes": 3, "area_km2": 117.0, "crs": "EPSG:32736", "width": 128, "height": 64,
    "read_mb": 1.0, "seconds": 2.0, "memory_mb": 500.0, "workers": 1, "store_mb": 1.0, "output_mb": 1.0,
    "measured": "any", "cloud_free": None, "dates": [], "days_by_period": [1],
}  # fmt: skip


class DeskClerk:
    """Answers orders with the same small request, knows no models, and says all else as the clerk does."""

    async def ask(self, do: str, **asked: object) -> Any:
        """See Clerk."""
        if do == "order":
            facts = {"tiles": 2, "bbox": [31, -18, 31.1, -17.9], "area_km2": 117.0, "vertices": 5}
            return {"request": msgspec.to_builtins(any_request()), **facts}
        if do == "models":
            return []
        if do == "quote":
            return _ANY_COST
        answer = await asyncio.to_thread(clerk.answer, msgspec.json.encode({"do": do, **asked}))
        document = msgspec.json.decode(answer)
        if "refused" in document:
            raise ProblemError(422, document["refused"]["what"], document["refused"]["remedy"])
        return document["done"]

    async def end_idle(self) -> None:
        """See Clerk."""

    async def close(self) -> None:
        """See Clerk."""


@dataclass(slots=True)
class ApiServer:
    """One replica."""

    client: AsyncTestClient[Any]
    context: Context
    engine: FakeEngine
    reconciler: Reconciler

    async def submit(self, headers: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
        """A job."""
        answer = await self.client.post("/api/v1/jobs", json={"order": ANY_ORDER | changes}, headers=headers)
        assert answer.status_code in {200, 202}, answer.text
        return dict(answer.json())

    async def job(self, job: str) -> dict[str, Any]:
        """As it stands."""
        answer = await self.client.get(f"/api/v1/jobs/{job}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def settle(self, rounds: int = 3) -> None:
        """Let the reconciler hear and act."""
        listening = asyncio.create_task(self.reconciler._hear())
        for _ in range(rounds):
            await asyncio.sleep(0)
            await self.reconciler.round()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def any_context(home: Path, *, engine: Engine | None = None, database: Any = None, **changes: Any) -> Context:
    """What a replica works with: SQLite unless told otherwise, a folder store, a fake engine and a quick clerk."""
    shared = changes.pop("shared", None) or Settings(home=home)
    settings = ApiSettings(**({"auth": "off", "catalogs": "any=/nowhere", "tiler_secret": "any-secret"} | changes))
    context = make_context(settings, shared)
    context.engine = engine or FakeEngine()
    context.desk = context.planner = DeskClerk()  # type: ignore[assignment]
    if database is not None:
        context.database = database
        context.hub = Hub(database)
    return context


@contextlib.contextmanager
def live_api(context: Context, port: int = 0) -> Iterator[str]:
    """A replica on a port of its own, in a thread, with its reconciler at work; its address."""
    port = port or free_ports(1)[0]
    started, loop = threading.Event(), asyncio.new_event_loop()
    server = Server(make_app(context), port=port, interface=Interfaces.ASGI, log_enabled=False)

    async def serve() -> None:
        started.set()
        await server.serve()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    started.wait()
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url)
        yield url
    finally:
        loop.call_soon_threadsafe(server.stop)
        thread.join(30)
        loop.close()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/api/v1/health/live", trust_env=False).status_code == 200:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{url} is not served")


@contextlib.asynccontextmanager
async def api_server(
    home: Path, *, engine: FakeEngine | None = None, database: Any = None, page: Path | None = None, **changes: Any
) -> AsyncIterator[ApiServer]:
    """A replica whose reconciler acts when the test lets it."""
    context = any_context(home, engine=engine, database=database, **changes)
    async with AsyncTestClient(make_app(context, page, reconcile=False)) as client:
        assert isinstance(context.engine, FakeEngine)
        yield ApiServer(client, context, context.engine, Reconciler(context))


def store_plan(server: ApiServer, job: str) -> Plan:
    """What a worker leaves once it has planned."""
    plan = any_plan(job=job)
    server.context.store.put_bytes(naming.plan_key(job), msgspec.json.encode(plan))
    return plan


def store_tile(server: ApiServer, plan: Plan, number: int) -> list[str]:
    """What a worker leaves once it has mapped a tile; the keys of its shared objects."""
    entry = plan.tiles[number]
    key = plan.tile_job(entry).key
    done = TileMapped(
        tile=entry.tile, planned_key=key, key=key, pixels={Reason.MAPPED: 1}, scenes=3, seconds={"total": 2.0}
    )
    keys = [make(plan.grid, entry.tile, key) for make in (naming.tile_raster_key, naming.tile_result_key)]
    for one in keys:
        server.context.store.put_bytes(one, b"any")
    server.context.store.put_bytes(naming.job_tile_key(plan.job, entry.tile), msgspec.json.encode(done))
    return keys


def store_item(server: ApiServer, plan: Plan) -> None:
    """What a worker leaves once it has published."""
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": plan.job,
        "bbox": [31.0, -18.0, 31.1, -17.9],
        "geometry": ANY_ORDER["aoi"],
        "links": [],
        "assets": {
            "map": {"href": "./map.tif", "title": "Map", "type": "image/tiff", "file:checksum": "1220" + "ab" * 32}
        },
        "properties": {
            "datetime": None,
            "start_datetime": "2021-10-01T00:00:00Z",
            "end_datetime": "2022-09-30T23:59:59Z",
            "created": "2099-01-01T00:00:00Z",
            "geocrop:phase": "succeeded",
            "geocrop:coverage": {"share": 1.0},
            "geocrop:areas_ha": {"0": 3.0, "1": 9.0},
            "geocrop:classes": msgspec.to_builtins(list(plan.card.classes)),
            "geocrop:plan": {},
        },
    }
    server.context.store.put_bytes(naming.item_key(plan.job), msgspec.json.encode(item))
