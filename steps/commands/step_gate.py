"""Step `gate`: judge coverage."""

import argparse
from pathlib import Path

import msgspec

from steps.gate import failure
from steps.model.job import Phase
from steps.publish import gate_job
from steps.settings import settings
from steps.store import open_store
from steps.work import read_outcomes, read_plan_file


def run(arguments: argparse.Namespace) -> int:
    """Write the verdict; 75 when nothing passes but another try may help, 65 when none will."""
    plan, store = read_plan_file(arguments.plan), open_store(arguments.store, settings())
    coverage = gate_job(plan, store)
    Path(arguments.coverage).write_bytes(msgspec.json.encode(coverage))
    if coverage.phase is Phase.FAILED:
        raise failure(plan.job, coverage, read_outcomes(plan, store))
    return 0
