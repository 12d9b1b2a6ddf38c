"""Labelled pixels as a table: the features of training, made as mapping makes them, tile by tile.

A tile's samples are kept under a key of all that they depend on, so that a run that was stopped goes on where it was.
"""

import io
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import structlog
from pyproj import Transformer
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from steps.cube import block_reach
from steps.errors import GeoCropError, LabelError, ReadError, SceneError, StoreError, TryAgainError
from steps.labels import Labels, TileLabels
from steps.local import Crew, on_cluster
from steps.model.digest import digest
from steps.model.grid import TileGrid, TileId
from steps.model.job import Plan, TileJob
from steps.progress import Advance
from steps.reader import Supply, process_supply
from steps.scratch import Scratch
from steps.table import SampleTable, joined, sample_ids
from steps.tile import feature_strips, without_scene

MAX_PER_GROUP = 50
"""Pixels drawn of one parcel at most, over all tiles, so that large ones do not rule."""
MAX_PER_CLASS = 20_000
"""Pixels drawn of one class at most; where there are more, each of its parcels gives fewer."""
MIN_PER_CLASS = 10
"""Fewer can neither be learned from nor held out."""
_DRAWN_BY = ("codes", "groups")
_NAMED = 5
"""Labels that a message names."""
_BATCH = 8
"""Tiles of a worker's call at least, where their places allow."""
_BLOCKS_KEPT = 64 * 2**30
"""Bytes of inflated blocks that wait on disk for tiles to come; never more than a quarter of what is free."""
_EQUAL_AREA = 6933
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pixels:
    """Labelled pixels of a tile, in raster order."""

    rows: np.ndarray
    """int64 (n)."""
    cols: np.ndarray
    codes: np.ndarray
    """int64 (n): class codes."""
    groups: np.ndarray

    def take(self, chosen: np.ndarray) -> "Pixels":
        """Some of them."""
        return Pixels(self.rows[chosen], self.cols[chosen], self.codes[chosen], self.groups[chosen])


def labelled_tiles(plan: Plan, labels: Labels) -> dict[TileId, Pixels]:
    """The tiles of a plan that hold labels, with the pixels to sample, stratified by class and parcel.

    These are MAX_PER_GROUP of a parcel at most and MAX_PER_CLASS of a class, as evenly over its parcels as they are
    large enough. A pixel's place alone says when its turn is: labels that are added elsewhere change nothing of what is
    drawn of a parcel, unless its class has more than enough. Raises LabelError when there are none.
    """
    found = {}
    for entry in plan.tiles:
        pixels = _labelled(labels.on(plan.grid, entry.tile))
        if entry.scenes and len(pixels.codes):
            turns = _turns(plan.grid, entry.tile, pixels)
            first = np.flatnonzero(_ranks(pixels.groups, turns) < MAX_PER_GROUP)
            found[entry.tile] = pixels.take(first), turns[first]
    if not found:
        raise _nowhere(plan, labels)
    return _drawn(found)


def _labelled(laid: TileLabels) -> Pixels:
    rows, cols = np.nonzero(laid.codes >= 0)
    return Pixels(rows, cols, laid.codes[rows, cols].astype(np.int64), laid.groups[rows, cols])


def _turns(grid: TileGrid, tile: TileId, pixels: Pixels) -> np.ndarray:
    """uint64 (n): a number of each pixel's place, which are drawn in its order. Neighbours' have nothing in common."""
    return sample_ids(np.full(len(pixels.codes), grid.epsg), *centres(grid, tile, pixels))


def centres(grid: TileGrid, tile: TileId, pixels: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """float64 (n), float64 (n): x and y in the grid's CRS."""
    a, _, c, _, e, f = grid.transform(tile)
    return c + a * (pixels.cols + 0.5), f + e * (pixels.rows + 0.5)


def _ranks(keys: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """int64 (n): how many with the same key come before."""
    order = np.lexsort((turns, keys))
    ranks = np.empty(len(keys), np.int64)
    ranks[order] = np.arange(len(keys)) - np.searchsorted(keys[order], keys[order])
    return ranks


def _drawn(found: Mapping[TileId, tuple[Pixels, np.ndarray]]) -> dict[TileId, Pixels]:
    """What is drawn of all tiles together; each parcel's first pixels before any parcel's second."""
    codes, groups = (np.concatenate([getattr(pixels, name) for pixels, _ in found.values()]) for name in _DRAWN_BY)
    turns = np.concatenate([turns for _, turns in found.values()])
    in_group = _ranks(groups, turns)
    even = np.empty(len(turns), np.int64)
    even[np.lexsort((turns, in_group))] = np.arange(len(turns))
    chosen = (in_group < MAX_PER_GROUP) & (_ranks(codes, even) < MAX_PER_CLASS)
    ends = np.cumsum([len(pixels.codes) for pixels, _ in found.values()])
    parts = zip(found.items(), np.split(chosen, ends[:-1]), strict=True)
    return {tile: pixels.take(here) for (tile, (pixels, _)), here in parts if here.any()}


def _nowhere(plan: Plan, labels: Labels) -> LabelError:
    absent = labels.missing(np.empty(0, np.int64))
    named = f" ({len(absent)} labels: {some_of(absent)})" if absent else ""
    scenes = [scene.footprint for scene in plan.scenes]
    there = f", the scenes at {_extent(*scenes)}" if scenes else ", and no scene of the season is there"
    return LabelError(
        f"no label lies where there are scenes{named}: they are at {_extent(labels.aoi.geometry)}{there}",
        "check the labels' CRS and the catalog's area",
    )


def _extent(*shapes: dict[str, Any]) -> str:
    """The bounds of GeoJSON geometries, in degrees, in words."""
    west, south, east, north = shapely.total_bounds([shapely.geometry.shape(one) for one in shapes])
    return f"{west:.2f} to {east:.2f} E, {south:.2f} to {north:.2f} N"


def collect_samples(
    plan: Plan, labels: Labels, tiles: Mapping[TileId, Pixels], kept: Path, crew: Crew, advance: Advance
) -> SampleTable:
    """The features of the labelled pixels that were seen clear, tile by tile, exactly as mapping makes them.

    Tiles done before are found in the folder `kept`. Tiles that may share blocks of a scene are done by one process,
    one after the other, so that a block is decoded once; areas far from each other go to workers of the local engine.
    Raises LabelError when no labelled pixel was ever seen clear, or a class has too few; the error of a scene that may
    not be left out; TryAgainError when a worker was lost.
    """
    jobs = {entry.tile: plan.tile_job(entry) for entry in plan.tiles if entry.tile in tiles}
    found = {}
    for tile, key in _keys(neighbourhoods(list(jobs), block_reach(plan.grid, plan.halo)), jobs, tiles, kept, crew):
        found[tile] = key
        advance(1, str(tile))
    table = joined([_loaded(kept, found[tile]) for tile in jobs])
    if len(table) == 0:
        raise LabelError("no labelled pixel was seen clear in the season", "check that labels and scenes overlap")
    _check_classes(table, labels)
    return table


def neighbourhoods(tiles: Sequence[TileId], reach: int) -> list[list[TileId]]:
    """Tiles in groups that are farther than `reach` rows or columns from each other; the largest first."""
    places = cKDTree([(tile.row, tile.col) for tile in tiles])
    near = places.sparse_distance_matrix(places, reach + 0.5, p=np.inf, output_type="coo_matrix")
    count, group = connected_components(near, directed=False)
    found = [[tiles[place] for place in np.flatnonzero(group == number).tolist()] for number in range(count)]
    return sorted(found, key=len, reverse=True)


def _keys(
    areas: Sequence[Sequence[TileId]],
    jobs: Mapping[TileId, TileJob],
    tiles: Mapping[TileId, Pixels],
    kept: Path,
    crew: Crew,
) -> Iterator[tuple[TileId, str]]:
    """Each tile, as it is done, and the key of its samples. In this process, unless there is work for several."""
    workers, cores = min(crew.workers, len(jobs) // len(areas[0])), crew.workers * crew.threads
    if workers < 2:
        ordered = [tile for area in areas for tile in area]
        yield from zip(ordered, _extract(_work(ordered, jobs, tiles), kept, cores), strict=True)
        return
    batches = list(_batches(areas))
    calls = [(_work(batch, jobs, tiles), kept, max(1, cores // workers)) for batch in batches]
    for number, result in on_cluster(replace(crew, workers=workers), extract_batch, calls):
        if isinstance(result, BaseException):
            raise _lost(batches[number], result)
        yield from zip(batches[number], result, strict=True)


def _work(
    batch: Iterable[TileId], jobs: Mapping[TileId, TileJob], tiles: Mapping[TileId, Pixels]
) -> list[tuple[TileJob, Pixels]]:
    return [(jobs[tile], tiles[tile]) for tile in batch]


def _batches(areas: Sequence[Sequence[TileId]]) -> Iterator[list[TileId]]:
    """Whole areas, small ones together."""
    batch: list[TileId] = []
    for area in areas:
        batch.extend(area)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _lost(batch: Sequence[TileId], error: BaseException) -> GeoCropError:
    if isinstance(error, GeoCropError):
        return error
    return TryAgainError(
        f"a worker was lost at tiles {batch[0]} to {batch[-1]}: {error!r}",
        "run it again with fewer --workers: tiles that are done are kept",
    )


def extract_batch(work: Sequence[tuple[TileJob, Pixels]], kept: Path, threads: int) -> list[str]:
    """Put the samples of some tiles into the folder `kept`; the key of each. What a worker runs."""
    return list(_extract(work, kept, threads))


def _extract(work: Sequence[tuple[TileJob, Pixels]], kept: Path, threads: int) -> Iterator[str]:
    supply = replace(process_supply(), scratch=Scratch(_BLOCKS_KEPT))
    for position, (job, pixels) in enumerate(work):
        following = [later.tile for later, _ in work[position + 1 :]]
        yield _of_tile(job, pixels, kept, _Means(threads, following, supply))


@dataclass(frozen=True, slots=True)
class _Means:
    """What a tile is read with."""

    threads: int
    following: Sequence[TileId]
    supply: Supply


def _of_tile(job: TileJob, pixels: Pixels, kept: Path, means: _Means) -> str:
    """The key of a tile's samples, which are in the folder, or made and put there. Broken scenes are left out."""
    while True:
        key = _key(job, pixels)
        if _load(kept / f"{key}.npz") is not None:
            return key
        try:
            made = _made(job, pixels, means)
        except (ReadError, SceneError) as error:
            job, fault = without_scene(job, error)
            _log.warning("scene.excluded", tile=str(job.tile), scene=fault.scene, error=fault.error)
        else:
            _keep(kept / f"{key}.npz", made)
            return key


def _key(job: TileJob, pixels: Pixels) -> str:
    return digest([job.key, *(getattr(pixels, field.name).tolist() for field in fields(Pixels))])


def _made(job: TileJob, pixels: Pixels, means: _Means) -> SampleTable:
    parts = []
    strips = feature_strips(
        job, threads=means.threads, following=means.following, needed=pixels.rows, supply=means.supply
    )
    for rows, features, _ in strips:
        here = pixels.take((pixels.rows >= rows.start) & (pixels.rows < rows.stop))
        here = here.take(features.clear[here.rows - rows.start, here.cols] > 0)
        values = features.values.values[:, here.rows - rows.start, here.cols].T
        parts.append(_table(job, here, np.ascontiguousarray(values, np.float32)))
    return joined(parts)


def _table(job: TileJob, pixels: Pixels, features: np.ndarray) -> SampleTable:
    x, y = centres(job.grid, job.tile, pixels)
    places = Transformer.from_crs(job.grid.epsg, _EQUAL_AREA, always_xy=True).transform(x, y)
    return SampleTable(
        names=job.card.spec.feature_names,
        features=features,
        codes=pixels.codes,
        groups=pixels.groups,
        places=np.stack(places, axis=1),
        ids=sample_ids(np.full(len(x), job.grid.epsg), x, y),
    )


def _loaded(kept: Path, key: str) -> SampleTable:
    """Raises StoreError when somebody took away what was there a moment ago."""
    found = _load(kept / f"{key}.npz")
    if found is None:
        raise StoreError(f"{kept / key}.npz is gone", "run it again")
    return found


def _load(path: Path) -> SampleTable | None:
    """A tile's samples that were kept; a file that cannot be read is as good as none."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            found = {name: kept[name] for name in kept.files}
        return SampleTable(names=tuple(found.pop("names").tolist()), **found)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _keep(path: Path, table: SampleTable) -> None:
    """Raises StoreError when there is no room."""
    packed = io.BytesIO()
    arrays: dict[str, Any] = {field.name: np.asarray(getattr(table, field.name)) for field in fields(table)}
    np.savez(packed, **arrays)
    part = path.with_name(f".{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(packed.getbuffer())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written: {error.strerror}", "make room, or set GEOCROP_HOME") from error


def _check_classes(table: SampleTable, labels: Labels) -> None:
    names = {entry.code: entry.name for entry in labels.legend.classes}
    check_counts(table.codes, names, lambda chosen: [labels.name(int(one)) for one in np.unique(table.groups[chosen])])


def check_counts(codes: np.ndarray, names: Mapping[int, str], who: Callable[[np.ndarray], Sequence[str]]) -> None:
    """Raises LabelError when samples are of one class only, or a class has too few; `who` names some of the samples."""
    found, counts = np.unique(codes, return_counts=True)
    if len(found) < 2:
        raise LabelError(f"only the class {names[int(found[0])]} has samples", "label at least two classes")
    for code, count in zip(found, counts, strict=True):
        if count < MIN_PER_CLASS:
            called = some_of([name for name in who(codes == code) if name])
            raise LabelError(
                f"class {names[int(code)]} has {count} clear samples{f' ({called})' if called else ''}, "
                f"at least {MIN_PER_CLASS} are needed",
                "label more of it, leave it out, or merge it with another class in the legend",
            )


def some_of(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def group_names(table: SampleTable, labels: Labels) -> dict[int, str]:
    """What people find each group by: its row in the labels' file, and where it lies."""
    groups, position, counts = np.unique(table.groups, return_inverse=True, return_counts=True)
    x, y = (np.bincount(position, table.places[:, axis]) / counts for axis in (0, 1))
    lon, lat = Transformer.from_crs(_EQUAL_AREA, 4326, always_xy=True).transform(x, y)
    return {
        int(group): f"{labels.name(int(group))} at {lon[place]:.5f} {lat[place]:.5f}".strip()
        for place, group in enumerate(groups)
    }
