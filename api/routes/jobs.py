"""Jobs: submit, watch, cancel, retry, delete, and the map."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream

from api import jobs as service
from api import orders, results, streams
from api.database.jobs import JobFilter, load_request
from api.database.tiles import list_tiles
from api.parsing import parse_bbox, parse_cursor
from api.principal import Principal
from api.problems import ProblemError, problems
from api.quota import QUOTA, quota_headers
from api.routes.parameters import Bbox, Cursor, Limit, Shared, Who
from api.schemas import JobOrder, JobPage, JobView, Json, ResultView, TileCollection
from api.views import tile_collection
from steps.model.job import Phase

_NO_BUFFERING = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_EVENTS = {
    200: ResponseSpec(
        data_container=bytes,
        media_type="text/event-stream",
        description="Events `phase`, `planned`, `tiles`, each with an id; data: PhaseEvent, PlannedEvent, TilesEvent",
        generate_examples=False,
    ),
    204: ResponseSpec(data_container=None, description="The job has ended, and all its events were heard"),
}
_LINES = {
    200: ResponseSpec(
        data_container=bytes,
        media_type="application/x-ndjson",
        description="One LogLine a line",
        generate_examples=False,
    )
}
_SAME = {
    200: ResponseSpec(data_container=JobView, description="Submitted before under this key", generate_examples=False)
}
Day = Annotated[dt.datetime | None, QueryParameter(description="Aware time, as 2026-01-01T00:00:00Z")]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key", description="The same key and order again is the same job", min_length=1, max_length=120
    ),
]
LastEvent = Annotated[str | None, HeaderParameter(name="Last-Event-ID", description="Resume after this event")]


@post(
    "/",
    summary="Submit a job",
    status_code=202,
    responses={**_SAME, **problems(409, 422)},
    response_headers=QUOTA,
)
async def submit_job(
    data: JSONBody[JobOrder],
    context: Shared,
    submitter: Who,
    idempotency_key: IdempotencyKey = None,
) -> Response[JobView]:
    """202 with the queued job; 200 with the same job when it was submitted before under the same Idempotency-Key."""
    context.limiter.take("submission", submitter.owner)
    job, new = await orders.submit(context, submitter, data, idempotency_key)
    view = await service.view(context, job)
    headers = {"Location": view.links.self, **await quota_headers(context, job.owner)}
    return Response(view, status_code=202 if new else 200, headers=headers)


@get("/", summary="List jobs", responses=problems())
async def list_jobs(
    context: Shared,
    reader: Who,
    phase: FromQuery[Phase | None] = None,
    since: Day = None,
    until: Day = None,
    bbox: Bbox = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> JobPage:
    """The newest first."""
    _check_no_link(reader)
    wanted = JobFilter(
        owner=reader.sees,
        phase=phase,
        box=parse_bbox(bbox),
        since=_aware(since),
        until=_aware(until),
        before=parse_cursor(cursor),
        limit=limit,
    )
    return await service.page(context, wanted)


def _aware(time: dt.datetime | None) -> dt.datetime | None:
    if time is not None and time.tzinfo is None:
        raise ProblemError(400, "the time has no zone", "write it as 2026-01-01T00:00:00Z")
    return time


def _check_no_link(reader: Principal) -> None:
    if reader.method == "link":
        raise ProblemError(403, "a link opens one job", "ask for that job")


@get("/{job:str}", summary="One job", responses=problems())
async def get_job(job: FromPath[str], context: Shared, reader: Who) -> JobView:
    """Where it stands, and where the rest is."""
    return await service.view(context, await service.own_job(context, reader, job))


@get("/{job:str}/aoi", summary="A job's area", responses=problems())
async def get_job_aoi(job: FromPath[str], context: Shared, reader: Who) -> Json:
    """GeoJSON Feature."""
    row = await service.own_job(context, reader, job)
    async with context.database.read() as connection:
        body = await load_request(connection, row.id)
    if not body:
        raise ProblemError(404, f"the area of job {row.id} is not known yet", "wait until it is planned")
    area = msgspec.json.decode(body, type=orders.Pinned).request.aoi
    return {"type": "Feature", "id": row.id, "properties": {"name": area.name}, "geometry": area.geometry}


@post("/{job:str}/cancel", summary="Cancel a job", status_code=202, responses=problems())
async def cancel_job(job: FromPath[str], context: Shared, submitter: Who) -> JobView:
    """The job; it is cancelled a moment later. Nothing happens to one that has ended."""
    return await service.view(context, await service.cancel(context, submitter, job))


@post(
    "/{job:str}/retry",
    summary="Run the unfinished tiles again",
    status_code=202,
    responses=problems(409),
    response_headers=QUOTA,
)
async def retry_job(job: FromPath[str], context: Shared, submitter: Who) -> Response[JobView]:
    """The job, queued again; tiles that are done come from the store."""
    context.limiter.take("submission", submitter.owner)
    row = await service.retry(context, submitter, job)
    return Response(await service.view(context, row), headers=await quota_headers(context, row.owner))


@delete("/{job:str}", summary="Delete a job with its map", status_code=204, responses=problems())
async def delete_job(job: FromPath[str], context: Shared, submitter: Who) -> None:
    """Stops it first. Tiles that other jobs need stay."""
    await service.delete(context, submitter, job)


@get("/{job:str}/tiles", summary="A job's tiles", responses=problems())
async def get_tiles(job: FromPath[str], context: Shared, reader: Who) -> TileCollection:
    """GeoJSON; empty until the job is planned. Follow the events from `event` on."""
    row = await service.own_job(context, reader, job)
    async with context.database.read() as connection:
        return tile_collection(await list_tiles(connection, row.id), row.seq)


@get("/{job:str}/events", summary="Follow a job", media_type="text/event-stream", responses={**_EVENTS, **problems()})
async def get_events(
    job: FromPath[str],
    context: Shared,
    reader: Who,
    last_event_id: LastEvent = None,
    after: Annotated[int, QueryParameter(description="The same, for the first connection", ge=0, le=2**31)] = 0,
) -> Response[Any]:
    """Server-sent events with ids: reconnect with the last one and none is missed. Ends with the job; then 204."""
    row = await service.own_job(context, reader, job)
    start = _event_number(last_event_id, after)
    if not await streams.has_more(context, row, start):
        return Response(None, status_code=204)
    return _streamed(streams.event_stream(context, row, start), "text/event-stream")


def _event_number(last_event_id: str | None, after: int) -> int:
    if last_event_id is None or not (last_event_id.isascii() and last_event_id.isdecimal()):
        return after
    return min(int(last_event_id[:10]), 2**31)


def _streamed(content: AsyncIterator[bytes], media_type: str) -> Stream:
    return Stream(content, media_type=media_type, headers=_NO_BUFFERING)


@get("/{job:str}/logs", summary="A job's log", media_type="application/x-ndjson", responses={**_LINES, **problems()})
async def get_logs(
    job: FromPath[str],
    context: Shared,
    reader: Who,
    tile: Annotated[str, QueryParameter(description="Only lines of this tile", max_length=20)] = "",
    follow: FromQuery[bool] = False,
) -> Response[Any]:
    """JSON lines of the present attempt; with `follow` until it ends."""
    row = await service.own_job(context, reader, job)
    return _streamed(streams.log_stream(context, row, tile, follow=follow), "application/x-ndjson")


@get("/{job:str}/result", summary="A job's map", responses=problems())
async def get_result(job: FromPath[str], context: Shared, reader: Who) -> ResultView:
    """STAC item, layers with TileJSON, areas, downloads; the addresses in it hold for some hours."""
    return await results.result(context, await service.own_job(context, reader, job))


router = Router(
    path="/jobs",
    tags=["jobs"],
    route_handlers=[
        submit_job,
        list_jobs,
        get_job,
        get_job_aoi,
        cancel_job,
        retry_job,
        delete_job,
        get_tiles,
        get_events,
        get_logs,
        get_result,
    ],
)
