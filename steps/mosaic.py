"""From tiles in a store to the COGs of a map, in strips of rows, clipped to the AOI."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

from steps import naming
from steps.areas import ClassAreas, pixel_areas
from steps.cog import CogWriter, RasterSpec, cog_writer
from steps.credit import COPERNICUS, copyright_tag
from steps.errors import DataError
from steps.footprint import Footprint
from steps.gate import left_out
from steps.layers import read_window
from steps.model.card import NODATA_CLASS, ClassDef
from steps.model.grid import TileId
from steps.model.job import REASON_CODES, Plan, RasterRef, Reason, TileEmpty, TileMapped, TileOutcome
from steps.palette import REASON_COLOURS
from steps.store import Store
from steps.tile import BANDS

CLEAR_NODATA = 255
MOST_CLEAR = CLEAR_NODATA - 1
"""More clear observations than this are published as so many."""
_ROWS = 512
"""Rows at once, as high as the blocks of tiles and COGs; fewer where a map is so wide that they exceed `_BYTES`."""
_BYTES = 2**28
_AREA_ROWS = 64
_NO_SCENES = REASON_CODES[Reason.NO_SCENES]
_LAYERS: dict[str, tuple[str, ...]] = {
    "map": ("class",),
    "confidence": ("confidence",),
    "margin": ("margin",),
    "clear": ("clear",),
    "composite": ("red", "green", "blue"),
    "reason": ("reason",),
}
_COLOURS = _LAYERS["composite"]
REASON_CLASSES = tuple(
    ClassDef(code=code, name=reason.value, colour=REASON_COLOURS[reason]) for reason, code in REASON_CODES.items()
)
"""The reason layer's values, with names and colours."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Some rows of the map."""

    row: int
    """Of its first row in the map's window."""
    inside: np.ndarray
    """bool (y, x): in the AOI."""
    names: Sequence[str]
    bands: np.ndarray
    """uint8 (band, y, x), by `names`, as in a tile's raster; masked pixels taken out, not yet clipped."""

    def band(self, name: str) -> np.ndarray:
        """uint8 (y, x)."""
        return self.bands[self.names.index(name)]

    @property
    def reasons(self) -> np.ndarray:
        """Reason codes (n) of the AOI's pixels."""
        return self.band("reason")[self.inside]


@dataclass(frozen=True, slots=True)
class Mosaic:
    """A map's rasters, in a folder."""

    paths: dict[str, Path]
    pixels: dict[Reason, int]
    """AOI pixels by reason."""
    areas: ClassAreas
    footprint: Footprint


def band_names(plan: Plan) -> tuple[str, ...]:
    """The bands of a plan's tile rasters, in order; a probability is named by its class's code."""
    classes = plan.card.classes if plan.request.options.probabilities else ()
    return (*BANDS, *(f"probability-{entry.code}" for entry in classes))


def strips(
    plan: Plan,
    outcomes: Mapping[TileId, TileOutcome],
    store: Store,
    footprint: Footprint,
    names: Sequence[str] = (),
) -> Iterator[Strip]:
    """The map from north to south, at most 512 rows at a time; of the bands only `names`, where given.

    Tiles without an outcome, and failed ones, are worker-lost. Raises MissingObject when a tile's raster is gone from
    the store, DataError when it is no raster of this plan.
    """
    names = names or band_names(plan)
    rows, tiles = _rows_at_once(footprint.window.width * len(names)), _by_row(plan)
    first, last = footprint.window.row, footprint.window.row + footprint.window.height
    for tile_row in range(first // plan.grid.size, (last - 1) // plan.grid.size + 1):
        with ExitStack() as held:
            found = [_find(tile, outcomes.get(tile), plan, store, held) for tile in tiles[tile_row]]
            start = tile_row * plan.grid.size
            for cut in range(start, start + plan.grid.size, rows):
                top, bottom = max(cut, first), min(cut + rows, start + plan.grid.size, last)
                if top < bottom:
                    yield _strip(found, plan, footprint, names, slice(top, bottom))


def _rows_at_once(row_bytes: int) -> int:
    rows = _ROWS
    while rows > 16 and rows * row_bytes > _BYTES:
        rows //= 2
    return rows


def _by_row(plan: Plan) -> Mapping[int, list[TileId]]:
    tiles: dict[int, list[TileId]] = defaultdict(list)
    for entry in plan.tiles:
        tiles[entry.tile.row].append(entry.tile)
    return tiles


@dataclass(frozen=True, slots=True)
class _Tile:
    """What there is of a tile."""

    tile: TileId
    path: Path | None = None
    """Its raster; None: nothing of it is mapped."""
    reason: Reason = Reason.WORKER_LOST
    """Why nothing of it is mapped."""
    uncovered: Reason = Reason.NO_SCENES
    """Why pixels that none of the scenes used covers are not mapped."""


def _find(tile: TileId, outcome: TileOutcome | None, plan: Plan, store: Store, held: ExitStack) -> _Tile:
    """A tile's raster stays at hand as long as the stack."""
    if isinstance(outcome, TileMapped):
        key = naming.tile_raster_key(plan.grid, tile, outcome.key)
        uncovered = left_out(outcome.excluded) if outcome.excluded else Reason.NO_SCENES
        return _Tile(tile, held.enter_context(store.local_path(key)), uncovered=uncovered)
    return _Tile(tile, reason=outcome.reason) if isinstance(outcome, TileEmpty) else _Tile(tile)


def _strip(found: Sequence[_Tile], plan: Plan, footprint: Footprint, names: Sequence[str], rows: slice) -> Strip:
    """Rows of the map, counted from the grid's origin."""
    window, height = footprint.window, rows.stop - rows.start
    bands = np.empty((len(names), height, window.width), np.uint8)
    bands[:] = _unmapped(names, Reason.WORKER_LOST)[:, None, None]
    for tile in found:
        left = tile.tile.col * plan.grid.size
        start, stop = max(left, window.col), min(left + plan.grid.size, window.col + window.width)
        if start < stop:
            own = Window(start - left, rows.start - tile.tile.row * plan.grid.size, stop - start, height)
            _paste(bands[:, :, start - window.col : stop - window.col], tile, own, plan, names)
    strip = Strip(rows.start - window.row, footprint.mask(rows.start - window.row, height), names, bands)
    if plan.request.options.mask is not None:
        _take_out(strip, plan.request.options.mask, footprint)
    return strip


def _unmapped(names: Sequence[str], reason: Reason) -> np.ndarray:
    """uint8 (band): a pixel that is not mapped. Of a tile that was never finished, not even its clouds are known."""
    clear = CLEAR_NODATA if reason is Reason.WORKER_LOST else 0
    special = {"clear": clear, "reason": REASON_CODES[reason]} | dict.fromkeys(_COLOURS, 0)
    return np.array([special.get(name, NODATA_CLASS) for name in names], np.uint8)


def _paste(target: np.ndarray, tile: _Tile, window: Window, plan: Plan, names: Sequence[str]) -> None:
    """Put a window of a tile where it belongs; of one that is not mapped, only its reason."""
    if tile.path is None:
        target[:] = _unmapped(names, tile.reason)[:, None, None]
        return
    every = band_names(plan)
    try:
        with rasterio.open(tile.path) as source:
            target[:] = source.read([every.index(name) + 1 for name in names], window=window)
    except (RasterioError, IndexError, ValueError) as error:
        raise DataError(f"the raster of tile {tile.tile} cannot be read", f"delete {tile.path} ({error})") from error
    for band, name in zip(target, names, strict=True):
        if name == "clear":
            np.minimum(band, MOST_CLEAR, out=band)
        if name == "reason":
            band[band == _NO_SCENES] = REASON_CODES[tile.uncovered]


def _take_out(strip: Strip, mask: RasterRef, footprint: Footprint) -> None:
    """What the user's mask leaves out: its zeros, and where it has no data."""
    transform = _transform(footprint, strip.row)
    found = read_window(mask, footprint.grid.epsg, transform, strip.inside.shape)[0]
    out = np.ma.getmaskarray(found) | (found.data == 0)
    blank = _unmapped(strip.names, Reason.MASKED)
    for number, name in enumerate(strip.names):
        if name not in {"clear", *_COLOURS}:
            np.copyto(strip.bands[number], blank[number], where=out)


def _transform(footprint: Footprint, row: int) -> tuple[float, float, float, float, float, float]:
    """Of the map's rows from one on."""
    a, b, c, d, e, f = footprint.window.transform
    return a, b, c, d, e, f + e * row


def count_pixels(pieces: Iterator[Strip]) -> dict[Reason, int]:
    """AOI pixels by reason."""
    counts = np.zeros(len(Reason), np.int64)
    for strip in pieces:
        counts += np.bincount(strip.reasons, minlength=len(Reason))
    return _by_reason(counts)


def _by_reason(counts: np.ndarray) -> dict[Reason, int]:
    return {reason: int(counts[code]) for reason, code in REASON_CODES.items() if counts[code]}


def make_mosaic(
    plan: Plan,
    outcomes: Mapping[TileId, TileOutcome],
    store: Store,
    folder: Path,
    classes: tuple[ClassDef, ...],
) -> Mosaic:
    """Write the map's COGs into a folder. Memory is bounded by some hundred rows of the map."""
    footprint = Footprint.of(plan.request.aoi, plan.grid)
    counts, areas = np.zeros(len(Reason), np.int64), ClassAreas()
    specs = _specs(plan, footprint, classes)
    paths = {name: folder / f"{name}.tif" for name in specs}
    with ExitStack() as stack:
        writers = {name: stack.enter_context(cog_writer(paths[name], spec)) for name, spec in specs.items()}
        for strip in strips(plan, outcomes, store, footprint):
            counts += np.bincount(strip.reasons, minlength=len(Reason))
            _add_areas(areas, strip, footprint)
            _append(writers, strip)
    return Mosaic(paths, _by_reason(counts), areas, footprint)


def _add_areas(areas: ClassAreas, strip: Strip, footprint: Footprint) -> None:
    """Areas are float64: some rows at a time."""
    codes = np.where(strip.inside, strip.band("class"), NODATA_CLASS)
    for top in range(0, len(codes), _AREA_ROWS):
        part = codes[top : top + _AREA_ROWS]
        areas.add(part, pixel_areas(footprint.grid.epsg, _transform(footprint, strip.row + top), part.shape))


def _append(writers: Mapping[str, CogWriter], strip: Strip) -> None:
    """Clipped to the AOI. Changes the strip's pixels: nothing is left to be done with them."""
    outside = ~strip.inside
    for name, writer in writers.items():
        places = [strip.names.index(band) for band in _bands_of(name, strip.names)]
        block = strip.bands[places[0] : places[-1] + 1]
        np.copyto(block, np.uint8(writer.spec.nodata), where=outside)
        writer.append(block)


def _bands_of(layer: str, names: Sequence[str]) -> Sequence[str]:
    """A layer's bands; they lie side by side in a tile's raster."""
    return _LAYERS.get(layer) or names[len(BANDS) :]


def _specs(plan: Plan, footprint: Footprint, classes: tuple[ClassDef, ...]) -> dict[str, RasterSpec]:
    window = footprint.window

    def spec(**changes: object) -> RasterSpec:
        place = {"epsg": plan.grid.epsg, "transform": window.transform, "width": window.width, "height": window.height}
        return RasterSpec(**place, tags=copyright_tag(COPERNICUS), **changes)  # type: ignore[arg-type]

    specs = {
        "map": spec(overviews="mode", classes=classes),
        "confidence": spec(overviews="average"),
        "margin": spec(overviews="average"),
        "clear": spec(overviews="average", nodata=CLEAR_NODATA),
        "composite": spec(bands=3, nodata=0, overviews="average", descriptions=_COLOURS),
        "reason": spec(overviews="mode", classes=REASON_CLASSES),
    }
    if plan.request.options.probabilities:
        names = [entry.name for entry in plan.card.classes]
        specs["probabilities"] = spec(bands=len(names), overviews="average", descriptions=names)
    return specs
