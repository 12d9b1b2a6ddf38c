"""Plans that this machine made, kept under its home folder: what was planned once can be done without its catalog.

A plan is used again only for the same request, and only when the catalog does not answer; a warning says so.
"""

from collections.abc import Callable, Iterator

import msgspec
import structlog

from steps import naming
from steps.errors import TryAgainError
from steps.model.job import MapRequest, Plan
from steps.model.spec import FeatureSpec
from steps.prepare import encode_plan
from steps.settings import Settings
from steps.store import FolderStore
from steps.versions import pixel_version

KEPT = 200
"""Plans at most; those unused longest go."""
_log = structlog.get_logger()


def plan_or_recall(make: Callable[[], Plan], request: MapRequest, spec: FeatureSpec | None, settings: Settings) -> Plan:
    """The plan that is made, or when the network is away the one that was made of the same request before.

    `spec` is the one that the plan has to have; None: any. Raises what `make` raises where there is no such plan.
    """
    try:
        plan = make()
    except TryAgainError as error:
        found = _recalled(request, spec, settings)
        if found is None:
            raise
        _log.warning("plan.recalled", catalog=request.catalog, because=error.what, scenes=len(found.scenes))
        return found
    remember(plan, settings)
    return plan


def remember(plan: Plan, settings: Settings) -> None:
    """Keep a plan for a day without network."""
    store = _store(settings)
    store.put_bytes(_key(plan.request), encode_plan(plan))
    for key in _surplus(store):
        store.delete(key)


def _recalled(request: MapRequest, spec: FeatureSpec | None, settings: Settings) -> Plan | None:
    store, key = _store(settings), _key(request)
    if not store.exists(key):
        return None
    try:
        plan = msgspec.json.decode(store.get_bytes(key), type=Plan)
    except msgspec.DecodeError:  # of another version of the code
        return None
    fits = plan.request == request and plan.pixel_version == pixel_version() and spec in (None, plan.card.spec)
    return plan if fits else None


def _key(request: MapRequest) -> str:
    return f"{naming.job_id(request)}.json"


def _store(settings: Settings) -> FolderStore:
    return FolderStore(settings.home / "plans")


def _surplus(store: FolderStore) -> Iterator[str]:
    entries = sorted(store.entries(""), key=lambda entry: entry.modified, reverse=True)
    return (entry.key for entry in entries[KEPT:])
