"""True areas of pixels, and areas per class. Pure.

A projected pixel is not resolution squared: UTM alone is off by up to 0.2 % inside a zone. The projection's areal scale
(Snyder 1987, USGS Professional Paper 1395) is computed on a lattice and interpolated; it is smooth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pyproj import Proj, Transformer

from steps.model.card import NODATA_CLASS, ClassDef

_LATTICE_PX = 128
Transform = tuple[float, float, float, float, float, float]


def pixel_areas(epsg: int, transform: Transform, shape: tuple[int, int]) -> np.ndarray:
    """float64 (y, x): square metres on the ellipsoid of each pixel of a window."""
    rows, cols = shape
    y, x = _knots(rows), _knots(cols)
    scale = areal_scale(epsg, transform[2] + transform[0] * x[None, :], transform[5] + transform[4] * y[:, None])
    across = np.stack([np.interp(np.arange(cols) + 0.5, x, line) for line in scale])
    position = np.interp(np.arange(rows) + 0.5, y, np.arange(len(y)))
    low = np.minimum(position.astype(int), len(y) - 2)
    share = (position - low)[:, None]
    nominal = abs(transform[0] * transform[4])
    return nominal / (across[low] * (1 - share) + across[low + 1] * share)


def _knots(count: int) -> np.ndarray:
    """Positions from 0 to count, at most a lattice step apart."""
    return np.linspace(0, count, max(2, -(-count // _LATTICE_PX) + 1))


def areal_scale(epsg: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Projected area over true area at points of a CRS; x and y in metres, broadcast."""
    x, y = np.broadcast_arrays(x, y)
    lon, lat = Transformer.from_crs(epsg, 4326, always_xy=True).transform(x, y)
    factors = Proj(f"EPSG:{epsg}").get_factors(lon.ravel(), lat.ravel())
    return np.asarray(factors.areal_scale).reshape(x.shape)


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
