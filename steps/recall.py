"""Plans that this machine made, kept under its home folder: what was planned once can be done without its catalog.

A plan is used again only for the same request, and only when the catalog does not answer; a warning says so.
"""

from collections.abc import Callable, Iterator

import msgspec
import structlog

from steps import naming
from steps.errors import TryAgainError
from steps.model.card import ModelCard
from steps.model.job import MapRequest, Plan
from steps.model.spec import FeatureSpec
from steps.prepare import make_plan
from steps.settings import Settings
from steps.store import FolderStore
from steps.versions import pixel_version

KEPT = 200
"""Plans at most; those unused longest go."""
Fits = Callable[[FeatureSpec], bool]
_log = structlog.get_logger()


def plan_of_map(request: MapRequest, card: ModelCard, settings: Settings, *, probe: bool) -> Plan:
    """`make_plan`'s, or what it made of the same request before, when the catalog is away."""
    return plan_or_recall(
        lambda: make_plan(request, card, probe=probe), request, lambda spec: spec == card.spec, settings
    )


def plan_or_recall(make: Callable[[], Plan], request: MapRequest, fits: Fits, settings: Settings) -> Plan:
    """The plan that is made, or when the network is away the one that was made of the same request before.

    `fits` says whether a plan of some feature spec will do. Raises what `make` raises where there is no such plan.
    """
    try:
        plan = make()
    except TryAgainError as error:
        found = _recalled(request, fits, settings)
        if found is None:
            raise
        _log.warning("plan.recalled", catalog=request.catalog, because=error.what, scenes=len(found.scenes))
        return found
    remember(plan, settings)
    return plan


def remember(plan: Plan, settings: Settings) -> None:
    """Keep a plan for a day without network."""
    store = _store(settings)
    store.put_bytes(_key(plan.request), msgspec.json.encode(plan))
    for key in _surplus(store):
        store.delete(key)


def _recalled(request: MapRequest, fits: Fits, settings: Settings) -> Plan | None:
    store, key = _store(settings), _key(request)
    if not store.exists(key):
        return None
    try:
        plan = msgspec.json.decode(store.get_bytes(key), type=Plan)
    except msgspec.DecodeError:  # of another version of the code
        return None
    is_same = plan.request == request and plan.pixel_version == pixel_version()
    return plan if is_same and fits(plan.card.spec) else None


def _key(request: MapRequest) -> str:
    return f"{naming.job_id(request)}.json"


def _store(settings: Settings) -> FolderStore:
    return FolderStore(settings.home / "plans")


def _surplus(store: FolderStore) -> Iterator[str]:
    entries = sorted(store.entries(""), key=lambda entry: entry.modified, reverse=True)
    return (entry.key for entry in entries[KEPT:])
