"""`geocrop compare`: transition matrix between two class maps."""

import argparse
import sys
from pathlib import Path

from steps.compare import compare_maps


def run(arguments: argparse.Namespace) -> int:
    """Print the matrix in hectares, with what it can not be used for."""
    comparison = compare_maps(arguments.before, arguments.after)
    sys.stdout.write(str(comparison) + "\n")
    if arguments.csv:
        Path(arguments.csv).write_text(comparison.to_csv(), encoding="utf-8")
    return 0
