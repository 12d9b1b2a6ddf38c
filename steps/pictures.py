"""Small pictures of a map's rasters, for its report. Adapter: reads COGs through their overviews."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.drivers import raster_driver_extensions
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile

from steps.errors import DataError
from steps.model.card import NODATA_CLASS, ClassDef
from steps.model.job import REASON_CODES
from steps.palette import CLEAR_RAMP, CONFIDENCE_RAMP, DISAGREEMENT_COLOURS, REASON_COLOURS, ramp_colour, rgb

CLEAR_MOST = 30
"""Clear observations at the end of the ramp."""
Colours = dict[int, tuple[int, int, int, int]]
"""Red, green, blue, alpha by pixel value."""


def report_pictures(paths: Mapping[str, Path], classes: Sequence[ClassDef], side: int = 1000) -> dict[str, bytes]:
    """PNG (or WebP, for the composite) by layer of MAP_LAYERS, at most `side` pixels wide and high.

    Where a raster has no data, its picture is transparent. Layers that have no picture are left out. Raises DataError.
    """
    palettes = _palettes(classes)
    return {
        layer: _composite_picture(path, side) if layer == "composite" else _picture(path, palettes[layer], side)
        for layer, path in paths.items()
        if layer == "composite" or layer in palettes
    }


def _palettes(classes: Sequence[ClassDef]) -> dict[str, Colours]:
    mapped = _solid({one.code: one.colour for one in classes})
    confidence = {value: (*ramp_colour(CONFIDENCE_RAMP, value / 100), 255) for value in range(101)}
    clear = {value: (*ramp_colour(CLEAR_RAMP, (value - 1) / (CLEAR_MOST - 1)), 255) for value in range(1, 256)}
    return {
        "map": mapped,
        "generalised": mapped,
        "confidence": confidence,
        "margin": confidence,
        "clear": clear,
        "reason": _solid({code: REASON_COLOURS[reason] for reason, code in REASON_CODES.items()}),
        "disagreement": _solid(DISAGREEMENT_COLOURS),
    }


def _solid(colours: Mapping[int, str]) -> Colours:
    return {value: (*rgb(colour), 255) for value, colour in colours.items()}


def _read(path: Path, side: int, resampling: Resampling) -> np.ndarray:
    """The raster (band, y, x) uint8, decimated to fit into `side`, with a mask from its own nodata as last band."""
    try:
        with rasterio.open(path) as source:
            shrink = max(1.0, max(source.shape) / side)
            shape = tuple(max(1, round(length / shrink)) for length in source.shape)
            pixels = source.read(out_shape=(source.count, *shape), resampling=resampling)
            mask = source.dataset_mask(out_shape=shape)
    except RasterioError as error:
        raise DataError(f"{path} cannot be read for its picture", f"publish the map again ({error})") from error
    return np.concatenate([pixels.astype(np.uint8), mask[None]])


def _picture(path: Path, colours: Colours, side: int) -> bytes:
    values, mask = _read(path, side, Resampling.nearest)
    known = np.isin(values, list(colours)) & (mask > 0)
    spare = next((value for value in (NODATA_CLASS, *range(255)) if value not in colours), None)
    if spare is None:
        spare, colours = NODATA_CLASS, {**colours, NODATA_CLASS: (0, 0, 0, 0)}
    filled = np.where(known, values, np.uint8(spare))
    return _encode(filled[None], "PNG", {**dict.fromkeys(range(256), (0, 0, 0, 0)), **colours}, zlevel=6)


def _composite_picture(path: Path, side: int) -> bytes:
    """Red, green and blue with alpha; WebP where GDAL has it, which is a tenth of the size."""
    pixels = _read(path, side, Resampling.average)[:4]
    pixels[3] = np.where(pixels[:3].any(axis=0) & (pixels[3] > 0), 255, 0)
    if "webp" in raster_driver_extensions():
        return _encode(pixels, "WEBP", None, quality=85)
    return _encode(pixels, "PNG", None, zlevel=6)


def _encode(pixels: np.ndarray, driver: str, colours: Colours | None, **options: int) -> bytes:
    """An image file of pixels (band, y, x) uint8."""
    bands, rows, cols = pixels.shape
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a picture needs no place on earth
        with memory.open(driver=driver, dtype="uint8", count=bands, width=cols, height=rows, **options) as target:
            if colours:
                target.write_colormap(1, colours)
            target.write(pixels)
        return bytes(memory.read())
