"""Step `report`: tell the model registry what became of a map."""

import argparse

from steps.map_notes import keep_map
from steps.model.job import Coverage
from steps.outbox import send_notes
from steps.settings import settings
from steps.store import open_store
from steps.work import read_file, read_plan_file


def run(arguments: argparse.Namespace) -> int:
    """Log the map as a run of its own; while the registry is away the note waits in the store."""
    coverage = read_file(arguments.coverage, Coverage, "verdict", "give the file that the step `gate` wrote")
    plan, store = read_plan_file(arguments.plan), open_store(arguments.store, settings())
    keep_map(plan, coverage, store, store)
    send_notes(store, settings())
    return 0
