"""The cube of a tile: all scenes of a season on the tile's grid. The one adapter of stackstac.

stackstac lays out the cube, `steps.reader` reads it, dask's threads run it: inside a Dask worker too, since `compute`
would otherwise hand the work back to the cluster's scheduler. 20 m bands stay at 20 m.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import stackstac
import xarray as xr
from dask import local, threaded
from rasterio.enums import Resampling

from steps.errors import SceneError
from steps.model.grid import TileGrid, TileId
from steps.model.job import TileJob
from steps.model.scene import SCL, Asset, Scene
from steps.placement import Lattice, tile_lattice
from steps.reader import Later, Session, Supply, Wanted, process_supply

BUDGET_MB = 150.0
_COARSE = 1.5
"""Bands whose pixels are at least this many of the grid's wide are kept at twice the grid's."""
_REMOTE_THREADS = 8
"""Waiting for a server takes no core."""
_FOLLOWING = 32
"""Tiles ahead that blocks are kept for."""
_BLOCK_M = 20_480.0
"""Side of the largest usual block: 1024 pixels of 20 m."""


@dataclass(frozen=True, slots=True)
class Cube:
    """A season over a tile or a strip of it; one step of time per solar day.

    Reflectance is uint16, * 10000, 1 to 65534, 0 without data. Coordinates: `time` (datetime64), `band` (names), `y`
    and `x` (pixel centres in metres of the grid's CRS). Where granules of one day overlap, each 20 m cell is taken
    whole, bands and scene class, from the first in the job's order that has data in every band and class of the cell;
    where none is complete, from the first that has any.
    """

    fine: xr.DataArray
    """(time, band, y, x) uint16 at the grid's resolution."""
    coarse: xr.DataArray
    """(time, band, y2, x2) uint16 at twice the grid's metres per pixel, corner on corner with `fine`."""
    scl: xr.DataArray
    """(time, y2, x2) uint8 scene classes, 0 without data."""
    bytes_read: int = 0
    """Bytes of blocks as they lay in their files; blocks kept from before cost none."""


def load_cube(
    job: TileJob,
    rows: slice | None = None,
    *,
    threads: int = 1,
    following: Sequence[TileId] = (),
    supply: Supply | None = None,
) -> Cube:
    """Read a tile, or `rows` of it (even, without halo), and `job.halo` pixels more on all sides.

    `following` are the tiles that this process does next: blocks that reach into them are kept for them. Raises
    SceneError for a scene that cannot be used and ReadError for one that cannot be read now, with its href and id.
    """
    rows = rows or slice(0, job.grid.size)
    if rows.start % 2 or rows.stop % 2 or job.halo % 2:
        raise ValueError(f"rows {rows.start} to {rows.stop} and halo {job.halo} must be even")
    supply = supply or process_supply()
    frame = tile_lattice(job.grid, job.tile, job.halo, rows)
    scenes = sorted(job.scenes, key=lambda scene: scene.solar_day)
    later = tuple(_later(job, rows, _near(job, following)))
    supply.scratch.serve([_owner(job, tile) for tile in (job.tile, *following)])
    session = Session(_assets(scenes, job.card.spec.bands), supply, later)
    stack = _Stack.of(frame, scenes, *split_bands(job))
    stack.read(session, job.card.spec.resampling, threads)
    return stack.to_cube(session.bytes_read)


def plan_strips(job: TileJob, budget_mb: float = BUDGET_MB) -> list[slice]:
    """Strips of rows of a tile, from the north, even and about equally high, whose cubes fit the budget.

    Granules count before they are merged into days. A strip has at least two rows, whatever the budget.
    """
    fine, coarse = split_bands(job)
    size, width = job.grid.size, job.grid.size + 2 * job.halo
    row_bytes = len(job.scenes) * width * (2 * len(fine) + 2 * len(coarse) / 4 + 1 / 4)
    fitting = int(budget_mb * 1e6 / max(row_bytes, 1)) - 2 * job.halo
    count = -(-size // max(min(fitting, size), 2))
    height = -(-size // (2 * count)) * 2
    return [slice(start, min(start + height, size)) for start in range(0, size, height)]


def split_bands(job: TileJob) -> tuple[list[str], list[str]]:
    """The spec's bands that are read at the grid's resolution, and those kept at twice that."""
    bands = job.card.spec.bands
    limit = _COARSE * job.grid.resolution
    coarse = [band for band in bands if _finest(job.scenes, band) >= limit]
    return [band for band in bands if band not in coarse], coarse


def _finest(scenes: Sequence[Scene], band: str) -> float:
    """Metres per pixel of a band where it is sharpest; 0 where no scene says."""
    steps = [_step(scene.assets[band]) for scene in scenes if band in scene.assets]
    return min((step for step in steps if step), default=0.0)


def _step(asset: Asset) -> float:
    return abs(asset.transform[0]) if asset.transform else 0.0


def _assets(scenes: Sequence[Scene], bands: Sequence[str]) -> dict[str, Wanted]:
    """What is read, by key."""
    return {
        _key(index, band): Wanted(scene.id, band, _asset(scene, band))
        for index, scene in enumerate(scenes)
        for band in (*bands, SCL)
    }


def _asset(scene: Scene, band: str) -> Asset:
    if band not in scene.assets:
        raise SceneError(f"scene {scene.id} has no {band}", "leave it out", scene=scene.id)
    return scene.assets[band]


def _key(index: int, band: str) -> str:
    return f"{index}/{band}"


def _owner(job: TileJob, tile: TileId) -> tuple[str, TileId]:
    return job.grid.id, tile


def block_reach(grid: TileGrid, halo: int) -> int:
    """Tiles farther from each other than this, in rows or columns, share no block."""
    return math.ceil((_BLOCK_M + 2 * halo * grid.resolution) / grid.tile_m)


def _near(job: TileJob, following: Sequence[TileId]) -> list[TileId]:
    """Those of the next tiles that may need the same blocks, the soonest first."""
    reach, (row, col) = block_reach(job.grid, job.halo), (job.tile.row, job.tile.col)
    near = (tile for tile in following if max(abs(tile.row - row), abs(tile.col - col)) <= reach)
    return list(itertools.islice(near, _FOLLOWING))


def _later(job: TileJob, rows: slice, following: Sequence[TileId]) -> Iterator[Later]:
    """Who will need blocks of this strip again, the soonest first: the strips below it, and the next tiles."""
    if rows.stop < job.grid.size:
        below = slice(rows.stop, job.grid.size)
        yield Later(_owner(job, job.tile), tile_lattice(job.grid, job.tile, job.halo, below))
    for tile in following:
        yield Later(_owner(job, tile), tile_lattice(job.grid, tile, job.halo))


@dataclass(slots=True)
class _Stack:
    """Every granule on the frame, before days are merged."""

    frame: Lattice
    scenes: Sequence[Scene]
    fine_bands: Sequence[str]
    coarse_bands: Sequence[str]
    fine: np.ndarray
    coarse: np.ndarray
    scl: np.ndarray

    @classmethod
    def of(cls, frame: Lattice, scenes: Sequence[Scene], fine: Sequence[str], coarse: Sequence[str]) -> "_Stack":
        """Without data yet."""
        count, high, wide = len(scenes), frame.rows, frame.cols
        return cls(
            frame,
            scenes,
            fine,
            coarse,
            np.empty((count, len(fine), high, wide), np.uint16),
            np.empty((count, len(coarse), high // 2, wide // 2), np.uint16),
            np.empty((count, 1, high // 2, wide // 2), np.uint8),
        )

    def read(self, session: Session, resampling: str, threads: int) -> None:
        """Fill the arrays; stackstac's own would need as much memory again to be put together."""
        planned = [
            (self._plan(bands, target.dtype, factor, session, resampling), target)
            for bands, target, factor in (
                (self.fine_bands, self.fine, 1),
                (self.coarse_bands, self.coarse, 2),
                ((SCL,), self.scl, 2),
            )
            if target.size
        ]
        if not planned:
            return
        workers = max(threads, _REMOTE_THREADS) if session.is_remote else threads
        # Given as functions: to look up a name, dask imports all of dask.distributed first, a second of a pod's start.
        how = {"scheduler": threaded.get, "num_workers": workers} if workers > 1 else {"scheduler": local.get_sync}
        da.store([lazy for lazy, _ in planned], [target for _, target in planned], lock=False, **how)

    def _plan(
        self, bands: Sequence[str], dtype: np.dtype[Any], factor: int, session: Session, resampling: str
    ) -> da.Array:
        """stackstac's lazy array (granule, band, y, x); a chunk is one asset."""
        # 404 and its like are errors here, never nodata; the reader scales, since nodata has to be told apart before.
        stack = stackstac.stack(
            self._items(bands),
            assets=list(bands),
            epsg=self.frame.epsg,
            resolution=self.frame.res * factor,
            bounds=self.frame.bounds,
            snap_bounds=False,
            resampling=Resampling[resampling],
            chunksize=(1, -1, -1, -1),
            dtype=dtype,
            fill_value=dtype.type(0),
            rescale=False,
            sortby_date=False,
            xy_coords=False,
            properties=False,
            band_coords=False,
            errors_as_nodata=(),
            reader=session.reader,
        )
        lazy: da.Array = stack.data
        return lazy

    def _items(self, bands: Sequence[str]) -> list[dict[str, Any]]:
        """STAC items as far as stackstac looks. They claim to fill the frame; the reader sees where they lie."""
        asset = {"proj:epsg": self.frame.epsg, "proj:bbox": self.frame.bounds}
        return [
            {
                "id": scene.id,
                "properties": {"datetime": scene.datetime.isoformat()},
                "assets": {band: {**asset, "href": _key(index, band)} for band in bands},
            }
            for index, scene in enumerate(self.scenes)
        ]

    def to_cube(self, bytes_read: int) -> Cube:
        """One step of time per solar day."""
        days = [day for day, _ in self._days()]
        for step, (_, members) in enumerate(self._days()):
            self._merge(step, members)
        count = len(days)
        return Cube(
            fine=self._labelled(self.fine[:count], days, self.fine_bands, 1),
            coarse=self._labelled(self.coarse[:count], days, self.coarse_bands, 2),
            scl=self._labelled(self.scl[:count], days, (SCL,), 2).isel(band=0, drop=True),
            bytes_read=bytes_read,
        )

    def _days(self) -> list[tuple[Any, list[int]]]:
        """Solar days with their granules."""
        groups = itertools.groupby(range(len(self.scenes)), key=lambda index: self.scenes[index].solar_day)
        return [(day, list(members)) for day, members in groups]

    def _merge(self, step: int, members: Sequence[int]) -> None:
        """Put a day's granules into its place, which lies at or before theirs."""
        first = members[0]
        if step != first:
            for each in (self.fine, self.coarse, self.scl):
                each[step] = each[first]
        if len(members) == 1:
            return
        chosen = self._choose(members)
        for order, index in enumerate(members[1:], start=1):
            cells = chosen == order
            np.copyto(self.coarse[step], self.coarse[index], where=cells)
            np.copyto(self.scl[step], self.scl[index], where=cells)
            np.copyto(self.fine[step], self.fine[index], where=cells.repeat(2, 0).repeat(2, 1))

    def _choose(self, members: Sequence[int]) -> np.ndarray:
        """Which granule each cell (y2, x2) is taken from: the first complete one, else the first with data."""
        rank = [_rank(self.fine[index], self.coarse[index], self.scl[index, 0]) for index in members]
        return np.asarray(np.argmax(rank, axis=0))

    def _labelled(self, data: np.ndarray, days: Sequence[Any], bands: Sequence[str], factor: int) -> xr.DataArray:
        lattice = self.frame.coarser(factor)
        y = lattice.top - (np.arange(lattice.rows) + 0.5) * lattice.res
        x = lattice.left + (np.arange(lattice.cols) + 0.5) * lattice.res
        coords = {"time": np.array(days, "datetime64[s]"), "band": list(bands), "y": y, "x": x}
        return xr.DataArray(data, coords, ("time", "band", "y", "x"))


def _rank(fine: np.ndarray, coarse: np.ndarray, scl: np.ndarray) -> np.ndarray:
    """2 for a 20 m cell with data in all bands and a scene class, 1 for one with some, 0 for one without (y2, x2)."""
    cells = fine.reshape(fine.shape[0], scl.shape[0], 2, scl.shape[1], 2) != 0
    complete = cells.all(axis=(0, 2, 4)) & (coarse != 0).all(axis=0) & (scl != 0)
    some = cells.any(axis=(0, 2, 4)) | (coarse != 0).any(axis=0) | (scl != 0)
    return np.asarray(complete.astype(np.uint8) + some)
