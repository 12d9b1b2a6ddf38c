"""Seams: whether the class changes more often across the borders of tiles than inside them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from steps.model.card import NODATA_CLASS
from steps.model.grid import TileGrid
from steps.report import SeamScore

_STRIP_ROWS = 1024


@dataclass(slots=True)
class SeamCounter:
    """Counts pairs of neighbouring mapped pixels, and those of two classes."""

    pairs: np.ndarray
    """int64 (2): inside, across borders."""
    changes: np.ndarray
    """int64 (2)."""

    def add(self, first: np.ndarray, second: np.ndarray, across: np.ndarray) -> None:
        """Count pairs; class codes and whether a border lies between them, broadcast."""
        known = (first != NODATA_CLASS) & (second != NODATA_CLASS)
        where = np.broadcast_to(across, known.shape)
        self.pairs += np.bincount(where[known], minlength=2)
        self.changes += np.bincount(where[known & (first != second)], minlength=2)

    def score(self) -> SeamScore | None:
        """None where no border has mapped pixels on both sides."""
        if not self.pairs.all():
            return None
        inside, borders = self.changes / self.pairs
        return SeamScore(borders=float(borders), inside=float(inside))


def seam_score(path: Path, grid: TileGrid) -> SeamScore | None:
    """The seam score of a class map on a grid. Memory: some rows of the map."""
    counter = SeamCounter(np.zeros(2, np.int64), np.zeros(2, np.int64))
    with rasterio.open(path) as raster:
        col, row = _place(raster, grid)
        across_x = (np.arange(1, raster.width) + col) % grid.size == 0
        for top in range(0, raster.height, _STRIP_ROWS):
            height = min(_STRIP_ROWS + 1, raster.height - top)
            codes = raster.read(1, window=Window(0, top, raster.width, height))
            own = codes[:_STRIP_ROWS]
            counter.add(own[:, :-1], own[:, 1:], across_x[None, :].astype(int))
            across_y = (np.arange(1, height) + top + row) % grid.size == 0
            counter.add(codes[:-1], codes[1:], across_y[:, None].astype(int))
    return counter.score()


def _place(raster: rasterio.io.DatasetReader, grid: TileGrid) -> tuple[int, int]:
    """Column and row of the raster's first pixel, counted from the grid's origin."""
    x0, y0 = grid.origin
    return round((raster.transform.c - x0) / grid.resolution), round((y0 - raster.transform.f) / grid.resolution)
