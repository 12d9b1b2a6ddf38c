"""The HTML report: what it says, that it is safe, and that everybody can read it."""

import dataclasses
import datetime as dt
import importlib.resources
import itertools
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from steps import charts
from steps.errors import DataError
from steps.landscape import write_cog
from steps.markup import Html, join, table, tag
from steps.model.card import ClassDef
from steps.model.grid import TileId
from steps.model.job import Coverage, OffsetVerdict, Phase, Plan, Reason, SceneFault, TileEmpty, TileFailed, TileMapped
from steps.palette import CONFIDENCE_RAMP, ramp_colour, rgb
from steps.pictures import report_pictures
from steps.report import DataTable, ReportContext, SeamScore, hectares, percent, render_report
from steps.stac import MapFile, MapRaster
from steps.testing import any_card, any_classes, any_plan, any_request, any_season

HOSTILE = """</style></title><script>alert(1)</script><img src=x onerror="alert('1')">&amp;"""
ANY_PNG = b"\x89PNG\r\n\x1a\n"
VOID = {"meta", "img"}


class _Page(HTMLParser):
    """A page taken apart: elements in order, text, and whether tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack[-1:] != ["style"]:
            self.texts.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == name]

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def _outcomes(plan: Plan) -> dict[TileId, Any]:
    first, second, *_ = (entry.tile for entry in plan.tiles)
    seconds = {"load": 1.5, "predict": 0.5, "total": 2.0}
    return {
        first: TileMapped(tile=first, planned_key="k", key="k", pixels={Reason.MAPPED: 1}, scenes=3, seconds=seconds),
        second: TileFailed(tile=second, planned_key="k", error="worker lost: killed", exit_code=75),
    }


def any_context(**changes: Any) -> ReportContext:
    """A report with every section."""
    plan = any_plan(
        tiles=3,
        card=any_card(
            scores={"parcel_out": {"accuracy": 0.76, "by_class": {"maize": {"recall": 0.5, "samples": 1200}}}},
            trained={"samples": 1234, "labels": ["a.gpkg", "b.gpkg"]},
        ),
    )
    verdict = OffsetVerdict(
        scene=plan.scenes[1].id, verdict="lies", stated=-0.1, resolved=0.0, evidence="water at 0.02"
    )
    fault = SceneFault(scene=plan.scenes[2].id, href="/nowhere/red.tif", error="truncated")
    fields: dict[str, Any] = {
        "plan": msgspec.structs.replace(plan, offsets=(verdict,)),
        "coverage": Coverage(
            phase=Phase.PARTIAL,
            share=0.9,
            pixels={Reason.MAPPED: 9000, Reason.ALL_CLOUD: 1000},
            tiles={},
            excluded=(fault,),
        ),
        "outcomes": _outcomes(plan),
        "areas": {0: 67.5, 1: 22.5},
        "classes": any_classes(),
        "pictures": {"map": ANY_PNG, "composite": b"RIFF0000WEBPVP8 ", "confidence": ANY_PNG, "disagreement": ANY_PNG},
        "raster": MapRaster(epsg=32736, transform=(10.0, 0.0, 3e5, 0.0, -10.0, 8.02e6), shape=(80, 125)),
        "aoi_km2": 1.0,
        "created": dt.datetime(2022, 10, 3, 12, tzinfo=dt.UTC),
        "title": "Mvurwi farms",
        "seams": SeamScore(borders=0.05, inside=0.04),
        "disagreement": DataTable(title="Disagreement by class", columns=["Class", "Share"], rows=[["maize", 0.125]]),
        "tables": [DataTable(title="Zones", columns=["Zone", "maize ha"], rows=[["North", 1234.5]], note="All.")],
        "warnings": ["Areas counted from pixels are biased."],
        "files": [MapFile(name="map", href="./map.tif", size=1234, sha256="ab" * 32)],
    }
    return ReportContext(**(fields | changes))


def test_it_says_what_there_is_to_say() -> None:
    """Area, season, model, areas, reasons, faults, offsets, scores, seams, zones and provenance are in the text."""
    text = _Page(render_report(any_context())).text
    for said in (
        "Mvurwi farms", "1 October 2021 to 30 September 2022", "90.0\u202f%", "any-model", "version 3",
        "maize", "67.5", "75.0\u202f%", "never seen without cloud", "1\u202f000",
        "truncated", "contradict 1", "water at 0.02", "parcel out", "0.760", "1\u202f200",
        "5.0\u202f% of the tile borders", "tiles leave seams", "Disagreement by class", "0.125", "North",
        "1\u202f234.5",
        "Areas counted from pixels are biased.", "2.0 s", "geocrop replay", "any-pixels", "any-code", "map",
        "Contains modified Copernicus Sentinel data 2021 to 2022.", "CC BY 4.0",
    ):  # fmt: skip
        assert " ".join(said.split()) in text, said


def test_it_asks_for_nothing() -> None:
    """No script, no request: pictures are data, styles are inline, and the policy forbids the rest."""
    html = render_report(any_context())
    page = _Page(html)
    assert not page.all("script")
    assert not page.all("link")
    assert not page.all("iframe")
    assert all(str(image["src"]).startswith(("data:image/png;base64,", "data:image/webp;base64,"))
               for image in page.all("img"))  # fmt: skip
    assert "url(" not in html
    assert "@import" not in html
    assert [one["href"] for one in page.all("a")] == ["./map.tif"]
    policy = next(one["content"] for one in page.all("meta") if one.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'")


def _hostile_context() -> ReportContext:
    """Every text that comes from outside is an attack."""
    plan = any_context().plan
    card = any_card(name=HOSTILE, version=HOSTILE, scores={HOSTILE: {HOSTILE: HOSTILE}}, trained={HOSTILE: [HOSTILE]})
    request = any_request(catalog=HOSTILE, collection=HOSTILE)
    scenes = tuple(msgspec.structs.replace(scene, id=HOSTILE, baseline=HOSTILE) for scene in plan.scenes)
    verdict = OffsetVerdict(scene=HOSTILE, verdict=HOSTILE, stated=0, resolved=0, evidence=HOSTILE)
    plan = msgspec.structs.replace(
        plan, card=card, request=request, job=HOSTILE, scenes=scenes, offsets=(verdict,), code_version=HOSTILE
    )
    fault = SceneFault(scene=HOSTILE, href=HOSTILE, error=HOSTILE)
    lost = plan.tiles[0].tile
    data = DataTable(title=HOSTILE, columns=[HOSTILE], rows=[[HOSTILE]], note=HOSTILE)
    return any_context(
        title=HOSTILE,
        plan=plan,
        coverage=Coverage(phase=Phase.PARTIAL, share=0.5, pixels={Reason.MAPPED: 1}, tiles={}, excluded=(fault,)),
        outcomes={lost: TileFailed(tile=lost, planned_key="k", error=HOSTILE, exit_code=75)},
        classes=[ClassDef(code=0, name=HOSTILE, colour='red;background:url("http://evil")')],
        disagreement=data,
        tables=[data],
        warnings=[HOSTILE],
        files=[MapFile(name=HOSTILE, href=f"javascript:alert(1)//{HOSTILE}", size=1, sha256=HOSTILE)],
        attribution=[HOSTILE],
    )


def test_hostile_names_stay_text() -> None:
    """A script in the AOI's name, or in any other text, is shown and never run; balanced tags, no new attributes."""
    html = render_report(_hostile_context())
    page = _Page(html)
    assert not page.all("script")
    assert page.stack == []
    assert page.text.count("alert(1)") > 15
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert all("http" not in str(attributes.get("style")) for _, attributes in page.elements)
    assert [one.get("href") for one in page.all("a")] == [None]
    assert len(page.all("img")) == len(_Page(render_report(any_context())).all("img"))


def test_everybody_can_read_it() -> None:
    """One h1, a language, unique ids, alternatives for pictures, labels for charts, captions and scopes in tables."""
    page = _Page(render_report(any_context()))
    assert len(page.all("h1")) == 1
    assert page.all("html")[0]["lang"] == "en"
    assert any("width=device-width" in str(one.get("content")) for one in page.all("meta"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(one["aria-labelledby"] in ids for one in page.all("section"))
    assert all(len(str(image["alt"])) > 10 for image in page.all("img"))
    assert all(one.get("aria-label") or one.get("aria-hidden") for one in page.all("svg"))
    assert all(one.get("scope") in ("row", "col") for one in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) > 5


def test_tags_are_balanced() -> None:
    """Every element is closed where it belongs: nothing is swallowed by an element before it."""
    assert _Page(render_report(any_context())).stack == []


def test_a_map_with_nothing_else_has_a_report() -> None:
    """Without pictures, scores, scenes, tables, timings and faults there is still a page, and no warning but one."""
    plan = msgspec.structs.replace(any_plan(), scenes=(), tiles=any_plan().tiles, card=any_card())
    context = any_context(
        plan=plan,
        coverage=Coverage(phase=Phase.SUCCEEDED, share=1.0, pixels={}, tiles={}),
        outcomes={},
        areas={},
        pictures={},
        seams=None,
        disagreement=None,
        tables=(),
        warnings=(),
        files=(),
        title="",
    )
    page = _Page(render_report(context))
    assert page.all("img") == []
    assert "any-aoi" in page.text
    assert page.text.count("nothing is known of the accuracy") == 1


def test_same_context_same_report() -> None:
    """The report holds no time or chance of its own."""
    assert render_report(any_context()) == render_report(any_context())


def test_an_empty_tile_says_why() -> None:
    """The tile plot tells of each tile what became of it."""
    context = any_context()
    tile = context.plan.tiles[2].tile
    empty = TileEmpty(tile=tile, planned_key="k", key="k", reason=Reason.ALL_CLOUD, pixels={})
    html = render_report(dataclasses.replace(context, outcomes={**context.outcomes, tile: empty}))
    assert f"<title>{tile}: never seen without cloud</title>" in html
    assert "worker lost: killed</title>" in html


def test_long_tables_are_folded_and_cut() -> None:
    """Five hundred parcels are folded, and the page tells that it shows only some."""
    many = DataTable(title="Parcels", columns=["Parcel", "ha"], rows=[[f"P{i}", 1.5] for i in range(500)])
    page = _Page(render_report(any_context(tables=[many])))
    assert "Parcels (500)" in page.text
    assert "300 more rows are in the files." in page.text
    assert "P199" in page.text
    assert "P200" not in page.text


def _luminance(colour: str) -> float:
    full = colour if len(colour) == 7 else "#" + "".join(2 * one for one in colour[1:])
    channels = [int(full[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2])
def test_text_has_contrast(scheme: int) -> None:
    """Every colour of text has a contrast of 4.5 or more to its ground: light, dark and in print (WCAG 2.1 AA)."""
    css = importlib.resources.files("steps").joinpath("report.css").read_text(encoding="utf-8")
    named = [dict(re.findall(r"--(\w[\w-]*): (#\w+)", block)) for block in re.findall(r":root \{([^}]*)\}", css)]
    colours = {**named[0], **named[scheme]}
    for ink in ("ink", "soft", "accent", "warn", "bad"):
        assert _contrast(colours[ink], colours["paper"]) >= 4.5, ink
    assert _contrast(colours["soft"], colours["plate"]) >= 4.5
    assert _contrast(colours["warn"], colours["warn-paper"]) >= 4.5
    assert _contrast(colours["ink"], colours["warn-paper"]) >= 4.5


@given(text=st.text(max_size=40))
@settings(deadline=None)
def test_text_survives_markup(text: str) -> None:
    """Whatever is text comes out of the parser as it went in, as content and as attribute."""
    element = tag("p", text, title=text)
    page = _Page(element)
    if "\r" not in text and "\x00" not in text:
        assert "".join(page.texts) == text
        assert page.elements == [("p", {"title": text})]


def test_markup_is_not_escaped_twice() -> None:
    """Html stays as it is; lists are joined; None is nothing."""
    assert join([Html("<b>"), "<", None, ["&", 3]]) == "<b>&lt;&amp;3"
    assert tag("a", class_="x", hidden=True, href=None) == '<a class="x" hidden></a>'
    assert "<caption" in table("T", {"a": False}, [])


@given(shares=st.lists(st.floats(0.01, 1), min_size=1, max_size=6))
@settings(deadline=None)
def test_stacked_bars_fill_the_width(shares: list[float]) -> None:
    """Parts of a whole lie end to end from 0 to 100 %."""
    total = sum(shares)
    svg = charts.stacked([("x", share / total, "#000") for share in shares], "label")
    found = [(float(x), float(w)) for x, w in re.findall(r' x="([\d.]+)%" width="([\d.]+)%"', svg)]
    assert len(found) == len(shares)
    assert sum(found[-1]) == pytest.approx(100, abs=0.02)
    assert all(x + w == pytest.approx(after, abs=0.02) for (x, w), (after, _) in itertools.pairwise(found))


@given(values=st.lists(st.floats(0, 1e4), min_size=1, max_size=80))
@settings(deadline=None)
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    """Bins are equal, at most eleven or so, and their counts add up."""
    svg = charts.histogram(values, "s", "label")
    counts = [int(count) for count in re.findall(r" s: (\d+)</title>", svg)]
    assert sum(counts) == len(values)
    assert len(counts) <= 12


@given(days=st.integers(1, 800))
@settings(deadline=None)
def test_the_timeline_stays_within_its_width(days: int) -> None:
    """The first and the last day of a season lie inside the chart, and there are at most 13 month names."""
    season = any_season(days=days)
    svg = charts.timeline(season, [charts.Stem(day, 0.5, "seen", "x") for day in (season.start, season.end)], "label")
    xs = [float(x) for x in re.findall(r'cx="([\d.]+)%"', svg)]
    assert 0 <= min(xs) <= max(xs) <= 100
    assert svg.count("<text") <= 13


@given(width=st.floats(50, 1e7))
@settings(deadline=None)
def test_scale_bars_are_round_and_neither_tiny_nor_huge(width: float) -> None:
    """The bar is an eighth to a third of the picture and says a round length."""
    svg = charts.scale_bar(width)
    share = float(re.findall(r'x2="([\d.]+)%"', svg)[0])
    assert 12.4 <= share <= 33.4
    says = re.search(r"scale bar: ([\d.e+]+) (k?m)", svg)
    assert says
    assert float(says[1]) * (1000 if says[2] == "km" else 1) / width * 100 == pytest.approx(share, abs=0.01)


def test_percentages_do_not_lie() -> None:
    """What is not all is not shown as 100 %, what is not nothing not as 0."""
    assert percent(0.99999) == "99.9\u202f%"
    assert percent(1.0) == "100.0\u202f%"
    assert percent(1e-6) == "< 0.1\u202f%"
    assert percent(0.0) == "0.0\u202f%"
    assert hectares(12345.6) == "12\u202f346"
    assert hectares(0.256) == "0.26"


def _decode(png: bytes) -> np.ndarray:
    """RGBA (band, y, x) of a picture."""
    with MemoryFile(png) as memory, memory.open() as source:
        pixels = source.read()
        if source.count > 1:
            return pixels
        colours = source.colormap(1)
        lookup = np.array([colours.get(value, (0, 0, 0, 0)) for value in range(256)], np.uint8)
        return lookup[pixels[0]].transpose(2, 0, 1)


@pytest.fixture
def rasters(tmp_path: Path) -> dict[str, Path]:
    """A map of 40 x 60 pixels: maize, forest and unmapped in stripes; confidence falls from left to right."""
    grid = Affine(10, 0, 3e5, 0, -10, 8.02e6)
    classes = np.repeat(np.array([[0, 7, 255]], np.uint8), 20, axis=1).repeat(40, axis=0)
    confidence = np.where(classes == 255, 255, np.linspace(100, 0, 60).astype(np.uint8)[None])
    planes = {"map": classes, "confidence": confidence.astype(np.uint8)}
    for name, plane in planes.items():
        write_cog(tmp_path / f"{name}.tif", plane, grid, nodata=255)
    with rasterio.open(
        tmp_path / "composite.tif", "w", driver="GTiff", dtype="uint8", count=3, width=60, height=40, nodata=0,
        crs="EPSG:32736", transform=grid,
    ) as target:  # fmt: skip
        target.write(np.where(classes == 255, 0, 120)[None].repeat(3, axis=0).astype(np.uint8))
    return {name: tmp_path / f"{name}.tif" for name in (*planes, "composite")}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_pictures_have_the_classes_colours(rasters: dict[str, Path]) -> None:
    """Pixels of the picture have the colour of their class, and none where nothing is mapped."""
    picture = _decode(report_pictures(rasters, any_classes())["map"])
    assert picture.shape == (4, 40, 60)
    assert tuple(picture[:, 5, 5]) == (*rgb("e3a72f"), 255)
    assert tuple(picture[:, 5, 25]) == (*rgb("397d49"), 255)
    assert picture[3, 5, 45] == 0


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_confidence_is_a_ramp(rasters: dict[str, Path]) -> None:
    """Full confidence has the ramp's last colour, nodata none; the composite is transparent where it has no data."""
    pictures = report_pictures(rasters, any_classes())
    confidence, composite = _decode(pictures["confidence"]), _decode(pictures["composite"])
    assert tuple(confidence[:3, 0, 0]) == ramp_colour(CONFIDENCE_RAMP, 1.0)
    assert confidence[3, 0, 50] == 0
    assert composite[3, 20, 10] == 255
    assert composite[3, 20, 50] == 0
    assert composite[0, 20, 10] == pytest.approx(120, abs=4)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_pictures_are_small(rasters: dict[str, Path]) -> None:
    """No side is longer than asked for, and the shape is kept."""
    assert _decode(report_pictures(rasters, any_classes(), side=30)["map"]).shape == (4, 20, 30)


def test_a_broken_raster_is_named(tmp_path: Path) -> None:
    """A raster that cannot be read is a DataError with its path."""
    (tmp_path / "map.tif").write_bytes(b"no raster")
    with pytest.raises(DataError, match=r"map\.tif cannot be read"):
        report_pictures({"map": tmp_path / "map.tif"}, any_classes())
