"""`geocrop models --server`: what a server's registry holds."""

import argparse
import sys

from geocrop.commands.server import open_client, write_json


def run(arguments: argparse.Namespace) -> int:
    """A line each, or JSON."""
    with open_client(arguments) as client:
        models = client.models()
    if arguments.json:
        write_json(models)
        return 0
    for one in models:
        score = "-" if one.score is None else f"{one.score:.3f}"
        known = (f"{one.name}/{one.version}", ", ".join(one.aliases) or "-", score, one.split or "-", one.registered)
        sys.stdout.write("  ".join(known) + "\n")
    return 0
