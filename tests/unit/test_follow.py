"""Who follows a pod's tiles."""

from pathlib import Path

from steps.follow import Follower, reason_of
from steps.model.job import Reason, TileEmpty, TileFailed, TileMapped
from steps.settings import Settings
from steps.testing import any_plan

TILE = any_plan().tiles[0].tile
MAPPED = TileMapped(tile=TILE, planned_key="k", key="k", pixels={Reason.MAPPED: 1}, scenes=1)


def test_progress_is_done_of_total(tmp_path: Path) -> None:
    """As Argo reads it, from the start on."""
    file = tmp_path / "progress"
    follower = Follower(2, Settings(home=tmp_path, progress_file=str(file)))
    assert file.read_text(encoding="utf-8") == "0/2"
    follower.note()
    assert file.read_text(encoding="utf-8") == "1/2"


def test_a_progress_file_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    """A tile is worth more."""
    Follower(1, Settings(home=tmp_path, progress_file=str(tmp_path / "no/folder"))).note()


def test_reasons_are_of_what_is_not_mapped() -> None:
    """A failure says its error, an empty tile its reason, a mapped one nothing."""
    assert reason_of(MAPPED) == ""
    assert reason_of(TileFailed(tile=TILE, planned_key="k", error="why", exit_code=75)) == "why"
    empty = TileEmpty(tile=TILE, planned_key="k", key="k", reason=Reason.ALL_CLOUD, pixels={})
    assert reason_of(empty) == "all-cloud"
