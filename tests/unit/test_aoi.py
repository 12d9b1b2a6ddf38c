"""AOIs and seasons: what is accepted, what is refused and how it is said."""

import contextlib
import datetime as dt
import json
import math

import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box, mapping

from steps.aoi import MAX_VERTICES, aoi_shape, geodesic_km2, parse_aoi, parse_season, search_boxes
from steps.errors import AoiError, UsageError
from steps.model.aoi import Aoi

TODAY = dt.date(2024, 6, 1)


def polygon(*rings):
    return {"type": "Polygon", "coordinates": [list(ring) for ring in rings]}


def square(west=4.0, south=50.0, east=4.1, north=50.1):
    return polygon([[west, south], [east, south], [east, north], [west, north], [west, south]])


def feature(geometry, **properties):
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def multi(*polygons):
    return {"type": "MultiPolygon", "coordinates": [one["coordinates"] for one in polygons]}


def refusal(document, **options) -> str:
    with pytest.raises(AoiError) as caught:
        parse_aoi(document, **options)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        square(),
        multi(square()),
        feature(square()),
        {"type": "FeatureCollection", "features": [feature(square())]},
        {"type": "GeometryCollection", "geometries": [square()]},
    ],
)
def test_every_geojson_spelling_is_the_same_aoi(document):
    """A geometry, a feature and collections of one polygon give equal AOIs."""
    assert parse_aoi(document) == parse_aoi(square())


def test_vertex_order_does_not_matter():
    """The same ring drawn the other way round and from another corner is the same AOI."""
    ring = square()["coordinates"][0][:-1]
    turned = [*ring[2:], *ring[:2]]
    assert parse_aoi(polygon([*reversed(turned), turned[-1]])) == parse_aoi(square())


def test_touching_features_merge():
    """Neighbouring districts become one polygon, without the border between them."""
    document = {"type": "FeatureCollection", "features": [feature(square(4, 50, 5, 51)), feature(square(5, 50, 6, 51))]}
    assert geodesic_km2(parse_aoi(document)) == pytest.approx(geodesic_km2(parse_aoi(square(4, 50, 6, 51))))


def test_holes_stay():
    """A hole is not part of the AOI."""
    hole = square(4.4, 50.4, 4.6, 50.6)["coordinates"][0]
    shell = square(4, 50, 5, 51)["coordinates"][0]
    assert aoi_shape(parse_aoi(polygon(shell, hole))).area == pytest.approx(1 - 0.04)


def test_name_is_safe_in_keys():
    """The name given wins over the feature's own, and both are slugged."""
    document = feature(square(), name="My Farm/..\\é")
    assert parse_aoi(document).name == "my-farm"
    assert parse_aoi(document, name="North 4").name == "north-4"
    assert parse_aoi(square()).name == "aoi"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (polygon([[4, 50], [5, 50], [5, 51], [4, 51]]), "not closed in ring 1: end the ring where it starts, at 4 50"),
        (polygon([[4, 50], [5, 51], [5, 50], [4, 51], [4, 50]]), "self-intersection at 4.5 50.5"),
        (polygon([[4, 50], [5, 50], [4, 50]]), "only 3 positions"),
        (polygon([[4, 50], [5, 51], [6, 52], [4, 50]]), "has no area"),
        (polygon(), "is empty"),
        (polygon([]), "empty in ring 1"),
        (multi(), "is empty"),
        ({"type": "FeatureCollection", "features": []}, "is empty"),
        (feature(None), "feature without geometry"),
        (square(50.0, 120.0, 50.1, 120.1), "latitude and longitude look swapped: write lon, lat"),
        (square(4, 89, 4.1, 90.5), "latitudes end at 90"),
        (square(120, 89, 121, 90.5), "latitudes end at 90: write"),
        (square(574680, 5621800, 575320, 5622440), "no degrees: reproject"),
        (polygon([[4, 50, 7], [5, 50, 7], [5, 51, 7], [4, 50, 7]]), "is 3-D"),
        (polygon([[4], [5], [5], [4]]), "1 numbers"),
        (polygon([[4, math.nan], [5, 50], [5, 51], [4, 50]]), "nan as a coordinate"),
        (polygon([[4, math.inf], [5, 50], [5, 51], [4, 50]]), "inf as a coordinate"),
        (polygon([[4, 10**400], [5, 50], [5, 51], [4, 50]]), "inf as a coordinate"),
        (polygon([[4, "50"], [5, 50], [5, 51], [4, 50]]), "'50' as a coordinate"),
        (polygon([[4, True], [5, 50], [5, 51], [4, 50]]), "True as a coordinate"),
        ({"type": "Point", "coordinates": [4, 50]}, "holds 'Point' where an area"),
        ({"type": "LineString", "coordinates": [[4, 50], [5, 50]]}, "holds 'LineString'"),
        ({"type": "Topology"}, "holds 'Topology'"),
        ({}, "holds None"),
        ([], "not a GeoJSON object"),
        (None, "not a GeoJSON object"),
        ({"type": ["Polygon"]}, "holds a list"),
        ({"type": "Polygon", "coordinates": "0,0"}, "no list of coordinates"),
        (square(4, 50, 4.00001, 50.00001), "less than one pixel"),
        (square(-200, 10, 170, 11), "spans 370 degrees"),
    ],
)
def test_bad_geometry_is_refused(document, says):
    """Each bad AOI gets one line that names the fault and the remedy."""
    assert says in refusal(document)


def test_the_bad_polygon_is_numbered():
    """In a collection the message says which polygon is meant, and the AOI's name."""
    bad = polygon([[4, 50], [5, 51], [5, 50], [4, 51], [4, 50]])
    assert refusal(multi(square(), bad), name="farm").startswith("polygon 2 of AOI 'farm' is not valid")


def test_huge_is_refused_with_its_size():
    """An AOI above the limit says its size and the limit."""
    message = refusal(square(0, 40, 10, 50), max_km2=1000)
    assert "covers 875,098 km2" in message
    assert "at most 1,000 km2" in message


def test_an_unsplit_ring_over_the_antimeridian_says_how_to_write_it():
    """A ring that jumps from 179 to -179 covers the rest of the globe; the message explains."""
    assert "crosses the antimeridian, split it" in refusal(square(-179, -17, 179, -16))


def test_too_many_vertices():
    """Counting stops at the limit."""
    ring = [[4 + i / 1e6, 50] for i in range(MAX_VERTICES)]
    assert "more than 100,000 vertices" in refusal(polygon([*ring, [4, 51], [4, 50]]))


def test_deep_nesting():
    """Collections within collections end somewhere, without recursion."""
    document = square()
    for _ in range(50_000):
        document = {"type": "GeometryCollection", "geometries": [document]}
    assert "nested more than" in refusal(document)


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326"])
def test_crs_members_of_wgs84_change_nothing(name):
    """The legacy crs member that GDAL writes for lon/lat is ignored."""
    assert parse_aoi({**square(), "crs": {"type": "name", "properties": {"name": name}}}) == parse_aoi(square())


def test_a_projected_crs_member_is_honoured():
    """A UTM square is reprojected, and keeps its area."""
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}}
    aoi = parse_aoi({**square(574680, 5621800, 575320, 5622440), "crs": crs})
    assert aoi_shape(aoi).bounds == pytest.approx((4.058458, 50.7430944, 4.0676581, 50.7489316), abs=1e-6)
    assert geodesic_km2(aoi) == pytest.approx(0.4096, rel=2e-3)


def test_a_projected_aoi_over_the_antimeridian_runs_on():
    """UTM zone 60 continues east of 180."""
    crs = {"type": "name", "properties": {"name": "EPSG:32660"}}
    west, south, east, _ = aoi_shape(parse_aoi({**square(560e3, 8.0e6, 640e3, 8.05e6), "crs": crs})).bounds
    assert west < 180 < east < 182
    assert 71 < south < 73


@pytest.mark.parametrize(
    "crs",
    [
        {"type": "name", "properties": {"name": "EPSG:999999"}},
        {"type": "link", "properties": {"href": "http://example.com"}},
        {"type": "name"},
        "EPSG:4326",
        {"type": "name", "properties": {"name": "EPSG:5773"}},
    ],
)
def test_a_crs_that_cannot_be_used_is_refused(crs):
    """Unknown, linked, malformed and vertical CRS are no CRS of an area."""
    assert "CRS" in refusal({**square(), "crs": crs})


def test_coordinates_off_their_crs_are_refused():
    """Numbers that the CRS does not cover say so."""
    crs = {"type": "name", "properties": {"name": "EPSG:32631"}}
    assert "outside of what its CRS" in refusal({**square(5e7, 5e8, 6e7, 6e8), "crs": crs})


@pytest.mark.parametrize("south", [-17.0, 65.0])
def test_all_spellings_of_the_antimeridian_are_one_aoi(south):
    """RFC 7946 parts, a ring past 180 and a ring below -180 give the same unwrapped geometry."""
    north = south + 1
    split = parse_aoi(multi(square(179, south, 180, north), square(-180, south, -178, north)))
    assert split == parse_aoi(square(179, south, 182, north)) == parse_aoi(square(-181, south, -178, north))
    assert aoi_shape(split).bounds == (179, south, 182, north)
    assert search_boxes(split) == [(179, south, 180, north), (-180, south, -178, north)]


def test_islands_on_both_sides_of_the_antimeridian_are_neighbours():
    """Parts that do not touch 180 are put side by side as well."""
    aoi = parse_aoi(multi(square(178, -17, 179, -16), square(-178, -17, -177, -16)))
    assert aoi_shape(aoi).bounds == (178, -17, 183, -16)


def test_longitudes_from_0_to_360_come_home():
    """An AOI written wholly beyond 180 is moved by a turn."""
    assert parse_aoi(square(200, 10, 201, 11)) == parse_aoi(square(-160, 10, -159, 11))


@pytest.mark.parametrize("bounds", [(4, 50, 4.1, 50.1), (20, -35, 25, -30), (179, 70, 181, 72)])
def test_area_is_geodesic(bounds):
    """Areas agree with geodesics where edges are meridians and short parallels."""
    aoi = parse_aoi(mapping(box(*bounds).segmentize(0.01)))
    expected = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(aoi_shape(aoi))[0] / 1e6
    assert geodesic_km2(aoi) == pytest.approx(expected, rel=1e-5)


def test_the_globe_has_its_area():
    """The whole ellipsoid has 510.0656 million square kilometres."""
    assert geodesic_km2(parse_aoi(square(-180, -90, 180, 90), max_km2=1e9)) == pytest.approx(510065621.7, rel=1e-6)


# -- fuzz ----------------------------------------------------------------------------------------------------------

numbers = st.one_of(
    st.floats(-200, 200), st.floats(), st.integers(), st.sampled_from([0, 180, -180, 90, -90, 360, 1e308, -0.0])
)
positions = st.lists(numbers, min_size=0, max_size=4)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=10,
)
rings = st.lists(positions, max_size=6).map(lambda ring: [*ring, *ring[:1]])
crs_members = st.sampled_from([None, "x", {"type": "name", "properties": {"name": "EPSG:32631"}}])
geometries = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Polygon", "MultiPolygon", "Feature", "GeometryCollection", "Point", "", 3]),
        "coordinates": st.one_of(json_values, st.lists(rings, max_size=3), st.lists(st.lists(rings), max_size=3)),
    },
    optional={"crs": crs_members, "geometry": json_values, "geometries": json_values, "properties": json_values},
)
documents = st.one_of(
    json_values,
    geometries,
    st.builds(lambda some: {"type": "GeometryCollection", "geometries": some}, st.lists(geometries, max_size=3)),
    st.builds(
        lambda some: {"type": "FeatureCollection", "features": [feature(g) for g in some]},
        st.lists(geometries, max_size=3),
    ),
)


@settings(deadline=None, max_examples=300)
@given(documents)
def test_any_json_gives_an_aoi_or_an_error_of_ours(document):
    """No document makes the parser fail in another way."""
    with contextlib.suppress(AoiError, UsageError):
        assert isinstance(parse_aoi(document, max_km2=1e9), Aoi)


@st.composite
def boxes(draw):
    west, south = draw(st.floats(-360, 360)), draw(st.floats(-89, 88))
    width, height = draw(st.floats(0.001, 30)), draw(st.floats(0.001, 1))
    return square(west, south, west + width, south + height)


@settings(deadline=None, max_examples=200)
@given(st.lists(boxes(), min_size=1, max_size=4))
def test_an_aoi_round_trips(parts):
    """An accepted AOI, written as JSON and read again, is the same AOI; its boxes lie on the globe."""
    aoi = parse_aoi({"type": "GeometryCollection", "geometries": parts}, max_km2=1e9)
    again = parse_aoi(json.loads(json.dumps(aoi.geometry)), max_km2=1e9)
    assert again.geometry == aoi.geometry
    assert -180 <= aoi_shape(aoi).bounds[0] < 180
    assert all(-180 <= west <= east <= 180 and south <= north for west, south, east, north in search_boxes(aoi))


@settings(deadline=None, max_examples=100)
@given(boxes(), st.integers(-1, 1))
def test_whole_turns_do_not_matter(one, turns):
    """The same box a turn further is the same place."""
    ring = [[x + 360 * turns, y] for x, y in one["coordinates"][0]]
    if max(abs(x) for x, _ in ring) <= 540:
        moved, stays = aoi_shape(parse_aoi(polygon(ring), max_km2=1e9)), aoi_shape(parse_aoi(one, max_km2=1e9))
        assert moved.bounds == pytest.approx(stays.bounds, abs=1e-9)


# -- seasons -------------------------------------------------------------------------------------------------------


def test_a_season_is_read():
    """Both days are inclusive."""
    assert parse_season("2018-09-01/2019-08-31", TODAY).days == 365


def test_a_season_that_still_runs_is_fine():
    """It may end in the future, and start today."""
    assert parse_season("2024-06-01/2025-05-31", TODAY).start == TODAY


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2019-08-31/2018-09-01", "runs backwards: give 2018-09-01/2019-08-31"),
        ("2024-06-02/2025-06-01", "starts in the future"),
        ("2018-09-01", "not START/END"),
        ("2018-9-1/2019-8-1", "not START/END"),
        ("2018-02-30/2019-01-01", "holds no date"),
        ("2018-09-01/2019-08-31/2020-01-01", "not START/END"),
        ("٢٠١٨-09-01/2019-08-31", "not START/END"),
        ("2018-09-01/2019-08-31\n", "not START/END"),
        ("", "not START/END"),
    ],
)
def test_bad_seasons_are_refused(text, says):
    """A season that is no span of days, backwards or yet to come is a usage error."""
    with pytest.raises(UsageError, match=says):
        parse_season(text, TODAY)
