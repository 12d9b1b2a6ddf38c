"""Ready-made feature tables: Parquet, CSV, or columns parted by blanks under a header that begins with #."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import Transformer
from pyproj.exceptions import CRSError

from steps.contrasts import with_contrasts
from steps.errors import LabelError
from steps.legend import Legend, make_legend
from steps.model.card import ClassDef
from steps.model.spec import FeatureSpec, Layer, standard_spec
from steps.samples import check_counts, some_of
from steps.table import SampleTable, sample_ids
from steps.vectors import read_features

if TYPE_CHECKING:
    import pandas as pd

_PLACES = (("lon", "lat"), ("longitude", "latitude"), ("x", "y"), ("easting", "northing"))
_GROUPS = ("group", "parcel", "polygon", "field", "field_id", "parcel_id")
_TABLE = "table"
_NOT_FEATURES = {"fid", "id", "index", "geometry", "uid"}
_NAMED = 5
MAX_BYTES, MAX_VALUES = 300_000_000, 200_000_000
"""Of a table, which is read whole: bytes of its file, numbers in it."""


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """A table that learners can be trained on, and what its columns are."""

    samples: SampleTable
    classes: tuple[ClassDef, ...]
    spec: FeatureSpec
    """The standard spec when the columns are its features; else one that no map can be made with."""
    notes: tuple[str, ...]
    """Sentences about what the table lacks."""


def read_table(path: str, column: str, legend: Legend | None, epsg: int | None) -> FeatureTable:
    """A feature table. x and y are in `epsg`, which lon and lat do not need.

    Raises LabelError naming columns or rows that cannot be used.
    """
    frame = _read(path)
    label = _label_column(frame, column, path)
    place = _place_columns(frame)
    group = next((str(name) for name in frame.columns if str(name).lower() in _GROUPS), None)
    features, unused = _features(frame, {label, group, *(place or ())}, path)
    used = legend or make_legend(frame[label])
    codes = _codes(frame[label], used, path)
    names = {entry.code: entry.name for entry in used.classes}
    check_counts(codes, names, lambda chosen: [f"row {row + 1}" for row in np.flatnonzero(chosen)])
    spec, names_of, values = _as_spec(tuple(str(name) for name in features.columns), features.to_numpy(np.float32))
    places = _places(frame, place, epsg, path)
    groups = np.arange(len(frame)) if group is None else np.unique(frame[group].astype(str), return_inverse=True)[1]
    samples = SampleTable(
        names=names_of,
        features=values,
        codes=codes,
        groups=groups.astype(np.int64),
        places=places,
        ids=sample_ids(*values.T),
    )
    notes = (*_notes(samples, spec, grouped=group is not None), *_unused(unused), *_gaps(features))
    return FeatureTable(samples, used.classes, spec, notes)


def _unused(names: Sequence[str]) -> Iterable[str]:
    if names:
        yield f"no features, since they hold no numbers: {some_of(names)}"


def _gaps(features: "pd.DataFrame") -> Iterable[str]:
    """A sentence about missing values: the columns with most of them, and their rows."""
    gaps = [(str(name), np.flatnonzero(features[name].isna())) for name in features.columns]
    gaps = sorted((gap for gap in gaps if gap[1].size), key=lambda gap: -gap[1].size)
    if gaps:
        named = some_of([f"{name} ({_rows(rows)})" for name, rows in gaps])
        yield f"values are missing, which is learned from as it is: {named}. Fill them if a map will have them"


def _notes(samples: SampleTable, spec: FeatureSpec, *, grouped: bool) -> Iterable[str]:
    if not spec.mappable:
        yield f"no map can be made with it: its features are not those of a feature spec{_misfit(samples.names)}"
    if not samples.placed:
        yield "no spatial score: the table has no coordinates (lon and lat, or x and y with --crs)"
    elif not grouped:
        yield "every row is a label of its own: name parcels in a column `parcel` when several rows are of one"


def _misfit(names: Sequence[str]) -> str:
    """How the features differ from those that maps are made of, where most of them are such."""
    given = {name.removeprefix(f"{_TABLE}.") for name in names if ":" not in name}
    standard = {*standard_spec({name.split(".")[0] for name in given} | {"red", "nir"}).feature_names}
    if 2 * len(given & standard) < len(given):
        return ""
    unknown, missing = sorted(given - standard), sorted(standard - given)
    parts = [f"unknown are {', '.join(unknown[:_NAMED])}"] if unknown else []
    parts += [f"missing are {', '.join(missing[:_NAMED])}"] if missing else []
    return f" ({'; '.join(parts)})"


def _read(path: str) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415

    readers: dict[str, Callable[[str], Any]] = {
        ".parquet": _read_parquet,
        ".csv": pd.read_csv,
        ".txt": _read_blanks,
        ".tsv": _read_tabs,
    }
    suffix = Path(path).suffix.lower()
    if suffix not in readers:
        raise LabelError(f"{path} is no table that can be read", f"give one of {', '.join(sorted(readers))}")
    try:
        _check_size(path)
        frame: pd.DataFrame = readers[suffix](path)
    except OSError as error:
        raise LabelError(f"{path} cannot be read: {error.strerror or error}", "check the path") from None
    except (ValueError, KeyError) as error:
        raise LabelError(f"{path} is damaged: {str(error).splitlines()[0][:200]}", "write it again") from None
    if frame.empty:
        raise LabelError(f"{path} has no rows", "give a table of samples")
    return frame.reset_index(drop=True)


def _check_size(path: str) -> None:
    """Raises LabelError for a file that would not fit into memory, before it is read."""
    size = Path(path).stat().st_size
    if size > MAX_BYTES:
        raise LabelError(f"{path} has {size / 1e6:,.0f} MB", f"give at most {MAX_BYTES // 1_000_000} MB: thin it out")


def _read_parquet(path: str) -> "pd.DataFrame":
    """A table of points has its coordinates as lon and lat, whatever its CRS."""
    import pandas as pd  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    facts = pq.read_metadata(path)
    if facts.num_rows * facts.num_columns > MAX_VALUES:
        raise LabelError(f"{path} holds {facts.num_rows:,} rows of {facts.num_columns} columns", "thin it out")
    if b"geo" not in (facts.metadata or {}):
        return pd.read_parquet(path)
    placed = read_features(path, epsg=4326)
    points = placed.geometry.representative_point()
    return pd.DataFrame(placed.drop(columns=placed.geometry.name)).assign(lon=points.x, lat=points.y)


def _read_blanks(path: str) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415

    with Path(path).open(encoding="utf-8") as file:
        names = file.readline().lstrip("#").split()
        return pd.read_csv(file, sep=r"\s+", names=names, header=None)


def _read_tabs(path: str) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415

    return pd.read_csv(path, sep="\t")


def _label_column(frame: "pd.DataFrame", column: str, path: str) -> str:
    for name in frame.columns:
        if str(name) == column or str(name).lower() == column.lower():
            if (missing := np.flatnonzero(frame[name].isna())).size:
                raise LabelError(f"{_rows(missing)} of {path} has no {name}", "fill it, or leave the rows out")
            return str(name)
    names = ", ".join(str(name) for name in frame.columns[:40])
    raise LabelError(f"{path} has no column {column}", f"it has {names}: name one with --label-column")


def _place_columns(frame: "pd.DataFrame") -> tuple[str, str] | None:
    names = {str(name).lower(): str(name) for name in frame.columns}
    return next(((names[x], names[y]) for x, y in _PLACES if x in names and y in names), None)


def _features(frame: "pd.DataFrame", others: set[str | None], path: str) -> tuple["pd.DataFrame", list[str]]:
    """The columns of numbers, and the names of those that hold none.

    Raises LabelError when there are no numbers, with rows that hold nothing or infinity, or text among numbers.
    """
    asked = [name for name in frame.columns if str(name) not in others and str(name).lower() not in _NOT_FEATURES]
    read = {name: _numbers(frame[name], str(name), path) for name in asked}
    kept = {name: column for name, column in read.items() if column is not None}
    if not kept:
        raise LabelError(f"{path} has no column of numbers beside the label", "give features, a column each")
    features = frame[[]].assign(**{str(name): column for name, column in kept.items()})
    _check_values(features, path)
    return features, [str(name) for name in asked if name not in kept]


def _numbers(column: "pd.Series[Any]", name: str, path: str) -> "pd.Series[Any] | None":
    """A column as numbers; None when most of it is none. Raises LabelError with the rows of text among numbers."""
    import pandas as pd  # noqa: PLC0415

    if column.dtype.kind in "iufb":
        return column
    if column.dtype.kind != "O":
        return None
    numbers = pd.to_numeric(column.astype(object), errors="coerce")
    text = np.flatnonzero(column.notna() & numbers.isna())
    if not numbers.notna().any() or 2 * text.size > column.notna().sum():
        return None
    if text.size:
        raise LabelError(
            f"{name} holds {str(column.iloc[text[0]])!r}, which is no number, in {_rows(text)} of {path}",
            "correct it, leave it empty where nothing is known, or leave the column out",
        )
    return numbers


def _check_values(features: "pd.DataFrame", path: str) -> None:
    values = features.to_numpy(np.float64)
    for name, column in zip(features.columns, values.T, strict=True):
        if (infinite := np.flatnonzero(np.isinf(column))).size:
            raise LabelError(f"{name} is infinite in {_rows(infinite)} of {path}", "correct them, or leave them empty")
    if (empty := np.flatnonzero(np.isnan(values).all(axis=1))).size:
        raise LabelError(f"{_rows(empty)} of {path} has no feature", "fill the rows, or leave them out")


def _codes(labels: "pd.Series[str]", legend: Legend, path: str) -> np.ndarray:
    found = [legend.code_of(label) for label in labels]
    if missing := [row for row, code in enumerate(found) if code is None]:
        raise LabelError(
            f"label {str(labels.iloc[missing[0]])!r} of {_rows(missing)} of {path} is not in the legend",
            "add it, or leave the rows out",
        )
    return np.array(found, np.int64)


def _rows(positions: "np.ndarray | list[int]") -> str:
    """Rows as the file counts them, the first some of many."""
    named = ", ".join(str(int(row) + 1) for row in positions[:_NAMED])
    more = f" and {len(positions) - _NAMED} more" if len(positions) > _NAMED else ""
    return f"row {named}{more}"


def _as_spec(names: tuple[str, ...], values: np.ndarray) -> tuple[FeatureSpec, tuple[str, ...], np.ndarray]:
    """The spec of some columns, their names as the learner has them, and float32 (n, feature)."""
    bands = {name.split(".")[0] for name in names if "." in name}
    standard = standard_spec(bands) if {"red", "nir"} <= bands else None
    if standard and set(standard.feature_names) == set(names):
        order = [names.index(name) for name in standard.feature_names]
        return standard, standard.feature_names, np.ascontiguousarray(values[:, order])
    columns, named = with_contrasts(values, names)
    spec = FeatureSpec(bands=(), layers=(Layer(name=_TABLE, kind="table", bands=named),))
    return spec, spec.feature_names, columns


def _places(frame: "pd.DataFrame", place: tuple[str, str] | None, epsg: int | None, path: str) -> np.ndarray:
    """float64 (n, 2): in EPSG:6933; NaN without coordinates."""
    if place is None or (place[0].lower() in {"x", "easting"} and epsg is None):
        return np.full((len(frame), 2), np.nan)
    x, y = (frame[name].to_numpy(np.float64) for name in place)
    source = 4326 if place[0].lower().startswith("lon") else epsg
    try:
        found = np.stack(Transformer.from_crs(source, 6933, always_xy=True).transform(x, y), axis=1)
    except CRSError:
        raise LabelError(f"EPSG:{source} is no CRS", "correct --crs") from None
    if (off := np.flatnonzero(~np.isfinite(found).all(axis=1))).size:
        raise LabelError(f"{_rows(off)} of {path} lies nowhere in EPSG:{source}", "correct the coordinates, or --crs")
    return found
