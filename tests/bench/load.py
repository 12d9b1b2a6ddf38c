"""Loading a tile's cube: ours, stackstac tuned, and the limit set by inflating the same blocks.

`python tests/bench/load.py` prints medians in seconds and ratios of one run, as JSON. Two threads each; files are in
the page cache.
"""

import datetime as dt
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import imagecodecs
import msgspec
import numpy as np
import stackstac
import tifffile
from rasterio.enums import Resampling

sys.path.insert(0, str(Path(__file__).parents[2]))

from steps.block_cache import BlockCache
from steps.cube import load_cube
from steps.model.aoi import Season
from steps.model.grid import TileGrid, TileId
from steps.model.job import TileJob
from steps.model.scene import SCL, Scene
from steps.placement import Lattice, reach, tile_lattice
from steps.reader import Supply
from steps.testing import any_card, any_spec
from steps.versions import pixel_version
from tests.bench import data

THREADS = 2
REPEATS = 5
_BLOCK = 512
_IN_A_ROW = 3


def tile_job(scenes: Sequence[Scene] | None = None, **changes: Any) -> TileJob:
    """A tile in the middle of the bench's landscape."""
    grid = TileGrid(epsg=data.EPSG)
    fields: dict[str, Any] = {
        "grid": grid,
        "tile": grid.tile_at(data.WEST + 20_000, data.NORTH - 20_000),
        "season": Season(start=dt.date(2023, 10, 1), end=dt.date(2024, 9, 29)),
        "scenes": tuple(scenes or data.scenes()),
        "card": any_card(spec=any_spec(bands=tuple(data.BANDS))),
        "halo": 2,
        "pixel_version": pixel_version(),
    }
    return TileJob(**(fields | changes))


def run() -> dict[str, float]:
    """Medians in seconds of loading one tile, and their ratios."""
    job = tile_job()
    supply = Supply(BlockCache(Path(tempfile.gettempdir()) / "geocrop-bench-blocks", 1))
    blocks = _blocks(job)
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: load_cube(job, threads=THREADS, supply=supply),
        "limit": lambda: _inflate(job, blocks),
        "stackstac": lambda: _stackstac(job),
    }
    _agree(job, ways)
    ways["ours_in_a_row"] = lambda: _row(job, supply)
    seconds = _medians(ways)
    seconds["ours_in_a_row"] /= _IN_A_ROW
    return {f"{name}_s": round(value, 4) for name, value in seconds.items()} | {
        "of_limit": round(seconds["ours"] / seconds["limit"], 2),
        "times_stackstac": round(seconds["stackstac"] / seconds["ours"], 2),
        "times_stackstac_in_a_row": round(seconds["stackstac"] / seconds["ours_in_a_row"], 2),
    }


def _row(job: TileJob, supply: Supply) -> None:
    """Neighbouring tiles, as a batch of a job loads them: blocks on their borders are inflated once."""
    first = job.tile
    tiles = [TileId(row=first.row, col=first.col - 1 + step) for step in range(_IN_A_ROW)]
    for done, tile in enumerate(tiles, start=1):
        load_cube(msgspec.structs.replace(job, tile=tile), threads=THREADS, supply=supply, following=tiles[done:])


def _agree(job: TileJob, ways: dict[str, Callable[[], Any]]) -> None:
    """All three read the same pixels; also warms up what is compiled."""
    cube, (fine, coarse, scl), tuned = (way() for way in ways.values())
    halo = slice(job.halo, -job.halo)
    np.testing.assert_array_equal(cube.fine.values, fine)
    np.testing.assert_array_equal(cube.coarse.values, coarse)
    np.testing.assert_array_equal(cube.scl.values, scl)
    np.testing.assert_array_equal(tuned[:, :4, halo, halo], fine[:, :, halo, halo])


def _medians(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """In turns, so that whatever else the machine does meets all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _stackstac(job: TileJob) -> np.ndarray:
    """As its documentation advises for speed: integers, no rescaling, nearest, one chunk per asset."""
    frame = tile_lattice(job.grid, job.tile, job.halo)
    lazy = stackstac.stack(
        data.items(),
        assets=[*data.BANDS, SCL],
        epsg=frame.epsg,
        resolution=frame.res,
        bounds=frame.bounds,
        snap_bounds=False,
        dtype=np.dtype("uint16"),
        fill_value=np.uint16(0),
        rescale=False,
        resampling=Resampling.nearest,
        chunksize=frame.rows,
        xy_coords="center",
    )
    with dask.config.set(scheduler="threads", num_workers=THREADS):
        return np.asarray(lazy.compute().data)


Block = tuple[int, str, int, int, bytes]
"""Scene, band, row and column of the block's corner in the tile, compressed bytes."""


def _blocks(job: TileJob) -> list[Block]:
    """The compressed blocks that the tile needs, in memory."""
    found = []
    for index, scene in enumerate(job.scenes):
        for band in (*data.BANDS, SCL):
            with tifffile.TiffFile(scene.assets[band].href) as file:
                found += [(index, band, *block) for block in _needed(file, job, data.BANDS.get(band, (20,))[0])]
    return found


def _needed(file: tifffile.TiffFile, job: TileJob, metres: int) -> list[tuple[int, int, bytes]]:
    page = file.pages[0]
    size = data.SIZE * 10 // metres
    target = tile_lattice(job.grid, job.tile, job.halo).coarser(metres // 10)
    rect = reach(Lattice(data.EPSG, metres, data.WEST, data.NORTH, size, size), target)
    needed = []
    for row in range(rect.top // _BLOCK, (rect.bottom - 1) // _BLOCK + 1):
        for col in range(rect.left // _BLOCK, (rect.right - 1) // _BLOCK + 1):
            number = row * (size // _BLOCK) + col
            file.filehandle.seek(page.dataoffsets[number])
            content = file.filehandle.read(page.databytecounts[number])
            needed.append((row * _BLOCK - rect.top, col * _BLOCK - rect.left, content))
    return needed


def _inflate(job: TileJob, blocks: Sequence[Block]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The least that any reader has to do: libdeflate, sum the differences, copy to its place."""
    frame = tile_lattice(job.grid, job.tile, job.halo)
    fine_bands = [band for band, (metres, *_) in data.BANDS.items() if metres == 10]
    coarse_bands = [band for band, (metres, *_) in data.BANDS.items() if metres == 20]
    count, half = len(job.scenes), frame.rows // 2
    fine = np.empty((count, len(fine_bands), frame.rows, frame.cols), np.uint16)
    coarse = np.empty((count, len(coarse_bands), half, half), np.uint16)
    scl = np.empty((count, half, half), np.uint8)

    def one(block: Block) -> None:
        index, band, row, col, content = block
        dtype = np.dtype(np.uint8 if band == SCL else np.uint16)
        raw = imagecodecs.deflate_decode(content, out=_BLOCK * _BLOCK * dtype.itemsize)
        pixels = np.frombuffer(raw, dtype).reshape(_BLOCK, _BLOCK)
        if band == SCL:
            target = scl[index]
        else:
            pixels = imagecodecs.delta_decode(pixels, axis=1)
            bands, stack = (fine_bands, fine) if band in fine_bands else (coarse_bands, coarse)
            target = stack[index, bands.index(band)]
        top, left = max(row, 0), max(col, 0)
        part = target[top : row + _BLOCK, left : col + _BLOCK]
        part[:] = pixels[top - row : top - row + part.shape[0], left - col : left - col + part.shape[1]]

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, blocks))
    return fine, coarse, scl


if __name__ == "__main__":
    print(json.dumps(run()))  # noqa: T201 - the command's answer
