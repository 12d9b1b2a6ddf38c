"""What an order of a map amounts to, and which models it may name: all that needs scenes and the registry."""

from typing import Any

import msgspec

from steps.aoi import area_facts, check_vertices, parse_aoi
from steps.calibration import load, of_pods
from steps.errors import DataError
from steps.jobs import stored_tiles
from steps.layers import pin_raster
from steps.local import crew_of
from steps.model.job import MapOptions, MapRequest
from steps.models import load_card
from steps.plan import check_fit, grid_for, tiles_covering
from steps.prepare import make_plan
from steps.quote import quote, scene_days
from steps.registry import fetch, list_models, pinned, resolve
from steps.requests import raster_of, season_of
from steps.scenes import absolute_catalog
from steps.settings import settings
from steps.store import open_store

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
    check_vertices(aoi, order.max_vertices)
    season = season_of(order.season)
    ref, card = resolve(order.model, settings())
    options = msgspec.structs.replace(
        order.options,
        mask=raster_of(order.mask),
        layers={name: pin_raster(raster) for name, raster in order.layers.items()},
        baseline=raster_of(order.baseline),
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
    return {"request": msgspec.to_builtins(request), "tiles": tiles, **area_facts(aoi)}


def quote_request(request: MapRequest, store: str, probe: bool, pods: int) -> Answer:
    """The cost of a pinned request, in so many pods at once, or with 0 on this machine.

    Reads no pixels but those of the probe. A machine that is not known is measured; pods are not.
    """
    plan = make_plan(request, pinned(request.model, settings()).card, probe=probe)
    shop = open_store(store, settings())
    stored = {str(tile) for tile in stored_tiles(plan, shop)}
    calibration, workers = (of_pods(shop), pods) if pods else (load(settings()), crew_of(settings()).workers)
    answer = quote(plan, calibration, stored, workers)
    return {**msgspec.to_builtins(answer), "dates": scene_days(plan)}


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
