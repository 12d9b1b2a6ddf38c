"""A small landscape, a model of it, and its map by the local engine."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xgboost

from steps import scenery
from steps.landscape import Landscape, make_landscape
from steps.model.card import ModelCard
from steps.model.spec import standard_spec
from steps.models import save_model

RASTERS = ("map", "confidence", "margin", "clear", "composite", "reason")
TILE = 128


@dataclass(frozen=True)
class Farm:
    """Where everything lies on this machine."""

    land: Landscape
    model: Path
    home: Path
    store: Path
    """With the map of the local engine."""

    def geocrop(self, *arguments: str, **environment: str) -> str:
        """Run the command line as a user would."""
        env = os.environ | {"GEOCROP_HOME": str(self.home), "GEOCROP_WORKERS": "2"} | environment
        command = [sys.executable, "-m", "steps.cli", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False, timeout=900)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def map(self, aoi: Path, store: Path, size: int = TILE) -> Path:
        """Map an area with the local engine; the folder of the map."""
        self.run(aoi, str(self.land.catalog), str(store), size)
        (found,) = (store / "maps").iterdir()
        return found

    def run(self, aoi: Path, catalog: str, out: str, size: int, **environment: str) -> None:
        """Map an area with the local engine, from any catalog into any store."""
        self.geocrop(
            *("run", str(aoi), "--season", str(self.land.season), "--catalog", catalog, "--name", "farm"),
            *("--model", str(self.model), "--out", out, "--tile-size", str(size)),
            **environment,
        )


def make_farm(folder: Path, size_px: int = 384) -> Farm:
    """Some 10 tiles of 12 dates."""
    land = make_landscape(folder / "land", size_px=size_px, dates=12, years=(2022,))
    farm = Farm(land, folder / "model", folder / "home", folder / "store")
    if not farm.model.exists():
        _write_model(farm.model, land)
    return farm


def _write_model(folder: Path, land: Landscape) -> None:
    """A model of random trees: it gives every pixel some class, which is all that bytes are compared by."""
    spec, rng = standard_spec(scenery.BANDS), np.random.default_rng(0)
    samples = xgboost.DMatrix(
        rng.uniform(0, 1, (500, len(spec.feature_names))), rng.integers(0, len(land.classes), 500)
    )
    wanted = {"objective": "multi:softprob", "num_class": len(land.classes), "nthread": 1, "verbosity": 0}
    model = bytes(xgboost.train(wanted, samples, 10).save_raw("json"))
    digest = hashlib.sha256(model).hexdigest()
    save_model(folder, ModelCard(name="farm", model_sha256=digest, spec=spec, classes=land.classes), model)


def rasters_of(folder: Path) -> dict[str, bytes]:
    """The rasters of a published map, by name."""
    return {name: (folder / f"{name}.tif").read_bytes() for name in RASTERS}
