"""Saved areas."""

import datetime as dt

import msgspec

from api.database.driver import Box, Connection, Row


class AoiRow(msgspec.Struct, frozen=True, kw_only=True):
    """An area as kept."""

    n: int = 0
    id: str
    owner: str
    name: str
    body: str
    """GeoJSON geometry."""
    area_km2: float
    west: float
    south: float
    east: float
    north: float
    created: dt.datetime

    @property
    def box(self) -> Box:
        """west, south, east, north."""
        return self.west, self.south, self.east, self.north


_COLUMNS = "n, id, owner, name, body, area_km2, west, south, east, north, created"


def _aoi(row: Row) -> AoiRow:
    return msgspec.convert(row, AoiRow, strict=False)


async def insert_aoi(connection: Connection, aoi: AoiRow) -> None:
    """Keep an area."""
    values = {name: value for name, value in msgspec.structs.asdict(aoi).items() if name != "n"}
    marks = ", ".join(f":{name}" for name in values)
    await connection.run(f"insert into aois ({', '.join(values)}) values ({marks})", **values)  # noqa: S608
    row = await connection.one("select n from aois where id = :aoi", aoi=aoi.id)
    if row is not None:
        await connection.place("aois", row["n"], aoi.box, aoi.body)


async def find_aoi(connection: Connection, aoi: str) -> AoiRow | None:
    """An area by its id."""
    row = await connection.one(f"select {_COLUMNS} from aois where id = :aoi", aoi=aoi)  # noqa: S608
    return None if row is None else _aoi(row)


async def list_aois(
    connection: Connection, owner: str | None, box: Box | None, before: int | None, limit: int
) -> list[AoiRow]:
    """An owner's areas, or everyone's, the newest first."""
    conditions, values = ["1 = 1"], Row()
    if owner is not None:
        conditions.append("owner = :owner")
        values["owner"] = owner
    if before is not None:
        conditions.append("n < :before")
        values["before"] = before
    if box is not None:
        condition, more = connection.overlaps("aois", box)
        conditions.append(condition)
        values |= more
    sql = f"select {_COLUMNS} from aois where {' and '.join(conditions)} order by n desc limit :limit"  # noqa: S608
    return [_aoi(row) for row in await connection.all(sql, limit=limit, **values)]


async def erase_aoi(connection: Connection, aoi: str) -> None:
    """Forget an area."""
    await connection.run("delete from aois where id = :aoi", aoi=aoi)
