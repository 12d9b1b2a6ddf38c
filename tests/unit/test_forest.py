import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from steps.errors import ModelError
from steps.forest import BoosterForest, CompiledForest, DeepForest, classify, compile_forest
from steps.kernels import forest as kernels

FEATURES = 4
VALUES = (-2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 1.0000001, 3.25, np.nan)
EXTREME = (*VALUES, np.inf, -np.inf, 1e38, -1e38, 1e-45)


def table(seed: int, rows: int, values: tuple[float, ...] = VALUES) -> np.ndarray:
    """float32 (row, feature) of few distinct values, so that many lie on thresholds."""
    return np.random.default_rng(seed).choice(np.array(values, np.float32), (rows, FEATURES))


def train(x: np.ndarray, classes: int, rounds: int = 4, seed: int = 0, **parameters: Any) -> xgboost.Booster:
    """A small booster for random classes."""
    y = np.random.default_rng(seed).integers(0, classes, len(x))
    chosen: dict[str, Any] = {"objective": "multi:softprob", "num_class": classes, "nthread": 1, "seed": seed}
    return xgboost.train(chosen | parameters, xgboost.DMatrix(x, y), rounds)


def train_binary(x: np.ndarray, rounds: int = 4, seed: int = 0, **parameters: Any) -> xgboost.Booster:
    """A small booster for two random classes, one of them rarer."""
    y = np.random.default_rng(seed).random(len(x)) < 0.3
    return xgboost.train(
        {"objective": "binary:logistic", "nthread": 1, "seed": seed, **parameters}, xgboost.DMatrix(x, y), rounds
    )


def raw(booster: xgboost.Booster) -> bytes:
    """The model file."""
    return bytes(booster.save_raw("json"))


def edited(booster: xgboost.Booster, change: Any) -> bytes:
    """The model file with its learner changed in place."""
    document = json.loads(raw(booster))
    change(document["learner"])
    return json.dumps(document).encode()


def assert_same(model: bytes, x: np.ndarray, kind: type = CompiledForest) -> None:
    """Margins, probabilities and classes are those of xgboost, to the last bit."""
    forest, booster = compile_forest(model), xgboost.Booster(model_file=bytearray(model))
    assert type(forest) is kind
    margins = booster.inplace_predict(x, predict_type="margin").reshape(len(x), -1)
    np.testing.assert_array_equal(forest.margins(np.ascontiguousarray(x.T)).T, margins)
    probabilities = booster.inplace_predict(x)
    if probabilities.ndim == 1:
        probabilities = np.stack([np.float32(1) - probabilities, probabilities], axis=1)
    found = classify(forest, x.T, threads=2)
    np.testing.assert_array_equal(found.probabilities.T, probabilities)
    np.testing.assert_array_equal(found.best, probabilities.argmax(axis=1))


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**20),
    classes=st.integers(2, 5),
    rows=st.integers(1, 1100),
    depth=st.integers(1, 6),
    parallel=st.integers(1, 2),
)
def test_probabilities_are_those_of_xgboost(seed: int, classes: int, rows: int, depth: int, parallel: int) -> None:
    """Values on thresholds, signed zeros, infinities and missing ones lead where xgboost leads them."""
    booster = train(table(seed, 120), classes, seed=seed, max_depth=depth, num_parallel_tree=parallel, subsample=0.8)
    assert_same(raw(booster), table(seed + 1, rows, EXTREME))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**20), rows=st.integers(1, 600), rounds=st.integers(1, 30), eta=st.floats(0.05, 5))
def test_two_classes_are_those_of_xgboost(seed: int, rows: int, rounds: int, eta: float) -> None:
    """A binary model's one margin, its fitted base score and the sigmoid are xgboost's, also for large margins."""
    booster = train_binary(table(seed, 90), rounds, seed, eta=eta, max_depth=4)
    assert_same(raw(booster), table(seed + 1, rows, EXTREME))


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**20),
    classes=st.integers(2, 5),
    rows=st.integers(1, 2600),
    depth=st.integers(7, 20),
    parallel=st.integers(1, 2),
)
def test_deep_trees_are_those_of_xgboost(seed: int, classes: int, rows: int, depth: int, parallel: int) -> None:
    """Trees of any shape, ragged ones too, give xgboost's bits for the same hard values."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((500, FEATURES)) < 0.5, table(seed, 500), rng.normal(size=(500, FEATURES)))
    parameters = {"max_depth": depth, "subsample": 0.9, "num_parallel_tree": parallel, "min_child_weight": 0}
    model = raw(train(x.astype(np.float32), classes, seed=seed, **parameters))
    rows_of = np.concatenate([table(seed + 1, rows, EXTREME), on_thresholds(model, seed)])
    assert_same(model, rows_of, DeepForest)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**20), rounds=st.integers(1, 30), leaves=st.integers(8, 400))
def test_two_classes_of_deep_trees(seed: int, rounds: int, leaves: int) -> None:
    """One margin, trees grown leaf by leaf as deep as they like."""
    x = np.random.default_rng(seed).normal(size=(600, FEATURES)).astype(np.float32)
    x[:300, 0] = np.sort(x[:300, 0])
    grown = {"grow_policy": "lossguide", "max_depth": 0, "max_leaves": leaves, "min_child_weight": 0}
    model = raw(train_binary(x, rounds, seed, **grown))
    found = compile_forest(model)
    assert_same(model, np.concatenate([table(seed, 90, EXTREME), on_thresholds(model, seed)]), type(found))
    assert isinstance(found, DeepForest | CompiledForest)


def on_thresholds(model: bytes, seed: int) -> np.ndarray:
    """float32 (row, feature): values on a model's thresholds, and next to them on both sides."""
    trees = json.loads(model)["learner"]["gradient_booster"]["model"]["trees"]
    found = np.array([level for tree in trees for level in tree["split_conditions"]], np.float32)
    near = np.concatenate([found, np.nextafter(found, np.float32(np.inf)), np.nextafter(found, np.float32(-np.inf))])
    return np.random.default_rng(seed).choice(near, (300, FEATURES))


def test_many_rounds_of_smooth_values() -> None:
    """Nine classes, a hundred rounds of full depth: the order of float32 sums is xgboost's."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1500, FEATURES)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    assert_same(raw(train(x, 9, 100, max_depth=6, max_bin=200)), x)


def test_a_tree_of_a_single_leaf() -> None:
    """Trees that never split add their only leaf."""
    assert_same(raw(train(table(1, 60), 3, gamma=1e9)), table(2, 70))


def test_a_model_without_trees() -> None:
    """No round at all leaves the base score."""
    assert_same(raw(train(table(1, 60), 3, rounds=0)), table(2, 70))


def test_one_base_score_for_all_classes() -> None:
    """Files of xgboost before 3.1 state one number."""
    booster = train(table(1, 60), 3)

    def old(learner: dict[str, Any]) -> None:
        learner["learner_model_param"]["base_score"] = "5E-1"

    assert_same(edited(booster, old), table(2, 70))


def test_a_threshold_of_minus_zero() -> None:
    """Thresholds of either zero are one threshold, and both zeros reach it."""
    booster = train(table(5, 200), 3, 6)

    def negate(learner: dict[str, Any]) -> None:
        for number, tree in enumerate(learner["gradient_booster"]["model"]["trees"]):
            for node, left in enumerate(tree["left_children"]):
                if left >= 0:
                    tree["split_conditions"][node] = -0.0 if number % 2 else 0.0

    assert_same(edited(booster, negate), table(6, 300, EXTREME))


@pytest.mark.parametrize("distinct", [253, 254, 255, 509])
def test_more_thresholds_than_a_byte_numbers(distinct: int) -> None:
    """A feature of more than 254 thresholds is compared in parts; values on each lead where xgboost leads them."""
    x = np.zeros((2 * (distinct + 1), 2), np.float32)
    x[:, 0] = np.repeat(np.arange(distinct + 1), 2)

    def spread(learner: dict[str, Any]) -> None:
        trees = learner["gradient_booster"]["model"]["trees"]
        assert all(len(tree["left_children"]) == 3 for tree in trees)
        for number, tree in enumerate(trees):
            tree["split_conditions"][0] = number + 0.5

    y = np.arange(len(x)) >= distinct + 1
    parameters = {"objective": "binary:logistic", "max_depth": 1, "eta": 0.01, "min_child_weight": 0, "nthread": 1}
    booster = xgboost.train(parameters, xgboost.DMatrix(x, y), distinct)
    model = edited(booster, spread)
    x[0, 0] = np.nan
    x[1 : distinct + 1, 0] = np.arange(distinct) + 0.5
    assert_same(model, x)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"booster": "dart", "rate_drop": 0.5}, "booster dart"),
        ({"multi_strategy": "multi_output_tree", "max_depth": 2}, "a vector in each leaf"),
    ],
)
def test_what_is_not_compiled_falls_back_and_says_so(parameters: dict[str, Any], reason: str) -> None:
    """Such a model gives xgboost's numbers through xgboost, with the reason logged."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, FEATURES)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    assert_falls_back(raw(train(x, 3, 60, **parameters)), x, reason)


def test_a_tree_of_very_many_leaves_falls_back() -> None:
    """Beyond 1024 leaves of a tree xgboost itself is asked, over several slices of rounds."""
    x = np.random.default_rng(0).normal(size=(4000, FEATURES)).astype(np.float32)
    grown = {"grow_policy": "lossguide", "max_depth": 0, "max_leaves": 1025, "min_child_weight": 0, "lambda": 0}
    assert_falls_back(raw(train_binary(x, 30, **grown)), x, "1025 leaves in a tree, at most 1024 fit")


def test_the_most_leaves_that_fit() -> None:
    """A tree of 1024 leaves is compiled."""
    x = np.random.default_rng(0).normal(size=(4000, FEATURES)).astype(np.float32)
    grown = {"grow_policy": "lossguide", "max_depth": 0, "max_leaves": 1024, "min_child_weight": 0, "lambda": 0}
    assert_same(raw(train_binary(x, 3, **grown)), x, DeepForest)


def assert_falls_back(model: bytes, x: np.ndarray, reason: str) -> None:
    """Compiling logs the reason, and xgboost gives its own numbers."""
    with capture_logs() as logs:
        compile_forest(model)
    assert [(log["event"], log["reason"]) for log in logs] == [("forest.fallback", reason)]
    assert_same(model, x, BoosterForest)


def test_categories_fall_back() -> None:
    """Splits by category are left to xgboost."""
    x = np.random.default_rng(0).integers(0, 6, (300, 2)).astype(np.float32)
    y = (x[:, 0] % 3).astype(int)
    data = xgboost.DMatrix(x, y, feature_types=["c", "q"], enable_categorical=True)
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3, "max_cat_to_onehot": 1}, data, 2)
    assert isinstance(compile_forest(raw(booster)), BoosterForest)


def test_the_binary_file_is_the_same_model() -> None:
    """UBJ and JSON compile to the same forest."""
    booster, x = train(table(1, 90), 3), table(2, 50)
    forests = [compile_forest(bytes(booster.save_raw(form))) for form in ("ubj", "json")]
    np.testing.assert_array_equal(*(forest.margins(np.ascontiguousarray(x.T)) for forest in forests))


def test_all_rounds_of_the_file_count() -> None:
    """Early stopping leaves a best iteration in the file; the rounds after it count, as in a Booster."""
    x = table(1, 200)
    data = xgboost.DMatrix(x, np.random.default_rng(0).integers(0, 3, 200))
    booster = xgboost.train(
        {"objective": "multi:softprob", "num_class": 3, "nthread": 1},
        data,
        20,
        evals=[(xgboost.DMatrix(table(2, 200), np.random.default_rng(1).integers(0, 3, 200)), "held")],
        early_stopping_rounds=5,
        verbose_eval=False,
    )
    assert booster.best_iteration < booster.num_boosted_rounds() - 1
    assert_same(raw(booster), table(3, 100))


@pytest.mark.parametrize("junk", [b"", b"{}", b"not a model", b'{"learner": 3}', b"\x00" * 100])
def test_a_file_that_is_no_model_is_refused(junk: bytes) -> None:
    """Anything but an xgboost model is a ModelError."""
    with pytest.raises(ModelError, match="no xgboost model"):
        compile_forest(junk)


def test_a_regressor_is_refused() -> None:
    """The objective is named with what to train instead."""
    x = table(1, 50)
    booster = xgboost.train({"objective": "reg:squarederror"}, xgboost.DMatrix(x, np.arange(50)), 1)
    with pytest.raises(ModelError, match=r"reg:squarederror.*multi:softprob"):
        compile_forest(raw(booster))


def test_other_features_than_the_model_knows_are_refused() -> None:
    """A table of another width is a ModelError, not a crash in a kernel."""
    forest = compile_forest(raw(train(table(1, 50), 3)))
    with pytest.raises(ModelError, match=f"wants {FEATURES} features, not 3"):
        classify(forest, np.zeros((3, 10), np.float32))


def test_no_pixels_at_all() -> None:
    """An empty block classifies to nothing."""
    found = classify(compile_forest(raw(train(table(1, 50), 3))), np.empty((FEATURES, 0), np.float32))
    assert found.best.shape == (0,)
    assert found.probabilities.shape == (3, 0)


def test_threads_and_chunks_do_not_matter() -> None:
    """More pixels than one task takes, on one thread or three: the same."""
    forest = compile_forest(raw(train(table(1, 90), 3)))
    values = np.ascontiguousarray(table(2, 40_000).T)
    one, three = classify(forest, values, 1), classify(forest, values, 3)
    np.testing.assert_array_equal(one.probabilities, three.probabilities)
    np.testing.assert_array_equal(one.margin, three.margin)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**20), classes=st.integers(2, 6))
def test_rank_is_what_sorting_says(seed: int, classes: int) -> None:
    """The first of the likeliest, its percent, and its lead over the second in percent."""
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 5, (classes, 40)).astype(np.float32)
    p[0] += 1
    p /= p.sum(axis=0)
    best, confidence, margin = (np.empty(40, np.uint8) for _ in range(3))
    kernels.rank(p, best, confidence, margin)
    ordered = np.sort(p, axis=0)
    np.testing.assert_array_equal(best, p.argmax(axis=0))
    np.testing.assert_array_equal(confidence, np.rint(ordered[-1] * np.float32(100)))
    np.testing.assert_array_equal(margin, np.rint((ordered[-1] - ordered[-2]) * np.float32(100)))


def test_a_cpu_without_wide_vectors_says_the_same(tmp_path: Path) -> None:
    """Code compiled for the plainest x86-64 gives the same bits."""
    booster, x = train(table(1, 200), 3, 10), table(2, 700, EXTREME)
    (tmp_path / "model.json").write_bytes(raw(booster))
    np.save(tmp_path / "x.npy", np.ascontiguousarray(x.T))
    code = (
        "import sys, numpy as np; from pathlib import Path; from steps.forest import compile_forest; "
        "from steps.kernels import forest; assert not forest.PERMUTES; folder = Path(sys.argv[1]); "
        "found = compile_forest((folder / 'model.json').read_bytes()).margins(np.load(folder / 'x.npy')); "
        "np.save(folder / 'found.npy', found)"
    )
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code, tmp_path], env={**os.environ, **plain}, check=True, timeout=120)
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy").T, booster.inplace_predict(x, predict_type="margin"))


_CROWD = """
import threading
import numpy as np
import xgboost
from steps.forest import classify, compile_forest

rng = np.random.default_rng(0)
x = rng.normal(size=(800, 6)).astype(np.float32)
data = xgboost.DMatrix(x, x[:, 0] * x[:, 1] > 0)
values = np.ascontiguousarray(np.tile(x, (5, 1)).T)

def ask(forest, want, wrong):
    for _ in range(40):
        if not np.array_equal(classify(forest, values).probabilities[1], want):
            wrong.append(1)

for depth in (6, 9):
    parameters = {"objective": "binary:logistic", "max_depth": depth, "nthread": 1, "verbosity": 0}
    booster = xgboost.train(parameters, data, 40)
    forest, wrong = compile_forest(bytes(booster.save_raw("json"))), []
    want = booster.inplace_predict(np.ascontiguousarray(values.T))
    crowd = [threading.Thread(target=ask, args=(forest, want, wrong)) for _ in range(6)]
    [thread.start() for thread in crowd]
    [thread.join() for thread in crowd]
    print(type(forest).__name__, len(wrong))
"""


def test_threads_that_share_an_allocator_do_not_disturb_each_other() -> None:
    """With one arena for all threads, memory that a kernel gave back too early is another thread's at once."""
    found = subprocess.run(
        [sys.executable, "-c", _CROWD],
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert found.stdout.split() == ["CompiledForest", "0", "DeepForest", "0"]
