"""The AOI on a grid: the map's window and the pixels inside."""

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
    """The smallest window that holds the centre of every pixel that may lie in the AOI."""
    left, bottom, right, top = shapely.bounds(shape)
    x0, y0 = grid.origin
    res = grid.resolution
    col, row = int(np.floor((left - x0) / res)), int(np.floor((y0 - top) / res))
    width, height = int(np.ceil((right - x0) / res)) - col, int(np.ceil((y0 - bottom) / res)) - row
    if width < 1 or height < 1:
        raise AoiError(f"AOI {name} is smaller than a pixel", "draw a larger one")
    return MapWindow(col, row, width, height, (res, 0.0, x0 + col * res, 0.0, -res, y0 - row * res))
