"""A model's further rasters are checked before any tile is made."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import Affine

from steps.errors import DataError
from steps.layers import check_layers, pin_raster
from steps.model.job import RasterRef
from steps.model.spec import FeatureSpec, Layer

DEM = FeatureSpec(bands=("red",), composites=("red",), layers=(Layer(name="dem"),))


def area(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    return shapely.segmentize(shapely.box(west, south, east, north), 0.01)


def raster(path: Path, west: float, north: float, width: int, height: int, *, bands: int = 1) -> RasterRef:
    """One of 0.01 degrees, without data everywhere."""
    transform = Affine(0.01, 0, west, 0, -0.01, north)
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=bands, dtype="float32", nodata=-9, crs=4326,
        transform=transform,
    ) as target:  # fmt: skip
        target.write(np.full((bands, height, width), -9, np.float32))
    return pin_raster(str(path))


def check(ref: RasterRef, shape: shapely.Geometry, epsg: int = 32631) -> None:
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(*shapely.get_coordinates(shape).T)
    check_layers(DEM, {"dem": ref}, np.stack([x, y], axis=1), epsg, "the farm")


def test_a_raster_that_reaches_over_the_area_fits(tmp_path: Path) -> None:
    """Holes in it do not matter, nor that another CRS bends its edges."""
    check(raster(tmp_path / "dem.tif", 3.0, 51.0, 20, 20), area(3.05, 50.85, 3.15, 50.95))


@pytest.mark.parametrize(("west", "width"), [(3.06, 20), (3.0, 10), (30.0, 20), (-3.0, 20)])
def test_a_raster_that_does_not_is_refused(tmp_path: Path, west: float, width: int) -> None:
    """Cut off on either side, or elsewhere."""
    ref = raster(tmp_path / "dem.tif", west, 51.0, width, 20)
    with pytest.raises(DataError, match=r"layer dem \(.*dem\.tif\) does not reach over all of the farm"):
        check(ref, area(3.05, 50.85, 3.15, 50.95))


def test_longitudes_may_run_on(tmp_path: Path) -> None:
    """An area over the antimeridian lies on a raster that does, too."""
    check(raster(tmp_path / "dem.tif", 179.0, -16.0, 200, 100), area(179.8, -16.6, 180.2, -16.4), epsg=32760)


def test_other_bands_are_refused(tmp_path: Path) -> None:
    """With those that the model wants."""
    ref = raster(tmp_path / "dem.tif", 3.0, 51.0, 20, 20, bands=2)
    with pytest.raises(DataError, match="layer dem has 2 bands, the model wants 1: give a raster with the bands value"):
        check(ref, area(3.05, 50.85, 3.15, 50.95))
