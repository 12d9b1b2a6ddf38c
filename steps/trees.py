"""Binary trees as arrays, and as the tables that the kernels of `steps.kernels` want."""

from dataclasses import dataclass

import numpy as np

from steps.errors import ModelError
from steps.kernels.bins import search_order

MAX_LEAVES = 1024
"""Of one tree; a pixel's time grows with it, so beyond this walking down the tree is faster."""
MAX_ROWS = 1024
"""Of a forest: a row is a feature, where its missing values go, and up to 254 of its thresholds."""
_ROW_THRESHOLDS = 254
"""A bin is a byte; one value of it stands for missing."""
_UNREACHED = 254
"""Above all bins but that of missing values that go right."""
_MISSING_RIGHT, _MISSING_LEFT = 255, 0
"""Codes of missing that are above every threshold, and above none."""


class TooLarge(Exception):  # noqa: N818 - a reason, caught at once
    """Trees that the tables cannot hold."""


@dataclass(frozen=True, slots=True)
class Trees:
    """The inner nodes of all trees, one tree after the other. A tree of n inner nodes has n + 1 leaves.

    A value goes right when it reaches the threshold: threshold <= value, in float32.
    """

    first: np.ndarray
    """int64 (tree + 1): where the inner nodes of each tree begin; tree t's leaves begin at first[t] + t."""
    feature: np.ndarray
    """int64 (node)."""
    threshold: np.ndarray
    """float32 (node); NaN where no value goes right."""
    missing_left: np.ndarray
    """bool (node): where a missing value goes."""
    left: np.ndarray
    """int64 (node): the child's number among the inner nodes of its tree, above the parent's; or ~ a leaf's number."""
    right: np.ndarray

    @property
    def count(self) -> int:
        """Number of trees."""
        return len(self.first) - 1

    @property
    def leaves(self) -> int:
        """Number of leaves of all trees."""
        return len(self.feature) + self.count


def check_trees(trees: Trees, features: int) -> None:
    """Raises ModelError unless every node and every leaf hangs from its tree's root exactly once."""
    sizes = np.diff(trees.first)
    if len(sizes) == 0 or trees.first[0] != 0 or (sizes < 0).any() or trees.first[-1] != len(trees.feature):
        raise _damaged("its trees do not divide its nodes")
    if any(len(part) != len(trees.feature) for part in (trees.threshold, trees.missing_left, trees.left, trees.right)):
        raise _damaged("a tree's arrays differ in length")
    if len(trees.feature) and not 0 <= trees.feature.min() <= trees.feature.max() < features:
        raise _damaged(f"a node asks for a feature that is none of {features}")
    tree = np.repeat(np.arange(len(sizes)), sizes)
    number = np.arange(len(tree)) - trees.first[tree]
    child, size = np.concatenate([trees.left, trees.right]), np.tile(sizes[tree], 2)
    if ((child >= size) | (~child > size) | ((child >= 0) & (child <= np.tile(number, 2)))).any():
        raise _damaged("a child's number is out of range")
    start = np.tile(trees.first[tree], 2)
    inner, leaf = (start + child)[child >= 0], (start + np.tile(tree, 2) + ~child)[child < 0]
    roots = trees.first[:-1][sizes > 0]
    if (np.bincount(np.concatenate([inner, roots]), minlength=len(tree)) != 1).any():
        raise _damaged("a node has two parents, or none")
    alone = (trees.first[:-1] + np.arange(len(sizes)))[sizes == 0]
    if (np.bincount(np.concatenate([leaf, alone]), minlength=trees.leaves) != 1).any():
        raise _damaged("a leaf has two parents, or none")


def _damaged(why: str) -> ModelError:
    return ModelError(f"the model file is damaged: {why}", "train or fetch the model again")


@dataclass(frozen=True, slots=True)
class Rows:
    """Thresholds as bytes: the bin of a value is how many of a row's thresholds it reaches."""

    thresholds: np.ndarray
    """float32 (row, 256), in `steps.kernels.bins.search_order`."""
    feature: np.ndarray
    """int64 (row)."""
    missing: np.ndarray
    """uint8 (row): the bin of a missing value."""
    node_row: np.ndarray
    """uint16 (node)."""
    node_threshold: np.ndarray
    """uint8 (node): a bin above it goes right."""

    @classmethod
    def of(cls, feature: np.ndarray, threshold: np.ndarray, missing_left: np.ndarray) -> "Rows":
        """Rows for the nodes (node) of a forest; raises TooLarge."""
        part, place, tables = _places(feature, threshold)
        keys = (feature * (part.max(initial=0) + 1) + part) * 2 + missing_left
        found, first, row = np.unique(keys, return_index=True, return_inverse=True)
        if len(found) > MAX_ROWS:
            raise TooLarge(f"thresholds fill {len(found)} rows, at most {MAX_ROWS} fit")
        begin = part[first] * _ROW_THRESHOLDS
        chosen = [tables[f][b : b + _ROW_THRESHOLDS] for f, b in zip(feature[first].tolist(), begin, strict=True)]
        thresholds = np.array([search_order(one) for one in chosen], np.float32).reshape(-1, 256)
        missing = np.where(missing_left[first], _MISSING_LEFT, _MISSING_RIGHT).astype(np.uint8)
        return cls(thresholds, feature[first], missing, row.astype(np.uint16), place)


def _places(feature: np.ndarray, threshold: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]:
    """Of each node's threshold its part of its feature's, int64, and place there, uint8; all sorted, by feature."""
    part, place = np.zeros(len(feature), np.int64), np.full(len(feature), _UNREACHED, np.uint8)
    tables = {}
    for number in np.unique(feature):
        here = np.flatnonzero((feature == number) & ~np.isnan(threshold))
        tables[int(number)] = found = np.unique(threshold[here])
        part[here], place[here] = np.divmod(np.searchsorted(found, threshold[here]), _ROW_THRESHOLDS)
    return part, place, tables


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the kernel of any shape wants to know of nodes: the leaves from left to right that each parts."""

    order: np.ndarray
    """int64 (node): the trees' nodes, each tree's from its root down."""
    bounds: np.ndarray
    """uint16 (node, 3), in that order: see `steps.kernels.trees.find_leaves`."""
    leaves: np.ndarray
    """int64 (leaf): the trees' leaves, each tree's from left to right."""

    @classmethod
    def of(cls, trees: Trees) -> "Bounds":
        """Of trees that check_trees accepts; raises TooLarge."""
        sizes = np.diff(trees.first)
        if sizes.max(initial=0) >= MAX_LEAVES:
            raise TooLarge(f"{sizes.max() + 1} leaves in a tree, at most {MAX_LEAVES} fit")
        tree = np.repeat(np.arange(len(sizes)), sizes)
        left, right = (np.where(child < 0, -1, child + trees.first[tree]) for child in (trees.left, trees.right))
        levels = _levels(trees.first[:-1][sizes > 0], left, right)
        below = _count_leaves(levels, left, right)
        start, leaves = np.zeros(len(tree), np.int64), trees.first[:-1] + np.arange(len(sizes))
        leaves = np.repeat(leaves, sizes + 1)
        middle = np.zeros_like(start)
        for level in levels:
            inner = left[level] >= 0
            middle[level] = start[level] + np.where(inner, below[left[level]], 1)
            start[left[level][inner]] = start[level][inner]
            inner = right[level] >= 0
            start[right[level][inner]] = middle[level][inner]
        base = trees.first[tree] + tree
        for child, place in ((trees.left, start), (trees.right, middle)):
            is_leaf = child < 0
            leaves[(base + place)[is_leaf]] = (base + ~child)[is_leaf]
        order = np.concatenate(levels) if levels else np.empty(0, np.int64)
        order = order[np.argsort(tree[order], kind="stable")]
        bounds = np.stack([start, middle, start + below], axis=1)[order].astype(np.uint16)
        return cls(order, bounds, leaves)


def _levels(roots: np.ndarray, left: np.ndarray, right: np.ndarray) -> list[np.ndarray]:
    """The inner nodes of one depth after the other."""
    levels, here = [], roots
    while len(here):
        levels.append(here)
        below = np.concatenate([left[here], right[here]])
        here = below[below >= 0]
    return levels


def _count_leaves(levels: list[np.ndarray], left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """int64 (node): leaves below each inner node."""
    below = np.zeros(len(left), np.int64)
    for level in reversed(levels):
        below[level] = sum(np.where(child[level] < 0, 1, below[child[level]]) for child in (left, right))
    return below
