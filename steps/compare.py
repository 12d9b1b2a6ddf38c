"""Two class maps: what became what, in hectares and shares."""

import csv
import io
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from steps.areas import pixel_areas, shifted
from steps.errors import CatalogError, UsageError
from steps.layers import read_window
from steps.model.card import NODATA_CLASS
from steps.model.job import RasterRef
from steps.published import absolute, as_file, read_item

_BLOCK_PX = 2048
"""Pixels per side of what is read at once; some 200 MB are needed for it."""
_CODES = 256
WARNING = (
    "Counted from pixels: the errors of both maps are in it, and they do not cancel. Change is usually rare, so most "
    "of what is counted may be error. An area of change needs a reference sample (Olofsson et al. 2014, Remote "
    "Sensing of Environment 148)."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A transition matrix."""

    before: Mapping[int, str]
    """Names by code, of the classes that occur."""
    after: Mapping[int, str]
    hectares: np.ndarray
    """float64 (256, 256): by code before and code after, where both are mapped."""

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The matrix as text: a row per class before, a column per class after, hectares; the share that stayed."""
        yield "from \\ to", *self.after.values(), "total", "unchanged"
        for code, name in self.before.items():
            cells, total = self.hectares[code, list(self.after)], self.hectares[code].sum()
            stayed = sum(self.hectares[code, other] for other in self.after if self._is_same(code, other))
            yield name, *(f"{value:.2f}" for value in cells), f"{total:.2f}", f"{stayed / total:.1%}"
        columns = self.hectares.sum(axis=0)
        totals = (f"{columns[code]:.2f}" for code in self.after)
        yield "total", *totals, f"{self.hectares.sum():.2f}", f"{1 - self.changed:.1%}"

    def _is_same(self, before: int, after: int) -> bool:
        """Classes are told by their names: two maps may give one class two codes."""
        return _folded(self.before[before]) == _folded(self.after[after])

    @property
    def changed(self) -> float:
        """Share of the compared area whose class has another name."""
        pairs = ((one, other) for one in self.before for other in self.after if self._is_same(one, other))
        same = sum(float(self.hectares[pair]) for pair in pairs)
        return max(0.0, 1 - same / float(self.hectares.sum()))

    def to_csv(self) -> str:
        """A line per transition that occurs: hectares, its share of the compared area and of the class it was."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("from_code", "from", "to_code", "to", "hectares", "share", "share_of_from"))
        rows, everything = self.hectares.sum(axis=1), self.hectares.sum()
        for one, other in np.argwhere(self.hectares):
            area = self.hectares[one, other]
            shares = (f"{area / everything:.6f}", f"{area / rows[one]:.6f}")
            writer.writerow((one, self.before[one], other, self.after[other], f"{area:.4f}", *shares))
        return text.getvalue()

    def __str__(self) -> str:
        rows = list(self.rows())
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        said = f"Hectares. {self.changed:.1%} of {self.hectares.sum():.2f} ha changed class."
        return "\n".join([*lines, said, WARNING])


def compare_maps(before: str, after: str) -> Comparison:
    """The transition matrix of two class maps, or of the maps of two items, on the grid of the first.

    The second is brought to that grid by nearest neighbour. Raises UsageError when they are no class maps, share no
    class or do not overlap.
    """
    with as_file(map_path(before)) as first, as_file(map_path(after)) as second:
        return _compare(str(first), str(second), (before, after))


def _compare(first: str, second: str, given: tuple[str, str]) -> Comparison:
    """The matrix of two files; `given` is what the user calls them."""
    before, after = given
    hectares = np.zeros((_CODES, _CODES))
    try:
        with rasterio.open(first) as source, rasterio.open(second) as other:
            _check_map(source, before)
            _check_map(other, after)
            names = _legends(source, other, (before, after))
            for window in _windows(source):
                hectares += _transitions(source, second, window)
    except RasterioError as error:
        raise UsageError(f"{before} or {after} cannot be read: {error}", "give class maps or items") from error
    hectares[NODATA_CLASS], hectares[:, NODATA_CLASS] = 0, 0
    if not hectares.any():
        raise UsageError(f"{before} and {after} have no mapped pixel in common", "compare maps of one area")
    return Comparison(_used(names[0], hectares.sum(axis=1)), _used(names[1], hectares.sum(axis=0)), hectares)


def map_path(text: str) -> str:
    """The class map of a path, s3:// or web address: itself, or the `map` asset of an item; raises UsageError."""
    if not text.partition("?")[0].endswith(".json"):
        return text
    item = absolute(text)
    try:
        href = read_item(item)["assets"]["map"]["href"]
        is_absolute = href.startswith("/") or "://" in href
    except (KeyError, TypeError, AttributeError, CatalogError, UsageError) as error:
        raise UsageError(f"{text} is no item of a map: {error}", "give map.tif or its item.json") from error
    if is_absolute:
        return str(href)
    scheme, _, place = item.rpartition("://")
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(place), href))
    return f"{scheme}://{joined}" if scheme else joined


def _check_map(source: DatasetReader, name: str) -> None:
    if source.count != 1 or source.dtypes[0] != "uint8":
        what = f"{name} has {source.count} bands of {source.dtypes[0]}"
        raise UsageError(what, "a class map has one of uint8, as the map.tif of a job")
    if source.crs is None or source.crs.to_epsg() is None:
        raise UsageError(f"{name} does not say its CRS by an EPSG code", "reproject it with gdalwarp -r near")


def _windows(source: DatasetReader) -> Iterator[Window]:
    for top in range(0, source.height, _BLOCK_PX):
        for left in range(0, source.width, _BLOCK_PX):
            yield Window(left, top, min(_BLOCK_PX, source.width - left), min(_BLOCK_PX, source.height - top))


def _transitions(source: DatasetReader, second: str, window: Window) -> np.ndarray:
    """float64 (256, 256): hectares by code before and after; 255 where one of them is not mapped."""
    codes = source.read(1, window=window, masked=True)
    epsg = source.crs.to_epsg()
    transform = shifted(tuple(source.transform)[:6], window.row_off, window.col_off)
    theirs = read_window(RasterRef(href=second, version=""), epsg, transform, codes.shape)[0]
    pairs = _plain(codes).astype(np.uint16) * _CODES + _plain(theirs)
    areas = pixel_areas(epsg, transform, codes.shape) / 10_000
    return np.bincount(pairs.ravel(), areas.ravel(), _CODES * _CODES).reshape(_CODES, _CODES)


def _plain(codes: np.ma.MaskedArray) -> np.ndarray:
    """uint8 with 255 where there is no data, whatever value says so in the file."""
    return codes.filled(NODATA_CLASS).astype(np.uint8)


def _legends(source: DatasetReader, other: DatasetReader, paths: tuple[str, str]) -> tuple[Mapping[int, str], ...]:
    """Class names of both maps; a map that names none is read with the other's legend."""
    ours, theirs = _names(source), _names(other)
    if ours and theirs and not {*map(_folded, ours.values())} & {*map(_folded, theirs.values())}:
        legends = " against ".join(", ".join([*names.values()][:5]) for names in (ours, theirs))
        raise UsageError(f"{paths[0]} and {paths[1]} share no class: {legends}", "map both with one --legend")
    return ours or theirs, theirs or ours


def _names(source: DatasetReader) -> dict[int, str]:
    """Class names as steps.cog writes them."""
    tags = ((key.removeprefix("CLASS_"), name) for key, name in source.tags(1).items() if key.startswith("CLASS_"))
    return {int(code): name for code, name in tags if code.isdecimal()}


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _used(names: Mapping[int, str], totals: np.ndarray) -> dict[int, str]:
    """Names of the classes that occur; a code without a name is its own."""
    return {int(code): names.get(int(code), str(code)) for code in np.flatnonzero(totals)}
