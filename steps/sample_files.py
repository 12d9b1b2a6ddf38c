"""Points to label as files: GeoPackage, GeoJSON or CSV, and back, whatever a program did to them on the way.

They hold what a labeller may see: id, lon, lat, and an empty column `reference`.
"""

import contextlib
import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steps.errors import DataError, UsageError
from steps.vectors import read_features, write_points

REFERENCE = "reference"
"""The column to fill in."""
_LAYER = "sample"
_PLACE = "\0place"
"""Key of a record's lon, lat; no column has this name."""


@dataclass(frozen=True, slots=True)
class Place:
    """A point to label."""

    id: int
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A point as it came back."""

    id: int | None
    """None for what is no number."""
    label: str
    """Empty where there is none."""
    place: tuple[float, float] | None
    """lon, lat; None where the file has lost them."""


def write_places(path: Path, places: Sequence[Place]) -> None:
    """Write points by the suffix of the path, one of SUFFIXES."""
    _WRITERS[path.suffix.lower()](path, places)


def _write_gpkg(path: Path, places: Sequence[Place]) -> None:
    lonlat = np.array([(one.lon, one.lat) for one in places])
    columns = {"id": [one.id for one in places], "lon": lonlat[:, 0].tolist(), "lat": lonlat[:, 1].tolist()}
    write_points({**columns, REFERENCE: [""] * len(places)}, lonlat, path, layer=_LAYER)


def _write_geojson(path: Path, places: Sequence[Place]) -> None:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [one.lon, one.lat]},
            "properties": {"id": one.id, "lon": one.lon, "lat": one.lat, REFERENCE: ""},
        }
        for one in places
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}, indent=0), encoding="utf-8")


def _write_csv(path: Path, places: Sequence[Place]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "lon", "lat", REFERENCE))
    writer.writerows((one.id, one.lon, one.lat, "") for one in places)
    path.write_text(text.getvalue(), encoding="utf-8")


_WRITERS = {".gpkg": _write_gpkg, ".geojson": _write_geojson, ".csv": _write_csv}
SUFFIXES = tuple(_WRITERS)


def read_answers(path: Path, column: str) -> list[Answer]:
    """The points of a file, in its order, with the labels of a column; CSV, or any vector file.

    Raises UsageError for a file or column that is not there, DataError for what is no such file.
    """
    records = _csv_records(path) if path.suffix.lower() == ".csv" else _vector_records(path)
    missing = [name for name in ("id", column) if not records or name not in records[0]]
    if missing:
        there = ", ".join(name for name in records[0] if name != _PLACE) if records else "no points at all"
        raise UsageError(f"{path} has no column {' and '.join(missing)}", f"there are: {there}")
    return [Answer(_identity(one["id"]), _spelt(one[column]), one[_PLACE]) for one in records]


def _csv_records(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV, separated by commas or, as some spreadsheets write it, semicolons."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"sample {path} cannot be read: {error.strerror}", "check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"sample {path} is not text in UTF-8", "save it as UTF-8") from error
    head = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",")
    return [{**row, _PLACE: _stated_place(row)} for row in rows if any(row.values())]


def _stated_place(row: Mapping[str, Any]) -> tuple[float, float] | None:
    try:
        return float(row["lon"]), float(row["lat"])
    except (KeyError, TypeError, ValueError):
        return None


def _vector_records(path: Path) -> list[dict[str, Any]]:
    frame = _features(path)
    middle = frame.geometry.representative_point()
    names = [name for name in frame.columns if name != frame.geometry.name]
    values = zip(*(frame[name].tolist() for name in names), strict=True)
    places = zip(middle.x.tolist(), middle.y.tolist(), strict=True)
    return [{**dict(zip(names, row, strict=True)), _PLACE: place} for row, place in zip(values, places, strict=True)]


def _features(path: Path) -> Any:
    """A GeoDataFrame: of our own layer where there is one, as QGIS puts its styles beside it; else of the only one."""
    if path.suffix.lower() == ".gpkg":
        with contextlib.suppress(UsageError):
            return read_features(str(path), layer=_LAYER, epsg=4326)
    return read_features(str(path), epsg=4326)


def _identity(value: Any) -> int | None:
    """An id as a number, however a program has written it: 17, 17.0, "17"."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else None


def _spelt(value: Any) -> str:
    """A label as text; codes may have become floats where some are missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
