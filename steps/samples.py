"""Labelled pixels: from polygons, points or a raster to a table of features."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
from steps.features import cores
from steps.layers import pin_raster, read_window
from steps.legend import Legend, make_legend, parse_legend
from steps.model.aoi import Aoi
from steps.model.grid import TileGrid, TileId
from steps.model.job import Plan, RasterRef
from steps.progress import Advance
from steps.tile import feature_strips
from steps.vectors import read_features

if TYPE_CHECKING:
    import geopandas

MAX_PER_GROUP = 50
"""Pixels taken of one parcel at most, so that large ones do not rule."""
MIN_PER_CLASS = 5
_BLOCK_PX = 8
_MIN_INNER_PX = 12
"""Polygons that would have fewer pixels without their edges keep them."""
_SQUARE_PX = 64
"""A continuous raster has no parcels: squares of this size are held out instead."""
_SEED = 20_240_517


@dataclass(frozen=True, slots=True)
class TileLabels:
    """Labels on the pixels of a tile."""

    codes: np.ndarray
    """int16 (y, x): class code, -1 where there is no label."""
    groups: np.ndarray
    """int64 (y, x): parcel."""


@dataclass(frozen=True, slots=True)
class SampleTable:
    """Labelled pixels with their features."""

    features: np.ndarray
    """float32 (n, feature)."""
    codes: np.ndarray
    """int64 (n): class codes."""
    groups: np.ndarray
    """int64 (n): parcels; pixels of one are never on both sides of a split."""
    blocks: np.ndarray
    """int64 (n): squares of 8 x 8 pixels, for the optimistic score."""


class Labels:
    """Labels that can be laid on a tile."""

    legend: Legend
    aoi: Aoi

    def on(self, grid: TileGrid, tile: TileId) -> TileLabels:
        """The labels of a tile's pixels."""
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
        codes = np.array([self.legend.code_of(label) for label in self.frame[self.column]], np.int16)
        return TileLabels(np.where(groups >= 0, codes[groups], np.int16(-1)), groups)

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
    frame = read_features(path, epsg=4326)
    if column not in frame.columns:
        names = ", ".join(str(name) for name in frame.columns if name != "geometry")
        raise LabelError(f"{path} has no column {column}", f"it has {names}: name one with --label-column")
    frame = frame[frame[column].notna() & frame.geometry.notna() & ~frame.geometry.is_empty]
    if frame.empty:
        raise LabelError(f"{path} has no labelled feature", f"fill the column {column}")
    used = legend or make_legend(frame[column])
    _check_rows(path, frame, column, used)
    return VectorLabels(
        frame.reset_index(drop=True), column, used, _extent(frame.geometry.union_all().envelope, "labels")
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


def _rows(path: str, frame: "geopandas.GeoDataFrame") -> str:
    more = f" and {len(frame) - 1} more" if len(frame) > 1 else ""
    return f"row {frame.index[0] + 1}{more} of {path}"


def _is_raster(path: str) -> bool:
    with contextlib.suppress(RasterioError), rasterio.open(path) as source:
        return bool(source.count)
    return False


def _raster_labels(path: str, legend: Legend | None, threshold: str) -> RasterLabels:
    with rasterio.open(path) as source:
        if source.crs is None:
            raise LabelError(f"{path} has no CRS", "give it one, as with gdal_edit.py -a_srs")
        aoi = _raster_extent(source)
        values = np.empty(0) if threshold else np.unique(source.read(1, masked=True).compressed())
    if not threshold:
        return RasterLabels(pin_raster(path), _raster_legend(path, values, legend), aoi, None)
    below, level, above = _parse_threshold(threshold)
    return RasterLabels(pin_raster(path), _cut_legend(below, above, legend), aoi, level)


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


def collect_samples(plan: Plan, labels: Labels, tiles: Mapping[TileId, TileLabels], advance: Advance) -> SampleTable:
    """The features of the labelled pixels, tile by tile, exactly as mapping makes them.

    Raises LabelError when no labelled pixel was ever seen clear, or a class has too few.
    """
    parts = []
    for entry in plan.tiles:
        if entry.tile in tiles:
            parts.append(_of_tile(plan, entry.tile, tiles[entry.tile]))
            advance(1, str(entry.tile))
    table = _joined(parts)
    if len(table.codes) == 0:
        raise LabelError("no labelled pixel was seen clear in the season", "check that labels and scenes overlap")
    _check_classes(table, labels)
    return table


def labelled_tiles(plan: Plan, labels: Labels) -> dict[TileId, TileLabels]:
    """The tiles of a plan that hold labels, with the pixels to sample. Raises LabelError when there are none."""
    rng = np.random.default_rng(_SEED)
    found = {}
    for entry in plan.tiles:
        laid = _thinned(labels.on(plan.grid, entry.tile), rng)
        if entry.scenes and (laid.codes >= 0).any():
            found[entry.tile] = laid
    if not found:
        raise LabelError("no label lies where there are scenes", "check the labels' CRS and the catalog's area")
    return found


def _thinned(laid: TileLabels, rng: np.random.Generator) -> TileLabels:
    """At most MAX_PER_GROUP pixels of each parcel, chosen at random with a fixed seed."""
    flat = np.flatnonzero(laid.codes.ravel() >= 0)
    shuffled = rng.permutation(flat)
    groups = laid.groups.ravel()[shuffled]
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], groups[order])
    keep = shuffled[order[np.arange(len(order)) - starts < MAX_PER_GROUP]]
    codes = np.full(laid.codes.size, -1, np.int16)
    codes[keep] = laid.codes.ravel()[keep]
    return TileLabels(codes.reshape(laid.codes.shape), laid.groups)


def _of_tile(plan: Plan, tile: TileId, laid: TileLabels) -> SampleTable:
    entry = next(entry for entry in plan.tiles if entry.tile == tile)
    parts = []
    for rows, features, _ in feature_strips(plan.tile_job(entry), threads=cores()):
        chosen = (laid.codes[rows] >= 0) & (features.clear > 0)
        y, x = np.nonzero(chosen)
        block = ((tile.row * plan.grid.size + y + rows.start) // _BLOCK_PX) * 10_000_019
        block += (tile.col * plan.grid.size + x) // _BLOCK_PX
        parts.append(
            SampleTable(
                features.values.values[:, y, x].T.astype(np.float32),
                laid.codes[rows][chosen].astype(np.int64),
                laid.groups[rows][chosen],
                block,
            )
        )
    return _joined(parts)


def _joined(parts: Sequence[SampleTable]) -> SampleTable:
    return SampleTable(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.groups for part in parts]),
        np.concatenate([part.blocks for part in parts]),
    )


def _check_classes(table: SampleTable, labels: Labels) -> None:
    names = {entry.code: entry.name for entry in labels.legend.classes}
    codes, counts = np.unique(table.codes, return_counts=True)
    if len(codes) < 2:
        raise LabelError(f"only the class {names[int(codes[0])]} has samples", "label at least two classes")
    few = [(names[int(code)], int(count)) for code, count in zip(codes, counts, strict=True) if count < MIN_PER_CLASS]
    if few:
        raise LabelError(
            f"class {few[0][0]} has {few[0][1]} clear samples, at least {MIN_PER_CLASS} are needed",
            "label more of it, or merge it with another class in the legend",
        )
