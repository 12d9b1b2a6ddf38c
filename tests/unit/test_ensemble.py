import base64
import json
from typing import Any

import msgspec
import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from steps.ensemble import (
    Ensemble,
    ForestMember,
    XgboostMember,
    decode_ensemble,
    encode_ensemble,
    first_above,
    from_sklearn,
)
from steps.errors import ModelError
from steps.forest import AveragedForest, Forest, SoftVote, classify, compile_forest
from steps.kernels import votes
from steps.trees import MAX_ROWS, Rows, TooLarge, Trees, check_trees

FEATURES = 4
HARD = (-2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 1.0000001, 3.25, np.nan, np.inf, -np.inf, 1e38, -1e38, 1e-45, -1e-45)
FAMILIES = (RandomForestClassifier, ExtraTreesClassifier)


def values(seed: int, rows: int) -> np.ndarray:
    """float32 (row, feature): smooth ones, and among them zeros and missing ones."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    found[rng.random(found.shape) < 0.2] = 0
    found[rng.random(found.shape) < 0.2] = np.nan
    return found


def grow(family: Any, x: np.ndarray, classes: int, seed: int = 0, **parameters: Any) -> Any:
    """A small forest for random classes that depend a little on the values; each class occurs."""
    y = (np.random.default_rng(seed).integers(0, 3, len(x)) + (np.nan_to_num(x[:, 0]) > 0.3)) % classes
    y[:classes] = np.arange(classes)
    return family(**{"n_estimators": 5, "random_state": seed, **parameters}).fit(x, y)


def boost(classes: int, seed: int = 0, rounds: int = 4, **parameters: Any) -> bytes:
    """xgboost's JSON of a small booster."""
    x = values(seed, 150)
    y = np.random.default_rng(seed).integers(0, classes, len(x))
    chosen: dict[str, Any] = {"objective": "multi:softprob", "num_class": classes, "nthread": 1, "seed": seed}
    return bytes(xgboost.train(chosen | parameters, xgboost.DMatrix(x, y), rounds).save_raw("json"))


def ensemble_of(*members: ForestMember | XgboostMember, classes: int) -> Ensemble:
    """A soft vote of equals."""
    return Ensemble(
        classes=classes,
        features=FEATURES,
        members=tuple(msgspec.structs.replace(member, weight=1 / len(members)) for member in members),
    )


def compiled(ensemble: Ensemble) -> Forest:
    """The forest of an ensemble's model file."""
    return compile_forest(encode_ensemble(ensemble), "ensemble")


def predicted(forest: Forest, x: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """float32 (row, class)."""
    return classify(forest, x.T, threads=2, temperature=temperature).probabilities.T


def averaged(estimator: Any, x: np.ndarray) -> np.ndarray:
    """What scikit-learn says, float64 (row, class); its trees take infinities, its checks before them do not."""
    found = sum(tree.tree_.predict(x)[:, :] for tree in estimator.estimators_) / len(estimator.estimators_)
    return np.asarray(found).reshape(len(x), -1)


def on_thresholds(estimator: Any, seed: int, rows: int = 400) -> np.ndarray:
    """float32 (row, feature): the thresholds of a forest and their neighbours on both sides, hard values among them."""
    found = np.concatenate([tree.tree_.threshold for tree in estimator.estimators_]).astype(np.float32)
    near = np.concatenate([found, np.nextafter(found, np.float32(np.inf)), np.nextafter(found, np.float32(-np.inf))])
    return np.random.default_rng(seed).choice(np.concatenate([near, np.float32(HARD)]), (rows, FEATURES))


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**20),
    family=st.sampled_from(FAMILIES),
    classes=st.integers(2, 20),
    leaves=st.integers(2, 120),
    rows=st.integers(1, 2600),
    missing=st.booleans(),
)
def test_probabilities_are_those_of_sklearn(
    seed: int, family: Any, classes: int, leaves: int, rows: int, missing: bool
) -> None:
    """On thresholds and beside them, missing and infinite, whether missing ones were seen in training or not."""
    x = values(seed, 200) if missing else np.nan_to_num(values(seed, 200))
    estimator = grow(family, x, classes, seed, max_leaf_nodes=leaves)
    forest = compiled(ensemble_of(from_sklearn(estimator), classes=classes))
    hard = on_thresholds(estimator, seed, rows)
    np.testing.assert_allclose(predicted(forest, hard), averaged(estimator, hard), rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_public_answer_is_the_same(family: Any) -> None:
    """A forest of two hundred trees, deep ones, against predict_proba; and so are the classes."""
    x = values(1, 1200)
    estimator = grow(family, x, 9, n_estimators=200, max_leaf_nodes=300)
    found = classify(compiled(ensemble_of(from_sklearn(estimator), classes=9)), x.T)
    expected = estimator.predict_proba(x)
    np.testing.assert_allclose(found.probabilities.T, expected, rtol=0, atol=1e-6)
    lead = np.diff(np.sort(expected, axis=1)[:, -2:])[:, 0] > 1e-6
    np.testing.assert_array_equal(found.best[lead], estimator.predict(x)[lead])


def test_only_missing_values_part() -> None:
    """Where all that is known goes left and the missing right, infinity goes left too."""
    x = np.zeros((40, FEATURES), np.float32)
    x[:20, 2] = np.nan
    estimator = RandomForestClassifier(3, random_state=0, bootstrap=False).fit(x, np.arange(40) < 20)
    assert np.isposinf(np.concatenate([tree.tree_.threshold for tree in estimator.estimators_])).any()
    hard = np.zeros((5, FEATURES), np.float32)
    hard[:, 2] = [0, np.inf, -np.inf, np.nan, 3e38]
    found = predicted(compiled(ensemble_of(from_sklearn(estimator), classes=2)), hard)
    np.testing.assert_array_equal(found[:, 1], [0, 0, 0, 1, 0])


@settings(deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(width=32, allow_nan=False, allow_infinity=False)
    | st.just(-np.inf)
)
def test_the_float_above_a_threshold_parts_as_the_threshold(threshold: float) -> None:
    """value <= threshold in double is value < first_above in float, for the floats around and the hard ones."""
    above = first_above(np.array([threshold]))[0]
    with np.errstate(over="ignore"):
        near = np.float32(threshold)
        around = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf)), *HARD]
    candidates = np.array([value for value in around if value == value], np.float32)  # noqa: PLR0124 - not NaN
    np.testing.assert_array_equal(candidates.astype(np.float64) <= threshold, ~(above <= candidates))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**20), family=st.sampled_from(FAMILIES))
def test_a_forest_of_bins_is_one_of_values(seed: int, family: Any) -> None:
    """Fitted on bin numbers with -1 for missing, converted with the edges, asked for values on and beside the edges."""
    x, rng = values(seed, 300), np.random.default_rng(seed)
    edges = [np.unique(rng.choice(column[~np.isnan(column)], rng.integers(1, 30))) for column in x.T]

    def binned(rows: np.ndarray) -> np.ndarray:
        reached = [np.searchsorted(step, column, side="right") for step, column in zip(edges, rows.T, strict=True)]
        return np.where(np.isnan(rows), -1, np.stack(reached, axis=1)).astype(np.float32)

    estimator = grow(family, binned(x), 3, seed)
    near = np.concatenate(edges)
    near = np.concatenate([near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf)), HARD])
    hard = rng.choice(near.astype(np.float32), (500, FEATURES))
    forest = compiled(ensemble_of(from_sklearn(estimator, edges=edges), classes=3))
    np.testing.assert_allclose(predicted(forest, hard), estimator.predict_proba(binned(hard)), rtol=0, atol=1e-6)


def test_trees_of_a_single_leaf() -> None:
    """Trees that never split give their shares everywhere, alone and beside others."""
    x = values(1, 100)
    single = grow(RandomForestClassifier, x, 3, min_samples_split=1000)
    assert all(tree.get_n_leaves() == 1 for tree in single.estimators_)
    found = predicted(compiled(ensemble_of(from_sklearn(single), classes=3)), x)
    np.testing.assert_allclose(found, single.predict_proba(x), rtol=0, atol=1e-6)
    single.estimators_ += grow(RandomForestClassifier, x, 3, 1).estimators_ + single.estimators_[:1]
    found = predicted(compiled(ensemble_of(from_sklearn(single), classes=3)), x)
    np.testing.assert_allclose(found, averaged(single, x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("leaves", [2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 511, 512, 513, 1023, 1024])
def test_any_number_of_leaves(leaves: int) -> None:
    """Leaf numbers of a bit more or less, up to the most that fit; and one tree alone."""
    x = np.random.default_rng(leaves).normal(size=(3000, FEATURES)).astype(np.float32)
    y = np.random.default_rng(0).integers(0, 3, len(x))
    estimator = ExtraTreesClassifier(1, max_leaf_nodes=leaves, random_state=0).fit(x, y)
    assert estimator.estimators_[0].get_n_leaves() == leaves
    found = predicted(compiled(ensemble_of(from_sklearn(estimator), classes=3)), x)
    np.testing.assert_allclose(found, estimator.predict_proba(x), rtol=0, atol=1e-6)


def test_as_deep_as_it_has_leaves() -> None:
    """A tree that is a chain of three hundred nodes: the depth has no limit of its own."""
    nodes = 300
    number = np.arange(nodes)
    trees = Trees(
        first=np.array([0, nodes]),
        feature=np.zeros(nodes, np.int64),
        threshold=number.astype(np.float32),
        missing_left=np.ones(nodes, np.bool_),
        left=~number,
        right=np.append(number[1:], ~nodes),
    )
    leaves = np.random.default_rng(0).dirichlet(np.ones(3), nodes + 1).astype(np.float32)
    forest = compiled(ensemble_of(ForestMember.of(trees, leaves), classes=3))
    x = np.zeros((nodes + 2, FEATURES), np.float32)
    x[:, 0] = [*(np.arange(nodes + 1) - 0.5), np.nan]
    np.testing.assert_allclose(predicted(forest, x), leaves[[*range(nodes + 1), 0]], rtol=0, atol=1e-6)


def test_too_many_leaves_are_refused() -> None:
    """More leaves than a tree may have are named with what to do."""
    x = np.random.default_rng(0).normal(size=(4000, FEATURES)).astype(np.float32)
    estimator = ExtraTreesClassifier(2, random_state=0).fit(x, np.random.default_rng(0).integers(0, 3, len(x)))
    with pytest.raises(ModelError, match=r"leaves, at most 1024 fit.*max_leaf_nodes"):
        from_sklearn(estimator)


def test_too_many_thresholds_are_refused() -> None:
    """More parts of thresholds than a forest may have are a reason, not a wrong table."""
    count = (MAX_ROWS + 1) * 254
    with pytest.raises(TooLarge, match=f"{MAX_ROWS + 1} rows"):
        Rows.of(np.zeros(count, np.int64), np.arange(count, dtype=np.float32), np.zeros(count, np.bool_))


def test_a_forest_of_some_classes_is_spread() -> None:
    """Classes that the forest has not seen are never found."""
    x = values(1, 100)
    estimator = RandomForestClassifier(5, random_state=0).fit(x, np.where(np.arange(100) % 2, 3, 1))
    found = predicted(compiled(ensemble_of(from_sklearn(estimator, 5), classes=5)), x)
    np.testing.assert_allclose(found[:, [1, 3]], estimator.predict_proba(x), rtol=0, atol=1e-6)
    assert (found[:, [0, 2, 4]] == 0).all()


@pytest.mark.parametrize("depth", [3, 9])
@pytest.mark.parametrize("classes", [2, 5])
def test_an_ensemble_of_one_booster_is_the_booster(classes: int, depth: int) -> None:
    """One member of weight 1 says what the same file says alone, to the last bit."""
    model, x = boost(classes, max_depth=depth), values(2, 700)
    alone = compile_forest(model)
    among = compiled(ensemble_of(XgboostMember(model=msgspec.Raw(model)), classes=classes))
    np.testing.assert_array_equal(predicted(alone, x), predicted(among, x))


def test_a_soft_vote_is_the_weighted_mean() -> None:
    """Members of both kinds, each with a weight and a temperature; one without a say is not asked."""
    x, model = values(3, 900), boost(3)
    forests = [grow(family, x, 3) for family in FAMILIES]
    members = (
        msgspec.structs.replace(from_sklearn(forests[0]), weight=0.5),
        XgboostMember(weight=0.25, temperature=1.7, model=msgspec.Raw(model)),
        msgspec.structs.replace(from_sklearn(forests[1]), weight=0.25, temperature=0.6),
        XgboostMember(weight=0.0, model=msgspec.Raw(boost(3, 9))),
    )
    forest = compiled(Ensemble(classes=3, features=FEATURES, members=members))
    assert isinstance(forest, SoftVote)
    assert len(forest.ballots) == 3
    boosted = xgboost.Booster(model_file=bytearray(model)).inplace_predict(x)
    said = [forests[0].predict_proba(x), tempered(boosted, 1.7), tempered(forests[1].predict_proba(x), 0.6)]
    expected = 0.5 * said[0] + 0.25 * said[1] + 0.25 * said[2]
    np.testing.assert_allclose(predicted(forest, x), expected, rtol=0, atol=2e-6)


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (row, class) raised and normed, in double."""
    raised = probabilities.astype(np.float64) ** (1 / temperature)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**20), classes=st.integers(2, 9), temperature=st.floats(0.05, 20))
def test_temperature_changes_confidence_and_no_class(seed: int, classes: int, temperature: float) -> None:
    """Probabilities are raised to its inverse and normed; the class stays, the first of equals too."""
    p = np.random.default_rng(seed).integers(0, 4, (classes, 60)).astype(np.float32)
    p[seed % classes] += 1
    p /= p.sum(axis=0)
    found = p.copy()
    best, confidence, margin = (np.empty(60, np.uint8) for _ in range(3))
    votes.rank_tempered(found, best, confidence, margin, np.float32(1 / temperature))
    np.testing.assert_array_equal(best, p.argmax(axis=0))
    np.testing.assert_allclose(found.T, tempered(p.T, temperature), rtol=0, atol=1e-5)
    ordered = np.sort(found, axis=0)
    np.testing.assert_array_equal(confidence, np.rint(ordered[-1] * np.float32(100)))
    np.testing.assert_array_equal(margin, np.rint((ordered[-1] - ordered[-2]) * np.float32(100)))
    alone = p.copy()
    votes.temper(alone, np.float32(1 / temperature))
    np.testing.assert_array_equal(alone, found)


def test_a_temperature_of_one_changes_no_bit() -> None:
    """Stated or not; and of a softmax, temperature divides the margins."""
    forest, x = compile_forest(boost(4)), values(5, 300)
    plain = predicted(forest, x)
    np.testing.assert_array_equal(plain, predicted(forest, x, temperature=1.0))
    margins = xgboost.Booster(model_file=bytearray(boost(4))).inplace_predict(x, predict_type="margin") / 2.5
    raised = np.exp(margins.astype(np.float64))
    expected = raised / raised.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predicted(forest, x, temperature=2.5), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf, 1e-9])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    """Such a card is a ModelError."""
    with pytest.raises(ModelError, match="temperature"):
        classify(compile_forest(boost(3)), values(1, 5).T, temperature=temperature)


def test_threads_and_tails_do_not_matter() -> None:
    """More pixels than one task takes, on one thread or three, and each pixel alone: the same bits."""
    x = values(6, 40_001)
    forest = compiled(ensemble_of(from_sklearn(grow(RandomForestClassifier, x[:500], 3)), classes=3))
    one, three = (classify(forest, x.T, threads).probabilities for threads in (1, 3))
    np.testing.assert_array_equal(one, three)
    for pixel in (0, 511, 40_000):
        np.testing.assert_array_equal(classify(forest, x[pixel : pixel + 1].T).probabilities[:, 0], one[:, pixel])


def any_ensemble() -> Ensemble:
    """A small one with a member of each kind."""
    member = from_sklearn(grow(RandomForestClassifier, values(1, 60), 3, n_estimators=2, max_leaf_nodes=6))
    return ensemble_of(member, XgboostMember(temperature=1.5, model=msgspec.Raw(boost(3, rounds=1))), classes=3)


def test_a_file_comes_back_as_it_was() -> None:
    """Decoded and encoded again it is the same bytes, and the same training gives the same bytes."""
    data = encode_ensemble(any_ensemble())
    assert encode_ensemble(decode_ensemble(data)) == data
    assert encode_ensemble(any_ensemble()) == data


DATA = encode_ensemble(any_ensemble())


@settings(deadline=None, max_examples=400)
@given(
    place=st.integers(0, len(DATA) - 1),
    changed=st.binary(min_size=0, max_size=3),
    removed=st.integers(0, 3),
)
def test_a_changed_byte_is_an_error_or_a_model(place: int, changed: bytes, removed: int) -> None:
    """Whatever bytes change, the file is refused or gives probabilities; nothing crashes."""
    assert_safe(DATA[:place] + changed + DATA[place + removed :])


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_a_changed_array_is_an_error_or_a_model(data: st.DataObject) -> None:
    """The same of the numbers inside the arrays, which base64 hides from a change of bytes."""
    document = json.loads(DATA)
    member = document["members"][0]
    name = data.draw(st.sampled_from(["sizes", "feature", "threshold", "missing_left", "left", "right", "leaves"]))
    array = bytearray(base64.b64decode(member[name]))
    start = data.draw(st.integers(0, len(array) - 1))
    change = data.draw(st.binary(min_size=0, max_size=4))
    array[start : start + data.draw(st.integers(0, 4))] = change
    member[name] = base64.b64encode(array).decode()
    assert_safe(json.dumps(document).encode())


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_a_changed_booster_is_an_error_or_a_model(data: st.DataObject) -> None:
    """The same of the numbers of xgboost's trees, which kernels use to find their way in memory."""
    document = json.loads(DATA)
    learner = document["members"][1]["model"]["learner"]
    model = learner["gradient_booster"]["model"]
    tree = model["trees"][data.draw(st.integers(0, len(model["trees"]) - 1))]
    name = data.draw(
        st.sampled_from(
            ["left_children", "right_children", "split_indices", "split_conditions", "default_left", "info"]
        )
    )
    array = model["tree_info"] if name == "info" else tree[name]
    start = data.draw(st.integers(0, len(array) - 1))
    number = st.integers(-3, 20) | st.sampled_from([2**31 - 1, 2**63 - 1, 2**64, -(2**31), -(2**63), 1e300, -1e300])
    array[start : start + data.draw(st.integers(0, 2))] = data.draw(st.lists(number, max_size=2))
    assert_safe(json.dumps(document).encode())


def assert_safe(data: bytes) -> None:
    """The file is refused with a ModelError, or is a model whose every probability is a number."""
    try:
        forest = compile_forest(data, "ensemble")
    except ModelError:
        return
    assert forest.features == FEATURES
    assert np.isfinite(predicted(forest, values(8, 40))).all()


def changed_member(**arrays: np.ndarray) -> bytes:
    """The file of a tree of two inner nodes and three leaves with some of its arrays replaced."""
    member: dict[str, Any] = {
        "sizes": np.array([2], "<u2"),
        "feature": np.array([0, 1], "<u2"),
        "threshold": np.array([0, 1], "<f4"),
        "missing_left": np.array([0, 1], "u1"),
        "left": np.array([1, ~0], "<i2"),
        "right": np.array([~2, ~1], "<i2"),
        "leaves": np.array([[1, 0], [0, 1], [0.5, 0.5]], "<f4"),
        **arrays,
    }
    encoded = {name: base64.b64encode(array.tobytes()).decode() for name, array in member.items()}
    document = {"format": "geocrop-ensemble-1", "classes": 2, "features": 2, "members": [{"kind": "forest", **encoded}]}
    return json.dumps(document).encode()


def test_the_plain_tree_is_read() -> None:
    """What the tests of damage start from is no damaged file, and leads each value to its leaf."""
    forest = compile_forest(changed_member(), "ensemble")
    x = np.array([[-1, 0], [-1, 1], [0, 0], [np.nan, 0], [-1, np.nan]], np.float32)
    np.testing.assert_array_equal(predicted(forest, x), [[1, 0], [0, 1], [0.5, 0.5], [0.5, 0.5], [1, 0]])


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"left": np.array([0, ~0], "<i2")}, "child's number is out of range"),
        ({"left": np.array([2, ~0], "<i2")}, "child's number is out of range"),
        ({"leaves": np.array([[1, 0], [0, 1]], "<f4")}, "leaves hold 4 prob"),
        ({"left": np.array([1, ~3], "<i2")}, "child's number is out of range"),
        ({"left": np.array([1, ~1], "<i2")}, "leaf has two parents"),
        ({"left": np.array([1, ~0], "<i2"), "right": np.array([1, ~1], "<i2")}, "node has two parents"),
        ({"right": np.array([~2], "<i2")}, "arrays differ in length"),
        ({"feature": np.array([0, 2], "<u2")}, "feature that is none of 2"),
        ({"sizes": np.array([3], "<u2")}, "do not divide"),
        ({"sizes": np.array([], "<u2")}, "leaves hold 6 prob"),
        ({"missing_left": np.array([0, 2], "u1")}, "missing_left"),
        ({"threshold": np.array([0, 0, 0], "u1")}, "ends within a number"),
        ({"leaves": np.array([[1, 0], [0, 1], [0.5, np.nan]], "<f4")}, "not 0 to 1"),
        ({"leaves": np.array([[1, 0], [0, 1], [0.5, np.inf]], "<f4")}, "not 0 to 1"),
        ({"leaves": np.array([[1, 0], [0, 1], [2, -1]], "<f4")}, "not 0 to 1"),
        ({"leaves": np.array([[1, 0], [0, 1], [0.5, 0.4]], "<f4")}, "do not sum to 1"),
    ],
)
def test_a_damaged_forest_names_its_problem(arrays: dict[str, np.ndarray], problem: str) -> None:
    """Each check has its own message, with the member's number."""
    with pytest.raises(ModelError, match=f"member 1 of the ensemble.*{problem}"):
        decode_ensemble(changed_member(**arrays))


def learner_of(document: dict[str, Any]) -> dict[str, Any]:
    """The booster in a file's document."""
    learner: dict[str, Any] = document["members"][1]["model"]["learner"]
    return learner


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d["members"][0].update(weight=0.6), "weights sum to 1.1"),
        (lambda d: d["members"][0].update(weight=-0.5), "weight"),
        (lambda d: d["members"][0].update(temperature=0), "temperature"),
        (lambda d: learner_of(d)["learner_model_param"].update(base_score="[NaN,0,0]"), "base_score"),
        (lambda d: learner_of(d)["learner_model_param"].update(num_class="300"), "num_class"),
        (lambda d: d.update(members=[]), "members"),
        (lambda d: d.update(classes=4), "4"),
        (lambda d: d.update(features=5), "ensemble 3 of 5"),
        (lambda d: d.update(format="geocrop-ensemble-2"), "format"),
        (lambda d: d["members"][0].update(kind="lightgbm"), "kind"),
        (lambda d: d["members"][1].update(model={"learner": 3}), "member 2.*no xgboost model"),
        (lambda d: d["members"][1].update(model=None), "member 2.*no xgboost model"),
    ],
)
def test_a_file_of_another_kind_names_its_problem(change: Any, problem: str) -> None:
    """Weights, sizes and kinds that do not fit together are a ModelError."""
    document = json.loads(DATA)
    change(document)
    with pytest.raises(ModelError, match=problem):
        compile_forest(json.dumps(document).encode(), "ensemble")


@pytest.mark.parametrize(
    "junk", [b"", b"{}", b"no model", b"\xff\xfe", b'{"format": "geocrop-ensemble-1"}', b"[" * 9999]
)
def test_what_is_no_file_at_all_is_refused(junk: bytes) -> None:
    """Anything else is a ModelError too."""
    with pytest.raises(ModelError, match="damaged"):
        decode_ensemble(junk)


def test_what_would_not_be_read_is_not_written() -> None:
    """Weights that do not sum to 1 are refused before there is a file."""
    half = msgspec.structs.replace(any_ensemble().members[0], weight=0.5)
    with pytest.raises(ModelError, match=r"weights sum to 0\.5"):
        encode_ensemble(Ensemble(classes=3, features=FEATURES, members=(half,)))


def test_an_unknown_learner_is_refused() -> None:
    """A card of a newer version names what this one knows."""
    with pytest.raises(ModelError, match="'lightgbm', not xgboost or ensemble"):
        compile_forest(DATA, "lightgbm")


def test_the_compiled_form_is_small() -> None:
    """Its tables take at most 80 bytes per leaf of nine classes, beside the thresholds."""
    x = np.random.default_rng(0).normal(size=(3000, FEATURES)).astype(np.float32)
    y = np.random.default_rng(1).integers(0, 9, len(x))
    estimator = RandomForestClassifier(10, max_leaf_nodes=256, random_state=0).fit(x, y)
    trees, leaves = from_sklearn(estimator).to_trees(9)
    check_trees(trees, FEATURES)
    forest = AveragedForest.build(trees, leaves, FEATURES)
    assert sum(table.nbytes for table in forest.tables[3:]) <= 80 * trees.leaves
