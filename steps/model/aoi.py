"""Where and when: the area of interest and the season."""

import datetime as dt
from typing import Any

import msgspec

BBox = tuple[float, float, float, float]
"""west, south, east, north in degrees; east > 180 when the antimeridian is crossed."""


class Aoi(msgspec.Struct, frozen=True, kw_only=True):
    """A validated area of interest. Build it with `steps.aoi.parse_aoi`."""

    name: str
    """Safe in object keys: a-z, 0-9 and dashes, at most 40 characters."""
    geometry: dict[str, Any]
    """GeoJSON Polygon or MultiPolygon, lon/lat WGS84, 2-D. Longitudes run on past 180 over the antimeridian."""


class Season(msgspec.Struct, frozen=True, kw_only=True):
    """A span of days, both inclusive, in UTC."""

    start: dt.date
    end: dt.date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"season {self.start}/{self.end} runs backwards: give START/END with START first")

    @property
    def days(self) -> int:
        """Number of days, both ends counted."""
        return (self.end - self.start).days + 1

    def day(self, date: dt.date) -> int:
        """Days since the season's start; 0 on the first day."""
        return (date - self.start).days

    def __str__(self) -> str:
        return f"{self.start.isoformat()}/{self.end.isoformat()}"
