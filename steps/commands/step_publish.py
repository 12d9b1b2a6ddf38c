"""Step `publish`: areas, report and STAC item."""

import argparse
import sys
import tempfile
from pathlib import Path

from steps.extras import Extras
from steps.model.job import Coverage
from steps.publish import publish_job
from steps.references import fetch_arguments
from steps.settings import settings
from steps.store import open_store
from steps.work import read_file, read_plan_file


def run(arguments: argparse.Namespace) -> int:
    """Publish what the step `mosaic` made; prints where the item is."""
    coverage = read_file(arguments.coverage, Coverage, "verdict", "give the file that the step `gate` wrote")
    plan, store = read_plan_file(arguments.plan), open_store(arguments.store, settings())
    with tempfile.TemporaryDirectory(prefix="geocrop-extras-") as scratch:
        fetched = fetch_arguments(arguments, ("legend", "zones", "parcels"), Path(scratch), settings())
        sys.stdout.write(publish_job(plan, store, coverage, Extras.of(fetched)) + "\n")
    return 0
