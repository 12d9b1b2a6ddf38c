"""`geocrop train`: a model from labels, or from a ready-made table of features."""

import argparse
import contextlib
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from steps.errors import GeoCropError, ModelError, StoreError, UsageError
from steps.evaluation import FOLDS, length
from steps.folds import block_side
from steps.material import gather, plan_to_fetch
from steps.model.card import ModelCard
from steps.model.job import ModelRef
from steps.naming import slug
from steps.oof import OOF_FILE, OutOfFold, load_oof
from steps.prepare import encode_plan
from steps.progress import stage
from steps.recipe import QUICK, Recipe
from steps.registry import find_champion, log_and_register
from steps.settings import settings
from steps.train import STEPS, Problem, fit, lonely_classes, problem_of, write_model


def run(arguments: argparse.Namespace) -> int:
    """Sample, train, score, register; says how good the model is."""
    if slug(arguments.name) != arguments.name:
        raise UsageError(f"--name {arguments.name!r} does not fit", "use a-z, 0-9 and dashes")
    if arguments.quick and arguments.search_seconds:
        raise UsageError("--quick searches for nothing", "leave it out, or --search-seconds")
    if arguments.plan:
        Path(arguments.plan).write_bytes(encode_plan(plan_to_fetch(arguments)))
        return 0
    champion, before = _champion(arguments.name)  # a registry that is away says so before hours of work
    found = gather(arguments)
    recipe = QUICK if arguments.quick else Recipe(search_seconds=arguments.search_seconds)
    problem = problem_of(found.table, found.classes, recipe, found.names, before)
    with stage("training", STEPS) as advance:
        fitted = fit(problem, recipe, advance)
    facts = {**found.facts, "folds of": champion} if problem.split.inherited else found.facts
    folder = Path(arguments.out or settings().home / "trained" / f"{arguments.name}-{uuid.uuid4().hex[:8]}")
    card = write_model(folder, arguments.name, found.spec, problem, fitted, facts)
    ref = _registered(folder)
    if not arguments.out:
        shutil.rmtree(folder, ignore_errors=True)
    notes = (*found.notes, *_folds(problem, champion), *_lonely(problem))
    _say(card, f"{ref.name} version {ref.version}", arguments.out or ref.href, notes)
    return 0


def _champion(name: str) -> tuple[str, OutOfFold | None]:
    """The version that the next one will be compared with, and the folds that it was measured on."""
    found = find_champion(name, settings())
    if found is None:
        return "", None
    version, folder = found
    with contextlib.suppress(ModelError):
        return f"{version.name}/{version.version}", load_oof(folder / OOF_FILE)
    return "", None


def _registered(folder: Path) -> ModelRef:
    """The model's new version. Raises what the registry raises; the model stays where it is then, which is said."""
    try:
        return log_and_register(folder, settings())
    except (GeoCropError, OSError) as error:
        found = error if isinstance(error, GeoCropError) else StoreError(str(error), "make room")
        what = f"the model is trained, but not registered: {found.what}"
        raise type(found)(what, f"{found.remedy}: it lies in {folder}, `geocrop register {folder}`") from error


def _folds(problem: Problem, champion: str) -> Iterator[str]:
    split = problem.split
    if split.inherited:
        wider = block_side(problem.table.places, FOLDS) if split.side else 0.0
        own = f"; by itself it would have been blocks of {length(wider)}" if wider != split.side else ""
        yield f"measured on the folds of the champion {champion}, to be compared with it{own}"
    if split.unscored:
        yield (
            f"{split.unscored} samples are in no score: beyond {length(split.buffer)} around their blocks nothing is "
            "left to train on. Label farther away"
        )


def _lonely(problem: Problem) -> Iterator[str]:
    if names := lonely_classes(problem):
        yield (
            f"no score for {', '.join(names)}: all samples of the class are held out together, so it counts as never "
            "recognised. Label it in more places"
        )


def _say(card: ModelCard, registered: str, where: str, notes: tuple[str, ...]) -> None:
    write = sys.stdout.write
    write(f"model {registered}: {len(card.classes)} classes, {len(card.spec.feature_names)} features, in {where}\n")
    for split, scores in card.scores.items():
        if scores:
            write(
                f"  {split}: overall accuracy {scores['overall accuracy']:.3f}, "
                f"balanced {scores['balanced accuracy']:.3f}, calibration error {scores['calibration error']:.3f}\n"
            )
        else:
            write(f"  {split}: not enough groups to hold any out\n")
    for note in notes:
        write(f"  note: {note}\n")
