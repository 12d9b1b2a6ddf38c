"""What of a store can go."""

import datetime as dt
import os
from pathlib import Path

import msgspec
import pytest

from steps import naming
from steps.cleaning import held, removable
from steps.store import FolderStore
from steps.testing import any_plan

NOW = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)


def store_of(folder: Path, ages: dict[str, int]) -> FolderStore:
    """Objects by key, of some days of age."""
    store = FolderStore(folder)
    for key, days in ages.items():
        store.put_bytes(key, b"any")
        when = (NOW - dt.timedelta(days=days)).timestamp()
        os.utime(folder / key, (when, when))
    return store


def test_old_tiles_and_files_of_workflows_go(tmp_path: Path) -> None:
    """Young ones stay, and so does everything else."""
    store = store_of(
        tmp_path,
        {
            "tiles/g/r00001c00001/a.tif": 100,
            "tiles/g/r00002c00001/a.tif": 5,
            "workflows/w/plan.json": 100,
            "workflows/v/plan.json": 5,
            "maps/j/map.tif": 100,
            "plans/j/plan.json": 100,
            "models/m/model.json": 100,
            "requests/j.json": 100,
            "baselines/dynamic-world/2020.tif": 100,
        },
    )
    found = sorted(removable(store, NOW - dt.timedelta(days=90)))
    assert found == ["tiles/g/r00001c00001/a.tif", "workflows/w/plan.json"]


@pytest.mark.parametrize("days", [1, 1000])
def test_what_a_kept_job_refers_to_stays(tmp_path: Path, days: int) -> None:
    """However old both are; another tile in the same place goes, and so does one of which nothing is noted."""
    ages = {f"tiles/g/r00001c0000{tile}/{key}.json": 100 for tile in (1, 2) for key in "ab"}
    store = store_of(tmp_path, ages | {"plans/j/tiles/r00001c00001.json": days})
    store.put_bytes("plans/j/tiles/r00001c00001.json", b'{"type": "mapped", "key": "a"}')
    gone = set(removable(store, NOW - dt.timedelta(days=90)))
    assert gone == ages.keys() - {"tiles/g/r00001c00001/a.json"}


@pytest.mark.parametrize("note", ["r00001c00001.begun", "r00001c00001.json"])
def test_a_tile_that_somebody_works_on_stays(tmp_path: Path, note: str) -> None:
    """Nobody knows yet which one it will be; nor where a note cannot be read."""
    ages = {"tiles/g/r00001c00001/a.json": 100, "tiles/g/r00002c00001/a.json": 100, f"plans/j/tiles/{note}": 1}
    gone = list(removable(store_of(tmp_path, ages), NOW - dt.timedelta(days=90)))
    assert gone == ["tiles/g/r00002c00001/a.json"]


def test_a_model_that_a_plan_names_is_held(tmp_path: Path) -> None:
    """A map could not be made again without it; a plan that cannot be read may name any."""
    store, plan = store_of(tmp_path, {}), any_plan(job="j")
    named, other = naming.model_key(plan.card.digest), naming.model_key("other")
    assert held(store, [named, other]) == set()
    store.put_bytes(naming.plan_key("j"), msgspec.json.encode(plan))
    assert held(store, [named, other]) == {named}
    store.put_bytes(naming.plan_key("k"), b"{}")
    assert held(store, [named, other]) == {named, other}
