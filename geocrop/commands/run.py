"""`geocrop run --server`: a server maps an area, and the map's files come here."""

import argparse
import sys
from pathlib import Path

from geocrop.client import Job
from geocrop.commands.server import follow, open_client, order_of


def run(arguments: argparse.Namespace) -> int:
    """Submit, follow, download to a folder of the job's name below `--out`."""
    with open_client(arguments) as client:
        return finish(client.submit(order_of(client, arguments)), Path(arguments.out))


def finish(job: Job, out: Path) -> int:
    """Follow a job to its end and bring its map."""
    follow(job)
    coverage = job.result().coverage["share"]
    sys.stdout.write(f"{job.phase}: {coverage:.1%} of the AOI mapped (job {job.id})\n")
    for path in job.download(out / job.id):
        sys.stdout.write(f"  {path.name:<15} {path}\n")
    return 0
