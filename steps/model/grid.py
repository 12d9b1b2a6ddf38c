"""The tile grid: global and fixed per CRS, so that two AOIs share tiles."""

import math

import msgspec

BoundsM = tuple[float, float, float, float]
"""left, bottom, right, top in metres of the grid's CRS."""
EQUAL_AREA_EPSG = 6933
"""The grid of AOIs that do not fit one UTM zone (EASE-Grid 2.0 global, equal area)."""
REACH_M = 20_000_000.0
"""No projected coordinate of a supported CRS lies farther than this from 0, 0."""


class TileId(msgspec.Struct, frozen=True, order=True):
    """A tile of a grid; sorts in raster order by `row`, then `col`."""

    row: int
    """Counted southward from the grid's northern edge."""
    col: int
    """Counted eastward from the grid's western edge."""

    def __str__(self) -> str:
        return f"r{self.row:05d}c{self.col:05d}"

    @classmethod
    def parse(cls, text: str) -> "TileId":
        """The inverse of `str`; raises ValueError on anything else."""
        row, _, col = text.removeprefix("r").partition("c")
        if not (text.startswith("r") and row.isdecimal() and col.isdecimal()):
            raise ValueError(f"{text!r} is not a tile id such as r00123c00456")
        return cls(row=int(row), col=int(col))


class TileGrid(msgspec.Struct, frozen=True, kw_only=True):
    """Square tiles over the plane of one projected CRS in metres, anchored at a multiple of the tile from 0, 0."""

    epsg: int
    resolution: float = 10.0
    """Metres per pixel."""
    size: int = 1024
    """Pixels per side of a tile; a multiple of 16, so that 20 m pixels and TIFF blocks are never cut."""

    def __post_init__(self) -> None:
        if self.resolution <= 0 or self.size < 16 or self.size % 2:
            raise ValueError(
                f"tile size {self.size} px at {self.resolution} m: give an even size >= 16, resolution > 0"
            )

    @property
    def tile_m(self) -> float:
        """Metres per side of a tile."""
        return self.resolution * self.size

    @property
    def origin(self) -> tuple[float, float]:
        """x, y in metres of the north-west corner of tile row 0, col 0."""
        reach = math.ceil(REACH_M / self.tile_m) * self.tile_m
        return -reach, reach

    @property
    def id(self) -> str:
        """Name in object keys, as 32736-10m-1024."""
        return f"{self.epsg}-{self.resolution:g}m-{self.size}"

    def bounds(self, tile: TileId, halo: int = 0) -> BoundsM:
        """left, bottom, right, top in metres, grown by `halo` pixels on each side."""
        x0, y0 = self.origin
        grow = halo * self.resolution
        left, top = x0 + tile.col * self.tile_m, y0 - tile.row * self.tile_m
        return left - grow, top - self.tile_m - grow, left + self.tile_m + grow, top + grow

    def transform(self, tile: TileId, halo: int = 0) -> tuple[float, float, float, float, float, float]:
        """Affine a, b, c, d, e, f from pixel (col, row) corners to x, y in metres."""
        left, _, _, top = self.bounds(tile, halo)
        return self.resolution, 0.0, left, 0.0, -self.resolution, top

    def tile_at(self, x: float, y: float) -> TileId:
        """The tile that holds a point; a point on an edge belongs to the tile east or south of it."""
        x0, y0 = self.origin
        return TileId(row=math.floor((y0 - y) / self.tile_m), col=math.floor((x - x0) / self.tile_m))
