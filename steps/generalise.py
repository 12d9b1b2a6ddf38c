"""The generalised map: patches below a minimum mapping unit dissolve into what surrounds them. The raw map stays.

A patch is a 4-connected set of pixels of one class. The pixels of patches below the unit are given away ring by ring:
each takes the commonest class of its four neighbours that are kept or were given away in an earlier ring, the lowest
code of equally common ones. So what lies inside a field becomes the field, and what lies between two is shared, and no
patch below the unit is left, but for those out of reach: islands among unmapped pixels, and what lies farther than
`REACH` pixels from any patch that is kept. Unmapped pixels are neither filled nor neighbours.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window

from steps.cog import RasterSpec, cog_writer
from steps.credit import COPERNICUS, copyright_tag
from steps.kernels import patches as kernels
from steps.model.card import NODATA_CLASS, ClassDef

REACH = 64
_WINDOW_PIXELS = 2**24
"""Pixels worked on at once, seven bytes each and nine more for each that is given away."""
_LEAST_ROWS = 256


def generalise(source: Path, target: Path, min_pixels: int, classes: Sequence[ClassDef]) -> None:
    """Write a map without patches of fewer than `min_pixels` pixels as a COG.

    Works in strips that overlap by `min_pixels + REACH` rows on both sides, which is as far as a pixel's fate can
    depend on others: strips of any height give the same map. Memory is bounded by rows; it grows with `min_pixels`.
    """
    with rasterio.open(source) as raster:
        spec = RasterSpec(
            epsg=raster.crs.to_epsg(),
            transform=tuple(raster.transform)[:6],
            width=raster.width,
            height=raster.height,
            overviews="mode",
            classes=classes,
            tags=copyright_tag(COPERNICUS),
        )
        with cog_writer(target, spec) as writer:
            for strip in _strips(raster, min_pixels):
                writer.append(strip)


def _strips(raster: DatasetReader, min_pixels: int) -> Iterator[np.ndarray]:
    margin = min_pixels + REACH
    rows = max(_LEAST_ROWS, _WINDOW_PIXELS // raster.width - 2 * margin)
    for top in range(0, raster.height, rows):
        bottom = min(top + rows, raster.height)
        first, last = max(0, top - margin), min(raster.height, bottom + margin)
        codes = raster.read(1, window=Window(0, first, raster.width, last - first))
        dissolve(codes, min_pixels)
        yield codes[top - first : bottom - first]


def dissolve(codes: np.ndarray, min_pixels: int) -> None:
    """Change uint8 codes (y, x) in place by the rule of this module."""
    loose = np.empty(codes.shape, np.bool_)
    kernels.find_small(codes, np.uint8(NODATA_CLASS), min_pixels, np.empty(codes.size, np.int32), loose)
    kernels.give_away(codes, loose, np.uint8(NODATA_CLASS), REACH)
