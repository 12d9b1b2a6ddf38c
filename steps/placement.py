"""Which pixels of a raster give which pixels of a tile. Pure: geometry in, indices out.

A raster on the tile's grid is shifted by whole pixels. Any other is sampled at the centres of the tile's pixels. A
centre is the same number in whatever strip it is read, so strips and tiles agree to the pixel; a warper that
approximates per window would not promise that.
"""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from pyproj import Transformer

from steps.model.grid import TileGrid, TileId

_SAME = 1e-6
"""Pixels: how far grids may be apart and still be one; far above rounding, far below sight."""
_NODE = 16
"""Pixels between the exact reprojections that others are interpolated from; the error is below a centimetre."""
_NOWHERE = -1e12
"""Coordinate of what has none in the raster's CRS."""
_EDGE_POINTS = 21
_MARGIN = 2
"""Pixels: more than bilinear resampling and a bent edge can need."""


class Rect(NamedTuple):
    """Rows and columns of a raster, the ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return max(self.bottom - self.top, 0), max(self.right - self.left, 0)

    @property
    def is_empty(self) -> bool:
        """Whether no pixel is inside."""
        return self.bottom <= self.top or self.right <= self.left

    def common(self, other: "Rect") -> "Rect":
        """What two rectangles share; empty when they are apart."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Rect(top, min(self.bottom, other.bottom), left, min(self.right, other.right))

    def clipped(self, shape: tuple[int, int]) -> "Rect":
        """The part inside a raster of `shape` rows and columns; empty when there is none."""
        top, left = min(max(self.top, 0), shape[0]), min(max(self.left, 0), shape[1])
        return Rect(top, max(min(self.bottom, shape[0]), top), left, max(min(self.right, shape[1]), left))


class Lattice(NamedTuple):
    """The pixels of a north-up raster."""

    epsg: int
    res: float
    """Metres per pixel, both ways."""
    left: float
    top: float
    rows: int
    cols: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.rows, self.cols

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top in metres."""
        return self.left, self.top - self.rows * self.res, self.left + self.cols * self.res, self.top

    def coarser(self, factor: int) -> "Lattice":
        """The same ground in pixels `factor` times as wide."""
        return self._replace(res=self.res * factor, rows=self.rows // factor, cols=self.cols // factor)


def tile_lattice(grid: TileGrid, tile: TileId, halo: int, rows: slice | None = None) -> Lattice:
    """The pixels of a tile, or of `rows` of it, and `halo` pixels more on all sides."""
    rows = rows or slice(0, grid.size)
    left, _, _, top = grid.bounds(tile, halo)
    height, width = rows.stop - rows.start + 2 * halo, grid.size + 2 * halo
    return Lattice(grid.epsg, grid.resolution, left, top - rows.start * grid.resolution, height, width)


class View(Protocol):
    """How some pixels of a source give all the pixels of a target."""

    @property
    def rect(self) -> Rect:
        """The part of the source that is needed; empty when the target lies outside."""
        ...

    def fill(self, pixels: np.ndarray, nodata: int | float) -> np.ndarray:
        """The target (y, x) from the pixels of `rect`; `nodata` where the source has none."""
        ...


@functools.lru_cache(maxsize=8)
def place(source: Lattice, target: Lattice, resampling: str = "nearest") -> View:
    """How a source gives a target.

    `nearest` takes the source pixel that holds the target's centre; one on an edge belongs to the pixel east or south
    of it. `bilinear` weighs the four pixel centres around it, leaving out those without data, and has data exactly
    where `nearest` has. Kept for the next raster on the same grid: most of a tile's are.
    """
    corner = _shift(source, target)
    if corner is not None:
        wanted = Rect(corner[0], corner[0] + target.rows, corner[1], corner[1] + target.cols)
        return Shifted(wanted, wanted.clipped(source.shape))
    y, x = _positions(source, target)
    return _sampled(y, x, source.shape, bilinear=resampling == "bilinear")


def _shift(source: Lattice, target: Lattice) -> tuple[int, int] | None:
    """Row and column of the source's grid at the target's corner; None when the grids differ."""
    if source.epsg != target.epsg or abs(source.res - target.res) * max(*source.shape, *target.shape) > _SAME:
        return None
    row, col = (source.top - target.top) / source.res, (target.left - source.left) / source.res
    if max(abs(row - round(row)), abs(col - round(col))) > _SAME:
        return None
    return round(row), round(col)


@dataclass(frozen=True, slots=True)
class Shifted:
    """Source and target share their grid."""

    wanted: Rect
    rect: Rect
    """The part of `wanted` that the source has."""

    def fill(self, pixels: np.ndarray, nodata: int | float) -> np.ndarray:
        """See `View`. Returns `pixels` themselves where they fill the target."""
        if self.rect == self.wanted:
            return pixels
        out = np.full(self.wanted.shape, nodata, pixels.dtype)
        if not self.rect.is_empty:
            top, left = self.rect.top - self.wanted.top, self.rect.left - self.wanted.left
            out[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        return out


@dataclass(frozen=True, slots=True)
class Sampled:
    """The target's centres lie anywhere in the source."""

    rect: Rect
    row: np.ndarray
    """Index in `rect` of the nearest pixel: (rows, cols) int32, or (rows, 1) in the same CRS."""
    col: np.ndarray
    """(rows, cols) int32, or (1, cols) in the same CRS."""
    inside: np.ndarray
    """(rows, cols) bool: the source has a pixel there."""
    between: tuple[np.ndarray, np.ndarray] | None
    """For bilinear, y and x in pixels of `rect`, counted from its corner; shaped as `row` and `col`, float32."""

    def fill(self, pixels: np.ndarray, nodata: int | float) -> np.ndarray:
        """See `View`."""
        if self.rect.is_empty:
            return np.full(self.inside.shape, nodata, pixels.dtype)
        nearest: np.ndarray = np.where(self.inside, pixels[self.row, self.col], pixels.dtype.type(nodata))
        if self.between is None:
            return nearest
        return np.asarray(np.where(nearest == nodata, nearest, _bilinear(pixels, *self.between, nodata)))


def _sampled(y: np.ndarray, x: np.ndarray, shape: tuple[int, int], *, bilinear: bool) -> Sampled:
    """Positions in the source become positions in the part of it that they need."""
    inside = _inside(y, shape[0]) & _inside(x, shape[1])
    if not inside.any():
        return Sampled(Rect(0, 0, 0, 0), y, x, inside, None)
    reach = 1 if bilinear else 0
    rows, cols = np.broadcast_to(y, inside.shape)[inside], np.broadcast_to(x, inside.shape)[inside]
    rect = Rect(
        int(rows.min()) - reach, int(rows.max()) + 1 + reach, int(cols.min()) - reach, int(cols.max()) + 1 + reach
    ).clipped(shape)
    row, col = _index(y - rect.top, rect.shape[0]), _index(x - rect.left, rect.shape[1])
    between = (_stepped(y, rect.top), _stepped(x, rect.left)) if bilinear else None
    return Sampled(rect, row, col, inside, between)


def _stepped(position: np.ndarray, first: int) -> np.ndarray:
    """Positions in steps of 1/256 pixel, which float32 holds exactly: the same weights in whatever strip."""
    return np.asarray(np.floor(position * 256) / 256 - first, np.float32)


def _inside(position: np.ndarray, size: int) -> np.ndarray:
    return np.asarray((position >= 0) & (position < size))


def _index(position: np.ndarray, size: int) -> np.ndarray:
    """Whole positions; those outside are drawn to the edge, to be masked by the caller."""
    return np.asarray(np.clip(np.floor(position), 0, size - 1), np.int32)


def _bilinear(pixels: np.ndarray, y: np.ndarray, x: np.ndarray, nodata: int | float) -> np.ndarray:
    """Weighted mean of the four nearest centres that have data, rounded half to even for integers."""
    total: np.ndarray = np.zeros(np.broadcast_shapes(y.shape, x.shape))
    weight = np.zeros_like(total)
    top, left = np.floor(y - 0.5), np.floor(x - 0.5)
    for row, row_weight in ((top, top + 1.5 - y), (top + 1, y - 0.5 - top)):
        for col, col_weight in ((left, left + 1.5 - x), (left + 1, x - 0.5 - left)):
            value = pixels[_index(row, pixels.shape[0]), _index(col, pixels.shape[1])]
            inside = _inside(row, pixels.shape[0]) & _inside(col, pixels.shape[1])
            part = np.where(inside & (value != nodata), row_weight * col_weight, 0.0)
            total += part * value
            weight += part
    mean: np.ndarray = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    return np.asarray(np.rint(mean) if pixels.dtype.kind in "iu" else mean, pixels.dtype)


def _positions(source: Lattice, target: Lattice) -> tuple[np.ndarray, np.ndarray]:
    """Positions y and x of the target's centres in source pixels, nudged south-east so that rounding decides no tie."""
    ys = target.top - (np.arange(target.rows) + 0.5)[:, None] * target.res
    xs = target.left + (np.arange(target.cols) + 0.5)[None, :] * target.res
    if source.epsg != target.epsg:
        xs, ys = _reprojected(source.epsg, target)
    return (source.top - ys) / source.res + _SAME, (xs - source.left) / source.res + _SAME


@functools.lru_cache(maxsize=4)
def _reprojected(epsg: int, target: Lattice) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates x and y (rows, cols) in another CRS of the target's centres.

    Exact at nodes that are fixed on the ground, linear between them. One tile's worth is 16 bytes per pixel; it is
    shared by all the tile's rasters of that CRS.
    """
    step = _NODE * target.res
    left, top = math.floor(target.left / step), math.ceil(target.top / step)
    cols = np.arange(left, left + math.ceil(target.cols / _NODE) + 2) * step
    rows = np.arange(top, top - math.ceil(target.rows / _NODE) - 2, -1) * step
    to_source = Transformer.from_crs(target.epsg, epsg, always_xy=True)
    x, y = to_source.transform(*np.meshgrid(cols, rows))
    col = (target.left - cols[0]) / step + (np.arange(target.cols) + 0.5) / _NODE
    row = (rows[0] - target.top) / step + (np.arange(target.rows) + 0.5) / _NODE
    return _between(x, row, col), _between(y, row, col)


def _between(nodes: np.ndarray, row: np.ndarray, col: np.ndarray) -> np.ndarray:
    """Bilinear interpolation of node values (n, m) at rows (r,) and columns (c,) counted in nodes."""
    i, j = np.floor(row).astype(np.intp), np.floor(col).astype(np.intp)
    u, v = (row - i)[:, None], (col - j)[None, :]
    nodes = np.where(np.isfinite(nodes), nodes, _NOWHERE)
    along = nodes[:, j] * (1 - v) + nodes[:, j + 1] * v
    return np.asarray(along[i] * (1 - u) + along[i + 1] * u)


@functools.lru_cache(maxsize=256)
def reach(source: Lattice, target: Lattice) -> Rect:
    """What of a source a target can need by any resampling, found without placing each pixel; may be a little more."""
    corner = _shift(source, target)
    if corner is not None:
        return Rect(corner[0], corner[0] + target.rows, corner[1], corner[1] + target.cols).clipped(source.shape)
    along = np.linspace(0, 1, _EDGE_POINTS)
    x = target.left + target.cols * target.res * np.concatenate([along, along, along * 0, along * 0 + 1])
    y = target.top - target.rows * target.res * np.concatenate([along * 0, along * 0 + 1, along, along])
    if source.epsg != target.epsg:
        x, y = Transformer.from_crs(target.epsg, source.epsg, always_xy=True).transform(x, y)
    row, col = (source.top - y) / source.res, (x - source.left) / source.res
    if not (np.isfinite(row).all() and np.isfinite(col).all()):
        return Rect(0, source.rows, 0, source.cols)
    low, high = np.floor([row.min(), col.min()]) - _MARGIN, np.ceil([row.max(), col.max()]) + _MARGIN
    return Rect(int(low[0]), int(high[0]), int(low[1]), int(high[1])).clipped(source.shape)
