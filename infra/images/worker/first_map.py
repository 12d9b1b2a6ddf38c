"""Maps a small landscape with both kinds of model, in the ways that pods do, and prints what was imported for it.

What this compiles (loops of numba, in NUMBA_CACHE_DIR) and loads (bytecode) is what warm.py keeps for the pods: a loop
that is missing here costs each pod a second, an import some hundredths.
"""

import hashlib
import importlib
import os
import sys
from pathlib import Path

import msgspec
import numpy as np
import xgboost
from sklearn.ensemble import ExtraTreesClassifier

from steps import cli, contract, scenery
from steps.ensemble import Ensemble, XgboostMember, encode_ensemble, from_sklearn
from steps.landscape import Landscape, make_landscape
from steps.model.card import ModelCard
from steps.model.spec import standard_spec
from steps.models import save_model
from steps.trial import try_machine

_SPEC = standard_spec(scenery.BANDS)


def main(folder: Path) -> None:
    """Everything below a folder."""
    try_machine()
    land = make_landscape(folder / "land", size_px=192, dates=6, years=())
    booster, ensemble = models(len(land.classes))
    for learner, data, temperature, size in (
        ("xgboost", booster, 1.0, 64),
        ("xgboost", booster, 0.9, 256),
        ("ensemble", ensemble, 0.9, 64),
    ):
        card = ModelCard(
            name="any",
            model_sha256=hashlib.sha256(data).hexdigest(),
            spec=_SPEC,
            classes=land.classes,
            learner=learner,
            temperature=temperature,
        )
        model = folder / f"{learner}-{temperature}"
        save_model(model, card, data)
        map_area(land, model, size, folder / f"store-{model.name}")


def models(classes: int) -> tuple[bytes, bytes]:
    """A booster and a vote of it with extra trees, of nothing but chance."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, (500, len(_SPEC.feature_names))).astype(np.float32)
    targets = rng.integers(0, classes, 500)
    wanted = {"objective": "multi:softprob", "num_class": classes, "nthread": 1, "verbosity": 0}
    booster = bytes(xgboost.train(wanted, xgboost.DMatrix(values, targets), 4).save_raw("json"))
    trees = ExtraTreesClassifier(n_estimators=4, max_leaf_nodes=60, random_state=0).fit(values, targets)
    members = (
        XgboostMember(weight=0.5, temperature=0.9, model=msgspec.Raw(booster)),
        msgspec.structs.replace(from_sklearn(trees, classes), weight=0.5, temperature=1.1),
    )
    return booster, encode_ensemble(Ensemble(classes=classes, features=values.shape[1], members=members))


def map_area(land: Landscape, model: Path, size: int, store: Path) -> None:
    """As a user would, in this process."""
    arguments = ["run", str(land.aoi), "--season", str(land.season), "--catalog", str(land.catalog), "--workers", "0"]
    code = cli.main([*arguments, "--model", str(model), "--tile-size", str(size), "--out", str(store)])
    if code:
        raise SystemExit(code)


if __name__ == "__main__":
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        out, sys.stdout = sys.stdout, nowhere
        main(Path(sys.argv[1]))
    for step in contract.STEPS:
        importlib.import_module("steps.commands.step_" + step.name.replace("-", "_"))
    for name in ("steps.publish", "steps.prepare", "minio", "urllib3.contrib", "csv"):
        importlib.import_module(name)
    files = (getattr(module, "__file__", None) or "" for module in list(sys.modules.values()))
    out.write("\n".join(file for file in files if file.endswith(".py")))
