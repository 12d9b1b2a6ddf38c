"""What of a store can go."""

import datetime as dt
import os
from pathlib import Path

import msgspec
import pytest

from steps import naming
from steps.cleaning import removable
from steps.model.job import Coverage, Phase, Reason
from steps.store import FolderStore

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


def test_a_tile_that_a_job_has_found_since_stays(tmp_path: Path) -> None:
    """An old tile is in use while a plan has noted it lately: a running job would miss it."""
    store = store_of(tmp_path, {"tiles/g/r00001c00001/a.tif": 100, "plans/j/tiles/r00001c00001.json": 1})
    _publish(store, Phase.SUCCEEDED)
    assert list(removable(store, NOW - dt.timedelta(days=90))) == []


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.PARTIAL, Phase.SUCCEEDED, None])
def test_a_tile_of_a_job_that_may_be_tried_again_stays(tmp_path: Path, phase: Phase | None) -> None:
    """However old: only of a job whose map is whole, tiles are needed no more."""
    store = store_of(tmp_path, {"tiles/g/r00001c00001/a.tif": 100, "plans/j/tiles/r00001c00001.json": 100})
    if phase:
        _publish(store, phase)
    gone = list(removable(store, NOW - dt.timedelta(days=90)))
    assert gone == (["tiles/g/r00001c00001/a.tif"] if phase is Phase.SUCCEEDED else [])


def _publish(store: FolderStore, phase: Phase) -> None:
    coverage = Coverage(phase=phase, share=1.0, pixels={Reason.MAPPED: 1}, tiles={})
    store.put_bytes(naming.coverage_key("j"), msgspec.json.encode(coverage))
    store.put_bytes(naming.item_key("j"), b"{}")
