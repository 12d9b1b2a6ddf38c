"""The whole job, 4096 x 4096 px: `geocrop run` against the pipeline of a tutorial, processes and imports included.

The tutorial is stackstac, xarray, XGBClassifier and rio-cogeo, tile by tile, since the whole cube does not fit into
memory. It is run on some of the 16 tiles; its time per tile is scaled to all of them, its imports are counted once.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

sys.path.insert(0, str(Path(__file__).parents[2]))

from steps.model.card import ClassDef, ModelCard
from steps.model.spec import KNOWN_INDICES, FeatureSpec, Percentiles
from steps.models import save_model
from steps.tile import feature_strips
from tests.bench import data
from tests.bench.load import tile_job

SEASON = "2023-10-01/2024-09-29"
ROUNDS, DEPTH = 300, 6
TILES, TUTORIAL_TILES = 16, 2
_SIZE = 1024


def spec() -> FeatureSpec:
    """Band medians, NDVI percentiles and monthly NDVI: what the tutorial makes."""
    return FeatureSpec(
        bands=tuple(data.BANDS),
        indices=(KNOWN_INDICES[0],),
        composites=("ndvi",),
        percentiles=(
            *(Percentiles(of=band, percents=(50,)) for band in data.BANDS),
            Percentiles(of="ndvi", percents=(10, 50, 90)),
        ),
    )


def train(features: np.ndarray, codes: np.ndarray) -> xgboost.Booster:
    """Nine classes, 300 rounds, depth 6, of float32 (n, feature)."""
    parameters = {
        "objective": "multi:softprob", "num_class": data.CLASSES, "max_depth": DEPTH, "eta": 0.1,
        "tree_method": "hist", "max_bin": 250, "nthread": 2, "seed": 0,
    }  # fmt: skip
    return xgboost.train(parameters, xgboost.DMatrix(features, codes), ROUNDS)


def our_model() -> Path:
    """A model's folder, made once."""
    folder = data.ready() / "model"
    if not folder.exists():
        job = tile_job(card=ModelCard(name="bench", model_sha256="", spec=spec(), classes=()))
        values = np.concatenate([f.values.values for _, f, _ in feature_strips(job, threads=2)], axis=1)
        left, _, _, top = job.grid.bounds(job.tile)
        row, col = round((data.NORTH - top) / 10), round((left - data.WEST) / 10)
        codes = data.labels()[row : row + _SIZE, col : col + _SIZE].ravel()
        chosen = np.random.default_rng(0).choice(codes.size, 50_000, replace=False)
        booster = train(values.reshape(len(values), -1).T[chosen], codes[chosen])
        _save(folder, bytes(booster.save_raw("json")))
    return folder


def _save(folder: Path, model: bytes) -> None:
    import hashlib

    classes = tuple(ClassDef(code=n, name=f"class {n}", colour=f"{n * 25:02x}8040") for n in range(data.CLASSES))
    sha = hashlib.sha256(model).hexdigest()
    save_model(folder, ModelCard(name="bench", model_sha256=sha, spec=spec(), classes=classes), model)


def our_command(out: Path) -> list[str]:
    """`geocrop run` over all of the bench's data."""
    root = data.ready()
    (root / "items.json").write_text(
        json.dumps({"type": "FeatureCollection", "features": data.items()}), encoding="utf-8"
    )
    bounds = data._lonlat()
    west, south, east, north = bounds
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    (root / "aoi.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}), encoding="utf-8")
    return [
        *(sys.executable, "-m", "steps.cli", "run", str(root / "aoi.geojson"), "--season", SEASON),
        *("--catalog", str(root / "items.json"), "--model", str(our_model()), "--out", str(out), "--no-probe"),
    ]


def run(tutorial_tiles: int = TUTORIAL_TILES) -> dict[str, float]:
    """Wall seconds of both, and their ratio."""
    import shutil
    import tempfile

    out = Path(tempfile.mkdtemp(prefix="geocrop-bench-"))
    seconds, said = _timed(our_command(out / "store"), out)
    naive_seconds, naive = _timed([sys.executable, __file__, "tutorial", str(tutorial_tiles)], out)
    facts = json.loads(naive.splitlines()[-1])
    scaled = facts["imports_s"] + facts["tiles_s"] / tutorial_tiles * TILES
    shutil.rmtree(out)
    return {
        "ours_s": round(seconds, 1),
        "tutorial_s": round(scaled, 1),
        "tutorial_measured_s": round(naive_seconds, 1),
        "tutorial_tiles": tutorial_tiles,
        "times": round(scaled / seconds, 1),
        "succeeded": float("succeeded" in said),
    }


def _timed(command: list[str], out: Path) -> tuple[float, str]:
    start = time.perf_counter()
    env = os.environ | {"GEOCROP_HOME": str(out / "home")}
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", check=True, env=env, cwd=Path(__file__).parents[2]
    )
    return time.perf_counter() - start, done.stdout


def tutorial(count: int) -> dict[str, Any]:
    """The pipeline as tutorials have it, on some tiles."""
    start = time.perf_counter()
    import rioxarray  # noqa: F401
    import stackstac
    import xarray as xr
    from rio_cogeo.cogeo import cog_translate
    from rio_cogeo.profiles import cog_profiles

    imports = time.perf_counter() - start
    classifier, items, bands = xgboost.XGBClassifier(), data.items(), list(data.BANDS)
    model, seconds = data.ready() / "tutorial.ubj", 0.0
    out = Path(os.environ["GEOCROP_HOME"])
    out.mkdir(parents=True, exist_ok=True)
    for tile in range(count):
        start = time.perf_counter()
        west, north = data.WEST + 10 * _SIZE * (tile % 4), data.NORTH - 10 * _SIZE * (tile // 4)
        bounds = (west, north - 10 * _SIZE, west + 10 * _SIZE, north)
        cube = stackstac.stack(
            items, assets=[*bands, "scl"], epsg=data.EPSG, resolution=10, bounds=bounds, xy_coords="center"
        ).compute()
        clear = cube.sel(band=bands).where(cube.sel(band="scl").isin([4, 5, 6, 7]))
        nir, red = clear.sel(band="nir"), clear.sel(band="red")
        ndvi = (nir - red) / (nir + red)
        median = clear.median("time")
        quantiles = ndvi.quantile([0.1, 0.5, 0.9], "time")
        monthly = ndvi.resample(time="MS").mean().interpolate_na("time", use_coordinate=False)
        monthly = monthly.ffill("time").bfill("time")
        parts = [median.values, quantiles.values, monthly.transpose("time", "y", "x").values]
        values = np.concatenate(parts).reshape(-1, _SIZE * _SIZE).T.astype("float32")
        seconds += time.perf_counter() - start
        if not model.exists():
            codes = data.labels()[:_SIZE, :_SIZE].ravel()
            chosen = np.random.default_rng(0).choice(codes.size, 50_000, replace=False)
            train(values[chosen], codes[chosen]).save_model(model)
        start = time.perf_counter()
        classifier.load_model(model)
        classes = classifier.predict(values).astype("uint8").reshape(_SIZE, _SIZE)
        raster = xr.DataArray(classes, coords={"y": cube.y, "x": cube.x}, dims=("y", "x")).rio.write_crs(data.EPSG)
        raster.rio.to_raster(out / "tile.tif", compress="deflate", tiled=True)
        cog_translate(out / "tile.tif", out / "cog.tif", cog_profiles.get("deflate"), quiet=True)
        seconds += time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"imports_s": imports, "tiles_s": seconds, "peak_mb": peak}


if __name__ == "__main__":
    if sys.argv[1:2] == ["tutorial"]:
        sys.stdout.write(json.dumps(tutorial(int(sys.argv[2]))) + "\n")
    else:
        sys.stdout.write(json.dumps(run()) + "\n")
