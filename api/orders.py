"""From an order to a quote or a job: names looked up, the model pinned, limits kept, the intent written down."""

import datetime as dt
import hashlib
from typing import Any

import msgspec

from api.budget import MB_PER_KM2
from api.clock import now
from api.context import Context
from api.database.aois import find_aoi
from api.database.driver import TakenError
from api.database.jobs import JobRow, Use, active_km2, find_submission, insert_job, jobs_ahead
from api.database.records import QuoteRow, find_quote, insert_quote
from api.database.tiles import add_event
from api.principal import Principal
from api.problems import ProblemError, not_found
from api.quota import check_quota
from api.schemas import Cost, JobOrder, MapOrder, ModelName, PhaseEvent, QuoteView, TileCounts
from api.secrets import new_id
from api.settings import pairs
from api.views import queue_view
from steps import naming
from steps.model.job import MapOptions, MapRequest, Phase

_QUOTE_HOURS = 24
_MUCH_CLOUD = 0.3


class Pinned(msgspec.Struct, frozen=True, kw_only=True):
    """An order that nothing can change any more, and what it amounts to."""

    request: MapRequest
    tiles: int
    bbox: tuple[float, float, float, float]
    area_km2: float
    probe: bool = True
    name: str = ""
    """As given; the request's own is a slug."""


# -- quotes --------------------------------------------------------------------------------------------------------


async def price(context: Context, who: Principal, order: MapOrder) -> QuoteView:
    """What an order would cost, good for a day."""
    pinned = await pin(context, who, order)
    answer = await context.planner.ask(
        "quote",
        request=pinned.request,
        store=context.store_url,
        probe=order.options.probe,
        pods=context.settings.argo_pods if context.settings.engine == "argo" else 0,
    )
    made = now()
    async with context.database.write() as connection:
        view = QuoteView(
            id=new_id(12),
            name=pinned.name or pinned.request.aoi.name,
            season=order.season,
            model=_model_name(pinned.request),
            cost=msgspec.convert({**answer, "days": answer["dates"]}, Cost),
            queue=queue_view(await jobs_ahead(connection, None)),
            warnings=_warnings(answer),
            created=made,
            expires=made + dt.timedelta(hours=_QUOTE_HOURS),
        )
        await insert_quote(
            connection,
            QuoteRow(
                id=view.id,
                owner=who.owner,
                request=msgspec.json.encode(pinned).decode(),
                body=msgspec.json.encode(view).decode(),
                created=made,
                expires=view.expires,
            ),
        )
    return view


def _warnings(answer: dict[str, Any]) -> list[str]:
    found = []
    if not answer["scenes"]:
        found.append("no scene of this season covers the area")
    elif 0 in answer["days_by_period"]:
        found.append("part of the season has no scene")
    if answer["cloud_free"] is not None and answer["cloud_free"] < _MUCH_CLOUD:
        found.append("most of the season is cloudy")
    if answer["bare"]:
        found.append(f"{answer['bare']} tiles have no scene")
    return found


async def saved_quote(context: Context, who: Principal, quote: str) -> QuoteView:
    """A quote of one's own; raises a 404."""
    return msgspec.json.decode((await _own_quote(context, who, quote)).body, type=QuoteView)


async def _own_quote(context: Context, who: Principal, quote: str) -> QuoteRow:
    async with context.database.read() as connection:
        row = await find_quote(connection, quote, now())
    if row is None or row.owner != who.owner:
        raise not_found(f"quote {quote[:40]}")
    return row


# -- jobs ----------------------------------------------------------------------------------------------------------


async def submit(context: Context, who: Principal, order: JobOrder, submission: str | None) -> tuple[JobRow, bool]:
    """The job, and whether it is new: the same submission twice is one job."""
    fingerprint = hashlib.sha256(msgspec.json.encode(order)).hexdigest()
    if submission and (job := await _submitted(context, who, submission, fingerprint)):
        return job, False
    pinned = await _ordered(context, who, order)
    await _check_room(context, pinned)
    job = _new_job(who, pinned, submission, fingerprint)
    try:
        await _keep(context, job, pinned)
    except TakenError:
        job_of_another = await _submitted(context, who, submission or "", fingerprint)
        if job_of_another is None:
            raise
        return job_of_another, False
    context.wake.set()
    return job, True


async def _submitted(context: Context, who: Principal, submission: str, fingerprint: str) -> JobRow | None:
    async with context.database.read() as connection:
        job = await find_submission(connection, who.owner, submission)
    if job is not None and job.wanted == "delete":
        raise ProblemError(409, "the job of this Idempotency-Key is being deleted", "use a new key for a new job")
    if job is not None and job.fingerprint != fingerprint:
        raise ProblemError(422, "this Idempotency-Key was used for another order", "use a new key for a new order")
    return job


async def _ordered(context: Context, who: Principal, order: JobOrder) -> Pinned:
    if (order.order is None) == (not order.quote):
        raise ProblemError(422, "a job needs an order or a quote, and not both", "give `order` or `quote`")
    if order.quote:
        return msgspec.json.decode((await _own_quote(context, who, order.quote)).request, type=Pinned)
    if context.settings.require_quote:
        raise ProblemError(422, "this server wants a quote first", "post the order to /api/v1/quotes")
    assert order.order is not None  # noqa: S101 - by the first check
    return await pin(context, who, order.order)


async def _keep(context: Context, job: JobRow, pinned: Pinned) -> None:
    """The intent, written down before anything else happens."""
    async with context.database.write() as connection:
        await check_quota(connection, context.settings, job.owner, use_of(job))
        await insert_job(connection, job, msgspec.json.encode(pinned).decode())
        event = PhaseEvent(phase=Phase.QUEUED, attempt=1, tiles=TileCounts())
        await add_event(connection, job.id, "phase", msgspec.json.encode(event), job.created)


def use_of(job: JobRow) -> Use:
    """What a job takes of its owner's quota while it is active."""
    return Use(jobs=1, tiles=job.ordered, km2=job.area_km2)


def _new_job(who: Principal, pinned: Pinned, submission: str | None, fingerprint: str) -> JobRow:
    request, made = pinned.request, now()
    unique = hashlib.sha256(f"{who.owner}\n{submission}".encode()).hexdigest()[:12] if submission else new_id(6)
    job = f"{naming.slug(request.aoi.name, 24)}-{unique}"
    west, south, east, north = pinned.bbox
    return JobRow(
        id=job,
        owner=who.owner,
        name=pinned.name or request.aoi.name,
        work=work_name(job, 1),
        season_start=request.season.start.isoformat(),
        season_end=request.season.end.isoformat(),
        model_name=request.model.name,
        model_version=request.model.version,
        model_digest=request.model.digest,
        catalog=request.catalog.rpartition("/")[2] if "://" not in request.catalog else request.catalog,
        collection=request.collection,
        area_km2=pinned.area_km2,
        ordered=pinned.tiles,
        west=west,
        south=south,
        east=east,
        north=north,
        submission=submission,
        fingerprint=fingerprint,
        created=made,
        updated=made,
    )


def work_name(job: str, attempt: int) -> str:
    """What the engine calls an attempt; a DNS label."""
    return f"{job}-{attempt}"


# -- what fits -----------------------------------------------------------------------------------------------------


async def pin(context: Context, who: Principal, order: MapOrder) -> Pinned:
    """The order with everything looked up and pinned; raises a 422 for what cannot be mapped."""
    allowed = context.settings
    rasters = pairs(allowed.rasters, "GEOCROP_API_RASTERS")
    options = order.options
    asked = {
        "aoi": await _geometry(context, who, order),
        "name": order.name,
        "season": f"{order.season.start.isoformat()}/{order.season.end.isoformat()}",
        "model": _registered(order.model),
        "catalog": _catalog(context, order.catalog),
        "collection": order.collection,
        "options": _map_options(order),
        "mask": _raster(rasters, options.mask),
        "layers": {layer: _raster(rasters, name) for layer, name in options.layers.items()},
        "baseline": _baseline(context, options.baseline_year),
        "max_km2": min(allowed.max_aoi_km2, allowed.max_active_km2),
        "max_vertices": allowed.max_vertices,
    }
    answer = await context.planner.ask("order", order=asked)
    pinned = msgspec.convert({**answer, "probe": options.probe, "name": order.name.strip()}, Pinned)
    most = min(allowed.max_tiles, allowed.max_active_tiles)
    if pinned.tiles > most:
        raise ProblemError(422, f"{pinned.tiles:,} tiles, {most:,} are allowed", "draw a smaller area, or larger tiles")
    return pinned


def _map_options(order: MapOrder) -> MapOptions:
    options = order.options
    return MapOptions(
        epsg=options.epsg,
        tile_size=options.tile_size,
        min_coverage=options.min_coverage,
        max_cloud=options.max_cloud,
        exclude_bad_scenes=options.exclude_bad_scenes,
        probabilities=options.probabilities,
        min_unit_px=options.min_unit_px,
    )


async def _geometry(context: Context, who: Principal, order: MapOrder) -> dict[str, Any]:
    if (order.aoi is None) == (not order.aoi_id):
        raise ProblemError(422, "an order needs an area, once", "give `aoi` or `aoi_id`")
    if order.aoi is not None:
        return order.aoi
    async with context.database.read() as connection:
        row = await find_aoi(connection, order.aoi_id)
    if row is None or (row.owner != who.owner and not who.is_admin):
        raise not_found(f"area {order.aoi_id[:40]}")
    geometry: dict[str, Any] = msgspec.json.decode(row.body)
    return {"type": "Feature", "properties": {"name": row.name}, "geometry": geometry}


def _registered(model: str) -> str:
    """A model of the registry, never a folder of this machine."""
    return f"models:/{model.removeprefix('models:/')}"


def _catalog(context: Context, name: str) -> str:
    allowed = pairs(context.settings.catalogs, "GEOCROP_API_CATALOGS")
    if not name and len(allowed) == 1:
        return next(iter(allowed.values()))
    if name not in allowed:
        listed = ", ".join(sorted(allowed)) or "none"
        raise ProblemError(422, f"catalog {name[:60]!r} is not allowed", f"these are: {listed}")
    return allowed[name]


def _raster(allowed: dict[str, str], name: str) -> str:
    if name and name not in allowed:
        listed = ", ".join(sorted(allowed)) or "none"
        raise ProblemError(422, f"raster {name[:60]!r} is not allowed", f"these are: {listed}")
    return allowed[name] if name else ""


def _baseline(context: Context, year: int | None) -> str:
    if year is None:
        return ""
    key = naming.baseline_key(year)
    if not context.store.exists(key):
        raise ProblemError(422, f"there is no baseline of {year}", "see /api/v1/baselines")
    return context.store.href(key)


async def _check_room(context: Context, pinned: Pinned) -> None:
    """Raises a 409 where the store has no room for the map."""
    async with context.database.read() as connection:
        promised = await active_km2(connection) * MB_PER_KM2
    await context.budget.check(pinned.area_km2 * MB_PER_KM2, promised)


def _model_name(request: MapRequest) -> ModelName:
    return ModelName(name=request.model.name, version=request.model.version, digest=request.model.digest)
