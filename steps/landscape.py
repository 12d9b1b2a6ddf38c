"""The synthetic landscape on disk: a static STAC catalog of real COGs, with all that a map needs beside it.

Two overlapping Sentinel-2-like granules near Harare (EPSG:32736) over the season 2021-10-01/2022-09-30, in which
the processing baseline rises to 04.00: from then on every other day's pixels carry the offset of 1000 that their
items state, and the others have had it taken away. Same arguments, same bytes (with the same GDAL).
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.shutil
import shapely
from pyproj import Transformer
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from scipy.ndimage import binary_erosion
from shapely.geometry import polygon

from steps import scenery
from steps.model.aoi import Season
from steps.model.card import NODATA_CLASS, ClassDef

EPSG = 32736
ORIGIN = (288_000.0, 8_034_000.0)
"""x, y in metres of the north-west corner; multiples of 60, as those of real granules."""
COLLECTION = "sentinel-2-l2a"
SEASON = Season(start=dt.date(2021, 10, 1), end=dt.date(2022, 9, 30))
_BASELINE_0400 = dt.date(2022, 1, 25)
_TRAINING_EDGE = 0.46
"""Labels lie west of this share of the width, the AOI east of it."""
_AOI = ((0.52, 0.05), (0.93, 0.07), (0.97, 0.46), (0.90, 0.94), (0.55, 0.91), (0.49, 0.50))
_DISTRICTS = {"Upper Valley": (0.25, 0.2), "Dam Side": (0.6, 0.25), "Town Lands": (0.85, 0.3), "South Bank": (0.7, 0.8)}
"""Districts by a point in them; the border is half-way between points."""
_CLOUDS = (0.12, 0.38, 0.55, 0.58, 0.52, 0.35, 0.15, 0.08, 0.05, 0.05, 0.06, 0.10)
"""Mean cloud by month of the season: the rains are from November to March."""
_Feature = tuple[shapely.Polygon, dict[str, Any]]
Progress = Callable[[int, int], None]
"""Called with the number of dates done and to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landscape:
    """Where everything lies."""

    folder: Path
    catalog: Path
    """catalog.json."""
    labels: Path
    """GeoJSON polygons with `class` and `parcel`, in the west."""
    truth: Path
    """uint8 GeoTIFF of class codes, everywhere."""
    aoi: Path
    """GeoJSON polygon in the east, where no label is."""
    districts: Path
    """GeoJSON polygons with `name`."""
    parcels: Path
    """GeoJSON polygons of all fields, with `parcel`."""
    legend: Path
    """CSV for --legend: label, code, name and colour."""
    baselines: dict[int, Path]
    """Dynamic-World-style GeoTIFFs by year."""
    season: Season = SEASON
    collection: str = COLLECTION
    epsg: int = EPSG
    classes: tuple[ClassDef, ...] = scenery.CLASSES


@dataclass(frozen=True, slots=True)
class Granule:
    """A window of the square that one item covers."""

    name: str
    """Its MGRS name."""
    col: int
    """First column of the square, in 10 m pixels; a multiple of 6."""
    width: int
    height: int
    slant: float
    """Share of the width that the swath's western edge cuts off at the bottom; nothing at the top."""
    gain: float
    """What its atmospheric correction makes of the same ground."""

    @property
    def transform(self) -> Affine:
        """From 10 m pixel corners to metres."""
        return Affine(10, 0, ORIGIN[0] + 10 * self.col, 0, -10, ORIGIN[1])

    @property
    def footprint(self) -> list[tuple[float, float]]:
        """Corners of what it has data of, in metres, closed."""
        corners = ((0, 0), (self.slant, 1), (1, 1), (1, 0), (0, 0))
        left, top = ORIGIN[0] + 10 * self.col, ORIGIN[1]
        return [(left + 10 * x * self.width, top - 10 * y * self.height) for x, y in corners]

    def has_data(self, shrink: int) -> np.ndarray:
        """Bool (y, x), in pixels of `shrink` times 10 m."""
        rows, cols = np.indices((self.height // shrink, self.width // shrink))
        return np.asarray(cols * shrink >= self.slant * self.width * rows * shrink / self.height)


@dataclass(frozen=True, slots=True)
class Pass:
    """One day's overpass."""

    number: int
    date: dt.date
    clouds: float
    """Share of the square under cloud."""
    granules: tuple[Granule, ...]
    lies: bool
    """Whether its items state an offset that its pixels do not have."""

    @property
    def baseline(self) -> str:
        """Processing baseline."""
        return "04.00" if self.date >= _BASELINE_0400 else "03.01"

    @property
    def states_offset(self) -> bool:
        """Whether the items say that reflectance is DN / 10000 - 0.1."""
        return self.baseline == "04.00" and self.number % 2 == 1


@dataclass(frozen=True, slots=True)
class _Painter:
    """Renders passes of one countryside; safe in threads."""

    land: scenery.Countryside
    folder: Path
    seed: int
    noise: np.ndarray = field(repr=False)
    """float32 (y, x), larger than the square, so that every date can have another part of it."""

    def paint(self, overpass: Pass) -> list[dict[str, Any]]:
        """Write the COGs of one day; its items."""
        rng = np.random.default_rng((self.seed, overpass.number))
        day = SEASON.day(overpass.date)
        sky = scenery.make_sky(len(self.land.classes), overpass.clouds, rng)
        planes = dict(self._planes(scenery.reflectance(self.land, day), sky, rng))
        planes["scl"] = scenery.scene_classification(self.land, scenery.green_cover(self.land, day), sky, rng)
        return [_write_scene(self.folder, overpass, granule, planes) for granule in overpass.granules]

    def _planes(
        self, objects: np.ndarray, sky: scenery.Sky, rng: np.random.Generator
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Reflectance (y, x) by band, each in its own resolution."""
        for index, band in enumerate(scenery.BANDS):
            ground = objects[:, index][self.land.objects] * (1 + 0.06 * self.land.texture)
            seen = scenery.light(ground, sky, band)
            if band in scenery.COARSE:
                seen = scenery.halve(seen)
            row, col = rng.integers(0, 64, 2)
            noise = self.noise[row : row + len(seen), col : col + len(seen)]
            yield band, seen + noise * (0.003 + 0.02 * seen)


def make_landscape(  # noqa: PLR0913 - a builder: all but the folder may be left out
    folder: Path,
    *,
    seed: int = 0,
    size_px: int = 768,
    dates: int = 28,
    years: Sequence[int] = (2015, 2020, 2021, 2022),
    lies: int = 0,
    progress: Progress | None = None,
) -> Landscape:
    """Make the landscape in a folder, which is created.

    `size_px` is the side in 10 m pixels, a multiple of 12; `dates` how many days have scenes, 73 at most; `years`
    those with a baseline; `lies` how many days state an offset that their pixels do not have. Raises ValueError.
    """
    if size_px % 12 or size_px < 96 or not 1 <= dates <= 73:
        raise ValueError(f"{size_px} px, {dates} dates: give a multiple of 12 from 96 on, and 1 to 73 dates")
    rng = np.random.default_rng(seed)
    land = scenery.make_countryside(size_px, rng)
    folder.mkdir(parents=True, exist_ok=True)
    made = _write_ground(folder, land, tuple(years), rng)
    passes = plan_passes(size_px, dates, lies, rng)
    noise = rng.standard_normal((size_px + 64, size_px + 64), dtype=np.float32)
    _write_catalog(folder, _paint_all(_Painter(land, folder / COLLECTION, seed, noise), passes, progress))
    return made


def plan_passes(size: int, dates: int, lies: int, rng: np.random.Generator) -> list[Pass]:
    """Days of a five-day rhythm, most of them missing; on some only one of the two granules was taken."""
    granules = (
        Granule("36KTF", 0, size * 7 // 12 // 6 * 6, size, 0.0, 1.0),
        Granule("36KUF", size * 5 // 12 // 6 * 6, size - size * 5 // 12 // 6 * 6, size, 0.12, 1.02),
    )
    made: list[Pass] = []
    for number, slots in enumerate(np.array_split(np.arange(73), dates)):
        date = SEASON.start + dt.timedelta(days=int(2 + 5 * rng.choice(slots)))
        mean = _CLOUDS[min(SEASON.day(date) // 31, 11)]
        clouds = float(np.clip(rng.beta(0.6 * mean * 2 + 0.1, 0.6 * (1 - mean) * 2 + 0.1), 0, 0.98))
        taken = tuple(granule for granule in granules if rng.random() > 0.06) or granules
        made.append(Pass(number, date, clouds if clouds > 0.02 else 0.0, taken, lies=False))
    liars = [overpass.number for overpass in made if overpass.states_offset][:lies]
    return [Pass(p.number, p.date, p.clouds, p.granules, p.number in liars) for p in made]


def _paint_all(painter: _Painter, passes: Sequence[Pass], progress: Progress | None) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    with ThreadPoolExecutor() as pool:
        for done, made in enumerate(pool.map(painter.paint, passes), start=1):
            items += made
            if progress:
                progress(done, len(passes))
    return items


def _write_scene(folder: Path, overpass: Pass, granule: Granule, planes: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Write one item's COGs; the item."""
    name = f"S2{'AB'[overpass.number % 2]}_{granule.name}_{overpass.date:%Y%m%d}_0_L2A"
    (folder / name).mkdir(parents=True, exist_ok=True)
    shift = 1000 if overpass.states_offset and not overpass.lies else 0
    assets, cut = {}, {}
    for band, plane in planes.items():
        shrink = 1 if band in scenery.FINE else 2
        window = plane[:, granule.col // shrink : (granule.col + granule.width) // shrink]
        cut[band] = _to_dn(window, band, granule, shrink, shift)
        transform = granule.transform @ Affine.scale(shrink)
        path = folder / name / f"{band}.tif"
        write_cog(path, cut[band], transform, nodata=0)
        assets[band] = _asset(path, band, transform, cut[band], -0.1 if overpass.states_offset else 0.0)
    return _item(name, overpass, granule, assets, cut["scl"])


def _to_dn(window: np.ndarray, band: str, granule: Granule, shrink: int, shift: int) -> np.ndarray:
    """Numbers as stored (y, x); 0 where the granule has no data."""
    if band == "scl":
        return np.where(granule.has_data(shrink), window, 0).astype(np.uint8)
    dn = np.clip(np.rint(window * (granule.gain * 10_000)) + shift, 1, 65_534)
    return np.where(granule.has_data(shrink), dn, 0).astype(np.uint16)


def write_cog(path: Path, plane: np.ndarray, transform: Affine, *, nodata: int, epsg: int = EPSG) -> None:
    """Write an array (y, x) of integers as a COG: deflate, blocks of 256.

    By way of a copy in memory: copying lets other threads run, which writing with the COG driver does not.
    """
    rows, cols = plane.shape
    grid = {"width": cols, "height": rows, "crs": f"EPSG:{epsg}", "transform": transform, "nodata": nodata}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", dtype=plane.dtype.name, count=1, **grid) as target:
            target.write(plane, 1)
        predictor = "yes" if plane.dtype.itemsize > 1 else "no"
        rasterio.shutil.copy(
            memory.name, path, driver="COG", compress="deflate", level=1, predictor=predictor, blocksize=256,
            overview_resampling="nearest",
        )  # fmt: skip


def _asset(path: Path, band: str, transform: Affine, dn: np.ndarray, offset: float) -> dict[str, Any]:
    content = path.read_bytes()
    stated: dict[str, Any] = {"nodata": 0, "data_type": dn.dtype.name, "spatial_resolution": int(transform.a)}
    if band != "scl":
        stated |= {"scale": 0.0001, "offset": offset}
    return {
        "href": f"./{path.name}",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data", "reflectance" if band != "scl" else "classification"],
        "proj:shape": list(dn.shape),
        "proj:transform": [float(value) for value in transform[:6]],
        "raster:bands": [stated],
        "file:size": len(content),
        "file:checksum": "1220" + hashlib.sha256(content).hexdigest(),
    }


def _item(name: str, overpass: Pass, granule: Granule, assets: dict[str, Any], scl: np.ndarray) -> dict[str, Any]:
    corners = _to_lonlat(granule.footprint)
    valid = scl[scl > 0]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            f"https://stac-extensions.github.io/{extension}/schema.json"
            for extension in ("projection/v1.1.0", "eo/v1.1.0", "raster/v1.1.0", "file/v2.1.0")
        ],
        "id": name,
        "collection": COLLECTION,
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "bbox": list(shapely.LinearRing(corners).bounds),
        "properties": {
            "datetime": f"{overpass.date}T08:0{len(name) % 10}:31Z",
            "created": f"{overpass.date}T16:20:00Z",
            "updated": f"{overpass.date}T16:20:00Z",
            "platform": f"sentinel-2{'ab'[overpass.number % 2]}",
            "constellation": "sentinel-2",
            "proj:epsg": EPSG,
            "eo:cloud_cover": round(float(np.isin(valid, (3, 8, 9, 10)).mean() * 100), 2),
            "s2:processing_baseline": overpass.baseline,
            "earthsearch:boa_offset_applied": overpass.baseline == "04.00" and not overpass.states_offset,
        },
        "links": [
            {"rel": "collection", "href": "../collection.json"},
            {"rel": "parent", "href": "../collection.json"},
            {"rel": "root", "href": "../../catalog.json"},
        ],
        "assets": assets,
    }  # fmt: skip


def _to_lonlat(points: Sequence[tuple[float, float]]) -> list[list[float]]:
    """Metres to degrees, in seven decimals (a centimetre)."""
    to_degrees = Transformer.from_crs(EPSG, 4326, always_xy=True)
    return [[round(value, 7) for value in to_degrees.transform(x, y)] for x, y in points]


def _write_catalog(folder: Path, items: Sequence[dict[str, Any]]) -> None:
    """The catalog, its one collection and the items."""
    boxes = np.array([item["bbox"] for item in items])
    times = sorted(item["properties"]["datetime"] for item in items)
    links = [{"rel": "item", "href": f"./{item['id']}/{item['id']}.json"} for item in items]
    for item in items:
        _write_json(folder / COLLECTION / item["id"] / f"{item['id']}.json", item)
    _write_json(
        folder / COLLECTION / "collection.json",
        {
            "type": "Collection",
            "stac_version": "1.0.0",
            "id": COLLECTION,
            "description": "A synthetic season of Sentinel-2 L2A",
            "license": "CC0-1.0",
            "extent": {
                "spatial": {"bbox": [[*boxes.min(0)[:2].tolist(), *boxes.max(0)[2:].tolist()]]},
                "temporal": {"interval": [[times[0], times[-1]]]},
            },
            "links": [{"rel": "root", "href": "../catalog.json"}, {"rel": "parent", "href": "../catalog.json"}, *links],
        },
    )
    _write_json(
        folder / "catalog.json",
        {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": "geocrop-landscape",
            "description": "A synthetic landscape: nothing in it is real",
            "links": [
                {"rel": "root", "href": "./catalog.json"},
                {"rel": "child", "href": f"./{COLLECTION}/collection.json"},
            ],
        },
    )


def _write_ground(
    folder: Path, land: scenery.Countryside, years: tuple[int, ...], rng: np.random.Generator
) -> Landscape:
    """Everything that is not a scene."""
    made = Landscape(
        folder=folder,
        catalog=folder / "catalog.json",
        labels=folder / "labels.geojson",
        truth=folder / "truth.tif",
        aoi=folder / "aoi.geojson",
        districts=folder / "districts.geojson",
        parcels=folder / "parcels.geojson",
        legend=folder / "legend.csv",
        baselines={year: folder / f"dynamic_world_{year}.tif" for year in years},
    )
    square = Affine(10, 0, ORIGIN[0], 0, -10, ORIGIN[1])
    write_cog(made.truth, land.classes, square, nodata=NODATA_CLASS)
    for year, path in made.baselines.items():
        write_cog(path, scenery.dynamic_world(land, year, rng), square, nodata=255)
    _write_vectors(made, land, rng)
    lines = [f"{one.name},{one.code},{one.name},{one.colour}" for one in scenery.CLASSES]
    made.legend.write_text("\n".join(["label,code,name,colour", *lines, ""]), encoding="utf-8")
    return made


def _write_vectors(made: Landscape, land: scenery.Countryside, rng: np.random.Generator) -> None:
    size = len(land.classes)
    parcels = [(shape, {"parcel": f"P{number:04d}"}) for number, shape in enumerate(land.fields, start=1)]
    _write_features(made.parcels, parcels)
    _write_features(made.labels, [*_field_labels(land, rng), *_patch_labels(land, rng)])
    aoi = shapely.Polygon([(x * size, y * size) for x, y in _AOI])
    _write_features(made.aoi, [(aoi, {"name": "Demo valley"})])
    points = shapely.MultiPoint([(x * size, y * size) for x, y in _DISTRICTS.values()])
    cells = shapely.voronoi_polygons(points, extend_to=shapely.box(0, 0, size, size), ordered=True).geoms
    square = shapely.box(0, 0, size, size)
    districts = [
        (shapely.Polygon(shapely.get_coordinates(cell & square)), {"name": name})
        for cell, name in zip(cells, _DISTRICTS, strict=True)
    ]
    _write_features(made.districts, districts)


def _field_labels(land: scenery.Countryside, rng: np.random.Generator) -> Iterator[_Feature]:
    """The fields of the west as declared; one in fifty farmers declares another crop."""
    names = {one.code: one.name for one in scenery.CLASSES}
    west = len(land.classes) * _TRAINING_EDGE
    for number, shape in enumerate(land.fields, start=1):
        row, col = int(shape.centroid.y), int(shape.centroid.x)
        if shape.bounds[2] < west:
            code = int(land.classes[row, col]) if rng.random() > 0.02 else int(rng.choice(scenery.CROPS))
            yield shape, {"class": names[code], "parcel": f"P{number:04d}"}


def _patch_labels(land: scenery.Countryside, rng: np.random.Generator) -> Iterator[_Feature]:
    """Small squares of the west that somebody recognised on an image: 24 of each class that is no crop."""
    side = 5
    for one in scenery.CLASSES:
        if one.code in scenery.CROPS:
            continue
        mask = binary_erosion(land.classes == one.code, np.ones((side, side)))
        mask[:, int(len(mask) * _TRAINING_EDGE) - side :] = False
        spots = np.argwhere(mask)
        for number, spot in enumerate(rng.permutation(len(spots))[:24], start=1):
            row, col = (int(value) - side // 2 for value in spots[spot])
            square = shapely.box(col, row, col + side, row + side)
            yield square, {"class": one.name, "parcel": f"{one.name[0].upper()}{number:04d}"}


def _write_features(path: Path, features: Iterable[_Feature]) -> None:
    """GeoJSON, lon/lat, of polygons in pixels."""
    written = []
    for shape, properties in features:
        ring = shapely.get_coordinates(polygon.orient(shape, sign=-1))  # pixel rows count southward
        corners = _to_lonlat([(ORIGIN[0] + 10 * x, ORIGIN[1] - 10 * y) for x, y in ring])
        geometry = {"type": "Polygon", "coordinates": [corners]}
        written.append({"type": "Feature", "properties": properties, "geometry": geometry})
    _write_json(path, {"type": "FeatureCollection", "features": written})


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
