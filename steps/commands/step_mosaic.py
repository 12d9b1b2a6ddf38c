"""Step `mosaic`: tiles to cloud-optimised GeoTIFFs in the store."""

import argparse

from steps.publish import Extras, mosaic_job
from steps.settings import settings
from steps.store import open_store
from steps.work import read_plan_file


def run(arguments: argparse.Namespace) -> int:
    """Write the map's rasters; the map is published only by the next step."""
    mosaic_job(read_plan_file(arguments.plan), open_store(arguments.store, settings()), Extras.of(arguments))
    return 0
