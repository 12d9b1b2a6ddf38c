"""What of a store can go."""

import datetime as dt
import os
from pathlib import Path

from steps.cleaning import removable
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
    assert list(removable(store, NOW - dt.timedelta(days=90))) == []
