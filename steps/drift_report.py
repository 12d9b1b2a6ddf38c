"""The section "Fit to this area" of a report: whether the model knows what it was shown in this area. Pure."""

from collections.abc import Iterator, Sequence

from steps import charts
from steps.drift import LARGE, ClassShare, Drift, FeatureDrift, Verdict, direction
from steps.markup import Content, Html, table, tag
from steps.model.card import ClassDef
from steps.report import colour_of, folded, named, number, percent, section

UNMEASURED = (
    "The model does not say what it was trained on: whether it knows land like this was not measured, and is for you "
    "to judge."
)
_SHOWN = 8
"""Features that are always shown; the others are folded."""
_BADGES = {
    Verdict.OK: "succeeded",
    Verdict.CAUTION: "partial",
    Verdict.DISTRUST: "failed",
    Verdict.UNKNOWN: "partial",
}
_WORDS = {Verdict.OK: "looks familiar"}
_METHOD = (
    "Outside: distance to the nearest training sample in the space of features, area of applicability of Meyer & "
    "Pebesma 2021, Methods in Ecology and Evolution 12. Moved: population stability index over tenths of the training "
    "samples, these weighted so that classes are as frequent as on the map; 0.25 is large, and more than chance and "
    "the spread between training samples explain. Other shares of classes are no fault: areas differ."
)


def drift_warnings(drift: Drift | None) -> tuple[str, ...]:
    """What readers of a map must know first."""
    if drift is None:
        return (UNMEASURED,)
    return () if drift.verdict is Verdict.OK else (drift.sentence,)


def render_drift(drift: Drift, classes: Sequence[ClassDef]) -> Html:
    """The verdict, what it rests on, and where features and classes went; `classes` give the colours."""
    kind = _BADGES[drift.verdict]
    badge = tag("span", _WORDS.get(drift.verdict, str(drift.verdict)), class_=f"badge {kind}")
    verdict = tag("p", badge, " ", drift.sentence, class_=f"verdict {kind}")
    if drift.verdict is Verdict.UNKNOWN:
        return section("Fit to this area", verdict, name="fit")
    charted = tag("div", _feature_table(drift, drift.features[:_SHOWN]), _classes(drift, classes), class_="split even")
    rest = drift.features[_SHOWN:]
    more = folded(f"The other {number(len(rest))} features", _feature_table(drift, rest)) if rest else None
    return section("Fit to this area", verdict, _figures(drift), charted, more, _notes(drift), name="fit",
                   lead="Whether the model was trained on land that looks like this.")  # fmt: skip


def _figures(drift: Drift) -> Html:
    moved = sum(one.moved for one in drift.features)
    facts = (
        ("Outside", percent(drift.outside), f"of the area; {percent(drift.outside_trained)} of the training samples"),
        ("Moved", f"{moved} of {len(drift.features)}", f"features, {percent(drift.moved)} by importance"),
        ("Median distance", f"{drift.dissimilarity:.2f}", "1 is the border of what the model knows"),
        ("Other classes", percent(drift.class_shift), "of the area, against the training samples"),
    )
    return tag("dl", [tag("div", tag("dt", name), tag("dd", tag("strong", value), tag("span", more)))
                      for name, value, more in facts], class_="figures within")  # fmt: skip


def _feature_table(drift: Drift, features: Sequence[FeatureDrift]) -> Html:
    """Rows of features; bars are to one scale in both tables."""
    most = max(2 * LARGE, drift.features[0].psi)
    columns = {"Feature": False, "": False, "Index": True, "Moved from": True, "Now": False}
    return table("Features by how far they moved", columns, _feature_rows(features, most))


def _feature_rows(features: Sequence[FeatureDrift], most: float) -> Iterator[list[Content]]:
    for one in features:
        border = max(LARGE, one.limit)
        colour = "var(--bad)" if one.moved else "var(--accent)"
        bar = charts.bar(one.psi / most, colour, mark=border / most)
        yield [
            tag("code", one.name),
            bar,
            f"{one.psi:.2f}",
            f"{border:.2f}",
            direction(one) if one.moved else "as before",
        ]


def _classes(drift: Drift, classes: Sequence[ClassDef]) -> Html:
    colours = {one.code: colour_of(one.colour) for one in classes}
    most = max((max(one.trained, one.mapped) for one in drift.classes), default=0.0) or 1.0
    ranked = sorted(drift.classes, key=lambda one: -one.mapped)
    rows = [_class_row(one, colours.get(one.code, "var(--accent)"), most) for one in ranked]
    columns = {"Class": False, "": False, "Samples": True, "Map": True}
    return table("Classes on the map (bar) and among training samples (line)", columns, rows)


def _class_row(one: ClassShare, colour: str, most: float) -> list[Content]:
    bar = charts.bar(one.mapped / most, colour, mark=one.trained / most)
    return [named(colour, one.name), bar, percent(one.trained), percent(one.mapped)]


def _notes(drift: Drift) -> Html:
    said = f"{number(drift.pixels)} pixels of {number(drift.tiles)} tile{'' if drift.tiles == 1 else 's'}, a sample"
    if drift.tiles_unmeasured:
        many = "1 tile was" if drift.tiles_unmeasured == 1 else f"{number(drift.tiles_unmeasured)} tiles were"
        said += f"; {many} made before and left out"
    files = [tag("a", name, href=f"./{name}") for name in ("drift.json", "drift.csv")]
    return tag("p", f"{said}. {_METHOD} All numbers: ", files[0], ", ", files[1], ".", class_="lead")
