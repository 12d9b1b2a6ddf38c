"""`geocrop fetch`: fill the block cache, so that a plan works offline."""

import argparse
import sys

from steps.blocks import fetch_plan
from steps.progress import stage
from steps.recall import remember
from steps.settings import settings
from steps.work import read_plan_file


def run(arguments: argparse.Namespace) -> int:
    """Bring the blocks that the plan's tiles read into the cache on disk."""
    plan = read_plan_file(arguments.plan)
    assets = sum(len(scene.assets) for scene in plan.scenes)
    with stage("fetch", assets) as advance:
        report = fetch_plan(plan, settings(), advance)
    remember(plan, settings())
    sys.stdout.write(f"{report}\n")
    return 0
