"""`geocrop status`: the jobs of this machine."""

import argparse
import sys

import msgspec

from steps import naming
from steps.documents import read_coverage, read_plan
from steps.errors import UsageError
from steps.jobs import told
from steps.model.grid import TileId
from steps.model.job import JobRecord, Phase, TileOutcome
from steps.records import open_records
from steps.settings import settings
from steps.store import open_store
from steps.work import read_outcomes


def run(arguments: argparse.Namespace) -> int:
    """List the jobs, newest first, or one with its tiles."""
    if arguments.store and not arguments.job:
        raise UsageError("--store shows one job", "give its id, too")
    if arguments.store:
        return _say(_stored(arguments.job, arguments.store), as_json=arguments.json)
    records = open_records(settings())
    found = list(records.jobs(arguments.job))
    if arguments.job and not found:
        raise UsageError(f"job {arguments.job} is not among this machine's records", "see `geocrop status`")
    tiles = [msgspec.to_builtins(tile) for record in found for tile in records.tiles(record)] if arguments.job else []
    return _say([*map(_row, found), *tiles], as_json=arguments.json)


def _stored(job: str, url: str) -> list[dict[str, str]]:
    """A job as its store has it, whoever worked on it."""
    store = open_store(url, settings())
    plan, item = read_plan(store, job), naming.item_key(job)
    outcomes = read_outcomes(plan, store)
    judged = store.exists(naming.coverage_key(job))
    head = {
        "job": job,
        "phase": str(read_coverage(store, job).phase if judged else Phase.RUNNING),
        "season": str(plan.request.season),
        "model": plan.request.model.name,
        "map": store.href(item) if store.exists(item) else "",
    }
    return [head, *(_tile_row(entry.tile, outcomes.get(entry.tile)) for entry in plan.tiles)]


def _tile_row(tile: TileId, outcome: TileOutcome | None) -> dict[str, str]:
    if outcome is None:
        return {"tile": str(tile), "phase": str(Phase.QUEUED)}
    phase, reason, _ = told(outcome)
    return {"tile": str(tile), "phase": str(phase), "reason": reason}


def _row(record: JobRecord) -> dict[str, str]:
    return {
        "job": record.id,
        "phase": str(record.phase),
        "updated": f"{record.updated:%Y-%m-%d %H:%M}",
        "season": str(record.request.season),
        "model": record.request.model.name,
        "map": record.href,
        "error": record.error,
    }


def _say(rows: list[dict[str, str]], *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(rows)).decode() + "\n")
    elif not rows:
        sys.stdout.write("no jobs yet: see `geocrop run --help`\n")
    else:
        sys.stdout.writelines("  ".join(str(value) for value in row.values() if value) + "\n" for row in rows)
    return 0
