"""From the store to the records: what was planned, and what became of each tile, whichever engine did it.

Tiles are told by the notes that workers leave in the store, so that no worker needs the database or this API.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import structlog

from api.clock import now
from api.context import Context
from api.database.jobs import JobRow, describe, find_job
from api.database.records import hold_objects, put_item
from api.database.tiles import TileRow, add_event, list_tiles, put_tiles
from api.schemas import PlannedEvent, TilesEvent
from api.views import counts, tile_properties
from steps import naming
from steps.errors import GeoCropError
from steps.model.grid import TileGrid
from steps.model.job import Phase, TileEmpty, TileFailed, TileOutcome

_BATCH = 500
_log = structlog.get_logger()


class Feed:
    """Remembers what was told of the tiles of active jobs; a note of a failed tile may still be replaced."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._told: dict[str, dict[str, str]] = {}

    async def follow(self, job: JobRow) -> None:
        """Take in what is new of a job; nothing happens where there is nothing."""
        if job.total == 0 and not await self._planned(job):
            return
        if job.id not in self._told:
            self._told[job.id] = await self._known(job)
        told = self._told[job.id]
        fresh = await asyncio.to_thread(self._notes, job.id, told)
        for start in range(0, len(fresh), _BATCH):
            await self._tell(job, [tile for tile, _ in fresh[start : start + _BATCH]])
        await self._hold(job, [key for _, keys in fresh for key in keys])
        told.update({tile.tile: tile.phase for tile, _ in fresh})

    async def end(self, job: JobRow) -> None:
        """A job is over: nobody works on its tiles any more, and no more is read of it."""
        async with self._context.database.read() as connection:
            tiles = await list_tiles(connection, job.id)
        left = [TileRow(tile=tile.tile, phase=Phase.QUEUED) for tile in tiles if tile.phase == Phase.RUNNING]
        for start in range(0, len(left), _BATCH):
            await self._tell(job, left[start : start + _BATCH])
        self.forget(job.id)

    def forget(self, job: str) -> None:
        """A job that ended, or begins anew."""
        self._told.pop(job, None)

    async def publish(self, job: JobRow) -> str:
        """Keep the item of a published map for searches; its href, empty where there is none."""
        item = await asyncio.to_thread(self._item, job.id)
        if item is None:
            return ""
        async with self._context.database.write() as connection:
            await put_item(connection, job.id, msgspec.json.encode(item).decode(), now())
        return self._context.store.href(naming.item_key(job.id))

    def _item(self, job: str) -> dict[str, Any] | None:
        """Without the plan, which may be large: the store has it."""
        key = naming.item_key(job)
        if not self._context.store.exists(key):
            return None
        item: dict[str, Any] = msgspec.json.decode(self._context.store.get_bytes(key))
        properties = {name: value for name, value in item["properties"].items() if name not in _HEAVY}
        return {**item, "properties": properties}

    async def _known(self, job: JobRow) -> dict[str, str]:
        async with self._context.database.read() as connection:
            return {tile.tile: tile.phase for tile in await list_tiles(connection, job.id)}

    async def _planned(self, job: JobRow) -> bool:
        """Take in a plan; False while there is none."""
        context = self._context
        if not await asyncio.to_thread(context.store.exists, naming.plan_key(job.id)):
            return False
        facts = await context.desk.ask("plan", job=job.id, store=context.store_url)
        tiles = [
            TileRow(tile=tile, phase=Phase.QUEUED, outline=msgspec.json.encode(outline).decode())
            for tile, outline in facts["tiles"].items()
        ]
        async with context.database.write() as connection:
            await hold_objects(connection, job.id, facts["objects"])
            await put_tiles(connection, job.id, tiles)
            if job.box is None:
                await describe(connection, job.id, _described(facts))
            fresh = await find_job(connection, job.id)
            if fresh is not None:
                await add_event(
                    connection, job.id, "planned", msgspec.json.encode(PlannedEvent(counts=counts(fresh))), now()
                )
        context.hub.tell(job.id)
        return True

    def _notes(self, job: str, told: dict[str, str]) -> list[tuple[TileRow, list[str]]]:
        """Tiles with news, and the shared objects that they are made of."""
        store = self._context.store
        grid: TileGrid | None = None
        begun, done = _sorted(store.list(naming.job_tiles_prefix(job)))
        new = sorted(name for name in begun - done.keys() if told.get(name) == Phase.QUEUED)
        fresh: list[tuple[TileRow, list[str]]] = [(TileRow(tile=name, phase=Phase.RUNNING), []) for name in new]
        for name, key in done.items():
            if told.get(name) == Phase.SUCCEEDED:
                continue
            try:
                outcome = msgspec.json.decode(store.get_bytes(key), type=TileOutcome)
            except (GeoCropError, msgspec.DecodeError) as error:
                _log.warning("feed.note_unread", job=job, tile=name, error=str(error))
                continue
            grid = grid or self._grid(job)
            fresh.append((_tile(outcome), _keys(outcome, grid)))
        return fresh

    def _grid(self, job: str) -> TileGrid:
        plan = msgspec.json.decode(self._context.store.get_bytes(naming.plan_key(job)), type=_PlanGrid)
        return plan.grid

    async def _tell(self, job: JobRow, tiles: Sequence[TileRow]) -> None:
        """Write down tiles that have changed, and say so."""
        context = self._context
        async with context.database.write() as connection:
            before = {tile.tile: tile for tile in await list_tiles(connection, job.id)}
            changed = [tile for tile in tiles if _differs(tile, before.get(tile.tile))]
            if not changed:
                return
            await put_tiles(connection, job.id, changed)
            fresh = await find_job(connection, job.id)
            if fresh is None:
                return
            event = TilesEvent(tiles=[tile_properties(tile) for tile in changed], counts=counts(fresh))
            await add_event(connection, job.id, "tiles", msgspec.json.encode(event), now())
        context.hub.tell(job.id)

    async def _hold(self, job: JobRow, keys: Sequence[str]) -> None:
        if keys:
            async with self._context.database.write() as connection:
                await hold_objects(connection, job.id, keys)


def _sorted(keys: Iterable[str]) -> tuple[set[str], dict[str, str]]:
    """Notes of tiles: the names of those that have begun, and the notes of what became of others by their names."""
    begun, done = set(), {}
    for key in keys:
        name = key.rpartition("/")[2]
        if name.endswith(naming.BEGUN):
            begun.add(name.removesuffix(naming.BEGUN))
        else:
            done[name.removesuffix(".json")] = key
    return begun, done


_TILE_OBJECTS = (naming.tile_raster_key, naming.tile_result_key, naming.tile_drift_key)
_HEAVY = {"geocrop:plan", "geocrop:tiles", "geocrop:offsets", "geocrop:left_out"}


class _PlanGrid(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a plan that is needed here."""

    grid: TileGrid


def _tile(outcome: TileOutcome) -> TileRow:
    if isinstance(outcome, TileFailed):
        return TileRow(tile=str(outcome.tile), phase=Phase.FAILED, reason=outcome.error)
    reason = str(outcome.reason) if isinstance(outcome, TileEmpty) else ""
    seconds = outcome.seconds.get("total", 0.0)
    return TileRow(tile=str(outcome.tile), phase=Phase.SUCCEEDED, reason=reason, seconds=seconds)


def _keys(outcome: TileOutcome, grid: TileGrid) -> list[str]:
    """A tile made without some of its scenes lies under another key than planned."""
    if isinstance(outcome, TileFailed):
        return []
    return [make(grid, outcome.tile, outcome.key) for make in _TILE_OBJECTS]


def _differs(tile: TileRow, before: TileRow | None) -> bool:
    return before is None or (tile.phase, tile.reason, tile.seconds) != (before.phase, before.reason, before.seconds)


def _described(facts: dict[str, Any]) -> dict[str, Any]:
    """What a plan tells of a job that was not submitted here."""
    request, (west, south, east, north) = facts["request"], facts["bbox"]
    return {
        "name": request["aoi"]["name"],
        "season_start": request["season"]["start"],
        "season_end": request["season"]["end"],
        "model_name": request["model"]["name"],
        "model_version": request["model"]["version"],
        "model_digest": request["model"]["digest"],
        "collection": request["collection"],
        "area_km2": facts["area_km2"],
        "west": west,
        "south": south,
        "east": east,
        "north": north,
    }
