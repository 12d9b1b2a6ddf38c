"""`geocrop demo`: make a landscape, train, map, score. Runs the very commands that it shows."""

import argparse
import sys
from pathlib import Path

import numpy as np

from steps import naming
from steps.landscape import Landscape, make_landscape
from steps.layers import pin_raster, read_window
from steps.model.card import NODATA_CLASS
from steps.progress import stage
from steps.records import open_records
from steps.settings import settings

_DATES = 18
_YEAR = 2022
_NAME = "demo-crops"


def run(arguments: argparse.Namespace) -> int:
    """A map of a place that does not exist, and how right it is."""
    folder = Path(arguments.folder)
    with stage("landscape", _DATES) as advance:
        land = make_landscape(folder / "landscape", dates=_DATES, progress=lambda _done, _total: advance())
    for command in (_train(land, folder), _map(land, folder, arguments.workers)):
        if code := _shown(command):
            return code
    return _score(land, folder)


def _train(land: Landscape, folder: Path) -> list[str]:
    return [
        *("train", "--labels", str(land.labels), "--label-column", "class", "--legend", str(land.legend)),
        *("--season", str(land.season), "--catalog", str(land.catalog)),
        *("--name", _NAME, "--out", str(folder / "model"), "--quick"),
    ]


def _map(land: Landscape, folder: Path, workers: int) -> list[str]:
    return [
        *("run", str(land.aoi), "--season", str(land.season), "--catalog", str(land.catalog)),
        *("--model", _NAME, "--out", str(folder / "results"), "--tile-size", "256"),
        *("--zones", str(land.districts), "--parcels", str(land.parcels)),
        *("--baseline", str(land.baselines[_YEAR]), "--workers", str(workers)),
    ]


def _shown(command: list[str]) -> int:
    """Show a command as a user would type it, then run it."""
    from steps.cli import dispatch  # noqa: PLC0415 - the command line imports its commands

    sys.stdout.write(f"\n$ geocrop {' '.join(command)}\n")
    sys.stdout.flush()
    return dispatch(command)


def _score(land: Landscape, folder: Path) -> int:
    """Compare the newest map with the truth, pixel by pixel."""
    import rasterio  # noqa: PLC0415

    record = next(iter(open_records(settings()).jobs()))
    path = folder / "results" / naming.map_key(record.id, "map.tif")
    with rasterio.open(path) as source:
        mapped = source.read(1)
        truth = read_window(pin_raster(str(land.truth)), land.epsg, tuple(source.transform)[:6], source.shape)[0]
    known = (mapped != NODATA_CLASS) & ~np.ma.getmaskarray(truth)
    right = float((mapped == truth.data)[known].mean())
    sys.stdout.write(f"\nAgainst the truth: {right:.1%} of {known.sum()} mapped pixels are right.\n")
    return 0
