"""From tiles in a store to the COGs of a map: a row of tiles at a time, clipped to the AOI."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from steps import naming
from steps.areas import ClassAreas, pixel_areas
from steps.cog import CogWriter, RasterSpec, cog_writer
from steps.footprint import Footprint
from steps.layers import read_window
from steps.model.card import NODATA_CLASS, ClassDef
from steps.model.grid import TileGrid, TileId
from steps.model.job import REASON_CODES, Plan, Reason, TileEmpty, TileMapped, TileOutcome
from steps.store import Store
from steps.tile import BANDS

CLEAR_NODATA = 255
_NO_SCENES, _READ_ERROR = REASON_CODES[Reason.NO_SCENES], REASON_CODES[Reason.READ_ERROR]
_LAYERS: dict[str, tuple[str, ...]] = {
    "map": ("class",),
    "confidence": ("confidence",),
    "margin": ("margin",),
    "clear": ("clear",),
    "composite": ("red", "green", "blue"),
    "reason": ("reason",),
}
_OUTSIDE = {"composite": 0}
"""Value outside the AOI; 255 for all others."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Some rows of the map."""

    row: int
    """Of its first row in the map's window."""
    inside: np.ndarray
    """bool (y, x): in the AOI."""
    bands: np.ndarray
    """uint8 (band, y, x), as in a tile's raster; masked pixels taken out, not yet clipped."""

    @property
    def reasons(self) -> np.ndarray:
        """Reason codes (n) of the AOI's pixels."""
        return self.bands[BANDS.index("reason")][self.inside]


@dataclass(frozen=True, slots=True)
class Mosaic:
    """A map's rasters, in a folder."""

    paths: dict[str, Path]
    pixels: dict[Reason, int]
    """AOI pixels by reason."""
    areas: ClassAreas
    footprint: Footprint


def strips(plan: Plan, outcomes: Mapping[TileId, TileOutcome], store: Store, footprint: Footprint) -> Iterator[Strip]:
    """The map from north to south, a row of tiles at a time."""
    size, window = plan.grid.size, footprint.window
    first, last = window.row // size, (window.row + window.height - 1) // size
    for tile_row in range(first, last + 1):
        top, bottom = max(tile_row * size, window.row), min((tile_row + 1) * size, window.row + window.height)
        inside = footprint.mask(top - window.row, bottom - top)
        bands = _blank(plan, bottom - top, window.width)
        for entry in plan.tiles:
            if entry.tile.row == tile_row:
                _paste(bands, outcomes.get(entry.tile), entry.tile, store, _Place(plan.grid, footprint, top, bottom))
        _apply_mask(plan, bands, footprint, top)
        yield Strip(top - window.row, inside, bands)


def _blank(plan: Plan, height: int, width: int) -> np.ndarray:
    """What a tile that was never finished looks like."""
    count = len(BANDS) + (len(plan.card.classes) if plan.request.options.probabilities else 0)
    bands = np.zeros((count, height, width), np.uint8)
    bands[:3] = NODATA_CLASS
    bands[len(BANDS) :] = NODATA_CLASS
    bands[BANDS.index("reason")] = REASON_CODES[Reason.WORKER_LOST]
    return bands


@dataclass(frozen=True, slots=True)
class _Place:
    """Where tiles fall in a strip."""

    grid: TileGrid
    footprint: Footprint
    top: int
    bottom: int

    def of(self, tile: TileId) -> tuple[slice, slice, Window]:
        """Rows and columns of the strip, and the tile's own window."""
        size, window = self.grid.size, self.footprint.window
        left, right = max(tile.col * size, window.col), min((tile.col + 1) * size, window.col + window.width)
        own = Window(left - tile.col * size, self.top - tile.row * size, right - left, self.bottom - self.top)
        return slice(0, self.bottom - self.top), slice(left - window.col, right - window.col), own


def _paste(bands: np.ndarray, outcome: TileOutcome | None, tile: TileId, store: Store, place: _Place) -> None:
    """Put a tile where it belongs; of one that is not mapped, only its reason."""
    rows, cols, window = place.of(tile)
    target, reason = bands[:, rows, cols], BANDS.index("reason")
    if window.width <= 0:
        return
    if isinstance(outcome, TileEmpty):
        target[reason] = REASON_CODES[outcome.reason]
    elif isinstance(outcome, TileMapped):
        key = naming.tile_raster_key(place.grid, tile, outcome.key)
        with store.local_path(key) as path, rasterio.open(path) as source:
            target[:] = source.read(window=window)
        if outcome.excluded:
            target[reason][target[reason] == _NO_SCENES] = _READ_ERROR


def _apply_mask(plan: Plan, bands: np.ndarray, footprint: Footprint, top: int) -> None:
    """Take out what the user's mask leaves out."""
    mask = plan.request.options.mask
    if mask is None:
        return
    a, b, c, d, e, f = footprint.window.transform
    transform = (a, b, c, d, e, f + e * (top - footprint.window.row))
    found = read_window(mask, plan.grid.epsg, transform, bands.shape[1:])[0]
    out = np.ma.getmaskarray(found) | (found.data == 0)
    bands[:3, out] = NODATA_CLASS
    bands[len(BANDS) :, out] = NODATA_CLASS
    bands[BANDS.index("reason"), out] = REASON_CODES[Reason.MASKED]


def count_pixels(pieces: Iterator[Strip]) -> dict[Reason, int]:
    """AOI pixels by reason."""
    counts = np.zeros(len(Reason), np.int64)
    for strip in pieces:
        counts += np.bincount(strip.reasons, minlength=len(Reason))
    return {reason: int(counts[code]) for reason, code in REASON_CODES.items() if counts[code]}


def make_mosaic(
    plan: Plan,
    outcomes: Mapping[TileId, TileOutcome],
    store: Store,
    folder: Path,
    classes: tuple[ClassDef, ...],
) -> Mosaic:
    """Write the map's COGs into a folder. Memory is bounded by a row of tiles."""
    footprint = Footprint.of(plan.request.aoi, plan.grid)
    counts, areas = np.zeros(len(Reason), np.int64), ClassAreas()
    specs = _specs(plan, footprint, classes)
    paths = {name: folder / f"{name}.tif" for name in specs}
    with ExitStack() as stack:
        writers = {name: stack.enter_context(cog_writer(paths[name], spec)) for name, spec in specs.items()}
        for strip in strips(plan, outcomes, store, footprint):
            counts += np.bincount(strip.reasons, minlength=len(Reason))
            _append(writers, strip, plan)
            areas.add(*_clipped_areas(strip, plan, footprint))
    pixels = {reason: int(counts[code]) for reason, code in REASON_CODES.items() if counts[code]}
    return Mosaic(paths, pixels, areas, footprint)


def _append(writers: Mapping[str, CogWriter], strip: Strip, plan: Plan) -> None:
    outside = ~strip.inside
    for name, writer in writers.items():
        block = strip.bands[_positions(name, plan)]
        block[:, outside] = _OUTSIDE.get(name, NODATA_CLASS)
        writer.append(block)


def _positions(name: str, plan: Plan) -> list[int]:
    """A layer's bands in a tile's raster."""
    if name == "probabilities":
        return list(range(len(BANDS), len(BANDS) + len(plan.card.classes)))
    return [BANDS.index(band) for band in _LAYERS[name]]


def _clipped_areas(strip: Strip, plan: Plan, footprint: Footprint) -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d, e, f = footprint.window.transform
    codes = np.where(strip.inside, strip.bands[0], NODATA_CLASS)
    return codes, pixel_areas(plan.grid.epsg, (a, b, c, d, e, f + e * strip.row), codes.shape)


def _specs(plan: Plan, footprint: Footprint, classes: tuple[ClassDef, ...]) -> dict[str, RasterSpec]:
    window = footprint.window

    def spec(**changes: object) -> RasterSpec:
        place = {"epsg": plan.grid.epsg, "transform": window.transform, "width": window.width, "height": window.height}
        return RasterSpec(**place, **changes)  # type: ignore[arg-type]

    specs = {
        "map": spec(overviews="mode", classes=classes),
        "confidence": spec(overviews="average"),
        "margin": spec(overviews="average"),
        "clear": spec(overviews="average", nodata=CLEAR_NODATA),
        "composite": spec(bands=3, nodata=0, overviews="average", descriptions=_LAYERS["composite"]),
        "reason": spec(overviews="mode"),
    }
    if plan.request.options.probabilities:
        names = [entry.name for entry in plan.card.classes]
        specs["probabilities"] = spec(bands=len(names), overviews="average", descriptions=names)
    return specs
