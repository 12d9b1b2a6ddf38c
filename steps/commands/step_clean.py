"""Step `clean`: remove what no job refers to and nobody has written for long."""

import argparse
import datetime as dt
import sys

import structlog

from steps.cleaning import removable
from steps.settings import settings
from steps.store import open_store

_log = structlog.get_logger()


def run(arguments: argparse.Namespace) -> int:
    """Remove it, or only say what it is; says how many objects."""
    store = open_store(arguments.store, settings())
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=arguments.days)
    keys = list(removable(store, before))
    for key in keys:
        _log.info("object.removable", key=key)
        if not arguments.dry_run:
            store.delete(key)
    sys.stdout.write(f"{len(keys)} objects {'could go' if arguments.dry_run else 'removed'}\n")
    return 0
