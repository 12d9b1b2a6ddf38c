"""Dynamic World baselines: exported GeoTIFFs become one COG per year, checked on the way."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from steps import naming
from steps.cog import RasterSpec, cog_writer
from steps.errors import DataError, UsageError
from steps.legend import DYNAMIC_WORLD
from steps.model.card import NODATA_CLASS
from steps.store import Store

YEARS = range(2015, 2026)
PARTIAL_FROM = {2015: "2015-06-27"}
"""Years that do not begin in January: Sentinel-2's first images are of June 2015."""
_STRIP_ROWS = 1024
_YEAR = re.compile(r"(?<!\d)(20[12]\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class _Export:
    """One exported file."""

    path: str
    epsg: int
    bounds: tuple[float, float, float, float]
    resolution: float


def import_baselines(files: Sequence[str], store: Store, *, year: int | None = None) -> dict[int, str]:
    """Object keys by year. Every file of a year is checked before its baseline is written.

    Raises UsageError or DataError naming the file and what is wrong with it.
    """
    keys = {}
    for one, exports in _by_year(files, year).items():
        with tempfile.TemporaryDirectory(prefix="geocrop-baseline-") as scratch:
            path = Path(scratch) / f"{one}.tif"
            _write(path, one, exports)
            keys[one] = naming.baseline_key(one)
            store.put_file(keys[one], path)
    return keys


def _by_year(files: Sequence[str], year: int | None) -> Mapping[int, list[_Export]]:
    years: dict[int, list[_Export]] = {}
    for file in files:
        years.setdefault(year or _year_of(file), []).append(_open(file))
    for one, exports in years.items():
        if one not in YEARS:
            raise UsageError(f"Dynamic World has no year {one}", f"give one of {YEARS[0]} to {YEARS[-1]}")
        if len({(export.epsg, export.resolution) for export in exports}) > 1:
            raise UsageError(f"the files of {one} differ in CRS or resolution", "export them alike")
    return years


def _year_of(file: str) -> int:
    found = set(_YEAR.findall(Path(file).stem))
    if len(found) != 1:
        raise UsageError(f"{file} does not name its year", "give it with --year, one year at a time")
    return int(found.pop())


def _open(file: str) -> _Export:
    try:
        with rasterio.open(file) as source:
            epsg = source.crs.to_epsg() if source.crs else None
            if epsg is None:
                raise DataError(f"{file} has no CRS with an EPSG code", "export it with one")
            if source.count != 1:
                raise DataError(f"{file} has {source.count} bands", "export the band `label` alone")
            if source.dtypes[0] not in {"uint8", "int8", "int16", "uint16", "int32"}:
                raise DataError(f"{file} has {source.dtypes[0]} pixels", "export labels as whole numbers")
            return _Export(file, epsg, tuple(source.bounds), abs(source.transform.a))
    except RasterioError as error:
        raise DataError(f"{file} cannot be read", f"is it a GeoTIFF? ({error})") from error


def _write(path: Path, year: int, exports: Sequence[_Export]) -> None:
    """Mosaic the files of a year; where they overlap, the first counts."""
    spec = _spec(exports)
    with cog_writer(path, spec) as writer:
        writer.target.update_tags(YEAR=str(year), PARTIAL_FROM=PARTIAL_FROM.get(year, ""))
        for top in range(0, spec.height, _STRIP_ROWS):
            height = min(_STRIP_ROWS, spec.height - top)
            strip = np.full((height, spec.width), NODATA_CLASS, np.uint8)
            for labels in _read(exports, spec, top, height):
                strip = np.where(strip == NODATA_CLASS, labels, strip)
            writer.append(strip)


def _spec(exports: Sequence[_Export]) -> RasterSpec:
    left, top = min(one.bounds[0] for one in exports), max(one.bounds[3] for one in exports)
    right, bottom = max(one.bounds[2] for one in exports), min(one.bounds[1] for one in exports)
    res = exports[0].resolution
    return RasterSpec(
        epsg=exports[0].epsg,
        transform=(res, 0.0, left, 0.0, -res, top),
        width=round((right - left) / res),
        height=round((top - bottom) / res),
        overviews="mode",
        classes=DYNAMIC_WORLD,
    )


def _read(exports: Sequence[_Export], spec: RasterSpec, top: int, height: int) -> Iterator[np.ndarray]:
    """uint8 (y, x) of each file on some rows of the baseline, 255 without data."""
    for export in exports:
        with (
            rasterio.open(export.path) as source,
            WarpedVRT(
                source,
                crs=f"EPSG:{spec.epsg}",
                transform=Affine(*spec.transform),
                width=spec.width,
                height=spec.height,
                nodata=NODATA_CLASS if source.nodata is None else source.nodata,
                add_alpha=source.nodata is None,
            ) as placed,
        ):
            found = placed.read(1, window=Window(0, top, spec.width, height), masked=True)
        yield _checked(found, export.path)


def _checked(found: np.ma.MaskedArray, path: str) -> np.ndarray:
    """Labels 0 to 8, 255 without data; raises DataError for any other value."""
    values = np.ma.filled(found.astype(np.int32), NODATA_CLASS)
    wrong = (values != NODATA_CLASS) & ((values < 0) | (values >= len(DYNAMIC_WORLD)))
    if wrong.any():
        raise DataError(
            f"{path} has the value {values[wrong][0]}", f"Dynamic World labels are 0 to {len(DYNAMIC_WORLD) - 1}"
        )
    return values.astype(np.uint8)
