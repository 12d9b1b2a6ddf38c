"""Step `mosaic`: tiles to cloud-optimised GeoTIFFs in the store."""

import argparse
import tempfile
from pathlib import Path

from steps.extras import Extras
from steps.publish import mosaic_job
from steps.references import fetch_arguments
from steps.settings import settings
from steps.store import open_store
from steps.work import read_plan_file


def run(arguments: argparse.Namespace) -> int:
    """Write the map's rasters; the map is published only by the next step."""
    with tempfile.TemporaryDirectory(prefix="geocrop-mosaic-") as scratch:
        extras = Extras.of(fetch_arguments(arguments, ("legend",), Path(scratch), settings()))
    mosaic_job(read_plan_file(arguments.plan), open_store(arguments.store, settings()), extras)
    return 0
