"""What there is to learn from or to be measured on: labels with the features of their pixels, or a ready-made table."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from steps.checksum import file_sha256
from steps.errors import ModelError, UsageError
from steps.labels import Labels, read_labels
from steps.layers import check_layers
from steps.legend import Legend, legend_of, read_legend
from steps.local import crew_of
from steps.model.card import ClassDef, ModelCard
from steps.model.digest import digest
from steps.model.grid import TileId
from steps.model.job import MapOptions, MapRequest, ModelRef, Plan
from steps.model.spec import FeatureSpec
from steps.plan import check_fit, plan_map
from steps.prepare import probed, query_of
from steps.progress import stage
from steps.recall import plan_or_recall
from steps.requests import epsg_of, layers_of, season_of
from steps.samples import (
    MAX_PER_CLASS,
    Pixels,
    centres,
    collect_samples,
    group_names,
    labelled_tiles,
    some_of,
)
from steps.scenes import absolute_catalog, find_scenes
from steps.settings import settings
from steps.specs import read_fields, spec_with
from steps.table import SampleTable
from steps.tables import read_table
from steps.versions import code_version

_NEEDED = ("red", "nir")


@dataclass(frozen=True, slots=True)
class Material:
    """Samples, their classes, and what is known of them."""

    table: SampleTable
    classes: tuple[ClassDef, ...]
    spec: FeatureSpec
    facts: dict[str, Any]
    names: dict[int, str] = field(default_factory=dict)
    """What people find each group of the table by."""
    notes: tuple[str, ...] = ()


def gather(arguments: argparse.Namespace, card: ModelCard | None = None) -> Material:
    """What the arguments of `train` and `evaluate` name; with a card, the features and classes of that model.

    Raises UsageError when the arguments do not go together, LabelError for labels and ModelError for features that do
    not fit.
    """
    if bool(arguments.labels) == bool(arguments.table):
        raise UsageError("labels and table", "give either --labels, or --table for ready-made features")
    if arguments.labels and not (arguments.season and arguments.catalog):
        raise UsageError("labels need scenes", "give --season and --catalog")
    if arguments.table and (arguments.layer or vars(arguments).get("spec")):
        raise UsageError("a table's features are ready-made", "leave out --layer and --spec")
    legend = read_legend(arguments.legend) if arguments.legend else None
    if legend is None and card is not None:
        legend = legend_of(card.classes)
    return _of_table(arguments, legend, card) if arguments.table else _of_labels(arguments, legend, card)


def _of_table(arguments: argparse.Namespace, legend: Legend | None, card: ModelCard | None) -> Material:
    made = read_table(arguments.table, arguments.label_column, legend, epsg_of(arguments.crs))
    if card is not None and made.samples.names != card.spec.feature_names:
        raise ModelError(
            f"{arguments.table} does not have the features of model {card.name}", "give a table like it was trained on"
        )
    path = Path(arguments.table)
    facts = {"table": path.name, "labels digest": file_sha256(path), "code": code_version(), **_count(made.samples)}
    return Material(made.samples, made.classes, made.spec, facts, notes=made.notes)


def plan_to_fetch(arguments: argparse.Namespace) -> Plan:
    """What training on labels reads: the tiles that hold some. Raises what `gather` does."""
    if not (arguments.labels and arguments.season and arguments.catalog):
        raise UsageError("only scenes are fetched", "give --labels, --season and --catalog")
    legend = read_legend(arguments.legend) if arguments.legend else None
    labels = read_labels(arguments.labels, arguments.label_column, legend, arguments.label_threshold)
    plan = plan_labels(arguments, labels)
    tiles = labelled_tiles(plan, labels)
    return msgspec.structs.replace(plan, tiles=tuple(entry for entry in plan.tiles if entry.tile in tiles))


def _of_labels(arguments: argparse.Namespace, legend: Legend | None, card: ModelCard | None) -> Material:
    labels = read_labels(arguments.labels, arguments.label_column, legend, arguments.label_threshold)
    plan = plan_labels(arguments, labels, card.spec if card else None)
    tiles = labelled_tiles(plan, labels)
    _check_layers(plan, tiles)
    with stage("samples", len(tiles)) as advance:
        crew = crew_of(settings(), arguments.workers)
        table = collect_samples(plan, labels, tiles, settings().home / "samples", crew, advance)
    facts = {**_facts(arguments, plan), **_count(table)}
    names = group_names(table, labels)
    notes = (*_absent(labels, table), *_capped(labels, tiles))
    return Material(table, labels.legend.classes, plan.card.spec, facts, names, notes)


def _check_layers(plan: Plan, tiles: Mapping[TileId, Pixels]) -> None:
    """Raises DataError for a raster that does not reach over all labels, or has other bands than its layer."""
    places = np.concatenate([np.stack(centres(plan.grid, tile, pixels), 1) for tile, pixels in tiles.items()])
    check_layers(plan.card.spec, plan.request.options.layers, places, plan.grid.epsg, "the labels")


def _absent(labels: Labels, table: SampleTable) -> Iterator[str]:
    if missing := labels.missing(np.unique(table.groups)):
        yield (
            f"{len(missing)} labels gave no sample: {some_of(missing)}. They lie outside the scenes, were never seen "
            "clear, or hold no pixel's centre: check their CRS and season"
        )


def _capped(labels: Labels, tiles: Mapping[TileId, Pixels]) -> Iterator[str]:
    drawn = np.concatenate([pixels.codes for pixels in tiles.values()])
    if full := [entry.name for entry in labels.legend.classes if (drawn == entry.code).sum() == MAX_PER_CLASS]:
        yield (
            f"{', '.join(full)}: {MAX_PER_CLASS:,} pixels were drawn of the class, which are as many as are taken, "
            "as evenly as possible of all its labels"
        )


def _count(table: SampleTable) -> dict[str, Any]:
    return {"samples": len(table), "samples digest": table.digest}


def plan_labels(arguments: argparse.Namespace, labels: Labels, spec: FeatureSpec | None = None) -> Plan:
    """The labels' area as a job whose tiles are only read, for a spec's features, or the standard ones.

    The plan of the same labels made before, when the catalog is away.
    """
    request = MapRequest(
        aoi=labels.aoi,
        season=season_of(arguments.season),
        model=ModelRef(name="labels", version="", digest="", href=""),
        catalog=absolute_catalog(arguments.catalog),
        collection=arguments.collection,
        options=MapOptions(
            epsg=epsg_of(arguments.crs), max_cloud=arguments.max_cloud, layers=layers_of(arguments.layer)
        ),
    )
    fields = read_fields(arguments.spec) if spec is None and arguments.spec else {}

    def fits(found: FeatureSpec) -> bool:
        wanted = spec or spec_with(fields, found.bands, request.season.days, arguments.spec)
        return found == wanted

    return plan_or_recall(lambda: _planned(arguments, request, labels, spec, fields), request, fits, settings())


def _planned(
    arguments: argparse.Namespace,
    request: MapRequest,
    labels: Labels,
    spec: FeatureSpec | None,
    fields: Mapping[str, Any],
) -> Plan:
    used = spec or _asked(fields, request, arguments)
    card = ModelCard(name="labels", model_sha256="", spec=used, classes=labels.legend.classes)
    check_fit(card, request.season, request.options)
    scenes, verdicts = probed(find_scenes(query_of(request, used.bands)), request, probe=not arguments.no_probe)
    return plan_map(request, card, scenes, offsets=tuple(verdicts), code_version=code_version())


def _asked(fields: Mapping[str, Any], request: MapRequest, arguments: argparse.Namespace) -> FeatureSpec:
    """The spec of a file's fields; what they leave open is the standard spec's, for the bands that every scene has."""
    bands = fields["bands"] if "bands" in fields else _bands(request)
    return spec_with(fields, bands, request.season.days, arguments.spec)


def _bands(request: MapRequest) -> set[str]:
    """Those that every scene of the season has."""
    found = find_scenes(query_of(request, _NEEDED, every_band=True))
    return set.intersection(*(set(scene.assets) for scene in found)) if found else set(_NEEDED)


def _facts(arguments: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    layers = {name: ref.version for name, ref in sorted(plan.request.options.layers.items())}
    return {
        **({"layers": layers} if layers else {}),
        "labels": Path(arguments.labels).name,
        "labels digest": file_sha256(Path(arguments.labels)),
        "season": str(plan.request.season),
        "catalog": plan.request.catalog,
        "collection": plan.request.collection,
        "scenes": [scene.id for scene in plan.scenes],
        "scenes digest": digest([scene.pixels for scene in plan.scenes]),
        "code": plan.code_version,
    }
