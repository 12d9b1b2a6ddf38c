"""Step `classify`: map a batch of the tiles of a plan."""

import argparse
import os
import random
import time
from collections.abc import Iterator

from steps.batches import batch_of
from steps.errors import TryAgainError
from steps.follow import Follower
from steps.model.job import Plan, TileFailed, TileOutcome
from steps.settings import settings
from steps.store import open_store
from steps.tile import TileMapper
from steps.work import do_tiles, read_plan_file


def run(arguments: argparse.Namespace) -> int:
    """Map each tile; the worst failure is the exit code, and 75 wins over 65, as trying again may help."""
    code = 75
    try:
        code = _worst(_outcomes(read_plan_file(arguments.plan), arguments))
    except TryAgainError:
        _wait(arguments.jitter)
        raise
    if code == TryAgainError.exit_code:
        _wait(arguments.jitter)
    return code


def _outcomes(plan: Plan, arguments: argparse.Namespace) -> Iterator[TileOutcome]:
    tiles = [entry.tile for entry in batch_of(plan, arguments.batch, arguments.batch_size)]
    mapper = TileMapper(open_store(arguments.store, settings()), threads=len(os.sched_getaffinity(0)))
    follower = Follower(len(tiles), settings())
    for outcome in do_tiles(mapper, plan, tiles):
        follower.note()
        yield outcome


def _worst(outcomes: Iterator[TileOutcome]) -> int:
    return max((outcome.exit_code for outcome in outcomes if isinstance(outcome, TileFailed)), default=0)


def _wait(longest: float) -> None:
    """Pods that failed together do not come back together: Argo's backoff has no jitter."""
    time.sleep(random.uniform(0.0, longest))  # noqa: S311
