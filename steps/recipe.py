"""The whole way from samples to a predictor: every choice is made on inner folds of the samples it is given.

So whoever holds samples out and calls `follow` on the rest measures all of it: rounds, vote and calibration.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from steps.features import cores
from steps.folds import Fold, buffered, grouped, shuffled
from steps.learners import CHECKPOINTS, TREES, Part, Predictor, boosted_stages, fit_boosted, fit_extra_trees
from steps.mixing import crossed_vote, fit_temperature, heated, log_loss, mix, vote_weights
from steps.search import best_parameters

BOOSTING, EXTRA_TREES, ENSEMBLE = "gradient boosting", "extra trees", "soft vote"
_FOLDS = 3
_PATIENCE = 2
"""Checkpoints without a better one after which boosting stops."""
_GAIN = 0.002
"""Balanced accuracy that more rounds must bring."""
_NO_FOLD_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Recipe:
    """What may be chosen before samples are seen."""

    seed: int = 7
    boosting: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of gradient boosting that differ from the defaults."""
    rounds: tuple[int, ...] = CHECKPOINTS
    """Numbers of boosting rounds to choose from, rising."""
    ensemble: bool = True
    """Whether a soft vote is tried."""
    trees: int = TREES
    """Of the forest in the vote."""
    search_seconds: float = 0.0
    """Given to a search for parameters of gradient boosting on the inner folds; 0: there is none."""


QUICK = Recipe(boosting={"eta": 0.3, "max_depth": 5, "max_bin": 64}, rounds=(15,), ensemble=False)
"""One learner of a few large steps, with nothing to choose: a tenth of the time, and seldom much worse."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the inner folds chose."""

    rounds: int
    learner: str
    weights: Mapping[str, float]
    """By member; one member when a single learner was chosen."""
    temperature: float
    inner: Mapping[str, Mapping[str, float]]
    """Scores of each candidate on the inner folds: balanced accuracy and log loss."""
    boosting: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of gradient boosting that differ from the defaults."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A fitted predictor with what was chosen on the way."""

    choice: Choice
    members: Mapping[str, Predictor]

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """float32 (n, class): what was chosen, calibrated."""
        return self._voted({name: self.members[name].probabilities(features) for name in self.choice.weights})

    def candidates(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """float32 (n, class) of each member, and of what was chosen, calibrated, under ''."""
        found = {name: member.probabilities(features) for name, member in self.members.items()}
        return {**found, "": self._voted(found)}

    def _voted(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        used = np.stack([found[name] for name in self.choice.weights])
        return heated(mix(used, np.array(list(self.choice.weights.values()))), self.choice.temperature)


def follow(part: Part, recipe: Recipe, *, every_member: bool = False) -> Followed:
    """Choose on inner folds, then fit what was chosen on all of the part; with `every_member` the others as well."""
    choice = choose(part, recipe)
    wanted = (BOOSTING, EXTRA_TREES) if every_member and recipe.ensemble else tuple(choice.weights)
    return Followed(choice, fit_members(part, recipe, choice, wanted))


def fit_members(part: Part, recipe: Recipe, choice: Choice, wanted: Iterable[str]) -> dict[str, Predictor]:
    """Some members, fitted on all of a part with what was chosen before."""
    fits: dict[str, Callable[[], Predictor]] = {
        BOOSTING: lambda: fit_boosted(part, choice.rounds, recipe.seed, choice.boosting),
        EXTRA_TREES: lambda: fit_extra_trees(part, recipe.seed, recipe.trees),
    }
    return {name: fits[name]() for name in wanted}


def choose(part: Part, recipe: Recipe, *, threads: int = 1) -> Choice:
    """Rounds, learner, weights and temperature by inner folds that hold whole units out, as the outer ones do.

    Without two units, folds of single samples serve; without two samples of a class nothing is chosen.
    """
    folds = inner_folds(part, recipe.seed)
    if not folds:
        return Choice(_NO_FOLD_ROUNDS, BOOSTING, {BOOSTING: 1.0}, 1.0, {}, recipe.boosting)
    changed = _searched(part, recipe, folds, threads)
    rounds, boosted, _ = _boosting_of(part, recipe, folds, threads, changed)
    members = {BOOSTING: boosted}
    if recipe.ensemble:
        members[EXTRA_TREES] = held_out(
            part, folds, lambda train: fit_extra_trees(train, recipe.seed, recipe.trees), threads
        )
    seen = np.sort(np.concatenate([test for _, test in folds]))
    return replace(best_of(part, rounds, members, folds, seen), boosting=changed)


def inner_folds(part: Part, seed: int) -> list[Fold]:
    """Folds of whole units with the part's buffer around them, which is left out where two do not remain with it."""
    whole = grouped(part.targets, part.units, _FOLDS, seed)
    if part.places is not None and part.buffer and len(apart := buffered(whole, part.places, part.buffer)) > 1:
        return apart
    return whole or shuffled(part.targets, _FOLDS, seed)


def best_of(
    part: Part, rounds: int, members: Mapping[str, np.ndarray], folds: Sequence[Fold], seen: np.ndarray
) -> Choice:
    """The member or vote that is best on held-out samples; a vote must beat each member in both scores."""
    stacked = np.stack(list(members.values()))
    candidates = dict(members)
    if len(members) > 1:
        candidates[ENSEMBLE] = crossed_vote(stacked, part.targets, part.weights, folds)
    scores = {name: _score(part, found, seen) for name, found in candidates.items()}
    single = max(members, key=lambda name: scores[name]["balanced accuracy"])
    learner = ENSEMBLE if _beats_all(scores) else single
    weights = {single: 1.0}
    if learner == ENSEMBLE:
        found = vote_weights(stacked[:, seen], part.targets[seen], part.weights[seen])
        weights = {name: float(weight) for name, weight in zip(members, found, strict=True)}
    temperature = fit_temperature(candidates[learner][seen], part.targets[seen], part.weights[seen])
    return Choice(rounds, learner, weights, temperature, scores)


def _beats_all(scores: Mapping[str, Mapping[str, float]]) -> bool:
    """Whether the vote has a better balanced accuracy and a smaller log loss than every member of it."""
    if ENSEMBLE not in scores:
        return False
    vote, others = scores[ENSEMBLE], [found for name, found in scores.items() if name != ENSEMBLE]
    return all(
        vote["balanced accuracy"] > other["balanced accuracy"] and vote["log loss"] < other["log loss"]
        for other in others
    )


def _score(part: Part, probabilities: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    targets, weights = part.targets[seen], part.weights[seen]
    return {
        "balanced accuracy": balanced_accuracy(targets, probabilities[seen].argmax(axis=1)),
        "log loss": log_loss(
            heated(probabilities[seen], fit_temperature(probabilities[seen], targets, weights)), targets, weights
        ),
    }


def balanced_accuracy(targets: np.ndarray, predicted: np.ndarray) -> float:
    """Mean recall of the classes that occur."""
    counts = np.bincount(targets)
    right = np.bincount(targets, weights=targets == predicted, minlength=len(counts))
    return float((right[counts > 0] / counts[counts > 0]).mean())


def held_out(part: Part, folds: Sequence[Fold], fit: Callable[[Part], Predictor], threads: int) -> np.ndarray:
    """float32 (n, class): what a learner says of each sample when its fold was held out. Rows of no fold are zero."""
    found = np.zeros((len(part.targets), part.classes), np.float32)

    def run(fold: Fold) -> None:
        train, test = fold
        found[test] = fit(part.take(train)).probabilities(part.features[test])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, folds))
    return found


def _searched(part: Part, recipe: Recipe, folds: Sequence[Fold], threads: int) -> dict[str, Any]:
    """The recipe's parameters of gradient boosting, with those that a search on the folds found better."""
    fixed = dict(recipe.boosting)
    if not recipe.search_seconds:
        return fixed

    def score(changed: Mapping[str, Any]) -> float:
        return _boosting_of(part, recipe, folds, threads, {**fixed, **changed})[2]

    return {**fixed, **best_parameters(score, recipe.search_seconds, recipe.seed)}


def _boosting_of(
    part: Part, recipe: Recipe, folds: Sequence[Fold], threads: int, changed: Mapping[str, Any]
) -> tuple[int, np.ndarray, float]:
    """Early stopping: rounds are added to the learners of all folds together until balanced accuracy stays.

    The number of rounds, float32 (n, class) what they say of the samples held out, and its balanced accuracy.
    """
    learners = [boosted_stages(part.take(train), recipe.seed, recipe.rounds, changed) for train, _ in folds]
    seen = np.concatenate([test for _, test in folds])
    best = (-1.0, 0, np.empty(0))
    waited = 0
    for rounds in recipe.rounds:
        found = _advanced(part, folds, learners, threads)
        reached = balanced_accuracy(part.targets[seen], found[seen].argmax(axis=1))
        if reached > best[0] + _GAIN:
            best, waited = (reached, rounds, found), 0
        else:
            waited += 1
        if waited == _PATIENCE:
            break
    return best[1], best[2], best[0]


def _advanced(part: Part, folds: Sequence[Fold], learners: Sequence[Any], threads: int) -> np.ndarray:
    """float32 (n, class): what the learners of the folds say after their next stage."""
    found = np.zeros((len(part.targets), part.classes), np.float32)

    def run(number: int) -> None:
        test = folds[number][1]
        found[test] = next(learners[number]).probabilities(part.features[test])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(len(folds))))
    return found


def all_cores() -> int:
    """Threads to spread folds over."""
    return cores()
