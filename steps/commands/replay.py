"""`geocrop replay`: rebuild a published map from its STAC item."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import structlog

from steps import naming
from steps.commands.outcome import say_coverage, workshop
from steps.drift_reference import check_points
from steps.errors import CatalogError, ModelError, UsageError
from steps.extras import Extras, keep_extras
from steps.jobs import carry_out
from steps.model.job import Plan
from steps.models import check_digest
from steps.prepare import load_points, store_plan
from steps.references import MODEL_BYTES, fetch_file
from steps.registry import model_folder, pinned
from steps.remote import is_web
from steps.scenes import read_document
from steps.settings import settings
from steps.stac import replay_classes, replay_plan
from steps.store import MissingObject, open_store

_log = structlog.get_logger()


def run(arguments: argparse.Namespace) -> int:
    """The same scenes, model and options: the same bytes, on the same versions and CPU family."""
    item = _read_item(arguments.item)
    plan = replay_plan(item)
    shop = workshop(arguments.out, settings(), arguments.workers)
    new = store_plan(plan, _model_bytes(plan, arguments.item), shop.store, _points(plan, arguments.item))
    extras = Extras(classes=replay_classes(item))
    if naming.plan_key(plan.job) in new:
        keep_extras(extras, plan.job, shop.store)
    return say_coverage(plan, carry_out(plan, shop, extras), shop)


def _read_item(href: str) -> dict[str, Any]:
    if is_web(href):
        return read_document(href)
    try:
        item = json.loads(_object(href) if "/maps/" in href else Path(href).read_bytes())
    except (OSError, ValueError, MissingObject) as error:
        raise UsageError(f"item {href} cannot be read: {error}", "give the item.json of a published map") from error
    if not isinstance(item, dict):
        raise CatalogError(f"{href} is no STAC item", "give the item.json of a published map")
    return item


def _object(item: str, key: str = "") -> bytes:
    """An object of the store that an item was published to, by default the item. Raises MissingObject."""
    root, maps, name = item.rpartition("/maps/")
    return open_store(root, settings()).get_bytes(key or f"{maps.strip('/')}/{name}")


def _kept(item: str, key: str) -> bytes | None:
    """What the item's store keeps under a key, also when a web server serves it; None where it keeps nothing."""
    root, maps, _ = item.rpartition("/maps/")
    try:
        if maps and is_web(item):
            with tempfile.TemporaryDirectory(prefix="geocrop-replay-") as scratch:
                return fetch_file(f"{root}/{key}", Path(scratch), settings(), limit=MODEL_BYTES).read_bytes()
        return _object(item, key) if maps else None
    except (MissingObject, UsageError):
        return None


def _model_bytes(plan: Plan, item: str) -> bytes:
    """The model that made the map: kept beside it, or still in the registry. Raises ModelError."""
    key = naming.model_key(plan.card.digest)
    data = _kept(item, key)
    if data is None:
        return pinned(plan.request.model, settings()).model_bytes
    check_digest(data, plan.card, f"{key} beside {item}")
    return data


def _points(plan: Plan, item: str) -> bytes | None:
    """The training points that the map was compared with, kept beside the model; without them it is not compared."""
    reference = plan.card.reference
    if reference is None:
        return None
    key = naming.points_key(reference.points_sha256)
    try:
        data = _kept(item, key)
        if data is None:
            return load_points(str(model_folder(plan.request.model, settings())), plan.card)
        check_points(data, reference, f"{key} beside {item}")
    except ModelError as error:
        _log.warning("drift.unmeasured", model=plan.card.name, error=str(error))
        return None
    return data
