"""Where a map and the Dynamic World baseline of its year disagree: a layer and a table in hectares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window

from steps import credit
from steps.areas import pixel_areas
from steps.cog import RasterSpec, cog_writer
from steps.counterparts import counterpart
from steps.layers import read_window
from steps.legend import DYNAMIC_WORLD
from steps.model.card import NODATA_CLASS, ClassDef
from steps.model.job import RasterRef
from steps.palette import AGREES, DISAGREEMENT_COLOURS, DISAGREES

LAYER_CLASSES = (
    ClassDef(code=AGREES, name="agrees", colour=DISAGREEMENT_COLOURS[AGREES]),
    ClassDef(code=DISAGREES, name="disagrees", colour=DISAGREEMENT_COLOURS[DISAGREES]),
)
"""The layer's values, with names and colours; 255 is not comparable."""
_STRIP_PIXELS = 2**21
_Transform = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Hectares by our class and Dynamic World's."""

    classes: tuple[ClassDef, ...]
    hectares: np.ndarray
    """float64 (our class, Dynamic World class)."""
    comparable: tuple[int | None, ...]
    """Dynamic World's code for each of our classes; None where it has no counterpart."""

    @property
    def share(self) -> float:
        """Of the comparable area that disagrees; 0 where nothing can be compared."""
        agreed = sum(self.hectares[n, dw] for n, dw in enumerate(self.comparable) if dw is not None)
        total = sum(self.hectares[n].sum() for n, dw in enumerate(self.comparable) if dw is not None)
        return float(1 - agreed / total) if total else 0.0

    def rows(self) -> Iterator[tuple[str | float, ...]]:
        """A row for each of our classes: name, its counterpart, hectares by Dynamic World class."""
        names = [entry.name for entry in DYNAMIC_WORLD]
        for entry, dw, hectares in zip(self.classes, self.comparable, self.hectares, strict=True):
            counterpart = "not comparable" if dw is None else names[dw]
            yield entry.name, counterpart, *(round(float(value), 2) for value in hectares)


def disagreement(
    source: Path,
    baseline: RasterRef,
    classes: Sequence[ClassDef],
    target: Path,
    counterparts: Mapping[int, int | None] | None = None,
) -> Disagreement:
    """Write the layer (0 agrees, 1 disagrees, 255 not comparable) as a COG; the table. Memory: some rows of the map.

    `counterparts` says for class codes which Dynamic World code they are (None: not comparable); for all others their
    names say it. The baseline may have any grid and CRS; the nearest of its pixels counts. Raises DataError when it
    cannot be read.
    """
    given = counterparts or {}
    comparable = tuple(given.get(entry.code, counterpart(entry.name)) for entry in classes)
    hectares = np.zeros((len(classes), len(DYNAMIC_WORLD)))
    with rasterio.open(source) as raster:
        spec = _spec(raster)
        with cog_writer(target, spec) as writer:
            for transform, codes in _strips(raster, spec):
                theirs = _read_baseline(baseline, spec.epsg, transform, codes.shape)
                writer.append(_layer(codes, theirs, classes, comparable))
                hectares += _cross_areas(codes, theirs, classes, pixel_areas(spec.epsg, transform, codes.shape))
    return Disagreement(tuple(classes), hectares / 10_000, comparable)


def _spec(raster: DatasetReader) -> RasterSpec:
    return RasterSpec(
        epsg=raster.crs.to_epsg(),
        transform=tuple(raster.transform)[:6],
        width=raster.width,
        height=raster.height,
        overviews="mode",
        classes=LAYER_CLASSES,
        tags=credit.copyright_tag(credit.COPERNICUS, credit.DYNAMIC_WORLD),
    )


def _strips(raster: DatasetReader, spec: RasterSpec) -> Iterator[tuple[_Transform, np.ndarray]]:
    """Class codes uint8 (y, x) of some rows, with their transform."""
    rows = max(16, _STRIP_PIXELS // spec.width)
    a, b, c, d, e, f = spec.transform
    for top in range(0, spec.height, rows):
        window = Window(0, top, spec.width, min(rows, spec.height - top))
        yield (a, b, c, d, e, f + e * top), raster.read(1, window=window)


def _read_baseline(ref: RasterRef, epsg: int, transform: _Transform, shape: tuple[int, int]) -> np.ndarray:
    """uint8 (y, x): Dynamic World's codes, 255 for whatever else there is."""
    found = read_window(ref, epsg, transform, shape)[0]
    known = ~np.ma.getmaskarray(found) & (found.data >= 0) & (found.data < len(DYNAMIC_WORLD))
    return np.where(known, found.data, NODATA_CLASS).astype(np.uint8)


def _layer(
    codes: np.ndarray, theirs: np.ndarray, classes: Sequence[ClassDef], comparable: Sequence[int | None]
) -> np.ndarray:
    expected = np.full(256, NODATA_CLASS, np.uint8)
    for entry, dw in zip(classes, comparable, strict=True):
        expected[entry.code] = NODATA_CLASS if dw is None else dw
    ours = expected[codes]
    compared = (ours != NODATA_CLASS) & (theirs != NODATA_CLASS)
    return np.where(compared, np.where(ours == theirs, AGREES, DISAGREES), NODATA_CLASS).astype(np.uint8)


def _cross_areas(codes: np.ndarray, theirs: np.ndarray, classes: Sequence[ClassDef], areas: np.ndarray) -> np.ndarray:
    """Square metres (our class, Dynamic World class) where both have one."""
    row_of = np.full(256, len(classes), np.int64)
    row_of[[entry.code for entry in classes]] = np.arange(len(classes))
    rows, known = row_of[codes], theirs != NODATA_CLASS
    pairs = rows[known] * len(DYNAMIC_WORLD) + theirs[known]
    shape = (len(classes) + 1, len(DYNAMIC_WORLD))
    return np.bincount(pairs, areas[known], shape[0] * shape[1]).reshape(shape)[:-1]
