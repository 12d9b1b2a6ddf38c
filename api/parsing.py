"""Boxes and cursors as they come in query strings."""

from api.database.driver import Box
from api.problems import ProblemError


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
