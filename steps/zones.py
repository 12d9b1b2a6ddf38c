"""Class areas per zone and the majority class per parcel, from a finished map.

A pixel belongs to the polygon that its centre is in, so zones that share an edge share no pixel. A parcel that holds no
pixel's centre takes the pixel under a point inside it, and says so. Areas are true areas. Memory is bounded by the
polygons and by some rows of the widest one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rasterio.features
import shapely
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window

from steps.areas import ClassAreas, pixel_areas, shifted
from steps.errors import UsageError
from steps.model.card import NODATA_CLASS, ClassDef
from steps.model.grid import EQUAL_AREA_EPSG
from steps.report import DataTable
from steps.vectors import read_features, write_gpkg

if TYPE_CHECKING:
    import geopandas

_STRIP_PIXELS = 2**21
_EDGES = {True: 0.02, False: 2_000.0}
"""Longest edge that is projected as it stands, in units of the file's CRS: degrees, or else metres."""
_NAMES = ("name", "NAME", "Name", "id", "ID", "parcel")
_MOST = 0.999
"""A zone counts as whole when so much of its area is mapped: pixels at its edge do not end where it does."""


# -- reading -------------------------------------------------------------------------------------------------------


def read_polygons(path: str, epsg: int | None = None) -> "geopandas.GeoDataFrame":
    """The polygons of a vector file with their attributes, reprojected to `epsg`; long edges stay where they are.

    Of what is more than polygons only these are kept. Raises UsageError when a feature has none, and what
    `read_features` raises. Called before any work, it tells whether a file will do.
    """
    frame = read_features(path)
    shapes = [_polygons(shape) for shape in frame.geometry]
    if bad := [number for number, shape in enumerate(shapes, 1) if shape.is_empty]:
        raise UsageError(f"feature {bad[0]} of {path} is no polygon", "give a file of polygons")
    frame = frame.set_geometry(shapely.segmentize(shapes, _EDGES[frame.crs.is_geographic]), crs=frame.crs)
    return frame if epsg is None else frame.to_crs(epsg=epsg)


def _polygons(shape: shapely.Geometry) -> Any:
    """The polygons of a geometry; a repaired one may have lines besides. Empty where there are none."""
    parts = shapely.get_parts(shape)
    while (shapely.get_type_id(parts) > shapely.GeometryType.POLYGON).any():
        parts = shapely.get_parts(parts)
    parts = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


@dataclass(frozen=True, slots=True)
class _Map:
    """An open class map, and its confidence where it is wanted."""

    classes: DatasetReader
    confidence: DatasetReader | None
    epsg: int
    transform: tuple[float, float, float, float, float, float]

    @classmethod
    def of(cls, classes: DatasetReader, confidence: DatasetReader | None = None) -> "_Map":
        """Asked once: a file's CRS and transform are slow to tell."""
        a, b, c, d, e, f = tuple(classes.transform)[:6]
        return cls(classes, confidence, int(classes.crs.to_epsg()), (a, b, c, d, e, f))


# -- zones and parcels ---------------------------------------------------------------------------------------------


def zones_of(map_path: Path, zones: str, classes: Sequence[ClassDef], folder: Path) -> "geopandas.GeoDataFrame":
    """Hectares per class in each zone, written as zones.csv and zones.gpkg.

    `coverage` says whether a zone is mapped whole, partly, or not at all; no zone is left out.
    """
    with rasterio.open(map_path) as source:
        of = _Map.of(source)
        frame = read_polygons(zones, of.epsg)
        tallies = [_tally(shape, of) for shape in frame.geometry]
    hectares = [tally.areas.hectares() for tally in tallies]
    found: dict[str, Sequence[Any]] = {
        column: [round(sum(areas.get(code, 0.0) for code in codes), 4) for areas in hectares]
        for column, codes in _columns(classes).items()
    }
    mapped = [sum(areas.values()) for areas in hectares]
    whole = frame.to_crs(epsg=EQUAL_AREA_EPSG).area / 10_000
    found["mapped ha"] = [round(area, 4) for area in mapped]
    found["zone ha"] = [round(area, 4) for area in whole]
    found["coverage"] = [_coverage(part, area) for part, area in zip(mapped, whole, strict=True)]
    return _write(frame, found, folder, "zones")


def _columns(classes: Sequence[ClassDef]) -> dict[str, list[int]]:
    """Codes by column; classes with one name share a column."""
    columns: dict[str, list[int]] = {}
    for entry in classes:
        columns.setdefault(f"{entry.name} ha", []).append(entry.code)
    return columns


def _coverage(mapped: float, whole: float) -> str:
    if mapped == 0:
        return "not mapped"
    return "whole" if mapped >= whole * _MOST else "partly"


def parcels_of(
    map_path: Path, confidence_path: Path, parcels: str, classes: Sequence[ClassDef], folder: Path
) -> "geopandas.GeoDataFrame":
    """Majority class of each parcel, its share and mean confidence, written as parcels.csv and parcels.gpkg.

    `map_by` says how: by the `pixels` whose centre is inside, by the `point` inside a parcel that holds no pixel's
    centre, or `nothing` where no such pixel is mapped; the class code is then -1. Of two classes with the same area
    the one with the smaller code is taken.
    """
    with rasterio.open(map_path) as source, rasterio.open(confidence_path) as confidence:
        of = _Map.of(source, confidence)
        frame = read_polygons(parcels, of.epsg)
        found = [_majority(_tally(shape, of, pointwise=True)) for shape in frame.geometry]
    names = {entry.code: entry.name for entry in classes}
    return _write(
        frame,
        {
            "map_code": [one.code for one in found],
            "map_class": [names.get(one.code, "") for one in found],
            "map_share": [round(one.share, 4) for one in found],
            "map_confidence": [round(one.confidence, 1) for one in found],
            "map_pixels": [one.pixels for one in found],
            "map_by": [one.by for one in found],
        },
        folder,
        "parcels",
    )


def _write(
    frame: "geopandas.GeoDataFrame", columns: Mapping[str, Sequence[Any]], folder: Path, name: str
) -> "geopandas.GeoDataFrame":
    """The file's own attributes, then ours. An attribute called as one of ours, in any case, becomes NAME_given."""
    ours = {column.casefold() for column in (*columns, "fid")}
    taken = {column: f"{column}_given" for column in frame.columns if column.casefold() in ours}
    frame = frame.rename(columns=taken).assign(**columns)
    frame.drop(columns=frame.geometry.name).to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    write_gpkg(frame, folder / f"{name}.gpkg", layer=name)
    return frame


# -- counting ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """What lies in a polygon."""

    areas: ClassAreas
    confidence: np.ndarray
    """float64 (256): sum of confidence by class."""
    by: str = "pixels"


def _tally(shape: shapely.Geometry, of: _Map, *, pointwise: bool = False) -> _Tally:
    """The map's pixels in a polygon; `pointwise`, where it holds no pixel's centre, the one under a point of it."""
    tally, held = _Tally(ClassAreas(), np.zeros(256)), False
    for strip in _strips(_window(shape, of)):
        inside = _mask(shape, strip, of)
        held = held or bool(inside.any())
        _count(tally, strip, inside, of)
    if pointwise and not held:
        tally.by = "point"
        for pixel in _pixel_inside(shape, of):
            _count(tally, pixel, np.ones((1, 1), bool), of)
    return tally


def _mask(shape: shapely.Geometry, window: Window, of: _Map) -> np.ndarray:
    """bool (y, x): pixels of a window whose centre is in a polygon."""
    transform = Affine(*shifted(of.transform, window.row_off, window.col_off))
    size = (int(window.height), int(window.width))
    return rasterio.features.geometry_mask([shape], size, transform, invert=True)


def _count(tally: _Tally, window: Window, inside: np.ndarray, of: _Map) -> None:
    codes = of.classes.read(1, window=window)[inside]
    areas = pixel_areas(of.epsg, shifted(of.transform, window.row_off, window.col_off), inside.shape)
    tally.areas.add(codes, areas[inside])
    if of.confidence is not None:
        tally.confidence += np.bincount(codes, of.confidence.read(1, window=window)[inside], 256)


def _window(shape: shapely.Geometry, of: _Map) -> Window | None:
    """The pixels of the map that a polygon may hold; None when it is off the map."""
    left, bottom, right, top = shapely.bounds(shape)
    a, _, c, _, e, f = of.transform
    if not np.isfinite((left, bottom, right, top)).all():
        return None
    first, last = max(int(np.floor((left - c) / a)), 0), min(int(np.ceil((right - c) / a)), of.classes.width)
    upper, lower = max(int(np.floor((top - f) / e)), 0), min(int(np.ceil((bottom - f) / e)), of.classes.height)
    return Window(first, upper, last - first, lower - upper) if first < last and upper < lower else None


def _strips(window: Window | None) -> Iterator[Window]:
    if window is not None:
        rows = max(1, _STRIP_PIXELS // int(window.width))
        for top in range(0, int(window.height), rows):
            height = min(rows, int(window.height) - top)
            yield Window(window.col_off, window.row_off + top, window.width, height)


def _pixel_inside(shape: shapely.Geometry, of: _Map) -> Iterator[Window]:
    """The pixel under a point of a polygon; none off the map."""
    if not np.isfinite(shapely.bounds(shape)).all():
        return
    x, y = shapely.get_coordinates(shapely.point_on_surface(shape))[0]
    a, _, c, _, e, f = of.transform
    col, row = int(np.floor((x - c) / a)), int(np.floor((y - f) / e))
    if 0 <= row < of.classes.height and 0 <= col < of.classes.width:
        yield Window(col, row, 1, 1)


@dataclass(frozen=True, slots=True)
class _Majority:
    """The largest class of a parcel."""

    code: int = -1
    share: float = 0.0
    """Of the parcel's mapped area."""
    confidence: float = 0.0
    """Mean over the class's pixels."""
    pixels: int = 0
    """Mapped ones."""
    by: str = "nothing"


def _majority(tally: _Tally) -> _Majority:
    areas, pixels = tally.areas.square_metres[:NODATA_CLASS], tally.areas.pixels[:NODATA_CLASS]
    if not pixels.any():
        return _Majority()
    code = int(areas.argmax())
    sure = float(tally.confidence[code] / pixels[code])
    return _Majority(code, float(areas[code] / areas.sum()), sure, int(pixels.sum()), tally.by)


# -- for the report ------------------------------------------------------------------------------------------------


def zone_table(frame: "geopandas.GeoDataFrame", classes: Sequence[ClassDef]) -> DataTable:
    """Zones for the report."""
    columns = [*_columns(classes), "mapped ha", "coverage"]
    rows = [(_label(row), *(row[column] for column in columns)) for row in _records(frame)]
    names = (column.removesuffix(" ha") for column in columns)
    return DataTable(title="Zones, in hectares", columns=("zone", *names), rows=rows)


def parcel_table(frame: "geopandas.GeoDataFrame") -> DataTable:
    """Parcels for the report."""
    keys = ("map_class", "map_share", "map_confidence", "map_pixels", "map_by")
    rows = [(_label(row), *(row[key] for key in keys)) for row in _records(frame)]
    columns = ("parcel", "majority class", "share", "mean confidence %", "pixels", "by")
    return DataTable(title="Parcels", columns=columns, rows=rows)


def _records(frame: "geopandas.GeoDataFrame") -> list[Mapping[str, str | int | float]]:
    plain = frame.drop(columns=frame.geometry.name).reset_index(drop=True)
    records: list[Mapping[str, str | int | float]] = plain.assign(_row=range(1, len(plain) + 1)).to_dict("records")
    return records


def _label(row: Mapping[str, str | int | float]) -> str:
    """What a polygon is called: its name or id, else its place in the file."""
    return str(next((row[name] for name in _NAMES if name in row), row["_row"]))
