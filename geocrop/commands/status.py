"""`geocrop status --server`: the jobs of a server."""

import argparse
import itertools
import sys

import msgspec

from api.schemas import JobView
from geocrop.client import Client
from geocrop.commands.server import open_client, write_json

_MOST = 200


def run(arguments: argparse.Namespace) -> int:
    """The newest jobs, or one with its tiles."""
    with open_client(arguments) as client:
        rows = _one(client, arguments.job) if arguments.job else _newest(client)
    if arguments.json:
        write_json(rows)
    else:
        sys.stdout.writelines("  ".join(str(value) for value in row.values() if value) + "\n" for row in rows)
    return 0


def _newest(client: Client) -> list[dict[str, object]]:
    return [_row(job.view) for job in itertools.islice(client.jobs(), _MOST)]


def _one(client: Client, name: str) -> list[dict[str, object]]:
    job = client.job(name)
    return [_row(job.view), *(msgspec.to_builtins(tile.properties) for tile in job.tiles().features)]


def _row(view: JobView) -> dict[str, object]:
    return {
        "job": view.id,
        "phase": str(view.phase),
        "updated": f"{view.updated:%Y-%m-%d %H:%M}",
        "season": f"{view.season.start}/{view.season.end}" if view.season else "",
        "model": view.model.name if view.model else "",
        "tiles": f"{view.tiles.succeeded + view.tiles.failed}/{view.tiles.total}",
        "error": view.error,
    }
