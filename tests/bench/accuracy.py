"""Quality of the map: cross-validated accuracy on the real catalog of Flanders, where the shared data lies.

`python tests/bench/accuracy.py` prints JSON. All labelled pixels count; parcels are the 19 polygons of the register.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[2]))

from steps import samples
from steps.cli import build_parser
from steps.material import plan_labels
from steps.model.card import ClassDef
from steps.model.grid import TileId
from steps.model.job import Plan
from steps.samples import Labels, SampleTable, TileLabels, collect_samples, labelled_tiles, read_labels
from steps.train import fit

_SEASON = "2018-09-01/2019-08-31"
_GRASS = "9120"


def data() -> Path:
    """The catalog's folder."""
    root = os.environ.get("GEOCROP_SHARED_DATA") or Path(__file__).parents[3] / "shared/data"
    return Path(root) / "catalogs/flanders"


def run() -> dict[str, Any]:
    """Scores by task and split."""
    samples.MAX_PER_GROUP = 10**9
    table, classes = _table()
    grass = next(entry.code for entry in classes if entry.name == _GRASS)
    two = SampleTable(table.features, (table.codes == grass).astype(np.int64), table.groups, table.blocks)
    names = (ClassDef(code=0, name="cropland", colour="e49635"), ClassDef(code=1, name="grass", colour="88b053"))
    return {"cropland or grass": fit(two, names).scores, "crop types": fit(table, classes).scores}


def _table() -> tuple[SampleTable, tuple[ClassDef, ...]]:
    command = ["train", "--labels", str(data() / "labels.tif"), "--season", _SEASON, "--catalog", str(data())]
    arguments = build_parser().parse_args([*command, "--name", "bench"])
    labels = read_labels(arguments.labels, arguments.label_column, None, "")
    plan = plan_labels(arguments, labels)
    tiles = labelled_tiles(plan, labels)
    parcels = read_labels(str(data() / "labels.geojson"), "code", labels.legend, "")
    tiles = {tile: TileLabels(laid.codes, _parcels(laid, parcels, plan, tile)) for tile, laid in tiles.items()}
    return collect_samples(plan, labels, tiles, _quiet), labels.legend.classes


def _quiet(_steps: int = 1, _note: str = "") -> None:
    """No bar."""


def _parcels(laid: TileLabels, parcels: Labels, plan: Plan, tile: TileId) -> np.ndarray:
    """The nearest polygon of its own class for each labelled pixel: the register's parcels, not connected areas."""
    polygons = parcels.on(plan.grid, tile)
    groups = np.full(laid.codes.shape, -1, np.int64)
    for code in np.unique(laid.codes[laid.codes >= 0]):
        nearest = ndimage.distance_transform_edt(polygons.codes != code, return_distances=False, return_indices=True)
        groups = np.where(laid.codes == code, polygons.groups[tuple(nearest)], groups)
    return groups


def summary(scores: dict[str, Any]) -> str:
    """The Markdown tables of docs/accuracy.md: overall, then by class."""
    lines = ["| task | split | overall accuracy | balanced accuracy |", "|---|---|---|---|"]
    for task, splits in scores.items():
        for split, found in splits.items():
            lines.append(f"| {task} | {split} | {found['overall accuracy']:.3f} | {found['balanced accuracy']:.3f} |")
    lines += [
        "",
        "| task | class | pixels | precision, recall, F1: parcels held out | pixel blocks |",
        "|---|---|---|---|---|",
    ]
    for task, splits in scores.items():
        for name, found in next(iter(splits.values()))["classes"].items():
            cells = [_cell(split["classes"][name]) for split in splits.values()]
            lines.append(f"| {task} | {_names().get(name, name)} | {found['samples']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(found: dict[str, Any]) -> str:
    return ", ".join(f"{found[part]:.2f}" for part in ("precision", "recall", "f1"))


def _names() -> dict[str, str]:
    """What the register calls its codes."""
    features = json.loads((data() / "labels.geojson").read_text(encoding="utf-8"))["features"]
    return {str(entry["properties"]["code"]): entry["properties"]["class"] for entry in features}


if __name__ == "__main__":
    found = run()
    sys.stdout.write(json.dumps(found, indent=1) + "\n" + summary(found) + "\n")
