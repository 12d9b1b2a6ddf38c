"""From a request to a plan: search, probe, plan; and the plan's first files in the store."""

from pathlib import Path

import msgspec
import shapely

from steps import naming
from steps.aoi import aoi_shape, search_boxes
from steps.drift_reference import POINTS_FILE, check_points
from steps.errors import ModelError
from steps.layers import check_layers
from steps.model.card import ModelCard
from steps.model.job import MapRequest, OffsetVerdict, Plan
from steps.model.scene import Scene
from steps.plan import check_fit, grid_for, plan_map, project, search_area
from steps.probe import apply_verdicts, probe_offsets
from steps.scenes import SceneQuery, find_scenes
from steps.store import Store
from steps.versions import code_version

_EDGE_STEP_M = 1000.0
"""Between places on the AOI's outline that a layer must reach."""


def make_plan(request: MapRequest, card: ModelCard, *, probe: bool = True) -> Plan:
    """Search the catalog and pin what is found; the same request of the same catalog gives the same plan."""
    check_fit(card, request.season, request.options)
    if card.spec.layers:
        _check_layers(request, card)
    scenes, verdicts = probed(find_scenes(query_of(request, card.spec.bands)), request, probe=probe)
    return plan_map(request, card, scenes, offsets=tuple(verdicts), code_version=code_version())


def _check_layers(request: MapRequest, card: ModelCard) -> None:
    """Raises DataError for a raster that does not reach over all of the AOI, or has other bands than its layer."""
    epsg = grid_for(request.aoi, request.options).epsg
    outline = shapely.segmentize(project(aoi_shape(request.aoi), epsg), _EDGE_STEP_M)
    places = shapely.get_coordinates(outline)
    check_layers(card.spec, request.options.layers, places, epsg, f"AOI {request.aoi.name}")


def query_of(request: MapRequest, bands: tuple[str, ...], *, every_band: bool = False) -> SceneQuery:
    """The search for a request's scenes with some bands; `every_band` keeps the other bands that they have."""
    area = search_area(request.aoi, request.options)
    return SceneQuery(
        catalog=request.catalog,
        collection=request.collection,
        boxes=tuple(search_boxes(area)),
        aoi_geometry=area.geometry,
        season=request.season,
        bands=bands,
        max_cloud=request.options.max_cloud,
        every_band=every_band,
    )


def probed(scenes: list[Scene], request: MapRequest, *, probe: bool) -> tuple[list[Scene], list[OffsetVerdict]]:
    """The scenes with their offsets as the pixels have them, and what the pixels said."""
    if not (probe and scenes):
        return scenes, []
    verdicts = probe_offsets(scenes, request.aoi.geometry)
    return apply_verdicts(scenes, verdicts), verdicts


def load_points(href: str, card: ModelCard) -> bytes | None:
    """What a model's folder keeps of its training samples; None for a model without a reference.

    Raises ModelError when the file is missing, or is not the one that the card names.
    """
    if card.reference is None:
        return None
    path = Path(href) / POINTS_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", "train or fetch the model again") from error
    check_points(data, card.reference, str(path))
    return data


def store_plan(plan: Plan, model_bytes: bytes, store: Store, points: bytes | None = None) -> None:
    """Put all that a tile needs into the store: the model and its points first, the plan last."""
    _put_new(naming.model_key(plan.card.digest), model_bytes, store)
    if points is not None and plan.card.reference is not None:
        _put_new(naming.points_key(plan.card.reference.points_sha256), points, store)
    store.put_bytes(naming.request_key(plan.job), msgspec.json.encode(plan.request))
    store.put_bytes(naming.plan_key(plan.job), encode_plan(plan))


def _put_new(key: str, data: bytes, store: Store) -> None:
    if not store.exists(key):
        store.put_bytes(key, data)


def encode_plan(plan: Plan) -> bytes:
    """JSON that people can read and diff."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=1)
