"""A process that answers questions of the API which need rasters, projections or the model registry.

`python -m steps.clerk` reads one JSON object a line, `{"do": ..., ...}`, and writes one line each, in order:
`{"done": ...}` or `{"refused": {"kind", "what", "remedy"}}`. It keeps no state between them.
"""

import io
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import shapely
import shapely.affinity
import shapely.geometry

from steps import naming
from steps.aoi import area_facts, check_vertices, parse_aoi
from steps.documents import read_plan
from steps.errors import AoiError, GeoCropError, TryAgainError, UsageError
from steps.log import configure
from steps.model.job import MapRequest, Plan
from steps.plan import outline
from steps.settings import settings
from steps.store import open_store

Answer = dict[str, Any]


def describe_plan(job: str, store: str) -> Answer:
    """The tiles of a stored plan with their outlines, and the shared objects that it may use."""
    plan = read_plan(open_store(store, settings()), job)
    return {
        "request": msgspec.to_builtins(plan.request),
        **area_facts(plan.request.aoi),
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
    check_vertices(aoi, max_vertices)
    return {"name": aoi.name, "geometry": aoi.geometry, **area_facts(aoi)}


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


# -- the conversation ----------------------------------------------------------------------------------------------


def _order(asked: Answer) -> Answer:
    from steps.appraise import Order, check_order  # noqa: PLC0415 - takes 100 MB, which small questions do without

    return check_order(msgspec.convert(asked["order"], Order))


def _quote(asked: Answer) -> Answer:
    from steps.appraise import quote_request  # noqa: PLC0415

    request = msgspec.convert(asked["request"], MapRequest, str_keys=True)
    return quote_request(request, asked["store"], bool(asked["probe"]), int(asked["pods"]))


def _models(_asked: Answer) -> list[Answer]:
    from steps.appraise import describe_models  # noqa: PLC0415

    return describe_models()


_QUESTIONS: dict[str, Callable[[Answer], Any]] = {
    "order": _order,
    "quote": _quote,
    "models": _models,
    "plan": lambda asked: describe_plan(asked["job"], asked["store"]),
    "aoi": lambda asked: describe_aoi(asked["document"], asked["name"], asked["max_km2"], asked["max_vertices"]),
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
