import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.model.grid import REACH_M, TileGrid, TileId

grids = st.builds(
    TileGrid,
    epsg=st.sampled_from((32631, 32736, 3035, 6933)),
    size=st.sampled_from((64, 512, 1024, 4096)),
)
metres = st.integers(-17_000_000_000, 17_000_000_000).map(lambda millimetres: millimetres / 1000)


@settings(deadline=None)
@given(grids, metres, metres)
def test_a_point_lies_in_exactly_one_tile(grid: TileGrid, x: float, y: float):
    """The tile of a point holds it; its eight neighbours do not: tiles are half open to the east and the south."""
    here = grid.tile_at(x, y)
    around = [TileId(row=here.row + i, col=here.col + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    holding = []
    for tile in around:
        left, bottom, right, top = grid.bounds(tile)
        if left <= x < right and bottom < y <= top:
            holding.append(tile)
    assert holding == [here]


@settings(deadline=None)
@given(grids, metres, metres)
def test_neighbours_share_an_edge(grid: TileGrid, x: float, y: float):
    """A tile ends, to the last bit, where the next one begins."""
    tile = grid.tile_at(x, y)
    left, bottom, right, top = grid.bounds(tile)
    assert grid.bounds(TileId(row=tile.row, col=tile.col + 1))[0] == right
    assert grid.bounds(TileId(row=tile.row + 1, col=tile.col))[3] == bottom
    assert (right - left, top - bottom) == (grid.tile_m, grid.tile_m)


@settings(deadline=None)
@given(grids, metres, metres)
def test_tiles_begin_at_whole_20_m_pixels_of_the_crs(grid: TileGrid, x: float, y: float):
    """A tile's corners lie on multiples of 20 m from 0, 0, so that no 20 m pixel is cut by it."""
    assert all(edge % 20 == 0 for edge in grid.bounds(grid.tile_at(x, y)))


@settings(deadline=None)
@given(grids, metres, metres, st.integers(0, 20))
def test_transform_agrees_with_bounds(grid: TileGrid, x: float, y: float, halo: int):
    """The transform maps pixel 0, 0 to the grown tile's north-west corner and the last one to its south-east."""
    tile = grid.tile_at(x, y)
    a, b, c, d, e, f = grid.transform(tile, halo)
    left, bottom, right, top = grid.bounds(tile, halo)
    pixels = grid.size + 2 * halo
    assert (c, f, c + a * pixels, f + e * pixels, b, d) == (left, top, right, bottom, 0, 0)


@pytest.mark.parametrize("size", [64, 1000, 1024, 4096])
def test_tile_numbers_are_never_negative(size: int):
    """The farthest corners of any CRS have tiles with numbers that can be written in a key."""
    grid = TileGrid(epsg=6933, size=size)
    for x, y in ((-REACH_M, REACH_M), (REACH_M, -REACH_M)):
        tile = grid.tile_at(x, y)
        assert min(tile.row, tile.col) >= 0
        assert TileId.parse(str(tile)) == tile


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99_999), st.integers(0, 99_999)), min_size=1))
def test_ids_sort_in_raster_order(numbers: list[tuple[int, int]]):
    """Tiles and their names sort alike: row by row, from the north-west."""
    tiles = [TileId(row=row, col=col) for row, col in numbers]
    assert [str(tile) for tile in sorted(tiles)] == sorted(str(tile) for tile in tiles)
    assert [(tile.row, tile.col) for tile in sorted(tiles)] == sorted(numbers)


@pytest.mark.parametrize("text", ["", "r1", "c1r1", "r-1c1", "r1c1.5", "r1c1c1", "x1c1"])
def test_other_text_is_no_tile(text: str):
    """What is not a tile's name is refused, whatever a store's listing or a user says."""
    with pytest.raises(ValueError, match="is not a tile id"):
        TileId.parse(text)


@pytest.mark.parametrize("size", [0, 15, 33, -16])
def test_odd_tiles_are_refused(size: int):
    """A tile that would cut a 20 m pixel cannot be made."""
    with pytest.raises(ValueError, match="even size"):
        TileGrid(epsg=32736, size=size)


def test_north_and_south_zones_are_different_grids():
    """326xx and 327xx never share a tile's address, though their coordinates overlap."""
    assert TileGrid(epsg=32636).id != TileGrid(epsg=32736).id
