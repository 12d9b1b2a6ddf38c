"""The section "Accuracy assessment" of a report: made from an assessment, and put into a report that is there. Pure."""

import re
from collections import Counter
from collections.abc import Iterator

from steps.estimators import Accuracy, Assessment, ClassAccuracy, Estimate
from steps.markup import Content, Html, table, tag
from steps.report import hectares, number

_NAME = "accuracy"
_OURS = re.compile(rf'<section aria-labelledby="{_NAME}">.*?</section>', re.DOTALL)
_BEFORE = ('<section aria-labelledby="trust">', "</main>")
"""Where the section goes: before the first of these that the report has."""
_UNKNOWN = "not known"


def with_section(report: str, assessment: Assessment) -> str:
    """A report with the section of an assessment, in place of a former one. A report without a body stays as it is.

    Texts of a report are escaped, so that an element's tag is found nowhere but where an element begins.
    """
    rest = _OURS.sub("", report)
    where = next((rest.index(mark) for mark in _BEFORE if mark in rest), None)
    return report if where is None else rest[:where] + render_section(assessment) + rest[where:]


def render_section(assessment: Assessment) -> Html:
    """Estimates with their intervals, the error matrix, and what cannot be said."""
    accuracy = assessment.accuracy
    heading = tag("div", tag("h2", "Accuracy assessment", id=_NAME), tag("p", _lead(assessment), class_="lead"),
                  class_="heading")  # fmt: skip
    notes = [tag("p", note) for note in accuracy.notes]
    files = [tag("a", name, href=f"./{name}") for name in ("assessment.json", "assessment.csv")]
    return tag(
        "section",
        heading,
        notes,
        _estimates(accuracy),
        _matrix(accuracy),
        tag("p", _METHOD, " All numbers: ", files[0], ", ", files[1], ".", class_="lead"),
        aria_labelledby=_NAME,
    )


_METHOD = (
    "Brackets are 95 % intervals. Areas are those of the reference classification, corrected for the errors of the "
    "map. Stratified estimators of Olofsson et al. 2014, Remote Sensing of Environment 148."
)


def _lead(assessment: Assessment) -> str:
    accuracy, left_out = assessment.accuracy, len(assessment.unlabelled)
    said = f"Overall accuracy {share(accuracy.overall)}, from {number(accuracy.units)} labelled pixels drawn at random"
    more = f"; {number(left_out)} drawn ones have no label and are left out" if left_out else ""
    return f"{said}{more}. Assessed {assessment.created[:10]}."


def share(one: Estimate) -> str:
    """A share with its interval, in percent."""
    if one.value is None:
        return _UNKNOWN
    if one.low is None or one.high is None:
        return f"{100 * one.value:.1f}\u202f% (interval {_UNKNOWN})"
    return f"{100 * one.value:.1f}\u202f% ({100 * one.low:.1f} to {100 * one.high:.1f})"


def area(one: Estimate) -> str:
    """Hectares with their interval."""
    if one.value is None:
        return _UNKNOWN
    if one.low is None or one.high is None:
        return f"{hectares(one.value)} (interval {_UNKNOWN})"
    return f"{hectares(one.value)} ({hectares(one.low)} to {hectares(one.high)})"


def _estimates(accuracy: Accuracy) -> Html:
    columns = {
        "Class": False,
        "Labelled": True,
        "Mapped ha": True,
        "Area ha": True,
        "User's accuracy": True,
        "Producer's accuracy": True,
    }
    return table("Area and accuracy by class", columns, [_class_row(one) for one in accuracy.classes])


def _class_row(one: ClassAccuracy) -> list[Content]:
    mapped = hectares(one.stratum.hectares)
    users = share(one.users) if one.stratum.pixels else "not on the map"
    return [one.stratum.name, number(one.units), mapped, area(one.hectares), users, share(one.producers)]


def _matrix(accuracy: Accuracy) -> Html:
    names = _told_apart(accuracy)
    columns = {"Map \\ reference": False, **dict.fromkeys(names, True)}
    return table("Error matrix, shares of the mapped area in percent", columns, _matrix_rows(accuracy, names))


def _told_apart(accuracy: Accuracy) -> list[str]:
    """Names of the classes, with the code where two share one."""
    often = Counter(one.stratum.name for one in accuracy.classes)
    strata = [one.stratum for one in accuracy.classes]
    return [one.name if often[one.name] == 1 else f"{one.name} ({one.code})" for one in strata]


def _matrix_rows(accuracy: Accuracy, names: list[str]) -> Iterator[list[Content]]:
    for name, row in zip(names, accuracy.proportions, strict=True):
        yield [name, *("" if one is None else f"{100 * one:.2f}" if one else "0" for one in row)]
