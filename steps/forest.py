"""Inference: what a trained model says of pixels. The compiled forest where it can, xgboost itself where it cannot.

All rounds of the model file count, as in `xgboost.Booster`: whoever stops early cuts the model at its best round before
saving it. Probabilities are equal to the Booster's, bit for bit, and the class is the first of the likeliest. The sums
of leaves are so on every CPU; the exponentials after them as long as numba calls the C library's expf, as xgboost does,
which it does unless Intel's SVML is installed beside it.
"""

import hashlib
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np
import structlog

from steps.errors import ModelError
from steps.kernels import forest as kernels

if TYPE_CHECKING:
    import xgboost

MAX_THRESHOLDS = 254
"""Per feature: a bin is a byte, and one value of it stands for missing."""
_CHUNK = 1 << 14
"""Pixels per task."""
_SLICE_ROUNDS = 25
"""Rounds whose trees stay in the cache together."""
_MISSING_RIGHT, _MISSING_LEFT = 255, 0
"""Codes of missing that are above every threshold, and above none."""
_log = structlog.get_logger()


class Forest(Protocol):
    """A model ready to predict."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    @property
    def features(self) -> int:
        """Number of features."""

    def margins(self, values: np.ndarray) -> np.ndarray:
        """float32 (output, n): raw scores of values float32 (feature, n), NaN where missing.

        One output per class; of two classes only one, the second's. Runs on one thread.
        """


@dataclass(frozen=True, slots=True)
class Classified:
    """What a forest says of n pixels."""

    best: np.ndarray
    """uint8 (n): position of the likeliest class."""
    confidence: np.ndarray
    """uint8 (n): its probability, 0 to 100."""
    margin: np.ndarray
    """uint8 (n): its probability less the second best's, 0 to 100."""
    probabilities: np.ndarray
    """float32 (class, n)."""


def classify(forest: Forest, values: np.ndarray, threads: int = 1) -> Classified:
    """Classes and probabilities of values float32 (feature, n), chunk by chunk on threads.

    Raises ModelError when the number of features is not the model's.
    """
    features, n = values.shape
    if features != forest.features:
        raise ModelError(f"the model wants {forest.features} features, not {features}", "use the card it came with")
    out = Classified(
        np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty((forest.classes, n), np.float32)
    )

    def run(start: int) -> None:
        part = slice(start, start + _CHUNK)
        margins = forest.margins(np.ascontiguousarray(values[:, part], np.float32))
        (kernels.sigmoid if len(margins) == 1 else kernels.softmax)(margins, out.probabilities[:, part])
        kernels.rank(out.probabilities[:, part], out.best[part], out.confidence[part], out.margin[part])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(0, n, _CHUNK)))
    return out


def compile_forest(model_bytes: bytes) -> Forest:
    """The fastest forest that gives the model's own margins, bit for bit. Logs `forest.fallback` with the reason.

    Raises ModelError when the bytes are no xgboost classifier.
    """
    learner = _learner(model_bytes)
    classes = _classes(learner)
    try:
        return CompiledForest.build(learner, classes)
    except Unsupported as reason:
        _log.warning("forest.fallback", reason=str(reason), sha256=hashlib.sha256(model_bytes).hexdigest()[:12])
        booster = _booster(model_bytes)
        booster.set_param({"nthread": 1})
        return BoosterForest(booster, classes, booster.num_features(), sliced=reason.sliced)


class Unsupported(Exception):  # noqa: N818 - a reason, caught at once
    """A model that the compiled form cannot hold; whether xgboost may take it in slices of rounds."""

    def __init__(self, reason: str, *, sliced: bool = True) -> None:
        super().__init__(reason)
        self.sliced = sliced


class _Parameters(msgspec.Struct):
    base_score: str
    num_class: str
    num_feature: str


class _Named(msgspec.Struct):
    name: str


class _Booster(msgspec.Struct):
    name: str
    model: msgspec.Raw = msgspec.Raw()


class _Learner(msgspec.Struct):
    """The part of xgboost's JSON that inference needs (doc/model.schema in xgboost's repository)."""

    gradient_booster: _Booster
    learner_model_param: _Parameters
    objective: _Named


class _File(msgspec.Struct):
    learner: _Learner


class _Size(msgspec.Struct, frozen=True):
    size_leaf_vector: str = "1"


class _Tree(msgspec.Struct):
    left_children: list[int]
    right_children: list[int]
    split_indices: list[int]
    split_conditions: list[float]
    """Of a leaf: its value."""
    default_left: list[int]
    categories_nodes: list[int] = []
    tree_param: _Size = _Size()


class _Trees(msgspec.Struct):
    trees: list[_Tree]
    tree_info: list[int]
    """The output that each tree adds to."""


def _learner(model_bytes: bytes) -> _Learner:
    """Read xgboost's JSON without importing xgboost, which takes a second; its binary form goes through xgboost."""
    try:
        text = model_bytes if _is_json(model_bytes) else bytes(_booster(model_bytes).save_raw("json"))
        return msgspec.json.decode(text, type=_File).learner
    except msgspec.DecodeError as error:
        raise ModelError(f"the model file is no xgboost model: {error}", "train it again") from error


def _is_json(model_bytes: bytes) -> bool:
    return model_bytes.lstrip()[:2] == b'{"'


def _booster(model_bytes: bytes) -> "xgboost.Booster":
    import xgboost  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="geocrop-model-") as folder:
        path = Path(folder) / ("model.json" if _is_json(model_bytes) else "model.ubj")
        path.write_bytes(model_bytes)
        try:
            return xgboost.Booster(model_file=path)
        except xgboost.core.XGBoostError as error:
            raise ModelError("the model file is no xgboost model", str(error).splitlines()[0]) from error


def _classes(learner: _Learner) -> int:
    objective = learner.objective.name
    if objective == "binary:logistic":
        return 2
    if objective in {"multi:softprob", "multi:softmax"}:
        return int(learner.learner_model_param.num_class)
    raise ModelError(f"the model's objective is {objective}", "train with multi:softprob or binary:logistic")


@dataclass(frozen=True, slots=True)
class BoosterForest:
    """xgboost itself; in slices of rounds where it can, since their trees stay in the cache."""

    booster: "xgboost.Booster"
    classes: int
    features: int
    sliced: bool

    def margins(self, values: np.ndarray) -> np.ndarray:
        """See Forest."""
        rows = np.ascontiguousarray(values.T)
        found = self._by_slices(rows) if self.sliced else self._predict(rows, (0, 0), None)
        return np.ascontiguousarray(found.reshape(len(rows), -1).T)

    def _by_slices(self, rows: np.ndarray) -> np.ndarray:
        """A margin given replaces the base score, so only the first slice adds it: the order of sums is xgboost's."""
        rounds, margin = self.booster.num_boosted_rounds(), None
        for start in range(0, rounds, _SLICE_ROUNDS):
            margin = self._predict(rows, (start, min(start + _SLICE_ROUNDS, rounds)), margin)
        return self._predict(rows, (0, 0), None) if margin is None else margin

    def _predict(self, rows: np.ndarray, rounds: tuple[int, int], margin: np.ndarray | None) -> np.ndarray:
        found: np.ndarray = self.booster.inplace_predict(
            rows, iteration_range=rounds, predict_type="margin", base_margin=margin, validate_features=False
        )
        return found


@dataclass(frozen=True, slots=True)
class _Nodes:
    """The nodes of all trees, one after the other."""

    left: np.ndarray
    """int64 (node): place of the left child; negative for a leaf."""
    right: np.ndarray
    feature: np.ndarray
    condition: np.ndarray
    """float32 (node): threshold, or the leaf's value."""
    default_left: np.ndarray
    roots: np.ndarray

    @classmethod
    def of(cls, trees: list[_Tree]) -> "_Nodes":
        sizes = np.array([len(tree.left_children) for tree in trees], np.int64)
        roots = np.cumsum(sizes) - sizes
        start = np.repeat(roots, sizes)
        left = _flat([tree.left_children for tree in trees], np.int64)
        right = _flat([tree.right_children for tree in trees], np.int64)
        return cls(
            left=np.where(left < 0, -1, left + start),
            right=np.where(left < 0, -1, right + start),
            feature=_flat([tree.split_indices for tree in trees], np.int64),
            condition=_flat([tree.split_conditions for tree in trees], np.float32),
            default_left=_flat([tree.default_left for tree in trees], np.bool_),
            roots=roots,
        )


def _flat(parts: list[list[Any]], dtype: Any) -> np.ndarray:
    return np.concatenate([np.array(part, dtype) for part in parts]) if parts else np.empty(0, dtype)


@dataclass(frozen=True, slots=True)
class _Level:
    """The inner nodes of one depth of all trees."""

    tree: np.ndarray
    slot: np.ndarray
    node: np.ndarray


@dataclass(frozen=True, slots=True)
class CompiledForest:
    """Trees as `steps.kernels.forest.sum_trees` wants them."""

    classes: int
    features: int
    base: np.ndarray
    """float32 (output)."""
    tables: tuple[np.ndarray, ...]

    @classmethod
    def build(cls, learner: _Learner, classes: int) -> "CompiledForest":
        """From xgboost's JSON; raises Unsupported with what stands in the way."""
        forest = _supported(learner.gradient_booster)
        features = int(learner.learner_model_param.num_feature)
        nodes = _Nodes.of(forest.trees)
        levels, leaves = _levels(nodes)
        tree, slot, node = (
            np.concatenate([getattr(level, part) for level in levels]) for part in ("tree", "slot", "node")
        )
        order = np.argsort(tree, kind="stable")
        thresholds, place = _thresholds(nodes.feature[node], nodes.condition[node], features)
        rows, row = np.unique(2 * nodes.feature[node] + nodes.default_left[node], return_inverse=True)
        tables = (
            thresholds,
            rows // 2,
            np.where(rows % 2, _MISSING_LEFT, _MISSING_RIGHT).astype(np.uint8),
            slot[order],
            row[order],
            place[order],
            np.searchsorted(tree[order], np.arange(len(forest.trees) + 1)),
            np.array(forest.tree_info, np.int64),
            leaves,
        )
        return cls(classes, features, _base(learner, classes), tables)

    def margins(self, values: np.ndarray) -> np.ndarray:
        """See Forest."""
        out = np.empty((len(self.base), values.shape[1]), np.float32)
        kernels.sum_trees(values, *self.tables, self.base, out)
        return out


def _supported(booster: _Booster) -> _Trees:
    if booster.name != "gbtree":
        raise Unsupported(f"booster {booster.name}", sliced=False)
    forest = msgspec.json.decode(booster.model, type=_Trees)
    if any(tree.categories_nodes for tree in forest.trees):
        raise Unsupported("categorical splits")
    if any(tree.tree_param.size_leaf_vector not in {"0", "1"} for tree in forest.trees):
        raise Unsupported("a vector in each leaf", sliced=False)
    return forest


def _levels(nodes: _Nodes) -> tuple[list[_Level], np.ndarray]:
    """Inner nodes level by level, and leaf values float32 (tree, 64); a shallow leaf fills all places below it."""
    leaves = np.zeros((len(nodes.roots), kernels.LEAVES), np.float32)
    tree, node, path = np.arange(len(nodes.roots)), nodes.roots, np.zeros(len(nodes.roots), np.int64)
    levels = []
    for depth in range(kernels.DEPTH + 1):
        inner = nodes.left[node] >= 0
        width = kernels.LEAVES >> depth
        places = path[~inner, None] * width + np.arange(width)
        leaves[tree[~inner, None], places] = nodes.condition[node[~inner], None]
        tree, node, path = tree[inner], node[inner], path[inner]
        levels.append(_Level(tree, (1 << depth) + path, node))
        tree, path = np.concatenate([tree, tree]), np.concatenate([2 * path, 2 * path + 1])
        node = np.concatenate([nodes.left[node], nodes.right[node]])
    if len(node):
        raise Unsupported(f"trees deeper than {kernels.DEPTH}")
    return levels, leaves


def _thresholds(feature: np.ndarray, condition: np.ndarray, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds by feature, float32 (feature, 256), sorted, padded with NaN; and the place of each node's, uint8."""
    table, place = np.full((features, 256), np.nan, np.float32), np.zeros(len(feature), np.uint8)
    for number in np.unique(feature):
        here = feature == number
        found = np.unique(condition[here])
        if len(found) > MAX_THRESHOLDS:
            raise Unsupported(f"{len(found)} thresholds of feature {number}, at most {MAX_THRESHOLDS} fit")
        table[number, : len(found)] = found
        place[here] = np.searchsorted(found, condition[here])
    return table, place


def _base(learner: _Learner, classes: int) -> np.ndarray:
    """The margins to start from: a number for all outputs, or from xgboost 3.1 on one for each."""
    stated = np.atleast_1d(np.array(json.loads(learner.learner_model_param.base_score), np.float32))
    if learner.objective.name == "binary:logistic":
        return np.array([kernels.logit(stated[0])], np.float32)
    return np.array(np.broadcast_to(stated, classes))
