"""What measuring drift costs a tile of 1024 px, 24 dates, 6 bands: mapped with and without a reference, in turn."""

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from steps import naming

ROUNDS, SAMPLES, TURNS = 300, 10_000, 3


def run() -> dict[str, float]:
    """CPU and wall seconds of both, their ratio, and what the tile itself counted as drift."""
    command = [sys.executable, "-m", "tests.bench.drift"]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", cwd=Path(__file__).parents[2])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure() -> dict[str, float]:
    from steps.drift_reference import make_reference
    from steps.model.card import ClassDef, ModelCard
    from steps.model.spec import standard_spec
    from steps.store import FolderStore
    from steps.tile import feature_strips
    from tests.bench import data
    from tests.bench.load import tile_job

    spec = standard_spec(tuple(data.BANDS))
    blank = ModelCard(name="bench", model_sha256="", spec=spec, classes=())
    job = tile_job(card=blank)
    values = np.concatenate([features.values.values for _, features, _ in feature_strips(job, threads=2)], axis=1)
    rows = np.random.default_rng(0).choice(values[0].size, SAMPLES, replace=False)
    features = np.ascontiguousarray(values.reshape(len(values), -1).T[rows])
    codes = rows % 9
    model = _model(features, codes)
    classes = tuple(ClassDef(code=n, name=f"class {n}", colour="804080") for n in range(9))
    reference, points = make_reference(features, spec.feature_names, codes, rows // 50)
    card = msgspec.structs.replace(blank, model_sha256=hashlib.sha256(model).hexdigest(), classes=classes)
    compared = msgspec.structs.replace(card, reference=reference)
    jobs = [msgspec.structs.replace(job, card=one) for one in (card, compared)]
    with tempfile.TemporaryDirectory(prefix="geocrop-bench-") as root:
        store = FolderStore(Path(root))
        store.put_bytes(naming.model_key(card.digest), model)
        store.put_bytes(naming.points_key(reference.points_sha256), points)
        return _timed(jobs, store, Path(root))


def _model(features: np.ndarray, codes: np.ndarray) -> bytes:
    import xgboost

    parameters = {"objective": "multi:softprob", "num_class": 9, "max_depth": 6, "max_bin": 250, "nthread": 2}
    booster = xgboost.train(parameters, xgboost.DMatrix(features, codes, nthread=2), ROUNDS)
    return bytes(booster.save_raw("json"))


def _timed(jobs: list[Any], store: Any, root: Path) -> dict[str, float]:
    """Both jobs in turn, each time from nothing; the first turn warms up."""
    import shutil
    import time

    from steps.tile import TileMapper

    mapper, cpu, share, size = TileMapper(store, threads=2), ([], []), [], 0.0
    for turn in range(TURNS + 1):
        for which, job in enumerate(jobs):
            start = time.process_time()
            seconds = mapper.map(job).seconds
            if turn:
                cpu[which].append(time.process_time() - start)
                if which:
                    share.append(seconds["drift"] / seconds["total"])
            size = max([size, *(path.stat().st_size for path in (root / "tiles").rglob("*.npz"))])
            shutil.rmtree(root / "tiles")
    without, compared = (statistics.median(one) for one in cpu)
    return {
        "without_cpu_s": round(without, 2),
        "compared_cpu_s": round(compared, 2),
        "times": round(compared / without, 3),
        "drift_share_of_wall": round(statistics.median(share), 4),
        "largest_file_kb": round(size / 1024),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure()) + "\n")
