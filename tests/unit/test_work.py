"""What workers note of tiles in the store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from steps import naming
from steps.errors import DataError, StoreError
from steps.log import configure, is_json
from steps.model.grid import TileId
from steps.model.job import TileJob, TileMapped, TileResult
from steps.settings import Settings
from steps.store import MemoryStore
from steps.testing import any_plan
from steps.tile import TileMapper
from steps.work import do_tiles, mapper_of


@dataclass(slots=True)
class LookingMapper(TileMapper):
    """Looks at a job's notes while it works; fails one tile."""

    bad: TileId | None = None
    seen: list[list[str]] = field(default_factory=list)

    def map(self, job: TileJob, following: Sequence[TileId] = ()) -> TileResult:  # noqa: ARG002
        """See TileMapper."""
        self.seen.append([key.rpartition("/")[2] for key in self.store.list("plans/")])
        if job.tile == self.bad:
            raise DataError("any", "any")
        return TileMapped(tile=job.tile, planned_key=job.key, key=job.key, pixels={}, scenes=0)


def test_a_tile_is_noted_as_begun_while_it_is_worked_on() -> None:
    """And no longer, however it ends."""
    plan = any_plan(tiles=2)
    first, second = (entry.tile for entry in plan.tiles)
    mapper = LookingMapper(MemoryStore(), threads=1, bad=first)
    assert len(list(do_tiles(mapper, plan, [first, second]))) == 2
    assert mapper.seen == [[f"{first}.begun"], [f"{first}.json", f"{second}.begun"]]
    assert not mapper.store.exists(naming.begun_key(plan.job, second))


class Deaf(MemoryStore):
    """Takes no notes of beginnings."""

    def put_bytes(self, key: str, data: bytes) -> None:
        """See Store."""
        if key.endswith(naming.BEGUN):
            raise StoreError("any", "any")
        super().put_bytes(key, data)


def test_a_beginning_that_cannot_be_noted_keeps_no_tile_from_being_done() -> None:
    """It only looks as if it waited."""
    plan = any_plan(tiles=1)
    (outcome,) = do_tiles(LookingMapper(Deaf(), threads=1), plan, [plan.tiles[0].tile])
    assert isinstance(outcome, TileMapped)


def test_making_a_mapper_leaves_the_log_as_it_is(tmp_path: Path) -> None:
    """It may be made in the process of a command, whose log has begun."""
    configure(Settings(home=tmp_path), "json")
    mapper_of(str(tmp_path), 1)
    assert is_json()
