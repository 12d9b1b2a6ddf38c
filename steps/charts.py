"""Charts as inline SVG: lengths along x in percent, so that they fit any width and their text keeps its size. Pure."""

import datetime as dt
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from steps.markup import Html, tag
from steps.model.aoi import Season
from steps.model.grid import TileId

_NICE = (1, 2, 2.5, 5)


def bar(share: float, colour: str, mark: float | None = None) -> Html:
    """A bar of a share (0 to 1) of the width, with a line across at another one where there is a `mark`.

    The numbers themselves stand beside it, so it is hidden from readers.
    """
    width, x = (f"{max(0.0, min(1.0, one or 0.0)) * 100:.2f}%" for one in (share, mark))
    line = tag("line", x1=x, x2=x, y1="-15%", y2="115%") if mark is not None else None
    return tag(
        "svg", tag("rect", width=width, height="100%", rx=2, fill=colour), line, class_="bar", aria_hidden="true"
    )


def stacked(parts: Sequence[tuple[str, float, str]], label: str) -> Html:
    """One bar of several parts: name, share (0 to 1) and colour of each."""
    starts = itertools.accumulate((share for _, share, _ in parts), initial=0.0)
    rects = [
        tag("rect", tag("title", f"{name}: {share:.1%}"), x=f"{start * 100:.3f}%", width=f"{share * 100:.3f}%",
            height="100%", fill=colour)
        for start, (name, share, colour) in zip(starts, parts, strict=False)
    ]  # fmt: skip
    return tag("svg", rects, class_="stacked", role="img", aria_label=label)


@dataclass(frozen=True, slots=True)
class Stem:
    """One day of the timeline."""

    date: dt.date
    height: float
    """0 to 1."""
    kind: str
    """CSS class."""
    says: str


def timeline(season: Season, stems: Sequence[Stem], label: str) -> Html:
    """A stem per day over the months of a season."""
    high, base = 92.0, 112.0
    marks: list[Html] = [tag("line", x1="0", x2="100%", y1=base, y2=base, class_="axis")]
    for month in _months(season):
        x = f"{season.day(month) / season.days * 100:.2f}%"
        marks.append(tag("line", x1=x, x2=x, y1=base, y2=base + 5, class_="axis"))
        marks.append(tag("text", f"{month:%b}", x=x, y=base + 18, dx=3))
    for stem in stems:
        x, y = f"{(season.day(stem.date) + 0.5) / season.days * 100:.2f}%", base - 6 - (high - 6) * stem.height
        line = tag("line", x1=x, x2=x, y1=base, y2=f"{y:.1f}")
        marks.append(tag("g", tag("title", stem.says), line, tag("circle", cx=x, cy=f"{y:.1f}", r=4), class_=stem.kind))
    return tag("svg", marks, class_="timeline", height=134, role="img", aria_label=label)


def _months(season: Season) -> Iterator[dt.date]:
    """First days of months within the season; every second or third when there are many."""
    firsts = [
        dt.date(year, month, 1)
        for year in range(season.start.year, season.end.year + 1)
        for month in range(1, 13)
        if season.start <= dt.date(year, month, 1) <= season.end
    ]
    return iter(firsts[:: max(1, math.ceil(len(firsts) / 13))])


def histogram(values: Sequence[float], unit: str, label: str) -> Html:
    """How often values (0 or more) fall into each of some ten equal bins."""
    step = nice_step(max(values) / 10 or 0.1)
    counts = [0] * (math.floor(max(values) / step) + 1)
    for value in values:
        counts[math.floor(value / step)] += 1
    width, top, marks = 100 / len(counts), max(counts), []
    for index, count in enumerate(counts):
        height, x = 90 * count / top, index * width
        says = f"{index * step:g} to {(index + 1) * step:g} {unit}: {count}"
        marks.append(tag("rect", tag("title", says), x=f"{x + width * 0.06:.2f}%", width=f"{width * 0.88:.2f}%",
                         y=f"{100 - height:.1f}", height=f"{height:.1f}", rx=2, class_="column"))  # fmt: skip
        if index % max(1, math.ceil(len(counts) / 6)) == 0:
            marks.append(tag("text", f"{index * step:g}", x=f"{x:.2f}%", y=116))
    axis = tag("line", x1="0", x2="100%", y1=100, y2=100, class_="axis")
    end = tag("text", unit, x="100%", y=116, text_anchor="end")
    return tag("svg", marks, axis, end, class_="histogram", height=122, role="img", aria_label=label)


def nice_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `least`, which is above 0."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((nice * power for nice in _NICE if nice * power >= least * (1 - 1e-9)), 10 * power)


def scale_bar(width_m: float) -> Html:
    """A scale bar for a picture that is `width_m` metres wide: an eighth of it to a third."""
    length = nice_step(width_m / 8)
    says = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    x = f"{length / width_m * 100:.2f}%"
    line = [tag("line", x1=a, x2=b, y1=c, y2=d) for a, b, c, d in (("0", x, 8, 8), ("0", "0", 3, 8), (x, x, 3, 8))]
    return tag("svg", line, tag("text", says, x=x, y=12, dx=7), class_="scale", height=17, role="img",
               aria_label=f"scale bar: {says}")  # fmt: skip


def tile_plot(tiles: Mapping[TileId, tuple[str, str]], label: str) -> Html:
    """Where tiles lie, each with its CSS class and what it says."""
    top, left = min(tile.row for tile in tiles), min(tile.col for tile in tiles)
    rows = max(tile.row for tile in tiles) - top + 1
    cols = max(tile.col for tile in tiles) - left + 1
    squares = [
        tag("rect", tag("title", f"{tile}: {says}"), x=tile.col - left + 0.04, y=tile.row - top + 0.04, width=0.92,
            height=0.92, rx=0.08, class_=kind)
        for tile, (kind, says) in sorted(tiles.items())
    ]  # fmt: skip
    return tag(
        "svg",
        squares,
        class_="tiles",
        viewBox=f"0 0 {cols} {rows}",
        preserveAspectRatio="xMinYMid",
        role="img",
        aria_label=label,
    )
