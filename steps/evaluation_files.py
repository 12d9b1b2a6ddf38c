"""An evaluation as files of a model's folder: numbers, figures, labels to look at again. Pure."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice

import msgspec

from steps.evaluation import Evaluation
from steps.figures import bars_figure, confusion_figure, learning_figure, reliability_figure
from steps.model.card import ClassDef
from steps.recipe import Choice
from steps.scores import Suspect

FOLDER = "evaluation"
_SHOWN = 20


def evaluation_files(
    evaluation: Evaluation, classes: Sequence[ClassDef], choice: Choice, labels: Mapping[int, str]
) -> dict[str, bytes]:
    """Content by path: evaluation.json, suspects.csv, and a figure for whatever was measured."""
    files = {
        "evaluation.json": _numbers(evaluation, choice),
        "suspects.csv": _suspects(evaluation.suspects, classes, labels).encode(),
        **{name: figure.encode() for name, figure in _figures(evaluation).items()},
    }
    return {f"{FOLDER}/{name}": content for name, content in files.items()}


def _numbers(evaluation: Evaluation, choice: Choice) -> bytes:
    found = {
        "scores": evaluation.scores,
        "candidates": evaluation.candidates,
        "choice": asdict(choice),
        "reliability": [asdict(one) for one in evaluation.reliability],
        "importance": evaluation.importance,
        "learning curve": [
            {"labels": one.labels, "balanced accuracy": one.balanced, "deviation of folds": one.deviation}
            for one in evaluation.learning
        ],
        "suspects": len(evaluation.suspects),
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def _suspects(suspects: Sequence[Suspect], classes: Sequence[ClassDef], labels: Mapping[int, str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", "samples", "given", "suggested", "probability"])
    for one in suspects:
        name = labels.get(one.group, str(one.group))
        given, suggested = classes[one.given].name, classes[one.suggested].name
        writer.writerow([name, one.samples, given, suggested, f"{one.probability:.3f}"])
    return text.getvalue()


def _figures(evaluation: Evaluation) -> dict[str, str]:
    headline = next(iter(evaluation.scores.values()))
    if not headline:
        return {}
    shown = dict(islice(evaluation.importance.items(), _SHOWN))
    return {
        "reliability.svg": reliability_figure(evaluation.reliability),
        "learning.svg": learning_figure(evaluation.learning),
        "importance.svg": bars_figure("Balanced accuracy lost without a feature", shown),
        "confusion.svg": confusion_figure(headline["confusion (rows: label, columns: map)"]),
        "classes.svg": bars_figure(
            "F1 by class, on land held out", {name: found["f1"] for name, found in headline["classes"].items()}
        ),
    }
