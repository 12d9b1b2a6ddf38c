"""Memory and time of a map of 20,000 x 20,000 pixels: mosaic of all layers, generalised map, disagreement.

`python tests/bench/mosaic_memory.py [SIDE] [--probabilities]` prints the peak of the process, imports and all, as JSON;
the issue allows 1.5 GB. Every tile of the map is the same file, in a store of its own, so that only the mosaic counts.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.transform import Affine

sys.path.insert(0, str(Path(__file__).parents[2]))

from steps.disagreement import disagreement
from steps.generalise import generalise
from steps.model.aoi import Aoi
from steps.model.card import ClassDef
from steps.model.grid import TileGrid, TileId
from steps.model.job import MapOptions, Plan, RasterRef, TileMapped, TilePlan
from steps.mosaic import Mosaic, band_names, make_mosaic
from steps.store import FolderStore
from steps.testing import any_card, any_plan, any_request

EPSG = 6933
"""Equal area, whose grid lines are meridians and parallels: the AOI is its own window."""
SIDE = 20_000
LIMIT_MB = 1500
CLASSES = tuple(ClassDef(code=code, name=f"class {code}", colour=f"{code * 25:02x}8040") for code in range(9))


class OneTileStore(FolderStore):
    """A store in which every tile's raster is the same file."""

    def __init__(self, folder: Path, tile: Path) -> None:
        super().__init__(folder)
        self._tile = tile

    @contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        """The one tile."""
        del key
        yield self._tile


def make(folder: Path, width: int, height: int, *, probabilities: bool = False) -> Mosaic:
    """The mosaic of a map of so many pixels, within a pixel."""
    plan = _plan(width, height, probabilities)
    tile = folder / "tile.tif"
    _write_tile(tile, len(band_names(plan)), plan.grid.size)
    outcomes = {
        entry.tile: TileMapped(tile=entry.tile, planned_key="k", key="k", pixels={}, scenes=1) for entry in plan.tiles
    }
    (folder / "map").mkdir(exist_ok=True)
    return make_mosaic(plan, outcomes, OneTileStore(folder, tile), folder / "map", CLASSES)


def _plan(width: int, height: int, probabilities: bool) -> Plan:
    grid = TileGrid(epsg=EPSG)
    left, top = 2_000_005.0, -2_000_005.0
    to_degrees = Transformer.from_crs(EPSG, 4326, always_xy=True)
    west, north = to_degrees.transform(left, top)
    east, south = to_degrees.transform(left + width * 10, top - height * 10)
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    aoi = Aoi(name="bench", geometry={"type": "Polygon", "coordinates": [ring]})
    first, last = grid.tile_at(left, top), grid.tile_at(left + width * 10, top - height * 10)
    tiles = tuple(
        TilePlan(tile=TileId(row=row, col=col), scenes=())
        for row in range(first.row, last.row + 1)
        for col in range(first.col, last.col + 1)
    )
    request = any_request(aoi=aoi, options=MapOptions(probabilities=probabilities))
    plan = any_plan(request=request, grid=grid, scenes=0, card=any_card(classes=CLASSES))
    return msgspec.structs.replace(plan, tiles=tiles)


def _write_tile(path: Path, bands: int, size: int) -> None:
    """Patches of nine classes with noise, smooth percentages, colours."""
    random = np.random.default_rng(1)
    pixels = random.integers(40, 100, (bands, size // 8, size // 8), np.uint8).repeat(8, 1).repeat(8, 2)
    pixels += random.integers(0, 3, pixels.shape, np.uint8)
    pixels[0] = np.where(random.random((size, size)) < 0.03, 0, pixels[0] % 9)
    pixels[7] = 0
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=bands, width=size, height=size, crs=f"EPSG:{EPSG}",
        transform=Affine(10, 0, 0, 0, -10, 0), tiled=True, blockxsize=512, blockysize=512, compress="zstd",
        zstd_level=1, interleave="band",
    ) as target:  # fmt: skip
        target.write(pixels)


def run(side: int = SIDE, *, probabilities: bool = False) -> dict[str, float]:
    """Peak of this process in MB, seconds, and size of what was written."""
    with tempfile.TemporaryDirectory(prefix="geocrop-bench-") as folder:
        start = time.perf_counter()
        made = make(Path(folder), side, side, probabilities=probabilities)
        mosaicked = time.perf_counter()
        _derive(made.paths["map"], Path(folder))
        derived = time.perf_counter()
        written = sum(path.stat().st_size for path in made.paths.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "side_px": side,
        "peak_mb": round(peak),
        "limit_mb": LIMIT_MB,
        "mosaic_s": round(mosaicked - start, 1),
        "derived_s": round(derived - mosaicked, 1),
        "written_mb": round(written / 1e6),
    }


def _derive(path: Path, folder: Path) -> None:
    """What is made from the map in the same process."""
    generalise(path, folder / "generalised.tif", 10, CLASSES)
    baseline = RasterRef(href=str(path), version="any")
    disagreement(path, baseline, CLASSES, folder / "disagreement.tif", {entry.code: entry.code for entry in CLASSES})


if __name__ == "__main__":
    sides = [int(argument) for argument in sys.argv[1:] if argument.isdecimal()]
    sys.stdout.write(json.dumps(run(*sides, probabilities="--probabilities" in sys.argv), indent=1) + "\n")
