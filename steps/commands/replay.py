"""`geocrop replay`: rebuild a published map from its STAC item."""

import argparse
import json
from pathlib import Path
from typing import Any

import structlog

from steps import naming
from steps.commands.outcome import say_coverage, workshop
from steps.drift_reference import check_points
from steps.errors import CatalogError, ModelError, UsageError
from steps.jobs import carry_out
from steps.model.job import Plan
from steps.models import check_digest
from steps.prepare import load_points, store_plan
from steps.publish import Extras
from steps.registry import model_folder, pinned
from steps.scenes import read_document
from steps.settings import settings
from steps.stac import replay_classes, replay_plan
from steps.store import MissingObject, Store, open_store

_log = structlog.get_logger()


def run(arguments: argparse.Namespace) -> int:
    """The same scenes, model and options: the same bytes, on the same versions and CPU family."""
    source = _store_of(arguments.item)
    item = _read_item(arguments.item, source)
    plan = replay_plan(item)
    shop = workshop(arguments.out, settings(), arguments.workers)
    store_plan(plan, _model_bytes(plan, source), shop.store, _points(plan, source))
    coverage = carry_out(plan, shop, Extras(classes=replay_classes(item)))
    return say_coverage(plan, coverage, shop)


def _store_of(href: str) -> Store | None:
    """The store that an item was published to; None when it lies elsewhere, as on a web server."""
    root, maps, _ = href.rpartition("/maps/")
    return open_store(root, settings()) if maps and not href.startswith(("http://", "https://")) else None


def _read_item(href: str, source: Store | None) -> dict[str, Any]:
    if href.startswith(("http://", "https://")):
        return read_document(href)
    try:
        text = source.get_bytes(_key(href)) if source else Path(href).read_bytes()
        item = json.loads(text)
    except (OSError, ValueError, MissingObject) as error:
        raise UsageError(f"item {href} cannot be read: {error}", "give the item.json of a published map") from error
    if not isinstance(item, dict):
        raise CatalogError(f"{href} is no STAC item", "give the item.json of a published map")
    return item


def _key(href: str) -> str:
    return f"maps/{href.rpartition('/maps/')[2]}"


def _model_bytes(plan: Plan, source: Store | None) -> bytes:
    """The model that made the map: kept beside it, or still in the registry. Raises ModelError."""
    key = naming.model_key(plan.card.digest)
    if source is None or not source.exists(key):
        return pinned(plan.request.model, settings()).model_bytes
    data = source.get_bytes(key)
    check_digest(data, plan.card, source.href(key))
    return data


def _points(plan: Plan, source: Store | None) -> bytes | None:
    """The training points that the map was compared with, kept beside the model; without them it is not compared."""
    reference = plan.card.reference
    if reference is None:
        return None
    key = naming.points_key(reference.points_sha256)
    try:
        if source is None or not source.exists(key):
            return load_points(str(model_folder(plan.request.model, settings())), plan.card)
        data = source.get_bytes(key)
        check_points(data, reference, source.href(key))
    except ModelError as error:
        _log.warning("drift.unmeasured", model=plan.card.name, error=str(error))
        return None
    return data
