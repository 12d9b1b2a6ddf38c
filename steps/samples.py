"""Labelled pixels as a table: the features of training, made as mapping makes them, tile by tile.

A tile's samples are kept under a key of all that they depend on, so that a run that was stopped goes on where it was.
"""

import io
import uuid
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from pyproj import Transformer

from steps.errors import LabelError, SceneError, StoreError
from steps.features import cores
from steps.labels import Labels, TileLabels
from steps.model.digest import digest
from steps.model.grid import TileId
from steps.model.job import Plan, TileJob
from steps.progress import Advance
from steps.table import SampleTable, joined, sample_ids
from steps.tile import feature_strips, without_scene

MAX_PER_GROUP = 50
"""Pixels taken of one parcel at most, so that large ones do not rule."""
MIN_PER_CLASS = 5
_SEED = 20_240_517
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
    """The tiles of a plan that hold labels, with the pixels to sample. Raises LabelError when there are none."""
    rng = np.random.default_rng(_SEED)
    found = {}
    for entry in plan.tiles:
        pixels = _thinned(labels.on(plan.grid, entry.tile), rng)
        if entry.scenes and len(pixels.codes):
            found[entry.tile] = pixels
    if not found:
        raise LabelError("no label lies where there are scenes", "check the labels' CRS and the catalog's area")
    return found


def _thinned(laid: TileLabels, rng: np.random.Generator) -> Pixels:
    """At most MAX_PER_GROUP pixels of each parcel, chosen at random with a fixed seed."""
    flat = np.flatnonzero(laid.codes.ravel() >= 0)
    shuffled = rng.permutation(flat)
    groups = laid.groups.ravel()[shuffled]
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], groups[order])
    kept = np.sort(shuffled[order[np.arange(len(order)) - starts < MAX_PER_GROUP]])
    rows, cols = np.divmod(kept, laid.codes.shape[1])
    return Pixels(rows, cols, laid.codes.ravel()[kept].astype(np.int64), laid.groups.ravel()[kept])


def collect_samples(
    plan: Plan, labels: Labels, tiles: Mapping[TileId, Pixels], kept: Path, advance: Advance
) -> SampleTable:
    """The features of the labelled pixels that were seen clear, tile by tile, exactly as mapping makes them.

    Tiles done before are found in the folder `kept`. Tiles are done one after the other, on all cores, so that blocks
    of a scene that several of them need are decoded once. Raises LabelError when no labelled pixel was ever seen clear,
    or a class has too few.
    """
    wanted = [entry for entry in plan.tiles if entry.tile in tiles]
    parts = []
    for position, entry in enumerate(wanted):
        following = [later.tile for later in wanted[position + 1 :]]
        parts.append(_of_tile(plan.tile_job(entry), tiles[entry.tile], kept, following))
        advance(1, str(entry.tile))
    table = joined(parts)
    if len(table) == 0:
        raise LabelError("no labelled pixel was seen clear in the season", "check that labels and scenes overlap")
    _check_classes(table, labels)
    return table


def _of_tile(job: TileJob, pixels: Pixels, kept: Path, following: Sequence[TileId]) -> SampleTable:
    """A tile's samples, from the folder or made and put there. Scenes that can never be read are left out."""
    while True:
        path = kept / f"{_key(job, pixels)}.npz"
        if (found := _load(path)) is not None:
            return found
        try:
            made = _made(job, pixels, following)
        except SceneError as error:
            job, fault = without_scene(job, error)
            _log.warning("scene.excluded", tile=str(job.tile), scene=fault.scene, error=fault.error)
        else:
            _keep(path, made)
            return made


def _key(job: TileJob, pixels: Pixels) -> str:
    return digest([job.key, *(getattr(pixels, field.name).tolist() for field in fields(Pixels))])


def _made(job: TileJob, pixels: Pixels, following: Sequence[TileId]) -> SampleTable:
    parts = []
    for rows, features, _ in feature_strips(job, threads=cores(), following=following):
        here = pixels.take((pixels.rows >= rows.start) & (pixels.rows < rows.stop))
        here = here.take(features.clear[here.rows - rows.start, here.cols] > 0)
        values = features.values.values[:, here.rows - rows.start, here.cols].T
        parts.append(_table(job, here, np.ascontiguousarray(values, np.float32)))
    return joined(parts)


def _table(job: TileJob, pixels: Pixels, features: np.ndarray) -> SampleTable:
    grid, tile = job.grid, job.tile
    a, _, c, _, e, f = grid.transform(tile)
    x, y = c + a * (pixels.cols + 0.5), f + e * (pixels.rows + 0.5)
    places = Transformer.from_crs(grid.epsg, _EQUAL_AREA, always_xy=True).transform(x, y)
    return SampleTable(
        names=job.card.spec.feature_names,
        features=features,
        codes=pixels.codes,
        groups=pixels.groups,
        places=np.stack(places, axis=1),
        ids=sample_ids(np.full(len(x), grid.epsg), x, y, pixels.codes),
    )


def _load(path: Path) -> SampleTable | None:
    """A tile's samples that were kept; a file that cannot be read is as good as none."""
    try:
        with np.load(path, allow_pickle=False) as kept:
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
    check_counts(table.codes, names)


def check_counts(codes: np.ndarray, names: Mapping[int, str]) -> None:
    """Raises LabelError when samples are of one class only, or a class has too few."""
    found, counts = np.unique(codes, return_counts=True)
    if len(found) < 2:
        raise LabelError(f"only the class {names[int(found[0])]} has samples", "label at least two classes")
    few = [(names[int(code)], int(count)) for code, count in zip(found, counts, strict=True) if count < MIN_PER_CLASS]
    if few:
        raise LabelError(
            f"class {few[0][0]} has {few[0][1]} clear samples, at least {MIN_PER_CLASS} are needed",
            "label more of it, or merge it with another class in the legend",
        )


def group_names(table: SampleTable, labels: Labels) -> dict[int, str]:
    """What people find each group by: its row in the labels' file, or where it lies."""
    to_degrees = Transformer.from_crs(_EQUAL_AREA, 4326, always_xy=True)
    names = {}
    for group in np.unique(table.groups):
        x, y = table.places[table.groups == group].mean(axis=0)
        lon, lat = to_degrees.transform(x, y)
        names[int(group)] = f"{labels.name(int(group))} at {lon:.5f} {lat:.5f}".strip()
    return names
