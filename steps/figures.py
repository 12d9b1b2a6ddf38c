"""Figures of an evaluation as SVG files that stand alone: white ground, no font or script from elsewhere. Pure."""

from collections.abc import Mapping, Sequence

from steps.markup import Html, tag
from steps.scores import LearningPoint, ReliabilityBin

_INK, _PALE, _LINE, _MARK = "#1d2b25", "#66736c", "#d9dfdb", "#2f7d5b"
_FONT = "system-ui, sans-serif"
_SIDE, _LEFT, _TOP = 320, 64, 44
_ROW, _NAMES = 22, 190
_BARS = 260


def _text(x: float, y: float, says: str, *, size: int = 12, colour: str = _INK, anchor: str = "start") -> Html:
    return tag("text", says, x=round(x, 1), y=round(y, 1), font_size=size, fill=colour, text_anchor=anchor)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = _LINE, dashes: str | None = None) -> Html:
    ends = {"x1": round(x1, 1), "y1": round(y1, 1), "x2": round(x2, 1), "y2": round(y2, 1)}
    return tag("line", **ends, stroke=colour, stroke_dasharray=dashes)


def _drawing(title: str, width: float, height: float, marks: Sequence[Html]) -> str:
    """A whole SVG document."""
    drawn = tag(
        "svg",
        tag("title", title),
        tag("rect", width=width, height=height, fill="#ffffff"),
        _text(16, 24, title, size=14),
        list(marks),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        font_family=_FONT,
        role="img",
    )
    return f"{drawn}\n"


def _frame(across: str, up: str) -> list[Html]:
    """Axes from 0 to 1 in both directions, with grid lines at each quarter."""
    marks = []
    for quarter in range(5):
        share = quarter / 4
        x, y = _LEFT + share * _SIDE, _TOP + (1 - share) * _SIDE
        marks += [_line(x, _TOP, x, _TOP + _SIDE), _line(_LEFT, y, _LEFT + _SIDE, y)]
        marks.append(_text(x, _TOP + _SIDE + 18, f"{share:g}", size=11, colour=_PALE, anchor="middle"))
        marks.append(_text(_LEFT - 8, y + 4, f"{share:g}", size=11, colour=_PALE, anchor="end"))
    marks.append(_text(_LEFT + _SIDE / 2, _TOP + _SIDE + 38, across, anchor="middle"))
    marks.append(_text(16, _TOP - 6, up, size=11, colour=_PALE))
    return marks


def reliability_figure(bins: Sequence[ReliabilityBin]) -> str:
    """Share right against confidence; a disc's area is its number of samples."""
    marks = _frame("confidence", "share right")
    marks.append(_line(_LEFT, _TOP + _SIDE, _LEFT + _SIDE, _TOP, _PALE, "4 4"))
    most = max((one.samples for one in bins), default=1)
    for one in bins:
        says = f"confidence {one.confidence:.2f}: {one.right:.2f} of {one.samples} right"
        x, y = _LEFT + one.confidence * _SIDE, _TOP + (1 - one.right) * _SIDE
        radius = 4 + 12 * (one.samples / most) ** 0.5
        marks.append(
            tag("circle", tag("title", says), cx=round(x, 1), cy=round(y, 1), r=round(radius, 1), fill=_MARK,
                fill_opacity=0.75)
        )  # fmt: skip
    return _drawing("Is a confidence of 0.9 right nine times in ten?", _LEFT + _SIDE + 24, _TOP + _SIDE + 52, marks)


def learning_figure(points: Sequence[LearningPoint]) -> str:
    """Balanced accuracy by the number of labels trained on, with the deviation of the folds."""
    most = max((one.labels for one in points), default=1)
    places = [(_LEFT + one.labels / most * _SIDE, _TOP + (1 - one.balanced) * _SIDE) for one in points]
    marks = _frame(f"share of {most} labels trained on", "balanced accuracy")
    path = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(places))
    marks.append(tag("path", d=path, fill="none", stroke=_MARK, stroke_width=2))
    for (x, y), one in zip(places, points, strict=True):
        says = tag("title", f"{one.labels} labels: {one.balanced:.3f} ± {one.deviation:.3f}")
        marks.append(_line(x, y - one.deviation * _SIDE, x, y + one.deviation * _SIDE, _PALE))
        marks.append(tag("circle", says, cx=round(x, 1), cy=round(y, 1), r=4, fill=_MARK))
        marks.append(_text(x + 8, y - 10, f"{one.balanced:.2f}", size=11, anchor="middle"))
    return _drawing("What more labels would bring", _LEFT + _SIDE + 24, _TOP + _SIDE + 52, marks)


def bars_figure(title: str, values: Mapping[str, float]) -> str:
    """A bar for each name, the longest as long as the figure allows."""
    most = max((abs(value) for value in values.values()), default=1.0) or 1.0
    marks = []
    for row, (name, value) in enumerate(values.items()):
        y = _TOP + row * _ROW
        marks.append(_text(_NAMES - 8, y + 12, name, anchor="end"))
        width = max(0.0, value) / most * _BARS
        marks.append(tag("rect", x=_NAMES, y=y, width=round(width, 1), height=_ROW - 6, rx=2, fill=_MARK))
        marks.append(_text(_NAMES + width + 6, y + 12, f"{value:.3f}", size=11, colour=_PALE))
    return _drawing(title, _NAMES + _BARS + 64, _TOP + len(values) * _ROW + 12, marks)


def confusion_figure(matrix: Mapping[str, Mapping[str, int]]) -> str:
    """Labels in rows, predictions in columns; a cell's colour is its share of the row."""
    side, marks = 58, []
    for row, (label, counts) in enumerate(matrix.items()):
        total, y = sum(counts.values()) or 1, _TOP + 44 + row * side
        marks.append(_text(_NAMES - 10, y + side / 2 + 4, label, anchor="end"))
        for column, (name, count) in enumerate(counts.items()):
            x, share = _NAMES + column * side, count / total
            if row == 0:
                marks.append(_text(x + side / 2, _TOP + 36, name[:9], size=11, anchor="middle"))
            says = tag("title", f"{label} called {name}: {count} of {total}")
            marks.append(tag("rect", says, x=x, y=y, width=side - 2, height=side - 2, rx=3, fill=_MARK,
                             fill_opacity=round(0.06 + 0.94 * share, 3)))  # fmt: skip
            ink = "#ffffff" if share > 0.5 else _INK
            marks.append(_text(x + side / 2 - 1, y + side / 2 + 4, str(count), colour=ink, anchor="middle"))
    marks.append(_text(_NAMES, _TOP + 12, "called, on land held out", size=11, colour=_PALE))
    marks.append(_text(_NAMES - 10, _TOP + 36, "labelled", size=11, colour=_PALE, anchor="end"))
    size = side * len(matrix)
    return _drawing("What is taken for what", _NAMES + size + 24, _TOP + 44 + size + 16, marks)
