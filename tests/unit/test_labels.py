"""Labels of every kind, and what is said of those that cannot be used."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import Affine

from steps.aoi import aoi_shape
from steps.errors import DataError, LabelError
from steps.labels import Labels, read_labels
from steps.legend import parse_legend
from steps.testing import ANY_CORNER, ANY_EPSG, any_grid

GRID = any_grid()
TILE = GRID.tile_at(ANY_CORNER[0] + 1, ANY_CORNER[1] - 1)
WEST, _, _, NORTH = GRID.bounds(TILE)


def square(col: int, row: int, width: int, height: int | None = None) -> shapely.Polygon:
    """A box of whole pixels of the tile."""
    left, top = WEST + 10 * col, NORTH - 10 * row
    return shapely.box(left, top - 10 * (height or width), left + 10 * width, top)


def vector(folder: Path, rows: list[tuple[Any, shapely.Geometry]], epsg: int = ANY_EPSG) -> str:
    """A GeoPackage of labelled shapes with the column `crop`."""
    frame = geopandas.GeoDataFrame(
        {"crop": [label for label, _ in rows]}, geometry=[shape for _, shape in rows], crs=ANY_EPSG
    ).to_crs(epsg)
    frame.to_file(folder / "labels.gpkg", driver="GPKG", engine="pyogrio")
    return str(folder / "labels.gpkg")


def raster(folder: Path, values: np.ndarray, **profile: Any) -> str:
    """A GeoTIFF of 10 m pixels from the tile's corner on."""
    path = folder / "labels.tif"
    chosen: dict[str, Any] = {"crs": f"EPSG:{ANY_EPSG}", "transform": Affine(10, 0, WEST, 0, -10, NORTH)} | profile
    height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype=values.dtype, count=1, width=width, height=height, **chosen
    ) as target:
        target.write(values, 1)
    return str(path)


def laid(labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Codes and groups on the tile."""
    found = labels.on(GRID, TILE)
    return found.codes, found.groups


def test_polygons_lose_their_edge(tmp_path: Path) -> None:
    """A field of 10 x 10 pixels labels its inner 8 x 8; each polygon is a parcel, each label a class."""
    path = vector(tmp_path, [("a", square(5, 5, 10)), ("b", square(30, 20, 12)), ("a", square(50, 50, 10))])
    labels = read_labels(path, "crop", None, "")
    codes, groups = laid(labels)
    expected = np.full((64, 64), -1)
    expected[6:14, 6:14], expected[21:31, 31:41], expected[51:59, 51:59] = 1, 2, 1
    np.testing.assert_array_equal(codes, expected)
    assert len(np.unique(groups[codes >= 0])) == 3
    assert [(entry.code, entry.name) for entry in labels.legend.classes] == [(1, "a"), (2, "b")]


def test_a_small_field_keeps_its_pixels(tmp_path: Path) -> None:
    """A field that would vanish without its edge is taken whole."""
    path = vector(tmp_path, [("a", square(5, 5, 2)), ("b", square(30, 30, 10))])
    assert (laid(read_labels(path, "crop", None, ""))[0] == 1).sum() == 4


def test_points_take_the_pixel_that_they_are_in(tmp_path: Path) -> None:
    """Each point labels one pixel and is a parcel of its own, also from a file in degrees."""
    spots = [(3, 4), (3, 5), (60, 1)]
    rows = [(name, square(col, row, 1).centroid) for name, (col, row) in zip("aab", spots, strict=True)]
    codes, groups = laid(read_labels(vector(tmp_path, rows, 4326), "crop", None, ""))
    assert [codes[row, col] for col, row in spots] == [1, 1, 2]
    assert (codes >= 0).sum() == 3
    assert len({groups[row, col] for col, row in spots}) == 3


def test_a_raster_of_codes(tmp_path: Path) -> None:
    """0 is no class; pixels of a code that touch are a parcel, those that do not are others."""
    values = np.zeros((64, 64), np.uint8)
    values[0:5, 0:5], values[10:20, 0:5], values[10:20, 5:9] = 7, 7, 40
    codes, groups = laid(read_labels(raster(tmp_path, values), "crop", None, ""))
    np.testing.assert_array_equal(codes, np.select([values == 7, values == 40], [1, 2], -1))
    assert len(np.unique(groups[codes >= 0])) == 3
    assert len(np.unique(groups[values == 7])) == 2


def test_a_legend_names_the_codes_of_a_raster(tmp_path: Path) -> None:
    """Codes of one class are merged; labels of other files do no harm; 0 is a class where the legend has it."""
    values = np.tile(np.array([0, 1, 2, 3], np.uint8), (64, 16))
    legend = parse_legend("label,code,name\n0,9,water\n1,5,crop\n2,5,crop\n3,6,trees\nmaize,5,crop")
    codes, _ = laid(read_labels(raster(tmp_path, values), "crop", legend, ""))
    np.testing.assert_array_equal(codes, np.array([9, 5, 5, 6])[values])


@pytest.mark.parametrize(("legend", "below", "above"), [(None, 0, 1), ("label,code\nforest,3\nother,8\nsea,1", 8, 3)])
def test_a_continuous_raster_cut_in_two(tmp_path: Path, legend: str | None, below: int, above: int) -> None:
    """At and above the threshold is the second class, below the first; nodata is neither. A legend's codes hold."""
    values = np.full((64, 64), 20.5, np.float32)
    values[:, 10:], values[:, 20:], values[:, 30:], values[:, 40:] = 50, 99, 255, np.nan
    path = raster(tmp_path, values, nodata=255)
    labels = read_labels(path, "", parse_legend(legend) if legend else None, "other, 50, forest")
    codes, _ = laid(labels)
    np.testing.assert_array_equal(codes[0], np.repeat([below, above, above, -1, -1], [10, 10, 10, 10, 24]))
    assert {entry.code: entry.name for entry in labels.legend.classes} == {below: "other", above: "forest"}


@pytest.mark.parametrize("text", ["forest", "a,b,c", "a,1,b,c", "a,1,a", ",1,b", "a,nan,b", "a,inf,b", "a,1,"])
def test_a_threshold_that_does_not_fit_is_refused(tmp_path: Path, text: str) -> None:
    """The message shows how it is written."""
    with pytest.raises(LabelError, match="other,50,forest"):
        read_labels(raster(tmp_path, np.ones((64, 64), np.uint8)), "", None, text)


def test_values_between_codes_are_refused(tmp_path: Path) -> None:
    """A continuous raster is no label raster until it is cut."""
    values = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    with pytest.raises(LabelError, match=r"no class code.*--label-threshold"):
        read_labels(raster(tmp_path, values), "", None, "")


def test_a_code_without_a_legend_line_is_refused(tmp_path: Path) -> None:
    """The code is named, and what is done about it."""
    values = np.tile(np.array([0, 1, 2, 3], np.uint8), (64, 16))
    with pytest.raises(LabelError, match=r"code 3 of .* is not in the legend.*add it"):
        read_labels(raster(tmp_path, values), "", parse_legend("label,code\n1,1\n2,2"), "")


def test_a_raster_without_crs_is_refused(tmp_path: Path) -> None:
    """It could lie anywhere."""
    with pytest.raises(LabelError, match="no CRS"):
        read_labels(raster(tmp_path, np.ones((64, 64), np.uint8), crs=None), "", None, "")


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    """The message says which columns there are."""
    with pytest.raises(LabelError, match=r"no column klass.*it has crop"):
        read_labels(vector(tmp_path, [("a", square(0, 0, 5))]), "klass", None, "")


def test_a_column_without_any_label_is_refused(tmp_path: Path) -> None:
    """All empty is not a data set."""
    with pytest.raises(LabelError, match="no labelled feature"):
        read_labels(vector(tmp_path, [(None, square(0, 0, 5))]), "crop", None, "")


def test_rows_without_label_are_left_out(tmp_path: Path) -> None:
    """An empty label is no class."""
    path = vector(tmp_path, [("a", square(0, 0, 6)), (None, square(20, 20, 6)), ("b", square(40, 40, 6))])
    labels = read_labels(path, "crop", None, "")
    assert [entry.name for entry in labels.legend.classes] == ["a", "b"]
    assert (laid(labels)[0] >= 0).sum() == 2 * 4 * 4


def test_rows_that_do_not_fit_are_named(tmp_path: Path) -> None:
    """Labels without a legend line and lines instead of fields are refused by row, counted in the file."""
    line = shapely.LineString([(WEST, NORTH), (WEST + 100, NORTH - 100)])
    path = vector(tmp_path, [(None, square(0, 0, 5)), ("a", square(9, 9, 5)), ("b", line), ("b", line)])
    with pytest.raises(LabelError, match=r"row 3 and 1 more of .* is a LineString"):
        read_labels(path, "crop", None, "")
    with pytest.raises(LabelError, match=r"label 'a' of row 2 of .* is not in the legend"):
        read_labels(path, "crop", parse_legend("label,code\nb,1"), "")


def written(path: Path, text: str) -> str:
    """A file of text."""
    path.write_text(text, encoding="utf-8")
    return str(path)


SPOTS = np.array([(WEST + 55.0, NORTH - 35.0), (WEST + 205.0, NORTH - 35.0), (WEST + 555.0, NORTH - 405.0)])
"""Inside of the tile, x and y."""
LONLAT = np.stack(Transformer.from_crs(ANY_EPSG, 4326, always_xy=True).transform(*SPOTS.T), axis=1)


@pytest.mark.parametrize("header", ["crop,lon,lat", "Crop,Longitude,Latitude"])
def test_a_csv_of_points(tmp_path: Path, header: str) -> None:
    """Columns lon and lat, or longitude and latitude, in any case; labels are named by row and id."""
    lines = [f"{crop},{lon},{lat}" for crop, (lon, lat) in zip("aab", LONLAT, strict=True)]
    labels = read_labels(written(tmp_path / "labels.csv", "\n".join([header, *lines])), header[:4], None, "")
    assert (laid(labels)[0] >= 0).sum() == 3
    assert [labels.name(row) for row in (1, 3)] == ["row 1", "row 3"]


def test_the_same_points_in_every_format(tmp_path: Path) -> None:
    """GeoJSON, GeoPackage, GeoParquet, plain Parquet and CSV label the same pixels."""
    frame = geopandas.GeoDataFrame({"crop": list("aab")}, geometry=shapely.points(LONLAT), crs=4326)
    plain = frame.drop(columns="geometry").assign(lon=[x for x, _ in LONLAT], lat=[y for _, y in LONLAT])
    frame.to_file(tmp_path / "a.geojson", engine="pyogrio")
    frame.to_crs(ANY_EPSG).to_file(tmp_path / "a.gpkg", engine="pyogrio")
    frame.to_crs(ANY_EPSG).to_parquet(tmp_path / "geo.parquet")
    plain.to_parquet(tmp_path / "plain.parquet")
    plain.to_csv(tmp_path / "a.csv", index=False)
    found = [laid(read_labels(str(path), "crop", None, ""))[0] for path in sorted(tmp_path.iterdir())]
    assert len(found) == 5
    for codes in found[1:]:
        np.testing.assert_array_equal(codes, found[0])


def test_a_csv_without_coordinates_is_refused(tmp_path: Path) -> None:
    """The message says which columns there are."""
    with pytest.raises(DataError, match=r"no columns lon and lat.*crop, x, y"):
        read_labels(written(tmp_path / "a.csv", "crop,x,y\na,1,2\n"), "crop", None, "")


def test_points_without_coordinates_are_named(tmp_path: Path) -> None:
    """By their rows, the first of many."""
    rows = "\n".join("a,31.1,-17.9" if row % 2 else "a,,-17.9" for row in range(20))
    with pytest.raises(DataError, match=r"row 1, 3, 5, 7, 9 and 5 more of .*a.csv has no lon or lat"):
        read_labels(written(tmp_path / "a.csv", f"crop,lon,lat\n{rows}\n"), "crop", None, "")


@pytest.mark.parametrize("column", ["parcel_id", "parcel", "Field", "plot"])
def test_a_label_is_found_by_its_id(tmp_path: Path, column: str) -> None:
    """People do not count rows. The column of the class is no id, whatever its name."""
    path = written(tmp_path / "a.csv", f"{column},crop,lon,lat\nK-17,a,31.1201,-17.8991\n")
    assert read_labels(path, "crop", None, "").name(1) == f"row 1 ({column} K-17)"
    assert read_labels(path, column, None, "").name(1) == "row 1"


def test_rows_are_counted_as_the_file_has_them(tmp_path: Path) -> None:
    """Features without geometry or label count, though they are not used."""
    rows: list[tuple[Any, Any]] = [("a", None), (None, square(0, 0, 9)), ("a", square(20, 20, 9))]
    labels = read_labels(vector(tmp_path, rows), "crop", None, "")
    groups = laid(labels)[1]
    assert set(np.unique(groups)) == {-1, 3}
    assert labels.missing(np.array([7])) == ["row 3"]


def test_overlapping_polygons_of_different_classes_are_refused(tmp_path: Path) -> None:
    """Both rows are named with their labels; a border drawn twice is no overlap, nor is one of the same class."""
    fine = [("a", square(0, 0, 10)), ("b", square(10, 0, 10)), ("a", square(5, 20, 10)), ("a", square(0, 20, 10))]
    read_labels(vector(tmp_path, fine), "crop", None, "")
    with pytest.raises(LabelError, match=r"overlap in .*: rows 3 \(a\) and 5 \(b\); .*correct them"):
        read_labels(vector(tmp_path, [*fine, ("b", square(8, 22, 8))]), "crop", None, "")


def test_degrees_among_metres_are_refused(tmp_path: Path) -> None:
    """A row of another CRS than the file's is named."""
    rows = [("a", square(0, 0, 9)), ("b", shapely.Point(31.12, -17.9))]
    with pytest.raises(LabelError, match=r"row 2 of .* looks like degrees.*one file has one CRS"):
        read_labels(vector(tmp_path, rows), "crop", None, "")


def test_metres_among_degrees_are_refused(tmp_path: Path) -> None:
    """A row that lies off the Earth is named."""
    path = written(tmp_path / "a.csv", f"crop,lon,lat\na,31.1,-17.9\nb,{WEST},{NORTH}\n")
    with pytest.raises(LabelError, match=r"row 2 of .* lies off the Earth.*one file has one CRS"):
        read_labels(path, "crop", None, "")


def test_a_file_of_a_gigabyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """It would not fit into memory; the remedy says how much does."""
    path = tmp_path / "labels.geojson"
    with path.open("wb") as file:
        file.truncate(1_000_000_000)  # takes no room
    with pytest.raises(LabelError, match=r"has 1,000 MB: give at most 300 MB"):
        read_labels(str(path), "crop", None, "")


def test_labels_far_apart_make_no_area_between_them(tmp_path: Path) -> None:
    """Scenes are searched, and tiles planned, where labels are."""
    path = written(tmp_path / "a.csv", "crop,lon,lat\na,30.0,-17.0\nb,33.0,-19.0\n")
    area = aoi_shape(read_labels(path, "crop", None, "").aoi)
    assert area.contains(shapely.Point(30.0001, -16.9999))
    assert area.area < 0.05
