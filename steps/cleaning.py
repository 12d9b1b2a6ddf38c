"""What of a store can go: tiles that no job has used for long, and what workflows left behind."""

import datetime as dt
import functools
from collections.abc import Iterator

import msgspec

from steps import naming
from steps.model.job import Coverage, Phase
from steps.store import MissingObject, Store

WORKFLOWS = "workflows/"
"""Where workflows keep their own files: parts of plans, logs."""


def removable(store: Store, before: dt.datetime) -> Iterator[str]:
    """Keys of tiles and of workflows' files that were written before a time and not used since.

    Planning a job notes every tile that it will use, also those that it finds in the store. A tile with a younger note
    stays, wherever it lies on its grid, and so does one of a job that has no whole map yet: it may be tried again.
    Maps, plans, models and baselines always stay.
    """
    used = _used(store, before)
    for entry in store.entries("tiles/"):
        if entry.modified < before and entry.key.split("/")[2] not in used:
            yield entry.key
    yield from (entry.key for entry in store.entries(WORKFLOWS) if entry.modified < before)


def _used(store: Store, before: dt.datetime) -> set[str]:
    """Names of tiles."""
    used, whole = set[str](), functools.cache(functools.partial(_is_whole, store))
    for entry in store.entries("plans/"):
        _, job, *rest = entry.key.split("/")
        if rest[0] == "tiles" and (entry.modified >= before or not whole(job)):
            used.add(rest[1].partition(".")[0])
    return used


def _is_whole(store: Store, job: str) -> bool:
    """Whether a job's map was published without gaps."""
    try:
        coverage = msgspec.json.decode(store.get_bytes(naming.coverage_key(job)), type=Coverage)
    except (MissingObject, msgspec.DecodeError):
        return False
    return coverage.phase is Phase.SUCCEEDED and store.exists(naming.item_key(job))
