"""`geocrop train`: a model from labels, or from a ready-made table of features."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from steps.errors import UsageError
from steps.material import gather, plan_to_fetch
from steps.model.card import ModelCard
from steps.naming import slug
from steps.prepare import encode_plan
from steps.progress import stage
from steps.recipe import QUICK, Recipe
from steps.registry import log_and_register
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
    found = gather(arguments)
    recipe = QUICK if arguments.quick else Recipe(search_seconds=arguments.search_seconds)
    problem = problem_of(found.table, found.classes, recipe, found.names)
    with stage("training", STEPS) as advance:
        fitted = fit(problem, recipe, advance)
    with tempfile.TemporaryDirectory(prefix="geocrop-train-") as scratch:
        folder = Path(arguments.out or Path(scratch) / "model")
        card = write_model(folder, arguments.name, found.spec, problem, fitted, found.facts)
        ref = log_and_register(folder, settings())
    _say(card, f"{ref.name} version {ref.version}", arguments.out or ref.href, (*found.notes, *_lonely(problem)))
    return 0


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
