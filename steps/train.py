"""Training: from a table of samples to a model that says how good it is.

The headline score is measured on land held out, choices included (steps/evaluation.py). The model itself is then made
of all samples, with choices made on folds of all of them.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from steps.drift_reference import POINTS_FILE, make_reference
from steps.errors import LabelError
from steps.evaluation import FOLDS, Evaluation, Split, evaluate, honest_split
from steps.evaluation_files import evaluation_files
from steps.learners import Part
from steps.model.card import ClassDef, ModelCard, Reference
from steps.model.spec import FeatureSpec
from steps.models import save_model
from steps.oof import OOF_FILE, OutOfFold, encode_oof
from steps.progress import Advance
from steps.recipe import Choice, Recipe, all_cores, follow
from steps.table import SampleTable
from steps.votes import encode_predictor

STEPS = 6
"""Advances of a training's bar: one for each fold, one for the model."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be learned: samples, their classes in the order of the learner's numbers, how they are split."""

    table: SampleTable
    classes: tuple[ClassDef, ...]
    part: Part
    split: Split
    labels: Mapping[int, str]
    """What people call each group of the table: a row of the labels' file, or a place."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained learner and what is known of it."""

    learner: str
    """xgboost or ensemble: what the model's file holds."""
    model_bytes: bytes
    choice: Choice
    evaluation: Evaluation


def problem_of(
    table: SampleTable,
    classes: tuple[ClassDef, ...],
    recipe: Recipe,
    labels: Mapping[int, str] | None = None,
    before: OutOfFold | None = None,
) -> Problem:
    """The samples as the learners want them, in the folds of a model before, where it shares samples with them.

    Raises LabelError when two classes share a code.
    """
    ordered = sorted(classes, key=lambda entry: entry.code)
    present = tuple(entry for entry in ordered if (table.codes == entry.code).any())
    codes = [entry.code for entry in present]
    if len(set(codes)) != len(codes):
        raise LabelError("two classes share a code", "correct the legend")
    targets = np.searchsorted(codes, table.codes)
    split = honest_split(table, targets, recipe.seed, before)
    weights = sample_weights(targets, table.groups)
    part = Part(table.features, targets, weights, split.units, len(present), table.places, split.buffer)
    return Problem(table, present, part, split, labels or {})


def fit(problem: Problem, recipe: Recipe, advance: Advance) -> Fitted:
    """Measure the recipe, then follow it on all samples. Same samples, same bytes, unless a search runs."""
    recipe = replace(recipe, search_seconds=_share(recipe.search_seconds))
    with ThreadPoolExecutor(1) as beside:  # the folds leave a core idle at the end
        following = beside.submit(follow, problem.part, recipe)
        evaluation = evaluate(problem.table, problem.part, problem.split, problem.classes, recipe, advance)
        followed = following.result()
        advance(1)
    learner, model_bytes = encode_predictor(followed, problem.part.features.shape[1], problem.part.classes)
    return Fitted(learner, model_bytes, followed.choice, evaluation)


def _share(seconds: float) -> float:
    """What each search gets of a time budget: those of the folds and of the model share the cores."""
    return seconds * all_cores() / (FOLDS + 1)


def lonely_classes(problem: Problem) -> tuple[str, ...]:
    """Classes whose samples are all held out together: no split can say how well they are recognised."""
    targets, units = problem.part.targets, problem.split.units
    return tuple(
        entry.name for number, entry in enumerate(problem.classes) if len(np.unique(units[targets == number])) == 1
    )


def sample_weights(targets: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """float32 (n): the square roots of what would give classes, and parcels in them, the same say."""
    weights = np.ones(len(targets))
    for keys in (targets, groups):
        _, position, counts = np.unique(keys, return_inverse=True, return_counts=True)
        weights /= np.sqrt(counts[position])
    return (weights / weights.mean()).astype(np.float32)


def write_model(
    folder: Path, name: str, spec: FeatureSpec, problem: Problem, fitted: Fitted, trained: Mapping[str, Any]
) -> ModelCard:
    """The model's folder, whole or not at all: learner, card, points, out-of-fold predictions, evaluation."""
    reference, points = _reference(problem, fitted)
    card = ModelCard(
        name=name,
        learner=fitted.learner,
        model_sha256=hashlib.sha256(fitted.model_bytes).hexdigest(),
        spec=spec,
        classes=problem.classes,
        temperature=fitted.choice.temperature,
        reference=reference,
        trained={**trained, **_choices(fitted), "when": dt.datetime.now(dt.UTC).date().isoformat()},
        scores=fitted.evaluation.scores,
    )
    save_model(folder, card, fitted.model_bytes, {POINTS_FILE: points, **_files(problem, fitted)})
    return card


def _reference(problem: Problem, fitted: Fitted) -> tuple[Reference, bytes]:
    """What maps are compared with; features count by their importance, where it is known."""
    table, importance = problem.table, fitted.evaluation.importance
    weights = np.array([importance[name] for name in table.names]) if importance else None
    if weights is not None and not (weights > 0).any():
        weights = None
    return make_reference(table.features, table.names, table.codes, table.groups, weights)


def _files(problem: Problem, fitted: Fitted) -> dict[str, bytes]:
    """What lies beside learner and card, by its path."""
    found = evaluation_files(fitted.evaluation, problem.classes, fitted.choice, problem.labels)
    if fitted.evaluation.oof is not None:
        found[OOF_FILE] = encode_oof(fitted.evaluation.oof)
    return found


def _choices(fitted: Fitted) -> dict[str, Any]:
    choice = fitted.choice
    return {
        "learner": choice.learner,
        "boosting rounds": choice.rounds,
        "temperature": choice.temperature,
        **choice.boosting,
        **{f"vote of {name}": round(weight, 4) for name, weight in choice.weights.items() if len(choice.weights) > 1},
    }
