"""Labels: polygons, points or a raster with a class each, and how they lie on the pixels of a tile."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import rasterio.features
import shapely
from pyproj import Transformer
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from scipy import ndimage

from steps.aoi import parse_aoi
from steps.errors import LabelError
from steps.layers import pin_raster, read_window
from steps.legend import Legend, make_legend, parse_legend
from steps.model.aoi import Aoi
from steps.model.grid import TileGrid, TileId
from steps.model.job import RasterRef
from steps.vectors import read_features, reprojected

if TYPE_CHECKING:
    import geopandas
    import pandas as pd

MAX_BYTES = 300_000_000
"""Of a file of vector labels, which is read whole."""
_MIN_INNER_PX = 12
"""Polygons that would have fewer pixels without their edges keep them."""
_SQUARE_PX = 64
"""A continuous raster has no parcels: squares of this size are held out instead."""
_OVERLAP_M2, _OVERLAP_SHARE = 400.0, 0.05
"""Polygons of different classes may overlap by less: borders are never drawn twice in the same way."""
_NAMED = 5
"""Rows that an error names."""
_MAX_CODES = 1000
_IDS = ("id", "fid", "uid", "parcel", "parcel_id", "polygon", "field", "field_id", "plot", "plot_id", "code_obj")
"""Columns that people find a row by."""
_CELLS, _CELL_DEG = 40, 0.01
"""The labels' area is made of cells: at most so many on a side, no smaller than this."""


@dataclass(frozen=True, slots=True)
class TileLabels:
    """Labels on the pixels of a tile."""

    codes: np.ndarray
    """int16 (y, x): class code, -1 where there is no label."""
    groups: np.ndarray
    """int64 (y, x): parcel."""


class Labels:
    """Labels that can be laid on a tile."""

    legend: Legend
    aoi: Aoi

    def on(self, grid: TileGrid, tile: TileId) -> TileLabels:
        """The labels of a tile's pixels."""
        raise NotImplementedError

    def name(self, group: int) -> str:
        """What people find a group by in the file; nothing where only its place tells."""
        raise NotImplementedError

    def missing(self, groups: np.ndarray) -> list[str]:
        """The names of labels that are not among some groups; none where labels have no names."""
        raise NotImplementedError


@dataclass(slots=True)
class VectorLabels(Labels):
    """Polygons and points with a class each."""

    frame: "geopandas.GeoDataFrame"
    column: str
    legend: Legend
    aoi: Aoi
    projected: "dict[int, geopandas.GeoDataFrame]" = field(default_factory=dict)
    """The frame by EPSG code of the grids it was laid on."""

    def on(self, grid: TileGrid, tile: TileId) -> TileLabels:
        """See Labels. Polygons lose their edge pixels unless they are small; points take the pixel they are in."""
        shapes = list(self._shapes(grid, tile))
        groups = np.full((grid.size, grid.size), -1, np.int64)
        if shapes:
            groups = rasterio.features.rasterize(
                shapes, out_shape=groups.shape, fill=-1, transform=Affine(*grid.transform(tile)), dtype="int32"
            ).astype(np.int64)
        inside = groups >= 0
        codes = np.array([self.legend.code_of(label) for label in self.frame[self.column]], np.int16)
        rows = self.frame["row"].to_numpy(np.int64)
        return TileLabels(np.where(inside, codes[groups], np.int16(-1)), np.where(inside, rows[groups], np.int64(-1)))

    def name(self, group: int) -> str:
        """See Labels: the row of the file, with its id where it has one."""
        column = next((name for name in self.frame.columns if str(name).lower() in _IDS and name != self.column), None)
        if column is None:
            return f"row {group}"
        place = int(np.searchsorted(self.frame["row"].to_numpy(), group))
        return f"row {group} ({column} {self.frame[column].iloc[place]})"

    def missing(self, groups: np.ndarray) -> list[str]:
        """See Labels."""
        absent = self.frame["row"][~self.frame["row"].isin(groups)]
        return [self.name(int(row)) for row in absent]

    def _shapes(self, grid: TileGrid, tile: TileId) -> Iterator[tuple[shapely.Geometry, int]]:
        if grid.epsg not in self.projected:
            self.projected[grid.epsg] = self.frame.to_crs(grid.epsg)
        frame = self.projected[grid.epsg]
        for position in frame.sindex.query(shapely.box(*grid.bounds(tile)), predicate="intersects"):
            shape = frame.geometry.iloc[position]
            inner = shape.buffer(-grid.resolution) if shape.area > 0 else shape
            small = inner.area < _MIN_INNER_PX * grid.resolution**2
            yield (shape if small else inner), int(position)


@dataclass(slots=True)
class RasterLabels(Labels):
    """A raster of codes, or a continuous one cut in two."""

    ref: RasterRef
    legend: Legend
    aoi: Aoi
    threshold: float | None
    """Where the raster is cut: below it the legend's first label, else its second."""

    def on(self, grid: TileGrid, tile: TileId) -> TileLabels:
        """See Labels. Connected pixels of one class are a parcel; of a raster cut in two, squares of 640 m are."""
        found = read_window(self.ref, grid.epsg, grid.transform(tile), (grid.size, grid.size))[0]
        missing = np.ma.getmaskarray(found)
        codes = self._codes(found.data)
        codes[missing] = -1
        groups = _components(codes) if self.threshold is None else _squares(codes.shape)
        return TileLabels(codes, (tile.row * 100_003 + tile.col) * 10_000_019 + groups)

    def name(self, group: int) -> str:  # noqa: ARG002 - connected pixels have no name
        """See Labels."""
        return ""

    def missing(self, groups: np.ndarray) -> list[str]:  # noqa: ARG002
        """See Labels."""
        return []

    def _codes(self, values: np.ndarray) -> np.ndarray:
        codes = np.full(values.shape, -1, np.int16)
        if self.threshold is not None:
            below, above = self.legend.codes.values()
            codes[values < self.threshold], codes[values >= self.threshold] = below, above
            return codes
        for label, code in self.legend.codes.items():
            with contextlib.suppress(ValueError):  # a name that only other label files use
                codes[values == int(label)] = code
        return codes


def _components(codes: np.ndarray) -> np.ndarray:
    """Number the connected areas of each class, from 0."""
    components = np.zeros(codes.shape, np.int64)
    for code in np.unique(codes[codes >= 0]):
        numbered, _ = ndimage.label(codes == code)
        components = np.where(codes == code, numbered + components.max(), components)
    return components


def _squares(shape: tuple[int, int]) -> np.ndarray:
    """Number squares of a lattice, from 0."""
    rows, cols = np.indices(shape) // _SQUARE_PX
    return rows * (shape[1] // _SQUARE_PX + 1) + cols


def read_labels(path: str, column: str, legend: Legend | None, threshold: str) -> Labels:
    """Labels from a vector file or a raster; raises LabelError with the rows that do not fit."""
    if _is_raster(path):
        return _raster_labels(path, legend, threshold)
    _check_size(path)
    frame = read_features(path)
    if column not in frame.columns:
        names = ", ".join(str(name) for name in frame.columns if name != frame.geometry.name)
        raise LabelError(f"{path} has no column {column}", f"it has {names}: name one with --label-column")
    frame = frame.assign(row=frame.index.to_numpy() + 1)
    frame = frame[frame[column].notna()]
    if frame.empty:
        raise LabelError(f"{path} has no labelled feature", f"fill the column {column}")
    _check_degrees(path, frame)
    frame = reprojected(frame, 4326, path)
    used = legend or make_legend(frame[column])
    _check_rows(path, frame, column, used)
    return VectorLabels(frame.reset_index(drop=True), column, used, _extent(_cells(frame.bounds), "labels"))


def _check_degrees(path: str, frame: "geopandas.GeoDataFrame") -> None:
    """Raises LabelError with the rows that are in degrees among others in metres."""
    if frame.crs.is_geographic:
        return
    few = frame[(frame.bounds.abs() <= [360, 90, 360, 90]).all(axis=1)]
    if 0 < len(few) < len(frame):
        raise LabelError(
            f"{_rows(path, few)} looks like degrees, the others are in {frame.crs.to_string()[:40]}",
            "one file has one CRS: reproject these rows",
        )


def _cells(bounds: "pd.DataFrame") -> shapely.Geometry:
    """The cells of a lattice in degrees that labels lie in: what lies far apart makes no area in between."""
    west, south, east, north = bounds.min().minx, bounds.min().miny, bounds.max().maxx, bounds.max().maxy
    side = max(_CELL_DEG, (east - west) / _CELLS, (north - south) / _CELLS)
    first = np.floor((bounds[["minx", "miny"]].to_numpy() - (west, south)) / side).astype(int)
    last = np.floor((bounds[["maxx", "maxy"]].to_numpy() - (west, south)) / side).astype(int)
    found = {
        (col, row)
        for (left, low), (right, high) in np.unique(np.stack([first, last], axis=1), axis=0)
        for col in range(left, right + 1)
        for row in range(low, high + 1)
    }
    corner = np.array(sorted(found)) * side + (west, south)
    cells = shapely.box(corner[:, 0], corner[:, 1], corner[:, 0] + side, np.minimum(corner[:, 1] + side, 90))
    return shapely.union_all(cells)


def _check_size(path: str) -> None:
    with contextlib.suppress(OSError):  # whoever reads it says so
        if (size := Path(path).stat().st_size) > MAX_BYTES:
            most = MAX_BYTES // 1_000_000
            raise LabelError(
                f"{path} has {size / 1e6:,.0f} MB",
                f"give at most {most} MB: keep the label's column, or split the area",
            )


def _check_rows(path: str, frame: "geopandas.GeoDataFrame", column: str, legend: Legend) -> None:
    """Raises LabelError with the first row that cannot be used, and how many there are."""
    unknown = frame[[legend.code_of(label) is None for label in frame[column]]]
    if len(unknown):
        raise LabelError(
            f"label {str(unknown[column].iloc[0])!r} of {_rows(path, unknown)} is not in the legend",
            "add it, or leave its rows out",
        )
    lines = frame[frame.geometry.geom_type.str.contains("Line|Collection")]
    if len(lines):
        raise LabelError(
            f"{_rows(path, lines)} is a {lines.geometry.geom_type.iloc[0]}", "label polygons or points, no lines"
        )
    inside = (frame.bounds >= [-360, -90, -360, -90]) & (frame.bounds <= [360, 90, 360, 90])
    beyond = frame[~inside.all(axis=1)]
    if len(beyond):
        raise LabelError(f"{_rows(path, beyond)} lies off the Earth", "one file has one CRS: reproject these rows")
    _check_overlaps(path, frame, column, legend)


def _check_overlaps(path: str, frame: "geopandas.GeoDataFrame", column: str, legend: Legend) -> None:
    """Raises LabelError with the rows of polygons that overlap and are of different classes."""
    shapes = frame.geometry.to_crs(6933)
    areas = shapes.area.to_numpy()
    codes = np.array([legend.code_of(label) for label in frame[column]])
    one, other = shapes.sindex.query(shapes, predicate="intersects")
    pairs = (one < other) & (codes[one] != codes[other]) & (areas[one] > 0) & (areas[other] > 0)
    one, other = one[pairs], other[pairs]
    common = shapely.area(shapely.intersection(shapes.to_numpy()[one], shapes.to_numpy()[other]))
    clash = (common > _OVERLAP_M2) & (common > _OVERLAP_SHARE * np.minimum(areas[one], areas[other]))
    if clash.any():
        rows, labels = frame["row"].to_numpy(), frame[column].to_numpy()
        named = [
            f"{rows[a]} ({labels[a]}) and {rows[b]} ({labels[b]})"
            for a, b in zip(one[clash][:_NAMED], other[clash][:_NAMED], strict=True)
        ]
        more = f", and {clash.sum() - _NAMED} more pairs" if clash.sum() > _NAMED else ""
        raise LabelError(
            f"polygons of different classes overlap in {path}: rows {'; '.join(named)}{more}",
            "correct them, or leave one of each pair out",
        )


def _rows(path: str, frame: "geopandas.GeoDataFrame") -> str:
    more = f" and {len(frame) - 1} more" if len(frame) > 1 else ""
    return f"row {frame['row'].iloc[0]}{more} of {path}"


def _is_raster(path: str) -> bool:
    with contextlib.suppress(RasterioError), rasterio.open(path) as source:
        return bool(source.count)
    return False


def _raster_labels(path: str, legend: Legend | None, threshold: str) -> RasterLabels:
    with rasterio.open(path) as source:
        if source.crs is None:
            raise LabelError(f"{path} has no CRS", "give it one, as with gdal_edit.py -a_srs")
        aoi = _raster_extent(source)
        values = np.empty(0) if threshold else _distinct(source)
    if not threshold:
        return RasterLabels(pin_raster(path), _raster_legend(path, values, legend), aoi, None)
    below, level, above = _parse_threshold(threshold)
    return RasterLabels(pin_raster(path), _cut_legend(below, above, legend), aoi, level)


def _distinct(source: rasterio.DatasetReader) -> np.ndarray:
    """The values of a raster, block by block; only the first ones of many, which are no class codes."""
    found = np.empty(0)
    for _, window in source.block_windows(1):
        found = np.union1d(found, source.read(1, window=window, masked=True).compressed())
        if len(found) > _MAX_CODES:
            break
    return found


def _raster_extent(source: rasterio.DatasetReader) -> Aoi:
    corners = shapely.box(*source.bounds)
    to_degrees = Transformer.from_crs(source.crs, 4326, always_xy=True)
    dense = shapely.segmentize(corners, corners.length / 80)
    return _extent(
        shapely.transform(dense, lambda xy: np.column_stack(to_degrees.transform(xy[:, 0], xy[:, 1]))), "labels"
    )


def _raster_legend(path: str, values: np.ndarray, legend: Legend | None) -> Legend:
    """The legend of a raster's distinct values; 0 is unlabelled unless the legend has it."""
    values = values[np.isfinite(values)]
    if len(parts := values[values != np.rint(values)]):
        raise LabelError(f"{path} holds {parts[0]:g}, which is no class code", "cut it with --label-threshold")
    used = legend or make_legend(int(value) for value in values if value != 0)
    unknown = [int(value) for value in values if value != 0 and used.code_of(int(value)) is None]
    if unknown:
        raise LabelError(f"code {unknown[0]} of {path} is not in the legend", "add it; 0 stays unlabelled")
    return used


def _cut_legend(below: str, above: str, legend: Legend | None) -> Legend:
    """The legend of a raster cut in two, the class below first; its codes are 0 and 1 if no legend says others."""
    used = legend or parse_legend(json.dumps({below: 0, above: 1}))
    codes = [used.code_of(label) for label in (below, above)]
    if None in codes:
        raise LabelError(f"label {(below, above)[codes.index(None)]!r} is not in the legend", "add it")
    kept = {label: code for label, code in zip((below, above), codes, strict=True) if code is not None}
    return Legend(tuple(entry for entry in used.classes if entry.code in codes), kept)


def _parse_threshold(text: str) -> tuple[str, float, str]:
    try:
        below, level, above = (part.strip() for part in text.split(","))
        if below and above and below != above and np.isfinite(float(level)):
            return below, float(level), above
    except ValueError:
        pass
    raise LabelError(f"--label-threshold {text!r} does not fit", "write it as other,50,forest") from None


def _extent(shape: shapely.Geometry, name: str) -> Aoi:
    if shapely.area(shape) == 0:
        shape = shapely.buffer(shape, 0.001)
    return parse_aoi(json.loads(shapely.to_geojson(shape)), name=name)
