"""`geocrop run`: an area becomes a published map."""

import argparse

from steps.commands.outcome import say_coverage, workshop
from steps.jobs import carry_out
from steps.prepare import load_points, make_plan, store_plan
from steps.progress import stage
from steps.publish import Extras
from steps.registry import pinned
from steps.requests import build_request
from steps.settings import settings


def run(arguments: argparse.Namespace) -> int:
    """Plan, do, publish; says where the map is."""
    extras = Extras.of(arguments)
    request, card = build_request(arguments, settings())
    model = pinned(request.model, settings())
    points = load_points(str(model.folder), card)
    shop = workshop(arguments.out, settings(), arguments.workers)
    with stage("plan", 1) as advance:
        plan = make_plan(request, card, probe=not arguments.no_probe)
        advance(1, f"{len(plan.tiles)} tiles, {len(plan.scenes)} scenes")
    store_plan(plan, model.model_bytes, shop.store, points)
    return say_coverage(plan, carry_out(plan, shop, extras), shop)
