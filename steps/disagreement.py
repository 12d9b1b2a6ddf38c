"""Where a map and the Dynamic World baseline of its year disagree: a layer and a table in hectares."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from steps.areas import pixel_areas
from steps.cog import RasterSpec, cog_writer
from steps.layers import read_window
from steps.legend import DYNAMIC_WORLD
from steps.model.card import NODATA_CLASS, ClassDef
from steps.model.job import RasterRef
from steps.palette import AGREES, DISAGREES

_STRIP_ROWS = 1024
_WORDS: dict[str, tuple[str, ...]] = {
    "water": ("water", "river", "lake", "dam", "sea"),
    "flooded vegetation": ("flooded", "wetland", "marsh", "swamp", "mangrove", "vlei"),
    "trees": ("tree", "forest", "wood", "plantation", "orchard"),
    "shrub and scrub": ("shrub", "scrub", "bush", "savanna", "heath"),
    "grass": ("grass", "pasture", "meadow", "rangeland", "lawn"),
    "built": ("built", "urban", "town", "settlement", "road", "building"),
    "bare": ("bare", "soil", "sand", "rock", "fallow"),
    "snow and ice": ("snow", "ice", "glacier"),
    "crops": (
        "crop", "maize", "wheat", "soya", "soy", "tobacco", "barley", "potato", "sorghum", "millet", "cotton", "sugar",
        "rice", "bean", "sunflower", "rape", "beet", "oat", "rye", "cereal", "vegetable", "groundnut", "farm", "field",
    ),
}  # fmt: skip
"""Words of a class name that say which Dynamic World class it is; the first that fits counts."""


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


def counterpart(name: str) -> int | None:
    """The Dynamic World code that a class name means; None where no word of it is known."""
    words = name.lower()
    names = [entry.name for entry in DYNAMIC_WORLD]
    if words in names:
        return names.index(words)
    found = (dw for dw, hints in _WORDS.items() if any(hint in words for hint in hints))
    first = next(found, None)
    return None if first is None else names.index(first)


def disagreement(source: Path, baseline: RasterRef, classes: Sequence[ClassDef], target: Path) -> Disagreement:
    """Write the layer (0 agrees, 1 disagrees, 255 not comparable) as a COG; the table. Memory: some rows of the map."""
    comparable = tuple(counterpart(entry.name) for entry in classes)
    expected = np.full(256, NODATA_CLASS, np.uint8)
    position = np.full(256, len(classes), np.int64)
    for n, (entry, dw) in enumerate(zip(classes, comparable, strict=True)):
        expected[entry.code] = NODATA_CLASS if dw is None else dw
        position[entry.code] = n
    hectares = np.zeros((len(classes) + 1, len(DYNAMIC_WORLD)))
    with rasterio.open(source) as raster:
        epsg = raster.crs.to_epsg()
        place = (epsg, tuple(raster.transform)[:6], raster.width, raster.height)
        spec = RasterSpec(epsg=place[0], transform=place[1], width=place[2], height=place[3], overviews="mode")
        with cog_writer(target, spec) as writer:
            for top in range(0, raster.height, _STRIP_ROWS):
                height = min(_STRIP_ROWS, raster.height - top)
                codes = raster.read(1, window=Window(0, top, raster.width, height))
                a, b, c, d, e, f = spec.transform
                transform = (a, b, c, d, e, f + e * top)
                theirs = _baseline(baseline, epsg, transform, codes.shape)
                writer.append(_layer(codes, theirs, expected))
                known = (codes != NODATA_CLASS) & (theirs != NODATA_CLASS)
                pairs = position[codes[known]] * len(DYNAMIC_WORLD) + theirs[known]
                areas = pixel_areas(epsg, transform, codes.shape)[known] / 10_000
                hectares += np.bincount(pairs, areas, hectares.size).reshape(hectares.shape)
    return Disagreement(tuple(classes), hectares[:-1], comparable)


def _baseline(
    ref: RasterRef, epsg: int, transform: tuple[float, float, float, float, float, float], shape: tuple[int, int]
) -> np.ndarray:
    found = read_window(ref, epsg, transform, shape)[0]
    codes = np.where(np.ma.getmaskarray(found), NODATA_CLASS, found.data).astype(np.uint8)
    return np.where(codes < len(DYNAMIC_WORLD), codes, NODATA_CLASS)


def _layer(codes: np.ndarray, theirs: np.ndarray, expected: np.ndarray) -> np.ndarray:
    ours = expected[codes]
    compared = (ours != NODATA_CLASS) & (theirs != NODATA_CLASS)
    return np.where(compared, np.where(ours == theirs, AGREES, DISAGREES), NODATA_CLASS).astype(np.uint8)
