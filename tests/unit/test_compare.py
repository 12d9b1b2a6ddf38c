import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyproj import Transformer
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from steps import compare
from steps.areas import pixel_areas
from steps.compare import WARNING, compare_maps, map_path
from steps.errors import UsageError
from steps.testing import ANY_CORNER, ANY_EPSG

LEGEND = {0: "maize", 1: "soya", 7: "forest"}
HERE = (*ANY_CORNER, 10.0)
codes_of_maps = hnp.arrays(np.uint8, (7, 9), elements=st.sampled_from([0, 1, 7, 255]))


def write(
    path: Path,
    codes: np.ndarray,
    legend: Mapping[int, str] = LEGEND,
    *,
    place: tuple[float, float, float] = HERE,
    epsg: int | None = ANY_EPSG,
    nodata: float | None = 255,
) -> str:
    """A class map from its north-west corner and pixel size."""
    left, top, step = place
    profile = {"count": 1, "dtype": codes.dtype, "height": codes.shape[-2], "width": codes.shape[-1]}
    transform = Affine(step, 0, left, 0, -step, top)
    crs = None if epsg is None else f"EPSG:{epsg}"
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, nodata=nodata, **profile) as target:
        target.write(codes, 1)
        target.update_tags(1, **{f"CLASS_{code}": name for code, name in legend.items()})
    return str(path)


def hectares_of(codes: np.ndarray) -> np.ndarray:
    """True areas of pixels at `HERE`."""
    return pixel_areas(ANY_EPSG, (10.0, 0.0, HERE[0], 0.0, -10.0, HERE[1]), codes.shape) / 10_000


@settings(deadline=None, max_examples=15)
@given(codes_of_maps, codes_of_maps)
def test_the_matrix_counts_every_pair(tmp_path_factory: pytest.TempPathFactory, before: np.ndarray, after: np.ndarray):
    """Each cell holds the true area of the pixels that went from one class to the other, as a plain loop adds it."""
    folder = tmp_path_factory.mktemp("maps")
    first, second = write(folder / "a.tif", before), write(folder / "b.tif", after)
    mapped = (before != 255) & (after != 255)
    if not mapped.any():
        with pytest.raises(UsageError, match="no mapped pixel in common"):
            compare_maps(first, second)
        return
    found, areas = compare_maps(first, second), hectares_of(before)
    for one in LEGEND:
        for other in LEGEND:
            cell = areas[(before == one) & (after == other)].sum()
            assert found.hectares[one, other] == pytest.approx(cell, abs=1e-12)
    assert found.changed == pytest.approx(areas[mapped & (before != after)].sum() / areas[mapped].sum(), abs=1e-9)


def test_large_maps_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """How a map is cut for reading does not show in the matrix."""
    rng = np.random.default_rng(0)
    maps = [rng.choice(np.array([*LEGEND, 255], np.uint8), (50, 70)) for _ in range(2)]
    paths = [write(tmp_path / f"{number}.tif", codes) for number, codes in enumerate(maps)]
    whole = compare_maps(*paths).hectares
    monkeypatch.setattr(compare, "_BLOCK_PX", 16)
    np.testing.assert_allclose(compare_maps(*paths).hectares, whole, rtol=1e-7)


def test_a_map_has_not_changed_into_itself(tmp_path: Path):
    """A map compared with itself is all diagonal."""
    path = write(tmp_path / "a.tif", np.array([[0, 1], [7, 255]], np.uint8))
    found = compare_maps(path, path)
    assert found.changed == 0
    assert np.count_nonzero(found.hectares) == 3


def test_shifted_windows_are_compared_where_they_overlap(tmp_path: Path):
    """Two maps of one grid, one of them begun elsewhere, are compared pixel on pixel, and only where both are."""
    codes = np.arange(64, dtype=np.uint8).reshape(8, 8)
    first = write(tmp_path / "a.tif", codes, {})
    second = write(tmp_path / "b.tif", codes[3:, 2:], {}, place=(HERE[0] + 20, HERE[1] - 30, 10.0))
    found = compare_maps(first, second)
    assert found.changed == 0
    assert {*found.before} == {*codes[3:, 2:].ravel().tolist()}


def test_another_grid_is_met_by_nearest_neighbour(tmp_path: Path):
    """A map in another CRS and of other pixels is looked up at each pixel's centre."""
    codes = np.kron(np.array([[0, 1], [7, 0]], np.uint8), np.ones((40, 40), np.uint8))
    first = write(tmp_path / "a.tif", codes)
    lon, lat = Transformer.from_crs(ANY_EPSG, 4326, always_xy=True).transform(HERE[0] - 500, HERE[1] + 500)
    step = 1 / 9000
    rows, cols = np.mgrid[0:200, 0:200]
    x, y = Transformer.from_crs(4326, ANY_EPSG, always_xy=True).transform(
        lon + (cols + 0.5) * step, lat - (rows + 0.5) * step
    )
    row, col = ((HERE[1] - y) // 10).astype(int), ((x - HERE[0]) // 10).astype(int)
    inside = (row >= 0) & (row < 80) & (col >= 0) & (col < 80)
    other = np.where(inside, codes[row.clip(0, 79), col.clip(0, 79)], 255).astype(np.uint8)
    second = write(tmp_path / "b.tif", other, place=(lon, lat, step), epsg=4326)
    assert compare_maps(first, second).changed < 0.03
    assert compare_maps(second, first).changed < 0.03


def test_nodata_is_what_the_file_says(tmp_path: Path):
    """A map whose nodata is 0 has no class 0, and one that has none says everything."""
    codes = np.array([[0, 1, 1]], np.uint8)
    found = compare_maps(
        write(tmp_path / "a.tif", codes, nodata=0), write(tmp_path / "b.tif", codes.copy(), nodata=None)
    )
    assert [*found.before] == [*found.after] == [1]


def test_classes_are_told_by_name(tmp_path: Path):
    """One class under two codes has not changed; one code for two classes has."""
    first = write(tmp_path / "a.tif", np.array([[1, 2]], np.uint8), {1: "Maize", 2: "forest"})
    second = write(tmp_path / "b.tif", np.array([[5, 2]], np.uint8), {5: "maize ", 2: "water"})
    assert compare_maps(first, second).changed == pytest.approx(0.5, abs=1e-6)


def test_a_map_without_names_takes_the_others(tmp_path: Path):
    """Where one map has no legend its codes are taken to be the other's."""
    codes = np.array([[0, 1, 7]], np.uint8)
    first, second = write(tmp_path / "a.tif", codes), write(tmp_path / "b.tif", codes, {})
    assert compare_maps(first, second).changed == compare_maps(second, first).changed == 0


def test_legends_with_nothing_in_common_are_refused(tmp_path: Path):
    """Maps of different things have no change between them."""
    codes = np.zeros((2, 2), np.uint8)
    first, second = write(tmp_path / "a.tif", codes), write(tmp_path / "b.tif", codes, {0: "water", 1: "built"})
    with pytest.raises(UsageError, match="share no class: maize, soya, forest against water, built"):
        compare_maps(first, second)


@pytest.mark.parametrize(
    ("codes", "epsg", "says"),
    [
        (np.zeros((2, 2), np.float32), ANY_EPSG, "b.tif has 1 bands of float32"),
        (np.zeros((2, 2), np.uint16), ANY_EPSG, "b.tif has 1 bands of uint16"),
        (np.zeros((2, 2), np.uint8), None, "b.tif does not say its CRS"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_other_rasters_are_refused(tmp_path: Path, codes: np.ndarray, epsg: int | None, says: str):
    """What is no class map is named, with what it is, whichever of the two it is."""
    good, bad = write(tmp_path / "a.tif", np.zeros((2, 2), np.uint8)), write(tmp_path / "b.tif", codes, epsg=epsg)
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(UsageError, match=says):
            compare_maps(*pair)


def test_files_that_are_no_rasters_are_refused(tmp_path: Path):
    """A missing or foreign file is a usage error that names the files."""
    good = write(tmp_path / "a.tif", np.zeros((2, 2), np.uint8))
    (tmp_path / "text.tif").write_text("no raster", encoding="utf-8")
    for bad in ("text.tif", "missing.tif"):
        with pytest.raises(UsageError, match=rf"{bad}.*cannot be read"):
            compare_maps(good, str(tmp_path / bad))


def test_items_stand_for_their_maps(tmp_path: Path):
    """The item of a published map may be given for the map, whether its href is relative or absolute."""
    path = write(tmp_path / "map.tif", np.zeros((2, 2), np.uint8))
    for number, href in enumerate(("./map.tif", path, "https://host/map.tif")):
        item = tmp_path / f"item{number}.json"
        item.write_text(json.dumps({"assets": {"map": {"href": href}}}), encoding="utf-8")
        assert map_path(str(item)) == (href if "://" in href else path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"assets": {"map": {}}}', '{"assets": {"map": {"href": 3}}}'])
def test_other_documents_are_refused(tmp_path: Path, text: str):
    """A document that is no item of a map is refused with its name."""
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"other\.json is no item"):
        map_path(str(path))


def test_the_text_warns(tmp_path: Path):
    """Whoever reads the matrix reads that pixel-counted change is biased, and where that is shown."""
    before = np.zeros((10, 10), np.uint8)
    after = before.copy()
    after[:3] = 7
    text = str(compare_maps(write(tmp_path / "a.tif", before), write(tmp_path / "b.tif", after)))
    assert WARNING in text
    assert "Olofsson et al. 2014" in text
    assert "30.0% of 1.00 ha changed class" in text
    assert [line.split() for line in text.splitlines()[1:3]] == [
        ["maize", "0.70", "0.30", "1.00", "70.0%"],
        ["total", "0.70", "0.30", "1.00", "70.0%"],
    ]


def test_the_csv_has_a_line_per_transition(tmp_path: Path):
    """Hectares with their share of all and of the class before; what did not occur has no line."""
    before, after = np.array([[0, 0, 0, 1]], np.uint8), np.array([[0, 0, 7, 1]], np.uint8)
    text = compare_maps(write(tmp_path / "a.tif", before), write(tmp_path / "b.tif", after)).to_csv()
    rows = [*csv.DictReader(io.StringIO(text))]
    assert [(row["from"], row["to"]) for row in rows] == [("maize", "maize"), ("maize", "forest"), ("soya", "soya")]
    assert [float(row["share_of_from"]) for row in rows] == pytest.approx([2 / 3, 1 / 3, 1], abs=1e-5)
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1, abs=1e-5)


def test_a_raster_in_memory_is_one_too():
    """Paths are GDAL's: what it can open can be compared."""
    with MemoryFile(ext=".tif") as one:
        with one.open(
            driver="GTiff", count=1, dtype="uint8", height=1, width=1, crs="EPSG:32736", transform=Affine.scale(10, -10)
        ) as target:
            target.write(np.ones((1, 1, 1), np.uint8))
        assert compare_maps(one.name, one.name).changed == 0
