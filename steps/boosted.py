"""xgboost's model files, read without importing xgboost, which takes a second; its binary form goes through xgboost."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from steps.errors import ModelError
from steps.kernels import forest as kernels
from steps.trees import Trees

if TYPE_CHECKING:
    import xgboost

MAX_CLASSES = 255
"""Codes of a map's classes are 0 to 254."""
MAX_FEATURES = 65_535
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Unsupported(Exception):  # noqa: N818 - a reason, caught at once
    """A model that the compiled forms cannot hold; whether xgboost may take it in slices of rounds."""

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


class Learner(msgspec.Struct):
    """The part of xgboost's JSON that inference needs (doc/model.schema in xgboost's repository)."""

    gradient_booster: _Booster
    learner_model_param: _Parameters
    objective: _Named

    @property
    def classes(self) -> int:
        """Number of classes; raises ModelError when this is no classifier."""
        objective = self.objective.name
        if objective == "binary:logistic":
            return 2
        if objective in {"multi:softprob", "multi:softmax"}:
            return _whole("num_class", self.learner_model_param.num_class, MAX_CLASSES)
        raise ModelError(f"the model's objective is {objective}", "train with multi:softprob or binary:logistic")

    @property
    def features(self) -> int:
        """Number of features."""
        return _whole("num_feature", self.learner_model_param.num_feature, MAX_FEATURES)

    @property
    def base(self) -> np.ndarray:
        """The margins to start from, float32 (output): one number in the file, or from xgboost 3.1 on one for each."""
        try:
            stated = np.atleast_1d(np.array(json.loads(self.learner_model_param.base_score), np.float32))
            if not np.isfinite(stated).all():
                raise ValueError("not finite")
            if self.objective.name == "binary:logistic":
                return np.array([kernels.logit(stated[0])], np.float32)
            return np.array(np.broadcast_to(stated, self.classes))
        except (ValueError, TypeError, IndexError) as error:
            raise _damaged("base_score is no number") from error


class _File(msgspec.Struct):
    learner: Learner


def _whole(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= most):
        raise _damaged(f"{name} is {text!r}, not 1 to {most}")
    return int(text)


def _damaged(why: str) -> ModelError:
    return ModelError(f"the model file is no xgboost model: {why}", "train it again")


def read_learner(model_bytes: bytes) -> Learner:
    """What an xgboost model file says; raises ModelError when it is none."""
    try:
        text = model_bytes if _is_json(model_bytes) else bytes(load_booster(model_bytes).save_raw("json"))
        return msgspec.json.decode(text, type=_File).learner
    except _NO_JSON as error:
        raise _damaged(str(error)) from error


def _is_json(model_bytes: bytes) -> bool:
    return model_bytes.lstrip()[:2] == b'{"'


def load_booster(model_bytes: bytes) -> "xgboost.Booster":
    """The model in xgboost itself; raises ModelError when it refuses."""
    import xgboost  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="geocrop-model-") as folder:
        path = Path(folder) / ("model.json" if _is_json(model_bytes) else "model.ubj")
        path.write_bytes(model_bytes)
        try:
            return xgboost.Booster(model_file=path)
        except xgboost.core.XGBoostError as error:
            raise ModelError("the model file is no xgboost model", str(error).splitlines()[0]) from error


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


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of all trees, one after the other, as xgboost numbers them. Some may hang from nowhere: pruned ones."""

    left: np.ndarray
    """int64 (node): place of the left child; negative for a leaf."""
    right: np.ndarray
    feature: np.ndarray
    condition: np.ndarray
    """float32 (node): threshold, or the leaf's value."""
    default_left: np.ndarray
    roots: np.ndarray
    """int64 (tree)."""
    output: np.ndarray
    """int64 (tree): the output that it adds to."""

    @classmethod
    def of(cls, learner: Learner) -> "Nodes":
        """Raises Unsupported when it holds other than plain trees, ModelError when they are damaged."""
        forest = _plain(learner.gradient_booster)
        outputs = 1 if learner.objective.name == "binary:logistic" else learner.classes
        try:
            with np.errstate(over="ignore"):
                nodes = cls._joined(forest)
        except (OverflowError, ValueError) as error:
            raise _damaged(str(error)) from error
        if len(nodes.output) and not 0 <= nodes.output.min() <= nodes.output.max() < outputs:
            raise _damaged("a tree adds to a class that is none")
        if not np.isfinite(nodes.condition[nodes.left < 0]).all():
            raise _damaged("a leaf's value is not finite")
        inner = nodes.feature[nodes.left >= 0]
        if len(inner) and not 0 <= inner.min() <= inner.max() < learner.features:
            raise _damaged("a node asks for a feature that is none")
        return nodes

    @classmethod
    def _joined(cls, forest: _Trees) -> "Nodes":
        trees = forest.trees
        sizes = np.array([len(tree.left_children) for tree in trees], np.int64)
        lengths = np.array(
            [
                [len(part) for part in (t.right_children, t.split_indices, t.split_conditions, t.default_left)]
                for t in trees
            ],
            np.int64,
        ).reshape(-1, 4)
        if (sizes == 0).any() or (lengths != sizes[:, None]).any() or len(forest.tree_info) != len(trees):
            raise ValueError("a tree's arrays differ in length")
        start = np.repeat(np.cumsum(sizes) - sizes, sizes)
        left = _flat([tree.left_children for tree in trees], np.int64)
        right = _flat([tree.right_children for tree in trees], np.int64)
        if ((left >= np.repeat(sizes, sizes)) | (right >= np.repeat(sizes, sizes)) | ((left < 0) != (right < 0))).any():
            raise ValueError("a node's child is out of range")
        return cls(
            left=np.where(left < 0, -1, left + start),
            right=np.where(right < 0, -1, right + start),
            feature=_flat([tree.split_indices for tree in trees], np.int64),
            condition=_flat([tree.split_conditions for tree in trees], np.float32),
            default_left=_flat([tree.default_left for tree in trees], np.bool_),
            roots=np.cumsum(sizes) - sizes,
            output=np.array(forest.tree_info, np.int64),
        )

    def to_trees(self) -> tuple[Trees, np.ndarray]:
        """The trees, and the values float32 (leaf) of their leaves; raises ModelError when the nodes are no trees."""
        tree, node = self._reached()
        is_leaf = self.left[node] < 0
        inner, leaf = node[~is_leaf], node[is_leaf]
        number = np.zeros(len(self.left), np.int64)
        first, leaf_first = (_starts(tree[kind], len(self.roots)) for kind in (~is_leaf, is_leaf))
        number[inner] = np.arange(len(inner)) - first[tree[~is_leaf]]
        number[leaf] = ~(np.arange(len(leaf)) - leaf_first[tree[is_leaf]])
        trees = Trees(
            first=first,
            feature=self.feature[inner],
            threshold=self.condition[inner],
            missing_left=self.default_left[inner],
            left=number[self.left[inner]],
            right=number[self.right[inner]],
        )
        return trees, self.condition[leaf]

    def _reached(self) -> tuple[np.ndarray, np.ndarray]:
        """Tree and place of the nodes that hang from a root, by tree, from the root down."""
        tree, node = np.arange(len(self.roots)), self.roots
        trees, nodes, count = [tree], [node], len(node)
        while len(node):
            inner = self.left[node] >= 0
            tree, node = np.tile(tree[inner], 2), np.concatenate([self.left[node[inner]], self.right[node[inner]]])
            trees.append(tree)
            nodes.append(node)
            count += len(node)
            if count > len(self.left):
                raise _damaged("a node has two parents")
        tree, node = np.concatenate(trees), np.concatenate(nodes)
        if len(np.unique(node)) != len(node):
            raise _damaged("a node has two parents")
        order = np.argsort(tree, kind="stable")
        return tree[order], node[order]


def _flat(parts: list[list[Any]], dtype: Any) -> np.ndarray:
    return np.concatenate([np.array(part, dtype) for part in parts]) if parts else np.empty(0, dtype)


def _starts(tree: np.ndarray, trees: int) -> np.ndarray:
    """int64 (tree + 1): where each tree begins in the sorted numbers of trees."""
    found: np.ndarray = np.searchsorted(tree, np.arange(trees + 1))
    return found


def _plain(booster: _Booster) -> _Trees:
    if booster.name != "gbtree":
        raise Unsupported(f"booster {booster.name}", sliced=False)
    try:
        forest = msgspec.json.decode(booster.model, type=_Trees)
    except _NO_JSON as error:
        raise _damaged(str(error)) from error
    if any(tree.categories_nodes for tree in forest.trees):
        raise Unsupported("categorical splits")
    if any(tree.tree_param.size_leaf_vector not in {"0", "1"} for tree in forest.trees):
        raise Unsupported("a vector in each leaf", sliced=False)
    return forest
