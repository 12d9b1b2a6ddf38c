"""From a request to a plan: search, probe, plan; and the plan's first files in the store."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import shapely

from steps import naming
from steps.aoi import aoi_shape, search_boxes, with_swapped_axes
from steps.drift_reference import POINTS_FILE, check_points
from steps.errors import AoiError, DataError, ModelError
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
    """Search the catalog and pin what is found; the same request of the same catalog gives the same plan.

    Raises DataError when there is no scene, and what `check_layers`, `find_scenes` and `plan_map` raise.
    """
    check_fit(card, request.season, request.options)
    if card.spec.layers:
        _check_layers(request, card)
    query = query_of(request, card.spec.bands)
    found = find_scenes(query)
    if not found:
        raise _no_scenes(request, query)
    scenes, verdicts = probed(found, request, probe=probe)
    return plan_map(request, card, scenes, offsets=tuple(verdicts), code_version=code_version())


def _check_layers(request: MapRequest, card: ModelCard) -> None:
    """Raises DataError for a raster that does not reach over all of the AOI, or has other bands than its layer."""
    epsg = grid_for(request.aoi, request.options).epsg
    outline = shapely.segmentize(project(aoi_shape(request.aoi), epsg), _EDGE_STEP_M)
    places = shapely.get_coordinates(outline)
    check_layers(card.spec, request.options.layers, places, epsg, f"AOI {request.aoi.name}")


def _no_scenes(request: MapRequest, query: SceneQuery) -> DataError:
    """There is nothing to make a map of, perhaps because latitudes were written before longitudes."""
    what = f"AOI {request.aoi.name!r} has no scene of {request.catalog} in {request.season}"
    swapped = with_swapped_axes(request.aoi)
    if swapped and find_scenes(query_of(msgspec.structs.replace(request, aoi=swapped), query.bands)):
        return AoiError(f"{what}, but has some with longitude and latitude swapped", "write lon, lat in degrees")
    return DataError(what, "choose another season, area or catalog")


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


def store_plan(plan: Plan, model_bytes: bytes, store: Store, points: bytes | None = None) -> list[str]:
    """Put all that a tile needs into the store: the model and its points first, the plan last; the keys that are new.

    Models and their points are shared between jobs.
    """
    shared = {naming.model_key(plan.card.digest): model_bytes}
    if points is not None and plan.card.reference is not None:
        shared[naming.points_key(plan.card.reference.points_sha256)] = points
    own = {
        naming.request_key(plan.job): msgspec.json.encode(plan.request),
        naming.plan_key(plan.job): encode_plan(plan),
    }
    new = {key: data for key, data in (shared | own).items() if not store.exists(key)}
    for key, data in (new | own).items():
        store.put_bytes(key, data)
    return list(new)


def withdraw(plan: Plan, new: Sequence[str], store: Store) -> None:
    """Take back what a job without any result left in the store: `new` and its notes. Its plan goes first."""
    notes = list(store.list(naming.job_prefix(plan.job)))
    for key in (naming.plan_key(plan.job), *notes, *new):
        store.delete(key)


def encode_plan(plan: Plan) -> bytes:
    """JSON that people can read and diff."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=1)
