"""Seams: whether the class changes more often across the borders of tiles than inside them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window

from steps.model.card import NODATA_CLASS
from steps.model.grid import TileGrid
from steps.report import SeamScore

_STRIP_PIXELS = 2**22


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
        self.pairs += _by_place(known, across)
        self.changes += _by_place(known & (first != second), across)

    def score(self) -> SeamScore | None:
        """None where no border has mapped pixels on both sides."""
        if not self.pairs.all():
            return None
        inside, borders = self.changes / self.pairs
        return SeamScore(borders=float(borders), inside=float(inside))


def _by_place(which: np.ndarray, across: np.ndarray) -> tuple[int, int]:
    """How many lie inside, and across borders."""
    borders = int(np.count_nonzero(which & across))
    return int(np.count_nonzero(which)) - borders, borders


def seam_score(path: Path, grid: TileGrid) -> SeamScore | None:
    """The seam score of a class map on a grid; None where it has no border or nothing beside one. Memory: some rows."""
    counter = SeamCounter(np.zeros(2, np.int64), np.zeros(2, np.int64))
    with rasterio.open(path) as raster:
        col, row = _place(raster, grid)
        across_x = is_border(col, raster.width, grid)[None, :]
        rows = max(16, _STRIP_PIXELS // raster.width)
        for top in range(0, raster.height, rows):
            height = min(rows + 1, raster.height - top)
            codes = raster.read(1, window=Window(0, top, raster.width, height))
            own = codes[:rows]
            counter.add(own[:, :-1], own[:, 1:], across_x)
            counter.add(codes[:-1], codes[1:], is_border(row + top, height, grid)[:, None])
    return counter.score()


def is_border(first: int, count: int, grid: TileGrid) -> np.ndarray:
    """bool (count - 1): whether a border of tiles lies between neighbours of a line of pixels.

    `first` is the line's first pixel, counted from the grid's origin.
    """
    return (np.arange(1, count) + first) % grid.size == 0


def _place(raster: DatasetReader, grid: TileGrid) -> tuple[int, int]:
    """Column and row of the raster's first pixel, counted from the grid's origin."""
    x0, y0 = grid.origin
    return round((raster.transform.c - x0) / grid.resolution), round((y0 - raster.transform.f) / grid.resolution)
