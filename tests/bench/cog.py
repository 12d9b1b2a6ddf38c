"""A categorical COG of 8192 x 8192 with mode overviews: ours against rio-cogeo's defaults.

`python tests/bench/cog.py` prints medians in seconds, sizes and ratios of one run, as JSON. rio-cogeo is given what a
tutorial gives it: a tiled GeoTIFF, the deflate profile and `overview_resampling="mode"`. Ours is given the same pixels
in strips of 512 rows. Both files are valid COGs with the same pixels; rio-cogeo's defaults are also run with GDAL's COG
driver from the array, the fastest way that GDAL has.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine
from rio_cogeo import cog_profiles, cog_translate, cog_validate
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).parents[2]))

from steps.cog import RasterSpec, cog_writer

SIDE = 8192
REPEATS = 3
_CLASSES = 9
_PARCELS = 48_000
_NOISE = 0.04
"""Share of pixels that a classifier gets another class for than their parcel."""
_STRIP_ROWS = 512
_TRANSFORM = (10.0, 0.0, 600_000.0, 0.0, -10.0, 8_000_000.0)
_PROFILE = {
    "dtype": "uint8",
    "count": 1,
    "width": SIDE,
    "height": SIDE,
    "crs": "EPSG:32736",
    "transform": Affine(*_TRANSFORM),
    "nodata": 255,
}


def class_map() -> np.ndarray:
    """uint8 (y, x): parcels of nine classes with some noise."""
    random = np.random.default_rng(7)
    parcels = cKDTree(random.uniform(0, SIDE, (_PARCELS, 2)))
    classes = random.integers(0, _CLASSES, _PARCELS).astype(np.uint8)
    codes = np.empty((SIDE, SIDE), np.uint8)
    for top in range(0, SIDE, 256):
        places = np.mgrid[top : top + 256, 0:SIDE].reshape(2, -1).T
        codes[top : top + 256] = classes[parcels.query(places, workers=2)[1]].reshape(256, SIDE)
    noise = random.random(codes.shape) < _NOISE
    codes[noise] = random.integers(0, _CLASSES, int(noise.sum()))
    return codes


def run() -> dict[str, float]:
    """Medians in seconds, sizes in MB, and how many times faster ours is."""
    with tempfile.TemporaryDirectory(prefix="geocrop-bench-") as scratch:
        folder, codes = Path(scratch), class_map()
        with rasterio.open(
            folder / "source.tif", "w", driver="GTiff", tiled=True, blockxsize=512, blockysize=512,
            compress="deflate", **_PROFILE,
        ) as source:  # fmt: skip
            source.write(codes, 1)
        ways: dict[str, Callable[[Path], None]] = {
            "ours": lambda path: _ours(path, codes),
            "rio_cogeo": lambda path: _rio_cogeo(folder / "source.tif", path),
            "gdal_cog": lambda path: _gdal_cog(path, codes),
        }
        seconds = {name: _measure(way, folder / f"{name}.tif", codes) for name, way in ways.items()}
        sizes = {name: (folder / f"{name}.tif").stat().st_size / 1e6 for name in ways}
    return (
        {f"{name}_s": round(value, 3) for name, value in seconds.items()}
        | {f"{name}_mb": round(value, 2) for name, value in sizes.items()}
        | {f"times_{name}": round(seconds[name] / seconds["ours"], 2) for name in ("rio_cogeo", "gdal_cog")}
    )


def _ours(path: Path, codes: np.ndarray) -> None:
    spec = RasterSpec(epsg=32736, transform=_TRANSFORM, width=SIDE, height=SIDE, overviews="mode")
    with cog_writer(path, spec) as writer:
        for top in range(0, SIDE, _STRIP_ROWS):
            writer.append(codes[top : top + _STRIP_ROWS])


def _rio_cogeo(source: Path, path: Path) -> None:
    cog_translate(source, path, cog_profiles.get("deflate"), quiet=True, overview_resampling="mode")


def _gdal_cog(path: Path, codes: np.ndarray) -> None:
    options = {"compress": "DEFLATE", "blocksize": 512, "overview_resampling": "mode", "num_threads": "ALL_CPUS"}
    with rasterio.open(path, "w", driver="COG", **_PROFILE, **options) as target:
        target.write(codes, 1)


def _measure(way: Callable[[Path], None], path: Path, codes: np.ndarray) -> float:
    """The median; the first, which may compile, does not count."""
    way(path)
    with rasterio.open(path) as made:
        np.testing.assert_array_equal(made.read(1), codes)
    if not cog_validate(path, strict=True, quiet=True)[0]:
        raise ValueError(f"{path.name} is no strict COG")
    return statistics.median(_time(way, path) for _ in range(REPEATS))


def _time(way: Callable[[Path], None], path: Path) -> float:
    path.unlink()
    start = time.perf_counter()
    way(path)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(), indent=1) + "\n")
