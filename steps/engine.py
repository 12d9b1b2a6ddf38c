"""One job of the local engine, in a process of its own: `python -m steps.engine FOLDER`.

The folder says everything: `work.json` is what to do, `lock` is held while somebody does it, `outcome.json` is written
last. Whoever starts it may die meanwhile; whoever comes later reads the folder.
"""

import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec
import structlog

from steps import naming
from steps.documents import read_plan
from steps.errors import GeoCropError
from steps.extras import Extras
from steps.jobs import Workshop, make_map, unfinished
from steps.local import crew_of
from steps.log import configure
from steps.model.job import Coverage, MapRequest, Phase, Plan
from steps.outbox import home_outbox, send_notes
from steps.prepare import load_points, make_plan, store_plan
from steps.records import open_records
from steps.registry import pinned
from steps.settings import Settings, settings
from steps.store import open_store

WORK_FILE, LOCK_FILE, OUTCOME_FILE, LOG_FILE = "work.json", "lock", "outcome.json", "log.jsonl"
_log = structlog.get_logger()


class LocalWork(msgspec.Struct, frozen=True, kw_only=True):
    """What to do."""

    job: str
    request: MapRequest
    store: str
    probe: bool = True
    resume: bool = False
    """Whether only the unfinished tiles of the stored plan are done."""


class LocalOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    phase: Phase
    href: str = ""
    error: str = ""


def do_work(work: LocalWork, settings: Settings) -> LocalOutcome:
    """Plan and carry out; an expected error is an outcome."""
    store = open_store(work.store, settings)
    shop = Workshop(settings, store, work.store, open_records(settings), crew_of(settings))
    try:
        plan = _planned(work, shop)
        ids = unfinished(plan, store) if work.resume else None
        coverage = make_map(plan, shop, Extras(), ids)
    except GeoCropError as error:
        _log.error("job.failed", job=work.job, error=str(error))
        return LocalOutcome(phase=Phase.FAILED, error=str(error))
    return _outcome(plan, coverage, shop)


def _planned(work: LocalWork, shop: Workshop) -> Plan:
    if work.resume and shop.store.exists(naming.plan_key(work.job)):
        return read_plan(shop.store, work.job)
    model = pinned(work.request.model, shop.settings)
    plan = msgspec.structs.replace(make_plan(work.request, model.card, probe=work.probe), job=work.job)
    store_plan(plan, model.model_bytes, shop.store, load_points(str(model.folder), model.card))
    _log.info("job.planned", job=work.job, tiles=len(plan.tiles), scenes=len(plan.scenes))
    return plan


def _outcome(plan: Plan, coverage: Coverage, shop: Workshop) -> LocalOutcome:
    if coverage.phase is Phase.FAILED:
        wanted = plan.request.options.min_coverage
        return LocalOutcome(
            phase=Phase.FAILED, error=f"{coverage.share:.1%} of the area could be mapped, {wanted:.0%} is asked for"
        )
    return LocalOutcome(phase=coverage.phase, href=shop.store.href(naming.item_key(plan.job)))


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold a folder's lock, with our process id in it; False when somebody else does."""
    with (folder / LOCK_FILE).open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        yield True


def main() -> int:
    """Do the work of a folder, once; 0 also when there is nothing to do."""
    folder = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, _stop)
    configure(settings())
    with held(folder) as ours:
        if ours and not (folder / OUTCOME_FILE).exists():
            work = msgspec.json.decode((folder / WORK_FILE).read_bytes(), type=LocalWork)
            write_outcome(folder, do_work(work, settings()))
            send_notes(home_outbox(settings()), settings())  # nobody who waits for the map waits for the registry
    return 0


def write_outcome(folder: Path, outcome: LocalOutcome) -> None:
    """Whole or not at all."""
    part = folder / f"{OUTCOME_FILE}.part"
    part.write_bytes(msgspec.json.encode(outcome))
    part.replace(folder / OUTCOME_FILE)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM unwinds the stack, so that temporary files go."""
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
