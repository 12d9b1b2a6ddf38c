"""True areas of pixels, and areas per class. Pure.

A projected pixel is not resolution squared: UTM alone is off by 0.2 % at a zone's edge, Web Mercator by half of it in
Europe. How much of the WGS84 ellipsoid a small square of the plane covers is computed on a lattice, by way of an
equal-area projection, and interpolated: it is smooth. Any CRS will do, degrees too.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pyproj import CRS, Transformer

from steps.model.card import NODATA_CLASS, ClassDef

_LATTICE_PX = 128
_LATTICE_M = 5_000.0
"""Between knots so far apart, interpolation errs by less than one part in a million."""
_METRES_PER_DEGREE = 111_320.0
_A, _E2 = 6_378_137.0, 0.0066943799901413165
"""WGS84: semi-major axis in metres, squared eccentricity."""
Transform = tuple[float, float, float, float, float, float]


def shifted(transform: Transform, row: float, col: float) -> Transform:
    """The transform of a window that begins at a row and column."""
    a, b, c, d, e, f = transform
    return a, b, c + a * col + b * row, d, e, f + d * col + e * row


def pixel_areas(epsg: int, transform: Transform, shape: tuple[int, int]) -> np.ndarray:
    """float64 (y, x): square metres on the ellipsoid of each pixel of a window of a CRS.

    NaN where the CRS has no place on Earth.
    """
    rows, cols = shape
    a, _, c, _, e, f = transform
    unit = _metres_per_unit(epsg)
    y, x = _knots(rows, abs(e) * unit), _knots(cols, abs(a) * unit)
    true = _true_areas(epsg, c + a * x[None, :], f + e * y[:, None], (abs(a), abs(e)))
    across = np.stack([np.interp(np.arange(cols) + 0.5, x, line) for line in true])
    position = np.interp(np.arange(rows) + 0.5, y, np.arange(len(y)))
    low = np.minimum(position.astype(int), len(y) - 2)
    share = (position - low)[:, None]
    return across[low] * (1 - share) + across[low + 1] * share


def _knots(count: int, step_m: float) -> np.ndarray:
    """Positions from 0 to count in pixels, at most a lattice step apart."""
    step = max(1, min(_LATTICE_PX, int(_LATTICE_M / step_m)))
    return np.linspace(0, count, max(2, -(-count // step) + 1))


@functools.cache
def _transformer(epsg: int) -> Transformer:
    return Transformer.from_crs(epsg, 4326, always_xy=True)


@functools.cache
def _metres_per_unit(epsg: int) -> float:
    """Roughly, for the lattice's density."""
    return _METRES_PER_DEGREE if CRS.from_epsg(epsg).is_geographic else 1.0


def _true_areas(epsg: int, x: np.ndarray, y: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Square metres on the ellipsoid of rectangles of the plane around points x, y (broadcast).

    By the differences across twice the size of a pixel, in both directions.
    """
    x, y = np.broadcast_arrays(x, y)
    width, height = size
    east, west = _equal_area(epsg, x + width, y), _equal_area(epsg, x - width, y)
    north, south = _equal_area(epsg, x, y + height), _equal_area(epsg, x, y - height)
    dx, dy = _difference(east, west), _difference(north, south)
    found: np.ndarray = np.abs(dx[0] * dy[1] - dx[1] * dy[0]) / 4
    return found


def _equal_area(epsg: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(2, ...) metres of the cylindrical equal-area projection; Snyder (1987), equations 10-1, 10-2 and 3-12.

    NaN where the CRS has no place on Earth.
    """
    lon, lat = _transformer(epsg).transform(x, y)
    e, sin = math.sqrt(_E2), np.sin(np.radians(np.where(np.isfinite(lat), lat, np.nan)))
    q = (1 - _E2) * (sin / (1 - _E2 * sin**2) + np.arctanh(e * sin) / e)
    return np.stack([_A * np.radians(np.where(np.isfinite(lon), lon, np.nan)), _A * q / 2])


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of positions that are close to each other, also over the antimeridian."""
    turn = 2 * math.pi * _A
    found: np.ndarray = one - other
    found[0] -= turn * np.round(found[0] / turn)
    return found


@dataclass(slots=True)
class ClassAreas:
    """Adds up pixels and true areas by class, window by window."""

    pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    square_metres: np.ndarray = field(default_factory=lambda: np.zeros(256))

    def add(self, classes: np.ndarray, areas: np.ndarray) -> None:
        """Count a window: class codes uint8 (y, x) and pixel areas (y, x)."""
        self.pixels += np.bincount(classes.ravel(), minlength=256)
        self.square_metres += np.bincount(classes.ravel(), weights=areas.ravel(), minlength=256)

    def hectares(self) -> dict[int, float]:
        """Hectares by class code, of the classes that occur."""
        present = [code for code in range(NODATA_CLASS) if self.pixels[code]]
        return {code: float(self.square_metres[code] / 10_000) for code in present}


@dataclass(frozen=True, slots=True)
class AreaRow:
    """A line of areas.csv."""

    code: int
    name: str
    pixels: int
    hectares: float
    share: float
    """Of the mapped area."""


def area_table(areas: ClassAreas, classes: Sequence[ClassDef]) -> list[AreaRow]:
    """Every class of the model, also those that do not occur."""
    hectares = areas.hectares()
    total = sum(hectares.values()) or 1.0
    return [
        AreaRow(
            entry.code,
            entry.name,
            int(areas.pixels[entry.code]),
            hectares.get(entry.code, 0.0),
            float(hectares.get(entry.code, 0.0) / total),
        )
        for entry in classes
    ]
