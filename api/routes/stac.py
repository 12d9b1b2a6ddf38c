"""A STAC API over the published maps: core, collections, features and item search."""

from typing import Annotated

from litestar import Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from api import stac
from api.auth import AnyRequest
from api.problems import problems
from api.routes.parameters import Bbox, Shared, Who
from api.schemas import Json

GEOJSON = "application/geo+json"
_FOUND = {200: ResponseSpec(data_container=Json, media_type=GEOJSON, description="GeoJSON", generate_examples=False)}
Datetime = Annotated[str | None, QueryParameter(description="RFC 3339 time or interval", max_length=100)]
Most = Annotated[int, QueryParameter(description="Most items of a page; there are never more than 100", ge=1)]
Token = Annotated[str | None, QueryParameter(description="From the link `next`", max_length=20)]
Names = Annotated[str | None, QueryParameter(description="Separated by commas", max_length=4000)]


@get("/", summary="STAC landing page", responses=problems())
async def landing(context: Shared, reader: Who) -> Json:  # noqa: ARG001 - the scope is checked
    """The catalog of published maps."""
    return stac.landing(context)


@get("/conformance", summary="Conformance classes", responses=problems())
async def conformance(reader: Who) -> Json:  # noqa: ARG001
    """What of STAC API and OGC API is kept."""
    return {"conformsTo": list(stac.CONFORMANCE)}


@get("/collections", summary="Collections", responses=problems())
async def collections(context: Shared, reader: Who) -> Json:
    """There is one: the maps."""
    return await stac.collections(context, reader)


@get("/collections/{collection:str}", summary="One collection", responses=problems())
async def collection(collection: FromPath[str], context: Shared, reader: Who) -> Json:
    """With its extent."""
    return await stac.collection(context, reader, collection)


@get("/collections/{collection:str}/items", summary="Items", media_type=GEOJSON, responses={**_FOUND, **problems()})
async def items(
    request: AnyRequest,
    collection: FromPath[str],
    context: Shared,
    reader: Who,
    bbox: Bbox = None,
    datetime: Datetime = None,
    limit: Most = 10,
    token: Token = None,
) -> Json:
    """Published maps, the newest first."""
    query = stac.query_of(bbox=bbox, datetime=datetime, limit=limit, token=token)
    stac.check_collection(collection)
    return await stac.search(context, reader, query, f"collections/{collection}/items", _asked(request))


@get(
    "/collections/{collection:str}/items/{item:str}",
    summary="One item",
    media_type=GEOJSON,
    responses={**_FOUND, **problems()},
)
async def item(collection: FromPath[str], item: FromPath[str], context: Shared, reader: Who) -> Json:
    """A published map."""
    stac.check_collection(collection)
    return await stac.item(context, reader, item)


@get("/search", summary="Search items", media_type=GEOJSON, responses={**_FOUND, **problems()})
async def search(
    request: AnyRequest,
    context: Shared,
    reader: Who,
    bbox: Bbox = None,
    datetime: Datetime = None,
    collections: Names = None,
    ids: Names = None,
    intersects: Annotated[str | None, QueryParameter(description="GeoJSON geometry", max_length=4000)] = None,
    limit: Most = 10,
    token: Token = None,
) -> Json:
    """Published maps, the newest first."""
    query = stac.query_of(
        bbox=bbox,
        datetime=datetime,
        collections=collections,
        ids=ids,
        intersects=intersects,
        limit=limit,
        token=token,
    )
    return await stac.search(context, reader, query, "search", _asked(request))


@post("/search", summary="Search items", status_code=200, media_type=GEOJSON, responses={**_FOUND, **problems()})
async def search_by_body(data: JSONBody[stac.SearchBody], context: Shared, reader: Who) -> Json:
    """The same, from a body."""
    return await stac.search(context, reader, stac.query_of_body(data), "search", data)


def _asked(request: AnyRequest) -> dict[str, str]:
    return {name: str(value) for name, value in request.query_params.items()}


router = Router(
    path="/",
    tags=["stac"],
    route_handlers=[landing, conformance, collections, collection, items, item, search, search_by_body],
)
