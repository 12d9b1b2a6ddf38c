"""From a downloaded raster to an array."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr


def read_layer(name: str, download: Callable[[Path], None], classes: Mapping[int, str]) -> xr.DataArray:
    """A layer as (y, x), or (band, y, x) where it has several bands; coordinates are the centres of its pixels."""
    with tempfile.TemporaryDirectory(prefix="geocrop-layer-") as folder:
        path = Path(folder) / f"{name}.tif"
        download(path)
        with rasterio.open(path) as source:
            data, transform = source.read(), source.transform
            attributes = {"crs": str(source.crs), "nodata": source.nodata}
    _, rows, columns = data.shape
    coordinates = {
        "y": transform.f + transform.e * (np.arange(rows) + 0.5),
        "x": transform.c + transform.a * (np.arange(columns) + 0.5),
    }
    if name in {"map", "generalised"}:
        attributes["classes"] = dict(classes)
    array = xr.DataArray(data, dims=("band", "y", "x"), coords=coordinates, name=name, attrs=attributes)
    return array.squeeze("band") if data.shape[0] == 1 else array
