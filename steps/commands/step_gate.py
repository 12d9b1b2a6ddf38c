"""Step `gate`: judge coverage."""

import argparse
from pathlib import Path

import msgspec
import structlog

from steps.calibration import learn_of_pods
from steps.follow import reason_of
from steps.gate import failure
from steps.model.job import Phase
from steps.publish import gate_job
from steps.settings import settings
from steps.store import open_store
from steps.work import read_outcomes, read_plan_file

_log = structlog.get_logger()


def run(arguments: argparse.Namespace) -> int:
    """Write the verdict; 75 when nothing passes but another try may help, 65 when none will."""
    plan, store = read_plan_file(arguments.plan), open_store(arguments.store, settings())
    coverage = gate_job(plan, store)
    Path(arguments.coverage).parent.mkdir(parents=True, exist_ok=True)
    Path(arguments.coverage).write_bytes(msgspec.json.encode(coverage))
    outcomes = read_outcomes(plan, store)
    learn_of_pods(plan, outcomes.values(), store)
    for tile, outcome in outcomes.items():
        if reason := reason_of(outcome):
            _log.warning("tile.unmapped", tile=str(tile), reason=reason)
    if coverage.phase is Phase.FAILED:
        raise failure(plan.job, coverage, outcomes)
    return 0
