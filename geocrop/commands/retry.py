"""`geocrop retry --server`: a job's unfinished tiles once more."""

import argparse

from geocrop.commands.server import follow, open_client


def run(arguments: argparse.Namespace) -> int:
    """Queue it again and follow it."""
    with open_client(arguments) as client:
        follow(client.job(arguments.job).retry())
    return 0
