"""`geocrop status`: the jobs of this machine."""

import argparse
import sys

import msgspec

from steps.errors import UsageError
from steps.model.job import JobRecord
from steps.records import open_records
from steps.settings import settings


def run(arguments: argparse.Namespace) -> int:
    """List the jobs, newest first, or one with its tiles."""
    records = open_records(settings())
    if not arguments.job:
        return _say([_row(record) for record in records.jobs()], as_json=arguments.json)
    record = records.job(arguments.job)
    if record is None:
        raise UsageError(f"job {arguments.job} is not among this machine's records", "see `geocrop status`")
    tiles = [msgspec.to_builtins(tile) for tile in records.tiles(record.id)]
    return _say([_row(record), *tiles], as_json=arguments.json)


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
