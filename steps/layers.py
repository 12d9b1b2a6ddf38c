"""Further rasters that a model or a map asks for: static layers, Sentinel-1 composites, masks, baselines."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT

from steps.errors import DataError, UsageError
from steps.model.job import RasterRef, TileJob
from steps.model.spec import Layer

_CHUNK = 1 << 20
Transform = tuple[float, float, float, float, float, float]


def pin_raster(text: str) -> RasterRef:
    """A raster as the user names it, with what identifies its content.

    Raises UsageError for a path to no file, DataError for a file or URL that is no raster or does not say its CRS.
    """
    path = Path(text)
    if "://" in text or text.startswith("/vsi"):
        return RasterRef(href=text, version=_header(text))
    if not path.is_file():
        raise UsageError(f"raster {text} is no file", "give a path or URL that GDAL reads")
    _header(text)
    return RasterRef(href=str(path.resolve()), version=_sha256(path))


def _sha256(path: Path) -> str:
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def _header(href: str) -> str:
    """What a raster says of itself; a remote one's pixels are taken on trust."""
    try:
        with rasterio.open(href) as source:
            said, crs = f"{source.profile} {source.tags()}", source.crs
    except RasterioError as error:
        raise DataError(f"raster {href} cannot be opened: {error}", "give a path or URL that GDAL reads") from error
    if crs is None:
        raise DataError(f"raster {href} does not say its CRS", "give it one, as with gdal_edit.py -a_srs")
    return hashlib.sha256(said.encode()).hexdigest()


def read_window(
    ref: RasterRef, epsg: int, transform: Transform, shape: tuple[int, int], resampling: str = "nearest"
) -> np.ma.MaskedArray:
    """A raster on a window of another grid: (band, y, x), masked where it has no data.

    Raises DataError when it cannot be read.
    """
    rows, cols = shape
    try:
        with (
            rasterio.open(ref.href) as source,
            WarpedVRT(
                source,
                crs=f"EPSG:{epsg}",
                transform=Affine(*transform),
                width=cols,
                height=rows,
                resampling=Resampling[resampling],
                add_alpha=source.nodata is None,
            ) as warped,
        ):
            return warped.read(list(range(1, source.count + 1)), masked=True)
    except RasterioError as error:
        raise DataError(f"raster {ref.href} cannot be read", f"check the file ({error})") from error


def read_layers(job: TileJob, rows: slice) -> dict[str, np.ndarray]:
    """The spec's layers on some rows of a tile, without halo: name to float32 (band, y, x), NaN where missing."""
    if not job.card.spec.layers:
        return {}
    a, b, c, d, e, f = job.grid.transform(job.tile)
    transform = (a, b, c, d, e, f + e * rows.start)
    shape = (rows.stop - rows.start, job.grid.size)
    return {
        layer.name: _read_layer(layer, job.layers, job.grid.epsg, transform, shape) for layer in job.card.spec.layers
    }


def _read_layer(
    layer: Layer, refs: Mapping[str, RasterRef], epsg: int, transform: Transform, shape: tuple[int, int]
) -> np.ndarray:
    values = read_window(refs[layer.name], epsg, transform, shape, "bilinear")
    if len(values) != len(layer.bands):
        raise DataError(
            f"layer {layer.name} has {len(values)} bands, the model wants {len(layer.bands)}",
            f"give a raster with the bands {', '.join(layer.bands)}",
        )
    return np.ma.filled(values.astype(np.float32), np.nan)
