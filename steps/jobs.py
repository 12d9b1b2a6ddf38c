"""A job from its plan to its published map, on this machine."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog

from steps.calibration import learn
from steps.extras import Extras
from steps.gate import failure
from steps.local import Crew, run_tiles
from steps.map_notes import keep_map
from steps.model.grid import TileId
from steps.model.job import (
    SCENES_LEFT_OUT,
    Coverage,
    JobRecord,
    Phase,
    Plan,
    TileEmpty,
    TileFailed,
    TileMapped,
    TileOutcome,
)
from steps.outbox import home_outbox, send_notes
from steps.progress import Advance, stage
from steps.publish import gate_job, mosaic_job, publish_job
from steps.records import Records
from steps.settings import Settings
from steps.store import Store
from steps.tile import stored_results
from steps.work import read_outcomes

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where a job's results and records go, and who works on it."""

    settings: Settings
    store: Store
    store_url: str
    records: Records
    crew: Crew


def carry_out(plan: Plan, shop: Workshop, extras: Extras, ids: Sequence[TileId] | None = None) -> Coverage:
    """Make the map, and tell the registry of models."""
    coverage = make_map(plan, shop, extras, ids)
    send_notes(home_outbox(shop.settings), shop.settings)
    return coverage


def make_map(plan: Plan, shop: Workshop, extras: Extras, ids: Sequence[TileId] | None = None) -> Coverage:
    """Do the plan's tiles (or some of them), judge, and publish what passes. The job's record follows.

    A map that was published before is replaced only when the new one passes the gate.
    """
    record = _begin(plan, shop)
    try:
        computed = _do_tiles(plan, shop, record, [entry.tile for entry in plan.tiles] if ids is None else ids)
        learn(plan, computed, shop.settings)
        coverage = gate_job(plan, shop.store)
        href = ""
        if coverage.phase is not Phase.FAILED:
            mosaic_job(plan, shop.store, extras)
            href = publish_job(plan, shop.store, coverage, extras)
    except BaseException as error:
        _end(record, shop, Phase.FAILED, error=f"{type(error).__name__}: {error}")
        raise
    failed = coverage.phase is Phase.FAILED
    why = failure(plan.job, coverage, read_outcomes(plan, shop.store)).what if failed else ""
    _end(record, shop, coverage.phase, href=href, error=why)
    if href:
        keep_map(plan, coverage, shop.store, home_outbox(shop.settings))
    return coverage


def unfinished(plan: Plan, store: Store) -> list[TileId]:
    """Tiles that failed, were never finished, or are empty only because their scenes could not be read."""
    outcomes = read_outcomes(plan, store)
    return [entry.tile for entry in plan.tiles if _is_unfinished(outcomes.get(entry.tile))]


def _is_unfinished(outcome: TileOutcome | None) -> bool:
    if isinstance(outcome, TileEmpty):
        return outcome.reason in SCENES_LEFT_OUT
    return not isinstance(outcome, TileMapped)


def stored_tiles(plan: Plan, store: Store) -> set[TileId]:
    """Tiles of the plan whose pixels lie in the store already."""
    return {result.tile for result in stored_results(plan, store)}


def _do_tiles(plan: Plan, shop: Workshop, record: JobRecord, ids: Sequence[TileId]) -> list[TileOutcome]:
    """What was computed. Stored tiles need no worker: they are only noted as this job's."""
    stored = stored_tiles(plan, shop.store)
    computed: list[TileOutcome] = []
    idle = Crew(workers=1, threads=1, memory_mb=shop.crew.memory_mb)
    with stage("tiles", len(ids)) as advance:
        on_done = _Note(record, shop.records, advance)
        for tile in ids:
            if tile in stored:
                run_tiles(plan, [tile], shop.store_url, idle, on_done)

        def on_computed(outcome: TileOutcome) -> None:
            computed.append(outcome)
            on_done(outcome)

        run_tiles(plan, [tile for tile in ids if tile not in stored], shop.store_url, shop.crew, on_computed)
    return computed


@dataclass(frozen=True, slots=True)
class _Note:
    """Keeps a tile's record and moves the bar."""

    record: JobRecord
    records: Records
    advance: Advance

    def __call__(self, outcome: TileOutcome) -> None:
        self.records.save_tile(self.record, outcome.tile, *told(outcome))
        self.advance(1, str(outcome.tile))


def told(outcome: TileOutcome) -> tuple[Phase, str, float]:
    """What people are told of a tile: its phase, why it has no pixel or failed, and its seconds."""
    if isinstance(outcome, TileFailed):
        return Phase.FAILED, outcome.error, 0.0
    reason = str(outcome.reason) if isinstance(outcome, TileEmpty) else ""
    return Phase.SUCCEEDED, reason, outcome.seconds.get("total", 0.0)


def _begin(plan: Plan, shop: Workshop) -> JobRecord:
    now = dt.datetime.now(dt.UTC)
    record = JobRecord(
        id=plan.job,
        request=plan.request,
        phase=Phase.RUNNING,
        tiles={Phase.QUEUED: len(plan.tiles)},
        store=shop.store_url,
        created=now,
        updated=now,
    )
    shop.records.save_job(record)
    _log.info("job.started", job=plan.job, tiles=len(plan.tiles), scenes=len(plan.scenes))
    return record


def _end(record: JobRecord, shop: Workshop, phase: Phase, *, href: str = "", error: str = "") -> None:
    done = msgspec.structs.replace(record, phase=phase, href=href, error=error, updated=dt.datetime.now(dt.UTC))
    shop.records.save_job(done)
    _log.info("job.done", job=record.id, phase=str(phase), href=href)
