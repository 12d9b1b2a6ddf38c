import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from steps.aoi import aoi_shape
from steps.errors import AoiError
from steps.footprint import Footprint
from steps.model.aoi import Aoi
from steps.model.grid import TileGrid
from steps.model.job import MapOptions
from steps.plan import grid_for, project, tiles_covering
from steps.testing import ANY_CORNER, ANY_EPSG, any_grid, aois

TO_LONLAT = Transformer.from_crs(ANY_EPSG, 4326, always_xy=True)


def drawn(*rings: list[tuple[float, float]]) -> Aoi:
    """An AOI of one polygon, in pixels of 10 m east and south of `ANY_CORNER`; further rings are holes."""
    x0, y0 = ANY_CORNER
    degrees = [[[*TO_LONLAT.transform(x0 + 10 * x, y0 - 10 * y)] for x, y in (*ring, ring[0])] for ring in rings]
    return Aoi(name="drawn", geometry={"type": "Polygon", "coordinates": degrees})


def square(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    """A ring."""
    return [(left, top), (left, bottom), (right, bottom), (right, top)]


def corner_of(footprint: Footprint) -> tuple[float, float]:
    """The window's north-west corner in pixels from `ANY_CORNER`."""
    _, _, x, _, _, y = footprint.window.transform
    return (x - ANY_CORNER[0]) / 10, (ANY_CORNER[1] - y) / 10


@pytest.mark.parametrize(
    ("bounds", "window"),
    [
        ((0, 0, 4, 3), (0, 0, 4, 3)),
        ((0.4, 0.4, 3.6, 2.6), (0, 0, 4, 3)),
        ((0.6, 0.6, 3.4, 2.4), (1, 1, 2, 1)),
        ((-2.4, -1.6, 1.4, 1.6), (-2, -2, 3, 4)),
    ],
)
def test_the_window_is_the_smallest_with_every_centre(
    bounds: tuple[float, float, float, float], window: tuple[int, int, int, int]
):
    """The map ends at the outermost pixels whose centre may lie in the AOI, in spite of the rounding of degrees."""
    footprint = Footprint.of(drawn(square(*bounds)), any_grid())
    assert (*corner_of(footprint), footprint.window.width, footprint.window.height) == window


def test_the_window_stands_on_the_grid():
    """The window's first pixel is where its numbers say, counted from the grid's origin."""
    grid = any_grid()
    window = Footprint.of(drawn(square(3, 5, 9, 9)), grid).window
    x0, y0 = grid.origin
    assert window.transform == (10.0, 0.0, x0 + window.col * 10, 0.0, -10.0, y0 - window.row * 10)


def centres(footprint: Footprint) -> np.ndarray:
    """bool (y, x): by shapely, pixel for pixel, what lies in the AOI."""
    window = footprint.window
    a, _, c, _, e, f = window.transform
    x, y = np.meshgrid(c + a * (np.arange(window.width) + 0.5), f + e * (np.arange(window.height) + 0.5))
    return shapely.contains_xy(footprint.shape, x, y)


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), min_size=3, max_size=12, unique=True).filter(
        lambda points: shapely.MultiPoint(points).convex_hull.area > 20
    ),
    st.integers(1, 40),
)
def test_a_pixel_is_inside_when_its_centre_is(points: list[tuple[float, float]], height: int):
    """The mask says what shapely says of every pixel's centre, read whole or in strips."""
    ring = shapely.get_coordinates(shapely.MultiPoint(points).convex_hull)[:-1]
    footprint = Footprint.of(drawn([*map(tuple, ring)]), any_grid())
    whole = footprint.mask(0, footprint.window.height)
    near_edge = _on_an_edge(footprint)
    np.testing.assert_array_equal(whole[~near_edge], centres(footprint)[~near_edge])
    starts = range(0, footprint.window.height, height)
    strips = [footprint.mask(row, min(height, footprint.window.height - row)) for row in starts]
    np.testing.assert_array_equal(np.concatenate(strips), whole)


def _on_an_edge(footprint: Footprint) -> np.ndarray:
    """bool (y, x): centres within a millimetre of the AOI's edge, where neither answer is wrong."""
    window = footprint.window
    a, _, c, _, e, f = window.transform
    x, y = np.meshgrid(c + a * (np.arange(window.width) + 0.5), f + e * (np.arange(window.height) + 0.5))
    return shapely.dwithin(shapely.points(x, y), footprint.shape.boundary, 1e-3)


def test_holes_are_outside():
    """What lies in a hole of the AOI is not in the map."""
    footprint = Footprint.of(drawn(square(0, 0, 10, 10), square(2, 3, 7, 8)), any_grid())
    mask = footprint.mask(0, 10)
    assert mask.sum() == 100 - 25
    assert not mask[3:8, 2:7].any()


def test_neighbouring_aois_share_no_pixel():
    """Two AOIs with a common edge, even through pixel centres, together have every pixel exactly once."""
    left = Footprint.of(drawn([(0, 0), (0, 20), (12.5, 20), (7.5, 0)]), any_grid())
    right = Footprint.of(drawn([(7.5, 0), (12.5, 20), (20, 20), (20, 0)]), any_grid())
    total = np.zeros((20, 20), int)
    for footprint in (left, right):
        x, y = (int(value) for value in corner_of(footprint))
        window = footprint.window
        total[y : y + window.height, x : x + window.width] += footprint.mask(0, window.height)
    assert (total == 1).all()


@settings(deadline=None, max_examples=15)
@given(st.one_of(aois(), aois(antimeridian=True)))
def test_no_pixel_of_the_aoi_is_without_a_tile(aoi: Aoi):
    """Every pixel of the AOI lies in one of the plan's tiles, or it could never be mapped."""
    grid = TileGrid(epsg=grid_for(aoi, MapOptions()).epsg, resolution=100.0, size=16)
    footprint = Footprint.of(aoi, grid)
    rows, cols = np.nonzero(footprint.mask(0, footprint.window.height))
    tiles = {
        ((row + footprint.window.row) // 16, (col + footprint.window.col) // 16)
        for row, col in zip(rows, cols, strict=True)
    }
    assert tiles <= {(tile.row, tile.col) for tile in tiles_covering(aoi, grid)}


def test_an_aoi_without_a_centre_is_refused():
    """An AOI between the centres of pixels has no map."""
    with pytest.raises(AoiError, match="AOI drawn holds no pixel's centre"):
        Footprint.of(drawn(square(0.6, 0, 1.4, 30)), any_grid())


def test_the_masks_area_is_the_aois():
    """Pixels inside times their area on the plane is the AOI's area there, to the pixels of its edge."""
    aoi = drawn([(0, 0), (13, 90), (120, 70), (80, 5)])
    footprint = Footprint.of(aoi, any_grid())
    area = project(aoi_shape(aoi), ANY_EPSG).area
    assert footprint.mask(0, footprint.window.height).sum() * 100 == pytest.approx(area, rel=0.01)
