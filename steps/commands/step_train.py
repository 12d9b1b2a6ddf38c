"""Step `train`: a model from labels, into the registry."""

import argparse
import datetime as dt
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from steps.asked import layers_asked, season_text
from steps.references import RASTER_BYTES, check_allowed, fetch_arguments, fetch_file
from steps.settings import settings
from steps.store import open_store

_PASSED_ON = (
    *("labels", "label_column", "label_threshold", "legend", "name", "season", "catalog", "collection"),
    "spec",
)


def run(arguments: argparse.Namespace) -> int:
    """Fetch the labels, train as `geocrop train` does, and keep the model where asked."""
    from steps.cli import dispatch  # noqa: PLC0415 - the command line imports its commands

    check_allowed(arguments.catalog, settings())
    with tempfile.TemporaryDirectory(prefix="geocrop-train-") as scratch:
        folder = Path(scratch)
        fetched = fetch_arguments(arguments, ("labels", "legend", "spec"), folder / "given", settings())
        layers = _layers(arguments, folder / "layers")
        try:
            return dispatch([*_command(fetched), *layers, "--out", str(folder / "model")])
        finally:
            if arguments.keep and (folder / "model").exists():  # trained, be it registered or not
                _keep(folder / "model", arguments.keep)


def _layers(arguments: argparse.Namespace, folder: Path) -> Iterator[str]:
    for name, raster in layers_asked(arguments).items():
        found = fetch_file(raster, folder / name, settings(), limit=RASTER_BYTES)
        yield from ("--layer", f"{name}={found}")


def _command(arguments: argparse.Namespace) -> Iterator[str]:
    yield "train"
    season = season_text(arguments.season, dt.datetime.now(dt.UTC).date())
    values = vars(arguments) | {"season": season}
    for name in _PASSED_ON:
        if values[name]:
            yield from (f"--{name.replace('_', '-')}", values[name])
    yield from ("--crs", arguments.crs, "--max-cloud", str(arguments.max_cloud))
    if arguments.no_probe:
        yield "--no-probe"


def _keep(folder: Path, address: str) -> None:
    """Put a model's folder to an s3:// address, its card last."""
    check_allowed(address, settings())
    store = open_store(address, settings())
    paths = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.name == "card.json")
    for path in paths:
        store.put_file(path.relative_to(folder).as_posix(), path)
    sys.stdout.write(f"kept in {address}\n")
