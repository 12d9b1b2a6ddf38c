"""Peak memory of a worker on a tile of 1024 px, 140 dates and 10 bands: load, features and classes."""

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np

from steps import naming

DATES, BANDS = 140, ("blue", "green", "red", "nir", "rededge1", "rededge2", "rededge3", "nir08", "swir16", "swir22")


def run() -> dict[str, float]:
    """Peak resident memory of the process, in MB."""
    command = [sys.executable, "-m", "tests.bench.tile_memory"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _map_a_tile() -> dict[str, float]:
    import datetime as dt

    from steps.model.card import ModelCard
    from steps.model.spec import standard_spec
    from steps.store import FolderStore
    from steps.tile import TileMapper
    from tests.bench import data
    from tests.bench.load import tile_job

    scenes = [
        msgspec.structs.replace(
            scene,
            id=f"{scene.id}-{turn}",
            solar_day=dt.date(2023, 10, 1) + dt.timedelta(days=(turn * 24 + place) * 365 // DATES),
            assets=_ten_bands(scene.assets),
        )
        for turn in range(6)
        for place, scene in enumerate(data.scenes())
    ][:DATES]
    card = ModelCard(name="bench", model_sha256=_model()[1], spec=standard_spec(BANDS), classes=_classes())
    job = tile_job(scenes, card=card)
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder))
        store.put_bytes(naming.model_key(card.digest), _model()[0])
        result = TileMapper(store).map(job)
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024} | result.seconds


def _ten_bands(assets: dict) -> dict:
    """Ten bands of the six that there are."""
    coarse = dict.fromkeys(BANDS[4:], assets["swir16"])
    return assets | coarse | {"swir22": assets["swir22"]}


def _classes() -> tuple:
    from steps.model.card import ClassDef

    return tuple(ClassDef(code=n, name=f"class {n}", colour="804080") for n in range(9))


def _model() -> tuple[bytes, str]:
    import xgboost

    from steps.model.spec import standard_spec

    rng = np.random.default_rng(0)
    values = rng.random((3000, len(standard_spec(BANDS).feature_names)), np.float32)
    parameters = {"objective": "multi:softprob", "num_class": 9, "max_depth": 6, "nthread": 1, "max_bin": 250}
    booster = xgboost.train(parameters, xgboost.DMatrix(values, rng.integers(0, 9, 3000), nthread=1), 60)
    data = bytes(booster.save_raw("json"))
    return data, hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_map_a_tile()) + "\n")
