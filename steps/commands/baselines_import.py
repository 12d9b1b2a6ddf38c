"""`geocrop baselines import`: exported Dynamic World GeoTIFFs to a COG per year."""

import argparse
import sys

from steps.baselines import import_baselines
from steps.settings import settings
from steps.store import open_store


def run(arguments: argparse.Namespace) -> int:
    """Check, convert and store; says where each year is."""
    store = open_store(arguments.out, settings())
    keys = import_baselines(arguments.files, store, year=arguments.year or None)
    sys.stdout.writelines(f"{year}  {store.href(key)}\n" for year, key in sorted(keys.items()))
    return 0
