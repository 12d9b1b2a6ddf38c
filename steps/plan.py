"""From request and scenes to a plan. Pure: no I/O, no rasters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import shapely
import shapely.geometry
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from steps import naming
from steps.aoi import aoi_shape
from steps.errors import AoiError, CatalogError, ModelError, UsageError
from steps.model.aoi import Aoi, Season
from steps.model.card import ModelCard
from steps.model.grid import EQUAL_AREA_EPSG, TileGrid, TileId
from steps.model.job import MapOptions, MapRequest, OffsetVerdict, Plan, TilePlan
from steps.model.scene import SCL, Scene
from steps.model.spec import FeatureSpec
from steps.versions import pixel_version

_ZONE_REACH = 3.5
"""Degrees from a UTM zone's central meridian that an AOI may reach: half a degree beyond the zone."""
_ANTIMERIDIAN_REACH = 9.0
"""The same over the antimeridian, where EPSG:6933 is cut in two. The scale error stays below 1.3 %."""
_EDGE_STEP_DEG = 0.05
_COARSE_M = 20.0
"""Pixels of SCL and of the coarse bands."""


def grid_for(aoi: Aoi, options: MapOptions) -> TileGrid:
    """The grid of an AOI: the CRS asked for, else its UTM zone, else equal area.

    Raises UsageError for a CRS that is not projected in metres, AoiError for an AOI that no grid holds.
    """
    epsg = options.epsg or _natural_epsg(aoi)
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
    if crosses:
        raise AoiError(f"AOI {aoi.name} is too wide over the antimeridian", "map its two sides as AOIs of their own")
    if max(abs(south), abs(north)) > 84:
        raise AoiError(f"AOI {aoi.name} reaches beyond 84 degrees", "choose a polar CRS with --crs")
    return EQUAL_AREA_EPSG


def _check_metres(epsg: int) -> None:
    try:
        crs = CRS.from_epsg(epsg)
    except CRSError as error:
        raise UsageError(f"EPSG:{epsg} is not known", "give the code of a projected CRS") from error
    if not crs.is_projected or {axis.unit_conversion_factor for axis in crs.axis_info} != {1.0}:
        raise UsageError(f"EPSG:{epsg} ({crs.name}) is not projected in metres", "as EPSG:32736 or EPSG:3035 are")


def project(geometry: shapely.Geometry, epsg: int) -> shapely.Geometry:
    """A lon/lat geometry on the plane of a CRS, its edges densified so that they stay where they are."""
    transformer = Transformer.from_crs(4326, epsg, always_xy=True)
    dense = shapely.segmentize(geometry, _EDGE_STEP_DEG)
    projected = shapely.transform(dense, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1])))
    if not np.isfinite(shapely.get_coordinates(projected)).all():
        raise AoiError(f"the AOI does not lie on the plane of EPSG:{epsg}", "choose another CRS with --crs")
    return projected


def tiles_covering(aoi: Aoi, grid: TileGrid) -> list[TileId]:
    """The tiles that share area with the AOI, in raster order."""
    shape = project(aoi_shape(aoi), grid.epsg)
    left, bottom, right, top = shapely.bounds(shape)
    first, last = grid.tile_at(left, top), grid.tile_at(right, bottom)
    rows, cols = np.mgrid[first.row : last.row + 1, first.col : last.col + 1]
    x0, y0 = grid.origin
    west, north = x0 + cols.ravel() * grid.tile_m, y0 - rows.ravel() * grid.tile_m
    boxes = shapely.box(west, north - grid.tile_m, west + grid.tile_m, north)
    shapely.prepare(shape)
    covered = shapely.intersects(shape, boxes) & ~shapely.touches(shape, boxes)
    return [TileId(row=int(r), col=int(c)) for r, c in zip(rows.ravel()[covered], cols.ravel()[covered], strict=True)]


def halo_px(spec: FeatureSpec, grid: TileGrid) -> int:
    """Pixels to read around a tile, so that cloud is grown across its border: even, at least the dilation."""
    coarse = math.ceil(spec.dilation_m / _COARSE_M)
    return coarse * round(_COARSE_M / grid.resolution)


def check_fit(card: ModelCard, season: Season, options: MapOptions) -> None:
    """Raises ModelError when a model cannot map this season with these options."""
    wanted = card.spec.season_days
    if abs(season.days - wanted) > 1:
        raise ModelError(
            f"season {season} has {season.days} days, model {card.name} was trained for {wanted}",
            "give a season of that length; it may start on any day",
        )
    missing = [layer.name for layer in card.spec.layers if layer.name not in options.layers]
    if missing:
        raise ModelError(f"model {card.name} needs the layer {missing[0]}", f"give it with --layer {missing[0]}=RASTER")


def check_bands(card: ModelCard, scenes: Sequence[Scene]) -> None:
    """Raises CatalogError when a scene lacks a band that the model needs, or the scene classification."""
    for scene in scenes:
        missing = [band for band in (*card.spec.bands, SCL) if band not in scene.assets]
        if missing:
            raise CatalogError(
                f"scene {scene.id} has no band {', '.join(missing)}, which model {card.name} needs",
                f"it has {', '.join(sorted(scene.assets))}: train a model on these, or choose another collection",
            )


def plan_map(
    request: MapRequest,
    card: ModelCard,
    scenes: Sequence[Scene],
    *,
    offsets: tuple[OffsetVerdict, ...] = (),
    code_version: str = "",
) -> Plan:
    """All that a request needs done. A tile that no scene covers is planned too: it is done by saying so.

    Raises ModelError, CatalogError, AoiError or UsageError when parts do not fit.
    """
    check_fit(card, request.season, request.options)
    kept = [_lean(scene, card.spec) for scene in scenes]
    check_bands(card, kept)
    grid = grid_for(request.aoi, request.options)
    halo = halo_px(card.spec, grid)
    tiles = tiles_covering(request.aoi, grid)
    return Plan(
        job=naming.job_id(request),
        request=request,
        card=card,
        grid=grid,
        halo=halo,
        scenes=tuple(kept),
        tiles=tuple(_with_scenes(tiles, kept, grid, halo)),
        pixel_version=pixel_version(),
        code_version=code_version,
        offsets=offsets,
    )


def _lean(scene: Scene, spec: FeatureSpec) -> Scene:
    """A scene with only the assets that are read: others must not change a key."""
    wanted = {*spec.bands, SCL}
    assets = {name: asset for name, asset in sorted(scene.assets.items()) if name in wanted}
    return msgspec.structs.replace(scene, assets=assets)


@dataclass(frozen=True, slots=True)
class _Footprints:
    """Scenes by place, on the grid's plane."""

    tree: shapely.STRtree

    def over(self, bounds: tuple[float, float, float, float]) -> tuple[int, ...]:
        """Positions of the scenes that share area with a box, in the order of the plan."""
        return tuple(sorted(int(index) for index in self.tree.query(shapely.box(*bounds), predicate="intersects")))


def _with_scenes(tiles: Sequence[TileId], scenes: Sequence[Scene], grid: TileGrid, halo: int) -> list[TilePlan]:
    """Each tile with the scenes whose footprint meets it or its halo."""
    footprints = _Footprints(shapely.STRtree([_on_plane(scene, grid.epsg) for scene in scenes]))
    return [TilePlan(tile=tile, scenes=footprints.over(grid.bounds(tile, halo))) for tile in tiles]


def _on_plane(scene: Scene, epsg: int) -> shapely.Geometry:
    """A scene's footprint in the grid's CRS; what the CRS cannot hold of it is left out."""
    shape = shapely.make_valid(shapely.geometry.shape(scene.footprint))
    transformer = Transformer.from_crs(4326, epsg, always_xy=True)
    dense = shapely.segmentize(shape, _EDGE_STEP_DEG)
    projected = shapely.transform(dense, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1])))
    finite = np.isfinite(shapely.get_coordinates(projected)).all()
    return shapely.make_valid(projected) if finite else shapely.Polygon()
