"""Inference: what a trained model says of pixels. The compiled forest where it can, xgboost itself where it cannot."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import structlog

from steps.errors import ModelError
from steps.kernels import forest as kernels

if TYPE_CHECKING:
    import xgboost

_CHUNK = 1 << 14
"""Pixels per task: their bins and margins stay in the cache."""
_SLICE_ROUNDS = 25
MAX_THRESHOLDS = 254
"""Per feature: a bin is a byte, and one value of it stands for missing."""
MAX_DEPTH = 6
_log = structlog.get_logger()


class Forest(Protocol):
    """A model ready to predict."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    def margins(self, values: np.ndarray) -> np.ndarray:
        """float32 (class, n): raw scores of values float32 (feature, n), NaN where missing. Runs on one thread."""


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


def compile_forest(model_bytes: bytes) -> Forest:
    """The fastest forest that gives the model's own margins, bit for bit. Logs `forest.fallback` with the reason.

    Raises ModelError when the bytes are no xgboost classifier.
    """
    document = _document(model_bytes)
    classes = _classes(document)
    try:
        return CompiledForest.build(document, classes)
    except Unsupported as reason:
        _log.warning("forest.fallback", reason=str(reason), sha256=hashlib.sha256(model_bytes).hexdigest()[:12])
        booster = _booster(model_bytes)
        booster.set_param({"nthread": 1})
        return BoosterForest(booster, classes, sliced=document["gradient_booster"]["name"] == "gbtree")


class Unsupported(Exception):  # noqa: N818 - a reason, caught at once
    """A model that the compiled form cannot hold."""


def _document(model_bytes: bytes) -> dict[str, Any]:
    """The learner as xgboost's JSON has it. JSON is read without importing xgboost, which takes a second."""
    try:
        text = model_bytes if model_bytes[:2] == b'{"' else _booster(model_bytes).save_raw("json")
        learner: dict[str, Any] = json.loads(text)["learner"]
    except (ValueError, KeyError) as error:
        raise ModelError("the model file is no xgboost model", f"train it again ({error})") from error
    return learner


def _booster(model_bytes: bytes) -> "xgboost.Booster":
    import xgboost  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="geocrop-model-") as folder:
        path = Path(folder) / ("model.json" if model_bytes.lstrip()[:2] == b'{"' else "model.ubj")
        path.write_bytes(model_bytes)
        try:
            return xgboost.Booster(model_file=path)
        except xgboost.core.XGBoostError as error:
            raise ModelError("the model file is no xgboost model", str(error).splitlines()[0]) from error


def _classes(document: dict[str, Any]) -> int:
    objective = document["objective"]["name"]
    if objective == "binary:logistic":
        return 2
    if objective in {"multi:softprob", "multi:softmax"}:
        return int(document["learner_model_param"]["num_class"])
    raise ModelError(f"the model's objective is {objective}", "train with multi:softprob or binary:logistic")


def classify(forest: Forest, values: np.ndarray, threads: int = 1) -> Classified:
    """Classes and probabilities of values float32 (feature, n), chunk by chunk on threads."""
    n = values.shape[1]
    out = Classified(
        np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty((forest.classes, n), np.float32)
    )

    def run(start: int) -> None:
        part = slice(start, start + _CHUNK)
        scores = forest.margins(np.ascontiguousarray(values[:, part]))
        kernels.rank(scores, out.best[part], out.confidence[part], out.margin[part])
        out.probabilities[:, part] = scores

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(0, n, _CHUNK)))
    return out


@dataclass(frozen=True, slots=True)
class BoosterForest:
    """xgboost itself; in slices of rounds where it can, since their trees stay in the cache."""

    booster: "xgboost.Booster"
    classes: int
    sliced: bool

    def margins(self, values: np.ndarray) -> np.ndarray:
        """See Forest."""
        rows = np.ascontiguousarray(values.T)
        found = self._by_slices(rows) if self.sliced else self._predict(rows, (0, 0), None)
        if found.ndim == 1:
            found = np.stack([np.zeros_like(found), found], axis=1)
        return np.ascontiguousarray(found.T)

    def _by_slices(self, rows: np.ndarray) -> np.ndarray:
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
class CompiledForest:
    """Trees as `steps.kernels.forest` wants them."""

    classes: int
    features: int
    thresholds: np.ndarray
    """float32 (feature, 256): sorted, padded with NaN, which no value reaches."""
    node_slot: np.ndarray
    node_bin: np.ndarray
    """int32 (node): row of the bins; the second half sends missing values left."""
    node_threshold: np.ndarray
    tree_first: np.ndarray
    tree_class: np.ndarray
    leaves: np.ndarray
    base: np.ndarray
    binary: bool

    @classmethod
    def build(cls, document: dict[str, Any], classes: int) -> "CompiledForest":
        """From xgboost's JSON; raises Unsupported with what stands in the way."""
        booster = document["gradient_booster"]
        if booster["name"] != "gbtree":
            raise Unsupported(f"booster {booster['name']}")
        trees, features = booster["model"]["trees"], int(document["learner_model_param"]["num_feature"])
        binary = document["objective"]["name"] == "binary:logistic"
        thresholds = _thresholds(trees, features)
        nodes = [list(_nodes(tree, thresholds, features)) for tree in trees]
        flat = np.array([node for tree in nodes for node in tree], np.int32).reshape(-1, 3)
        return cls(
            classes=classes,
            features=features,
            thresholds=_padded(thresholds),
            node_slot=np.ascontiguousarray(flat[:, 0]),
            node_bin=np.ascontiguousarray(flat[:, 1]),
            node_threshold=flat[:, 2].astype(np.uint8),
            tree_first=np.cumsum([0, *map(len, nodes)]).astype(np.int64),
            tree_class=np.array(booster["model"]["tree_info"], np.int64),
            leaves=np.array([_leaves(tree) for tree in trees], np.float32).reshape(-1, kernels.LEAVES),
            base=_base(document, 1 if binary else classes),
            binary=binary,
        )

    def margins(self, values: np.ndarray) -> np.ndarray:
        """See Forest."""
        n = values.shape[1]
        bins = np.empty((2 * self.features, -(-n // kernels.BLOCK) * kernels.BLOCK), np.uint8)
        kernels.bin_values(values, self.thresholds, bins)
        out = np.empty((len(self.base), n), np.float32)
        kernels.sum_trees(
            bins,
            self.node_slot,
            self.node_bin,
            self.node_threshold,
            self.tree_first,
            self.tree_class,
            self.leaves,
            self.base,
            kernels.HAS_PERMUTE,
            out,
        )
        return np.concatenate([np.zeros_like(out), out]) if self.binary else out


def _thresholds(trees: list[dict[str, Any]], features: int) -> list[np.ndarray]:
    """Sorted distinct thresholds of each feature; raises Unsupported when a byte cannot number them."""
    found: list[set[np.float32]] = [set() for _ in range(features)]
    for tree in trees:
        if any(tree.get("categories", [])) or any(tree.get("split_type", [])):
            raise Unsupported("categorical splits")
        for left, feature, condition in zip(
            tree["left_children"], tree["split_indices"], tree["split_conditions"], strict=True
        ):
            if left >= 0:
                found[feature].add(np.float32(condition))
    if (most := max(map(len, found), default=0)) > MAX_THRESHOLDS:
        raise Unsupported(f"{most} thresholds of one feature, at most {MAX_THRESHOLDS} fit")
    return [np.array(sorted(thresholds), np.float32) for thresholds in found]


def _padded(thresholds: list[np.ndarray]) -> np.ndarray:
    table = np.full((len(thresholds), 256), np.nan, np.float32)
    for row, values in zip(table, thresholds, strict=True):
        row[: len(values)] = values
    return table


def _walk(tree: dict[str, Any]) -> Iterator[tuple[int, int, int]]:
    """node, depth and path of every node; raises Unsupported when the tree is too deep."""
    stack = [(0, 0, 0)]
    while stack:
        node, depth, path = stack.pop()
        yield node, depth, path
        left, right = tree["left_children"][node], tree["right_children"][node]
        if left >= 0:
            if depth == MAX_DEPTH:
                raise Unsupported(f"trees deeper than {MAX_DEPTH}")
            stack += [(right, depth + 1, 2 * path + 1), (left, depth + 1, 2 * path)]


def _nodes(tree: dict[str, Any], thresholds: list[np.ndarray], features: int) -> Iterator[tuple[int, int, int]]:
    """slot, row of the bins and threshold of each inner node."""
    for node, depth, path in _walk(tree):
        if tree["left_children"][node] >= 0:
            feature = tree["split_indices"][node]
            place = int(np.searchsorted(thresholds[feature], np.float32(tree["split_conditions"][node])))
            yield (1 << depth) + path, feature + features * bool(tree["default_left"][node]), place


def _leaves(tree: dict[str, Any]) -> np.ndarray:
    """Leaf values by path; a shallow leaf stands at the leftmost of its places, where unset masks lead."""
    leaves = np.zeros(kernels.LEAVES, np.float32)
    for node, depth, path in _walk(tree):
        if tree["left_children"][node] < 0:
            leaves[path << (MAX_DEPTH - depth)] = tree["split_conditions"][node]
    return leaves


def _base(document: dict[str, Any], outputs: int) -> np.ndarray:
    """The margins to start from: a number for all, or from xgboost 3.1 on one for each class."""
    text = document["learner_model_param"]["base_score"]
    stated = np.atleast_1d(np.array(json.loads(text), np.float32))
    if document["objective"]["name"] == "binary:logistic":
        stated = -np.log(np.float32(1) / stated - np.float32(1))
    return np.ascontiguousarray(np.broadcast_to(stated, outputs)).astype(np.float32)
