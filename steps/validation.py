"""A reference sample of a finished map: drawn from it at random by class, and read back once it is labelled.

Whoever labels must not know what the map says: the file for them has points in a random order and nothing else. What
the map says, and the strata as they were when the sample was drawn, is in the design beside it. The map is read window
by window, once to count and once to find the drawn pixels.
"""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from steps.areas import ClassAreas, pixel_areas, shifted
from steps.errors import DataError, StoreError, UsageError
from steps.estimators import LEAST, Stratum, allocate, sample_size
from steps.model.card import NODATA_CLASS, ClassDef
from steps.sample_files import SUFFIXES, Answer, Place, read_answers, write_places

DEFAULT_USERS = 0.8
"""Expected user's accuracy of a class that nothing is known of."""
_BLOCK_PX = 1024
"""Pixels per side of what is read at once. The same seed draws other pixels when it changes."""
_CACHE_MB = 64
"""Of decoded blocks; GDAL's own default is a share of the machine's memory, and holds many a map whole."""
_METRES_PER_DEGREE = 111_320.0
_SHOWN = 10
"""Most ids that a message names."""


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One drawn pixel."""

    id: int
    """From 1, in random order, so that it says nothing of the class."""
    code: int
    """What the map says."""
    lon: float
    lat: float
    x: float
    """Of the pixel's centre, in the map's CRS."""
    y: float


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How a sample is asked for."""

    standard_error: float = 0.01
    """Of overall accuracy."""
    users: dict[int, float] = {}
    """Expected user's accuracy by class code; DEFAULT_USERS where nothing is said."""
    minimum: int = 50
    """Units per stratum."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.standard_error < 0.5:
            raise UsageError(f"standard error {self.standard_error:g} is no target", "give a share as 0.01")
        if self.minimum < LEAST:
            raise UsageError(f"minimum {self.minimum} is too small", f"a stratum needs {LEAST} units for a variance")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed} is negative", "give 0 or more")


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """The file beside a sample: what is needed to estimate from it. Whoever labels should not look."""

    version: int = 1
    item: str
    """Id of the map."""
    map_sha256: str
    epsg: int
    resolution: float
    """Metres."""
    wish: Wish
    strata: tuple[Stratum, ...]
    """Of all classes of the legend, also those that are not on the map."""
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A sample that came back."""

    counts: np.ndarray
    """int64 (map, reference): units, in the order of the design's strata."""
    unlabelled: tuple[int, ...]
    """Ids of units without a label, rising."""


# -- drawing -------------------------------------------------------------------------------------------------------


def draw_sample(path: Path, classes: Sequence[ClassDef], wish: Wish, *, item: str, map_sha256: str) -> Design:
    """Draw a stratified random sample of a class map's pixels, without replacement.

    Strata are the classes, weighted by true area. Raises DataError for what is no class map of these classes.
    """
    try:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB), rasterio.open(path) as source:
            strata = _strata(source, classes, path)
            places = _find(source, _ranks(strata, wish))
            return Design(
                item=item,
                map_sha256=map_sha256,
                epsg=source.crs.to_epsg(),
                resolution=abs(source.transform.a),
                wish=wish,
                strata=strata,
                units=tuple(_units(source, places, wish.seed)),
            )
    except RasterioError as error:
        raise DataError(f"{path} cannot be read: {error}", "publish the map again") from error


def _strata(source: DatasetReader, classes: Sequence[ClassDef], path: Path) -> tuple[Stratum, ...]:
    """Pixels and areas by class; the first pass."""
    found = ClassAreas()
    for window, codes in _windows(source):
        if (codes != NODATA_CLASS).any():
            transform = shifted(tuple(source.transform)[:6], window.row_off, window.col_off)
            found.add(codes, pixel_areas(source.crs.to_epsg(), transform, codes.shape))
    known, hectares = {one.code for one in classes}, found.hectares()
    if not hectares or not set(hectares) <= known:
        what = f"has pixels of unknown classes {sorted(set(hectares) - known)}" if hectares else "has no mapped pixel"
        raise DataError(f"{path} {what}", "give the item.json of the map as published")
    return tuple(
        Stratum(code=one.code, name=one.name, pixels=int(found.pixels[one.code]), hectares=hectares.get(one.code, 0.0))
        for one in classes
    )


def _windows(source: DatasetReader) -> Iterator[tuple[Window, np.ndarray]]:
    """Windows with their codes, uint8 (y, x)."""
    for top in range(0, source.height, _BLOCK_PX):
        for left in range(0, source.width, _BLOCK_PX):
            window = Window(left, top, min(_BLOCK_PX, source.width - left), min(_BLOCK_PX, source.height - top))
            yield window, source.read(1, window=window)


def _ranks(strata: Sequence[Stratum], wish: Wish) -> dict[int, np.ndarray]:
    """By class code: which of its pixels are drawn, by their number in the order of reading, rising."""
    mapped = [one for one in strata if one.pixels]
    users = {one.code: wish.users.get(one.code, DEFAULT_USERS) for one in mapped}
    units = allocate(sample_size(mapped, users, wish.standard_error), mapped, wish.minimum)
    return {
        one.code: np.sort(np.random.default_rng([wish.seed, one.code]).choice(one.pixels, count, replace=False))
        for one, count in zip(mapped, units, strict=True)
    }


def _find(source: DatasetReader, ranks: Mapping[int, np.ndarray]) -> np.ndarray:
    """int64 (units, 3): class code, row and column of the drawn pixels; the second pass."""
    seen, places = dict.fromkeys(ranks, 0), []
    for window, codes in _windows(source):
        counts = np.bincount(codes.ravel(), minlength=256)
        for code in (one for one in ranks if counts[one]):
            first, last = np.searchsorted(ranks[code], (seen[code], seen[code] + counts[code]))
            if last > first:
                flat = np.flatnonzero(codes == code)[ranks[code][first:last] - seen[code]]
                row, col = np.divmod(flat, codes.shape[1])
                places.append(np.stack([np.full_like(row, code), row + window.row_off, col + window.col_off], axis=1))
            seen[code] += int(counts[code])
    return np.concatenate(places)


def _units(source: DatasetReader, places: np.ndarray, seed: int) -> Iterator[Unit]:
    shuffled = np.random.default_rng([seed, NODATA_CLASS]).permutation(places)
    (a, b, c, d, e, f), col, row = tuple(source.transform)[:6], shuffled[:, 2] + 0.5, shuffled[:, 1] + 0.5
    x, y = a * col + b * row + c, d * col + e * row + f
    lon, lat = Transformer.from_crs(source.crs.to_epsg(), 4326, always_xy=True).transform(x, y)
    for index, code in enumerate(shuffled[:, 0]):
        yield Unit(
            id=index + 1,
            code=int(code),
            lon=round(float(lon[index]), 8),
            lat=round(float(lat[index]), 8),
            x=float(x[index]),
            y=float(y[index]),
        )


# -- files ---------------------------------------------------------------------------------------------------------


def design_path(sample: Path) -> Path:
    """Where the design of a sample lies."""
    return sample.with_name(f"{sample.name}.design.json")


def check_sample_path(path: Path) -> None:
    """Refuse, before any work, what cannot be written and what is there: labels are days of work. UsageError."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} has no suffix of a sample", f"give one of {', '.join(SUFFIXES)}")
    for one in (path, design_path(path)):
        if one.exists():
            raise UsageError(f"{one} exists, and may hold labels", "give another name, or remove it")


def write_sample(path: Path, design: Design) -> None:
    """The points to label as GeoPackage, GeoJSON or CSV, by the suffix, and the design beside them."""
    check_sample_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        design_path(path).write_bytes(msgspec.json.format(msgspec.json.encode(design)))
        write_places(path, [Place(one.id, one.lon, one.lat) for one in design.units])
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}", "check space and permissions") from error


def read_design(path: Path) -> Design:
    """The design of a sample. Raises UsageError when it is not there, DataError when it is no design."""
    try:
        design = msgspec.json.decode(path.read_bytes(), type=Design)
    except OSError as error:
        raise UsageError(f"design {path} cannot be read: {error.strerror}", "give it with --design") from error
    except (msgspec.MsgspecError, UsageError) as error:
        raise DataError(f"{path} is no design of a sample: {error}", "give the file that was made with it") from error
    codes = {one.code: one.pixels for one in design.strata}
    drawn = Counter(one.code for one in design.units)
    if any(count > codes.get(code, 0) for code, count in drawn.items()) or not drawn:
        raise DataError(f"{path} has units that its strata do not have", "give the file that was made with the sample")
    return design


def read_users(path: Path, classes: Sequence[ClassDef]) -> dict[int, float]:
    """Expected user's accuracy by class code, of a CSV (class,accuracy), a JSON object or a former assessment.json.

    Classes are told by name or code. Raises UsageError when it cannot be read, DataError for what it holds.
    """
    try:
        said = _users_said(path.read_text(encoding="utf-8-sig"))
        numbers = [(name, float(value)) for name, value in said if value is not None]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"user's accuracies {path} cannot be read: {error!r}"
        raise UsageError(what, "give lines of class,accuracy, or a JSON object of them") from error
    codes = _codes_by_label(classes)
    bad = [name for name, value in numbers if _folded(name) not in codes or not 0 <= value <= 1]
    if bad:
        raise DataError(f"{path} has no use for: {_listed(bad)}", f"give shares of {_names(classes)}")
    return {codes[_folded(name)]: value for name, value in numbers}


def _users_said(text: str) -> list[tuple[str, Any]]:
    if text.lstrip()[:1] != "{":
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
        return [(name, value) for name, value in rows if value.strip().casefold() != "accuracy"]
    said = json.loads(text)
    if isinstance(said.get("accuracy"), dict):
        return [(one["stratum"]["code"], one["users"]["value"]) for one in said["accuracy"]["classes"]]
    return list(said.items())


# -- reading back --------------------------------------------------------------------------------------------------


def read_labels(path: Path, column: str, design: Design) -> Labelled:
    """Count the labels of a sample, in any order. Points may lack a label; nothing else may be wrong.

    Labels are class names or codes. Raises UsageError when there is no such file or column; DataError, naming ids,
    for ids that were never drawn or come twice, points that were moved, and labels that are no class.
    """
    answers, units = read_answers(path, column), {one.id: one for one in design.units}
    ids = [one.id for one in answers]
    _refuse(f"ids of {path} were never drawn", [one for one in ids if one not in units],
            "give the sample with its own design")  # fmt: skip
    _refuse(f"ids of {path} come twice", [one for one, often in Counter(ids).items() if often > 1],
            "keep one point of each")  # fmt: skip
    pairs = [(units[one.id], one) for one in answers if one.id is not None]
    _refuse(f"points of {path} do not lie where they were drawn",
            [unit.id for unit, answer in pairs if _is_moved(answer, unit, design.resolution)],
            "put them back, or give the sample with its own design")  # fmt: skip
    return _counted(path, [(unit, answer.label) for unit, answer in pairs if answer.label], design)


def _counted(path: Path, pairs: Sequence[tuple[Unit, str]], design: Design) -> Labelled:
    codes, order = _codes_by_label(design.strata), {one.code: index for index, one in enumerate(design.strata)}
    _refuse(f"{path} has labels that are no class of the map",
            [f"{unit.id} ({label})" for unit, label in pairs if _folded(label) not in codes],
            f"label with one of {_names(design.strata)}")  # fmt: skip
    if not pairs:
        raise DataError(f"{path} has no labelled point", "fill in the reference column, or name another")
    counts = np.zeros((len(order), len(order)), np.int64)
    for unit, label in pairs:
        counts[order[unit.code], order[codes[_folded(label)]]] += 1
    labelled = {unit.id for unit, _ in pairs}
    return Labelled(counts, tuple(sorted(one.id for one in design.units if one.id not in labelled)))


def _is_moved(answer: Answer, unit: Unit, resolution: float) -> bool:
    """Whether a point lies more than a pixel from where it was drawn."""
    if answer.place is None:
        return False
    east = ((answer.place[0] - unit.lon + 180) % 360 - 180) * math.cos(math.radians(unit.lat))
    return math.hypot(east, answer.place[1] - unit.lat) * _METRES_PER_DEGREE > resolution


def _codes_by_label(classes: Sequence[ClassDef] | Sequence[Stratum]) -> dict[str, int]:
    """Class code by folded name and by code; a name goes before a code. A name of two classes means neither."""
    names = Counter(_folded(one.name) for one in classes)
    by_code = {str(one.code): one.code for one in classes}
    return by_code | {_folded(one.name): one.code for one in classes if names[_folded(one.name)] == 1}


def _folded(name: object) -> str:
    return " ".join(str(name).split()).casefold()


def _names(classes: Sequence[ClassDef] | Sequence[Stratum]) -> str:
    return ", ".join(f"{one.name} ({one.code})" for one in classes)


def _refuse(what: str, bad: Sequence[object], remedy: str) -> None:
    if bad:
        raise DataError(f"{what}: {_listed(bad)}", remedy)


def _listed(bad: Iterable[object]) -> str:
    names = [str(one) for one in bad]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
