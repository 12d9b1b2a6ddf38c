"""Legends, default colours and QGIS styles."""

import contextlib
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.errors import LabelError, UsageError
from steps.legend import DYNAMIC_WORLD, default_colours, make_legend, parse_legend, qml_style, read_legend
from steps.model.card import ClassDef

ANY_CSV = "label,code,name,colour\nMaize,1,maize,e3a72f\nCorn,1,,\n1200,7,Forest,#397D49\n"


def test_csv_maps_labels_to_classes(tmp_path: Path) -> None:
    """Labels that share a code are one class; colours may have a # and capitals."""
    (tmp_path / "legend.csv").write_text(ANY_CSV, encoding="utf-8")
    legend = read_legend(str(tmp_path / "legend.csv"))
    assert legend.classes == (
        ClassDef(code=1, name="maize", colour="e3a72f"),
        ClassDef(code=7, name="Forest", colour="397d49"),
    )
    assert legend.codes == {"Maize": 1, "Corn": 1, "1200": 7}


@pytest.mark.parametrize("label", [1200, 1200.0, "1200", " 1200 "])
def test_a_label_is_the_same_however_it_is_stored(label: object) -> None:
    """Numbers, their texts and stray blanks are one label."""
    assert parse_legend(ANY_CSV).code_of(label) == 7


def test_a_label_outside_the_legend_has_no_class() -> None:
    """What the legend does not name is not guessed."""
    assert parse_legend(ANY_CSV).code_of("maize") is None


@pytest.mark.parametrize(
    "text",
    [
        "label;code;name;colour\nMaize;1;maize;e3a72f\nWood;2;wood;397d49\n",
        "\ufefflabel\tcode\tname\tcolour\r\nMaize\t1\tmaize\te3a72f\r\nWood\t2\twood\t397d49\r\n\r\n".lstrip("\ufeff"),
        '[{"label": "Maize", "code": 1, "name": "maize", "color": "e3a72f"},'
        ' {"label": "Wood", "code": 2, "name": "wood", "colour": "#397d49"}]',
        '{"Maize": {"code": 1, "name": "maize", "colour": "e3a72f"},'
        ' "Wood": {"code": 2, "name": "wood", "colour": "397d49"}}',
    ],
)
def test_all_spellings_say_the_same(text: str) -> None:
    """Semicolons, tabs, JSON lists and JSON objects give the legend that commas give."""
    expected = parse_legend("label,code,name,colour\nMaize,1,maize,e3a72f\nWood,2,wood,397d49\n")
    assert parse_legend(text) == expected


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    """A file that Excel wrote is read."""
    (tmp_path / "legend.csv").write_bytes(b"\xef\xbb\xbf" + ANY_CSV.encode())
    assert read_legend(str(tmp_path / "legend.csv")).code_of("Corn") == 1


def test_short_json_forms() -> None:
    """An object may give only codes, or only names; equal names are one class."""
    assert parse_legend('{"a": 3, "b": 3, "c": 0}').codes == {"a": 3, "b": 3, "c": 0}
    legend = parse_legend('{"1": "crop", "2": "crop", "3": "forest"}')
    assert [one.name for one in legend.classes] == ["crop", "forest"]
    assert legend.codes == {"1": 1, "2": 1, "3": 2}


def test_missing_codes_take_free_ones() -> None:
    """A class without code gets the lowest that no row states, from 1 on."""
    assert parse_legend("label,code\na,\nb,1\nc,\n").codes == {"a": 2, "b": 1, "c": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column"),
        ("label,code\n", "no classes"),
        ("[]", "no classes"),
        ("name,code\na,1\n", "no column `label`"),
        ("label,kode\na,1\n", "'kode'"),
        ("label,code\na,255\n", "code '255' of 'a'"),
        ("label,code\na,-1\n", "code '-1' of 'a'"),
        ("label,code\na,1.5\n", "code '1.5' of 'a'"),
        ("label,code\n,1\n", "no label"),
        ("label,code,colour\na,1,green\n", "colour 'green' of 'a'"),
        ("label,code\na,1\na,2\n", "two classes"),
        ("label,code,name\na,1,x\nb,1,y\n", "'x' and 'y'"),
        ("label,code\na,1,2,3\n", "more values"),
        ("{", "not JSON"),
        ("[1, 2]", "something else"),
        ('{"a": null}', "something else"),
        ('[{"label": "a", "kode": 1}]', "'kode'"),
        ("[" * 100_000, "not JSON"),
        ("label,code\n" + "a" * 200_000 + ",1\n", "not CSV"),
    ],
)
def test_bad_legends_are_refused(text: str, message: str) -> None:
    """What is wrong is named, with the file."""
    with pytest.raises(LabelError, match=message) as caught:
        parse_legend(text, "my.csv")
    assert "my.csv" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing file is a mistake of the command line, a binary one holds no labels."""
    with pytest.raises(UsageError, match=r"gone\.csv cannot be read"):
        read_legend(str(tmp_path / "gone.csv"))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(LabelError, match=r"binary\.csv cannot be read"):
        read_legend(str(tmp_path / "binary.csv"))


@given(
    text=st.text(max_size=60).map("label,code,name\n{}".format)
    | st.text(max_size=60)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)
)
@settings(deadline=None, max_examples=300)
def test_any_text_is_a_legend_or_a_label_error(text: str) -> None:
    """No text brings another exception than LabelError."""
    with contextlib.suppress(LabelError):
        assert parse_legend(text).classes


def test_a_legend_of_bare_labels_is_stable() -> None:
    """Codes follow the labels' order, numbers by value, whatever the order that they come in."""
    assert make_legend([30, 4, "4"]).codes == {"4": 1, "30": 2}
    assert make_legend(["wood", "maize"]) == make_legend(["maize", "wood", "maize"])


def test_names_that_dynamic_world_knows_have_its_colours() -> None:
    """Water is Dynamic World's blue, woodland its green, settlements its red."""
    colours = default_colours({1: "Open water", 2: "Miombo woodland", 3: "Urban"})
    known = {one.name: one.colour for one in DYNAMIC_WORLD}
    assert colours == {1: known["water"], 2: known["trees"], 3: known["built"]}


@given(names=st.lists(st.text(max_size=12), min_size=1, max_size=254))
@settings(deadline=None, max_examples=50)
def test_no_two_classes_share_a_colour(names: list[str]) -> None:
    """However many classes there are and whatever they are called, their colours differ."""
    colours = default_colours(dict(enumerate(names)))
    assert len(set(colours.values())) == len(names)
    assert all(len(colour) == 6 for colour in colours.values())


def test_a_given_colour_stays_and_is_not_used_twice() -> None:
    """A colour of the file wins over the name's, also for the class whose default it would have been."""
    colours = default_colours({1: "canal", 2: "water"}, {1: "419bdf"})
    assert colours[1] == "419bdf"
    assert colours[2] != "419bdf"


def test_the_style_lists_the_classes() -> None:
    """The QML is XML that QGIS's paletted renderer reads: value, colour and label of each class, escaped."""
    classes = [ClassDef(code=0, name='<"oats" & rye>', colour="e49635"), ClassDef(code=7, name="wood", colour="397d49")]
    root = ET.fromstring(qml_style(classes))  # noqa: S314 - our own text
    renderer = root.find("pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.get("type") == "paletted"
    entries = [(e.get("value"), e.get("color"), e.get("label")) for e in root.iter("paletteEntry")]
    assert entries == [("0", "#e49635", '<"oats" & rye>'), ("7", "#397d49", "wood")]


def test_the_legend_of_the_landscape_is_read() -> None:
    """The CSV that the landscape writes is a legend."""
    text = "label,code,name,colour\nwinter wheat,4,winter wheat,f2dc8c\n"
    assert parse_legend(text).classes == (ClassDef(code=4, name="winter wheat", colour="f2dc8c"),)
