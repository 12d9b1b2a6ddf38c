"""`geocrop calibrate`: measure this machine, for honest quotes."""

import argparse
import sys

import msgspec

from steps.calibration import measure
from steps.settings import settings


def run(_arguments: argparse.Namespace) -> int:
    """Measure, store, and show what was found."""
    found = measure(settings())
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    return 0
