"""Step `settle`: note how a workflow ended."""

import argparse
from pathlib import Path

from steps.settings import settings
from steps.settle import note_ending
from steps.store import open_store


def run(arguments: argparse.Namespace) -> int:
    """Write the note beside the plan; there is none to write when nothing was planned."""
    path = Path(arguments.job)
    if path.exists():
        job = path.read_text(encoding="utf-8").strip()
        store = open_store(arguments.store, settings())
        note_ending(job, arguments.workflow, arguments.status, store)
    return 0
