"""`geocrop register`: a trained model's folder into the registry."""

import argparse
import sys
from pathlib import Path

from steps.registry import log_and_register
from steps.settings import settings


def run(arguments: argparse.Namespace) -> int:
    """Give a folder the next version of its name, as training does; says which. Again, it stays that version."""
    ref = log_and_register(Path(arguments.folder), settings())
    sys.stdout.write(f"{arguments.folder} is {ref.name}/{ref.version}\n")
    return 0
