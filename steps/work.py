"""Doing the tiles of a plan, one after the other. Pods and local workers both come through here."""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from steps import naming
from steps.documents import decoded, read_plan
from steps.errors import DataError, GeoCropError, UsageError
from steps.log import configure
from steps.model.grid import TileId
from steps.model.job import Plan, TileFailed, TileJob, TileOutcome, TilePlan
from steps.settings import settings
from steps.store import Store, open_store
from steps.tile import TileMapper, stored_results

T = TypeVar("T")
_log = structlog.get_logger()


@functools.cache
def mapper_of(store_url: str, threads: int) -> TileMapper:
    """The mapper of a process into a store; its compiled models stay from batch to batch."""
    return TileMapper(open_store(store_url, settings()), threads)


@functools.lru_cache(maxsize=2)
def load_plan(store_url: str, job: str) -> Plan:
    """The plan of a job, from its store."""
    return read_plan(open_store(store_url, settings()), job)


def read_plan_file(path: str) -> Plan:
    """A plan written to a file by the step `plan` or by `geocrop quote --plan`. Raises UsageError or DataError."""
    return read_file(path, Plan, "plan", "give the file that the step `plan` or `geocrop quote --plan` wrote")


def read_file(path: str, kind: type[T], name: str, remedy: str) -> T:
    """A struct from a JSON file. Raises UsageError for a file that cannot be read, DataError for what it holds."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=kind)
    except msgspec.DecodeError as error:
        raise DataError(f"{path} is no {name}: {error}", remedy) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} {path} cannot be read: {getattr(error, 'strerror', error)}", remedy) from error


def pick_tiles(plan: Plan, ids: Iterable[TileId]) -> Iterator[TilePlan]:
    """The plan's entries of some tiles; raises UsageError for a tile that is not of the plan."""
    planned = {entry.tile: entry for entry in plan.tiles}
    chosen = list(ids)
    if others := [tile for tile in chosen if tile not in planned]:
        raise UsageError(f"tile {others[0]} is not of the plan of job {plan.job}", "see the plan's `tiles`")
    return (planned[tile] for tile in chosen)


def map_batch(store_url: str, job: str, ids: tuple[TileId, ...], threads: int) -> list[TileOutcome]:
    """Do some tiles of a stored plan, in a process of its own; one bad tile keeps no other from being done."""
    configure(settings())
    plan = load_plan(store_url, job)
    mapper = mapper_of(store_url, threads)
    return list(do_tiles(mapper, plan, ids))


def do_tiles(mapper: TileMapper, plan: Plan, ids: Sequence[TileId]) -> Iterator[TileOutcome]:
    """Map tiles one after the other; each knows the later ones, so that blocks they share are decoded once."""
    entries = list(pick_tiles(plan, ids))
    for position, entry in enumerate(entries):
        yield _do_tile(mapper, plan, entry, [later.tile for later in entries[position + 1 :]])


def _do_tile(mapper: TileMapper, plan: Plan, entry: TilePlan, following: Sequence[TileId]) -> TileOutcome:
    """Map one tile, and note in the store that it has begun and what became of it."""
    begun = naming.begun_key(plan.job, entry.tile)
    with contextlib.suppress(GeoCropError):  # whoever looks sees it waiting instead
        mapper.store.put_bytes(begun, b"")
    outcome = _attempt(mapper, plan.tile_job(entry), following)
    mapper.store.put_bytes(naming.job_tile_key(plan.job, entry.tile), msgspec.json.encode(outcome))
    with contextlib.suppress(GeoCropError):
        mapper.store.delete(begun)
    return outcome


def _attempt(mapper: TileMapper, job: TileJob, following: Sequence[TileId]) -> TileOutcome:
    try:
        result = mapper.map(job, following)
    except GeoCropError as error:
        _log.error("tile.failed", tile=str(job.tile), error=str(error))
        return TileFailed(tile=job.tile, planned_key=job.key, error=str(error), exit_code=error.exit_code)
    _log.info("tile.done", tile=str(job.tile), key=result.key, seconds=result.seconds.get("total"))
    return result


def note_stored(plan: Plan, store: Store) -> set[TileId]:
    """The tiles that lie in the store already, each noted as this job's, so that no worker has to."""
    stored = set()
    for result in stored_results(plan, store):
        store.put_bytes(naming.job_tile_key(plan.job, result.tile), msgspec.json.encode(result))
        stored.add(result.tile)
    return stored


def read_outcomes(plan: Plan, store: Store) -> dict[TileId, TileOutcome]:
    """What became of the plan's tiles so far; tiles never finished are absent."""
    outcomes: dict[TileId, TileOutcome] = {}
    for entry in plan.tiles:
        key = naming.job_tile_key(plan.job, entry.tile)
        if store.exists(key):
            outcomes[entry.tile] = decoded(store, key, TileOutcome)
    return outcomes
