"""Whether a challenger is worse than the champion, on samples that neither had seen when it was asked. Pure.

Both were asked about the same samples while whole units (blocks of land, parcels) were held out in the same folds.
Samples of one unit are not independent, so that the interval of a difference comes from drawing units, not samples,
again (a paired cluster bootstrap; Field & Welsh 2007, Journal of the Royal Statistical Society B 69).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steps.folds import commonest
from steps.model.card import ModelCard
from steps.model.promotion import Comparison, Difference
from steps.oof import OutOfFold

DRAWS = 2000
FALL = 0.01
"""A fall of a score that is taken for none, unless even the interval says it is one."""
CLASS_FALL = 0.05
"""Recall of one class that may be lost, where its interval says that it is."""
LOSS_RISE = 0.02
"""Rise of the log loss, likewise."""
_LEAST = 30
"""Common samples."""
_MOVED = 0.1
"""Share of them that may have been held out in other folds; they are left out. More of them are another split."""
_TINY = 1e-6
BALANCED, OVERALL, LOSS = "balanced accuracy", "overall accuracy", "log loss"


@dataclass(frozen=True, slots=True)
class Contender:
    """A model, and what it said of samples that it had not seen."""

    card: ModelCard
    oof: OutOfFold


def compare(champion: Contender, challenger: Contender) -> Comparison:
    """The differences in accuracy with 95 % intervals, and the reasons against the challenger, if any."""
    split, other = _split(champion.card), _split(challenger.card)
    here, there = _common(champion.oof, challenger.oof)
    common = len(here)
    alike = _alike(champion.oof, here, challenger.oof, there)
    here, there = here[alike], there[alike]
    units = champion.oof.groups[here]
    reasons = [*_unfit(champion.card, challenger.card), *_incomparable(common, len(here), split, other)]
    differences: tuple[Difference, ...] = ()
    if len(here) >= _LEAST:
        differences = tuple(_differences(_taken(champion, here), _taken(challenger, there), units))
        reasons += _worse(differences)
    return Comparison(
        split=split,
        samples=len(here),
        units=len(np.unique(units)),
        left_out=common - len(here),
        differences=differences,
        reasons=tuple(reasons),
    )


def _split(card: ModelCard) -> str:
    return next(iter(card.scores), "")


def _common(champion: OutOfFold, challenger: OutOfFold) -> tuple[np.ndarray, np.ndarray]:
    """Where the samples of both are that have the same label in both."""
    _, here, there = np.intersect1d(champion.ids, challenger.ids, return_indices=True)
    same = champion.truth[here] == challenger.truth[there]
    return here[same], there[same]


def _alike(champion: OutOfFold, here: np.ndarray, challenger: OutOfFold, there: np.ndarray) -> np.ndarray:
    """bool (n): the common samples that both held out in the same unit and the same fold, by whatever numbers."""
    alike = np.ones(len(here), bool)
    for one, other in ((champion.groups, challenger.groups), (champion.folds, challenger.folds)):
        alike &= _paired(one[here], other[there])
    return alike


def _paired(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """bool (n): where two partitions of n samples agree, of which each part has one of the other as its counterpart."""
    (first, one), (second, other) = (np.unique(parts, return_inverse=True) for parts in (here, there))
    forth, back = commonest(one, other, len(first)), commonest(other, one, len(second))
    agree: np.ndarray = (forth[one] == other) & (back[other] == one)
    return agree


def _unfit(champion: ModelCard, challenger: ModelCard) -> Iterator[str]:
    """What no score can make good."""
    known = {entry.code for entry in challenger.classes}
    if lost := [entry.name for entry in champion.classes if entry.code not in known]:
        yield f"it does not know {', '.join(lost)}"
    if champion.spec.mappable and not challenger.spec.mappable:
        yield "no map can be made with it"


def _incomparable(common: int, alike: int, split: str, other: str) -> Iterator[str]:
    if common < _LEAST:
        yield (
            f"they have {common} labelled samples in common: train both on the same labels, with others if there are, "
            "in the same --crs"
        )
    elif split != other:
        yield f"they were measured on other folds: {other or 'none'}, the champion on {split or 'none'}"
    elif alike < max(_LEAST, (1 - _MOVED) * common):
        yield (
            f"they were measured on other folds: {common - alike} of {common} common samples were held out in others. "
            "Train it again: `geocrop train` takes the champion's folds"
        )


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model said of n samples."""

    truth: np.ndarray
    """int16 (n): class codes."""
    right: np.ndarray
    """bool (n)."""
    loss: np.ndarray
    """float64 (n): negative logarithm of the probability of the label."""
    names: dict[int, str]


def _taken(contender: Contender, rows: np.ndarray) -> Answers:
    oof = contender.oof
    truth = oof.truth[rows]
    said = np.zeros(len(rows))
    for column, code in enumerate(oof.codes):
        here = truth == code
        said[here] = oof.probabilities[rows[here], column]
    names = {entry.code: entry.name for entry in contender.card.classes}
    return Answers(truth, oof.predicted[rows] == truth, -np.log(np.maximum(said, _TINY)), names)


def _differences(champion: Answers, challenger: Answers, units: np.ndarray) -> Iterator[Difference]:
    codes = np.unique(champion.truth)
    before, after = sums(champion, codes, units), sums(challenger, codes, units)
    first, second = measures(before.sum(axis=0)[None])[0], measures(after.sum(axis=0)[None])[0]
    draws = drawn(np.concatenate([before, after], axis=1))
    width = before.shape[1]
    low, high = interval(measures(draws[:, width:]) - measures(draws[:, :width]))
    names = [BALANCED, OVERALL, LOSS, *(f"recall of {champion.names.get(int(code), str(code))}" for code in codes)]
    for name, old, new, least, most in zip(names, first, second, low, high, strict=True):
        yield Difference(
            measure=name,
            champion=_rounded(old),
            challenger=_rounded(new),
            difference=_rounded(new - old),
            low=_rounded(least),
            high=_rounded(most),
        )


def _rounded(value: float) -> float:
    return round(float(value), 4)


def sums(answers: Answers, codes: np.ndarray, units: np.ndarray) -> np.ndarray:
    """float64 (unit, 2 class + 1): samples of each class, those that are right, and the summed loss."""
    names, position = np.unique(units, return_inverse=True)
    classes = np.searchsorted(codes, answers.truth)
    cell = position * len(codes) + classes
    count = np.bincount(cell, minlength=len(names) * len(codes)).reshape(len(names), -1)
    right = np.bincount(cell, answers.right, minlength=len(names) * len(codes)).reshape(len(names), -1)
    loss = np.bincount(position, answers.loss, minlength=len(names))[:, None]
    return np.concatenate([count, right, loss], axis=1)


def measures(totals: np.ndarray) -> np.ndarray:
    """float64 (draw, 3 + class): balanced and overall accuracy, log loss, recalls; of totals as `sums` has them."""
    classes = (totals.shape[1] - 1) // 2
    count, right, loss = totals[:, :classes], totals[:, classes:-1], totals[:, -1]
    seen = count.sum(axis=1)
    recall = np.divide(right, count, out=np.full_like(right, np.nan), where=count > 0)
    return np.column_stack([np.nanmean(recall, axis=1), right.sum(axis=1) / seen, loss / seen, recall])


def drawn(sums: np.ndarray) -> np.ndarray:
    """float64 (draw, k): totals of sums (unit, k) over as many units, drawn with replacement. Always the same draws."""
    rng, units = np.random.default_rng(0), len(sums)
    return np.stack([np.bincount(rng.integers(0, units, units), minlength=units) @ sums for _ in range(DRAWS)])


def interval(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle 95 % of each column (draw, measure)."""
    low, high = np.nanquantile(found, (0.025, 0.975), axis=0)
    return low, high


def _worse(differences: tuple[Difference, ...]) -> Iterator[str]:
    """A sentence for each measure that got worse by more than chance, or more than is put up with."""
    for one in differences:
        if one.measure == LOSS:
            worse = one.low > 0 and one.difference > LOSS_RISE
        elif one.measure in {BALANCED, OVERALL}:
            worse = one.difference < 0 and (one.high < 0 or one.difference < -FALL)
        else:
            worse = one.high < 0 and one.difference < -CLASS_FALL
        if worse:
            yield f"{one.measure} {one.challenger:.3f} against {one.champion:.3f} ({one.low:+.3f} to {one.high:+.3f})"
