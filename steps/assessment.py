"""An accuracy assessment of a published map: made from a labelled sample, and put beside the map.

The item holds all of it, and is written last. What was there before is put back when something fails on the way.
"""

import contextlib
import csv
import datetime as dt
import hashlib
import io
import json
from collections.abc import Iterator, Mapping

import msgspec

from steps.assessment_report import with_section
from steps.errors import DataError, GeoCropError, UsageError
from steps.estimators import Accuracy, Assessment, Estimate, estimate
from steps.model.digest import digest
from steps.published import Published
from steps.stac import MapFile, with_assessment
from steps.store import Store
from steps.validation import Design, Labelled
from steps.versions import code_version

_FILES = {"assessment.json": "assessment", "assessment.csv": "assessment-csv"}
"""Asset keys by file."""


def assess(published: Published, design: Design, labelled: Labelled, created: dt.datetime) -> Assessment:
    """The estimates for a map; raises DataError when the sample was drawn from another one."""
    if design.map_sha256 != published.map_sha256:
        what = f"the sample was drawn from another map than {published.name}: from {design.item}"
        raise DataError(what, "give the item that it was drawn from; a map that was made anew needs a new sample")
    return Assessment(
        item=published.name,
        map_sha256=design.map_sha256,
        created=created.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        code_version=code_version(),
        design=digest(design),
        drawn=len(design.units),
        unlabelled=labelled.unlabelled,
        accuracy=estimate(design.strata, labelled.counts),
    )


def put_assessment(published: Published, assessment: Assessment) -> None:
    """Write assessment.json, assessment.csv, the report with their section, and then the item, which has all of it.

    Raises UsageError for a map on a web server.
    """
    store = published.store
    if store is None:
        raise UsageError(f"nothing can be written beside {published.href}", "give the item in its folder or on S3")
    contents = {
        "assessment.json": msgspec.json.format(msgspec.json.encode(assessment), indent=1),
        "assessment.csv": to_csv(assessment.accuracy).encode(),
    }
    names = dict(_FILES)
    if "report" in published.item["assets"]:
        key = published.beside("report")
        contents[key] = with_section(store.get_bytes(key).decode(), assessment).encode()
        names[key] = "report"
    files = [_file(names[key], key, data) for key, data in contents.items()]
    updated = dt.datetime.fromisoformat(assessment.created)
    item = with_assessment(published.item, msgspec.to_builtins(assessment), files, updated)
    _replace(store, {**contents, published.key: json.dumps(item, indent=1).encode()})


def _file(name: str, key: str, data: bytes) -> MapFile:
    return MapFile(name=name, href=f"./{key}", size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _replace(store: Store, contents: Mapping[str, bytes]) -> None:
    """Write objects in order; when one cannot be written, or we are stopped, what was there is put back."""
    former = {key: store.get_bytes(key) if store.exists(key) else None for key in contents}
    try:
        for key, data in contents.items():
            store.put_bytes(key, data)
    except BaseException:
        for key, before in former.items():
            with contextlib.suppress(GeoCropError):
                store.delete(key) if before is None else store.put_bytes(key, before)
        raise


def to_csv(accuracy: Accuracy) -> str:
    """A line per estimate, then a line per cell of the error matrix; empty is what cannot be estimated."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("measure", "code", "class", "reference_class", "units", "value", "standard_error", "low", "high"))
    writer.writerow(("overall", "", "", "", accuracy.units, *_cells(accuracy.overall)))
    writer.writerows(_class_rows(accuracy))
    writer.writerows(_matrix_rows(accuracy))
    return text.getvalue()


def _class_rows(accuracy: Accuracy) -> Iterator[tuple[object, ...]]:
    for one in accuracy.classes:
        known = one.stratum.code, one.stratum.name, ""
        yield "users", *known, one.units, *_cells(one.users)
        yield "producers", *known, one.reference_units, *_cells(one.producers)
        yield "share", *known, one.reference_units, *_cells(one.share)
        yield "hectares", *known, one.reference_units, *_cells(one.hectares)


def _matrix_rows(accuracy: Accuracy) -> Iterator[tuple[object, ...]]:
    names = [one.stratum.name for one in accuracy.classes]
    for one, shares, counts in zip(accuracy.classes, accuracy.proportions, accuracy.counts, strict=True):
        for name, share, units in zip(names, shares, counts, strict=True):
            yield "matrix", one.stratum.code, one.stratum.name, name, units, _cell(share), "", "", ""


def _cells(one: Estimate) -> tuple[str, ...]:
    return tuple(_cell(value) for value in (one.value, one.standard_error, one.low, one.high))


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
