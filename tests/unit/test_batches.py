"""How tiles are shared out among pods."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.batches import MOST, POD_START_S, PODS, START_SHARE, batch_of, batch_size, part_of, parts_of
from steps.model.grid import TileId
from steps.model.job import TilePlan
from steps.testing import any_plan


@given(st.floats(0.001, 1000), st.integers(1, 200_000), st.integers(1, 64))
def test_pods_are_worth_their_start_and_no_slot_is_free(seconds: float, tiles: int, slots: int) -> None:
    """A batch is long enough for its start, unless that left slots without one, or is the most that may be lost."""
    size = batch_size(seconds, tiles, slots)
    paid = POD_START_S / (POD_START_S + size * seconds) <= START_SHARE + 1e-9
    assert paid or size in {max(1, tiles // slots), MOST, -(-tiles // PODS)}
    assert 1 <= size <= MOST
    assert -(-tiles // size) <= PODS
    assert -(-tiles // size) >= min(slots, tiles)


@given(st.integers(0, 60), st.integers(1, 7))
def test_parts_and_batches_hold_each_tile_once(tiles: int, size: int) -> None:
    """All batches of all parts, one after the other, are the plan's tiles, each with its own scenes."""
    plan = any_plan(tiles=max(tiles, 1), scenes=4)
    entries = [
        TilePlan(tile=entry.tile, scenes=tuple(sorted({number % 4, 3}))) for number, entry in enumerate(plan.tiles)
    ]
    whole = msgspec.structs.replace(plan, tiles=tuple(entries))
    todo = entries[:tiles]
    jobs = []
    for part in parts_of(whole, todo, size):
        batches = [batch_of(part.plan, number, size) for number in range(part.batches)]
        assert all(batches)
        assert batch_of(part.plan, part.batches, size) == ()
        jobs += [part.plan.tile_job(entry).key for entry in itertools.chain(*batches)]
    assert jobs == [whole.tile_job(entry).key for entry in todo]


def test_a_part_has_only_the_scenes_that_it_needs() -> None:
    """A pod fetches no more than its tiles are made of."""
    plan = any_plan(tiles=1, scenes=5)
    part = part_of(plan, [TilePlan(tile=plan.tiles[0].tile, scenes=(1, 4))])
    assert part.scenes == (plan.scenes[1], plan.scenes[4])
    assert part.job == plan.job


def test_the_parameter_of_100_000_tiles_is_small() -> None:
    """Its parts, as a workflow's parameter, are far below Argo's 256 kB, also with a pod for each tile."""
    plan = any_plan(tiles=1, scenes=1)
    entries = [TilePlan(tile=TileId(row=row, col=col), scenes=(0,)) for row in range(100) for col in range(1000)]
    groups = [{"part": part.name, "batches": str(part.batches)} for part in parts_of(plan, entries, 1)]
    assert sum(int(group["batches"]) for group in groups) == 100_000
    assert len(msgspec.json.encode(groups)) < 10_000


@pytest.mark.parametrize(("number", "size", "count"), [(0, 0, 5), (0, 2, 2), (2, 2, 1), (3, 2, 0)])
def test_a_batch_is_a_run_of_tiles(number: int, size: int, count: int) -> None:
    """Size 0 is all of them; beyond the end there are none."""
    assert len(batch_of(any_plan(tiles=5), number, size)) == count
