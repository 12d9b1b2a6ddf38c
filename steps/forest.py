"""Inference: what a trained model says of pixels. Compiled forests where they can, xgboost itself where they cannot.

All rounds of an xgboost model count, as in `xgboost.Booster`: whoever stops early cuts the model at its best round
before saving it. Probabilities are equal to the Booster's, bit for bit, and the class is the first of the likeliest.
The sums of leaves are so on every CPU; the exponentials after them as long as numba calls the C library's expf, as
xgboost does, which it does unless Intel's SVML is installed beside it. A forest's averages are sums of integers, within
1e-6 of scikit-learn's and the same on every CPU.
"""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import structlog

from steps.boosted import Learner, Nodes, Unsupported, load_booster, read_learner
from steps.ensemble import ForestMember, XgboostMember, decode_ensemble
from steps.errors import ModelError
from steps.kernels import forest as kernels
from steps.kernels import trees as tree_kernels
from steps.kernels import votes
from steps.trees import Bounds, Rows, TooLarge, Trees

if TYPE_CHECKING:
    import xgboost

_CHUNK = 1 << 14
"""Pixels per task."""
_SLICE_ROUNDS = 25
"""Rounds whose trees stay in the cache together."""
_log = structlog.get_logger()


class Forest(Protocol):
    """A model ready to predict."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    @property
    def features(self) -> int:
        """Number of features."""

    def predict(self, values: np.ndarray, out: np.ndarray) -> None:
        """Fill out float32 (class, n) with the probabilities of values float32 (feature, n), NaN where missing.

        values are C-contiguous. Runs on one thread.
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


def classify(forest: Forest, values: np.ndarray, threads: int = 1, temperature: float = 1.0) -> Classified:
    """Classes and probabilities of values float32 (feature, n), chunk by chunk on threads.

    With a temperature beside 1 the probabilities are raised to its inverse and normed; the class is chosen before.
    Raises ModelError when the number of features is not the model's, or the temperature is none.
    """
    features, n = values.shape
    if features != forest.features:
        raise ModelError(f"the model wants {forest.features} features, not {features}", "use the card it came with")
    if not 0.001 <= temperature <= 1000:
        raise ModelError(f"the model's temperature is {temperature}, not 0.001 to 1000", "train the model again")
    out = Classified(
        np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty((forest.classes, n), np.float32)
    )

    def run(start: int) -> None:
        part = slice(start, start + _CHUNK)
        found = out.probabilities[:, part], out.best[part], out.confidence[part], out.margin[part]
        forest.predict(np.ascontiguousarray(values[:, part], np.float32), found[0])
        if temperature == 1:
            kernels.rank(*found)
        else:
            votes.rank_tempered(*found, np.float32(1 / temperature))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(0, n, _CHUNK)))
    return out


def compile_forest(model_bytes: bytes, learner: str = "xgboost") -> Forest:
    """The fastest forest of a model file; `learner` is its card's: xgboost, or ensemble.

    xgboost's gives the model's own probabilities, bit for bit; what is not compiled is logged as `forest.fallback` with
    the reason. Raises ModelError when the bytes are no such model.
    """
    if learner not in _COMPILERS:
        raise ModelError(f"the model's learner is {learner!r}, not {' or '.join(_COMPILERS)}", "update GeoCrop")
    return _COMPILERS[learner](model_bytes)


def _compile_booster(model_bytes: bytes) -> Forest:
    learner = read_learner(model_bytes)
    classes = learner.classes
    try:
        return _compiled(learner)
    except Unsupported as reason:
        _log.warning("forest.fallback", reason=str(reason), sha256=hashlib.sha256(model_bytes).hexdigest()[:12])
        booster = load_booster(model_bytes)
        booster.set_param({"nthread": 1})
        return BoosterForest(booster, classes, booster.num_features(), sliced=reason.sliced)


def _compiled(learner: Learner) -> Forest:
    nodes = Nodes.of(learner)
    try:
        levels = _levels(nodes)
        return DeepForest.build(learner, nodes) if levels is None else CompiledForest.build(learner, nodes, *levels)
    except TooLarge as reason:
        raise Unsupported(str(reason)) from reason


def _compile_ensemble(model_bytes: bytes) -> "SoftVote":
    ensemble = decode_ensemble(model_bytes)
    ballots = [
        Ballot(
            np.float32(member.weight),
            np.float32(1 / member.temperature),
            _compile_member(member, ensemble.classes, ensemble.features),
        )
        for member in ensemble.members
        if member.weight
    ]
    return SoftVote(ensemble.classes, ensemble.features, tuple(ballots))


def _compile_member(member: XgboostMember | ForestMember, classes: int, features: int) -> Forest:
    if isinstance(member, XgboostMember):
        return _compile_booster(bytes(member.model))
    try:
        return AveragedForest.build(*member.to_trees(classes), features)
    except TooLarge as reason:
        raise ModelError(f"a forest of the ensemble is too large: {reason}", "train it on rounded features") from reason


_COMPILERS: Mapping[str, Callable[[bytes], Forest]] = {"xgboost": _compile_booster, "ensemble": _compile_ensemble}


def _norm(margins: np.ndarray, out: np.ndarray) -> None:
    """Probabilities of margins float32 (output, n): one output per class; of two classes only one, the second's."""
    (kernels.sigmoid if len(margins) == 1 else kernels.softmax)(margins, out)


@dataclass(frozen=True, slots=True)
class BoosterForest:
    """xgboost itself; in slices of rounds where it can, since their trees stay in the cache."""

    booster: "xgboost.Booster"
    classes: int
    features: int
    sliced: bool

    def margins(self, values: np.ndarray) -> np.ndarray:
        """float32 (output, n): raw scores of values float32 (feature, n)."""
        rows = np.ascontiguousarray(values.T)
        found = self._by_slices(rows) if self.sliced else self._raw(rows, (0, 0), None)
        return np.ascontiguousarray(found.reshape(len(rows), -1).T)

    def predict(self, values: np.ndarray, out: np.ndarray) -> None:
        """See Forest."""
        _norm(self.margins(values), out)

    def _by_slices(self, rows: np.ndarray) -> np.ndarray:
        """A margin given replaces the base score, so only the first slice adds it: the order of sums is xgboost's."""
        rounds, margin = self.booster.num_boosted_rounds(), None
        for start in range(0, rounds, _SLICE_ROUNDS):
            margin = self._raw(rows, (start, min(start + _SLICE_ROUNDS, rounds)), margin)
        return self._raw(rows, (0, 0), None) if margin is None else margin

    def _raw(self, rows: np.ndarray, rounds: tuple[int, int], margin: np.ndarray | None) -> np.ndarray:
        found: np.ndarray = self.booster.inplace_predict(
            rows, iteration_range=rounds, predict_type="margin", base_margin=margin, validate_features=False
        )
        return found


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
    def build(cls, learner: Learner, nodes: Nodes, levels: list[_Level], leaves: np.ndarray) -> "CompiledForest":
        """Raises TooLarge with what stands in the way."""
        tree, slot, node = (
            np.concatenate([getattr(level, part) for level in levels]) for part in ("tree", "slot", "node")
        )
        order = np.argsort(tree, kind="stable")
        tree, slot, node = tree[order], slot[order], node[order]
        rows = Rows.of(nodes.feature[node], nodes.condition[node], nodes.default_left[node])
        first = np.searchsorted(tree, np.arange(len(nodes.roots) + 1))
        tables = rows.thresholds, rows.feature, rows.missing, slot, rows.node_row, rows.node_threshold
        return cls(learner.classes, learner.features, learner.base, (*tables, first, nodes.output, leaves))

    def margins(self, values: np.ndarray) -> np.ndarray:
        """float32 (output, n): raw scores of values float32 (feature, n)."""
        out = np.empty((len(self.base), values.shape[1]), np.float32)
        kernels.sum_trees(values, *self.tables, self.base, out)
        return out

    def predict(self, values: np.ndarray, out: np.ndarray) -> None:
        """See Forest."""
        _norm(self.margins(values), out)


def _levels(nodes: Nodes) -> tuple[list[_Level], np.ndarray] | None:
    """Inner nodes level by level, and leaf values float32 (tree, 64); a shallow leaf fills all places below it.

    None when a tree is deeper.
    """
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
    return None if len(node) else (levels, leaves)


@dataclass(frozen=True, slots=True)
class DeepForest:
    """xgboost's trees of any shape as `steps.kernels.trees.sum_margins` wants them."""

    classes: int
    features: int
    base: np.ndarray
    """float32 (output)."""
    tables: tuple[np.ndarray, ...]

    @classmethod
    def build(cls, learner: Learner, nodes: Nodes) -> "DeepForest":
        """Raises TooLarge with what stands in the way."""
        trees, leaves = nodes.to_trees()
        bounds, tables = _tables(trees)
        tables = *tables, leaves[bounds.leaves], nodes.output
        return cls(learner.classes, learner.features, learner.base, tables)

    def margins(self, values: np.ndarray) -> np.ndarray:
        """float32 (output, n): raw scores of values float32 (feature, n)."""
        out = np.empty((len(self.base), values.shape[1]), np.float32)
        tree_kernels.sum_margins(values, *self.tables, self.base, out)
        return out

    def predict(self, values: np.ndarray, out: np.ndarray) -> None:
        """See Forest."""
        _norm(self.margins(values), out)


@dataclass(frozen=True, slots=True)
class AveragedForest:
    """Trees whose leaves' probabilities are averaged, as `steps.kernels.trees.average_leaves` wants them."""

    classes: int
    features: int
    tables: tuple[np.ndarray, ...]
    whole: float
    """What the classes of one pixel sum to."""

    @classmethod
    def build(cls, trees: Trees, leaves: np.ndarray, features: int) -> "AveragedForest":
        """From checked trees and the probabilities float32 (leaf, class) of their leaves; raises TooLarge."""
        bounds, tables = _tables(trees)
        classes, one = leaves.shape[1], (2**32 - 1) // trees.count
        fixed = np.zeros((trees.leaves, tree_kernels.lanes(classes)), np.uint32)
        fixed[:, :classes] = np.rint(leaves[bounds.leaves].astype(np.float64) * one)
        return cls(classes, features, (*tables, fixed), float(one * trees.count))

    def predict(self, values: np.ndarray, out: np.ndarray) -> None:
        """See Forest."""
        tree_kernels.average_leaves(values, *self.tables, self.whole, out)


def _tables(trees: Trees) -> tuple[Bounds, tuple[np.ndarray, ...]]:
    """What both kernels of trees of any shape want first."""
    bounds = Bounds.of(trees)
    order = bounds.order
    rows = Rows.of(trees.feature[order], trees.threshold[order], trees.missing_left[order])
    tables = (rows.thresholds, rows.feature, rows.missing, rows.node_row, rows.node_threshold)
    return bounds, (*tables, bounds.bounds, trees.first)


@dataclass(frozen=True, slots=True)
class Ballot:
    """One member's say in a soft vote."""

    weight: np.float32
    inverse: np.float32
    """Of its temperature."""
    forest: Forest


@dataclass(frozen=True, slots=True)
class SoftVote:
    """The weighted mean of members' probabilities, summed in their order."""

    classes: int
    features: int
    ballots: tuple[Ballot, ...]

    def predict(self, values: np.ndarray, out: np.ndarray) -> None:
        """See Forest."""
        out[:] = 0
        found = np.empty_like(out)
        for ballot in self.ballots:
            ballot.forest.predict(values, found)
            if ballot.inverse != 1:
                votes.temper(found, ballot.inverse)
            votes.add(found, ballot.weight, out)
