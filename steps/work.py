"""Doing the tiles of a plan, one after the other. Pods and local workers both come through here."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import structlog

from steps import naming
from steps.errors import GeoCropError
from steps.log import configure
from steps.model.grid import TileId
from steps.model.job import Plan, TileFailed, TileJob, TileOutcome, TilePlan
from steps.settings import settings
from steps.store import Store, open_store
from steps.tile import TileMapper

_log = structlog.get_logger()


@functools.cache
def mapper_of(store_url: str, threads: int) -> TileMapper:
    """The mapper of a worker's process into a store; its compiled models stay from batch to batch."""
    configure(settings())
    return TileMapper(open_store(store_url, settings()), threads)


@functools.lru_cache(maxsize=2)
def load_plan(store_url: str, job: str) -> Plan:
    """The plan of a job, from its store."""
    return read_plan(open_store(store_url, settings()), job)


def read_plan(store: Store, job: str) -> Plan:
    """Raises MissingObject when the store knows no such job."""
    return msgspec.json.decode(store.get_bytes(naming.plan_key(job)), type=Plan)


def read_plan_file(path: str) -> Plan:
    """A plan written to a file by the step `plan` or by `geocrop quote --plan`."""
    return msgspec.json.decode(Path(path).read_bytes(), type=Plan)


def pick_tiles(plan: Plan, ids: Iterable[TileId]) -> Iterator[TilePlan]:
    """The plan's entries of some tiles; raises KeyError for a tile that is not of the plan."""
    planned = {entry.tile: entry for entry in plan.tiles}
    return (planned[tile] for tile in ids)


def map_batch(store_url: str, job: str, ids: tuple[TileId, ...], threads: int) -> list[TileOutcome]:
    """Do some tiles of a stored plan; one bad tile does not keep the others from being done."""
    plan = load_plan(store_url, job)
    mapper = mapper_of(store_url, threads)
    return list(do_tiles(mapper, plan, ids))


def do_tiles(mapper: TileMapper, plan: Plan, ids: Sequence[TileId]) -> Iterator[TileOutcome]:
    """Map tiles one after the other; each knows the later ones, so that blocks they share are decoded once."""
    entries = list(pick_tiles(plan, ids))
    for position, entry in enumerate(entries):
        yield _do_tile(mapper, plan, entry, [later.tile for later in entries[position + 1 :]])


def _do_tile(mapper: TileMapper, plan: Plan, entry: TilePlan, following: Sequence[TileId]) -> TileOutcome:
    """Map one tile and note in the store what became of it."""
    outcome = _attempt(mapper, plan.tile_job(entry), following)
    mapper.store.put_bytes(naming.job_tile_key(plan.job, entry.tile), msgspec.json.encode(outcome))
    return outcome


def _attempt(mapper: TileMapper, job: TileJob, following: Sequence[TileId]) -> TileOutcome:
    try:
        result = mapper.map(job, following)
    except GeoCropError as error:
        _log.error("tile.failed", tile=str(job.tile), error=str(error))
        return TileFailed(tile=job.tile, planned_key=job.key, error=str(error), exit_code=error.exit_code)
    _log.info("tile.done", tile=str(job.tile), key=result.key, seconds=result.seconds.get("total"))
    return result


def read_outcomes(plan: Plan, store: Store) -> dict[TileId, TileOutcome]:
    """What became of the plan's tiles so far; tiles never finished are absent."""
    outcomes: dict[TileId, TileOutcome] = {}
    for entry in plan.tiles:
        key = naming.job_tile_key(plan.job, entry.tile)
        if store.exists(key):
            outcomes[entry.tile] = msgspec.json.decode(store.get_bytes(key), type=TileOutcome)
    return outcomes
