"""`geocrop retry`: a job's failed tiles once more, then the map."""

import argparse

from steps.commands.outcome import say_coverage, workshop
from steps.errors import UsageError
from steps.jobs import carry_out, unfinished
from steps.publish import Extras
from steps.records import open_records
from steps.settings import settings
from steps.work import read_plan


def run(arguments: argparse.Namespace) -> int:
    """Do again what failed, from the plan as it was pinned."""
    shop = workshop(arguments.store or _recorded_store(arguments.job), settings(), arguments.workers)
    plan = read_plan(shop.store, arguments.job)
    coverage = carry_out(plan, shop, Extras(), unfinished(plan, shop.store))
    return say_coverage(plan, coverage, shop)


def _recorded_store(job: str) -> str:
    record = open_records(settings()).job(job)
    if record is None:
        raise UsageError(f"job {job} is not among this machine's records", "see `geocrop status`, or give --store")
    return record.store
