"""Step `baselines`: exported Dynamic World GeoTIFFs to a COG per year."""

import argparse
import re
import sys
import tempfile
from pathlib import Path

from steps.baselines import import_baselines
from steps.errors import UsageError
from steps.references import RASTER_BYTES, fetch_file
from steps.settings import settings
from steps.store import open_store


def run(arguments: argparse.Namespace) -> int:
    """Fetch, check, convert and store; says where each year is."""
    references = [one for one in re.split(r"[,\s]+", arguments.files) if one]
    if not references:
        raise UsageError("--files names no file", "give addresses, separated by commas")
    store = open_store(arguments.store, settings())
    with tempfile.TemporaryDirectory(prefix="geocrop-exports-") as scratch:
        files = [
            str(fetch_file(one, Path(scratch) / str(number), settings(), limit=RASTER_BYTES))
            for number, one in enumerate(references)
        ]
        keys = import_baselines(files, store, year=arguments.year or None)
    sys.stdout.writelines(f"{year}  {store.href(key)}\n" for year, key in sorted(keys.items()))
    return 0
