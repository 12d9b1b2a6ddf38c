"""Two class maps: what became what, in hectares."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

from steps.areas import pixel_areas
from steps.errors import UsageError
from steps.layers import read_window
from steps.model.card import NODATA_CLASS
from steps.model.job import RasterRef

_STRIP_ROWS = 1024
WARNING = (
    "Counted from pixels: the errors of both maps are in it, and they do not cancel. Change is usually rare, so most "
    "of what is counted may be error. An area of change needs a reference sample (Olofsson et al. 2014, Remote "
    "Sensing of Environment 148)."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A transition matrix."""

    before: Mapping[int, str]
    """Class names by code."""
    after: Mapping[int, str]
    hectares: np.ndarray
    """float64 (256, 256): by code before and code after, where both are mapped."""

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The matrix as text: a row per class before, a column per class after, hectares."""
        yield "from \\ to", *self.after.values(), "total"
        for code, name in self.before.items():
            cells = self.hectares[code, list(self.after)]
            yield name, *(f"{value:.2f}" for value in cells), f"{self.hectares[code].sum():.2f}"

    @property
    def changed(self) -> float:
        """Share of the compared area whose class has another name."""
        same = sum(
            self.hectares[one, other]
            for one, name in self.before.items()
            for other, other_name in self.after.items()
            if name == other_name
        )
        total = float(self.hectares.sum())
        return float(1 - same / total) if total else 0.0

    def to_csv(self) -> str:
        """The matrix as CSV, hectares."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.rows())
        return text.getvalue()

    def __str__(self) -> str:
        rows = list(self.rows())
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([*lines, f"{self.changed:.1%} of {self.hectares.sum():.2f} ha changed class.", WARNING])


def compare_maps(before: str, after: str) -> Comparison:
    """The transition matrix of two class maps, or of the maps of two items, on the grid of the first.

    Raises UsageError when they do not overlap or are no class maps.
    """
    first, second = map_path(before), map_path(after)
    hectares = np.zeros((256, 256))
    try:
        with rasterio.open(first) as source, rasterio.open(second) as other:
            names = _names(source), _names(other)
            for top in range(0, source.height, _STRIP_ROWS):
                hectares += _strip(source, second, top)
    except RasterioError as error:
        raise UsageError(f"{before} or {after} cannot be read: {error}", "give class maps or items") from error
    hectares[NODATA_CLASS], hectares[:, NODATA_CLASS] = 0, 0
    if not hectares.any():
        raise UsageError(f"{before} and {after} have no mapped pixel in common", "compare maps of one area")
    rows, columns = hectares.sum(axis=1), hectares.sum(axis=0)
    return Comparison(_used(names[0], rows), _used(names[1], columns), hectares)


def map_path(text: str) -> str:
    """The class map of a path: itself, or the `map` asset of an item; raises UsageError."""
    if not text.endswith(".json"):
        return text
    try:
        href = json.loads(Path(text).read_text())["assets"]["map"]["href"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{text} is no item of a map: {error!r}", "give map.tif or its item.json") from error
    return href if "://" in href or href.startswith("/") else str((Path(text).parent / href).resolve())


def _strip(source: rasterio.io.DatasetReader, second: str, top: int) -> np.ndarray:
    height = min(_STRIP_ROWS, source.height - top)
    codes = source.read(1, window=Window(0, top, source.width, height))
    a, b, c, d, e, f = tuple(source.transform)[:6]
    transform, epsg = (a, b, c, d, e, f + e * top), source.crs.to_epsg()
    theirs = read_window(RasterRef(href=second, version=""), epsg, transform, codes.shape)[0]
    other = np.where(np.ma.getmaskarray(theirs), NODATA_CLASS, theirs.data).astype(np.int64)
    areas = pixel_areas(epsg, transform, codes.shape) / 10_000
    pairs = codes.astype(np.int64) * 256 + other
    return np.bincount(pairs.ravel(), areas.ravel(), 256 * 256).reshape(256, 256)


def _names(source: rasterio.io.DatasetReader) -> dict[int, str]:
    """Class names as steps.cog writes them."""
    tags = source.tags(1)
    return {int(key.removeprefix("CLASS_")): name for key, name in tags.items() if key.startswith("CLASS_")}


def _used(names: Mapping[int, str], totals: np.ndarray) -> dict[int, str]:
    """Names of the classes that occur; a code without a name is its own."""
    return {int(code): names.get(int(code), str(code)) for code in np.flatnonzero(totals)}
