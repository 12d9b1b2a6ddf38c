"""The bench's landscape: 4096 x 4096 px at 10 m, EPSG:32736, 24 dates, 6 bands and SCL as COGs, made once and kept.

Nine crops on Voronoi parcels, each with its own phenology; smooth texture and noise so that deflate works as hard as on
real scenes; clouds and their shadows. `python tests/bench/data.py` makes it; `GEOCROP_BENCH` says where.
"""

import datetime as dt
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine
from rasterio.warp import transform_bounds
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial import cKDTree

from steps.model.scene import Asset, Scene

SIZE = 4096
"""Pixels per side at 10 m."""
WEST, NORTH = 600_000.0, 8_000_000.0
EPSG = 32736
CLASSES = 9
DATES = tuple(dt.date(2023, 10, 3) + dt.timedelta(days=10 * step) for step in range(24))
BANDS = {
    "blue": (10, 500, -150),
    "green": (10, 800, -150),
    "red": (10, 900, -300),
    "nir": (10, 2200, 1500),
    "swir16": (20, 2500, -360),
    "swir22": (20, 1800, -420),
}
"""Band to metres per pixel, DN of bare soil, DN added by full vegetation."""
_CLOUD = (0.05, 0.6, 0.3, 0.15, 0.9, 0.2)
"""Share of cloud, date by date, in turn."""
_PARCELS = 12_000


def folder() -> Path:
    """Where the data lies: `GEOCROP_BENCH`, or `.bench` beside the project's files."""
    return Path(os.environ.get("GEOCROP_BENCH") or Path(__file__).parents[2] / ".bench")


def ready() -> Path:
    """The folder, its data made if it was not there; takes some minutes the first time."""
    root = folder()
    if not (root / "done").exists():
        _make(root)
    return root


def scenes() -> list[Scene]:
    """The 24 scenes, as the plan would pin them."""
    return [_scene(day, ready()) for day in DATES]


def items() -> list[dict[str, Any]]:
    """The same as STAC items, as a tutorial would get them from a catalog."""
    return [_item(scene) for scene in scenes()]


def labels() -> np.ndarray:
    """The true class (y, x) uint8, 0 to 8, at 10 m."""
    return np.asarray(np.load(ready() / "labels.npy"))


def _make(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / ".gitignore").write_text("*\n", encoding="utf-8")
    land = _landscape()
    np.save(root / "labels.npy", land[0])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda index: _write_date(root, index, *land), range(len(DATES))))
    (root / "done").write_text("", encoding="utf-8")


def _landscape() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class uint8, vigour of the parcel and smooth texture, each (y, x) float32."""
    random = np.random.default_rng(7)
    tree = cKDTree(random.uniform(0, SIZE, (_PARCELS, 2)))
    crop = random.integers(0, CLASSES, _PARCELS).astype(np.uint8)
    vigour = random.normal(0, 1, _PARCELS).astype(np.float32)
    parcel = np.empty((SIZE, SIZE), np.int32)
    for row in range(0, SIZE, 256):
        block = np.mgrid[row : row + 256, 0:SIZE].reshape(2, -1).T
        parcel[row : row + 256] = tree.query(block, workers=2)[1].reshape(256, SIZE)
    texture = gaussian_filter(random.standard_normal((SIZE, SIZE), dtype=np.float32), 6)
    return crop[parcel], vigour[parcel], texture / texture.std()


def _write_date(root: Path, index: int, crop: np.ndarray, vigour: np.ndarray, texture: np.ndarray) -> None:
    target = root / "cog" / f"{DATES[index]:%Y%m%d}"
    target.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(100 + index)
    green = _greenness(index)[crop] * (1 + 0.12 * vigour)
    cloud = _cloud(index, random)
    for band, (metres, soil, amplitude) in BANDS.items():
        noise = random.standard_normal((SIZE, SIZE), dtype=np.float32) * (12 + soil * 0.012)
        ground = soil + amplitude * green + 0.06 * soil * texture + noise
        value = np.where(cloud > 0, np.minimum(ground + 2500 + 1500 * cloud, 12_000), ground).clip(1, 16_000)
        _write_cog(target / f"{band}.tif", _mean_of_four(value) if metres == 20 else value, metres, np.uint16)
    _write_cog(target / "scl.tif", _scl(cloud > 0, green), 20, np.uint8)


def _greenness(index: int) -> np.ndarray:
    """Vegetation of each class on a date, 0 to 1."""
    peak, width = np.linspace(0.2, 0.8, CLASSES), np.linspace(0.22, 0.10, CLASSES)
    return np.exp(-(((index / (len(DATES) - 1) - peak) / width) ** 2)).astype(np.float32)


def _cloud(index: int, random: np.random.Generator) -> np.ndarray:
    """How far each pixel (y, x) is inside a cloud; 0 outside."""
    coarse = gaussian_filter(random.standard_normal((256, 256)).astype(np.float32), 10)
    field = zoom(coarse, SIZE // 256, order=1)
    field = (field - field.mean()) / field.std()
    return np.maximum(field - np.quantile(field[::16, ::16], 1 - _CLOUD[index % len(_CLOUD)]), 0)


def _scl(cloud: np.ndarray, green: np.ndarray) -> np.ndarray:
    """Scene classes (y, x) at 20 m: cloud 9, its shadow 3, vegetation 4, soil 5."""
    scl = np.where(cloud, 9, np.where(green > 0.4, 4, 5))
    shadow = np.roll(cloud, (40, 60), (0, 1)) & ~cloud
    return np.where(shadow, 3, scl)[::2, ::2]


def _mean_of_four(value: np.ndarray) -> np.ndarray:
    return value.reshape(SIZE // 2, 2, SIZE // 2, 2).mean((1, 3))


def _write_cog(path: Path, values: np.ndarray, metres: int, dtype: type) -> None:
    rows, cols = values.shape
    with rasterio.open(
        path,
        "w",
        driver="COG",
        dtype=dtype,
        width=cols,
        height=rows,
        count=1,
        crs=f"EPSG:{EPSG}",
        nodata=0,
        transform=Affine(metres, 0, WEST, 0, -metres, NORTH),
        compress="deflate",
        predictor="YES" if dtype is np.uint16 else "NO",
        blocksize=512,
        overview_resampling="nearest",
    ) as target:
        target.write(values.astype(dtype), 1)


@lru_cache(maxsize=1)
def _lonlat() -> tuple[float, float, float, float]:
    reach = SIZE * 10
    return tuple(transform_bounds(f"EPSG:{EPSG}", "EPSG:4326", WEST, NORTH - reach, WEST + reach, NORTH))  # type: ignore[return-value]


def _scene(day: dt.date, root: Path) -> Scene:
    west, south, east, north = _lonlat()
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    metres = {**{band: values[0] for band, values in BANDS.items()}, "scl": 20}
    return Scene(
        id=f"S2_{day:%Y%m%d}",
        collection="sentinel-2-l2a",
        datetime=dt.datetime.combine(day, dt.time(8), dt.UTC),
        solar_day=day,
        footprint={"type": "Polygon", "coordinates": [ring]},
        assets={band: _asset(root / "cog" / f"{day:%Y%m%d}" / f"{band}.tif", each) for band, each in metres.items()},
        cloud_cover=100 * _CLOUD[DATES.index(day) % len(_CLOUD)],
    )


def _asset(path: Path, metres: int) -> Asset:
    pixels = SIZE * 10 // metres
    return Asset(
        href=str(path.resolve()),
        epsg=EPSG,
        transform=(metres, 0, WEST, 0, -metres, NORTH),
        shape=(pixels, pixels),
        scale=1e-4 if path.stem != "scl" else 1.0,
    )


def _item(scene: Scene) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": scene.id,
        "collection": scene.collection,
        "bbox": list(_lonlat()),
        "geometry": scene.footprint,
        "properties": {"datetime": f"{scene.datetime:%Y-%m-%dT%H:%M:%SZ}", "proj:epsg": EPSG},
        "stac_extensions": [],
        "links": [],
        "assets": {band: _item_asset(asset) for band, asset in scene.assets.items()},
    }


def _item_asset(asset: Asset) -> dict[str, Any]:
    assert asset.transform is not None
    return {
        "href": asset.href,
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
        "proj:shape": list(asset.shape or ()),
        "proj:transform": list(asset.transform),
        "raster:bands": [{"nodata": 0, "spatial_resolution": asset.transform[0]}],
    }


if __name__ == "__main__":
    print(json.dumps({"folder": str(ready())}))  # noqa: T201 - the command's answer
