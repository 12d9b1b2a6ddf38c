"""Drift of a finished map: the samples of its tiles out of the store, compared with the model's training samples."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import rasterio
import structlog
from rasterio.io import DatasetReader
from rasterio.windows import Window

from steps import naming
from steps.drift import Drift, Mapped, Trained, count_tile, measure, nothing_mapped, to_csv
from steps.drift_reference import read_known
from steps.lattice import FIRST, STEP, UNKNOWN, LatticeSample, decode_sample
from steps.model.card import NODATA_CLASS, ClassDef
from steps.model.grid import TileGrid, TileId
from steps.model.job import Plan, TileMapped, TileOutcome
from steps.store import MissingObject, Store

DRIFT_FILE, DRIFT_CSV = "drift.json", "drift.csv"
_log = structlog.get_logger()


def map_drift(
    plan: Plan, outcomes: Mapping[TileId, TileOutcome], store: Store, map_path: Path, classes: tuple[ClassDef, ...]
) -> Drift | None:
    """The drift of a map, whose class raster lies at a path; None where its model or the store has no reference.

    Only pixels count that are on the map: inside the AOI and the mask. Raises ModelError for a damaged reference.
    """
    trained = _trained(plan, store)
    return measure(trained, _gather(trained, plan, outcomes, store, map_path), classes) if trained else None


def write_drift(drift: Drift, folder: Path) -> None:
    """The whole of it as JSON, and its features as CSV."""
    (folder / DRIFT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(drift), indent=1))
    (folder / DRIFT_CSV).write_text(to_csv(drift), encoding="utf-8")


def _trained(plan: Plan, store: Store) -> Trained | None:
    reference = plan.card.reference
    if reference is None:
        return None
    key = naming.points_key(reference.points_sha256)
    try:
        data = store.get_bytes(key)
    except MissingObject:
        _log.warning("drift.unmeasured", model=plan.card.name, missing=store.href(key))
        return None
    return read_known(data, reference, plan.card.spec.feature_names, store.href(key)).trained


def _gather(trained: Trained, plan: Plan, outcomes: Mapping[TileId, TileOutcome], store: Store, path: Path) -> Mapped:
    """The samples of all mapped tiles, one after the other; those without one are counted."""
    mapped = [outcome for outcome in outcomes.values() if isinstance(outcome, TileMapped)]
    total = nothing_mapped(trained)
    with rasterio.open(path) as source:
        for outcome in mapped:
            sample = _sample(plan, outcome, store)
            if sample:
                total += _counted(trained, sample, source, plan.grid, outcome.tile)
            else:
                total += nothing_mapped(trained, unmeasured=1)
    return total


def _counted(trained: Trained, sample: LatticeSample, source: DatasetReader, grid: TileGrid, tile: TileId) -> Mapped:
    """What of a tile's sample is on the map."""
    codes = _tile_codes(source, grid, tile)[FIRST::STEP, FIRST::STEP]
    known = (codes != NODATA_CLASS) & (sample.dissimilarity != UNKNOWN)
    return count_tile(trained, sample.bins[:, known].T, codes[known], sample.dissimilarity[known])


def _sample(plan: Plan, outcome: TileMapped, store: Store) -> LatticeSample | None:
    """A tile's sample; None where it has none, or one of another reference."""
    key = naming.tile_drift_key(plan.grid, outcome.tile, outcome.key)
    try:
        found = decode_sample(store.get_bytes(key))
    except MissingObject:
        return None
    except ValueError as error:
        _log.warning("drift.unreadable", tile=str(outcome.tile), error=str(error))
        return None
    reference = plan.card.reference
    return found if reference and found.points_sha256 == reference.points_sha256 else None


def _tile_codes(source: DatasetReader, grid: TileGrid, tile: TileId) -> np.ndarray:
    """uint8 (y, x): what a class map on a grid says of a tile; NODATA_CLASS beyond the map."""
    x0, y0 = grid.origin
    col = tile.col * grid.size - round((source.transform.c - x0) / grid.resolution)
    row = tile.row * grid.size - round((y0 - source.transform.f) / grid.resolution)
    left, right = max(col, 0), min(col + grid.size, source.width)
    top, bottom = max(row, 0), min(row + grid.size, source.height)
    codes = np.full((grid.size, grid.size), NODATA_CLASS, np.uint8)
    if left < right and top < bottom:
        window = Window(left, top, right - left, bottom - top)
        codes[top - row : bottom - row, left - col : right - col] = source.read(1, window=window)
    return codes
