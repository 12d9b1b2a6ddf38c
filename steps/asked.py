"""From the parameters of a workflow to a map request: references fetched, limits kept, the model pinned."""

import argparse
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from steps import naming
from steps.aoi import geodesic_km2
from steps.errors import AoiError, UsageError
from steps.model.card import ModelCard
from steps.model.job import MapRequest
from steps.prepare import load_points
from steps.references import check_allowed, fetch_file, fetch_folder, is_reference
from steps.registry import pinned
from steps.requests import build_request
from steps.settings import Settings
from steps.store import Store

_NEEDED = ("aoi", "season", "catalog", "model")
_LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with the model that it names."""

    request: MapRequest
    card: ModelCard
    model_bytes: bytes
    points: bytes | None
    """What the model was trained on, where it says."""


def read_asked(arguments: argparse.Namespace, settings: Settings, scratch: Path) -> Asked:
    """What the step `plan` was asked for. Raises UsageError or DataError for what may not be or cannot be used."""
    found = _given(arguments, settings, scratch) if arguments.request else _built(arguments, settings, scratch)
    check_allowed(found.request.catalog, settings)
    for raster in _rasters(found.request):
        check_allowed(raster, settings)
    _check_area(found.request, settings)
    return found


def _rasters(request: MapRequest) -> Iterator[str]:
    options = request.options
    yield from (ref.href for ref in (options.mask, options.baseline, *options.layers.values()) if ref)


def _check_area(request: MapRequest, settings: Settings) -> None:
    km2 = geodesic_km2(request.aoi)
    if km2 > settings.max_aoi_km2:
        raise AoiError(
            f"AOI {request.aoi.name} covers {km2:,.0f} km2", f"give at most {settings.max_aoi_km2:,.0f} km2 here"
        )


def _given(arguments: argparse.Namespace, settings: Settings, scratch: Path) -> Asked:
    """The request that lies somewhere as JSON."""
    path = fetch_file(arguments.request, scratch, settings)
    try:
        request = msgspec.json.decode(path.read_bytes(), type=MapRequest)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(
            f"request {arguments.request} cannot be read: {error}", "write it as requests/JOB.json of a store has it"
        ) from error
    return _with_model(request, settings, scratch)


def _with_model(request: MapRequest, settings: Settings, scratch: Path) -> Asked:
    """The request with its model's files, from a bucket, a folder or the registry."""
    local = request.model
    if is_reference(local.href):
        folder = fetch_folder(local.href, scratch / "model", settings)
        local = msgspec.structs.replace(local, href=str(folder))
    model = pinned(local, settings)
    return Asked(request, model.card, model.model_bytes, load_points(str(model.folder), model.card))


def _built(arguments: argparse.Namespace, settings: Settings, scratch: Path) -> Asked:
    """The request that the single parameters make."""
    if absent := [name for name in _NEEDED if not getattr(arguments, name)]:
        raise UsageError(f"--{absent[0]} is empty", f"give {', '.join(_NEEDED)}, or --request")
    check_allowed(arguments.catalog, settings)
    for raster in filter(None, (arguments.mask, arguments.baseline, *layers_asked(arguments).values())):
        check_allowed(raster, settings)
    model = arguments.model
    values = vars(arguments) | {
        "aoi": str(read_aoi_file(arguments.aoi, settings, scratch)),
        "aoi_layer": "",
        "season": season_text(arguments.season, dt.datetime.now(dt.UTC).date()),
        "model": str(fetch_folder(model, scratch / "named", settings)) if is_reference(model) else model,
        "layer": [f"{name}={raster}" for name, raster in layers_asked(arguments).items()],
    }
    request, _ = build_request(argparse.Namespace(**values), settings)
    if is_reference(model):
        request = msgspec.structs.replace(request, model=msgspec.structs.replace(request.model, href=model))
    return _with_model(request, settings, scratch)


def layers_asked(arguments: argparse.Namespace) -> dict[str, str]:
    """NAME to raster, of NAME=RASTER,NAME=RASTER."""
    pairs = (pair.partition("=") for pair in arguments.layers.split(",") if pair.strip())
    return {name.strip(): raster.strip() for name, _, raster in pairs}


def read_aoi_file(path: str, settings: Settings, scratch: Path) -> Path:
    """The file of an AOI: itself, or the one whose address is all that it holds."""
    file = Path(path)
    try:
        with file.open(encoding="utf-8") as stream:
            head = stream.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the AOI in {path} cannot be read: {error}", "give GeoJSON, or where it lies") from error
    if head.startswith(("s3://", "http://", "https://")) and len(head.split()) == 1:
        return fetch_file(head, scratch / "aoi", settings)
    if not head.startswith(("{", "\ufeff{")):
        raise AoiError(f"the AOI {head[:60]!r} is neither GeoJSON nor an address", "give GeoJSON, s3:// or https://")
    named = scratch / "aoi.geojson"
    named.write_bytes(file.read_bytes())
    return named


def job_of(text: str, request: MapRequest, store: Store) -> str:
    """The job's id as it was asked for, or the request's own.

    Raises UsageError for what is no id, and for one under which another request's map is published: it would be lost.
    """
    job = text or naming.job_id(request)
    if not naming.is_job_id(job):
        raise UsageError(f"{job!r} is no job id", "give at most 63 lower-case letters, digits, dashes and dots")
    if store.exists(naming.item_key(job)) and _stored_request(job, store) != request:
        raise UsageError(f"job {job} has published the map of another request", "choose another id")
    return job


def _stored_request(job: str, store: Store) -> MapRequest:
    return msgspec.json.decode(store.get_bytes(naming.request_key(job)), type=MapRequest)


def season_text(text: str, today: dt.date) -> str:
    """START/END; `latest` is the year that ends with last month."""
    if text.strip().lower() != _LATEST:
        return text
    end = today.replace(day=1) - dt.timedelta(days=1)
    start = end + dt.timedelta(days=1)
    return f"{start.replace(year=start.year - 1).isoformat()}/{end.isoformat()}"
