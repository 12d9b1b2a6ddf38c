"""`geocrop train`: a model from labels, or from a ready-made table of features."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from steps.errors import UsageError
from steps.labels import Labels, read_labels
from steps.legend import Legend, read_legend
from steps.local import crew_of
from steps.model.card import ClassDef, ModelCard
from steps.model.digest import digest
from steps.model.job import MapOptions, MapRequest, ModelRef, OffsetVerdict, Plan
from steps.model.scene import Scene
from steps.model.spec import FeatureSpec, standard_spec
from steps.naming import slug
from steps.plan import plan_map
from steps.prepare import probed, query_of
from steps.progress import stage
from steps.recipe import Recipe
from steps.registry import log_and_register
from steps.requests import epsg_of, season_of
from steps.samples import collect_samples, group_names, labelled_tiles, some_of
from steps.scenes import absolute_catalog, find_scenes
from steps.settings import settings
from steps.table import SampleTable
from steps.tables import read_table
from steps.train import STEPS, Problem, fit, lonely_classes, problem_of, write_model
from steps.versions import code_version

_NEEDED = ("red", "nir")


def run(arguments: argparse.Namespace) -> int:
    """Sample, train, score, register; says how good the model is."""
    _check(arguments)
    legend = read_legend(arguments.legend) if arguments.legend else None
    found = _of_table(arguments, legend) if arguments.table else _of_labels(arguments, legend)
    recipe = Recipe(search_seconds=arguments.search_seconds)
    problem = problem_of(found.table, found.classes, recipe, found.names)
    with stage("training", STEPS) as advance:
        fitted = fit(problem, recipe, advance)
    with tempfile.TemporaryDirectory(prefix="geocrop-train-") as scratch:
        folder = Path(arguments.out or Path(scratch) / "model")
        card = write_model(folder, arguments.name, found.spec, problem, fitted, found.facts)
        ref = log_and_register(folder, settings())
    _say(card, f"{ref.name} version {ref.version}", arguments.out or ref.href, (*found.notes, *_lonely(problem)))
    return 0


@dataclass(frozen=True, slots=True)
class _Material:
    """What there is to train on."""

    table: SampleTable
    classes: tuple[ClassDef, ...]
    spec: FeatureSpec
    facts: dict[str, Any]
    names: dict[int, str] = field(default_factory=dict)
    """What people find each group of the table by."""
    notes: tuple[str, ...] = ()


def _of_table(arguments: argparse.Namespace, legend: Legend | None) -> _Material:
    made = read_table(arguments.table, arguments.label_column, legend, epsg_of(arguments.crs))
    facts = {"table": Path(arguments.table).name, "code": code_version(), **_count(made.samples)}
    return _Material(made.samples, made.classes, made.spec, facts, notes=made.notes)


def _of_labels(arguments: argparse.Namespace, legend: Legend | None) -> _Material:
    labels = read_labels(arguments.labels, arguments.label_column, legend, arguments.label_threshold)
    plan = plan_labels(arguments, labels)
    tiles = labelled_tiles(plan, labels)
    with stage("samples", len(tiles)) as advance:
        crew = crew_of(settings(), arguments.workers)
        table = collect_samples(plan, labels, tiles, settings().home / "samples", crew, advance)
    facts = {**_facts(arguments, plan), **_count(table)}
    names = group_names(table, labels)
    return _Material(table, labels.legend.classes, plan.card.spec, facts, names, tuple(_absent(labels, table)))


def _absent(labels: Labels, table: SampleTable) -> Iterator[str]:
    if missing := labels.missing(np.unique(table.groups)):
        yield (
            f"{len(missing)} labels gave no sample: {some_of(missing)}. They lie outside the scenes, were never seen "
            "clear, or hold no pixel's centre: check their CRS and season"
        )


def _lonely(problem: Problem) -> Iterator[str]:
    if names := lonely_classes(problem):
        yield (
            f"no score for {', '.join(names)}: all samples of the class are held out together, so it counts as never "
            "recognised. Label it in more places"
        )


def _count(table: SampleTable) -> dict[str, Any]:
    return {"samples": len(table), "samples digest": table.digest}


def _check(arguments: argparse.Namespace) -> None:
    """Raises UsageError when the arguments do not go together."""
    if slug(arguments.name) != arguments.name:
        raise UsageError(f"--name {arguments.name!r} does not fit", "use a-z, 0-9 and dashes")
    if bool(arguments.labels) == bool(arguments.table):
        raise UsageError("labels and table", "give either --labels, or --table for ready-made features")
    if arguments.labels and not (arguments.season and arguments.catalog):
        raise UsageError("labels need scenes", "give --season and --catalog")


def plan_labels(arguments: argparse.Namespace, labels: Labels) -> Plan:
    """The labels' area as a job whose tiles are only read."""
    request = MapRequest(
        aoi=labels.aoi,
        season=season_of(arguments.season),
        model=ModelRef(name=arguments.name, version="", digest="", href=""),
        catalog=absolute_catalog(arguments.catalog),
        collection=arguments.collection,
        options=MapOptions(epsg=epsg_of(arguments.crs), max_cloud=arguments.max_cloud),
    )
    spec, scenes, verdicts = _spec_and_scenes(request, probe=not arguments.no_probe)
    card = ModelCard(name=arguments.name, model_sha256="", spec=spec, classes=labels.legend.classes)
    return plan_map(request, card, scenes, offsets=tuple(verdicts), code_version=code_version())


def _spec_and_scenes(request: MapRequest, *, probe: bool) -> tuple[FeatureSpec, list[Scene], list[OffsetVerdict]]:
    """The standard spec for the bands that every scene of the season has, and those scenes."""
    found = find_scenes(query_of(request, _NEEDED, every_band=True))
    bands = set.intersection(*(set(scene.assets) for scene in found)) if found else set(_NEEDED)
    spec = msgspec.structs.replace(standard_spec(bands), season_days=request.season.days)
    scenes, verdicts = probed(find_scenes(query_of(request, spec.bands)), request, probe=probe)
    return spec, scenes, verdicts


def _facts(arguments: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    return {
        "labels": Path(arguments.labels).name,
        "season": str(plan.request.season),
        "catalog": plan.request.catalog,
        "collection": plan.request.collection,
        "scenes": len(plan.scenes),
        "scenes digest": digest([scene.pixels for scene in plan.scenes]),
        "code": plan.code_version,
    }


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
