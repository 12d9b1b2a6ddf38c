"""The report of a map: one HTML file that needs nothing else, to be read by people who did not make the map. Pure.

No script, no request: pictures are data URLs, charts are SVG, and a content security policy forbids the rest. Every
text that comes from outside is escaped by `steps.markup`.
"""

import base64
import datetime as dt
import functools
import importlib.resources
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import shapely.geometry

from steps import charts
from steps.credit import COPERNICUS, DYNAMIC_WORLD
from steps.markup import Content, Html, join, table, tag
from steps.model.card import ClassDef
from steps.model.grid import TileId
from steps.model.job import Coverage, Phase, Plan, Reason, TileEmpty, TileFailed, TileMapped, TileOutcome
from steps.model.scene import SCL, Scene
from steps.palette import (
    AGREES,
    CLEAR_RAMP,
    CONFIDENCE_RAMP,
    DISAGREEMENT_COLOURS,
    DISAGREES,
    EXTRA_COLOUR,
    REASON_COLOURS,
)
from steps.stac import MapFile, MapRaster

_REASONS = {
    Reason.MAPPED: "mapped",
    Reason.NO_SCENES: "no scene in the season",
    Reason.ALL_CLOUD: "never seen without cloud",
    Reason.READ_ERROR: "scenes could not be read",
    Reason.WORKER_LOST: "tile not finished",
    Reason.MASKED: "outside the mask",
    Reason.BAD_SCENE: "scenes are broken and were left out",
}
_PHASES = {
    Phase.SUCCEEDED: "complete",
    Phase.PARTIAL: "partial: below the coverage that was asked for",
    Phase.FAILED: "failed",
}
_ROWS = 200
"""Most rows of a table of zones, parcels or scenes; the rest is in the files."""

_LONG = 15
"""A table with more rows is folded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTable:
    """A table made elsewhere: zones, parcels, disagreement by class."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamScore:
    """How often neighbouring pixels differ in class, 0 to 1."""

    borders: float
    """Across the borders of tiles."""
    inside: float
    """Within tiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContext:
    """All that a report shows."""

    plan: Plan
    coverage: Coverage
    outcomes: Mapping[TileId, TileOutcome]
    areas: Mapping[int, float]
    """Hectares by class code."""
    classes: Sequence[ClassDef]
    """As published."""
    pictures: Mapping[str, bytes]
    """PNG or WebP by layer of MAP_LAYERS."""
    raster: MapRaster
    aoi_km2: float
    created: dt.datetime
    """Aware."""
    title: str = ""
    """As users wrote the name of the AOI; its name in keys where empty."""
    seams: SeamScore | None = None
    disagreement: DataTable | None = None
    tables: Sequence[DataTable] = ()
    """Zones and parcels."""
    warnings: Sequence[str] = ()
    """What else readers must know, a sentence each."""
    fit: Html | None = None
    """How far the area is from what the model was trained on: the section of `steps.drift_report`."""
    files: Sequence[MapFile] = ()
    attribution: Sequence[str] = ()
    """Of further data."""


def render_report(context: ReportContext) -> str:
    """The report as an HTML document."""
    body = tag("main", [part for part in (render(context) for render in _SECTIONS) if part])
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{_title(context)} · GeoCrop"),
        tag("style", Html(_style())),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', body, _footer(context)), lang='en')}\n"


_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@functools.cache
def _style() -> str:
    return importlib.resources.files("steps").joinpath("report.css").read_text(encoding="utf-8")


def _title(context: ReportContext) -> str:
    return context.title or context.plan.request.aoi.name


def number(value: float, digits: int = 0) -> str:
    """As 12 345.6, with narrow spaces that do not break."""
    return f"{value:,.{digits}f}".replace(",", "\u202f")


def _count(many: int, noun: str) -> str:
    return f"{number(many)} {noun}{'' if many == 1 else 's'}"


def hectares(value: float) -> str:
    """Hectares, finer where there are few."""
    return number(value, 0 if value >= 100 else 1 if value >= 10 else 2)


def percent(share: float) -> str:
    """A share (0 to 1); what is not all never reads 100 %, what is not nothing never 0."""
    if 0 < share < 0.001:
        return "< 0.1\u202f%"
    shown = min(share * 100, 99.9) if share < 1 else share * 100
    return f"{shown:.1f}\u202f%"


def _day(date: dt.date) -> str:
    return f"{date.day} {date:%B %Y}"


def colour_of(colour: str) -> str:
    """Six hex digits as CSS; another colour for what is none."""
    return f"#{colour}" if re.fullmatch("[0-9A-Fa-f]{6}", colour) else f"#{EXTRA_COLOUR}"


def section(title: str, *content: Content, name: str, lead: Content = None) -> Html:
    """A section of the report; `name` is its anchor."""
    intro = tag("p", lead, class_="lead") if lead else None
    heading = tag("h2", title, id=name)
    return tag("section", tag("div", heading, intro, class_="heading"), content, aria_labelledby=name)


def _header(context: ReportContext) -> Html:
    plan, season = context.plan, context.plan.request.season
    lon, lat = shapely.geometry.shape(plan.request.aoi.geometry).representative_point().coords[0]
    where = f"{abs(lat):.3f}° {'N' if lat >= 0 else 'S'}, {abs(_wrap(lon)):.3f}° {'E' if _wrap(lon) >= 0 else 'W'}"
    phase = context.coverage.phase
    badge = tag("span", _PHASES.get(phase, str(phase)), class_=f"badge {phase}")
    eyebrow = tag("p", "Land-use map", badge, class_="eyebrow")
    span = f"{_day(season.start)} to {_day(season.end)}"
    return tag("header", eyebrow, tag("h1", _title(context)), tag("p", span, " · ", where, class_="when"),
               _figures(context))  # fmt: skip


def _wrap(lon: float) -> float:
    return (lon + 180) % 360 - 180


def _figures(context: ReportContext) -> Html:
    plan = context.plan
    scenes = {scene.solar_day for scene in plan.scenes}
    model = f"version {plan.card.version}" if plan.card.version else f"digest {plan.card.digest[:8]}"
    facts = [
        ("Mapped", percent(context.coverage.share), f"of {hectares(context.aoi_km2 * 100)}\u202fha"),
        ("Observed", _count(len(scenes), "day"), _count(len(plan.scenes), "scene")),
        ("Resolution", f"{plan.grid.resolution:g} m", f"EPSG:{plan.grid.epsg}"),
        ("Model", plan.card.name, model),
    ]
    return tag("dl", [tag("div", tag("dt", name), tag("dd", tag("strong", value), tag("span", more)))
                      for name, value, more in facts], class_="figures")  # fmt: skip


def _warnings(context: ReportContext) -> Html | None:
    said = [*_own_warnings(context), *context.warnings]
    if not said:
        return None
    title = tag("h2", "Read this first", id="warnings")
    return tag("aside", title, tag("ul", [tag("li", one) for one in said]), aria_labelledby="warnings", class_="note")


def _own_warnings(context: ReportContext) -> Iterator[str]:
    plan, coverage = context.plan, context.coverage
    if coverage.phase is not Phase.SUCCEEDED:
        wanted = percent(plan.request.options.min_coverage)
        yield (
            f"Only {percent(coverage.share)} of the area is mapped, less than the {wanted} asked for. "
            "What is not mapped has no class: see Coverage for where and why."
        )
    if coverage.excluded:
        names = len({fault.scene for fault in coverage.excluded})
        yield f"{names} of {_count(len(plan.scenes), 'scene')} could not be read in some tiles, and was left out there."
    lies = [verdict for verdict in plan.offsets if verdict.verdict == "lies"]
    if lies:
        yield f"The pixels of {_count(len(lies), 'scene')} contradict the stated reflectance offset, and were believed."
    if not plan.card.scores:
        yield (
            "The model comes without a score: nothing is known of the accuracy of this map, unless an accuracy "
            "assessment stands below."
        )


def _map(context: ReportContext) -> Html:
    alt = f"Land-use map of {_title(context)}. " + "; ".join(
        f"{one.name} {percent(share)}" for one, _, share in _by_area(context)
    )
    picture = _picture(context, "map", alt, sharp=True)
    beside = _picture(context, "composite", f"{_title(context)} in natural colour")
    lead = "Where there is no colour, nothing is mapped."
    if picture is None:
        return section("Map", _area_table(context), name="map", lead="No picture was made.")
    if beside is None:
        pair = tag("div", picture, _area_table(context), class_="split")
        return section("Map", pair, name="map", lead=lead)
    colour = tag("figure", beside, tag("figcaption", tag("strong", "Natural colour"), " ", tag("span", _COMPOSITE)))
    mapped = tag("figure", picture, tag("figcaption", tag("strong", "Classes"), _class_key(context)))
    return section("Map", tag("div", mapped, colour, class_="split even"), _area_table(context), name="map", lead=lead)


_COMPOSITE = "Median of the season's clear days."


def _class_key(context: ReportContext) -> Html:
    pairs = [(one.name, colour_of(one.colour)) for one, area, _ in _by_area(context) if area]
    return tag("span", [tag("span", _swatch(colour), name) for name, colour in pairs], class_="key")


def _by_area(context: ReportContext) -> list[tuple[ClassDef, float, float]]:
    """Class, hectares and share of the mapped area; largest first."""
    total = sum(context.areas.values()) or 1.0
    rows = [(one, context.areas.get(one.code, 0.0)) for one in context.classes]
    return [(one, area, area / total) for one, area in sorted(rows, key=lambda row: -row[1])]


def _area_table(context: ReportContext) -> Html:
    ranked = _by_area(context)
    most = max((share for _, _, share in ranked), default=1.0) or 1.0
    rows = [
        [
            named(colour_of(one.colour), one.name),
            charts.bar(share / most, colour_of(one.colour)),
            hectares(area),
            percent(share),
        ]
        for one, area, share in ranked
    ]
    rows.append(["Mapped", "", hectares(sum(context.areas.values())), percent(1.0) if context.areas else ""])
    columns = {"Class": False, "": False, "ha": True, "Share": True}
    return tag("div", table("Area by class, in pixels of true size on the ground", columns, rows), class_="areas")


def _swatch(colour: str) -> Html:
    return tag("i", "", class_="swatch", style=f"background:{colour}", aria_hidden="true")


def named(colour: str, name: str) -> Html:
    """A name with a swatch of its colour."""
    return tag("span", _swatch(colour), tag("span", name), class_="named")


def _picture(context: ReportContext, layer: str, alt: str, *, sharp: bool = False) -> Html | None:
    png = context.pictures.get(layer)
    if png is None:
        return None
    kind = "webp" if png[8:12] == b"WEBP" else "png"
    source = f"data:image/{kind};base64,{base64.b64encode(png).decode()}"
    rows, cols = context.raster.shape
    image = tag("img", src=source, alt=alt, class_="sharp" if sharp else None, style=f"aspect-ratio:{cols}/{rows}")
    scale = charts.scale_bar(cols * context.raster.transform[0])
    return tag("div", tag("div", tag("div", image, scale, class_="plate"), class_="mount"), class_="picture",
               style=f"--ratio:{cols / rows:.4f}")  # fmt: skip


def _pictures(context: ReportContext) -> Html | None:
    makers = (
        ("confidence", "Confidence", "Probability of the mapped class.", _ramp(CONFIDENCE_RAMP, "0 %", "100 %"), False),
        ("disagreement", "Disagreement", "Where the baseline of the year says otherwise.", _pairs(_DISAGREEMENT), True),
        ("clear", "Clear observations", "Days on which the ground was seen.", _ramp(CLEAR_RAMP, "1", "30 +"), False),
        ("reason", "Why not mapped", "Reasons, pixel by pixel.", _reasons_legend(context), True),
        ("generalised", "Without small patches", "Patches below the minimum mapping unit, filled.", None, True),
    )
    shown = [
        tag("figure", picture, tag("figcaption", tag("strong", title), " ", tag("span", says), legend))
        for layer, title, says, legend, sharp in makers
        if (layer != "reason" or context.coverage.share < 1)
        and (picture := _picture(context, layer, f"{title} of {_title(context)}. {says}", sharp=sharp))
    ]
    return section("Layers", tag("div", shown, class_="plates"), name="layers") if shown else None


_DISAGREEMENT = {
    "agrees": f"#{DISAGREEMENT_COLOURS[AGREES]}",
    "disagrees": f"#{DISAGREEMENT_COLOURS[DISAGREES]}",
}


def _ramp(colours: Sequence[str], low: str, high: str) -> Html:
    stops = ", ".join(f"#{colour}" for colour in colours)
    strip = tag("i", "", class_="ramp", style=f"background:linear-gradient(90deg, {stops})", aria_hidden="true")
    return tag("span", low, strip, high, class_="key")


def _pairs(colours: Mapping[str, str]) -> Html:
    return tag("span", [tag("span", _swatch(colour), name) for name, colour in colours.items()], class_="key")


def _reasons_legend(context: ReportContext) -> Html:
    found = [reason for reason in Reason if context.coverage.pixels.get(reason)]
    return _pairs({_REASONS[reason]: f"#{REASON_COLOURS[reason]}" for reason in found})


def _coverage(context: ReportContext) -> Html:
    pixels = {reason: count for reason in Reason if (count := context.coverage.pixels.get(reason, 0))}
    total = sum(pixels.values()) or 1
    parts = [(_REASONS[reason], count / total, _reason_fill(reason)) for reason, count in pixels.items()]
    label = "Coverage: " + ", ".join(f"{name} {percent(share)}" for name, share, _ in parts)
    hectare = context.raster.transform[0] ** 2 / 10_000
    rows = [
        [named(_reason_fill(reason), _REASONS[reason]), number(count), hectares(count * hectare),
         percent(count / total)]
        for reason, count in pixels.items()
    ]  # fmt: skip
    columns = {"Reason": False, "Pixels": True, "about ha": True, "Share": True}
    by_reason = tag("div", charts.stacked(parts, label), table("Pixels by reason", columns, rows, hidden=True))
    return section("Coverage", tag("div", by_reason, _tile_plot(context), class_="split even"),
                    _excluded(context), name="coverage", lead=_coverage_lead(context))  # fmt: skip


def _reason_fill(reason: Reason) -> str:
    return "var(--accent)" if reason is Reason.MAPPED else f"#{REASON_COLOURS[reason]}"


def _coverage_lead(context: ReportContext) -> str:
    share = context.coverage.share
    if share >= 1:
        return "Every pixel of the area has a class."
    return f"{percent(1 - share)} of the area has no class. A pixel that was never seen clearly is left empty."


def _tile_plot(context: ReportContext) -> Html:
    tiles = {entry.tile: _tile_says(context.outcomes.get(entry.tile)) for entry in context.plan.tiles}
    counts: dict[str, int] = {}
    for kind, _ in tiles.values():
        counts[kind] = counts.get(kind, 0) + 1
    said = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    if len(tiles) > 2500:
        return tag("p", f"Tiles: {said}.")
    plot = charts.tile_plot(tiles, f"Where the tiles lie: {said}")
    return tag("figure", plot, tag("figcaption", tag("strong", "Tiles"), " ", tag("span", said)), class_="tileplot")


def _tile_says(outcome: TileOutcome | None) -> tuple[str, str]:
    """CSS class and text of a tile."""
    match outcome:
        case TileMapped():
            return "mapped", f"mapped, {_count(outcome.scenes, 'scene')}, {outcome.seconds.get('total', 0):.1f} s"
        case TileEmpty():
            return "empty", _REASONS[outcome.reason]
        case TileFailed():
            return "lost", outcome.error
        case _:
            return "lost", "not finished"


def _excluded(context: ReportContext) -> Html | None:
    faults = sorted({(one.scene, one.error, one.href) for one in context.coverage.excluded})
    if not faults:
        return None
    rows = [[scene, error, tag("code", href)] for scene, error, href in faults[:_ROWS]]
    return table("Scenes left out because they could not be read", {"Scene": False, "Why": False, "File": False}, rows)


def _scenes(context: ReportContext) -> Html:
    plan = context.plan
    left_out = {fault.scene for fault in context.coverage.excluded}
    clear = [1 - (scene.cloud_cover or 0) / 100 for scene in plan.scenes]
    days = len({scene.solar_day for scene in plan.scenes})
    lead = f"{_count(len(plan.scenes), 'scene')} on {_count(days, 'day')}"
    if clear:
        lead += f", {percent(statistics.fmean(clear))} cloud-free on average by their own metadata. Taller is clearer."
    stems = [_stem(day, scenes, left_out) for day, scenes in _by_day(plan.scenes).items()]
    label = f"Timeline of {len(stems)} days between {plan.request.season.start} and {plan.request.season.end}"
    key = tag("p", [tag("span", tag("i", "", class_=f"dot {kind}", aria_hidden="true"), says) for kind, says in _KINDS],
              class_="key")  # fmt: skip
    chart = charts.timeline(plan.request.season, stems, label)
    return section("Scenes", chart, key, _offsets(context), _scene_table(plan.scenes), name="scenes", lead=lead)


_KINDS = (("seen", "used"), ("cloudy", "more than 60 % cloud"), ("out", "left out in some tiles"))


def _by_day(scenes: Sequence[Scene]) -> dict[dt.date, list[Scene]]:
    days: dict[dt.date, list[Scene]] = {}
    for scene in sorted(scenes, key=lambda one: one.solar_day):
        days.setdefault(scene.solar_day, []).append(scene)
    return days


def _stem(day: dt.date, scenes: Sequence[Scene], left_out: set[str]) -> charts.Stem:
    known = [scene.cloud_cover for scene in scenes if scene.cloud_cover is not None]
    cloud = statistics.fmean(known) if known else 0.0
    kind = "out" if any(scene.id in left_out for scene in scenes) else "cloudy" if cloud > 60 else "seen"
    said = f"{cloud:.0f} % cloud" if known else "cloud unknown"
    return charts.Stem(day, 1 - cloud / 100, kind, f"{day}: {_count(len(scenes), 'scene')}, {said}")


def _offsets(context: ReportContext) -> Html | None:
    verdicts = context.plan.offsets
    if not verdicts:
        return None
    counts = {name: sum(one.verdict == name for one in verdicts) for name in ("agrees", "lies", "undecided")}
    said = (
        f"Offsets: the pixels agree with {counts['agrees']} scenes, contradict {counts['lies']}, "
        f"and leave {counts['undecided']} undecided."
    )
    telling = [one for one in verdicts if one.verdict != "agrees"][:_ROWS]
    rows = [[one.scene, one.verdict, f"{one.stated:g}", f"{one.resolved:g}", one.evidence] for one in telling]
    columns = {"Scene": False, "Verdict": False, "Stated": True, "Used": True, "Evidence": False}
    return join([tag("p", said), table("Offsets that need a word", columns, rows) if rows else None])


def _scene_table(scenes: Sequence[Scene]) -> Html:
    rows = [
        [
            scene.id,
            str(scene.solar_day),
            "" if scene.cloud_cover is None else f"{scene.cloud_cover:.0f}",
            scene.baseline,
            f"{_offset(scene):g}",
            scene.offset_source,
        ]
        for scene in scenes
    ]
    columns = {"Scene": False, "Solar day": False, "Cloud %": True, "Baseline": False, "Offset": True, "Source": False}
    return folded(f"All {_count(len(rows), 'scene')}", table("Scenes of the plan", columns, rows[:_ROWS], hidden=True))


def _offset(scene: Scene) -> float:
    return next((asset.offset for band, asset in sorted(scene.assets.items()) if band != SCL), 0.0)


def folded(title: str, content: Html) -> Html:
    """Content that readers unfold."""
    return tag("details", tag("summary", title), content)


def _trust(context: ReportContext) -> Html:
    """The model's card, the seams and the disagreement: how far the map can be trusted."""
    card = context.plan.card
    scores = join(list(_score_tables(card.scores))) if card.scores else tag("p", "This model has no scores.")
    lead = (
        f"{card.name}: {len(card.classes)} classes from a season of {card.spec.season_days} days in "
        f"{card.spec.periods} periods. Each score is of the split that it names."
    )
    trained = folded("How it was trained", _facts(card.trained)) if card.trained else None
    return section("Trust", scores, trained, _seams(context), _data_table(context.disagreement),
                    name="trust", lead=lead)  # fmt: skip


def _score_tables(scores: Mapping[str, Any], name: str = "Scores") -> Iterator[Html]:
    """What stands in `scores` itself, then one row per split, then a table for each split's own groups (by class)."""
    plain = {key: value for key, value in scores.items() if not isinstance(value, Mapping)}
    groups = {key: value for key, value in scores.items() if isinstance(value, Mapping)}
    rows = {key: _plain(value) for key, value in groups.items() if _plain(value)}
    if plain:
        yield table(name, {"Measure": False, "Score": True}, [[_words(key), _score(plain[key])] for key in plain])
    if rows:
        measures = list(dict.fromkeys(measure for row in rows.values() for measure in row))
        columns = {"Split" if name == "Scores" else "Class": False, **{_words(one): True for one in measures}}
        cells = [[_words(key), *(_score(row.get(one)) for one in measures)] for key, row in rows.items()]
        yield table(name, columns, cells)
    for key, value in groups.items():
        nested = {_words(one): inner for one, inner in value.items() if isinstance(inner, Mapping)}
        for one, inner in nested.items():
            yield from _score_tables(inner, f"{_words(key)}, {one}")


def _plain(group: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if not isinstance(value, Mapping)}


def _words(key: object) -> str:
    return str(key).replace("_", " ")


def _score(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) <= 1 else f"{value:g}"
    return "" if value is None else number(value) if isinstance(value, int) else str(value)


def _seams(context: ReportContext) -> Html | None:
    seams = context.seams
    if seams is None:
        return None
    ratio = seams.borders / seams.inside if seams.inside else 1.0
    verdict = "tiles leave no visible seam" if ratio <= 1.1 else "tiles leave seams: look at their borders"
    return tag("p", f"Seams: neighbouring pixels differ in class across {percent(seams.borders)} of the tile borders "
               f"and {percent(seams.inside)} inside tiles ({verdict}).")  # fmt: skip


def _data_table(data: DataTable | None) -> Html | None:
    if data is None:
        return None
    numeric = [all(isinstance(row[index], int | float) for row in data.rows) for index in range(len(data.columns))]
    rows = [[_value(value) for value in row] for row in data.rows[:_ROWS]]
    more = f"{len(data.rows) - _ROWS} more rows are in the files." if len(data.rows) > _ROWS else ""
    note = tag("p", " ".join((data.note, more)).strip(), class_="lead") if data.note or more else None
    made = table(data.title, dict(zip(data.columns, numeric, strict=True)), rows, hidden=len(rows) > _LONG)
    return join([folded(f"{data.title} ({number(len(data.rows))})", made) if len(rows) > _LONG else made, note])


def _value(value: str | int | float) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1 else number(value, 1)
    return number(value) if isinstance(value, int) else value


def _tables(context: ReportContext) -> Html | None:
    if not context.tables:
        return None
    return section("Zones and parcels", [_data_table(data) for data in context.tables], name="zones")


def _timings(context: ReportContext) -> Html | None:
    done = [one for one in context.outcomes.values() if isinstance(one, TileMapped | TileEmpty) and one.seconds]
    seconds = [one.seconds.get("total", sum(one.seconds.values())) for one in done]
    if not seconds or not max(seconds):
        return None
    read = sum(one.bytes_read for one in done) / 1e6
    lead = (
        f"{_count(len(done), 'tile')}, {statistics.median(seconds):.1f} s in the median, {number(read)} MB read, "
        f"at most {number(max(one.peak_mb for one in done))} MB of memory."
    )
    label = f"Histogram of tile times: from {min(seconds):.1f} to {max(seconds):.1f} seconds"
    chart = tag("figure", charts.histogram(seconds, "s", label), tag("figcaption", "Tiles by seconds"))
    return section("Work", tag("div", chart, _stages(done), class_="split even"), name="work", lead=lead)


def _stages(done: Sequence[TileMapped | TileEmpty]) -> Html:
    names = dict.fromkeys(stage for one in done for stage in one.seconds if stage != "total")
    sums = {name: sum(one.seconds.get(name, 0.0) for one in done) for name in names}
    total = sum(sums.values()) or 1.0
    rows = [
        [name, charts.bar(value / total, "var(--accent)"), f"{value:.1f}", percent(value / total)]
        for name, value in sums.items()
    ]
    return table("Seconds by stage", {"Stage": False, "": False, "Seconds": True, "Share": True}, rows, hidden=True)


def _provenance(context: ReportContext) -> Html:
    plan, spec = context.plan, context.plan.card.spec
    facts = {
        "Job": plan.job,
        "Catalog": f"{plan.request.catalog} ({plan.request.collection})",
        "Model": f"{plan.request.model.href}, digest {plan.card.digest}",
        "Grid": f"EPSG:{plan.grid.epsg}, {plan.grid.resolution:g} m, tiles of {plan.grid.size} px, halo {plan.halo} px",
        "Raster": f"{context.raster.shape[1]} x {context.raster.shape[0]} px",
        "Clear SCL classes": f"{', '.join(map(str, spec.clear_classes))}; cloud and shadow grown by "
        f"{spec.dilation_m:g} m",
        "Pixel version": plan.pixel_version,
        "Code version": plan.code_version,
        "Made": f"{context.created.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC",
    }
    files = [[tag("a", one.name, href=_local(one.href)), number(one.size), tag("code", one.sha256[:16])]
             for one in context.files]  # fmt: skip
    listed = table("Files", {"File": False, "Bytes": True, "SHA-256": False}, files) if files else None
    return section("Provenance", _facts(facts), listed, name="provenance",
                    lead="The STAC item beside this report rebuilds the map: geocrop replay item.json")  # fmt: skip


def _local(href: str) -> str | None:
    """The href where it leads to a file beside the report or to a web server; nothing that could run."""
    return href if re.match(r"(https?://|\./|[\w-]+(\.\w+)*$)", href) else None


def _facts(facts: Mapping[str, Any]) -> Html:
    rows = [tag("div", tag("dt", _words(name)), tag("dd", _fact(value))) for name, value in facts.items()]
    return tag("dl", rows, class_="facts")


def _fact(value: Any) -> Content:
    if isinstance(value, Mapping):
        return _facts(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return _score(value)


def _footer(context: ReportContext) -> Html:
    season = context.plan.request.season
    years = " to ".join(dict.fromkeys((str(season.start.year), str(season.end.year))))
    given = [f"{COPERNICUS} {years}.", *context.attribution]
    if context.plan.request.options.baseline or context.disagreement:
        given.append(f"Baseline: {DYNAMIC_WORLD}.")
    return tag("footer", [tag("p", one) for one in given])


def _fit(context: ReportContext) -> Html | None:
    return context.fit


_SECTIONS = (
    _header, _warnings, _map, _pictures, _coverage, _scenes, _fit, _trust, _tables, _timings, _provenance,
)  # fmt: skip
