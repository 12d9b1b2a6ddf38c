"""Legends: from the labels of a data set to stable class codes, names and colours; styles for QGIS.

A legend file is CSV with the columns `label`, `code`, `name`, `colour` (of which `label` and either `code` or `name`
must be there), or JSON: a list of such objects, or an object from label to code, name or such an object. Several
labels may share a class.
"""

import colorsys
import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from steps.errors import LabelError, UsageError
from steps.model.card import NODATA_CLASS, ClassDef

DYNAMIC_WORLD = (
    ClassDef(code=0, name="water", colour="419bdf"),
    ClassDef(code=1, name="trees", colour="397d49"),
    ClassDef(code=2, name="grass", colour="88b053"),
    ClassDef(code=3, name="flooded vegetation", colour="7a87c6"),
    ClassDef(code=4, name="crops", colour="e49635"),
    ClassDef(code=5, name="shrub and scrub", colour="dfc35a"),
    ClassDef(code=6, name="built", colour="c4281b"),
    ClassDef(code=7, name="bare", colour="a59b8f"),
    ClassDef(code=8, name="snow and ice", colour="b39fe1"),
)
"""Dynamic World V1's classes with its own colours (Brown et al. 2022, doi:10.1038/s41597-022-01307-4)."""
_WORDS = {
    "419bdf": "water river lake dam",
    "397d49": "tree trees forest woodland wood plantation orchard",
    "88b053": "grass grassland pasture meadow rangeland",
    "7a87c6": "flooded wetland marsh swamp rice paddy",
    "e49635": "crop crops cropland arable agriculture",
    "dfc35a": "shrub shrubland scrub bush bushland savanna",
    "c4281b": "built urban town settlement buildings artificial",
    "a59b8f": "bare soil rock sand quarry",
    "b39fe1": "snow ice glacier",
    "e3c53a": "maize corn",
    "f2dc8c": "wheat cereal cereals barley rye oats triticale",
    "b5c334": "soya soy soybean soybeans beans legumes groundnut groundnuts",
    "8c5a2b": "tobacco",
    "d7a6c8": "potato potatoes",
    "a8427a": "beet beets sugarbeet",
    "e8d50a": "sunflower rapeseed rape canola",
    "f4f1ea": "cotton",
    "8fc15f": "sugarcane cane",
}
"""Colours by words in a class's name; Dynamic World's own where it has the class."""
_DISTINCT = (
    "e69f00", "56b4e9", "009e73", "f0e442", "0072b2", "d55e00", "cc79a7", "7f7f7f", "332288", "88ccee", "44aa99",
    "117733", "999933", "ddcc77", "cc6677", "882255", "aa4499",
)  # fmt: skip
"""For names that say nothing: Okabe and Ito's palette, then Tol's muted one; both for all kinds of colour vision."""
_FIELDS = frozenset({"label", "code", "name", "colour", "color"})


@dataclass(frozen=True, slots=True)
class Legend:
    """Which class each label of a data set means."""

    classes: tuple[ClassDef, ...]
    """By code."""
    codes: Mapping[str, int]
    """Label to class code."""

    def code_of(self, label: object) -> int | None:
        """The class code of a label as found in data (42, 42.0 and "42" are one); None: not in the legend."""
        return self.codes.get(_spell(label))


def read_legend(path: str) -> Legend:
    """The legend of a CSV or JSON file; raises LabelError naming the file and the line or label.

    UsageError for a file that cannot be opened.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"legend {path} cannot be read: {error.strerror}", "check the path") from error
    except ValueError as error:
        raise LabelError(f"legend {path} cannot be read: {error}", "give a CSV or JSON file in UTF-8") from error
    return parse_legend(text, path)


def parse_legend(text: str, name: str = "legend") -> Legend:
    """The legend that a CSV or JSON text says. Classes without code get the lowest free ones in order of the file."""
    rows = _json_rows(text, name) if text.lstrip()[:1] in ("{", "[") else _csv_rows(text, name)
    if not rows:
        raise LabelError(f"{name} has no classes", "give rows of label,code,name,colour")
    return _assemble([_Row.of(row, name) for row in rows], name)


def make_legend(labels: Iterable[object]) -> Legend:
    """The legend of labels that came without one: codes from 1, default colours.

    Whole numbers come first, by value; then names, padded with zeros on the left to nine characters, so that of names
    that short the shorter comes first.
    """
    spelt = sorted({_spell(label) for label in labels}, key=lambda label: (not label.isdecimal(), label.zfill(9)))
    return _assemble([_Row(label, None, label, "") for label in spelt], "the labels")


def legend_of(classes: Sequence[ClassDef]) -> Legend:
    """The legend of labels that are a model's class names or codes."""
    codes = {**{str(entry.code): entry.code for entry in classes}, **{_spell(one.name): one.code for one in classes}}
    return Legend(tuple(classes), codes)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a legend."""

    label: str
    code: int | None
    name: str
    colour: str

    @classmethod
    def of(cls, row: Mapping[str, Any], where: str) -> "_Row":
        """Read a row whose values may be anything; raises LabelError."""
        label, code = _spell(row.get("label", "")), row.get("code")
        if not label:
            raise LabelError(f"a row of {where} has no label", "give label,code,name,colour")
        colour = _spell(row.get("colour") or row.get("color") or "").lstrip("#").lower()
        if colour and not re.fullmatch("[0-9a-f]{6}", colour):
            raise LabelError(f"colour {colour!r} of {label!r} in {where} is none", "give six hex digits, as e49635")
        return cls(label, _code(code, label, where), _spell(row.get("name") or ""), colour)


def _code(value: object, label: str, where: str) -> int | None:
    spelt = _spell("" if value is None else value)
    if not spelt:
        return None
    if not re.fullmatch("[0-9]{1,3}", spelt) or int(spelt) >= NODATA_CLASS:
        raise LabelError(f"code {spelt!r} of {label!r} in {where} is none", f"give 0 to {NODATA_CLASS - 1}")
    return int(spelt)


def _spell(value: object) -> str:
    """One spelling of a label, however the data set holds it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join("".join(one if one.isprintable() else " " for one in str(value)).split())


def _csv_rows(text: str, name: str) -> list[Mapping[str, Any]]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").lstrip()
    separator = max(",;\t", key=lines.partition("\n")[0].count)
    try:
        header, *rows = [*csv.reader(io.StringIO(lines), delimiter=separator, skipinitialspace=True)] or [[]]
    except csv.Error as error:
        raise LabelError(f"{name} is not CSV: {error}", "give label,code,name,colour, a class per line") from error
    columns = [column.strip().lower() for column in header]
    if "label" not in columns:
        raise LabelError(f"{name} has no column `label`", "give a header such as label,code,name,colour")
    if unknown := sorted(set(columns) - _FIELDS):
        raise LabelError(f"{name} has a column {unknown[0]!r}", f"columns are {', '.join(sorted(_FIELDS))}")
    if any(len(row) > len(columns) for row in rows):
        raise LabelError(f"{name} has a line with more values than columns", "quote values that hold the separator")
    return [dict(zip(columns, row, strict=False)) for row in rows if any(row)]


def _json_rows(text: str, name: str) -> list[Mapping[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{name} is not JSON: {error}", "see the syntax at the place named") from error
    if isinstance(document, dict):
        document = [_named(label, value) for label, value in document.items()]
    if not all(isinstance(row, dict) for row in document):
        raise LabelError(f"{name} holds something else than objects", 'give [{"label": ..., "code": ...}, ...]')
    if unknown := sorted({key for row in document for key in row} - _FIELDS):
        raise LabelError(f"{name} has a field {unknown[0]!r}", f"fields are {', '.join(sorted(_FIELDS))}")
    return list(document)


def _named(label: str, value: object) -> object:
    if isinstance(value, str):
        return {"label": label, "name": value}
    if isinstance(value, int) and not isinstance(value, bool):
        return {"label": label, "code": value}
    return {"label": label, **value} if isinstance(value, dict) else value


def _assemble(rows: Sequence[_Row], where: str) -> Legend:
    """Classes of rows, those with the same code or name merged; raises LabelError where rows contradict each other."""
    taken = {row.code for row in rows if row.code is not None}
    by_name = {row.name or row.label: row.code for row in rows if row.code is not None}
    free = iter(code for code in range(1, NODATA_CLASS) if code not in taken)
    merged: dict[int, _Row] = {}
    codes: dict[str, int] = {}
    for row in rows:
        name = row.name or row.label
        code = row.code if row.code is not None else by_name.get(name)
        if code is None:
            code = next(free, None)
        if code is None:
            raise LabelError(f"{where} has more than {NODATA_CLASS - 1} classes", "merge some")
        by_name[name] = code
        if codes.setdefault(row.label, code) != code:
            raise LabelError(f"label {row.label!r} of {where} has two classes", "give each label one")
        merged[code] = _merge(merged.get(code), row, where)
    return Legend(_coloured(merged), codes)


def _merge(first: _Row | None, row: _Row, where: str) -> _Row:
    """The first row of a class speaks for it; later ones may be silent, but not say otherwise."""
    if first is None:
        return row
    for ours, theirs in ((first.name, row.name), (first.colour, row.colour)):
        if ours and theirs and ours != theirs:
            raise LabelError(
                f"labels {first.label!r} and {row.label!r} of {where} have one code, but {ours!r} and {theirs!r}",
                "give a class one name and one colour",
            )
    return _Row(first.label, first.code, first.name or row.name, first.colour or row.colour)


def _coloured(rows: Mapping[int, _Row]) -> tuple[ClassDef, ...]:
    names = {code: row.name or row.label for code, row in sorted(rows.items())}
    given = {code: row.colour for code, row in rows.items() if row.colour}
    colours = default_colours(names, given)
    return tuple(ClassDef(code=code, name=name, colour=colours[code]) for code, name in names.items())


def default_colours(names: Mapping[int, str], given: Mapping[int, str] | None = None) -> dict[int, str]:
    """A colour (six hex digits) per class code, all different: the given ones, then by name, then told apart easily.

    Depends on nothing but the arguments.
    """
    chosen = dict(given or {})
    for code, name in names.items():
        colour = _by_name(name)
        if code not in chosen and colour and colour not in chosen.values():
            chosen[code] = colour
    spare = iter(colour for colour in (*_DISTINCT, *_wheel()) if colour not in chosen.values())
    for code in names:
        if code not in chosen:
            chosen[code] = next(spare)
    return chosen


def _by_name(name: str) -> str:
    words = set(re.findall("[a-z]+", name.lower()))
    return next((colour for colour, known in _WORDS.items() if words & set(known.split())), "")


def _wheel() -> Iterable[str]:
    """Ever more colours, far from the ones before."""
    for step in range(4 * NODATA_CLASS):
        red, green, blue = colorsys.hsv_to_rgb(step * 0.61803 % 1, 0.45 + 0.4 * (step % 2), 0.62 + 0.3 * (step % 3) / 2)
        yield f"{int(red * 255):02x}{int(green * 255):02x}{int(blue * 255):02x}"


def qml_style(classes: Sequence[ClassDef], band: int = 1) -> str:
    """A QGIS layer style: paletted raster, classes with names and colours, nodata transparent."""
    entries = "\n".join(
        f'        <paletteEntry value="{one.code}" color="#{one.colour}" label={quoteattr(one.name)} alpha="255"/>'
        for one in classes
    )
    return f"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="paletted" band="{band}" opacity="1" alphaBand="-1" nodataColor="">
      <rasterTransparency/>
      <minMaxOrigin>
        <limits>None</limits>
        <extent>WholeRaster</extent>
        <statAccuracy>Estimated</statAccuracy>
      </minMaxOrigin>
      <colorPalette>
{entries}
      </colorPalette>
    </rasterrenderer>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
"""
