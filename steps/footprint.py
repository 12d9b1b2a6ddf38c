"""The AOI on a grid: the map's window and the pixels inside."""

import math
from dataclasses import dataclass

import numpy as np
import rasterio.features
import shapely
from rasterio.transform import Affine

from steps.aoi import aoi_shape
from steps.errors import AoiError
from steps.model.aoi import Aoi
from steps.model.grid import TileGrid
from steps.plan import project

Transform = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class MapWindow:
    """The pixels of a grid that a map covers."""

    col: int
    """Of its first pixel, counted from the grid's origin."""
    row: int
    width: int
    height: int
    transform: Transform


@dataclass(frozen=True, slots=True)
class Footprint:
    """An AOI, projected once."""

    shape: shapely.Geometry
    grid: TileGrid
    window: MapWindow

    @classmethod
    def of(cls, aoi: Aoi, grid: TileGrid) -> "Footprint":
        """Raises AoiError when no pixel's centre lies in the AOI's bounds."""
        shape = project(aoi_shape(aoi), grid.epsg)
        return cls(shape, grid, _window(shape, grid, aoi.name))

    def mask(self, row: int, height: int) -> np.ndarray:
        """bool (y, x): pixels of some rows of the window whose centre lies in the AOI."""
        a, b, c, d, e, f = self.window.transform
        return rasterio.features.geometry_mask(
            [self.shape],
            out_shape=(height, self.window.width),
            transform=Affine(a, b, c, d, e, f + e * row),
            invert=True,
        )


def _window(shape: shapely.Geometry, grid: TileGrid, name: str) -> MapWindow:
    """The smallest window that holds every pixel whose centre lies in the AOI's bounds."""
    left, bottom, right, top = shapely.bounds(shape)
    x0, y0 = grid.origin
    res = grid.resolution
    col, last_col = _first_centre((left - x0) / res), _last_centre((right - x0) / res)
    row, last_row = _first_centre((y0 - top) / res), _last_centre((y0 - bottom) / res)
    if last_col < col or last_row < row:
        raise AoiError(f"AOI {name} holds no pixel's centre", f"draw one that is wider than {res:g} m")
    transform = (res, 0.0, x0 + col * res, 0.0, -res, y0 - row * res)
    return MapWindow(col, row, last_col - col + 1, last_row - row + 1, transform)


def _first_centre(edge: float) -> int:
    """The first pixel whose centre is not before an edge, both counted in pixels from the grid's origin."""
    return math.ceil(edge - 0.5)


def _last_centre(edge: float) -> int:
    return math.floor(edge - 0.5)
