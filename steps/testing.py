"""Builders and Hypothesis strategies for tests. A value that does not matter to a test is called `any_...`."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.transform import Affine
from shapely.geometry import polygon

from steps import naming
from steps.landscape import write_cog
from steps.model.aoi import Aoi, Season
from steps.model.card import ClassDef, ModelCard
from steps.model.grid import TileGrid, TileId
from steps.model.job import MapRequest, ModelRef, Plan, TilePlan
from steps.model.scene import SCL, Asset, Scene
from steps.model.spec import FeatureSpec, Index

ANY_EPSG = 32736
ANY_CORNER = (300_000.0, 8_020_000.0)
"""x, y in metres of the north-west corner of what is built here; near Harare."""
ANY_DAY = dt.date(2021, 11, 7)
ANY_FINE = ("red", "nir")
ANY_COARSE = ("swir16",)
ANY_INDEX = Index(name="ndvi", numerator={"nir": 1, "red": -1}, denominator={"nir": 1, "red": 1})


def any_season(start: dt.date = dt.date(2021, 10, 1), days: int = 365) -> Season:
    """A season of Southern Africa."""
    return Season(start=start, end=start + dt.timedelta(days=days - 1))


def any_geometry(size_m: float = 640.0, corner: tuple[float, float] = ANY_CORNER) -> dict[str, Any]:
    """A GeoJSON Polygon, lon/lat: a square on the ground of UTM zone 36S."""
    x, y = corner
    return _lonlat([(x, y - size_m), (x + size_m, y - size_m), (x + size_m, y), (x, y), (x, y - size_m)], ANY_EPSG)


def _lonlat(ring: list[tuple[float, float]], epsg: int) -> dict[str, Any]:
    to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
    return {"type": "Polygon", "coordinates": [[[*to_degrees.transform(x, y)] for x, y in ring]]}


def any_aoi(name: str = "any-aoi", size_m: float = 640.0) -> Aoi:
    """A square near Harare."""
    return Aoi(name=name, geometry=any_geometry(size_m))


def any_spec(**changes: Any) -> FeatureSpec:
    """A small spec: two bands, one index, four periods."""
    fields: dict[str, Any] = {
        "bands": ("red", "nir"),
        "periods": 4,
        "indices": (ANY_INDEX,),
        "composites": ("red", "ndvi"),
    }
    return FeatureSpec(**(fields | changes))


def any_classes() -> tuple[ClassDef, ...]:
    """Two crops and a forest, with a gap in their codes and 0 as a class."""
    return (
        ClassDef(code=0, name="maize", colour="e3a72f"),
        ClassDef(code=1, name="soya", colour="b5c334"),
        ClassDef(code=7, name="forest", colour="397d49"),
    )


def any_card(**changes: Any) -> ModelCard:
    """The card of a model that does not exist."""
    fields: dict[str, Any] = {
        "name": "any-model",
        "version": "3",
        "model_sha256": "ab" * 32,
        "spec": any_spec(),
        "classes": any_classes(),
    }
    return ModelCard(**(fields | changes))


def any_scene(**changes: Any) -> Scene:
    """A scene whose files do not exist."""
    day: dt.date = changes.pop("day", ANY_DAY)
    fields: dict[str, Any] = {
        "id": f"S2A_36KTF_{day:%Y%m%d}_0_L2A",
        "collection": "sentinel-2-l2a",
        "datetime": dt.datetime(day.year, day.month, day.day, 8, 0, 31, tzinfo=dt.UTC),
        "solar_day": day,
        "footprint": any_geometry(20_480),
        "assets": {band: any_asset(band) for band in (*ANY_FINE, *ANY_COARSE, SCL)},
        "cloud_cover": 12.5,
        "baseline": "03.01",
    }
    return Scene(**(fields | changes))


def any_asset(band: str = "red", **changes: Any) -> Asset:
    """An asset whose file does not exist."""
    step = 10.0 if band in ANY_FINE else 20.0
    fields: dict[str, Any] = {
        "href": f"/nowhere/{band}.tif",
        "epsg": ANY_EPSG,
        "transform": (step, 0.0, ANY_CORNER[0], 0.0, -step, ANY_CORNER[1]),
        "shape": (int(20_480 / step),) * 2,
        "version": f"1220{'cd' * 32}",
    }
    return Asset(**(fields | changes))


def any_grid(size: int = 64) -> TileGrid:
    """Tiles of 640 m in UTM zone 36S."""
    return TileGrid(epsg=ANY_EPSG, size=size)


def any_request(**changes: Any) -> MapRequest:
    """A request for a map of `any_aoi` with `any_card`."""
    card = any_card()
    model = ModelRef(name=card.name, version=card.version, digest=card.digest, href="models:/any-model/3")
    fields: dict[str, Any] = {
        "aoi": any_aoi(),
        "season": any_season(),
        "model": model,
        "catalog": "/nowhere/catalog.json",
        "collection": "sentinel-2-l2a",
    }
    return MapRequest(**(fields | changes))


def any_plan(*, tiles: int = 2, scenes: int = 3, size: int = 64, **changes: Any) -> Plan:
    """A plan of some tiles in a row, each with all the scenes."""
    request = changes.pop("request", None) or any_request()
    grid = any_grid(size)
    first = grid.tile_at(ANY_CORNER[0] + 1, ANY_CORNER[1] - 1)
    numbers = tuple(range(scenes))
    fields: dict[str, Any] = {
        "job": naming.job_id(request),
        "request": request,
        "card": any_card(),
        "grid": grid,
        "halo": 4,
        "scenes": tuple(any_scene(day=ANY_DAY + dt.timedelta(days=10 * number)) for number in numbers),
        "tiles": tuple(
            TilePlan(tile=TileId(row=first.row, col=first.col + index), scenes=numbers) for index in range(tiles)
        ),
        "pixel_version": "any-pixels",
        "code_version": "any-code",
    }
    return Plan(**(fields | changes))


Values = Mapping[str, "int | np.ndarray"]


def tiny_scene(
    folder: Path, values: Values, *, day: dt.date = ANY_DAY, size: int = 64, suffix: str = "", **changes: Any
) -> Scene:
    """Write a scene of real COGs: a square of `size` 10 m pixels from `ANY_CORNER` on.

    `values` are DN by band, each a number or an array (y, x) uint16; bands of REFLECTANCE_BANDS that Sentinel-2 has
    in 10 m are `size` pixels wide, the others and `scl` (4 where it is not given) half of it. 0 is nodata. `offset`
    and `corner` (x, y in metres) are taken from `changes`; the rest of them replaces fields of the scene.
    """
    corner, offset = changes.pop("corner", ANY_CORNER), changes.pop("offset", 0.0)
    name = f"{any_scene(day=day).id}{suffix}"
    (folder / name).mkdir(parents=True, exist_ok=True)
    assets = {}
    for band, value in {SCL: 4, **values}.items():
        asset = _write_band(folder / name, band, value, size, corner)
        assets[band] = asset if band == SCL else msgspec.structs.replace(asset, offset=offset)
    footprint = any_geometry(size * 10.0, corner)
    return any_scene(day=day, **({"id": name, "assets": assets, "footprint": footprint} | changes))


def _write_band(folder: Path, band: str, value: "int | np.ndarray", size: int, corner: tuple[float, float]) -> Asset:
    step = 10 if band in {"blue", "green", "red", "nir"} else 20
    shape = (size * 10 // step,) * 2
    plane = np.broadcast_to(np.asarray(value, np.uint8 if band == SCL else np.uint16), shape)
    transform = Affine(step, 0, corner[0], 0, -step, corner[1])
    path = folder / f"{band}.tif"
    write_cog(path, np.ascontiguousarray(plane), transform, nodata=0)
    facts = path.stat()
    return Asset(
        href=str(path),
        epsg=ANY_EPSG,
        transform=(float(step), 0.0, corner[0], 0.0, float(-step), corner[1]),
        shape=shape,
        scale=1.0 if band == SCL else 1e-4,
        version=f"{facts.st_size}-{facts.st_mtime_ns}",
    )


@st.composite
def aois(draw: st.DrawFn, *, antimeridian: bool = False) -> Aoi:
    """Valid areas of up to some 50 km anywhere but at the poles; over 180 degrees where `antimeridian`."""
    lon = draw(st.floats(179.6, 179.9) if antimeridian else st.floats(-179, 178.9))
    lat = draw(st.floats(-65, 65))
    count = draw(st.integers(3, 9))
    radii = draw(st.lists(st.floats(0.02, 0.2), min_size=count, max_size=count))
    angles = np.arange(count) * 2 * np.pi / count
    west = 0.15 if antimeridian else 0.0
    ring = [(lon + west + r * float(np.cos(a)), lat + r * float(np.sin(a))) for r, a in zip(radii, angles, strict=True)]
    shape = shapely.Polygon(ring).union(shapely.Point(lon + west, lat).buffer(0.01, quad_segs=1)).convex_hull
    if antimeridian:
        shape = shape.union(shapely.box(179.98, lat - 0.005, 180.02, lat + 0.005)).convex_hull
    oriented = polygon.orient(shapely.Polygon(shapely.get_coordinates(shape)))
    return Aoi(name="drawn-aoi", geometry=msgspec.to_builtins(oriented.__geo_interface__))


@st.composite
def seasons(draw: st.DrawFn, *, days: int | None = 365) -> Season:
    """Seasons of some length, from a day that lies in the past of everyone; any length where `days` is None."""
    start = draw(st.dates(dt.date(2016, 1, 1), dt.date(2023, 12, 31)))
    return any_season(start, days or draw(st.integers(1, 800)))


@st.composite
def scenes(draw: st.DrawFn, season: Season | None = None) -> Scene:
    """Scenes without files, of any baseline, cloud cover and offset."""
    season = season or any_season()
    day = season.start + dt.timedelta(days=draw(st.integers(0, season.days - 1)))
    offset = draw(st.sampled_from((0.0, -0.1)))
    assets = {band: any_asset(band, offset=0.0 if band == SCL else offset) for band in (*ANY_FINE, *ANY_COARSE, SCL)}
    return any_scene(
        day=day,
        assets=assets,
        cloud_cover=draw(st.none() | st.floats(0, 100)),
        baseline=draw(st.sampled_from(("02.07", "03.01", "04.00", "05.09"))),
    )
