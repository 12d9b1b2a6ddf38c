"""Areas: saved ones, and files turned into one."""

from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from api.auth import AnyRequest
from api.clerk import convert_upload
from api.clock import now
from api.context import Context
from api.database.aois import AoiRow, erase_aoi, find_aoi, insert_aoi, list_aois
from api.parsing import parse_bbox, parse_cursor
from api.principal import Principal
from api.problems import not_found, problems
from api.routes.parameters import Bbox, Cursor, Limit, Shared, Who
from api.schemas import AoiDraft, AoiOrder, AoiPage, AoiView
from api.secrets import new_id
from api.views import aoi_view


@post("/", summary="Save an area", status_code=201, responses=problems(422))
async def create_aoi(data: JSONBody[AoiOrder], context: Shared, submitter: Who) -> Response[AoiView]:
    """Checked as for a job."""
    draft = await _checked(context, data)
    west, south, east, north = draft.bbox
    row = AoiRow(
        id=new_id(8),
        owner=submitter.owner,
        name=data.name,
        body=msgspec.json.encode(draft.geometry).decode(),
        area_km2=draft.area_km2,
        west=west,
        south=south,
        east=east,
        north=north,
        created=now(),
    )
    async with context.database.write() as connection:
        await insert_aoi(connection, row)
    return Response(aoi_view(row), status_code=201, headers={"Location": f"/api/v1/aois/{row.id}"})


async def _checked(context: Context, order: AoiOrder) -> AoiDraft:
    answer = await context.desk.ask(
        "aoi",
        document=order.geometry,
        name=order.name,
        max_km2=context.settings.max_aoi_km2,
        max_vertices=context.settings.max_vertices,
    )
    return msgspec.convert(answer, AoiDraft)


@post("/check", summary="Check an area", status_code=200, responses=problems(422))
async def check_aoi(
    data: JSONBody[AoiOrder],
    context: Shared,
    reader: Who,  # noqa: ARG001
) -> AoiDraft:
    """The area merged and measured, or what is wrong with it; nothing is saved."""
    return await _checked(context, data)


async def convert_aoi(
    request: AnyRequest,
    context: Shared,
    submitter: Who,
    filename: Annotated[str, QueryParameter(description="Tells the format", min_length=1, max_length=200)],
) -> AoiDraft:
    """The area in a file; nothing is saved."""
    context.limiter.take("submission", submitter.owner)
    draft = await convert_upload(
        request.stream(),
        filename.replace("/", "_"),
        max_vertices=context.settings.max_vertices,
        max_km2=context.settings.max_aoi_km2,
    )
    return msgspec.convert(draft, AoiDraft)


@get("/", summary="List saved areas", responses=problems())
async def get_aois(
    context: Shared, reader: Who, bbox: Bbox = None, cursor: Cursor = None, limit: Limit = 50
) -> AoiPage:
    """The newest first."""
    async with context.database.read() as connection:
        found = await list_aois(connection, reader.sees, parse_bbox(bbox), parse_cursor(cursor), limit + 1)
    shown = found[:limit]
    following = str(shown[-1].n) if len(found) > limit else None
    return AoiPage(items=[aoi_view(row) for row in shown], next=following)


@get("/{aoi:str}", summary="One saved area", responses=problems())
async def get_aoi(aoi: FromPath[str], context: Shared, reader: Who) -> AoiView:
    """With its geometry."""
    return aoi_view(await _own(context, reader, aoi))


@delete("/{aoi:str}", summary="Forget a saved area", status_code=204, responses=problems())
async def delete_aoi(aoi: FromPath[str], context: Shared, submitter: Who) -> None:
    """Jobs of it stay."""
    row = await _own(context, submitter, aoi)
    async with context.database.write() as connection:
        await erase_aoi(connection, row.id)


async def _own(context: Context, who: Principal, aoi: str) -> AoiRow:
    async with context.database.read() as connection:
        row = await find_aoi(connection, aoi)
    if row is None or (who.sees is not None and row.owner != who.sees):
        raise not_found(f"area {aoi[:40]}")
    return row


def make_router(max_upload_mb: int) -> Router:
    """Uploads may be larger than other bodies."""
    upload = post(
        "/convert",
        summary="Turn a file into an area",
        status_code=200,
        request_max_body_size=max_upload_mb * 1_000_000,
        responses=problems(422),
    )(convert_aoi)
    handlers = [create_aoi, check_aoi, upload, get_aois, get_aoi, delete_aoi]
    return Router(path="/aois", tags=["aois"], route_handlers=handlers)
