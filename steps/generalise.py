"""The generalised map: patches below a minimum mapping unit go to their largest neighbour. The raw map stays."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
import rasterio.features
from rasterio.windows import Window

from steps.cog import RasterSpec, cog_writer
from steps.model.card import NODATA_CLASS, ClassDef

_STRIP_ROWS = 2048


def generalise(source: Path, target: Path, min_pixels: int, classes: Sequence[ClassDef]) -> None:
    """Write a map without 4-connected patches of fewer than `min_pixels`.

    Works in strips of rows with `min_pixels` more on both sides: a patch that small cannot reach farther, so every
    strip sees it whole. Unmapped pixels are neither filled nor count as neighbours.
    """
    with rasterio.open(source) as raster:
        spec = RasterSpec(
            epsg=raster.crs.to_epsg(),
            transform=tuple(raster.transform)[:6],
            width=raster.width,
            height=raster.height,
            overviews="mode",
            classes=classes,
        )
        with cog_writer(target, spec) as writer:
            for top in range(0, raster.height, _STRIP_ROWS):
                writer.append(_strip(raster, top, min(top + _STRIP_ROWS, raster.height), min_pixels))


def _strip(raster: rasterio.io.DatasetReader, top: int, bottom: int, min_pixels: int) -> np.ndarray:
    first, last = max(0, top - min_pixels), min(raster.height, bottom + min_pixels)
    codes = raster.read(1, window=Window(0, first, raster.width, last - first))
    known = codes != NODATA_CLASS
    sieved = rasterio.features.sieve(codes, min_pixels, mask=known, connectivity=4)
    return np.where(known, sieved, NODATA_CLASS)[top - first : bottom - first].astype(np.uint8)
