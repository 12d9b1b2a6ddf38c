"""Makes what first_map.py maps, in a folder: a small landscape, and a model of each kind, of nothing but chance."""

import hashlib
import sys
from pathlib import Path

import msgspec
import numpy as np
import xgboost
from sklearn.ensemble import ExtraTreesClassifier

from steps import scenery
from steps.ensemble import Ensemble, XgboostMember, encode_ensemble, from_sklearn
from steps.landscape import make_landscape
from steps.model.card import ModelCard
from steps.model.spec import standard_spec
from steps.models import save_model
from steps.trial import try_machine

_SPEC = standard_spec(scenery.BANDS)


def main(folder: Path) -> None:
    """The trial is there for its loops: its scenes are of other types."""
    try_machine()
    land = make_landscape(folder / "land", size_px=192, dates=6, years=())
    booster, ensemble = _models(len(land.classes))
    for learner, data, temperature in (
        ("xgboost", booster, 1.0),
        ("xgboost", booster, 0.9),
        ("ensemble", ensemble, 0.9),
    ):
        card = ModelCard(
            name="any",
            model_sha256=hashlib.sha256(data).hexdigest(),
            spec=_SPEC,
            classes=land.classes,
            learner=learner,
            temperature=temperature,
        )
        save_model(folder / "models" / f"{learner}-{temperature}", card, data)


def _models(classes: int) -> tuple[bytes, bytes]:
    """A booster, and a vote of it with extra trees."""
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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
