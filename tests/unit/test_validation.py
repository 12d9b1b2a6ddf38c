"""Drawing a sample from a map, and reading it back labelled."""

import csv
import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import msgspec
import numpy as np
import pandas
import pyogrio
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine

from steps.areas import pixel_areas
from steps.errors import DataError, GeoCropError, UsageError
from steps.model.card import ClassDef
from steps.testing import ANY_EPSG, any_classes
from steps.validation import (
    Design,
    Wish,
    check_sample_path,
    design_path,
    draw_sample,
    read_design,
    read_labels,
    read_users,
    write_sample,
)
from tests.published_map import TRANSFORM, any_map, write_map

NAMES = {one.code: one.name for one in any_classes()}
SUFFIXES = (".gpkg", ".geojson", ".csv")
FEW = Wish(standard_error=0.05, minimum=20)


def drawn(path: Path, wish: Wish = FEW) -> Design:
    """A sample of a map of `any_classes`."""
    return draw_sample(path, any_classes(), wish, item="any-map", map_sha256="ab" * 32)


def places(design: Design) -> np.ndarray:
    """int (units, 2): row and column of the drawn pixels, from their x and y."""
    step, _, left, _, _, top = TRANSFORM
    return np.array([(int((top - unit.y) // step), int((unit.x - left) // step)) for unit in design.units])


def labels_of(path: Path, labels: dict[int, object], *, column: str = "reference", ids: Any = None) -> None:
    """Fill in a sample file, as a labeller does with another program: rows reversed, one more column."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))[::-1]
        for row in rows:
            row[column], row["remark"] = str(labels.get(int(row["id"]), "")), "seen"
            row["id"] = (ids or {}).get(int(row["id"]), row["id"])
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return
    frame = geopandas.read_file(path)
    frame[column], frame["remark"] = [labels.get(int(one)) for one in frame["id"]], "seen"
    frame["id"] = [(ids or {}).get(int(one), one) for one in frame["id"]]
    path.unlink()
    frame[::-1].to_file(path)


@pytest.fixture
def class_map(tmp_path: Path) -> Path:
    """A map that fills more than one window in both directions, with windows of different classes."""
    classes = any_map(1100, 1300)
    classes[:200, :200] = 1
    classes[1030:, 1030:] = 255
    return write_map(tmp_path / "map.tif", classes)


@pytest.fixture
def small_map(tmp_path: Path) -> Path:
    return write_map(tmp_path / "small.tif", any_map())


def test_units_are_distinct_pixels_of_their_class(class_map: Path) -> None:
    """Each unit lies in the centre of a mapped pixel of the class that the design says, and no pixel comes twice."""
    design = drawn(class_map)
    with rasterio.open(class_map) as source:
        classes = source.read(1)
    found = places(design)
    assert [int(code) for code in classes[found[:, 0], found[:, 1]]] == [unit.code for unit in design.units]
    assert len({tuple(place) for place in found}) == len(design.units)
    assert all((unit.x - TRANSFORM[2]) % 10 == (TRANSFORM[5] - unit.y) % 10 == 5 for unit in design.units)


def test_places_on_earth_are_those_of_the_pixels(class_map: Path) -> None:
    """Longitude and latitude lead back to x and y, to a centimetre."""
    design = drawn(class_map)
    points = geopandas.GeoSeries.from_xy([u.lon for u in design.units], [u.lat for u in design.units], crs=4326)
    back = points.to_crs(ANY_EPSG)
    assert np.allclose(back.x, [unit.x for unit in design.units], atol=0.01)
    assert np.allclose(back.y, [unit.y for unit in design.units], atol=0.01)


def test_strata_are_the_whole_map(class_map: Path) -> None:
    """Pixels and true areas of the strata are those counted at once from the whole raster."""
    with rasterio.open(class_map) as source:
        classes = source.read(1)
    areas = pixel_areas(ANY_EPSG, TRANSFORM, classes.shape) / 10_000
    for stratum in drawn(class_map).strata:
        assert stratum.pixels == (classes == stratum.code).sum()
        assert stratum.hectares == pytest.approx(areas[classes == stratum.code].sum(), rel=1e-6)
    assert sum(one.pixels for one in drawn(class_map).strata) == (classes != 255).sum()


@given(
    classes=st.lists(st.sampled_from([0, 1, 7, 255]), min_size=12, max_size=12).filter(lambda codes: {*codes} != {255})
)
@settings(deadline=None, max_examples=30)
def test_a_sample_of_everything_is_the_map(classes: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    """With a minimum above the number of pixels, every mapped pixel is drawn exactly once."""
    array = np.array(classes, np.uint8).reshape(3, 4)
    path = write_map(tmp_path_factory.mktemp("all") / "map.tif", array)
    found = [tuple(place) for place in places(drawn(path, Wish(minimum=50)))]
    assert sorted(found) == [tuple(place) for place in np.argwhere(array != 255)]


def test_the_same_seed_draws_the_same_sample(class_map: Path) -> None:
    """A sample is a function of the map and what is asked; another seed draws other pixels."""
    first = drawn(class_map)
    assert drawn(class_map) == first
    other = drawn(class_map, msgspec.structs.replace(FEW, seed=1))
    assert {(unit.x, unit.y) for unit in other.units} != {(unit.x, unit.y) for unit in first.units}
    assert other.strata == first.strata


def test_every_pixel_has_the_same_chance(small_map: Path) -> None:
    """Over many seeds the drawn pixels of a class are spread as the class is: in thirds of the map, to 4 sigma."""
    with rasterio.open(small_map) as source:
        classes = source.read(1)
    thirds = np.arange(classes.shape[0])[:, None] * 3 // classes.shape[0] * np.ones(classes.shape, int)
    counts: Counter[int] = Counter()
    for seed in range(40):
        design = drawn(small_map, Wish(standard_error=0.03, minimum=20, seed=seed))
        codes = np.array([unit.code for unit in design.units])
        counts.update(thirds[tuple(places(design)[codes == 7].T)].tolist())
    total = sum(counts.values())
    for third in range(3):
        share = (thirds[classes == 7] == third).mean()
        assert abs(counts[third] / total - share) < 4 * np.sqrt(share * (1 - share) / total)


def test_rare_classes_get_the_minimum(class_map: Path) -> None:
    """The rare class has the minimum, and the size is that of the wanted standard error."""
    design = drawn(class_map, Wish(standard_error=0.02, minimum=50))
    counts = Counter(unit.code for unit in design.units)
    assert counts[0] == 50
    assert sum(counts.values()) == 400, "(0.4 / 0.02) ** 2, with the default guess of 0.8"


PEAK = """
import sys
from pathlib import Path
from steps.testing import any_classes
from steps.validation import Wish, draw_sample

def peak_kb():
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

def sample(name):
    wish = Wish(standard_error=0.05, minimum=20)
    return draw_sample(Path(name), any_classes(), wish, item="any-map", map_sha256="ab" * 32)

sample(sys.argv[1])
before = peak_kb()
design = sample(sys.argv[2])
print(peak_kb() - before, len(design.units), min(unit.y for unit in design.units))
"""


def test_memory_does_not_grow_with_the_map(tmp_path: Path) -> None:
    """A map of 150 MB of pixels takes hardly more memory than one of 4 MB, and its far corner is drawn from too."""
    small, large, side = write_map(tmp_path / "small.tif", any_map(2000, 2000)), tmp_path / "large.tif", 12_288
    with rasterio.open(
        large, "w", driver="GTiff", width=side, height=side, count=1, dtype="uint8", nodata=255, crs=f"EPSG:{ANY_EPSG}",
        transform=Affine(*TRANSFORM), tiled=True, compress="deflate", sparse_ok=True,
    ) as target:  # fmt: skip
        for corner in (0, 5000, 11_000):
            target.write(any_map(900, 1200), 1, window=rasterio.windows.Window(corner, corner, 1200, 900))
    command = [sys.executable, "-c", PEAK, str(small), str(large)]
    grown, units, lowest = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.split()
    assert int(units) >= 60
    assert float(lowest) < TRANSFORM[5] - 110_000
    assert int(grown) < 75_000, "kB: half of the large map"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_labellers_are_blind(class_map: Path, tmp_path: Path, suffix: str) -> None:
    """The file to label has ids, places and an empty column; neither it nor the order of ids says what the map says."""
    design, path = drawn(class_map), tmp_path / f"points{suffix}"
    write_sample(path, design)
    if suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
    else:
        rows = geopandas.read_file(path).drop(columns="geometry").to_dict("records")
    assert {tuple(row) for row in rows} == {("id", "lon", "lat", "reference")}
    assert {row["reference"] or "" for row in rows} == {""}
    assert [int(row["id"]) for row in rows] == list(range(1, len(design.units) + 1))
    codes = [unit.code for unit in design.units]
    changes = sum(one != other for one, other in itertools.pairwise(codes))
    assert changes > len(codes) / 4


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "spell", [lambda code: NAMES[code].upper(), lambda code: code, lambda code: f" {NAMES[code]} "]
)
def test_labels_come_back(small_map: Path, tmp_path: Path, suffix: str, spell: Callable[[int], object]) -> None:
    """In another order, as names or codes, with some left empty: the counts are those of the labels."""
    path = tmp_path / f"points{suffix}"
    write_sample(path, drawn(small_map))
    design = read_design(design_path(path))
    assert design == drawn(small_map)
    truth = {unit.id: 7 if unit.code == 1 else unit.code for unit in design.units if unit.id > 3}
    labels_of(path, {key: spell(code) for key, code in truth.items()})
    labelled = read_labels(path, "reference", design)
    assert labelled.unlabelled == (1, 2, 3)
    expected = Counter((unit.code, truth[unit.id]) for unit in design.units if unit.id > 3)
    codes = [one.code for one in any_classes()]
    assert labelled.counts.tolist() == [[expected[one, other] for other in codes] for one in codes]


def test_a_geopackage_with_styles_is_read(small_map: Path, tmp_path: Path) -> None:
    """QGIS may put a table of styles beside the points; they are found all the same."""
    design, path = drawn(small_map), tmp_path / "points.gpkg"
    write_sample(path, design)
    frame = geopandas.read_file(path, layer="sample")
    frame["reference"] = "maize"
    frame.to_file(path, layer="sample")
    pyogrio.write_dataframe(pandas.DataFrame({"styleQML": ["any"]}), path, layer="layer_styles", append=False)
    assert len(pyogrio.list_layers(path)) == 2
    assert read_labels(path, "reference", design).counts.sum() == len(design.units)


def test_points_that_were_removed_are_unlabelled(small_map: Path, tmp_path: Path) -> None:
    """A point that is no longer in the file is reported as one without a label."""
    design, path = drawn(small_map), tmp_path / "points.csv"
    path.write_text(f"id,label\n2,maize\n{len(design.units)},forest\n", encoding="utf-8")
    labelled = read_labels(path, "label", design)
    assert labelled.counts.sum() == 2
    assert labelled.unlabelled == tuple(sorted({one.id for one in design.units} - {2, len(design.units)}))


def test_a_spreadsheets_csv_is_read(small_map: Path, tmp_path: Path) -> None:
    """Semicolons, a byte order mark, decimal commas, Windows line ends and blank rows do no harm."""
    design, path = drawn(small_map), tmp_path / "points.csv"
    path.write_bytes("\ufeffid;lon;lat;reference\r\n1,0;33,1;-17,9;maize\r\n;;;\r\n2;;;7\r\n".encode())
    with pytest.raises(DataError, match="never drawn: None"):
        read_labels(path, "reference", design)
    path.write_bytes("\ufeffid;lon;lat;reference\r\n1;33,1;-17,9;maize\r\n;;;\r\n2;;;7\r\n".encode())
    assert read_labels(path, "reference", design).counts.sum() == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("labels", "ids", "said"),
    [
        ({4: "maize", 5: "moon"}, {}, r"no class of the map: 5 \(moon\): label with one of maize \(0\), soya \(1\)"),
        ({4: "maize"}, {7: 9999}, "never drawn: 9999"),
        ({4: "maize"}, {7: 8}, "come twice: 8"),
        ({4: "maize"}, {7: 8, 8: 7}, "do not lie where they were drawn: 7, 8|do not lie where they were drawn: 8, 7"),
        ({}, {}, "no labelled point"),
    ],
)
def test_what_is_wrong_is_named(
    small_map: Path, tmp_path: Path, suffix: str, labels: dict[int, object], ids: dict[int, int], said: str
) -> None:
    """Labels that are no class, ids that were never drawn or come twice, and moved points are bad data, by id."""
    path, design = tmp_path / f"points{suffix}", drawn(small_map)
    write_sample(path, design)
    labels_of(path, labels, ids=ids)
    with pytest.raises(DataError, match=said) as caught:
        read_labels(path, "reference", design)
    assert caught.value.exit_code == 65


def test_another_samples_points_are_refused(small_map: Path, tmp_path: Path) -> None:
    """Points of another seed have the same ids, and lie elsewhere."""
    path = tmp_path / "points.geojson"
    write_sample(path, drawn(small_map, msgspec.structs.replace(FEW, seed=5)))
    labels_of(path, {1: "maize"})
    with pytest.raises(DataError, match="do not lie where they were drawn"):
        read_labels(path, "reference", drawn(small_map))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_column_is_a_usage_error(small_map: Path, tmp_path: Path, suffix: str) -> None:
    """The message names the column, and those that there are."""
    path, design = tmp_path / f"points{suffix}", drawn(small_map)
    write_sample(path, design)
    with pytest.raises(UsageError, match="no column truth: there are: id, lon, lat, reference"):
        read_labels(path, "truth", design)


@pytest.mark.parametrize("name", ["points.gpkg", "points.gpkg.design.json"])
def test_labels_are_never_overwritten(small_map: Path, tmp_path: Path, name: str) -> None:
    """A file that is there is left alone: it may hold days of work."""
    (tmp_path / name).write_text("labels", encoding="utf-8")
    with pytest.raises(UsageError, match="exists"):
        write_sample(tmp_path / "points.gpkg", drawn(small_map))
    assert (tmp_path / name).read_text(encoding="utf-8") == "labels"


def test_other_formats_are_refused(tmp_path: Path) -> None:
    """A suffix that is no format of ours is a usage error that names those that are."""
    with pytest.raises(UsageError, match=r"\.gpkg, \.geojson, \.csv"):
        check_sample_path(tmp_path / "points.shp")


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda text: text[: len(text) // 2], DataError, "no design"),
        (lambda _: "[]", DataError, "no design"),
        (lambda text: text.replace('"standard_error": 0.05', '"standard_error": 5'), DataError, "no design"),
        (lambda text: text.replace('"code": 7,\n      "name"', '"code": 8,\n      "name"'), DataError, "strata"),
    ],
)
def test_a_damaged_design_is_refused(
    small_map: Path, tmp_path: Path, change: Callable[[str], str], error: type[GeoCropError], said: str
) -> None:
    """What is no design, or does not fit together, is bad data."""
    path = tmp_path / "points.csv"
    write_sample(path, drawn(small_map))
    text = design_path(path).read_text(encoding="utf-8")
    assert change(text) != text
    design_path(path).write_text(change(text), encoding="utf-8")
    with pytest.raises(error, match=said):
        read_design(design_path(path))


def test_a_missing_design_is_a_usage_error(tmp_path: Path) -> None:
    """The message says how to give it."""
    with pytest.raises(UsageError, match="--design"):
        read_design(tmp_path / "nothing.design.json")


@pytest.mark.parametrize(
    "wish", [{"standard_error": 0}, {"standard_error": 0.7}, {"minimum": 1}, {"seed": -1}], ids=lambda wish: [*wish]
)
def test_impossible_wishes_are_refused(wish: dict[str, Any]) -> None:
    """No standard error of zero, no class with a single unit, no negative seed."""
    with pytest.raises(UsageError):
        Wish(**wish)


@pytest.mark.parametrize(
    "text", ["class,accuracy\nmaize,0.7\n7,0.95\n", '{"Maize": 0.7, "7": 0.95}', "\ufeffmaize,0.7\nforest,0.95\n"]
)
def test_expected_accuracies_are_read(tmp_path: Path, text: str) -> None:
    """From CSV or JSON, by name or code."""
    path = tmp_path / "users"
    path.write_text(text, encoding="utf-8")
    assert read_users(path, any_classes()) == {0: 0.7, 7: 0.95}


@pytest.mark.parametrize(
    ("text", "error"),
    [("maize,7\n", DataError), ("moon,0.5\n", DataError), ("maize\n", UsageError), ('{"maize": "x"}', UsageError),
     ("{", UsageError), ('{"maize": [1]}', UsageError)],
)  # fmt: skip
def test_bad_expected_accuracies_are_refused(tmp_path: Path, text: str, error: type[GeoCropError]) -> None:
    """Classes that are not on the map, numbers that are no share, and files of another kind."""
    path = tmp_path / "users"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match="users"):
        read_users(path, any_classes())


def test_expected_accuracies_shape_the_sample(small_map: Path) -> None:
    """Classes that are expected to be right need fewer units."""
    sure = Wish(standard_error=0.05, minimum=2, users=dict.fromkeys(NAMES, 0.95))
    assert len(drawn(small_map, sure).units) == 19
    assert len(drawn(small_map, Wish(standard_error=0.05, minimum=2)).units) == 64


@pytest.mark.parametrize(
    ("classes", "said"), [(np.full((5, 5), 255), "no mapped pixel"), (np.full((5, 5), 3), r"unknown classes \[3\]")]
)
def test_what_is_no_map_is_refused(tmp_path: Path, classes: np.ndarray, said: str) -> None:
    """A raster without a mapped pixel, or with codes that the legend does not have."""
    path = write_map(tmp_path / "map.tif", classes.astype(np.uint8))
    with pytest.raises(DataError, match=said):
        drawn(path)


def test_a_name_that_two_classes_share_is_no_label(small_map: Path, tmp_path: Path) -> None:
    """It could mean either; their codes still tell them apart."""
    twins = [ClassDef(code=code, name="Maize", colour="e3a72f") for code in (0, 1)]
    classes = [*twins, any_classes()[2]]
    design = draw_sample(small_map, classes, FEW, item="any-map", map_sha256="ab" * 32)
    path = tmp_path / "points.csv"
    path.write_text("id,reference\n1,maize\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"1 \(maize\)"):
        read_labels(path, "reference", design)
    path.write_text("id,reference\n1,1\n", encoding="utf-8")
    assert read_labels(path, "reference", design).counts[:, 1].sum() == 1


def test_the_design_is_plain_json(small_map: Path, tmp_path: Path) -> None:
    """It names the map by id and digest, and has the strata with their areas."""
    write_sample(tmp_path / "points.csv", drawn(small_map))
    said = json.loads(design_path(tmp_path / "points.csv").read_text(encoding="utf-8"))
    assert (said["item"], said["map_sha256"]) == ("any-map", "ab" * 32)
    assert [one["name"] for one in said["strata"]] == ["maize", "soya", "forest"]
    assert all(one["hectares"] > 0 for one in said["strata"])
