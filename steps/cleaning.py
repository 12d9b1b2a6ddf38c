"""What of a store can go: tiles that no job has used for long, and what workflows left behind."""

import datetime as dt
from collections.abc import Iterator

from steps.store import Store

WORKFLOWS = "workflows/"
"""Where workflows keep their own files: parts of plans, logs."""


def removable(store: Store, before: dt.datetime) -> Iterator[str]:
    """Keys of tiles and of workflows' files that were written before a time and not used since.

    Planning a job notes every tile that it will use, also those that it finds in the store; a tile with a younger note
    stays, wherever it lies on its grid. Maps, plans, models and baselines always stay.
    """
    used = {
        entry.key.rpartition("/")[2].removesuffix(".json")
        for entry in store.entries("plans/")
        if "/tiles/" in entry.key and entry.modified >= before
    }
    for entry in store.entries("tiles/"):
        if entry.modified < before and entry.key.split("/")[2] not in used:
            yield entry.key
    yield from (entry.key for entry in store.entries(WORKFLOWS) if entry.modified < before)
