"""A published map as its owner gets it: the STAC item with addresses that work for some hours."""

import asyncio
import datetime as dt
import posixpath
from collections.abc import Iterator
from typing import Any

import msgspec

from api.context import Context
from api.database.jobs import JobRow
from api.hrefs import Hrefs
from api.problems import ProblemError
from api.schemas import ClassArea, Download, Json, ResultLayer, ResultView, TileJson
from steps import naming
from steps.counterparts import counterpart, safe_colours
from steps.credit import COPERNICUS
from steps.model.job import Phase
from steps.store import MissingObject

_THUMBNAIL_PX = 128
_TILES = "tiles/WebMercatorQuad/{z}/{x}/{y}.png"
_VERSION_DIGITS = 16
"""Of a file's checksum, in the addresses of its tiles: the same address, the same bytes."""


async def result(context: Context, job: JobRow) -> ResultView:
    """Raises a 404 until the map is published."""
    return await asyncio.to_thread(_view, context, job)


def _view(context: Context, job: JobRow) -> ResultView:
    item = document(context, naming.item_key(job.id))
    if item is None:
        raise ProblemError(404, f"job {job.id} has no map", "wait until it is published; its phase says why not")
    expires = expiry(context)
    opened = with_hrefs(context, item, expires)
    properties = item["properties"]
    assessment = document(context, naming.map_key(job.id, "assessment.json"))
    return ResultView(
        job=job.id,
        phase=job.phase,
        item=opened,
        layers={
            name: ResultLayer(
                title=asset["title"], href=asset["href"], tilejson=layer_tilejson(context, item, name, expires)
            )
            for name, asset in opened["assets"].items()
            if name in naming.MAP_LAYERS
        },
        areas=_areas(properties, assessment),
        coverage=properties["geocrop:coverage"],
        drift={name: value for name, value in properties.items() if name.startswith("geocrop:drift")} or None,
        accuracy=assessment,
        downloads=[_capsule(context, job.id, expires), *_files(item, opened)],
        expires=expires,
    )


def _files(item: Json, opened: Json) -> Iterator[Download]:
    for name, asset in opened["assets"].items():
        yield Download(
            name=posixpath.basename(item["assets"][name]["href"]),
            title=asset["title"],
            href=asset["href"],
            media_type=asset["type"],
            bytes=asset.get("file:size", 0),
        )


def _capsule(context: Context, job: str, expires: dt.datetime) -> Download:
    """The item as it was published, with the plan that `geocrop replay` makes the same map from."""
    key = naming.item_key(job)
    return Download(
        name="item.json",
        title="Provenance: the STAC item with the whole plan",
        href=file_href(context, key, expires),
        media_type="application/geo+json",
        bytes=context.store.size(key),
    )


def hrefs(context: Context) -> Hrefs:
    """Makes addresses."""
    return Hrefs.of(context.settings, context.shared, context.tiler_secret)


def expiry(context: Context) -> dt.datetime:
    """Until when addresses made now hold."""
    return hrefs(context).expiry()


def with_hrefs(context: Context, item: Json, expires: dt.datetime) -> Json:
    """The item with absolute addresses of its files."""
    root = naming.map_key(item["id"], "")
    assets = {
        name: {**asset, "href": file_href(context, posixpath.normpath(f"{root}{asset['href']}"), expires)}
        for name, asset in item["assets"].items()
    }
    return {**item, "assets": assets}


def file_href(context: Context, key: str, expires: dt.datetime) -> str:
    """An address that opens one object until then, for GET, HEAD and ranges."""
    return hrefs(context).of_object(key, expires)


def layer_tilejson(context: Context, item: Json, layer: str, expires: dt.datetime) -> TileJson:
    """Tiles of one layer, signed; the content is part of the address."""
    version = str(item["assets"][layer].get("file:checksum", ""))[-_VERSION_DIGITS:]
    path, made = f"maps/{item['id']}/{layer}/{version}", hrefs(context)
    return TileJson(
        name=f"{item['id']} {layer}",
        tiles=[made.of_tiler(f"{path}/{_TILES}?tilesize=512&{made.signed(path, expires)}")],
        bounds=tuple(item["bbox"]),
        attribution=COPERNICUS,
    )


def thumbnail(context: Context, job: JobRow) -> str:
    """A small picture of a published map; empty where there is none. Nothing is read for it."""
    if job.phase not in {Phase.SUCCEEDED, Phase.PARTIAL}:
        return ""
    path, made = f"maps/{job.id}/map/attempt-{job.attempt}", hrefs(context)
    return made.of_tiler(f"{path}/preview.png?max_size={_THUMBNAIL_PX}&{made.signed(path, made.expiry())}")


def _areas(properties: Json, assessment: Json | None) -> list[ClassArea]:
    classes = {one["code"]: one for one in properties["geocrop:classes"]}
    hectares = {int(code): float(area) for code, area in properties["geocrop:areas_ha"].items()}
    total = sum(hectares.values()) or 1.0
    assessed = _assessed(assessment)
    safe = safe_colours({code: one["name"] for code, one in classes.items()})
    return [
        ClassArea(
            code=code,
            name=one["name"],
            colour=one["colour"],
            safe_colour=safe[code],
            hectares=hectares.get(code, 0.0),
            share=round(hectares.get(code, 0.0) / total, 6),
            counterpart=counterpart(one["name"]),
            **assessed.get(code, {}),
        )
        for code, one in sorted(classes.items())
    ]


def _assessed(assessment: Json | None) -> dict[int, Any]:
    """Adjusted hectares and their interval, by class code."""
    found = {}
    for one in (assessment or {}).get("accuracy", {}).get("classes", []):
        area = one["hectares"]
        interval = (area["low"], area["high"]) if area["low"] is not None else None
        found[one["stratum"]["code"]] = {"adjusted_hectares": area["value"], "interval_hectares": interval}
    return found


def document(context: Context, key: str) -> Json | None:
    """A JSON object of the store; None where there is none."""
    try:
        found: Json = msgspec.json.decode(context.store.get_bytes(key))
    except MissingObject:
        return None
    return found
