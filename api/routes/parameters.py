"""Parameters that several resources share."""

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.context import Context
from api.database.driver import Box
from api.principal import Principal
from api.problems import ProblemError

Shared = NamedDependency[Context]
"""`context`."""
Who = NamedDependency[Principal]
"""`reader`, `submitter` or `admin`: the name says what they need to be allowed."""

Bbox = Annotated[
    str | None,
    QueryParameter(description="west,south,east,north in degrees; west > east over the antimeridian", max_length=200),
]
Cursor = Annotated[str | None, QueryParameter(description="`next` of the page before", max_length=20)]
Limit = Annotated[int, QueryParameter(description="Most entries of a page", ge=1, le=200)]


def parse_bbox(text: str | None) -> Box | None:
    """Raises a 400 for what is no box on Earth."""
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise ProblemError(400, "bbox is not four numbers", "give west,south,east,north") from None
    if not (-180 <= west <= 180 and -180 <= east <= 360 and -90 <= south <= north <= 90):
        raise ProblemError(400, "bbox is not on Earth", "give west,south,east,north in degrees")
    return west, south, east, north


def parse_cursor(text: str | None) -> int | None:
    """Raises a 400 for what no page has told."""
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise ProblemError(400, "cursor is none of ours", "take it from `next` of the page before")
    return int(text)
