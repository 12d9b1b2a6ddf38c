"""Further rasters that a model or a map asks for: static layers, Sentinel-1 composites, masks, baselines."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT

from steps.checksum import file_sha256
from steps.errors import DataError, UsageError
from steps.model.job import RasterRef, TileJob
from steps.model.spec import FeatureSpec, Layer
from steps.settings import settings
from steps.store_rasters import keys_for

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
    return RasterRef(href=str(path.resolve()), version=file_sha256(path))


def _header(href: str) -> str:
    """What a raster says of itself; a remote one's pixels are taken on trust."""
    try:
        with keys_for(href, settings()), rasterio.open(href) as source:
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
    with (
        _opened(ref) as source,
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


def check_layers(spec: FeatureSpec, layers: Mapping[str, RasterRef], places: np.ndarray, epsg: int, whose: str) -> None:
    """Raises DataError for a raster that has other bands than its layer, or does not reach over all places (n, 2).

    Holes in it are allowed: what is missing there, a model sees as missing. `whose` the places are is said.
    """
    for layer in spec.layers:
        with _opened(layers[layer.name]) as source:
            _check_bands(layer, source.count)
            if not _reaches(source, epsg, places):
                raise DataError(
                    f"layer {layer.name} ({layers[layer.name].href}) does not reach over all of {whose}",
                    "give a raster that does, with its CRS as it is",
                )


def _check_bands(layer: Layer, count: int) -> None:
    if count != len(layer.bands):
        raise DataError(
            f"layer {layer.name} has {count} bands, the model wants {len(layer.bands)}",
            f"give a raster with the bands {', '.join(layer.bands)}",
        )


@contextmanager
def _opened(ref: RasterRef) -> Iterator[rasterio.DatasetReader]:
    try:
        with keys_for(ref.href, settings()), rasterio.open(ref.href) as source:
            yield source
    except RasterioError as error:
        raise DataError(f"raster {ref.href} cannot be read", f"check the file ({error})") from error


def _reaches(source: rasterio.DatasetReader, epsg: int, places: np.ndarray) -> bool:
    """Whether places (n, 2) of another CRS lie on a raster, to half a pixel."""
    x, y = Transformer.from_crs(epsg, source.crs, always_xy=True).transform(*places.T)
    turns = (0.0, 360.0) if source.crs.is_geographic else (0.0,)  # longitudes may run on past 180
    inside = np.zeros(len(x), bool)
    for turn in turns:
        col, row = ~source.transform @ (x + turn, y)
        inside |= (col >= -0.5) & (col <= source.width + 0.5) & (row >= -0.5) & (row <= source.height + 0.5)
    return bool(inside.all())


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
    _check_bands(layer, len(values))
    return np.ma.filled(values.astype(np.float32), np.nan)
