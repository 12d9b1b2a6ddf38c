"""The local engine: a plan's tiles on a Dask LocalCluster of this machine.

Workers run whole tiles, in batches of neighbours that share decoded blocks. Each worker is a process of its own with a
bound on its memory; a batch whose worker dies is done again, and finds in the store what it had finished.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.model.grid import TileId
from steps.model.job import Plan, TileFailed, TileOutcome
from steps.settings import Settings
from steps.work import do_tiles, load_plan, map_batch, mapper_of

if TYPE_CHECKING:
    import distributed

OnDone = Callable[[TileOutcome], None]
_BATCHES_PER_WORKER = 4
_BATCH_MAX = 8
_WORKER_DEATHS = 2


@dataclass(frozen=True, slots=True)
class Crew:
    """How the machine is shared out."""

    workers: int
    threads: int
    """Per worker."""
    memory_mb: int
    """Per worker; a worker that exceeds it is ended and its batch done again."""


def crew_of(settings: Settings, workers: int = 0) -> Crew:
    """As many workers as cores and memory allow, unless told."""
    cores = len(os.sched_getaffinity(0))
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    fitting = max(1, min(cores, int(memory_mb * 0.8) // settings.worker_memory_mb))
    count = workers or settings.workers or fitting
    return Crew(workers=count, threads=max(1, cores // count), memory_mb=settings.worker_memory_mb)


def run_tiles(plan: Plan, ids: Sequence[TileId], store_url: str, crew: Crew, on_done: OnDone) -> None:
    """Do some tiles of a stored plan; `on_done` hears of each as its batch ends.

    A single batch, or all that a single worker would do, is done in this process: a cluster would only cost its start.
    """
    batches = list(batches_of(ids, crew.workers))
    if len(batches) <= 1 or crew.workers == 1:
        mapper = mapper_of(store_url, crew.threads * crew.workers)
        for outcome in do_tiles(mapper, load_plan(store_url, plan.job), ids):
            on_done(outcome)
        return
    _run_on_cluster(plan, batches, store_url, crew, on_done)


def batches_of(ids: Sequence[TileId], workers: int) -> Iterator[tuple[TileId, ...]]:
    """Runs of neighbouring tiles: some for every worker, so that none waits long for the last."""
    size = max(1, min(_BATCH_MAX, len(ids) // (workers * _BATCHES_PER_WORKER)))
    return (tuple(ids[start : start + size]) for start in range(0, len(ids), size))


def _run_on_cluster(
    plan: Plan, batches: Sequence[tuple[TileId, ...]], store_url: str, crew: Crew, on_done: OnDone
) -> None:
    keys = {tile.tile: plan.tile_job(tile).key for tile in plan.tiles}
    calls = [(store_url, plan.job, batch, crew.threads) for batch in batches]
    for number, found in on_cluster(crew, map_batch, calls):
        lost = isinstance(found, BaseException)
        for outcome in [_lost(tile, keys[tile], found) for tile in batches[number]] if lost else found:
            on_done(outcome)


def on_cluster(crew: Crew, task: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
    """Do a task with each of some arguments in worker processes; number and result of each call as it ends.

    In place of a result stands the error of a call that failed, or whose worker died too often.
    """
    from distributed import as_completed  # noqa: PLC0415 - takes a second to import

    with _client(crew) as client:
        futures = {client.submit(task, *call, pure=False, retries=0): number for number, call in enumerate(calls)}
        for future in as_completed(futures):
            yield futures[future], future.exception() or future.result()


def _lost(tile: TileId, key: str, error: BaseException) -> TileFailed:
    """Killed more often than allowed, or failed in a way that nobody foresaw."""
    return TileFailed(tile=tile, planned_key=key, error=f"worker lost: {error!r}", exit_code=75)


@contextlib.contextmanager
def _client(crew: Crew) -> "Iterator[distributed.Client]":
    import dask  # noqa: PLC0415
    import distributed  # noqa: PLC0415

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    config = {
        "distributed.scheduler.allowed-failures": _WORKER_DEATHS,
        "distributed.worker.daemon": True,
        "distributed.admin.tick.limit": "1h",
    }
    with (
        dask.config.set(config),
        distributed.LocalCluster(
            n_workers=crew.workers,
            threads_per_worker=1,
            memory_limit=f"{crew.memory_mb}MiB",
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # without one it takes port 8787, which another job may have
            scheduler_kwargs={"dashboard": False},
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
