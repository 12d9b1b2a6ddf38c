"""Files that a workflow names: in a bucket, or on the web; only from where the settings allow, and never too large.

Workflows can be submitted past the API, so what they may read is decided here.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from steps.errors import DataError, TryAgainError, UsageError
from steps.remote import is_web
from steps.settings import Settings
from steps.store import open_store

FILE_BYTES = 50_000_000
"""Largest AOI, legend or file of polygons."""
MODEL_BYTES = 1_000_000_000
RASTER_BYTES = 20_000_000_000
_CHUNK = 1 << 20
_LATER = {408, 425, 429, 500, 502, 503, 504}


def is_reference(text: str) -> bool:
    """Whether a text is an address, and not a path."""
    return "://" in text


def check_allowed(reference: str, settings: Settings) -> None:
    """Raises UsageError for an address or path that this place may not read; with no list, everything may be read."""
    allowed = settings.allowed_sources
    if not allowed or _source_of(reference) in allowed:
        return
    raise UsageError(
        f"{reference[:200]!r} lies where nothing may be read from",
        f"allowed are {', '.join(allowed)} (GEOCROP_SOURCES)",
    )


def _source_of(reference: str) -> str:
    """`s3://bucket` or the host of a URL; nothing of a path."""
    parts = urlsplit(reference.strip())
    if parts.scheme == "s3":
        return f"s3://{parts.netloc}"
    return (parts.hostname or "") if parts.scheme in {"http", "https"} else ""


def fetch_file(reference: str, folder: Path, settings: Settings, *, limit: int = FILE_BYTES) -> Path:
    """The file behind an address, in a folder under its own name; a path, where paths are allowed, is itself.

    Raises UsageError for what may not be read or is not there, DataError for a file over the limit in bytes,
    TryAgainError when the network fails.
    """
    check_allowed(reference, settings)
    if not is_reference(reference):
        return Path(reference)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (urlsplit(reference).path.rpartition("/")[2] or "file")
    if reference.startswith("s3://"):
        _from_bucket(reference, target, settings, limit)
    elif is_web(reference):
        _from_web(reference, target, limit)
    else:
        raise UsageError(f"{reference[:200]!r} cannot be fetched", "give an s3:// or http(s) address")
    return target


def fetch_arguments(
    arguments: argparse.Namespace, names: Sequence[str], folder: Path, settings: Settings
) -> argparse.Namespace:
    """The same arguments, with the files of some of them fetched; an empty one stays empty."""
    values = vars(arguments)
    fetched = {name: str(fetch_file(values[name], folder / name, settings)) for name in names if values[name]}
    return argparse.Namespace(**(values | fetched))


def fetch_folder(reference: str, folder: Path, settings: Settings) -> Path:
    """All files below an s3:// address, under their own names in a folder. Raises UsageError, DataError, StoreError."""
    check_allowed(reference, settings)
    bucket, key = _split(reference)
    store = open_store(bucket, settings)
    keys = list(store.list(f"{key.rstrip('/')}/"))
    if not keys:
        raise UsageError(f"there is nothing below {reference}", "give the s3:// address of a folder")
    for found in keys:
        target = folder / found.removeprefix(f"{key.rstrip('/')}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        _from_bucket(f"{bucket}/{found}", target, settings, FILE_BYTES)
    return folder


def _split(reference: str) -> tuple[str, str]:
    """`s3://bucket` and the key."""
    parts = urlsplit(reference)
    key = parts.path.strip("/")
    if not (parts.netloc and key):
        raise UsageError(f"{reference[:200]!r} names no object", "write s3://bucket/key")
    return f"s3://{parts.netloc}", key


def _from_bucket(reference: str, target: Path, settings: Settings, limit: int) -> None:
    bucket, key = _split(reference)
    store = open_store(bucket, settings)
    _check_size(store.size(key), reference, limit)
    with store.local_path(key) as path:
        path.replace(target)


def _from_web(reference: str, target: Path, limit: int) -> None:
    """Redirects are not followed: they could lead to where nothing may be read."""
    shown = reference.partition("?")[0]
    try:
        answer = urllib3.PoolManager(timeout=urllib3.Timeout(connect=10, read=60)).request(
            "GET", reference, preload_content=False, redirect=False
        )
        if answer.status != 200:
            raise _unavailable(shown, answer.status)
        _check_size(int(answer.headers.get("Content-Length") or 0), shown, limit)
        _write_bounded(answer, target, shown, limit)
    except HTTPError as error:
        raise TryAgainError(f"{shown} cannot be fetched: {error}", "check the network; try again") from error


def _write_bounded(answer: urllib3.BaseHTTPResponse, target: Path, shown: str, limit: int) -> None:
    size = 0
    with target.open("wb") as file:
        for chunk in answer.stream(_CHUNK):
            size += len(chunk)
            _check_size(size, shown, limit)
            file.write(chunk)


def _unavailable(shown: str, status: int) -> TryAgainError | UsageError:
    if status in _LATER:
        return TryAgainError(f"{shown} answers {status}", "try again")
    return UsageError(f"{shown} answers {status}", "give the address of the file itself")


def _check_size(size: int, shown: str, limit: int) -> None:
    if size > limit:
        raise DataError(f"{shown} has over {limit // 1_000_000:,} MB", "give a smaller file")
