"""Step `plan`: from what is asked for to a plan, and to batches of tiles."""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from steps.asked import job_of, read_asked
from steps.batches import batch_size, parts_of
from steps.calibration import tile_seconds
from steps.model.job import Plan, TilePlan
from steps.prepare import encode_plan, make_plan, store_plan
from steps.settings import settings
from steps.store import Store, open_store
from steps.work import note_stored

_log = structlog.get_logger()


def run(arguments: argparse.Namespace) -> int:
    """Plan; write the plan, and its tiles that are not in the store yet in parts and batches."""
    store, out = open_store(arguments.store, settings()), Path(arguments.out)
    with tempfile.TemporaryDirectory(prefix="geocrop-plan-") as scratch:
        asked = read_asked(arguments, settings(), Path(scratch))
    job = job_of(arguments.job, asked.request, store)
    plan = msgspec.structs.replace(make_plan(asked.request, asked.card, probe=not arguments.no_probe), job=job)
    store_plan(plan, asked.model_bytes, store, asked.points)
    stored = note_stored(plan, store)
    todo = [entry for entry in plan.tiles if entry.tile not in stored]
    size = arguments.tiles_per_pod or batch_size(_seconds(plan, todo, store), len(todo), arguments.slots)
    write_outputs(plan, todo, size, out)
    _log.info("plan.done", job=plan.job, tiles=len(plan.tiles), stored=len(stored), batch=size)
    return 0


def _seconds(plan: Plan, todo: Sequence[TilePlan], store: Store) -> float:
    return tile_seconds(plan, todo, store) if todo else 1.0


def write_outputs(plan: Plan, todo: Sequence[TilePlan], size: int, out: Path) -> None:
    """The outputs of the step, as the contract names them."""
    (out / "parts").mkdir(parents=True, exist_ok=True)
    groups = []
    for part in parts_of(plan, todo, size):
        (out / "parts" / f"{part.name}.json").write_bytes(msgspec.json.encode(part.plan))
        groups.append({"part": part.name, "batches": str(part.batches)})
    if not groups:  # a folder that is empty makes no artifact
        (out / "parts" / "none.json").write_text("{}", encoding="utf-8")
    (out / "plan.json").write_bytes(encode_plan(plan))
    (out / "groups.json").write_text(json.dumps(groups), encoding="utf-8")
    (out / "batch-size").write_text(str(size), encoding="utf-8")
    (out / "job").write_text(plan.job, encoding="utf-8")
