"""Dynamic World baselines: exported GeoTIFFs become one COG per year, checked on the way."""

import datetime as dt
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import CRSError, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from steps import credit, naming
from steps.checksum import file_sha256
from steps.cog import RasterSpec, cog_writer
from steps.dynamic_world import Baseline, note_baseline
from steps.errors import DataError, UsageError
from steps.legend import DYNAMIC_WORLD
from steps.model.card import NODATA_CLASS
from steps.store import Store

FIRST_YEAR = 2015
PARTIAL_FROM = {2015: "2015-06-27"}
"""Years that do not begin in January: the first images of Sentinel-2 are of June 2015."""
COARSEST_M = 100
"""Dynamic World has 10 m; an export much coarser than that was made by mistake."""
_METRES_PER_DEGREE = 111_320
_STRIP_ROWS = 512
_YEAR = re.compile(r"(?<!\d)(20\d\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class _Export:
    """One exported file."""

    path: str
    epsg: int
    resolution: float
    left: float
    top: float
    width: int
    height: int


def import_baselines(files: Sequence[str], store: Store, *, year: int | None = None) -> dict[int, str]:
    """Object keys by year, of `year` or of the years in the files' names.

    Nothing is stored before every pixel of every file is checked. Files of a year are put together; where they overlap,
    the first counts. Raises UsageError or DataError naming the file and what is wrong with it.
    """
    years = _by_year(files, year)
    keys = {one: naming.baseline_key(one) for one in years}
    with tempfile.TemporaryDirectory(prefix="geocrop-baselines-") as scratch:
        for one, exports in years.items():
            _write(Path(scratch) / f"{one}.tif", one, exports)
        for one, key in keys.items():
            store.put_file(key, Path(scratch) / f"{one}.tif")
            note_baseline(store, _noted(one, Path(scratch) / f"{one}.tif"))
    return keys


def _noted(year: int, path: Path) -> Baseline:
    with rasterio.open(path) as source:
        bounds = transform_bounds(source.crs, 4326, *source.bounds)
    return Baseline(
        year=year,
        partial_from=PARTIAL_FROM.get(year, ""),
        bounds=bounds,
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
    )


def _by_year(files: Sequence[str], year: int | None) -> Mapping[int, list[_Export]]:
    years: dict[int, list[_Export]] = {}
    for file in files:
        one = _checked_year(year or _year_of(file))
        years.setdefault(one, []).append(_open(file))
        first, last = years[one][0], years[one][-1]
        if (first.epsg, first.resolution) != (last.epsg, last.resolution):
            raise UsageError(
                f"{file} has EPSG:{last.epsg} at {last.resolution:g}, {first.path} EPSG:{first.epsg} at "
                f"{first.resolution:g}",
                f"export all files of {one} with one CRS and scale",
            )
    return years


def _year_of(file: str) -> int:
    found = set(_YEAR.findall(Path(file).stem))
    if len(found) != 1:
        raise UsageError(f"the name of {file} does not tell its year", "give it with --year, one year at a time")
    return int(found.pop())


def _checked_year(year: int) -> int:
    this_year = dt.datetime.now(dt.UTC).year
    if not FIRST_YEAR <= year <= this_year:
        raise UsageError(f"Dynamic World has no year {year}", f"give one from {FIRST_YEAR} to {this_year}")
    return year


def _open(file: str) -> _Export:
    try:
        with rasterio.open(file) as source:
            _check_header(source, file)
            left, top = source.transform.c, source.transform.f
            return _Export(file, _epsg(source, file), source.transform.a, left, top, source.width, source.height)
    except RasterioError as error:
        raise DataError(f"{file} cannot be read", f"is it a GeoTIFF? ({error})") from error


def _check_header(source: DatasetReader, file: str) -> None:
    if source.count != 1:
        raise DataError(f"{file} has {source.count} bands", "export the band `label` alone")
    if not np.isrealobj(np.empty(0, source.dtypes[0])):
        raise DataError(f"{file} has {source.dtypes[0]} pixels", "export labels as bytes")
    across, skew, _, tilt, down, _ = tuple(source.transform)[:6]
    if skew or tilt or across <= 0 or abs(across + down) > 1e-6 * across:
        raise DataError(f"{file} has pixels of {across:g} x {down:g}", "export it north up, with square pixels")
    if source.nodata is not None and 0 <= source.nodata < len(DYNAMIC_WORLD):
        name = DYNAMIC_WORLD[int(source.nodata)].name
        raise DataError(
            f"{file} has nodata {source.nodata:g}, which is the label of {name}",
            f"export with `unmask({NODATA_CLASS})` and noData {NODATA_CLASS}",
        )


def _epsg(source: DatasetReader, file: str) -> int:
    try:
        epsg = source.crs.to_epsg() if source.crs else None
    except CRSError:
        epsg = None
    if epsg is None:
        raise DataError(f"{file} has no CRS with an EPSG code", "export it with one, as crs='EPSG:32736'")
    metres = source.transform.a * (_METRES_PER_DEGREE if source.crs.is_geographic else 1)
    if metres > COARSEST_M:
        raise DataError(f"{file} has pixels of about {metres:.0f} m", "export with scale 10")
    return int(epsg)


def _write(path: Path, year: int, exports: Sequence[_Export]) -> None:
    """The COG of a year."""
    spec = _spec(year, exports)
    with cog_writer(path, spec) as writer:
        for top in range(0, spec.height, _STRIP_ROWS):
            strip = np.full((min(_STRIP_ROWS, spec.height - top), spec.width), NODATA_CLASS, np.uint8)
            for window, labels in _read(exports, spec, top, len(strip)):
                part = strip[window]
                part[part == NODATA_CLASS] = labels[part == NODATA_CLASS]
            writer.append(strip)


def _spec(year: int, exports: Sequence[_Export]) -> RasterSpec:
    """The smallest raster that holds all files, on the grid of the north-western ones."""
    res, left, top = exports[0].resolution, min(one.left for one in exports), max(one.top for one in exports)
    return RasterSpec(
        epsg=exports[0].epsg,
        transform=(res, 0.0, left, 0.0, -res, top),
        width=max(round((one.left - left) / res) + one.width for one in exports),
        height=max(round((top - one.top) / res) + one.height for one in exports),
        overviews="mode",
        classes=DYNAMIC_WORLD,
        tags=_tags(year),
    )


def _tags(year: int) -> dict[str, str]:
    partial = {"PARTIAL_FROM": PARTIAL_FROM[year]} if year in PARTIAL_FROM else {}
    return {"YEAR": str(year), **partial, **credit.copyright_tag(credit.DYNAMIC_WORLD)}


def _read(
    exports: Sequence[_Export], spec: RasterSpec, top: int, height: int
) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """For each file that reaches into some rows of the baseline: where in these rows, and its labels, 255 for none."""
    res, _, left, _, _, north = spec.transform
    for one in exports:
        row, col = round((north - one.top) / res), round((one.left - left) / res)
        first, last = max(row, top), min(row + one.height, top + height)
        if first < last:
            place = Affine(res, 0.0, left + col * res, 0.0, -res, north - first * res)
            labels = _read_labels(one, place, (last - first, one.width))
            yield (slice(first - top, last - top), slice(col, col + one.width)), labels


def _read_labels(export: _Export, place: Affine, shape: tuple[int, int]) -> np.ndarray:
    """uint8 (y, x): labels 0 to 8 at a place, 255 without data; raises DataError for any other value."""
    try:
        with (
            rasterio.open(export.path) as source,
            WarpedVRT(
                source,
                crs=source.crs,
                transform=place,
                width=shape[1],
                height=shape[0],
                add_alpha=source.nodata is None,
            ) as placed,
        ):
            found = placed.read(1, masked=True)
    except RasterioError as error:
        raise DataError(f"{export.path} cannot be read", f"export it again ({error})") from error
    return _checked_labels(found, export.path)


def _checked_labels(found: np.ma.MaskedArray, path: str) -> np.ndarray:
    values, known = found.data, ~np.ma.getmaskarray(found)
    known &= np.isfinite(values) & (values != NODATA_CLASS)
    wrong = known & ((values < 0) | (values >= len(DYNAMIC_WORLD)) | (values != np.floor(values)))
    if wrong.any():
        raise DataError(
            f"{path} has the value {values[wrong][0]:g}",
            f"export the band `label`: Dynamic World's labels are 0 to {len(DYNAMIC_WORLD) - 1}",
        )
    return np.where(known, values, NODATA_CLASS).astype(np.uint8)
