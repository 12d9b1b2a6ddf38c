"""Whether it works, and what a page needs to know first."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec

from api.context import Context
from api.metrics import render
from api.problems import problems
from api.routes.parameters import Shared, Who
from api.schemas import Configuration, DependencyHealth, Health, Status
from api.settings import is_loopback, pairs
from steps.errors import GeoCropError, StoreError
from steps.versions import code_version

_PATIENCE_SECONDS = 5.0


@get("/health/live", tags=["health"], summary="Alive", responses=problems())
async def live() -> Health:
    """The process answers."""
    return Health(status="ok")


_NOT_READY = {503: ResponseSpec(data_container=Health, description="The database is away", generate_examples=False)}


@get("/health/ready", tags=["health"], summary="Ready", responses={**problems(), **_NOT_READY})
async def ready(context: Shared) -> Response[Health]:
    """Our own database answers; what else we need may be away."""
    found = await _check(context.database.ping)
    status = 200 if found.status == "ok" else 503
    return Response(Health(status=found.status, detail=found.detail), status_code=status)


@get("/health/status", tags=["health"], summary="All dependencies", responses=problems())
async def status(context: Shared, reader: Who) -> Status:  # noqa: ARG001 - the scope is checked
    """Each with the time that it took to answer."""
    checks: dict[str, Callable[[], Awaitable[Any]]] = {
        "database": context.database.ping,
        "engine": context.engine.ping,
        "store": lambda: asyncio.to_thread(context.store.exists, "baselines/any.json"),
        **_neighbours(context),
    }
    found = dict(zip(checks, await asyncio.gather(*map(_check, checks.values())), strict=True))
    working = all(one.status == "ok" for one in found.values())
    return Status(status="ok" if working else "degraded", version=code_version(), dependencies=found)


def _neighbours(context: Context) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Servers beside us. TiTiler only where it is of this machine: its address is for users, who may be elsewhere."""
    registry, tiler = context.shared.mlflow_uri.rstrip("/"), context.settings.tiler_url.rstrip("/")
    found: dict[str, Callable[[], Awaitable[Any]]] = {}
    if registry.startswith(("http://", "https://")):
        found["models"] = lambda: _answers(f"{registry}/health")
    if is_loopback(urlsplit(tiler).hostname or ""):
        found["tiler"] = lambda: _answers(f"{tiler}/healthz")
    if context.oidc is not None:
        found["sign_in"] = context.oidc.ping
    return found


async def _answers(url: str) -> None:
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE_SECONDS) as http:
            (await http.get(url)).raise_for_status()
    except httpx.HTTPError as error:
        raise StoreError(f"{url}: {str(error) or type(error).__name__}", "see that it runs") from error


async def _check(ask: Callable[[], Awaitable[Any]]) -> DependencyHealth:
    start = time.monotonic()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await ask()
    except (GeoCropError, TimeoutError) as error:
        return DependencyHealth(status="failing", detail=str(error) or "no answer", milliseconds=_since(start))
    return DependencyHealth(status="ok", milliseconds=_since(start))


def _since(start: float) -> float:
    return round((time.monotonic() - start) * 1000, 1)


_TEXT = {
    200: ResponseSpec(data_container=str, media_type="text/plain", description="Prometheus", generate_examples=False)
}


@get("/metrics", tags=["health"], summary="Metrics", media_type="text/plain", responses={**_TEXT, **problems()})
async def metrics(context: Shared) -> Response[bytes]:
    """For Prometheus; counts only, no names."""
    body, media_type = await render(context)
    return Response(body, media_type=media_type)


@get("/config", tags=["health"], summary="What a page needs to know first", responses=problems())
async def config(context: Shared) -> Configuration:
    """Addresses and limits; no secrets."""
    settings = context.settings
    tiler = settings.tiler_url.rstrip("/")
    return Configuration(
        version=code_version(),
        tiler=tiler,
        auth=settings.auth,
        sign_in="/api/v1/auth/login" if context.oidc else "",
        require_quote=settings.require_quote,
        max_aoi_km2=settings.max_aoi_km2,
        max_tiles=settings.max_tiles,
        max_vertices=settings.max_vertices,
        max_upload_mb=settings.max_upload_mb,
        catalogs=sorted(pairs(settings.catalogs, "GEOCROP_API_CATALOGS")),
        rasters=sorted(pairs(settings.rasters, "GEOCROP_API_RASTERS")),
        basemap_url=settings.basemap_url,
        basemap_attribution=settings.basemap_attribution,
    )


handlers = [live, ready, status, metrics, config]
