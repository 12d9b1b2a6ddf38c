"""Labels of every kind, and what is said of those that cannot be used."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from steps.errors import LabelError
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
