"""Quality of the models: the recipe that `geocrop train` follows, measured on real samples that it was not given.

`python tests/bench/accuracy.py [ROW ...]` prints JSON, then the Markdown tables of docs/accuracy.md; the row `baseline`
is the table of a plain random forest on two sets of features and three ways to hold parcels out. Nested: rounds,
learner, vote and calibration are chosen inside of each outer fold, on its training part. Five seeds, of the learners
and of the folds where these are drawn.
"""

import functools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import precision_recall_fscore_support
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut

sys.path.insert(0, str(Path(__file__).parents[2]))

from steps import samples
from steps.cli import build_parser
from steps.evaluation import FOLDS
from steps.features import cores
from steps.folds import Fold, cells, grouped, shuffled
from steps.labels import Labels, read_labels
from steps.learners import Part
from steps.local import Crew
from steps.material import plan_labels
from steps.mixing import log_loss
from steps.model.grid import TileId
from steps.model.job import Plan
from steps.model.spec import FeatureSpec
from steps.recipe import Recipe, balanced_accuracy, follow
from steps.samples import Pixels, collect_samples
from steps.scores import expected_calibration_error
from steps.settings import settings
from steps.table import SampleTable
from steps.tables import read_table
from steps.train import sample_weights
from steps.vectors import read_features

SEEDS = (1, 2, 3, 4, 5)
_SEASON = "2018-09-01/2019-08-31"
_GRASS = "9120"
_BANDS = ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "swir16", "swir22")
_MONTHLY = FeatureSpec(bands=_BANDS, composites=_BANDS, gap_limit=12)
"""The median of each band in each of twelve parts of the season, every gap filled, and nothing else."""
_FOREST = "random forest"
BASELINE = "baseline"
Folds = Callable[[int], Sequence[Fold]]
"""The outer folds of a seed."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    data: str
    split: str
    part: Part
    folds: Folds
    names: tuple[str, ...] = ()
    """Of the classes, where they are told one by one."""


def shared() -> Path:
    """The folder of the real data."""
    return Path(os.environ.get("GEOCROP_SHARED_DATA") or Path(__file__).parents[3] / "shared/data")


def run(names: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Scores by row."""
    found = {}
    for name, make in ROWS.items():
        if not names or name in names:
            row = make()
            found[name] = {"data": row.data, "split": row.split, **_measured(row)}
            sys.stderr.write(f"{name}: {json.dumps(found[name])}\n")
    return found


def _measured(row: Row) -> dict[str, Any]:
    """Mean and standard deviation over the seeds of each candidate's scores on all samples held out."""
    scores = [_scores(row, seed) for seed in SEEDS]
    return {
        "samples": len(row.part.targets),
        "classes": row.part.classes,
        **{name: _over(lambda one, name=name: one[name], scores) for name in scores[0]},
    }


def _over(pick: Callable[[Any], Mapping[str, float]], scores: Sequence[Any]) -> dict[str, list[float]]:
    return {
        measure: [round(float(of([pick(one)[measure] for one in scores])), 4) for of in (np.mean, np.std)]
        for measure in pick(scores[0])
    }


def _scores(row: Row, seed: int) -> dict[str, dict[str, float]]:
    """By candidate; `chosen` is what training would have registered."""
    part, folds = row.part, row.folds(seed)
    with ThreadPoolExecutor(cores()) as pool:
        tried = list(pool.map(lambda fold: _said(part, fold, seed), folds))
    return {
        name: _score(part, [(test, said[name]) for (_, test), said in zip(folds, tried, strict=True)], row.names)
        for name in tried[0]
    }


def _said(part: Part, fold: Fold, seed: int) -> dict[str, np.ndarray]:
    train, test = fold
    followed = follow(part.take(train), Recipe(seed=seed), every_member=True)
    found = {name or "chosen": said for name, said in followed.candidates(part.features[test]).items()}
    return {**found, _FOREST: _plain_forest(part.take(train), part.features[test], seed)}


def _plain_forest(part: Part, features: np.ndarray, seed: int) -> np.ndarray:
    """scikit-learn's defaults, for comparison."""
    forest = RandomForestClassifier(random_state=seed, n_jobs=1).fit(part.features, part.targets)
    found = np.zeros((len(features), part.classes))
    found[:, forest.classes_] = forest.predict_proba(features)
    return found


def _score(part: Part, said: Sequence[tuple[np.ndarray, np.ndarray]], names: Sequence[str] = ()) -> dict[str, float]:
    held = np.concatenate([test for test, _ in said])
    found = np.concatenate([probabilities for _, probabilities in said])
    truth, called = part.targets[held], found.argmax(axis=1)
    by_fold = [balanced_accuracy(part.targets[test], one.argmax(axis=1)) for test, one in said]
    confidence = found.max(axis=1)
    sure = np.abs(confidence - 0.9) < 0.05
    return {
        "overall accuracy": float((called == truth).mean()),
        "balanced accuracy": balanced_accuracy(truth, called),
        "balanced accuracy, least fold": min(by_fold),
        "balanced accuracy, best fold": max(by_fold),
        "calibration error": expected_calibration_error(truth, found),
        "right at a confidence of 0.9": float((called == truth)[sure].mean()) if sure.any() else float("nan"),
        "mean confidence there": float(confidence[sure].mean()) if sure.any() else float("nan"),
        "log loss": log_loss(found, truth, np.ones(len(truth))),
        **_by_class(truth, called, names),
    }


def _by_class(truth: np.ndarray, called: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    numbers = np.arange(len(names))
    if not names:
        return {}
    _, recall, f1, count = precision_recall_fscore_support(truth, called, labels=numbers, zero_division=0.0)
    columns = {"recall": recall, "F1": f1, "samples": count}
    return {
        f"{name}: {measure}": float(column[n]) for n, name in enumerate(names) for measure, column in columns.items()
    }


# -- the rows ------------------------------------------------------------------------------------------------------


def southern() -> Row:
    """33 features without coordinates: samples at random are all that can be held out."""
    made = read_table(str(shared() / "deafrica_cropmask/southern.txt"), "class", None, None).samples
    part = _part(made.features, made.codes, made.groups, made.groups)
    return Row(
        "crop or not, Southern Africa", f"random {FOLDS}-fold", part, lambda seed: shuffled(part.targets, FOLDS, seed)
    )


def eastern() -> Row:
    """The published blocks: 500 km in EPSG:6933 from 0, 0, GroupKFold without a draw."""
    folder = shared() / "deafrica_cropmask"
    made = read_table(str(folder / "eastern.txt"), "class", None, None).samples
    blocks = cells(np.loadtxt(folder / "eastern_coords.txt"), 500_000.0)
    part = _part(made.features, made.codes, made.groups, blocks)
    folds = list(GroupKFold(FOLDS).split(part.features, part.targets, blocks))
    return Row("crop or not, Eastern Africa", "blocks of 500 km", part, lambda _seed: folds)


def eastern_random() -> Row:
    """The same samples, neighbours on both sides."""
    part = eastern().part
    part = _part(part.features, part.targets, np.arange(len(part.targets)), np.arange(len(part.targets)))
    return _random_row("crop or not, Eastern Africa", f"random {FOLDS}-fold (optimistic)", part)


def grass(split: str) -> Row:
    """Cropland or grass in Flanders."""
    table, code = _flanders()
    is_grass = (table.codes == code[_GRASS]).astype(np.int64)
    return _flanders_row("cropland or grass, Flanders", table, is_grass, ("cropland", "grass"), split)


def crops(split: str) -> Row:
    """Crop types of Flanders that have two parcels or more."""
    table = _flanders()[0]
    several = [code for code in np.unique(table.codes) if len(np.unique(table.groups[table.codes == code])) > 1]
    return _crop_row("crop types, Flanders", table.take(np.isin(table.codes, several)), split)


def all_crops() -> Row:
    """Every crop type of Flanders; four have a single parcel, so only blocks can be held out."""
    return _crop_row("all crop types, Flanders", _flanders()[0], "blocks")


def _crop_row(data: str, table: SampleTable, split: str) -> Row:
    codes, targets = np.unique(table.codes, return_inverse=True)
    called = _crop_names(_flanders()[1])
    return _flanders_row(data, table, targets, tuple(called[int(code)] for code in codes), split)


ROWS: Mapping[str, Callable[[], Row]] = {
    "southern": southern,
    "eastern": eastern,
    "eastern, random": eastern_random,
    "grass": lambda: grass("parcels"),
    "grass, blocks": lambda: grass("blocks"),
    "crops": lambda: crops("parcels"),
    "crops, blocks": lambda: crops("blocks"),
    "all crops, blocks": all_crops,
}


def _part(features: np.ndarray, targets: np.ndarray, groups: np.ndarray, units: np.ndarray) -> Part:
    targets = np.unique(targets, return_inverse=True)[1]
    return Part(features, targets, sample_weights(targets, groups), units, int(targets.max()) + 1)


def _random_row(data: str, split: str, part: Part) -> Row:
    return Row(data, split, part, lambda seed: shuffled(part.targets, FOLDS, seed))


def _flanders_row(data: str, table: SampleTable, targets: np.ndarray, names: tuple[str, ...], split: str) -> Row:
    if split == "parcels":
        units, name = table.groups, f"whole parcels out ({len(np.unique(table.groups))} parcels)"
    else:
        units, name = cells(table.places, 80.0), "blocks of 8 x 8 pixels out (optimistic)"
    part = _part(table.features, targets, table.groups, units)
    return Row(data, name, part, lambda seed: grouped(targets, units, FOLDS, seed), names)


def _crop_names(codes: Mapping[str, int]) -> dict[int, str]:
    """Crop by class code; `codes` has them by the register's number."""
    frame = read_features(str(shared() / "catalogs/flanders/labels.geojson"))
    return {codes[str(number)]: name for number, name in zip(frame["code"], frame["class"], strict=True)}


@functools.cache
def _flanders(spec: FeatureSpec | None = None) -> tuple[SampleTable, dict[str, int]]:
    """Every labelled pixel of `labels.tif`; a parcel is the nearest polygon of the pixel's class. Codes by name."""
    folder = shared() / "catalogs/flanders"
    command = ["train", "--labels", str(folder / "labels.tif"), "--season", _SEASON, "--catalog", str(folder)]
    arguments = build_parser().parse_args([*command, "--name", "bench"])
    labels = read_labels(arguments.labels, arguments.label_column, None, "")
    plan = plan_labels(arguments, labels, spec)
    parcels = read_labels(str(folder / "labels.geojson"), "code", labels.legend, "")
    samples.MAX_PER_GROUP = 10**9
    tiles = {
        tile: _in_parcels(found, parcels, plan, tile) for tile, found in samples.labelled_tiles(plan, labels).items()
    }
    crew = Crew(workers=1, threads=cores(), memory_mb=4000)
    table = collect_samples(plan, labels, tiles, settings().home / "samples", crew, _quiet)
    return table, dict(labels.legend.codes)


def _quiet(_steps: int = 1, _note: str = "") -> None:
    """No bar."""


def _in_parcels(pixels: Pixels, parcels: Labels, plan: Plan, tile: TileId) -> Pixels:
    """The register's parcels for connected pixels of one class."""
    polygons, groups = parcels.on(plan.grid, tile), np.full(len(pixels.codes), -1, np.int64)
    for code in np.unique(pixels.codes):
        nearest = ndimage.distance_transform_edt(polygons.codes != code, return_distances=False, return_indices=True)
        here = pixels.codes == code
        row, col = nearest[:, pixels.rows[here], pixels.cols[here]]
        groups[here] = polygons.groups[row, col]
    return Pixels(pixels.rows, pixels.cols, pixels.codes, groups)


# -- the baseline --------------------------------------------------------------------------------------------------


def baseline() -> dict[str, dict[str, list[float]]]:
    """Overall accuracy of a plain random forest, cropland or grass: by features, then by how parcels are held out."""
    features = {"our features": None, "monthly medians of ten bands": _MONTHLY}
    return {name: _forest_by_split(spec) for name, spec in features.items()}


def _forest_by_split(spec: FeatureSpec | None) -> dict[str, list[float]]:
    table, code = _flanders(spec)
    targets = (table.codes == code[_GRASS]).astype(np.int64)
    part = _part(table.features, targets, table.groups, table.groups)
    splits: dict[str, Folds] = {
        "parcels, classes balanced between folds": lambda seed: grouped(targets, table.groups, FOLDS, seed),
        "parcels at random": lambda seed: list(
            GroupKFold(FOLDS, shuffle=True, random_state=seed).split(table.features, targets, table.groups)
        ),
        "parcels, folds of equal size": lambda _: list(GroupKFold(FOLDS).split(table.features, targets, table.groups)),
        "one parcel at a time": lambda _: list(LeaveOneGroupOut().split(table.features, targets, table.groups)),
        "blocks of 8 x 8 pixels": lambda seed: grouped(targets, cells(table.places, 80.0), FOLDS, seed),
    }
    return {name: _forest_over_seeds(part, folds) for name, folds in splits.items()}


def _forest_over_seeds(part: Part, folds: Folds) -> list[float]:
    """Mean and standard deviation."""
    found = [_forest_right(part, folds(seed), seed) for seed in SEEDS]
    return [round(float(of(found)), 4) for of in (np.mean, np.std)]


def _forest_right(part: Part, folds: Sequence[Fold], seed: int) -> float:
    """Share of all samples held out."""
    right = 0
    for train, test in folds:
        said = _plain_forest(part.take(train), part.features[test], seed)
        right += int((said.argmax(axis=1) == part.targets[test]).sum())
    return right / sum(len(test) for _, test in folds)


# -- the page ------------------------------------------------------------------------------------------------------


def summary(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """The Markdown tables of docs/accuracy.md."""
    lines = ["| data | split | samples | overall accuracy | balanced accuracy | folds |", "|---|---|---|---|---|---|"]
    for found in scores.values():
        chosen = found["chosen"]
        spread = "{:.2f} to {:.2f}".format(
            *(chosen[f"balanced accuracy, {which} fold"][0] for which in ("least", "best"))
        )
        cells = (_cell(chosen, measure) for measure in ("overall accuracy", "balanced accuracy"))
        lines.append(f"| {found['data']} | {found['split']} | {found['samples']} | {' | '.join(cells)} | {spread} |")
    lines += ["", "| data | split | boosting | extra trees | plain random forest | calibration error | right at 0.9 |",
              "|---|---|---|---|---|---|---|"]  # fmt: skip
    for found in scores.values():
        measure = "overall accuracy" if "Flanders" in found["data"] else "balanced accuracy"
        members = (_cell(found[name], measure) for name in ("gradient boosting", "extra trees", _FOREST))
        chosen = found["chosen"]
        right = f"{_cell(chosen, 'right at a confidence of 0.9')} of {chosen['mean confidence there'][0]:.3f}"
        cells = (*members, _cell(chosen, "calibration error"), right)
        lines.append(f"| {found['data']} | {found['split']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def by_class(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """The Markdown table of recall and F1 by class, of the rows that tell classes one by one."""
    lines = ["| data | split | class | samples | recall | F1 |", "|---|---|---|---|---|---|"]
    for found in scores.values():
        chosen = found["chosen"]
        for name in (key.removesuffix(": recall") for key in chosen if key.endswith(": recall")):
            cells = (_cell(chosen, f"{name}: {measure}") for measure in ("recall", "F1"))
            count = round(chosen[f"{name}: samples"][0])
            lines.append(f"| {found['data']} | {found['split']} | {name} | {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def baseline_table(found: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The Markdown table of the plain forest, a line for each way to hold out."""
    rows = ([split, *(_cell(one, split) for one in found.values())] for split in next(iter(found.values())))
    lines = [["held out", *found], ["---"] * (len(found) + 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(found: Mapping[str, Sequence[float]], measure: str) -> str:
    mean, deviation = found[measure]
    return f"{mean:.3f} ± {deviation:.3f}"


def main(names: Sequence[str]) -> None:
    """Measure some rows, or all and the baseline; print the page's tables."""
    rows = [name for name in names if name != BASELINE]
    if rows or not names:
        made = run(rows)
        sys.stdout.write("\n\n".join((json.dumps(made, indent=1), summary(made), by_class(made))) + "\n")
    if not names or BASELINE in names:
        sys.stdout.write(f"\n{baseline_table(baseline())}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
