"""The model file of an ensemble: a soft vote of members, each xgboost's or a forest of averaged probabilities.

JSON without a pickle: xgboost's members as xgboost writes them, forests as arrays in base64 (little-endian). Same
ensemble, same bytes. What is read is checked whole, so that a damaged file is an error and never a wrong map.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from steps.boosted import MAX_CLASSES, MAX_FEATURES, read_learner
from steps.errors import ModelError
from steps.trees import MAX_LEAVES, Trees, check_trees

MAX_TREES = 4096
"""Of a forest: probabilities are summed in 32 bits, which leaves 20 of them to each tree's."""
_SUM = 1e-6
"""What the weights may sum to beside 1."""
_LEAF_SUM = 1e-3
"""What a leaf's probabilities may."""
Weight = Annotated[float, msgspec.Meta(ge=0, le=1)]
Temperature = Annotated[float, msgspec.Meta(ge=0.001, le=1000)]


class XgboostMember(msgspec.Struct, frozen=True, kw_only=True, tag="xgboost", tag_field="kind"):
    """A booster whose objective is multi:softprob, multi:softmax or binary:logistic."""

    weight: Weight = 1.0
    temperature: Temperature = 1.0
    """As of a card: its probabilities are raised to the inverse before they are weighted."""
    model: msgspec.Raw
    """xgboost's JSON."""


class ForestMember(msgspec.Struct, frozen=True, kw_only=True, tag="forest", tag_field="kind"):
    """Trees whose leaves' probabilities are averaged: random forest, extra trees. See `steps.trees.Trees`."""

    weight: Weight = 1.0
    temperature: Temperature = 1.0
    sizes: bytes
    """uint16 (tree): inner nodes of each tree; it has one leaf more."""
    feature: bytes
    """uint16 (node)."""
    threshold: bytes
    """float32 (node): a value that reaches it goes right; NaN where no value does."""
    missing_left: bytes
    """uint8 (node): 1 where a missing value goes left."""
    left: bytes
    """int16 (node): the child's number among the inner nodes of its tree, above the parent's; or ~ a leaf's number."""
    right: bytes
    leaves: bytes
    """float32 (leaf, class): probabilities."""

    @classmethod
    def of(cls, trees: Trees, leaves: np.ndarray) -> "ForestMember":
        """A member of trees and the probabilities float32 (leaf, class) of their leaves."""
        return cls(
            sizes=np.diff(trees.first).astype("<u2").tobytes(),
            feature=trees.feature.astype("<u2").tobytes(),
            threshold=trees.threshold.astype("<f4").tobytes(),
            missing_left=trees.missing_left.astype("u1").tobytes(),
            left=trees.left.astype("<i2").tobytes(),
            right=trees.right.astype("<i2").tobytes(),
            leaves=leaves.astype("<f4").tobytes(),
        )

    def to_trees(self, classes: int) -> tuple[Trees, np.ndarray]:
        """The trees, and the probabilities float32 (leaf, class); raises ModelError when an array has no whole size."""
        sizes = _array(self.sizes, "<u2", np.int64)
        missing_left = _array(self.missing_left, "u1", np.uint8)
        if missing_left.max(initial=0) > 1:
            raise damaged("missing_left is neither 0 nor 1")
        trees = Trees(
            first=np.concatenate([[0], np.cumsum(sizes)]),
            feature=_array(self.feature, "<u2", np.int64),
            threshold=_array(self.threshold, "<f4", np.float32),
            missing_left=missing_left.astype(np.bool_),
            left=_array(self.left, "<i2", np.int64),
            right=_array(self.right, "<i2", np.int64),
        )
        leaves = _array(self.leaves, "<f4", np.float32)
        if len(leaves) != trees.leaves * classes:
            raise damaged(f"its leaves hold {len(leaves)} probabilities, not {trees.leaves} x {classes}")
        return trees, leaves.reshape(trees.leaves, classes)


def _array(data: bytes, kind: str, dtype: Any) -> np.ndarray:
    if len(data) % np.dtype(kind).itemsize:
        raise damaged("an array ends within a number")
    return np.frombuffer(data, kind).astype(dtype)


class Ensemble(msgspec.Struct, frozen=True, kw_only=True):
    """A soft vote: the probability of a class is the weighted mean of the members'."""

    format: Literal["geocrop-ensemble-1"] = "geocrop-ensemble-1"
    classes: Annotated[int, msgspec.Meta(ge=2, le=MAX_CLASSES)]
    """Of every member, in the same order."""
    features: Annotated[int, msgspec.Meta(ge=1, le=MAX_FEATURES)]
    """Of every member."""
    members: Annotated[tuple[XgboostMember | ForestMember, ...], msgspec.Meta(min_length=1)]
    """Their weights sum to 1."""


def encode_ensemble(ensemble: Ensemble) -> bytes:
    """The model file; raises ModelError when decode_ensemble would refuse it."""
    data = msgspec.json.encode(ensemble)
    decode_ensemble(data)
    return data


def decode_ensemble(model_bytes: bytes) -> Ensemble:
    """Read a model file; raises ModelError that names what is wrong with it."""
    try:
        ensemble = msgspec.json.decode(model_bytes, type=Ensemble)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise damaged(str(error)) from error
    total = sum(member.weight for member in ensemble.members)
    if not abs(total - 1) <= _SUM:
        raise damaged(f"the members' weights sum to {total:g}, not 1")
    for number, member in enumerate(ensemble.members, start=1):
        try:
            _check(member, ensemble)
        except ModelError as error:
            raise ModelError(f"member {number} of the ensemble: {error.what}", error.remedy) from error
    return ensemble


def damaged(why: str) -> ModelError:
    """The error of a file that cannot be what was written."""
    return ModelError(f"the model file is damaged: {why}", "train or fetch the model again")


def _check(member: XgboostMember | ForestMember, ensemble: Ensemble) -> None:
    if isinstance(member, XgboostMember):
        _check_booster(member, ensemble)
    else:
        _check_forest(member, ensemble)


def _check_booster(member: XgboostMember, ensemble: Ensemble) -> None:
    learner = read_learner(bytes(member.model))
    found, wanted = (learner.classes, learner.features), (ensemble.classes, ensemble.features)
    if found != wanted:
        raise damaged(f"it has {found[0]} classes of {found[1]} features, the ensemble {wanted[0]} of {wanted[1]}")


def _check_forest(member: ForestMember, ensemble: Ensemble) -> None:
    trees, leaves = member.to_trees(ensemble.classes)
    check_trees(trees, ensemble.features)
    if trees.count > MAX_TREES:
        raise ModelError(f"the forest has {trees.count} trees, at most {MAX_TREES} fit", "train a smaller one")
    if (largest := int(np.diff(trees.first).max()) + 1) > MAX_LEAVES:
        raise ModelError(f"a tree has {largest} leaves, at most {MAX_LEAVES} fit", "train with max_leaf_nodes")
    if not ((leaves >= 0) & (leaves <= 1)).all():
        raise damaged("a leaf's probability is not 0 to 1")
    if not (np.abs(leaves.sum(axis=1) - 1) <= _LEAF_SUM).all():
        raise damaged("a leaf's probabilities do not sum to 1")


def from_sklearn(estimator: Any, classes: int | None = None, edges: Sequence[np.ndarray] | None = None) -> ForestMember:
    """A fitted RandomForestClassifier or ExtraTreesClassifier, with weight 1.

    With `classes`, an estimator that has seen only some of them is spread over all: its classes_ are their numbers.
    With `edges` it was fitted on bins, and is turned into one of the values themselves: by feature, float32, rising; a
    value's bin was the number of edges that it reaches, a missing one's -1. Raises ModelError when a tree has too many
    leaves for the compiled form.
    """
    grown = [tree.tree_ for tree in estimator.estimators_]
    sizes = np.array([np.count_nonzero(tree.children_left >= 0) for tree in grown])
    if sizes.max() >= MAX_LEAVES:
        raise ModelError(f"a tree has {sizes.max() + 1} leaves, at most {MAX_LEAVES} fit", "train with max_leaf_nodes")
    parts = zip(*(_from_tree(tree, edges) for tree in grown), strict=True)
    trees = Trees(np.concatenate([[0], np.cumsum(sizes)]), *(np.concatenate(part) for part in parts))
    counts = np.concatenate([tree.value[tree.children_left < 0, 0, :] for tree in grown])
    return ForestMember.of(trees, _spread(counts / counts.sum(axis=1, keepdims=True), estimator.classes_, classes))


def _from_tree(tree: Any, edges: Sequence[np.ndarray] | None) -> tuple[np.ndarray, ...]:
    """Feature, threshold, missing_left, left, right of the inner nodes of an sklearn Tree."""
    is_leaf = tree.children_left < 0
    inner = np.flatnonzero(~is_leaf)
    number = np.where(is_leaf, ~(np.cumsum(is_leaf) - 1), np.cumsum(~is_leaf) - 1)
    feature, threshold = tree.feature[inner].astype(np.int64), tree.threshold[inner]
    missing_left = tree.missing_go_to_left[inner].astype(np.bool_)
    if edges is None:
        compared = first_above(threshold)
    else:
        compared, missing_left = _of_bins(feature, threshold, edges), threshold >= -1
    return feature, compared, missing_left, number[tree.children_left[inner]], number[tree.children_right[inner]]


def _of_bins(feature: np.ndarray, threshold: np.ndarray, edges: Sequence[np.ndarray]) -> np.ndarray:
    """float32 (node): what a value must reach for its bin to be above the threshold; every value reaches -infinity."""
    found = np.empty(len(feature), np.float32)
    for number in np.unique(feature):
        here = feature == number
        table = np.concatenate([[-np.inf], edges[number], [np.nan]]).astype(np.float32)
        found[here] = table[np.clip(np.floor(threshold[here]) + 1, 0, len(table) - 1).astype(np.int64)]
    return found


def first_above(thresholds: np.ndarray) -> np.ndarray:
    """The least float32 above each float64: value <= threshold there is value < this here, for every float32 value.

    NaN above infinity, which sklearn writes where every value goes left and only missing ones right.
    """
    with np.errstate(over="ignore"):
        nearest = thresholds.astype(np.float32)
        above = np.where(nearest > thresholds, nearest, np.nextafter(nearest, np.float32(np.inf)))
    return np.where(np.isposinf(thresholds), np.float32(np.nan), above).astype(np.float32)


def _spread(probabilities: np.ndarray, known: np.ndarray, classes: int | None) -> np.ndarray:
    if classes is None:
        return probabilities
    out = np.zeros((len(probabilities), classes))
    out[:, known.astype(np.int64)] = probabilities
    return out
