"""Step `gate`: judge coverage."""

import argparse
from pathlib import Path

import msgspec

from steps.model.job import Phase, Reason
from steps.publish import gate_job
from steps.settings import settings
from steps.store import open_store
from steps.work import read_plan_file


def run(arguments: argparse.Namespace) -> int:
    """Write the verdict; 75 when nothing passes but another try may help, 65 when none will."""
    coverage = gate_job(read_plan_file(arguments.plan), open_store(arguments.store, settings()))
    Path(arguments.coverage).write_bytes(msgspec.json.encode(coverage))
    if coverage.phase is not Phase.FAILED:
        return 0
    return 75 if {Reason.READ_ERROR, Reason.WORKER_LOST} & coverage.pixels.keys() else 65
