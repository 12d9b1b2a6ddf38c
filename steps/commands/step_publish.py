"""Step `publish`: areas, report and STAC item."""

import argparse
import sys

from steps.map_notes import tell_map
from steps.model.job import Coverage
from steps.publish import Extras, publish_job
from steps.settings import settings
from steps.store import open_store
from steps.work import read_file, read_plan_file


def run(arguments: argparse.Namespace) -> int:
    """Publish what the step `mosaic` made; prints where the item is."""
    coverage = read_file(arguments.coverage, Coverage, "verdict", "give the file that the step `gate` wrote")
    plan, store = read_plan_file(arguments.plan), open_store(arguments.store, settings())
    sys.stdout.write(publish_job(plan, store, coverage, Extras.of(arguments)) + "\n")
    tell_map(plan, coverage, store, store, settings())
    return 0
