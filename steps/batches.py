"""How the tiles of a plan are shared out among pods. Pure.

A pod does a batch of tiles, one after the other. Batches are counted within parts of the plan: a part is a plan of its
own with the scenes that its tiles need, small enough for every pod to fetch, and there are few enough of them to be a
parameter of a workflow.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from steps.model.job import Plan, TilePlan

POD_START_S = 10.0
"""Seconds of a pod that are not work: created, scheduled, started, fetched its part, imported, opened the files of its
scenes, reported. As measured where two pods share a core (docs/scale.md)."""
START_SHARE = 0.1
"""Most of a pod's time that its start may take."""
MOST = 256
"""Tiles of a batch at most: what a pod that dies takes with it."""
PODS = 8_000
"""Of a job at most: the status of a workflow has to fit into an object of etcd (docs/scale.md)."""
PART_TILES = 1024


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a plan and the number of its batches."""

    name: str
    plan: Plan
    batches: int


def batch_size(seconds: float, tiles: int, slots: int) -> int:
    """Tiles of a batch, of which each takes some seconds: pods are worth their start, busy, and not too many."""
    paid = math.ceil(POD_START_S * (1 / START_SHARE - 1) / max(seconds, 1e-3))
    shared = max(1, tiles // max(slots, 1))
    return max(1, min(paid, shared, MOST), math.ceil(tiles / PODS))


def parts_of(plan: Plan, entries: Sequence[TilePlan], size: int) -> Iterator[Part]:
    """The plan in parts, of some of its tiles in their order, in batches of `size`."""
    length = max(size, PART_TILES // size * size)
    for number, start in enumerate(range(0, len(entries), length)):
        chosen = entries[start : start + length]
        yield Part(name=f"{number:05d}", plan=part_of(plan, chosen), batches=math.ceil(len(chosen) / size))


def part_of(plan: Plan, entries: Sequence[TilePlan]) -> Plan:
    """The plan of some tiles alone, with the scenes that these need in their old order."""
    used = sorted({index for entry in entries for index in entry.scenes})
    place = {index: number for number, index in enumerate(used)}
    return msgspec.structs.replace(
        plan,
        scenes=tuple(plan.scenes[index] for index in used),
        tiles=tuple(
            TilePlan(tile=entry.tile, scenes=tuple(place[index] for index in entry.scenes)) for entry in entries
        ),
        offsets=(),
    )


def batch_of(plan: Plan, number: int, size: int) -> tuple[TilePlan, ...]:
    """The tiles of a batch of a part; empty beyond its end. Size 0: all of them."""
    return plan.tiles[number * size : (number + 1) * size] if size else plan.tiles
