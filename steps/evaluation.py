"""Honest accuracy: the whole recipe, choices included, measured on land that it was not given.

Outer folds hold blocks of land out with a buffer around them; the recipe makes its choices on the rest. The score by
single samples stands beside it, named optimistic: neighbours of every sample are in training.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steps.folds import Fold, block_side, block_units, buffer_of, buffered, commonest, grouped, inherited, shuffled
from steps.forest import classify, compile_forest
from steps.learners import Averaged, Boosted, Part
from steps.mixing import log_loss
from steps.model.card import ClassDef
from steps.oof import OutOfFold
from steps.progress import Advance
from steps.recipe import Choice, Followed, Recipe, all_cores, balanced_accuracy, fit_members, follow
from steps.scores import LearningPoint, ReliabilityBin, Suspect, reliability, score, suspects
from steps.table import SampleTable
from steps.votes import encode_predictor

FOLDS = 5
OPTIMISTIC = "single samples (optimistic)"
_CURVE = (0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Split:
    """Which samples are held out together."""

    name: str
    """In words, with its lengths."""
    units: np.ndarray
    """int64 (n): what is held out whole."""
    folds: tuple[Fold, ...]
    side: float = 0.0
    """Metres of the blocks that the units number; 0 where they are parcels or single samples."""
    inherited: bool = False
    """Whether samples of a model before are in its folds."""

    @property
    def buffer(self) -> float:
        """Metres around what is held out in which nothing trains."""
        return buffer_of(self.side) if self.side else 0.0

    @property
    def unscored(self) -> int:
        """Samples that are never held out, although others are: beyond the buffer nothing was left to train on."""
        return len(self.units) - sum(len(test) for _, test in self.folds) if self.folds else 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is known of a recipe on a table."""

    scores: dict[str, dict[str, Any]]
    """By split, the honest one first."""
    oof: OutOfFold | None
    """Of the first split; None when nothing could be held out."""
    candidates: dict[str, dict[str, float]] = field(default_factory=dict)
    """Each learner alone, and what was chosen, on the first split's held-out samples."""
    reliability: tuple[ReliabilityBin, ...] = ()
    importance: dict[str, float] = field(default_factory=dict)
    """By feature: balanced accuracy lost when its values are shuffled among the samples held out; greatest first."""
    learning: tuple[LearningPoint, ...] = ()
    suspects: tuple[Suspect, ...] = ()


def honest_split(table: SampleTable, targets: np.ndarray, seed: int, before: OutOfFold | None = None) -> Split:
    """Blocks of land with a buffer, where places are known; else parcels; else single samples, and named so.

    What was held out together `before`, of another model, is so again, in the same fold.
    """
    row = np.full(len(table), -1) if before is None else _rows_in(before, table)
    if before is None or (row < 0).all():
        return _own_split(table, targets, seed)
    folds = np.where(row < 0, -1, before.folds[row])
    side = float(before.side)
    units = _kept_units(table, side, row, before) if side else table.groups
    found = inherited(targets, units, folds, FOLDS) or grouped(targets, units, FOLDS, seed)
    name = _split_name(table, side)
    return Split(name, units, _apart(found, table, side), side, inherited=True)


def _own_split(table: SampleTable, targets: np.ndarray, seed: int) -> Split:
    side = block_side(table.places, FOLDS) if table.placed else 0.0
    units = block_units(table.places, table.groups, side) if side else table.groups
    name = _split_name(table, side)
    folds = shuffled(targets, FOLDS, seed) if name == OPTIMISTIC else grouped(targets, units, FOLDS, seed)
    return Split(name, units, _apart(folds, table, side), side)


def _split_name(table: SampleTable, side: float) -> str:
    if side:
        return f"blocks of {length(side)} held out, {length(buffer_of(side))} around them left out"
    return "parcels held out" if len(np.unique(table.groups)) < len(table) else OPTIMISTIC


def _apart(folds: Sequence[Fold], table: SampleTable, side: float) -> tuple[Fold, ...]:
    return tuple(buffered(folds, table.places, buffer_of(side)) if side else folds)


def _rows_in(before: OutOfFold, table: SampleTable) -> np.ndarray:
    """int64 (n): where the samples of a table are among others; -1 where they are not, or no split of these fits."""
    if bool(before.side) != table.placed or not len(before.ids):
        return np.full(len(table), -1)
    order = np.argsort(before.ids, kind="stable")
    place = order[np.searchsorted(before.ids[order], table.ids).clip(max=len(order) - 1)]
    return np.where(before.ids[place] == table.ids, place, -1)


def _kept_units(table: SampleTable, side: float, row: np.ndarray, before: OutOfFold) -> np.ndarray:
    """int64 (n): the block that most samples of a parcel were in before; its own one where they were in none.

    The centre of a parcel may move over an edge when more or less of it is seen clear.
    """
    names, numbers = np.unique(before.groups, return_inverse=True)
    parcels, known = np.unique(table.groups, return_inverse=True)[1], row >= 0
    kept = commonest(parcels[known], numbers[row[known]], int(parcels.max()) + 1)[parcels]
    return np.where(kept >= 0, names[kept], block_units(table.places, table.groups, side))


def length(metres: float) -> str:
    """As people write it."""
    return f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"


def evaluate(
    table: SampleTable, part: Part, split: Split, classes: Sequence[ClassDef], recipe: Recipe, advance: Advance
) -> Evaluation:
    """Follow the recipe once for each fold of a split, and look at what it says of the samples held out."""
    if not split.folds:
        return Evaluation({split.name: {}}, None)
    tried = _try(part, split.folds, recipe, advance)
    found = {name: _gathered(part, split.folds, tried, name) for name in tried[0].said}
    seen = np.sort(np.concatenate([test for _, test in split.folds]))
    truth, chosen = part.targets[seen], found[""][seen]
    return Evaluation(
        scores=_splits(part, split, tried, found[""], classes, recipe),
        oof=_out_of_fold(table, split, found[""], seen, classes),
        candidates=_candidates(part, found, seen),
        reliability=tuple(reliability(truth, chosen)),
        importance=_importance(part, table.names, split.folds, tried),
        learning=_learning_curve(part, table.groups, split.folds, tried, recipe),
        suspects=tuple(suspects(truth, chosen, table.groups[seen])),
    )


@dataclass(frozen=True, slots=True)
class _Tried:
    """The recipe followed on the training side of a fold."""

    followed: Followed
    said: Mapping[str, np.ndarray]
    """By candidate, float32 (n held out, class)."""


def _try(part: Part, folds: Sequence[Fold], recipe: Recipe, advance: Advance) -> list[_Tried]:
    def run(fold: Fold) -> _Tried:
        train, test = fold
        followed = follow(part.take(train), recipe, every_member=True)
        said = followed.candidates(part.features[test])
        advance(1)
        return _Tried(followed, said)

    with ThreadPoolExecutor(all_cores()) as pool:
        return list(pool.map(run, folds))


def _gathered(part: Part, folds: Sequence[Fold], tried: Sequence[_Tried], name: str) -> np.ndarray:
    """float32 (n, class): what a candidate said of each sample. Rows of no fold are zero."""
    found = np.zeros((len(part.targets), part.classes), np.float32)
    for (_, test), one in zip(folds, tried, strict=True):
        found[test] = one.said[name]
    return found


def _splits(
    part: Part,
    split: Split,
    tried: Sequence[_Tried],
    found: np.ndarray,
    classes: Sequence[ClassDef],
    recipe: Recipe,
) -> dict[str, dict[str, Any]]:
    seen = np.concatenate([test for _, test in split.folds])
    by_fold = [
        balanced_accuracy(part.targets[test], one.said[""].argmax(axis=1))
        for (_, test), one in zip(split.folds, tried, strict=True)
    ]
    headline = score(part.targets[seen], found[seen], classes)
    headline |= {
        "folds": len(by_fold),
        "balanced accuracy, least fold": round(min(by_fold), 4),
        "balanced accuracy, deviation of folds": round(float(np.std(by_fold)), 4),
    }
    if split.name == OPTIMISTIC:
        return {split.name: headline}
    return {split.name: headline, OPTIMISTIC: _optimistic(part, tried, classes, recipe)}


def _optimistic(part: Part, tried: Sequence[_Tried], classes: Sequence[ClassDef], recipe: Recipe) -> dict[str, Any]:
    """The same learner on folds of single samples, with the choices of the first honest fold."""
    choice = tried[0].followed.choice
    folds = shuffled(part.targets, FOLDS, recipe.seed)
    found = np.zeros((len(part.targets), part.classes), np.float32)

    def run(fold: Fold) -> None:
        train, test = fold
        found[test] = _with(part.take(train), recipe, choice).probabilities(part.features[test])

    with ThreadPoolExecutor(all_cores()) as pool:
        list(pool.map(run, folds))
    return score(part.targets, found, classes) if folds else {}


def _with(part: Part, recipe: Recipe, choice: Choice) -> Followed:
    return Followed(choice, fit_members(part, recipe, choice, choice.weights))


def _out_of_fold(
    table: SampleTable, split: Split, found: np.ndarray, seen: np.ndarray, classes: Sequence[ClassDef]
) -> OutOfFold:
    folds = np.full(len(table), -1, np.int16)
    for number, (_, test) in enumerate(split.folds):
        folds[test] = number
    return OutOfFold(
        ids=table.ids[seen],
        folds=folds[seen],
        groups=split.units[seen],
        truth=table.codes[seen].astype(np.int16),
        codes=np.array([entry.code for entry in classes], np.int16),
        probabilities=found[seen],
        side=np.asarray(split.side),
    )


def _candidates(part: Part, found: Mapping[str, np.ndarray], seen: np.ndarray) -> dict[str, dict[str, float]]:
    targets, weights = part.targets[seen], part.weights[seen]
    return {
        name or "chosen": {
            "overall accuracy": round(float((targets == said[seen].argmax(axis=1)).mean()), 4),
            "balanced accuracy": round(balanced_accuracy(targets, said[seen].argmax(axis=1)), 4),
            "log loss": round(log_loss(said[seen], targets, weights), 4),
        }
        for name, said in found.items()
    }


def _importance(part: Part, names: Sequence[str], folds: Sequence[Fold], tried: Sequence[_Tried]) -> dict[str, float]:
    """Permutation importance (Breiman 2001, Machine Learning 45) on the samples held out, by their number."""
    lost = np.zeros(len(names))

    def run(number: int) -> np.ndarray:
        return _lost(part.take(folds[number][1]), tried[number].followed, number)

    with ThreadPoolExecutor(all_cores()) as pool:
        for number, found in enumerate(pool.map(run, range(len(folds)))):
            lost += found * len(folds[number][1])
    lost /= sum(len(test) for _, test in folds)
    order = np.argsort(-lost, kind="stable")
    return {names[place]: round(float(lost[place]), 5) for place in order}


def _lost(held: Part, followed: Followed, seed: int) -> np.ndarray:
    """float64 (feature): balanced accuracy lost by shuffling each feature."""
    rng = np.random.default_rng(seed)
    called = _compiled(followed, held)
    base = balanced_accuracy(held.targets, called(held.features))
    lost = np.empty(held.features.shape[1])
    mixed = held.features.copy()
    for place in range(len(lost)):
        mixed[:, place] = rng.permutation(mixed[:, place])
        lost[place] = base - balanced_accuracy(held.targets, called(mixed))
        mixed[:, place] = held.features[:, place]
    return lost


def _compiled(followed: Followed, held: Part) -> Callable[[np.ndarray], np.ndarray]:
    """The class numbers of features, as maps find them: compiled, which is much faster than the libraries.

    A learner that does not know every class, as where a fold holds one out, is asked itself.
    """
    members = [followed.members[name] for name in followed.choice.weights]
    if not all(isinstance(member, Boosted | Averaged) and len(member.known) == held.classes for member in members):
        return lambda features: followed.probabilities(features).argmax(axis=1)
    learner, data = encode_predictor(followed, held.features.shape[1], held.classes)
    forest = compile_forest(data, learner)
    return lambda features: classify(forest, np.ascontiguousarray(features.T)).best.astype(np.int64)


def _learning_curve(
    part: Part, groups: np.ndarray, folds: Sequence[Fold], tried: Sequence[_Tried], recipe: Recipe
) -> tuple[LearningPoint, ...]:
    """Balanced accuracy by the number of labels trained on, with the choices made on all of them."""
    jobs = [(number, share) for share in _CURVE for number in range(len(folds))]

    def run(job: tuple[int, float]) -> tuple[int, float]:
        number, share = job
        train, test = folds[number]
        some, count = _share_of(train, groups, share, recipe.seed + number)
        said = tried[number].said[""]
        if len(some) < len(train):
            said = _with(part.take(some), recipe, tried[number].followed.choice).probabilities(part.features[test])
        return count, balanced_accuracy(part.targets[test], said.argmax(axis=1))

    with ThreadPoolExecutor(all_cores()) as pool:
        found = np.array(list(pool.map(run, jobs))).reshape(len(_CURVE), len(folds), 2)
    return tuple(
        LearningPoint(round(float(labels.mean())), round(float(reached.mean()), 4), round(float(reached.std()), 4))
        for labels, reached in np.moveaxis(found, 2, 1)
    )


def _share_of(train: np.ndarray, groups: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, int]:
    """The samples of a share of the labels, and how many labels these are."""
    order = np.random.default_rng(seed).permutation(np.unique(groups[train]))
    count = min(max(2, round(share * len(order))), len(order))
    return train[np.isin(groups[train], order[:count])], count
