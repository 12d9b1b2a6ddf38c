"""From request and scenes to a plan. Pure: no I/O, no rasters."""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import shapely
import shapely.geometry
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from shapely.affinity import translate

from steps import naming
from steps.aoi import aoi_shape
from steps.errors import AoiError, CatalogError, ModelError, UsageError
from steps.model.aoi import Aoi, Season
from steps.model.card import ModelCard
from steps.model.grid import EQUAL_AREA_EPSG, REACH_M, TileGrid, TileId
from steps.model.job import MapOptions, MapRequest, OffsetVerdict, Plan, TilePlan
from steps.model.scene import SCL, Scene
from steps.model.spec import FeatureSpec
from steps.versions import pixel_version

_ZONE_REACH = 3.5
"""Degrees from a UTM zone's central meridian that an AOI may reach: half a degree beyond the zone."""
_ANTIMERIDIAN_REACH = 9.0
"""The same over the antimeridian, where EPSG:6933 is cut in two. The scale error stays below 1.3 %."""
_EDGE_STEP_DEG = 0.02
"""Edges are straight in lon/lat. Between points so close they leave that line by less than half a metre."""
_TORN_M = 1_000_000.0
"""A step of an edge that is longer on the plane has been cut by the edge of the CRS's own map."""
_COARSE_M = 20.0
"""Pixels of SCL and of the coarse bands."""
_FOOTPRINT_SLACK_M = 500.0
"""A granule's edges are straight in its UTM zone, its footprint's in lon/lat: up to 400 m apart at 60 degrees."""
_SEARCH_MARGIN_M = 2_000.0
"""Around the tiles when scenes are searched: more than any halo and the slack."""
_HAIR_M = 1e-3
"""Tiles that share less than this with the AOI only touch it."""
_MAX_TILES = 200_000


def grid_for(aoi: Aoi, options: MapOptions) -> TileGrid:
    """The grid of an AOI: the CRS asked for, else its UTM zone, else equal area.

    The zone is that of the middle of the AOI's bounds, without the exceptions of Norway and Svalbard; north or south
    goes by the middle too. Raises UsageError for a CRS that is not projected in metres, AoiError for an AOI that no
    grid holds.
    """
    epsg = _natural_epsg(aoi) if options.epsg is None else options.epsg
    _check_metres(epsg)
    return TileGrid(epsg=epsg, size=options.tile_size)


def _natural_epsg(aoi: Aoi) -> int:
    west, south, east, north = aoi_shape(aoi).bounds
    middle = (west + east) / 2
    wrapped = (middle + 180) % 360 - 180
    zone = min(60, math.floor((wrapped + 180) / 6) + 1)
    reach = (east - west) / 2 + abs(wrapped - (zone * 6 - 183))
    crosses = east > 180 or west < -180
    if south >= -80 and north <= 84 and reach <= (_ANTIMERIDIAN_REACH if crosses else _ZONE_REACH):
        return (32700 if south + north < 0 else 32600) + zone
    if max(abs(south), abs(north)) > 84:
        raise AoiError(f"AOI {aoi.name} reaches beyond 84 degrees", "choose a polar CRS with --crs")
    if crosses:
        raise AoiError(f"AOI {aoi.name} is too wide over the antimeridian", "map its two sides as AOIs of their own")
    return EQUAL_AREA_EPSG


def _check_metres(epsg: int) -> None:
    try:
        crs = CRS.from_epsg(epsg)
    except CRSError as error:
        raise UsageError(f"EPSG:{epsg} is not known", "give the code of a projected CRS") from error
    if not crs.is_projected or {axis.unit_conversion_factor for axis in crs.axis_info} != {1.0}:
        raise UsageError(f"EPSG:{epsg} ({crs.name}) is not projected in metres", "as EPSG:32736 or EPSG:3035 are")
    if any(axis.direction == "west" for axis in crs.axis_info):
        raise UsageError(f"EPSG:{epsg} ({crs.name}) counts westward", "give a CRS with easting and northing")


# -- geometry on the grid's plane ----------------------------------------------------------------------------------


@functools.cache
def _transformer(source: int, target: int) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def project(geometry: shapely.Geometry, epsg: int) -> shapely.Geometry:
    """A lon/lat geometry on the plane of a CRS, its edges densified so that they stay where they are.

    Raises AoiError where the plane does not hold it in one piece.
    """
    projected = _on_plane(geometry, epsg)
    xy = shapely.get_coordinates(projected)
    if not np.isfinite(xy).all() or np.abs(xy).max() > REACH_M:
        raise AoiError(f"the AOI does not lie on the plane of EPSG:{epsg}", "choose another CRS with --crs")
    if _longest_step(projected) > _TORN_M:
        raise AoiError(f"EPSG:{epsg} is cut in two where the AOI lies", "choose another CRS with --crs")
    return projected if shapely.is_valid(projected) else shapely.make_valid(projected)


def _on_plane(geometry: shapely.Geometry, epsg: int) -> shapely.Geometry:
    to_plane = _transformer(4326, epsg)
    dense = shapely.segmentize(geometry, _EDGE_STEP_DEG)
    return shapely.transform(dense, lambda xy: np.column_stack(to_plane.transform(xy[:, 0], xy[:, 1])))


def _longest_step(geometry: shapely.Geometry) -> float:
    """Metres between neighbouring vertices."""
    rings = shapely.get_rings(shapely.get_parts(geometry))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    steps = np.hypot(*np.diff(xy, axis=0).T)[ring[1:] == ring[:-1]]
    return float(steps.max(initial=0.0))


def _boxes(tiles: Sequence[TileId], grid: TileGrid, grow_m: float) -> Any:
    """Array of the tiles' squares on the plane, grown on each side."""
    x0, y0 = grid.origin
    numbers = np.array([(tile.col, tile.row) for tile in tiles], float).reshape(-1, 2)
    west, north = x0 + numbers[:, 0] * grid.tile_m, y0 - numbers[:, 1] * grid.tile_m
    return shapely.box(west - grow_m, north - grid.tile_m - grow_m, west + grid.tile_m + grow_m, north + grow_m)


# -- tiles ---------------------------------------------------------------------------------------------------------


def tiles_covering(aoi: Aoi, grid: TileGrid) -> list[TileId]:
    """The tiles that share area with the AOI, in raster order.

    Raises AoiError when the grid's plane does not hold the AOI or no pixel has its centre inside, UsageError for more
    tiles than a job may have.
    """
    shape = project(aoi_shape(aoi), grid.epsg)
    found: set[TileId] = set()
    for row in itertools.chain.from_iterable(_rows_of_part(part, grid) for part in shapely.get_parts(shape)):
        found.update(row)
        if len(found) > _MAX_TILES:
            raise UsageError(f"AOI {aoi.name} has more than {_MAX_TILES:,} tiles", "choose a larger --tile-size")
    _check_not_tiny(shape, grid, aoi.name)
    return sorted(found)


def _rows_of_part(part: shapely.Geometry, grid: TileGrid) -> Iterator[list[TileId]]:
    """Tiles row by row, so that the bounds of an AOI may be much larger than itself."""
    shapely.prepare(part)
    left, bottom, right, top = shapely.bounds(part)
    first, last = grid.tile_at(left, top), grid.tile_at(right, bottom)
    for row in range(first.row, last.row + 1):
        tiles = [TileId(row=row, col=col) for col in range(first.col, last.col + 1)]
        shared = shapely.intersects(part, _boxes(tiles, grid, -_HAIR_M))
        yield [tile for tile, shares in zip(tiles, shared, strict=True) if shares]


def _check_not_tiny(shape: shapely.Geometry, grid: TileGrid, name: str) -> None:
    """A small or thin AOI may lie between all pixel centres: then there is nothing to map."""
    left, bottom, right, top = shapely.bounds(shape)
    res = grid.resolution
    x = (np.arange(math.floor(left / res), math.ceil(right / res)) + 0.5) * res
    y = (np.arange(math.floor(bottom / res), math.ceil(top / res)) + 0.5) * res
    if x.size * y.size <= 10_000 and not shapely.contains_xy(shape, *np.meshgrid(x, y)).any():
        raise AoiError(f"AOI {name} holds no pixel's centre", f"draw one that is wider than {res:g} m")


def outline(tile: TileId, grid: TileGrid) -> dict[str, Any]:
    """A tile's square as a GeoJSON Polygon, lon/lat with six decimals, its corners only."""
    left, bottom, right, top = grid.bounds(tile)
    ring = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    lon, lat = _transformer(grid.epsg, 4326).transform([x for x, _ in ring], [y for _, y in ring])
    lon = np.unwrap(lon, period=360)
    return {
        "type": "Polygon",
        "coordinates": [[[round(x, 6), round(y, 6)] for x, y in zip(lon.tolist(), lat, strict=True)]],
    }


def search_area(aoi: Aoi, options: MapOptions) -> Aoi:
    """Where to search for scenes: all of the tiles and their halos, not only the AOI.

    A tile is whole in the store. With the scenes of the AOI alone, two AOIs that share a tile would not share its key.
    Raises AoiError and UsageError as `grid_for` and `tiles_covering` do.
    """
    grid = grid_for(aoi, options)
    squares = shapely.union_all(_boxes(tiles_covering(aoi, grid), grid, _SEARCH_MARGIN_M))
    west, _, east, _ = aoi_shape(aoi).bounds
    area = _to_lonlat(squares, grid, (west + east) / 2)
    if not np.isfinite(shapely.get_coordinates(area)).all() or not shapely.is_valid(area):
        return aoi  # at the edge of the CRS's own map
    return Aoi(name=aoi.name, geometry=msgspec.json.decode(shapely.to_geojson(area)))


def _to_lonlat(squares: shapely.Geometry, grid: TileGrid, middle: float) -> shapely.Geometry:
    """Lon/lat whose longitudes lie around `middle`, running on past 180; the western end within -180..180."""
    dense = shapely.segmentize(squares, grid.tile_m / 4)

    def unwrapped(xy: np.ndarray) -> np.ndarray:
        lon, lat = _transformer(grid.epsg, 4326).transform(xy[:, 0], xy[:, 1])
        return np.column_stack([lon + 360 * np.round((middle - lon) / 360), lat])

    area = shapely.transform(dense, unwrapped)
    return translate(area, 360.0) if shapely.bounds(area)[0] < -180 else area


def halo_px(spec: FeatureSpec, grid: TileGrid) -> int:
    """Pixels to read around a tile, so that cloud is grown across its border: even, at least the dilation."""
    coarse = math.ceil(spec.dilation_m / _COARSE_M)
    return coarse * round(_COARSE_M / grid.resolution)


# -- what must fit -------------------------------------------------------------------------------------------------


def check_fit(card: ModelCard, season: Season, options: MapOptions) -> None:
    """Raises ModelError when a model cannot map this season, UsageError for layers that it does not know."""
    wanted = card.spec.season_days
    if abs(season.days - wanted) > 1:
        raise ModelError(
            f"season {season} has {season.days} days, model {card.name} was trained for {wanted}",
            "give a season of that length; it may start on any day",
        )
    if card.spec.resolution != TileGrid(epsg=EQUAL_AREA_EPSG).resolution:
        raise ModelError(f"model {card.name} is one of {card.spec.resolution:g} m pixels", "maps have pixels of 10 m")
    _check_layers(card, options)


def _check_layers(card: ModelCard, options: MapOptions) -> None:
    if not card.spec.mappable:
        raise ModelError(
            f"model {card.name} was trained on a ready-made table: nothing makes its features of scenes",
            "train one from labels with `geocrop train --labels`",
        )
    names = [layer.name for layer in card.spec.layers]
    if missing := [name for name in names if name not in options.layers]:
        raise ModelError(f"model {card.name} needs the layer {missing[0]}", f"give it with --layer {missing[0]}=RASTER")
    if unknown := sorted({*options.layers} - {*names}):
        raise UsageError(
            f"model {card.name} has no layer {unknown[0]}", f"leave it out; it has {', '.join(names) or 'none'}"
        )


def check_bands(card: ModelCard, scenes: Sequence[Scene]) -> None:
    """Raises CatalogError when a scene lacks a band that the model needs, or the scene classification."""
    for scene in scenes:
        missing = [band for band in (*card.spec.bands, SCL) if band not in scene.assets]
        if missing:
            raise CatalogError(
                f"scene {scene.id} has no band {', '.join(missing)}, which model {card.name} needs",
                f"it has {', '.join(sorted(scene.assets))}: train a model on these, or choose another collection",
            )


# -- the plan ------------------------------------------------------------------------------------------------------


def plan_map(
    request: MapRequest,
    card: ModelCard,
    scenes: Sequence[Scene],
    *,
    offsets: tuple[OffsetVerdict, ...] = (),
    code_version: str = "",
) -> Plan:
    """All that a request needs done. A tile that no scene covers is planned too: it is done by saying so.

    The scenes may come in any order; those that reach no tile are left out. Raises ModelError, CatalogError, AoiError
    or UsageError when parts do not fit.
    """
    check_fit(card, request.season, request.options)
    check_bands(card, scenes)
    grid = grid_for(request.aoi, request.options)
    halo = halo_px(card.spec, grid)
    ordered = sorted((_lean(scene, card.spec) for scene in scenes), key=lambda scene: (scene.solar_day, scene.id))
    used, tiles = _with_scenes(tiles_covering(request.aoi, grid), ordered, grid, halo)
    return Plan(
        job=naming.job_id(request),
        request=request,
        card=card,
        grid=grid,
        halo=halo,
        scenes=used,
        tiles=tiles,
        pixel_version=pixel_version(),
        code_version=code_version,
        offsets=offsets,
    )


def _lean(scene: Scene, spec: FeatureSpec) -> Scene:
    """A scene with only the assets that are read: others must not change a key."""
    wanted = {*spec.bands, SCL}
    assets = {name: asset for name, asset in sorted(scene.assets.items()) if name in wanted}
    return msgspec.structs.replace(scene, assets=assets)


def _with_scenes(
    tiles: Sequence[TileId], scenes: Sequence[Scene], grid: TileGrid, halo: int
) -> tuple[tuple[Scene, ...], tuple[TilePlan, ...]]:
    """The scenes that reach a tile or its halo, and each tile with the positions of its own among them."""
    footprints = shapely.STRtree([_footprint(scene, grid.epsg) for scene in scenes])
    boxes = _boxes(tiles, grid, halo * grid.resolution + _FOOTPRINT_SLACK_M)
    of_tile, of_scene = footprints.query(boxes, predicate="intersects")
    used, position = np.unique(of_scene, return_inverse=True)
    order = np.lexsort((position, of_tile))
    ends = np.searchsorted(of_tile[order], np.arange(1, len(tiles)))
    lists = np.split(position[order], ends)
    planned = (TilePlan(tile=tile, scenes=tuple(found.tolist())) for tile, found in zip(tiles, lists, strict=True))
    return tuple(scenes[index] for index in used), tuple(planned)


def _footprint(scene: Scene, epsg: int) -> shapely.Geometry:
    """A scene's footprint in the grid's CRS; empty where the CRS does not hold it."""
    shape = shapely.make_valid(shapely.geometry.shape(scene.footprint))
    return shapely.union_all([_valid_on_plane(part, epsg) for part in _sides(shape)])


def _sides(shape: shapely.Geometry) -> Iterator[shapely.Geometry]:
    """A footprint, cut where it crosses the antimeridian: equal-area grids end there."""
    if shapely.bounds(shape)[2] <= 180:
        yield shape
        return
    yield shapely.intersection(shape, shapely.box(-180, -90, 180, 90))
    yield translate(shapely.intersection(shape, shapely.box(180, -90, 540, 90)), -360.0)


def _valid_on_plane(shape: shapely.Geometry, epsg: int) -> shapely.Geometry:
    projected = _on_plane(shape, epsg)
    finite = np.isfinite(shapely.get_coordinates(projected)).all()
    return shapely.make_valid(projected) if finite else shapely.Polygon()
