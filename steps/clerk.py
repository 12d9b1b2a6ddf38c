"""A process that answers questions of the API which need rasters, projections or the model registry.

`python -m steps.clerk` reads one JSON object a line, `{"do": ..., ...}`, and writes one line each, in order:
`{"done": ...}` or `{"refused": {"kind", "what", "remedy"}}`. It keeps no state between them.
"""

import datetime as dt
import io
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import shapely
import shapely.affinity
import shapely.geometry

from steps import naming
from steps.aoi import aoi_shape, geodesic_km2, parse_aoi, parse_season
from steps.calibration import load
from steps.errors import AoiError, DataError, GeoCropError, TryAgainError, UsageError
from steps.jobs import stored_tiles
from steps.layers import pin_raster
from steps.local import crew_of
from steps.log import configure
from steps.model.aoi import Aoi
from steps.model.job import MapOptions, MapRequest, Plan
from steps.models import load_card
from steps.plan import check_fit, grid_for, outline, tiles_covering
from steps.prepare import make_plan
from steps.quote import quote, scene_days
from steps.registry import fetch, list_models, pinned, resolve
from steps.scenes import absolute_catalog
from steps.settings import settings
from steps.store import open_store
from steps.work import read_plan

Answer = dict[str, Any]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A map as the API passes it on: names of catalogs and rasters already looked up."""

    aoi: dict[str, Any]
    name: str
    season: str
    """START/END."""
    model: str
    catalog: str
    collection: str
    options: MapOptions
    mask: str = ""
    layers: dict[str, str] = {}
    baseline: str = ""
    max_km2: float
    max_vertices: int


def check_order(order: Order) -> Answer:
    """The request pinned, and what it amounts to; raises a GeoCropError where it cannot be mapped."""
    aoi = parse_aoi(order.aoi, name=order.name, max_km2=order.max_km2)
    _check_vertices(aoi, order.max_vertices)
    season = parse_season(order.season, dt.datetime.now(dt.UTC).date())
    ref, card = resolve(order.model, settings())
    options = msgspec.structs.replace(
        order.options,
        mask=pin_raster(order.mask) if order.mask else None,
        layers={name: pin_raster(raster) for name, raster in order.layers.items()},
        baseline=pin_raster(order.baseline) if order.baseline else None,
    )
    check_fit(card, season, options)
    request = MapRequest(
        aoi=aoi,
        season=season,
        model=ref,
        catalog=absolute_catalog(order.catalog),
        collection=order.collection,
        options=options,
    )
    tiles = len(tiles_covering(aoi, grid_for(aoi, options)))
    return {"request": msgspec.to_builtins(request), "tiles": tiles, **_facts(aoi)}


def quote_request(request: MapRequest, store: str, probe: bool) -> Answer:
    """The cost of a pinned request; reads no pixels but those of the probe."""
    plan = make_plan(request, pinned(request.model, settings()).card, probe=probe)
    stored = {str(tile) for tile in stored_tiles(plan, open_store(store, settings()))}
    answer = quote(plan, load(settings()), stored, crew_of(settings()).workers)
    return {**msgspec.to_builtins(answer), "dates": scene_days(plan)}


def describe_plan(job: str, store: str) -> Answer:
    """The tiles of a stored plan with their outlines, and the shared objects that it may use."""
    plan = read_plan(open_store(store, settings()), job)
    return {
        "request": msgspec.to_builtins(plan.request),
        **_facts(plan.request.aoi),
        "tiles": {str(entry.tile): outline(entry.tile, plan.grid) for entry in plan.tiles},
        "objects": sorted(_objects(plan)),
    }


_TILE_OBJECTS = (naming.tile_raster_key, naming.tile_result_key, naming.tile_drift_key)


def _objects(plan: Plan) -> set[str]:
    keys = {naming.model_key(plan.card.digest)}
    if plan.card.reference is not None:
        keys.add(naming.points_key(plan.card.reference.points_sha256))
    for job in plan.tile_jobs():
        keys |= {make(job.grid, job.tile, job.key) for make in _TILE_OBJECTS}
    return keys


def describe_aoi(document: dict[str, Any], name: str, max_km2: float, max_vertices: int) -> Answer:
    """An area, checked."""
    aoi = parse_aoi(document, name=name, max_km2=max_km2)
    _check_vertices(aoi, max_vertices)
    return {"name": aoi.name, "geometry": aoi.geometry, **_facts(aoi)}


def describe_models() -> list[Answer]:
    """Every version of every registered model that this code can use."""
    found = []
    for model in list_models(settings()):
        try:
            card = load_card(str(fetch(model, settings())))
        except DataError:
            continue
        found.append({"model": msgspec.to_builtins(model), "card": msgspec.to_builtins(card)})
    return found


def intersecting(geometry: dict[str, Any], outlines: dict[str, dict[str, Any]]) -> list[str]:
    """Names of the GeoJSON outlines that share a point with a geometry; longitudes may run on past 180.

    Raises AoiError for what is no geometry.
    """
    try:
        wanted = shapely.geometry.shape(geometry)
        turns = [shapely.affinity.translate(wanted, turn) for turn in (0, 360, -360)]
        return [
            name
            for name, outline in outlines.items()
            if shapely.intersects(shapely.geometry.shape(outline), turns).any()
        ]
    except (shapely.errors.ShapelyError, AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise AoiError(f"the geometry is none: {error}", "give GeoJSON") from None


def _check_vertices(aoi: Aoi, most: int) -> None:
    count = int(shapely.get_num_coordinates(aoi_shape(aoi)))
    if count > most:
        raise AoiError(f"AOI {aoi.name} has {count:,} vertices", f"simplify it to {most:,}")


def _facts(aoi: Aoi) -> Answer:
    shape = aoi_shape(aoi)
    return {
        "bbox": list(shape.bounds),
        "area_km2": round(geodesic_km2(aoi), 6),
        "vertices": int(shapely.get_num_coordinates(shape)),
    }


# -- the conversation ----------------------------------------------------------------------------------------------

_QUESTIONS: dict[str, Callable[[Answer], Any]] = {
    "order": lambda asked: check_order(msgspec.convert(asked["order"], Order)),
    "quote": lambda asked: quote_request(
        msgspec.convert(asked["request"], MapRequest, str_keys=True), asked["store"], bool(asked["probe"])
    ),
    "plan": lambda asked: describe_plan(asked["job"], asked["store"]),
    "aoi": lambda asked: describe_aoi(asked["document"], asked["name"], asked["max_km2"], asked["max_vertices"]),
    "models": lambda _: describe_models(),
    "intersecting": lambda asked: intersecting(asked["geometry"], asked["outlines"]),
    "hello": lambda _: {},
}


def answer(line: bytes) -> bytes:
    """The answer to one line; a question that cannot be answered does not end the process."""
    try:
        asked = msgspec.json.decode(line)
        done = _QUESTIONS[asked["do"]](asked)
    except GeoCropError as error:
        return _refusal(_kind(error), error.what, error.remedy)
    except (msgspec.ValidationError, ValueError) as error:
        return _refusal("data", str(error), "correct the request")
    return msgspec.json.encode({"done": done})


def _kind(error: GeoCropError) -> str:
    if isinstance(error, TryAgainError):
        return "later"
    return "usage" if isinstance(error, UsageError) else "data"


def _refusal(kind: str, what: str, remedy: str) -> bytes:
    return msgspec.json.encode({"refused": {"kind": kind, "what": what, "remedy": remedy}})


def main() -> None:
    """Answer until standard input ends. What libraries print goes to standard error."""
    out = io.FileIO(sys.stdout.fileno(), "w", closefd=False)
    sys.stdout = sys.stderr
    configure(settings())
    for line in sys.stdin.buffer:
        out.write(answer(line) + b"\n")


if __name__ == "__main__":
    main()
