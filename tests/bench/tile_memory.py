"""Peak memory on tiles of 1024 px, 140 dates and 10 bands: of a worker, and of a whole `geocrop run`.

A worker is one process that loads a tile, makes its features and classifies. A run is all of its processes together,
from command line to published map: the sum of their proportional set sizes (a page that several share counts once),
looked at many times a second. With one tile no worker is started; with two, both cores have one.
"""

import datetime as dt
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from steps import naming

DATES, BANDS = 140, ("blue", "green", "red", "nir", "rededge1", "rededge2", "rededge3", "nir08", "swir16", "swir22")
SEASON = "2023-10-01/2024-09-29"
_ROOT = Path(__file__).parents[2]
_INSET_M = 100.0
_BETWEEN_LOOKS_S = 0.1


def run() -> dict[str, float]:
    """Peaks in MB: `peak_mb` of a worker's resident memory, `run_mb` and `run_two_tiles_mb` of all processes."""
    command = [sys.executable, "-m", "tests.bench.tile_memory"]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", cwd=_ROOT)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found | {"run_mb": job_peak_mb(1), "run_two_tiles_mb": job_peak_mb(2)}


# -- a worker ------------------------------------------------------------------------------------------------------


def _map_a_tile() -> dict[str, float]:
    from steps.model.card import ModelCard
    from steps.store import FolderStore
    from steps.tile import TileMapper
    from tests.bench.load import tile_job

    card = ModelCard(name="bench", model_sha256=_model()[1], spec=_spec(), classes=_classes())
    job = tile_job(_scenes(), card=card)
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder))
        store.put_bytes(naming.model_key(card.digest), _model()[0])
        result = TileMapper(store).map(job)
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024} | result.seconds


# -- a run ---------------------------------------------------------------------------------------------------------


def job_peak_mb(tiles: int) -> float:
    """Of `geocrop run` over some tiles of a row."""
    with tempfile.TemporaryDirectory(prefix="geocrop-bench-") as scratch:
        folder = Path(scratch)
        command = [sys.executable, "-m", "steps.cli", *_run_command(folder, tiles)]
        env = os.environ | {"GEOCROP_HOME": str(folder / "home")}
        with (folder / "said").open("w", encoding="utf-8") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said, env=env, cwd=_ROOT)
            peak = 0.0
            while process.poll() is None:
                peak = max(peak, sum(_pss_mb(pid) for pid in _family(process.pid)))
                time.sleep(_BETWEEN_LOOKS_S)
        if process.returncode:
            raise RuntimeError((folder / "said").read_text(encoding="utf-8"))
    return round(peak, 1)


def _family(pid: int) -> Iterator[int]:
    """A process and all that it started, directly or not."""
    yield pid
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = " ".join((thread / "children").read_text(encoding="ascii") for thread in threads).split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def _pss_mb(pid: int) -> float:
    """Its proportional set size; nothing for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def _run_command(folder: Path, tiles: int) -> list[str]:
    from steps.model.card import ModelCard
    from steps.models import save_model
    from tests.bench import data

    card = ModelCard(name="bench", model_sha256=_model()[1], spec=_spec(), classes=_classes())
    save_model(folder / "model", card, _model()[0])
    items = {"type": "FeatureCollection", "features": [data._item(scene) for scene in _scenes()]}
    (folder / "items.json").write_text(json.dumps(items), encoding="utf-8")
    (folder / "aoi.geojson").write_text(json.dumps(_area(tiles)), encoding="utf-8")
    return [
        *("run", str(folder / "aoi.geojson"), "--season", SEASON, "--catalog", str(folder / "items.json")),
        *("--model", str(folder / "model"), "--out", str(folder / "store"), "--no-probe"),
    ]


def _area(tiles: int) -> dict[str, Any]:
    """Some tiles of a row, without their edges, in lon and lat."""
    from pyproj import Transformer

    from tests.bench import data
    from tests.bench.load import tile_job

    job = tile_job()
    left, bottom, right, top = job.grid.bounds(job.tile)
    right += (tiles - 1) * job.grid.tile_m
    x, y = (left + _INSET_M, right - _INSET_M), (bottom + _INSET_M, top - _INSET_M)
    corners = [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]), (x[0], y[0])]
    lon, lat = Transformer.from_crs(data.EPSG, 4326, always_xy=True).transform(*zip(*corners, strict=True))
    return {"type": "Polygon", "coordinates": [list(zip(lon, lat, strict=True))]}


# -- both ----------------------------------------------------------------------------------------------------------


def _scenes() -> list:
    """The bench's dates again and again, each on a day of its own."""
    from tests.bench import data

    return [
        msgspec.structs.replace(
            scene, id=f"{scene.id}-{turn}", solar_day=day, datetime=dt.datetime.combine(day, dt.time(8), dt.UTC),
            assets=_ten_bands(scene.assets),
        )
        for turn in range(6)
        for place, scene in enumerate(data.scenes())
        for day in [dt.date(2023, 10, 1) + dt.timedelta(days=(turn * 24 + place) * 365 // DATES)]
    ][:DATES]  # fmt: skip


def _spec() -> Any:
    from steps.model.spec import standard_spec

    return standard_spec(BANDS)


def _ten_bands(assets: dict) -> dict:
    """Ten bands of the six that there are."""
    coarse = dict.fromkeys(BANDS[4:], assets["swir16"])
    return assets | coarse | {"swir22": assets["swir22"]}


def _classes() -> tuple:
    from steps.model.card import ClassDef

    return tuple(ClassDef(code=n, name=f"class {n}", colour="804080") for n in range(9))


def _model() -> tuple[bytes, str]:
    import xgboost

    rng = np.random.default_rng(0)
    values = rng.random((3000, len(_spec().feature_names)), np.float32)
    parameters = {"objective": "multi:softprob", "num_class": 9, "max_depth": 6, "nthread": 1, "max_bin": 250}
    booster = xgboost.train(parameters, xgboost.DMatrix(values, rng.integers(0, 9, 3000), nthread=1), 60)
    data = bytes(booster.save_raw("json"))
    return data, hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_map_a_tile()) + "\n")
