"""The seam: two drivers speak the same SQL, with `:name` parameters, and differ in types and in how boxes are found."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

Row = dict[str, Any]
Box = tuple[float, float, float, float]
"""west, south, east, north in degrees; east > 180 over the antimeridian."""
Placed = Literal["jobs", "aois"]


class TakenError(Exception):
    """A row with this key is there already."""


class Connection(Protocol):
    """Runs statements; within `write`, all of them or none count."""

    async def one(self, sql: str, **values: object) -> Row | None:
        """The first row, quickly found by a key."""

    async def all(self, sql: str, **values: object) -> list[Row]:
        """All rows."""

    async def run(self, sql: str, **values: object) -> int:
        """Number of rows changed."""

    async def many(self, sql: str, rows: Sequence[Row]) -> None:
        """The same statement with many values."""

    async def place(self, table: Placed, number: int, box: Box, geometry: str = "") -> None:
        """Index a row by its box, and by its GeoJSON geometry where the database can."""

    def overlaps(self, table: Placed, box: Box) -> tuple[str, Row]:
        """A condition on `table` and its values: rows whose box overlaps; boxes may cross the antimeridian."""


class Database(Protocol):
    """All methods raise TryAgainError when the database does not answer."""

    async def find(self, select: str, column: str, key: str) -> Row | None:
        """The row of a key, as it is now: `select` without its condition, which `column` is one of."""

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for reading."""

    def write(self) -> AbstractAsyncContextManager[Connection]:
        """A transaction."""

    async def open(self) -> None:
        """Connect, and bring the schema up to date."""

    async def ping(self) -> None:
        """Do nothing, through the database."""

    async def close(self) -> None:
        """Let go."""


def is_text(key: str) -> bool:
    """Whether a database can hold it: whatever else comes in an address is no row's key."""
    try:
        return b"\0" not in key.encode()
    except UnicodeEncodeError:
        return False


def shifted(box: Box) -> list[Box]:
    """A box as rows may have been written: longitudes run on past 180, and a search may have west > east."""
    west, south, east, north = box
    if west > east:
        east += 360
    return [(west + turn, south, east + turn, north) for turn in (0.0, -360.0, 360.0)]
