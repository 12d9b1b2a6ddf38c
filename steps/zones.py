"""Class areas per zone and the majority class per parcel, from a finished map.

A pixel belongs to the polygon that its centre is in. A parcel that holds no pixel centre takes the pixel under a point
inside it. Areas are true areas. Memory is bounded by a window of one polygon, read in strips.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import rasterio.features
import rasterio.windows
from rasterio.windows import Window

from steps.areas import ClassAreas, pixel_areas
from steps.model.card import NODATA_CLASS, ClassDef
from steps.report import DataTable
from steps.vectors import read_features, write_gpkg

if TYPE_CHECKING:
    import geopandas
    from shapely.geometry.base import BaseGeometry

_STRIP_ROWS = 1024
_NAMES = ("name", "NAME", "Name", "id", "ID", "parcel")


@dataclass(slots=True)
class _Tally:
    """What lies in a polygon."""

    areas: ClassAreas
    confidence: np.ndarray
    """float64 (256): sum of confidence by class."""


def zones_of(map_path: Path, zones: str, classes: Sequence[ClassDef], folder: Path) -> "geopandas.GeoDataFrame":
    """Hectares per class in each zone, written as zones.csv and zones.gpkg. A zone off the map has 0 everywhere."""
    with rasterio.open(map_path) as source:
        frame = read_features(zones, epsg=source.crs.to_epsg())
        tallies = [_tally(shape, source, None) for shape in frame.geometry]
    hectares = [tally.areas.hectares() for tally in tallies]
    for entry in classes:
        frame[f"{entry.name} ha"] = [round(found.get(entry.code, 0.0), 4) for found in hectares]
    frame["mapped ha"] = [round(sum(found.values()), 4) for found in hectares]
    _write(frame, folder, "zones")
    return frame


def parcels_of(
    map_path: Path, confidence_path: Path, parcels: str, classes: Sequence[ClassDef], folder: Path
) -> "geopandas.GeoDataFrame":
    """Majority class of each parcel, its share and mean confidence, written as parcels.csv and parcels.gpkg."""
    names = {entry.code: entry.name for entry in classes}
    with rasterio.open(map_path) as source, rasterio.open(confidence_path) as confidence:
        frame = read_features(parcels, epsg=source.crs.to_epsg())
        found = [_majority(_tally(shape, source, confidence)) for shape in frame.geometry]
    frame["map_code"] = [code for code, _, _, _ in found]
    frame["map_class"] = [names.get(code, "") for code, _, _, _ in found]
    frame["map_share"] = [round(share, 4) for _, share, _, _ in found]
    frame["confidence"] = [round(sure, 1) for _, _, sure, _ in found]
    frame["map_pixels"] = [pixels for _, _, _, pixels in found]
    _write(frame, folder, "parcels")
    return frame


def _write(frame: "geopandas.GeoDataFrame", folder: Path, name: str) -> None:
    frame.drop(columns=frame.geometry.name).to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    write_gpkg(frame, folder / f"{name}.gpkg", layer=name)


def _tally(
    shape: "BaseGeometry", source: rasterio.io.DatasetReader, confidence: rasterio.io.DatasetReader | None
) -> _Tally:
    tally = _Tally(ClassAreas(), np.zeros(256))
    window = _window(shape, source)
    for strip in _strips(window):
        inside = rasterio.features.geometry_mask(
            [shape],
            (int(strip.height), int(strip.width)),
            rasterio.windows.transform(strip, source.transform),
            invert=True,
        )
        _count(tally, strip, inside, source, confidence)
    if not tally.areas.pixels[:NODATA_CLASS].any() and window is not None:
        pixel = _pixel_inside(shape, source)
        if pixel is not None:
            _count(tally, pixel, np.ones((1, 1), bool), source, confidence)
    return tally


def _count(
    tally: _Tally,
    window: Window,
    inside: np.ndarray,
    source: rasterio.io.DatasetReader,
    confidence: rasterio.io.DatasetReader | None,
) -> None:
    codes = np.where(inside, source.read(1, window=window), NODATA_CLASS)
    transform = tuple(rasterio.windows.transform(window, source.transform))[:6]
    tally.areas.add(codes, pixel_areas(source.crs.to_epsg(), transform, codes.shape))
    if confidence is not None:
        sure = confidence.read(1, window=window)
        tally.confidence += np.bincount(codes.ravel(), sure.ravel(), 256)


def _window(shape: "BaseGeometry", source: rasterio.io.DatasetReader) -> Window | None:
    """The pixels of the map that a polygon may hold; None when it is off the map."""
    if shape is None or shape.is_empty:
        return None
    left, bottom, right, top = shape.bounds
    a, _, c, _, e, f = tuple(source.transform)[:6]
    first, last = int(np.floor((left - c) / a)), int(np.ceil((right - c) / a))
    upper, lower = int(np.floor((top - f) / e)), int(np.ceil((bottom - f) / e))
    first, upper = max(first, 0), max(upper, 0)
    width, height = min(last, source.width) - first, min(lower, source.height) - upper
    return Window(first, upper, width, height) if width > 0 and height > 0 else None


def _strips(window: Window | None) -> Iterator[Window]:
    if window is not None:
        for top in range(0, int(window.height), _STRIP_ROWS):
            height = min(_STRIP_ROWS, int(window.height) - top)
            yield Window(window.col_off, window.row_off + top, window.width, height)


def _pixel_inside(shape: "BaseGeometry", source: rasterio.io.DatasetReader) -> Window | None:
    """The pixel under a point of a polygon that holds no pixel's centre."""
    point = shape.representative_point()
    row, col = source.index(point.x, point.y)
    return Window(col, row, 1, 1) if 0 <= row < source.height and 0 <= col < source.width else None


def _majority(tally: _Tally) -> tuple[int, float, float, int]:
    """Code, share of the parcel's mapped area, mean confidence and pixels of its largest class; -1 of none."""
    areas, pixels = tally.areas.square_metres[:NODATA_CLASS], tally.areas.pixels[:NODATA_CLASS]
    if not pixels.any():
        return -1, 0.0, 0.0, 0
    code = int(areas.argmax())
    return code, float(areas[code] / areas.sum()), float(tally.confidence[code] / pixels[code]), int(pixels.sum())


def zone_table(frame: "geopandas.GeoDataFrame", classes: Sequence[ClassDef]) -> DataTable:
    """Zones for the report."""
    columns = [f"{entry.name} ha" for entry in classes]
    rows = [(_label(row), *(row[column] for column in columns), row["mapped ha"]) for row in _records(frame)]
    return DataTable(title="Zones, in hectares", columns=("zone", *(c.name for c in classes), "mapped"), rows=rows)


def parcel_table(frame: "geopandas.GeoDataFrame") -> DataTable:
    """Parcels for the report."""
    keys = ("map_class", "map_share", "confidence", "map_pixels")
    rows = [(_label(row), *(row[key] for key in keys)) for row in _records(frame)]
    columns = ("parcel", "majority class", "share", "mean confidence %", "pixels")
    return DataTable(title="Parcels", columns=columns, rows=rows)


def _records(frame: "geopandas.GeoDataFrame") -> list[Mapping[str, str | int | float]]:
    plain = frame.drop(columns=frame.geometry.name).reset_index(names="row")
    records: list[Mapping[str, str | int | float]] = plain.to_dict("records")
    return records


def _label(row: Mapping[str, str | int | float]) -> str:
    """What a polygon is called: its name or id, else its row in the file."""
    return str(next((row[name] for name in _NAMES if name in row), row["row"]))
