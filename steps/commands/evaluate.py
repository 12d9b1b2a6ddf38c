"""`geocrop evaluate`: how good a model is on labels that it was not trained on."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from steps.errors import LabelError
from steps.material import Material, gather
from steps.model.card import ModelCard
from steps.model.job import ModelRef
from steps.oof import OOF_FILE, load_oof
from steps.registry import PinnedModel, pinned, resolve
from steps.remeasure import Remeasured, answers, remeasure
from steps.settings import settings
from steps.tracking import log_evaluation


def run(arguments: argparse.Namespace) -> int:
    """Ask the model about samples of labels that it has not seen; says the scores, and logs them with the version."""
    ref, _ = resolve(arguments.model, settings())
    model = pinned(ref, settings())
    material = gather(arguments, model.card)
    fresh = ~_known(model, material)
    if not fresh.any():
        what = f"all {len(fresh)} samples were in the training of {model.card.name}"
        raise LabelError(what, "give labels that it has not seen; its own held-out scores are in `geocrop models`")
    found = remeasure(answers(model.card, model.model_bytes, material.table.take(fresh)), model.card)
    if arguments.json:
        Path(arguments.json).write_bytes(
            msgspec.json.format(msgspec.json.encode(_facts(ref, found, material)), indent=1)
        )
    _say(model.card, ref, found, int((~fresh).sum()), (*material.notes, *_unsaid(model)))
    if ref.version:
        log_evaluation(ref, found.scores, material.facts, settings())
    return 0


def _known(model: PinnedModel, material: Material) -> np.ndarray:
    """bool (n): samples of parcels and points of which any was in the training."""
    path = model.folder / OOF_FILE
    if not path.exists():
        return np.zeros(len(material.table), bool)
    seen = np.isin(material.table.ids, load_oof(path).ids)
    return np.isin(material.table.groups, material.table.groups[seen])


def _unsaid(model: PinnedModel) -> Iterator[str]:
    if not (model.folder / OOF_FILE).exists():
        yield "the model does not say which samples it was trained on: some of these may be among them"


def _facts(ref: ModelRef, found: Remeasured, material: Material) -> dict[str, Any]:
    return {"model": ref, "labels": material.facts, "scores": found.scores, "intervals": found.intervals}


def _say(card: ModelCard, ref: ModelRef, found: Remeasured, known: int, notes: tuple[str, ...]) -> None:
    write = sys.stdout.write
    name = f"{ref.name}/{ref.version}" if ref.version else ref.href
    write(f"{name}: {found.scores['samples']} samples of {found.groups} labels that it was not trained on\n")
    for measure, (low, high) in found.intervals.items():
        write(f"  {measure} {found.scores[measure]:.3f} (95 %: {low:.3f} to {high:.3f})\n")
    write(f"  calibration error {found.scores['calibration error']:.3f}\n")
    for one, scores in found.scores["classes"].items():
        write(f"  {one}: precision {scores['precision']:.3f}, recall {scores['recall']:.3f}, "
              f"{scores['samples']} samples\n")  # fmt: skip
    if known:
        write(f"  note: {known} more samples are of labels that were in its training, and were left out\n")
    if absent := [entry.name for entry in card.classes if not found.scores["classes"][entry.name]["samples"]]:
        write(f"  note: no sample of {', '.join(absent)}\n")
    for note in notes:
        write(f"  note: {note}\n")
