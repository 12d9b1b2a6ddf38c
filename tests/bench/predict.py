"""Inference: compiled forests against the libraries that their trees come from, all on two threads.

`python tests/bench/predict.py` prints medians and their ratios in one run, as JSON. The booster has 9 classes, 300
rounds, depth 6 and 40 features, 3 % of the values missing; its noisy labels grow its trees well. It is made once and
kept. The extra trees and the vote of both are such as training makes, of the same samples.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import xgboost

sys.path.insert(0, str(Path(__file__).parents[2]))

from steps.ensemble import Ensemble, XgboostMember, encode_ensemble, from_sklearn
from steps.forest import CompiledForest, Forest, classify, compile_forest
from steps.learners import Averaged, Part, fit_extra_trees
from tests.bench import data

THREADS = 2
REPEATS = 5
FEATURES, CLASSES, ROUNDS, SAMPLES = 40, 9, 300, 40_000
PIXELS, PIXELS_XGBOOST = 1 << 19, 1 << 15
"""xgboost's time does not depend on the number of pixels beyond a few thousand; half a tile would take it a minute."""


def run() -> dict[str, float]:
    """Microseconds per pixel of both, and their ratio; probabilities are equal or it raises."""
    model = _model()
    start = time.perf_counter()
    forest = compile_forest(model.read_bytes())
    seconds = time.perf_counter() - start
    assert isinstance(forest, CompiledForest)
    booster = xgboost.Booster(model_file=model)
    booster.set_param({"nthread": THREADS})
    values, _ = _pixels(PIXELS, seed=1)
    rows = np.ascontiguousarray(values[:, :PIXELS_XGBOOST].T)
    found = classify(forest, values, THREADS).probabilities[:, :PIXELS_XGBOOST]
    np.testing.assert_array_equal(found.T, booster.inplace_predict(rows))
    ratios, ours, theirs = _interleaved(
        lambda: classify(forest, values, THREADS), lambda: booster.inplace_predict(rows)
    )
    return {
        "ours_us_per_px": round(ours / PIXELS * 1e6, 3),
        "xgboost_us_per_px": round(theirs / PIXELS_XGBOOST * 1e6, 2),
        "times_faster": round(statistics.median(ratios) * PIXELS / PIXELS_XGBOOST, 1),
        "compile_model_s": round(seconds, 2),
        **_votes(booster, values, rows),
    }


def _votes(booster: xgboost.Booster, values: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    """Extra trees against scikit-learn, and their vote with the booster against both libraries; equal to 1e-6."""
    trees = _extra_trees()
    forest = from_sklearn(trees.trees, CLASSES, trees.edges)
    member = XgboostMember(weight=0.5, model=msgspec.Raw(bytes(booster.save_raw("json"))))
    members = {
        "extra_trees": ((forest,), lambda: trees.probabilities(rows)),
        "vote": (
            (member, msgspec.structs.replace(forest, weight=0.5)),
            lambda: (booster.inplace_predict(rows) + trees.probabilities(rows)) / 2,
        ),
    }
    found = {}
    for name, (parts, theirs) in members.items():
        data_of = encode_ensemble(Ensemble(classes=CLASSES, features=FEATURES, members=parts))
        found |= _compared(name, compile_forest(data_of, "ensemble"), values, theirs)
    return found


def _compared(name: str, ours: Forest, values: np.ndarray, theirs: Callable[[], np.ndarray]) -> dict[str, float]:
    said = classify(ours, values, THREADS).probabilities[:, :PIXELS_XGBOOST]
    np.testing.assert_allclose(said.T, theirs(), atol=1e-6)
    ratios, mine, other = _interleaved(lambda: classify(ours, values, THREADS), theirs)
    return {
        f"{name}_us_per_px": round(mine / PIXELS * 1e6, 3),
        f"{name}_library_us_per_px": round(other / PIXELS_XGBOOST * 1e6, 2),
        f"{name}_times_faster": round(statistics.median(ratios) * PIXELS / PIXELS_XGBOOST, 1),
    }


def _extra_trees() -> Averaged:
    """As training fits them; scikit-learn walks its trees on two threads."""
    values, labels = _pixels(SAMPLES, seed=0)
    ones = np.ones(SAMPLES, np.float32)
    made = fit_extra_trees(Part(np.ascontiguousarray(values.T), labels, ones, np.arange(SAMPLES), CLASSES), seed=0)
    assert isinstance(made, Averaged)
    made.trees.set_params(n_jobs=THREADS)
    return made


def _interleaved(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[list[float], float, float]:
    """Ratios of neighbouring runs, and the medians: what slows the machine slows both."""
    pairs = [(_time(ours), _time(theirs)) for _ in range(REPEATS)]
    return [b / a for a, b in pairs], statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def _time(way: Callable[[], Any]) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def _model() -> Path:
    path = data.folder() / "predict-9-300-6-40.json"
    if not path.exists():
        values, labels = _pixels(SAMPLES, seed=0)
        parameters = {
            "objective": "multi:softprob",
            "num_class": CLASSES,
            "max_depth": 6,
            "eta": 0.1,
            "max_bin": 250,
            "nthread": THREADS,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        booster = xgboost.train(parameters, xgboost.DMatrix(values.T, labels), ROUNDS)
        booster.save_model(path.with_suffix(".part.json"))
        path.with_suffix(".part.json").rename(path)
    return path


def _pixels(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Values float32 (feature, n) round the centres of classes, and labels (n), one in seven of them wrong."""
    centres = np.random.default_rng(42).normal(scale=0.6, size=(CLASSES, FEATURES))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    values = (centres[labels] + rng.normal(size=(count, FEATURES))).astype(np.float32)
    values[rng.random(values.shape) < 0.03] = np.nan
    wrong = rng.random(count) < 1 / 7
    labels[wrong] = rng.integers(0, CLASSES, wrong.sum())
    return np.ascontiguousarray(values.T), labels


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))  # noqa: T201
