"""`geocrop replay`: rebuild a published map from its STAC item."""

import argparse
import json
from pathlib import Path
from typing import Any

from steps.commands.outcome import say_coverage, workshop
from steps.errors import UsageError
from steps.jobs import carry_out
from steps.models import load_model
from steps.prepare import store_plan
from steps.publish import Extras
from steps.scenes import read_document
from steps.settings import settings
from steps.stac import replay_plan


def run(arguments: argparse.Namespace) -> int:
    """The same scenes, model and options; the same bytes on the same image and CPU family."""
    plan = replay_plan(_read_item(arguments.item))
    shop = workshop(arguments.out, settings(), arguments.workers)
    store_plan(plan, load_model(plan.request.model.href, plan.card), shop.store)
    return say_coverage(plan, carry_out(plan, shop, Extras()), shop)


def _read_item(href: str) -> dict[str, Any]:
    if "://" in href:
        return read_document(href)
    try:
        item: dict[str, Any] = json.loads(Path(href).read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"item {href} cannot be read: {error}", "give the item.json of a published map") from error
    return item
