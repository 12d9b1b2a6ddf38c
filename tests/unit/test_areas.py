import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from steps.areas import ClassAreas, Transform, area_table, pixel_areas
from steps.testing import ANY_EPSG, any_classes

GEOD = Geod(ellps="WGS84")
HARARE: Transform = (10.0, 0.0, 300_000.0, 0.0, -10.0, 8_020_000.0)


def geodesic(epsg: int, transform: Transform, row: int, col: int) -> float:
    """Square metres of one pixel as a polygon on the ellipsoid, its sides in twenty parts."""
    a, _, c, _, e, f = transform
    side = np.linspace(0, 1, 21)[:-1]
    x = np.concatenate([side, np.ones(20), 1 - side, np.zeros(20)])
    y = np.concatenate([np.zeros(20), side, np.ones(20), 1 - side])
    to_lonlat = Transformer.from_crs(epsg, 4326, always_xy=True)
    lon, lat = to_lonlat.transform(c + a * (col + x), f + e * (row + y))
    return abs(GEOD.polygon_area_perimeter(lon, lat)[0])


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from((32601, 32631, 32736, 32760)),
    st.floats(100_000, 900_000),
    st.floats(200_000, 9_000_000),
    st.sampled_from((10.0, 20.0, 100.0)),
    st.tuples(st.integers(0, 199), st.integers(0, 299)),
)
def test_utm_pixels_have_their_geodesic_area(epsg: int, x: float, y: float, step: float, pixel: tuple[int, int]):
    """Anywhere in a UTM zone and beyond its edges, a pixel has the area of its polygon on the ellipsoid."""
    transform = (step, 0.0, x, 0.0, -step, y)
    areas = pixel_areas(epsg, transform, (200, 300))
    assert areas[pixel] == pytest.approx(geodesic(epsg, transform, *pixel), rel=1e-6)


@pytest.mark.parametrize(
    ("epsg", "x", "y", "step"),
    [
        (3035, 4_000_000, 3_000_000, 10.0),
        (6933, 2_000_000, -3_000_000, 10.0),
        (3857, 1_000_000, 6_000_000, 10.0),
        (3995, 100_000, 500_000, 30.0),
        (2193, 1_600_000, 5_400_000, 10.0),
        (4326, 31.0, -17.5, 1 / 12_000),
        (4326, 31.0, 60.0, 0.25),
        (32660, 810_000, 1_100_000, 100.0),
    ],
)
def test_other_crs_too(epsg: int, x: float, y: float, step: float):
    """Equal-area, conformal, polar and geographic CRS, coarse and fine, and over the antimeridian."""
    transform = (step, 0.0, float(x), 0.0, -step, float(y))
    areas = pixel_areas(epsg, transform, (300, 400))
    for row, col in ((0, 0), (150, 222), (299, 399)):
        assert areas[row, col] == pytest.approx(geodesic(epsg, transform, row, col), rel=1e-5)


def test_an_equal_area_grid_is_equal():
    """In EPSG:6933 every pixel of 10 m has 100 square metres."""
    areas = pixel_areas(6933, (10.0, 0.0, -1e7, 0.0, -10.0, 7e6), (400, 400))
    np.testing.assert_allclose(areas, 100.0, rtol=1e-8)


def test_a_utm_pixel_is_not_a_hundred_square_metres():
    """At the central meridian a pixel shows more ground than its size says, at a zone's edge less."""
    middle = pixel_areas(32631, (10.0, 0.0, 500_000.0, 0.0, -10.0, 10_000.0), (1, 1))[0, 0]
    edge = pixel_areas(32631, (10.0, 0.0, 834_000.0, 0.0, -10.0, 10_000.0), (1, 1))[0, 0]
    assert middle == pytest.approx(100 / 0.9996**2, rel=1e-6)
    assert edge < 99.85


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 299))
def test_areas_do_not_depend_on_the_window(rows: int, cols: int, cut: int):
    """Two windows that make up a third have its areas, to a part in a hundred million."""
    assume(cut < rows)
    a, b, c, d, e, f = HARARE
    whole = pixel_areas(ANY_EPSG, HARARE, (rows, cols))
    upper = pixel_areas(ANY_EPSG, HARARE, (cut, cols))
    lower = pixel_areas(ANY_EPSG, (a, b, c, d, e, f + e * cut), (rows - cut, cols))
    np.testing.assert_allclose(np.concatenate([upper, lower]), whole, rtol=1e-8)


def test_off_the_earth_is_nan():
    """A pixel of a plane that is nowhere on Earth has no area."""
    assert np.isnan(pixel_areas(6933, (10.0, 0.0, 0.0, 0.0, -10.0, 9e6), (1, 1))).all()


def test_classes_are_added_up_window_by_window():
    """Areas of the classes of a map do not depend on how it was cut, and every mapped pixel is in one of them."""
    codes = np.random.default_rng(0).choice(np.array([0, 1, 7, 255], np.uint8), (200, 150))
    areas = pixel_areas(ANY_EPSG, HARARE, codes.shape)
    whole, parts = ClassAreas(), ClassAreas()
    whole.add(codes, areas)
    for top in range(0, 200, 64):
        for left in range(0, 150, 100):
            window = slice(top, top + 64), slice(left, left + 100)
            parts.add(codes[window], areas[window])
    assert parts.hectares() == pytest.approx(whole.hectares())
    assert (parts.pixels == whole.pixels).all()
    naive = {code: areas[codes == code].sum() / 10_000 for code in (0, 1, 7)}
    assert whole.hectares() == pytest.approx(naive)


def test_nodata_is_no_class():
    """255 has no area, 0 has."""
    found = ClassAreas()
    found.add(np.array([[0, 255]], np.uint8), np.array([[1e4, 1e4]]))
    assert found.hectares() == {0: 1.0}


def test_the_table_names_every_class():
    """Classes that do not occur stand in the table with 0, and the shares are of what is mapped."""
    found = ClassAreas()
    found.add(np.array([[0, 0, 7, 255]], np.uint8), np.full((1, 4), 2e4))
    rows = [(row.code, row.name, row.pixels, row.hectares, row.share) for row in area_table(found, any_classes())]
    assert rows == [(0, "maize", 2, 4.0, 2 / 3), (1, "soya", 0, 0.0, 0.0), (7, "forest", 1, 2.0, 1 / 3)]


def test_an_empty_map_has_a_table():
    """Where nothing is mapped all shares are 0, not undefined."""
    assert [row.share for row in area_table(ClassAreas(), any_classes())] == [0.0, 0.0, 0.0]
