"""An assessment beside a published map: files, item, report, and what happens when something fails."""

import csv
import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from steps.assessment import assess, put_assessment
from steps.assessment_report import render_section, with_section
from steps.cli import main
from steps.errors import CatalogError, DataError, StoreError, UsageError
from steps.estimators import Assessment, Stratum, estimate, metrics_of
from steps.published import Published, open_published
from steps.stac import replay_plan
from steps.store import FolderStore
from steps.validation import Design, Wish, draw_sample, read_labels
from tests.published_map import any_map, publish_map

ANY_TIME = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
HOSTILE = "</section><script>alert(1)</script>"


class _Page(HTMLParser):
    """The sections and the text of a page, whose tags must be balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str | None] = []
        self.stack: list[str] = []
        self.text = ""
        self.tags: set[str] = set()
        self.feed(text)
        assert not self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "img"}:
            self.stack.append(tag)
        if tag == "section":
            self.sections.append(dict(attrs).get("aria-labelledby"))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack[-1:] != ["style"]:
            self.text += data


@pytest.fixture
def item(tmp_path: Path) -> Path:
    """The item of a published map."""
    return publish_map(tmp_path / "store", any_map())


@pytest.fixture
def design(item: Path) -> Design:
    """A sample of it."""
    return design_of(item)


def design_of(item: Path, seed: int = 0) -> Design:
    """A sample of a published map."""
    published = open_published(str(item))
    wish = Wish(standard_error=0.03, minimum=20, seed=seed)
    with published.open_map() as path:
        return draw_sample(path, published.classes, wish, item=published.name, map_sha256=published.map_sha256)


def label(path: Path, design: Design, *, wrong: int = 0, missing: int = 0) -> None:
    """Label a sample with what the map says, but for the first ones: `missing` none, then `wrong` another class."""
    rows = [
        (unit.id, "forest" if unit.code == 1 and unit.id <= missing + wrong else unit.code)
        for unit in design.units
        if unit.id > missing
    ]
    path.write_text("id,reference\n" + "".join(f"{one},{code}\n" for one, code in rows), encoding="utf-8")


def assessed(item: Path, design: Design, path: Path, **labels: int) -> Assessment:
    """Label, estimate and put."""
    label(path, design, **labels)
    published = open_published(str(item))
    made = assess(published, design, read_labels(path, "reference", design), ANY_TIME)
    put_assessment(published, made)
    return made


def check_files(item: Path) -> Mapping[str, Any]:
    """The item, of which every asset beside it has the size and checksum that are stated."""
    said = json.loads(item.read_text(encoding="utf-8"))
    for asset in said["assets"].values():
        content = (item.parent / asset["href"]).read_bytes()
        assert asset["file:size"] == len(content), asset
        assert asset["file:checksum"] == f"1220{hashlib.sha256(content).hexdigest()}", asset
    return said


def test_the_item_holds_the_assessment(item: Path, design: Design, tmp_path: Path) -> None:
    """As a property and as two assets with checksums and sizes; the report's are renewed; all else is as it was."""
    before = json.loads(item.read_text(encoding="utf-8"))
    made = assessed(item, design, tmp_path / "points.csv", wrong=40)
    after = check_files(item)
    assert set(after["assets"]) == {*before["assets"], "assessment", "assessment-csv"}
    assert after["assets"]["assessment-csv"]["type"] == "text/csv"
    assert after["assets"]["report"]["file:checksum"] != before["assets"]["report"]["file:checksum"]
    assert after["assets"]["map"] == before["assets"]["map"]
    assert after["properties"]["updated"] == "2026-03-01T12:00:00Z"
    assert msgspec.convert(after["properties"]["geocrop:assessment"], Assessment) == made
    rest = {key: value for key, value in after["properties"].items() if key not in {"updated", "geocrop:assessment"}}
    assert rest == before["properties"]


def test_an_assessed_item_replays(item: Path, design: Design, tmp_path: Path) -> None:
    """Its plan is the one that it had."""
    before = replay_plan(json.loads(item.read_text(encoding="utf-8")))
    assessed(item, design, tmp_path / "points.csv")
    assert replay_plan(json.loads(item.read_text(encoding="utf-8"))) == before


def test_the_files_say_the_same(item: Path, design: Design, tmp_path: Path) -> None:
    """assessment.json is the assessment; assessment.csv has each estimate and each cell of the matrix."""
    made = assessed(item, design, tmp_path / "points.csv", wrong=40, missing=5)
    assert msgspec.json.decode((item.parent / "assessment.json").read_bytes(), type=Assessment) == made
    assert made.unlabelled == (1, 2, 3, 4, 5)
    with (item.parent / "assessment.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    values = {(row["measure"], row["class"], row["reference_class"]): row["value"] for row in rows}
    assert len(values) == len(rows) == 1 + 3 * 4 + 9
    assert float(values["overall", "", ""]) == pytest.approx(made.accuracy.overall.value, abs=1e-6)
    for one in made.accuracy.classes:
        assert float(values["hectares", one.stratum.name, ""]) == pytest.approx(one.hectares.value, abs=1e-6)
    matrix = [float(value) for (measure, _, _), value in values.items() if measure == "matrix"]
    assert sum(matrix) == pytest.approx(1, abs=1e-5)


def test_the_report_has_one_section(item: Path, design: Design, tmp_path: Path) -> None:
    """Before Trust, with intervals; assessed again there is still one, with the new numbers."""
    first = assessed(item, design, tmp_path / "points.csv", wrong=40)
    sections = _Page((item.parent / "report.html").read_text(encoding="utf-8")).sections
    assert sections.index("accuracy") == sections.index("trust") - 1
    again = assessed(item, design, tmp_path / "points.csv", missing=9)
    page = _Page((item.parent / "report.html").read_text(encoding="utf-8"))
    assert page.sections == sections
    assert f"from {again.accuracy.units} labelled pixels" in page.text
    assert f"from {first.accuracy.units} labelled pixels" not in page.text
    assert "9 drawn ones have no label" in page.text


def test_assessing_again_replaces(item: Path, design: Design, tmp_path: Path) -> None:
    """The same labels give the same bytes, whatever was there between."""
    assessed(item, design, tmp_path / "points.csv")
    once = {path.name: path.read_bytes() for path in item.parent.iterdir()}
    assessed(item, design, tmp_path / "points.csv", wrong=60)
    assert item.read_bytes() != once["item.json"]
    check_files(item)
    assessed(item, design, tmp_path / "points.csv")
    assert {path.name: path.read_bytes() for path in item.parent.iterdir()} == once


class FailingStore(FolderStore):
    """A folder on a disk that is full when a certain object is written, until it is not."""

    def __init__(self, folder: Path, key: str, error: BaseException) -> None:
        super().__init__(folder)
        self.key, self.error, self.failed = key, error, False

    def put_bytes(self, key: str, data: bytes) -> None:
        """Fail once, at the key."""
        if key == self.key and not self.failed:
            self.failed = True
            raise self.error
        super().put_bytes(key, data)


@pytest.mark.parametrize("error", [StoreError("full"), SystemExit(143), KeyboardInterrupt()], ids=type)
@pytest.mark.parametrize("key", ["assessment.json", "assessment.csv", "report.html", "item.json"])
@pytest.mark.parametrize("assessed_before", [False, True])
def test_a_failure_leaves_the_former_one_whole(
    item: Path, design: Design, tmp_path: Path, assessed_before: bool, key: str, error: BaseException
) -> None:
    """Whatever cannot be written, and when we are stopped: the item and its files are those of before."""
    if assessed_before:
        assessed(item, design, tmp_path / "points.csv", wrong=50)
    before = {path.name: path.read_bytes() for path in item.parent.iterdir()}
    sound = open_published(str(item))
    label(tmp_path / "points.csv", design)
    made = assess(sound, design, read_labels(tmp_path / "points.csv", "reference", design), ANY_TIME)
    store = FailingStore(item.parent, key, error)
    with pytest.raises(type(error)):
        put_assessment(Published(href=sound.href, item=sound.item, classes=sound.classes, store=store), made)
    assert {path.name: path.read_bytes() for path in item.parent.iterdir()} == before


def test_a_sample_of_another_map_is_refused(design: Design, tmp_path: Path) -> None:
    """The message names both, the exit code is that of bad data, and nothing is written."""
    other = publish_map(tmp_path / "other", any_map(seed=1))
    before = sorted(other.parent.iterdir())
    with pytest.raises(DataError, match="from another map") as caught:
        assessed(other, design, tmp_path / "points.csv")
    assert caught.value.exit_code == 65
    assert sorted(other.parent.iterdir()) == before


def test_a_map_that_was_changed_is_not_sampled(item: Path) -> None:
    """A map.tif that is not the one which the item describes is refused."""
    with (item.parent / "map.tif").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="not the one"):
        design_of(item)


@pytest.mark.parametrize(
    ("text", "error"),
    [("[]", CatalogError), ('{"assets": {}}', CatalogError), ("{", UsageError),
     ('{"assets": {}, "properties": {"geocrop:classes": []}}', CatalogError)],
)  # fmt: skip
def test_what_is_no_item_is_refused(tmp_path: Path, text: str, error: type[Exception]) -> None:
    """JSON that is no item of ours, and what is no JSON."""
    path = tmp_path / "item.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=r"item\.json|the item"):
        design_of(path)


def test_a_missing_item_is_a_usage_error(tmp_path: Path) -> None:
    """It names the path."""
    with pytest.raises(UsageError, match="nowhere"):
        open_published(str(tmp_path / "nowhere" / "item.json"))


def test_a_copied_map_can_be_assessed(item: Path, design: Design, tmp_path: Path, monkeypatch: Any) -> None:
    """The folder of a map may lie anywhere, and the item be given relative to where one is."""
    shutil.copytree(item.parent, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assessed(Path("item.json"), design, tmp_path / "points.csv")
    check_files(tmp_path / "elsewhere" / "item.json")


def test_a_map_without_a_report_can_be_assessed(item: Path, design: Design, tmp_path: Path) -> None:
    """Then there is no section, and all else is as usual."""
    said = json.loads(item.read_text(encoding="utf-8"))
    del said["assets"]["report"]
    item.write_text(json.dumps(said), encoding="utf-8")
    assessed(item, design, tmp_path / "points.csv")
    assert {"assessment", "assessment-csv"} <= set(check_files(item)["assets"])


def hostile_assessment() -> Assessment:
    """With a class that is named to break pages, one without labels and one with a single label."""
    names = (HOSTILE, "empty", "single")
    strata = [Stratum(code=code, name=name, pixels=1000, hectares=10.0) for code, name in enumerate(names)]
    counts = np.array([[20, 3, 1], [0, 0, 0], [0, 1, 0]])
    return Assessment(
        item="any", map_sha256="ab" * 32, created="2026-03-01T12:00:00Z", code_version="any", design="any", drawn=30,
        unlabelled=(1, 2), accuracy=estimate(strata, counts),
    )  # fmt: skip


def test_names_cannot_break_the_page() -> None:
    """A hostile class name is text, and the section is replaced as a whole."""
    page = '<main><section aria-labelledby="trust"></section></main>'
    once = with_section(page, hostile_assessment())
    assert with_section(once, hostile_assessment()) == once
    assert "script" not in _Page(once).tags
    assert HOSTILE in _Page(once).text


def test_the_section_says_what_is_not_known() -> None:
    """Classes with too few labels are named, and their numbers are not invented."""
    said = _Page(render_section(hostile_assessment())).text
    assert "No unit of empty is labelled" in said
    assert "One unit of single is labelled" in said
    assert "Overall accuracy not known" in said


@pytest.mark.parametrize("report", ["", "no html", "<p>a page of somebody else</p>"])
def test_a_page_without_a_body_stays(report: str) -> None:
    """What is no report of ours is left as it is."""
    assert with_section(report, hostile_assessment()) == report


def test_the_commands_work_together(item: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """sample-design, then assess once labelled; what they say names the files, the accuracy and what was left out."""
    points = tmp_path / "labels" / "points.csv"
    assert main(["sample-design", str(item), "--out", str(points), "--standard-error", "0.03"]) == 0
    assert str(points) in capsys.readouterr().out
    label(points, msgspec.json.decode(points.with_name("points.csv.design.json").read_bytes(), type=Design), missing=12)
    assert main(["assess", str(item), "--sample", str(points)]) == 0
    said = capsys.readouterr().out
    assert "overall accuracy 100.0" in said
    assert "12 of" in said
    made = msgspec.convert(check_files(item)["properties"]["geocrop:assessment"], Assessment)
    assert metrics_of(made)["assess.overall"] == pytest.approx(1)


def test_a_former_assessment_shapes_the_next_sample(item: Path, tmp_path: Path) -> None:
    """assessment.json can be given as expected user's accuracies: a better map needs fewer points."""
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    options = ["--standard-error", "0.03", "--minimum", "2"]
    assert main(["sample-design", str(item), "--out", str(first), *options]) == 0
    label(first, msgspec.json.decode(first.with_name("first.csv.design.json").read_bytes(), type=Design), wrong=20)
    assert main(["assess", str(item), "--sample", str(first)]) == 0
    expected = ["--user-accuracy", str(item.parent / "assessment.json")]
    assert main(["sample-design", str(item), "--out", str(second), *options, *expected]) == 0
    assert len(second.read_text(encoding="utf-8").splitlines()) < len(first.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sample-design", "ITEM", "--out", "points.txt"], 2),
        (["sample-design", "ITEM", "--out", "points.csv", "--minimum", "1"], 2),
        (["sample-design", "nowhere/item.json", "--out", "points.csv"], 2),
        (["assess", "ITEM", "--sample", "nothing.csv"], 2),
    ],
)
def test_mistakes_are_one_line(
    item: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str], command: list[str], code: int
) -> None:
    """With the exit code of a usage error, and without a file left behind."""
    monkeypatch.chdir(tmp_path)
    assert main([str(item) if one == "ITEM" else one for one in command]) == code
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
