"""`geocrop run`: an area becomes a published map."""

import argparse

from steps import naming
from steps.commands.outcome import say_coverage, workshop
from steps.errors import DataError
from steps.extras import Extras, keep_extras
from steps.jobs import carry_out
from steps.prepare import load_points, store_plan, withdraw
from steps.progress import stage
from steps.recall import plan_of_map
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
        plan = plan_of_map(request, card, settings(), probe=not arguments.no_probe)
        advance(1, f"{len(plan.tiles)} tiles, {len(plan.scenes)} scenes")
    new = store_plan(plan, model.model_bytes, shop.store, points)
    keep_extras(extras, plan.job, shop.store)
    coverage = carry_out(plan, shop, extras)
    try:
        return say_coverage(plan, coverage, shop)
    except DataError:  # nothing is mapped, and trying again would not help
        if naming.plan_key(plan.job) in new:
            withdraw(plan, new, shop.store)
        raise
