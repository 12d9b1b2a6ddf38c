"""Step `classify`: map some tiles of a plan."""

import argparse
import os

from steps.errors import UsageError
from steps.model.grid import TileId
from steps.model.job import TileFailed
from steps.settings import settings
from steps.store import open_store
from steps.tile import TileMapper
from steps.work import do_tiles, read_plan_file


def run(arguments: argparse.Namespace) -> int:
    """Map each tile; the worst failure is the exit code, and 75 wins over 65, as trying again may help."""
    plan = read_plan_file(arguments.plan)
    mapper = TileMapper(open_store(arguments.store, settings()), threads=len(os.sched_getaffinity(0)))
    outcomes = list(do_tiles(mapper, plan, _ids(arguments.tiles)))
    return max((outcome.exit_code for outcome in outcomes if isinstance(outcome, TileFailed)), default=0)


def _ids(text: str) -> list[TileId]:
    try:
        return [TileId.parse(part) for part in text.split(",") if part]
    except ValueError as error:
        raise UsageError(f"--tiles: {error}", "separate ids by commas") from error
