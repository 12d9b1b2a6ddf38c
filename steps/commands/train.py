"""`geocrop train`: a model from labels."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from steps.errors import UsageError
from steps.legend import read_legend
from steps.model.card import ModelCard
from steps.model.job import MapOptions, MapRequest, ModelRef, OffsetVerdict, Plan
from steps.model.scene import Scene
from steps.model.spec import FeatureSpec, standard_spec
from steps.models import save_model
from steps.naming import slug
from steps.plan import plan_map
from steps.prepare import probed, query_of
from steps.progress import stage
from steps.registry import log_and_register
from steps.requests import epsg_of, season_of
from steps.samples import Labels, collect_samples, labelled_tiles, read_labels
from steps.scenes import absolute_catalog, find_scenes
from steps.settings import settings
from steps.train import Fitted, fit, make_card
from steps.versions import code_version

_NEEDED = ("red", "nir")


def run(arguments: argparse.Namespace) -> int:
    """Sample, train, score, register; says how good the model is."""
    if slug(arguments.name) != arguments.name:
        raise UsageError(f"--name {arguments.name!r} does not fit", "use a-z, 0-9 and dashes")
    legend = read_legend(arguments.legend) if arguments.legend else None
    labels = read_labels(arguments.labels, arguments.label_column, legend, arguments.label_threshold)
    plan = plan_labels(arguments, labels)
    tiles = labelled_tiles(plan, labels)
    with stage("samples", len(tiles)) as advance:
        table = collect_samples(plan, labels, tiles, advance)
    with stage("training", 1) as advance:
        fitted = fit(table, labels.legend.classes)
        advance(1)
    card = make_card(arguments.name, plan.card.spec, fitted, _trained(arguments, plan, len(table.codes)))
    return _keep(card, fitted, arguments.out)


def _keep(card: ModelCard, fitted: Fitted, out: str) -> int:
    with tempfile.TemporaryDirectory(prefix="geocrop-train-") as scratch:
        folder = Path(out) if out else Path(scratch) / "model"
        save_model(folder, card, fitted.model_bytes)
        ref = log_and_register(folder, settings())
    _say(card, f"{ref.name} version {ref.version}", out or ref.href)
    return 0


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


def _trained(arguments: argparse.Namespace, plan: Plan, samples: int) -> dict[str, Any]:
    return {
        "labels": Path(arguments.labels).name,
        "season": str(plan.request.season),
        "catalog": plan.request.catalog,
        "collection": plan.request.collection,
        "scenes": len(plan.scenes),
        "samples": samples,
        "code": plan.code_version,
    }


def _say(card: ModelCard, registered: str, where: str) -> None:
    write = sys.stdout.write
    write(f"model {registered}: {len(card.classes)} classes, {len(card.spec.feature_names)} features, in {where}\n")
    for split, scores in card.scores.items():
        if scores:
            write(
                f"  {split}: overall accuracy {scores['overall accuracy']:.3f}, "
                f"balanced {scores['balanced accuracy']:.3f}\n"
            )
        else:
            write(f"  {split}: not enough groups to hold any out\n")
