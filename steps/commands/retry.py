"""`geocrop retry`: a job's failed tiles once more, then the map."""

import argparse
import sys

from steps import naming
from steps.commands.outcome import say_coverage, workshop
from steps.documents import read_coverage, read_plan
from steps.errors import UsageError
from steps.extras import kept_extras
from steps.jobs import Workshop, carry_out, unfinished
from steps.model.job import Coverage, Plan
from steps.records import open_records
from steps.settings import settings


def run(arguments: argparse.Namespace) -> int:
    """Do again what failed, from the plan as it was pinned."""
    shop = workshop(arguments.store or _recorded_store(arguments.job), settings(), arguments.workers)
    plan = read_plan(shop.store, arguments.job)
    return say_coverage(plan, _retried(plan, shop), shop)


def _retried(plan: Plan, shop: Workshop) -> Coverage:
    ids = unfinished(plan, shop.store)
    if not ids and shop.store.exists(naming.item_key(plan.job)):
        sys.stdout.write(f"nothing to do again: all {len(plan.tiles)} tiles are done, and the map is published\n")
        return read_coverage(shop.store, plan.job)
    with kept_extras(plan.job, shop.store) as extras:
        return carry_out(plan, shop, extras, ids)


def _recorded_store(job: str) -> str:
    stores = [record.store for record in open_records(settings()).jobs(job)]
    if not stores:
        raise UsageError(f"job {job} is not among this machine's records", "see `geocrop status`, or give --store")
    if len(stores) > 1:
        raise UsageError(f"job {job} lies in {' and in '.join(stores)}", "say with --store which one")
    return stores[0]
