"""A model's card as a page for people, in Markdown (Mitchell et al. 2019, Model Cards for Model Reporting). Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from steps.model.card import ModelCard, Reference
from steps.model.spec import FeatureSpec

_LONG = 20
"""Entries of a list that are shown."""


def card_page(card: ModelCard) -> str:
    """The file README.md of a model's folder."""
    parts = (_head(card), _classes(card), _accuracy(card.scores), _features(card.spec), _training(card), _files())
    return "\n".join(line for part in parts for line in (*part, "")).rstrip() + "\n"


def summary(card: ModelCard) -> str:
    """One line: what it is and how good."""
    shape = f"{card.learner}, {len(card.classes)} classes, {len(card.spec.feature_names)} features"
    split, scores = next(iter(card.scores.items()), ("", dict[str, Any]()))
    if not scores:
        return f"{shape}; accuracy not measured"
    return f"{shape}; balanced accuracy {scores.get('balanced accuracy')} ({split})"


def _head(card: ModelCard) -> Iterator[str]:
    yield f"# Model {card.name}"
    yield ""
    yield f"{summary(card)}."
    yield ""
    if card.spec.mappable:
        yield f"It maps Sentinel-2 seasons of {card.spec.season_days} days at {card.spec.resolution:g} m."
    else:
        yield "Its features come from a table and cannot be made of scenes: **no map can be made with it**."
    yield "Trust it where land and season resemble its training; the drift of each map says how far they do."


def _classes(card: ModelCard) -> Iterator[str]:
    shares = card.reference.classes if card.reference else dict[int, float]()
    yield "## Classes"
    yield ""
    rows = [(entry.code, entry.name, f"#{entry.colour}", _percent(shares.get(entry.code))) for entry in card.classes]
    yield from _table(("code", "name", "colour", "of the samples"), rows)


def _accuracy(scores: Mapping[str, Any]) -> Iterator[str]:
    yield "## Accuracy"
    for split, found in scores.items():
        yield ""
        yield f"### {split}"
        yield ""
        if not found:
            yield "Not measured: there was too little to hold any out."
            continue
        flat = [(name, value) for name, value in found.items() if not isinstance(value, Mapping)]
        yield from _table(("measure", "value"), flat)
        if classes := found.get("classes"):
            yield ""
            yield from _by_class(classes)


def _by_class(classes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    columns = tuple(next(iter(classes.values())))
    yield from _table(("class", *columns), [(name, *(row.get(c) for c in columns)) for name, row in classes.items()])


def _features(spec: FeatureSpec) -> Iterator[str]:
    names = spec.feature_names
    yield "## Features"
    yield ""
    yield f"Feature spec version {spec.version}, {len(names)} features: {_some(names)}."


def _training(card: ModelCard) -> Iterator[str]:
    yield "## Training"
    yield ""
    facts = [(name, _short(value)) for name, value in card.trained.items()]
    yield from _table(("fact", "value"), [*facts, *_distribution(card.reference)])


def _distribution(reference: Reference | None) -> Iterator[tuple[str, Any]]:
    if reference is not None:
        yield "distribution of its samples", f"histograms of {len(reference.shares)} features in `card.json`"
        yield "dissimilarity that is outside of it", reference.threshold


def _files() -> Iterator[str]:
    yield "## Files"
    yield ""
    yield "`model.json` is the learner and `card.json` the above for machines, both JSON: nothing here is a pickle."
    yield "`evaluation/` has the figures, the numbers behind them, and the labels to look at again."


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    yield _row(columns)
    yield _row(["---"] * len(columns))
    yield from (_row(row) for row in rows)


def _row(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _short(value: Any) -> str:
    return _some([str(one) for one in value]) if isinstance(value, list | tuple) else str(value)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LONG} more" if len(names) > _LONG else ""
    return ", ".join(names[:_LONG]) + more
