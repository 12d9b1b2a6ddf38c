"""The STAC API's documents. Maps are items of one collection; each caller finds their own."""

import contextlib
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from api.context import Context
from api.database.driver import Box
from api.database.jobs import find_job
from api.database.records import ItemFilter, find_item, search_items
from api.parsing import parse_bbox, parse_cursor
from api.principal import Principal
from api.problems import ProblemError, not_found
from api.results import expiry, with_hrefs
from api.schemas import Json
from steps.versions import code_version

COLLECTION = "maps"
STAC_VERSION = "1.1.0"
CONFORMANCE = (
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
)
_MOST = 100
"""Items of a page, whatever is asked for."""
_WORLD = [-180.0, -90.0, 180.0, 90.0]


class SearchBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a search; members that are not known are left alone, as the specification wants."""

    bbox: list[float] | None = None
    datetime: str | None = None
    collections: list[str] | None = None
    ids: list[str] | None = None
    intersects: dict[str, Any] | None = None
    limit: int = 10
    token: str | None = None


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A search, understood."""

    box: Box | None = None
    geometry: Json | None = None
    """What items are to intersect, within the box."""
    start: str | None = None
    end: str | None = None
    ids: tuple[str, ...] = ()
    nothing: bool = False
    """Whether no item can be found: another collection, or an empty list of ids."""
    limit: int = 10
    before: int | None = None


def query_of(  # noqa: PLR0913 - the parameters of the specification
    *,
    bbox: str | None,
    datetime: str | None,
    collections: str | None = None,
    ids: str | None = None,
    intersects: str | None = None,
    limit: int,
    token: str | None,
) -> Query:
    """From a query string. Raises a 400."""
    if bbox is not None and intersects is not None:
        raise ProblemError(400, "bbox and intersects exclude each other", "give one of them")
    start, end = _interval(datetime)
    geometry = None if intersects is None else _geometry(intersects)
    chosen = None if ids is None else tuple(filter(None, ids.split(",")))
    wanted = None if collections is None else collections.split(",")
    return Query(
        box=parse_bbox(_flat(bbox)) if geometry is None else _box_of(geometry),
        geometry=geometry,
        start=start,
        end=end,
        ids=chosen or (),
        nothing=chosen == () or (wanted is not None and COLLECTION not in wanted),
        limit=min(limit, _MOST),
        before=parse_cursor(token),
    )


def query_of_body(body: SearchBody) -> Query:
    """From a body. Raises a 400."""
    if body.limit < 1:
        raise ProblemError(400, "limit is less than 1", "give more")
    return query_of(
        bbox=None if body.bbox is None else ",".join(map(str, body.bbox)),
        datetime=body.datetime,
        collections=None if body.collections is None else ",".join(body.collections),
        ids=None if body.ids is None else ",".join(body.ids),
        intersects=None if body.intersects is None else msgspec.json.encode(body.intersects).decode(),
        limit=body.limit,
        token=body.token,
    )


def _flat(bbox: str | None) -> str | None:
    """A box in three dimensions without its heights."""
    parts = [] if bbox is None else bbox.split(",")
    return ",".join((*parts[:2], *parts[3:5])) if len(parts) == 6 else bbox


def _interval(text: str | None) -> tuple[str | None, str | None]:
    """First and last day of a time or interval; None where it is open."""
    if text is None:
        return None, None
    start, slash, end = text.partition("/")
    if not slash:
        end = start
    first, last = _time(start), _time(end)
    if (first is None and last is None) or (first and last and first > last):
        raise ProblemError(400, f"datetime {text[:60]!r} is no interval", "as 2020-01-01T00:00:00Z/..")
    return _day(first), _day(last)


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _time(text: str) -> dt.datetime | None:
    if text in {"", ".."}:
        return None
    try:
        if _RFC_3339.fullmatch(text):
            return dt.datetime.fromisoformat(text.upper())
    except ValueError:
        pass
    raise ProblemError(400, f"datetime {text[:60]!r} is no time with a zone", "as 2020-01-01T00:00:00Z")


def _day(time: dt.datetime | None) -> str | None:
    if time is None:
        return None
    with contextlib.suppress(OverflowError):  # the first and the last day of all
        time = time.astimezone(dt.UTC)
    return time.date().isoformat()


def _geometry(text: str) -> Json:
    try:
        return msgspec.json.decode(text, type=Json)
    except msgspec.DecodeError:
        raise _no_geometry() from None


def _no_geometry() -> ProblemError:
    return ProblemError(400, "intersects is no GeoJSON geometry", "give a Point, LineString or Polygon")


def _box_of(geometry: Json) -> Box:
    """Items are looked for by their boxes first."""
    try:
        positions = [one for part in geometry.get("geometries", [geometry]) for one in _positions(part["coordinates"])]
        lons, lats = zip(*((float(x), float(y)) for x, y, *_ in positions), strict=True)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
        raise _no_geometry() from None
    box = parse_bbox(f"{min(lons)},{min(lats)},{max(lons)},{max(lats)}")
    assert box is not None  # noqa: S101 - a text was given
    return box


def _positions(node: Any) -> Sequence[Any]:
    return [node] if isinstance(node[0], int | float) else [one for part in node for one in _positions(part)]


# -- documents -----------------------------------------------------------------------------------------------------


def landing(context: Context) -> Json:
    """The landing page."""
    root = _root(context)
    links = [
        _link("self", root),
        _link("root", root),
        _link("conformance", f"{root}/conformance"),
        _link("data", f"{root}/collections"),
        _link("child", f"{root}/collections/{COLLECTION}"),
        {**_link("search", f"{root}/search", "application/geo+json"), "method": "GET"},
        {**_link("search", f"{root}/search", "application/geo+json"), "method": "POST"},
        _link("service-desc", f"{root}/schema/openapi.json", "application/vnd.oai.openapi+json;version=3.1"),
    ]
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "geocrop",
        "title": "GeoCrop",
        "description": f"Land-use and crop maps, GeoCrop {code_version()}",
        "conformsTo": list(CONFORMANCE),
        "links": links,
    }


async def collections(context: Context, who: Principal) -> Json:
    """All collections."""
    root = _root(context)
    links = [_link("self", f"{root}/collections"), _link("root", root)]
    return {"collections": [await collection(context, who, COLLECTION)], "links": links}


async def collection(context: Context, who: Principal, name: str) -> Json:
    """A collection with the extent of the caller's maps; raises a 404 for any other."""
    check_collection(name)
    root = _root(context)
    here = f"{root}/collections/{COLLECTION}"
    async with context.database.read() as connection:
        found = await search_items(connection, ItemFilter(owner=_whose(who), limit=1000))
    items = [msgspec.json.decode(body) for _, _, body in found]
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": COLLECTION,
        "title": "Maps",
        "description": "Land-use and crop maps made by GeoCrop",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [_around([one["bbox"] for one in items]) or _WORLD]},
            "temporal": {"interval": [_span([one["properties"] for one in items])]},
        },
        "links": [
            _link("self", here),
            _link("root", root),
            _link("parent", root),
            _link("items", f"{here}/items", "application/geo+json"),
        ],
    }


def _around(boxes: list[list[float]]) -> list[float] | None:
    if not boxes:
        return None
    west, south, east, north = zip(*boxes, strict=True)
    return [min(west), min(south), max(east), max(north)]


def _span(properties: list[Json]) -> list[str | None]:
    starts = [one["start_datetime"] for one in properties if one.get("start_datetime")]
    ends = [one["end_datetime"] for one in properties if one.get("end_datetime")]
    return [min(starts, default=None), max(ends, default=None)]


def check_collection(name: str) -> None:
    """Raises a 404 for a collection that is not there."""
    if name != COLLECTION:
        raise not_found(f"collection {name[:40]}")


async def item(context: Context, who: Principal, name: str) -> Json:
    """One published map; raises a 404."""
    async with context.database.read() as connection:
        job = who.check_sees(await find_job(connection, name), name[:60])
        body = await find_item(connection, job.id)
    if not body:
        raise not_found(f"item {name[:60]}")
    return _linked(context, msgspec.json.decode(body), expiry(context))


async def search(
    context: Context, who: Principal, query: Query, path: str, asked: Mapping[str, str] | SearchBody
) -> Json:
    """A page of items, and where the next begins: the same question with a token."""
    found = [] if query.nothing else await _found(context, _whose(who), query)
    shown, expires = found[: query.limit], expiry(context)
    features = [_linked(context, msgspec.json.decode(text), expires) for _, _, text in shown]
    here = f"{_root(context)}/{path}"
    links = [_link("self", here, "application/geo+json"), _link("root", _root(context))]
    if path.endswith("/items"):
        links.append(_link("collection", here.removesuffix("/items")))
    if len(found) > query.limit:
        links.append(_next(here, str(shown[-1][0]), asked))
    return {
        "type": "FeatureCollection",
        "features": features,
        "links": links,
        "numberReturned": len(features),
    }


Found = tuple[int, str, str]
"""Number, job and item."""


async def _found(context: Context, owner: str | None, query: Query) -> list[Found]:
    """The items of a page and one more, where there is one more."""
    found: list[Found] = []
    wanted = ItemFilter(
        owner=owner,
        box=query.box,
        ids=query.ids,
        start=query.start,
        end=query.end,
        before=query.before,
        limit=query.limit + 1,
    )
    while True:
        async with context.database.read() as connection:
            rows = await search_items(connection, wanted)
        found += rows if query.geometry is None else await _intersecting(context, query.geometry, rows)
        if len(found) > query.limit or len(rows) < wanted.limit:
            return found[: query.limit + 1]
        wanted = msgspec.structs.replace(wanted, before=rows[-1][0])


async def _intersecting(context: Context, geometry: Json, rows: list[Found]) -> list[Found]:
    """Those that share a point with a geometry, as the clerk sees it; raises a 400 where it is none."""
    if not rows:
        return []
    outlines = {job: msgspec.json.decode(body, type=_Outline).geometry for _, job, body in rows}
    try:
        those = set(await context.desk.ask("intersecting", geometry=geometry, outlines=outlines))
    except ProblemError:
        raise _no_geometry() from None
    return [row for row in rows if row[1] in those]


class _Outline(msgspec.Struct, frozen=True):
    """The part of an item that is needed here."""

    geometry: Json


def _next(here: str, token: str, asked: Mapping[str, str] | SearchBody) -> Json:
    if not isinstance(asked, SearchBody):
        href = f"{here}?{urlencode({**asked, 'token': token})}"
        return {**_link("next", href, "application/geo+json"), "method": "GET"}
    given = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None}
    return {**_link("next", here, "application/geo+json"), "method": "POST", "body": given | {"token": token}}


def _whose(who: Principal) -> str | None:
    if who.method == "link":
        raise ProblemError(403, "a link opens one job", "ask for that job's result")
    return who.sees


def _linked(context: Context, found: Json, expires: dt.datetime) -> Json:
    root = _root(context)
    here = f"{root}/collections/{COLLECTION}"
    links = [
        _link("self", f"{here}/items/{found['id']}", "application/geo+json"),
        _link("root", root),
        _link("parent", here),
        _link("collection", here),
    ]
    return {**with_hrefs(context, found, expires), "collection": COLLECTION, "links": links}


def _root(context: Context) -> str:
    return f"{context.settings.public_url.rstrip('/')}/api/v1"


def _link(rel: str, href: str, media_type: str = "application/json") -> Json:
    return {"rel": rel, "href": href, "type": media_type}
