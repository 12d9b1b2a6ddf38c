import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from shapely.geometry.base import BaseGeometry

from steps import zones
from steps.areas import pixel_areas
from steps.errors import DataError, UsageError
from steps.model.card import ClassDef
from steps.testing import ANY_CORNER, ANY_EPSG, any_classes
from steps.zones import parcel_table, parcels_of, read_polygons, zone_table, zones_of

X0, Y0 = ANY_CORNER
SIZE = 40
CODES = np.random.default_rng(0).choice(np.array([0, 1, 7, 255], np.uint8), (SIZE, SIZE), p=[0.4, 0.3, 0.2, 0.1])
AREAS = pixel_areas(ANY_EPSG, (10.0, 0.0, X0, 0.0, -10.0, Y0), CODES.shape) / 10_000


def write(path: Path, values: np.ndarray) -> Path:
    """A raster of a map from `ANY_CORNER` on."""
    profile = {"count": 1, "dtype": "uint8", "height": values.shape[0], "width": values.shape[1], "nodata": 255}
    transform = Affine(10, 0, X0, 0, -10, Y0)
    with rasterio.open(path, "w", driver="GTiff", crs=f"EPSG:{ANY_EPSG}", transform=transform, **profile) as target:
        target.write(values, 1)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a class map and its confidence, which is 10 times the code and the row in units."""
    folder = tmp_path_factory.mktemp("made")
    confidence = np.where(CODES == 255, 255, 10 * CODES + (np.arange(SIZE)[:, None] % 10)).astype(np.uint8)
    write(folder / "map.tif", CODES)
    write(folder / "confidence.tif", confidence)
    return folder


def box(left: float, top: float, right: float, bottom: float) -> BaseGeometry:
    """A rectangle in pixels east and south of `ANY_CORNER`."""
    return shapely.box(X0 + 10 * left, Y0 - 10 * bottom, X0 + 10 * right, Y0 - 10 * top)


def file_of(folder: Path, shapes: Sequence[BaseGeometry], *, epsg: int = ANY_EPSG, **columns: Sequence[Any]) -> str:
    """A GeoPackage of shapes given in the map's CRS."""
    frame = geopandas.GeoDataFrame(dict(columns), geometry=list(shapes), crs=ANY_EPSG).to_crs(epsg)
    path = folder / "given.gpkg"
    frame.to_file(path, driver="GPKG")
    return str(path)


def areas_of(made: Path, given: str, out: Path, classes: Sequence[ClassDef] = ()) -> geopandas.GeoDataFrame:
    """Zones of the map in `made`."""
    return zones_of(made / "map.tif", given, classes or any_classes(), out)


def majorities_of(made: Path, given: str, out: Path) -> geopandas.GeoDataFrame:
    """Parcels of the map in `made`."""
    return parcels_of(made / "map.tif", made / "confidence.tif", given, any_classes(), out)


def test_zones_that_fill_the_map_add_up_to_it(made: Path, tmp_path: Path):
    """Zones with common edges, slanted and through pixel centres too, share no pixel and leave none out."""
    cut = shapely.LineString([(X0 - 10, Y0 - 135), (X0 + 415, Y0 - 252.5)])
    upright = shapely.LineString([(X0 + 205, Y0 + 10), (X0 + 205, Y0 - 415)])
    pieces = shapely.ops.split(box(0, 0, SIZE, SIZE), cut).geoms
    parts = [part for piece in pieces for part in shapely.ops.split(piece, upright).geoms]
    found = areas_of(made, file_of(tmp_path, parts), tmp_path)
    assert len(found) == 4
    for entry in any_classes():
        assert found[f"{entry.name} ha"].sum() == pytest.approx(AREAS[entry.code == CODES].sum(), abs=1e-3)
    assert found["mapped ha"].sum() == pytest.approx(AREAS[CODES != 255].sum(), abs=1e-3)


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.floats(-8, 48), st.floats(-8, 48)), min_size=3, max_size=8, unique=True).filter(
        lambda points: shapely.MultiPoint(points).convex_hull.area > 1
    )
)
def test_a_pixel_belongs_where_its_centre_is(
    made: Path, tmp_path_factory: pytest.TempPathFactory, points: list[tuple[float, float]]
):
    """A zone's areas are those of the pixels whose centre shapely finds in it."""
    shape = shapely.transform(
        shapely.MultiPoint(points).convex_hull, lambda xy: np.column_stack([X0 + 10 * xy[:, 0], Y0 - 10 * xy[:, 1]])
    )
    x, y = np.meshgrid(X0 + 10 * (np.arange(SIZE) + 0.5), Y0 - 10 * (np.arange(SIZE) + 0.5))
    unsure = shapely.dwithin(shapely.points(x, y), shape.boundary, 1e-3).sum()
    inside = shapely.contains_xy(shape, x, y)
    folder = tmp_path_factory.mktemp("zone")
    found = areas_of(made, file_of(folder, [shape]), folder)
    for entry in any_classes():
        expected = AREAS[inside & (entry.code == CODES)].sum()
        assert found[f"{entry.name} ha"][0] == pytest.approx(expected, abs=1e-3 + unsure * 0.01)


def test_strips_of_a_large_zone_add_up(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """How a zone is cut for reading does not show."""
    given_file = file_of(tmp_path, [box(1, 1, 39, 39)])
    whole = areas_of(made, given_file, tmp_path)
    monkeypatch.setattr(zones, "_STRIP_PIXELS", 100)
    assert areas_of(made, given_file, tmp_path)["mapped ha"][0] == pytest.approx(whole["mapped ha"][0])


def test_every_zone_is_reported(tmp_path: Path):
    """Zones beside the map and over its edge stay in the table, and it says how much of them is mapped."""
    mapped = CODES.copy()
    mapped[:5] = 0
    write(tmp_path / "map.tif", mapped)
    shapes = [box(0, 0, 5, 5), box(30, 30, 60, 60), box(100, 100, 110, 110)]
    found = zones_of(tmp_path / "map.tif", file_of(tmp_path, shapes), any_classes(), tmp_path)
    assert [*found["coverage"]] == ["whole", "partly", "not mapped"]
    assert [*found["mapped ha"]][2] == 0
    assert found["zone ha"][0] == pytest.approx(0.25, rel=1e-3)
    assert found["zone ha"][1] == pytest.approx(9.0, rel=1e-3)


def test_overlapping_zones_are_counted_each(made: Path, tmp_path: Path):
    """A pixel in two zones counts in both."""
    found = areas_of(made, file_of(tmp_path, [box(0, 0, 20, 20), box(10, 10, 30, 30), box(0, 0, 20, 20)]), tmp_path)
    assert found["mapped ha"][0] == found["mapped ha"][2]
    assert found["mapped ha"][1] == pytest.approx(AREAS[10:30, 10:30][CODES[10:30, 10:30] != 255].sum(), abs=1e-3)


def test_zones_of_another_crs_are_reprojected(made: Path, tmp_path: Path):
    """Zones in degrees have the areas that they have in metres."""
    shapes = [box(0.3, 0.3, 20.3, 13.3)]
    metres = areas_of(made, file_of(tmp_path, shapes), tmp_path)
    degrees = areas_of(made, file_of(tmp_path, shapes, epsg=4326), tmp_path)
    assert degrees["mapped ha"][0] == pytest.approx(metres["mapped ha"][0])


def test_long_edges_stay_where_they_are(tmp_path: Path):
    """A border along a parallel is densified before it is projected: its middle is 2 km off the straight line."""
    shape = shapely.box(30, -18, 36, -17)
    geopandas.GeoDataFrame(geometry=[shape], crs=4326).to_file(tmp_path / "wide.gpkg", driver="GPKG")
    frame = read_polygons(str(tmp_path / "wide.gpkg"), ANY_EPSG)
    straight = geopandas.GeoSeries([shape], crs=4326).to_crs(ANY_EPSG)
    assert frame.geometry[0].bounds[3] > straight[0].bounds[3] + 2000


def test_a_parcel_has_the_class_of_most_of_its_area(made: Path, tmp_path: Path):
    """Majority, its share of what is mapped and the mean confidence of its pixels are those of a plain count."""
    shapes = [box(c, r, c + 7, r + 5) for c in range(0, 33, 8) for r in range(0, 33, 6)]
    found = majorities_of(made, file_of(tmp_path, shapes), tmp_path)
    with rasterio.open(made / "confidence.tif") as source:
        sure = source.read(1)
    places = [(c, r) for c in range(0, 33, 8) for r in range(0, 33, 6)]
    for (c, r), (_, row) in zip(places, found.iterrows(), strict=True):
        window = slice(r, r + 5), slice(c, c + 7)
        codes, areas = CODES[window], AREAS[window]
        by_class = {code: areas[codes == code].sum() for code in (0, 1, 7)}
        best = max(by_class, key=lambda code: by_class[code])
        assert row["map_code"] == best
        assert row["map_share"] == pytest.approx(by_class[best] / sum(by_class.values()), abs=1e-4)
        assert row["map_confidence"] == pytest.approx(sure[window][codes == best].mean(), abs=0.06)
        assert row["map_pixels"] == (codes != 255).sum()
    assert {*found["map_class"]} <= {entry.name for entry in any_classes()}


def test_a_parcel_between_pixel_centres_takes_the_pixel_under_it(made: Path, tmp_path: Path):
    """A parcel smaller than a pixel has a class, and the table says that it is by a point."""
    row, col = (int(index[0]) for index in np.nonzero(CODES == 7))
    tiny = box(col + 0.1, row + 0.1, col + 0.3, row + 0.3)
    found = majorities_of(made, file_of(tmp_path, [tiny]), tmp_path)
    assert (found["map_by"][0], found["map_class"][0], found["map_pixels"][0]) == ("point", "forest", 1)
    assert areas_of(made, file_of(tmp_path, [tiny]), tmp_path)["mapped ha"][0] == 0


def test_a_parcel_that_is_not_mapped_has_no_class(made: Path, tmp_path: Path):
    """A parcel of cloud takes no neighbour's class, and neither does one off the map."""
    row, col = (int(index[0]) for index in np.nonzero(CODES == 255))
    shapes = [box(col, row, col + 1, row + 1), box(-50, 0, -40, 9), box(-9.8, 0.1, -9.7, 0.2)]
    found = majorities_of(made, file_of(tmp_path, shapes), tmp_path)
    assert [*found["map_by"]] == ["nothing"] * 3
    assert [*found["map_code"]] == [-1] * 3
    assert [*found["map_class"]] == [""] * 3


def test_tables_are_written_twice(made: Path, tmp_path: Path):
    """CSV and GeoPackage hold the file's own attributes and ours, a row per feature, the shapes in the map's CRS."""
    given_file = file_of(tmp_path, [box(0, 0, 9, 9), box(9, 9, 30, 30)], epsg=4326, owner=["Anna", "Ben"])
    areas_of(made, given_file, tmp_path)
    majorities_of(made, given_file, tmp_path)
    for name, column in (("zones", "mapped ha"), ("parcels", "map_class")):
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            rows = [*csv.DictReader(file)]
        frame = geopandas.read_file(tmp_path / f"{name}.gpkg")
        assert [row["owner"] for row in rows] == [*frame["owner"]] == ["Anna", "Ben"]
        assert [row[column] for row in rows] == [str(value) for value in frame[column]]
        assert frame.crs.to_epsg() == ANY_EPSG
        np.testing.assert_allclose(frame.total_bounds, box(0, 0, 30, 30).bounds, atol=1e-3)


def test_attributes_with_our_names_are_kept(made: Path, tmp_path: Path):
    """An attribute that is called like a column of ours, or like a GeoPackage's own, is renamed, not lost."""
    given_file = file_of(tmp_path, [box(0, 0, 9, 9)], MAP_CODE=["theirs"], confidence=[3])
    found = majorities_of(made, given_file, tmp_path)
    assert found["MAP_CODE_given"][0] == "theirs"
    assert found["confidence"][0] == 3
    geojson = tmp_path / "given.geojson"
    geopandas.GeoDataFrame({"FID": ["a", "a"]}, geometry=[box(0, 0, 1, 1)] * 2, crs=ANY_EPSG).to_file(geojson)
    assert [*majorities_of(made, str(geojson), tmp_path)["FID_given"]] == ["a", "a"]


def test_classes_of_one_name_share_a_column(made: Path, tmp_path: Path):
    """A legend that calls two codes by one name adds their areas up."""
    classes = [ClassDef(code=code, name=name, colour="000000") for code, name in ((0, "crop"), (1, "crop"), (7, "x"))]
    found = areas_of(made, file_of(tmp_path, [box(0, 0, SIZE, SIZE)]), tmp_path, classes)
    assert found["crop ha"][0] == pytest.approx(AREAS[CODES <= 1].sum(), abs=1e-3)
    assert zone_table(found, classes).columns == ("zone", "crop", "x", "mapped", "coverage")


def test_what_is_no_polygon_is_refused(made: Path, tmp_path: Path):
    """A file with points or lines is a usage error that names the feature; one that cannot be read a data error."""
    given_file = file_of(tmp_path, [box(0, 0, 1, 1), shapely.Point(X0, Y0)])
    with pytest.raises(UsageError, match=r"feature 2 of .*given\.gpkg is no polygon"):
        areas_of(made, given_file, tmp_path)
    (tmp_path / "text.gpkg").write_text("no vectors", encoding="utf-8")
    with pytest.raises(DataError, match=r"text\.gpkg"):
        majorities_of(made, str(tmp_path / "text.gpkg"), tmp_path)


def test_of_a_mixed_geometry_the_polygons_count(made: Path, tmp_path: Path):
    """A line that is left over from repairing a polygon adds no pixels."""
    mixed = shapely.GeometryCollection(
        [box(0, 0, 4, 4), shapely.LineString([(X0, Y0), (X0 + 399, Y0 - 399)]), shapely.GeometryCollection([])]
    )
    found = areas_of(made, file_of(tmp_path, [mixed, box(0, 0, 4, 4)]), tmp_path)
    assert found["mapped ha"][0] == found["mapped ha"][1] > 0


def test_the_report_names_polygons(made: Path, tmp_path: Path):
    """Polygons go by their name or id, or by their place in the file, beginning with 1."""
    shapes = [box(0, 0, 9, 9), box(9, 9, 30, 30)]
    named = areas_of(made, file_of(tmp_path, shapes, name=["North", "South"]), tmp_path)
    assert [row[0] for row in zone_table(named, any_classes()).rows] == ["North", "South"]
    plain = majorities_of(made, file_of(tmp_path, shapes, crop=["a", "b"]), tmp_path)
    table = parcel_table(plain)
    assert [row[0] for row in table.rows] == ["1", "2"]
    assert all(len(row) == len(table.columns) for row in table.rows)
