"""Step `plan`: from a request to a plan in the store."""

import argparse
import json
from pathlib import Path

import msgspec

from steps.errors import UsageError
from steps.jobs import stored_tiles
from steps.model.job import MapRequest
from steps.prepare import encode_plan, load_points, make_plan, store_plan
from steps.registry import pinned
from steps.settings import settings
from steps.store import open_store


def run(arguments: argparse.Namespace) -> int:
    """Plan; write the plan and the ids of the tiles that are not in the store yet."""
    request = _read_request(arguments.request)
    model = pinned(request.model, settings())
    store = open_store(arguments.store, settings())
    plan = make_plan(request, model.card, probe=not arguments.no_probe)
    store_plan(plan, model.model_bytes, store, load_points(str(model.folder), model.card))
    Path(arguments.plan).write_bytes(encode_plan(plan))
    stored = stored_tiles(plan, store)
    ids = [str(entry.tile) for entry in plan.tiles if entry.tile not in stored]
    Path(arguments.tiles).write_text(json.dumps(ids), encoding="utf-8")
    return 0


def _read_request(path: str) -> MapRequest:
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=MapRequest)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(
            f"request {path} cannot be read: {error}", "write it as requests/JOB.json of a store has it"
        ) from error
