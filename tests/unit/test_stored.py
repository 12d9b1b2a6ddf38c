"""What of a plan lies in the store already."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from steps import naming
from steps.model.job import Reason, TileEmpty, TileJob, TileMapped
from steps.store import MemoryStore
from steps.testing import any_plan
from steps.tile import find_result, stored_results
from steps.work import note_stored


def put(store: MemoryStore, job: TileJob, state: str) -> None:
    """Leave a tile in the store: `whole`, `empty`, without its `raster`, or of `another` job."""
    facts = {"tile": job.tile, "planned_key": job.key, "key": job.key, "pixels": {}, "scenes": 0}
    result = TileEmpty(**facts, reason=Reason.ALL_CLOUD) if state == "empty" else TileMapped(**facts)
    key = "another" if state == "another" else job.key
    if state != "raster":
        store.put_bytes(naming.tile_raster_key(job.grid, job.tile, key), b"any")
    store.put_bytes(naming.tile_result_key(job.grid, job.tile, key), msgspec.json.encode(result))


@given(st.lists(st.sampled_from(["absent", "whole", "empty", "raster", "another"]), min_size=4, max_size=4))
def test_a_listing_finds_what_a_look_at_each_tile_finds(states: list[str]) -> None:
    """Only whole results of these very jobs count."""
    plan, store = any_plan(tiles=4), MemoryStore()
    for job, state in zip(plan.tile_jobs(), states, strict=True):
        if state != "absent":
            put(store, job, state)
    each = [found for job in plan.tile_jobs() if (found := find_result(job, store))]
    assert list(stored_results(plan, store)) == each
    assert len(each) == sum(state in {"whole", "empty"} for state in states)


class Counting(MemoryStore):
    """Knows how often it was asked."""

    asked = 0

    def exists(self, key: str) -> bool:
        """See Store."""
        self.asked += 1
        return super().exists(key)

    def get_bytes(self, key: str) -> bytes:
        """See Store."""
        self.asked += 1
        return super().get_bytes(key)


def test_what_is_not_there_is_not_asked_for() -> None:
    """A plan of new tiles costs listings alone; those that are there are read, and noted as the job's."""
    plan, store = any_plan(tiles=4), Counting()
    assert note_stored(plan, store) == set()
    assert store.asked == 0
    done = next(plan.tile_jobs())
    put(store, done, "whole")
    assert note_stored(plan, store) == {done.tile}
    assert store.asked == 1
    assert store.exists(naming.job_tile_key(plan.job, done.tile))
