"""`geocrop quote`: what a run would cost."""

import argparse
import sys
from pathlib import Path

import msgspec

from steps.calibration import load
from steps.extras import Extras
from steps.jobs import stored_tiles
from steps.local import crew_of
from steps.prepare import encode_plan
from steps.quote import quote
from steps.recall import plan_of_map
from steps.requests import build_request
from steps.settings import settings
from steps.store import open_store


def run(arguments: argparse.Namespace) -> int:
    """Plan and count; nothing is written but the plan, under the home folder and where asked."""
    Extras.of(arguments)
    request, card = build_request(arguments, settings())
    plan = plan_of_map(request, card, settings(), probe=not arguments.no_probe)
    stored = {str(tile) for tile in stored_tiles(plan, open_store(arguments.out, settings()))}
    answer = quote(plan, load(settings()), stored, crew_of(settings(), arguments.workers).workers)
    if arguments.plan:
        Path(arguments.plan).write_bytes(encode_plan(plan))
    text = msgspec.json.format(msgspec.json.encode(answer)).decode() if arguments.json else str(answer)
    sys.stdout.write(text + "\n")
    return 0
