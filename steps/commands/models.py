"""`geocrop models`: what the registry holds."""

import argparse
import sys
from collections.abc import Sequence

import msgspec

from steps.model.registry import RegisteredModel
from steps.registry import list_models
from steps.settings import settings

_COLUMNS = ("model", "aliases", "balanced", "overall", "measured on", "drift", "registered", "digest")


def run(arguments: argparse.Namespace) -> int:
    """A line each, or JSON."""
    models = list_models(settings())
    if arguments.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(models)).decode() + "\n")
    elif not models:
        sys.stdout.write("no models yet: see `geocrop train --help`\n")
    else:
        sys.stdout.writelines(_lines([_COLUMNS, *map(_row, models)]))
    return 0


def _row(model: RegisteredModel) -> tuple[str, ...]:
    return (
        f"{model.name}/{model.version}",
        ", ".join(model.aliases) or "-",
        _score(model.balanced),
        _score(model.overall),
        model.split or "-",
        model.drift or "-",
        model.when,
        model.digest[:12] or "-",
    )


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _lines(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [f"{line.rstrip()}\n" for line in padded]
