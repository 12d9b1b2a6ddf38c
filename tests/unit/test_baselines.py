from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rio_cogeo import cog_validate

from steps import naming
from steps.baselines import import_baselines
from steps.dynamic_world import list_baselines
from steps.errors import DataError, GeoCropError, UsageError
from steps.legend import DYNAMIC_WORLD
from steps.store import FolderStore

ANY_PLACE = Affine(10, 0, 300_000, 0, -10, 8_020_000)


def export(path: Path, labels: NDArray[Any], place: Affine = ANY_PLACE, **changes: Any) -> str:
    """A GeoTIFF as Earth Engine exports it."""
    bands = labels if labels.ndim == 3 else labels[None]
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": labels.dtype.name,
        "count": len(bands),
        "height": bands.shape[1],
        "width": bands.shape[2],
        "crs": "EPSG:32736",
        "transform": place,
    }
    with rasterio.open(path, "w", **(profile | changes)) as target:
        target.write(bands)
    return str(path)


def any_labels(shape: tuple[int, int] = (40, 60), seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 9, shape, np.uint8)


def imported(tmp_path: Path, year: int) -> NDArray[np.uint8]:
    with rasterio.open(tmp_path / "store" / naming.baseline_key(year)) as source:
        return np.asarray(source.read(1))


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def test_a_baseline_is_a_cog_with_dynamic_worlds_colours(tmp_path: Path, store: FolderStore) -> None:
    """An export becomes a strict COG under its year's key, with the official colours and names."""
    labels = any_labels((700, 600))
    keys = import_baselines([export(tmp_path / "dw_harare_2019.tif", labels)], store)
    path = tmp_path / "store" / keys[2019]
    assert keys == {2019: "baselines/dynamic-world/2019.tif"}
    assert cog_validate(path, strict=True, quiet=True)[0]
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(source.read(1), labels)
        assert (source.crs.to_epsg(), source.transform, source.nodata) == (32736, ANY_PLACE, 255)
        colours = {code: bytes(source.colormap(1)[code][:3]).hex() for code in range(9)}
        assert [colours[code] for code in range(9)] == [
            "419bdf", "397d49", "88b053", "7a87c6", "e49635", "dfc35a", "c4281b", "a59b8f", "b39fe1",
        ]  # fmt: skip
        assert source.tags(1) == {f"CLASS_{entry.code}": entry.name for entry in DYNAMIC_WORLD}
        assert source.tags()["YEAR"] == "2019"
        assert source.tags()["TIFFTAG_COPYRIGHT"].endswith("CC BY 4.0")
        assert "PARTIAL_FROM" not in source.tags()


def test_2015_is_marked_partial(tmp_path: Path, store: FolderStore) -> None:
    """The year that begins in June says so."""
    import_baselines([export(tmp_path / "dw2015.tif", any_labels())], store)
    with rasterio.open(tmp_path / "store" / naming.baseline_key(2015)) as source:
        assert source.tags()["PARTIAL_FROM"] == "2015-06-27"


def test_tiles_of_a_year_are_put_together(tmp_path: Path, store: FolderStore) -> None:
    """Files that touch, overlap or leave a gap make one raster; where two overlap the first counts."""
    whole = any_labels((1200, 90))
    second = np.where(whole == 8, 0, whole + 1).astype(np.uint8)
    files = [
        export(tmp_path / "a_2020.tif", whole[:600, :50]),
        export(tmp_path / "b_2020.tif", second[590:, 40:], Affine(10, 0, 300_400, 0, -10, 8_014_100)),
    ]
    import_baselines(files, store)
    expected = np.full(whole.shape, 255, np.uint8)
    expected[590:, 40:] = second[590:, 40:]
    expected[:600, :50] = whole[:600, :50]
    np.testing.assert_array_equal(imported(tmp_path, 2020), expected)


def test_years_are_told_by_names_or_by_option(tmp_path: Path, store: FolderStore) -> None:
    """Several years come at once by their names; an option overrules them."""
    files = [export(tmp_path / f"dw-{year}-x.tif", any_labels(seed=year)) for year in (2017, 2018)]
    assert import_baselines(files, store) == {year: naming.baseline_key(year) for year in (2017, 2018)}
    np.testing.assert_array_equal(imported(tmp_path, 2018), any_labels(seed=2018))
    assert list(import_baselines(files[:1], store, year=2021)) == [2021]


@pytest.mark.parametrize("nodata", [255, -1, 9])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_unlabelled_pixels_are_nodata(tmp_path: Path, store: FolderStore, dtype: str, nodata: int) -> None:
    """Whatever an export declares as nodata becomes 255, in whole numbers of any type."""
    labels = any_labels()
    exported = np.where(labels == 3, nodata, labels).astype(dtype)
    import_baselines([export(tmp_path / "2019.tif", exported, nodata=nodata)], store)
    np.testing.assert_array_equal(imported(tmp_path, 2019), np.where(labels == 3, 255, labels))


def test_255_is_nodata_without_being_declared(tmp_path: Path, store: FolderStore) -> None:
    """`unmask(255)` without a declared nodata is understood."""
    labels = np.where(any_labels() == 0, 255, any_labels()).astype(np.uint8)
    import_baselines([export(tmp_path / "2019.tif", labels)], store)
    np.testing.assert_array_equal(imported(tmp_path, 2019), labels)


def test_degrees_are_fine(tmp_path: Path, store: FolderStore) -> None:
    """An export in longitude and latitude stays in it."""
    place = Affine(9e-5, 0, 31.0, 0, -9e-5, -17.8)
    import_baselines([export(tmp_path / "2019.tif", any_labels(), place, crs="EPSG:4326")], store)
    with rasterio.open(tmp_path / "store" / naming.baseline_key(2019)) as source:
        assert (source.crs.to_epsg(), source.transform) == (4326, place)


@pytest.mark.parametrize(("value", "dtype"), [(9, "uint8"), (254, "uint8"), (-3, "int16"), (2.5, "float32")])
def test_a_value_that_is_no_label_is_refused(tmp_path: Path, store: FolderStore, value: float, dtype: str) -> None:
    """A pixel that is no label refuses the import, naming file and value; no year of it is stored."""
    labels = any_labels().astype(dtype)
    labels[-1, -1] = value
    files = [export(tmp_path / "good_2018.tif", any_labels()), export(tmp_path / "bad_2019.tif", labels)]
    with pytest.raises(DataError, match=rf"bad_2019.tif has the value {value:g}: .*0 to 8"):
        import_baselines(files, store)
    assert not list(store.list(""))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodata": 0}, "nodata 0, which is the label of water"),
        ({"crs": None}, "no CRS"),
        ({"crs": "+proj=laea +lat_0=11 +lon_0=22 +datum=WGS84"}, "no CRS with an EPSG code"),
        ({"place": Affine(500, 0, 300_000, 0, -500, 8_020_000)}, "about 500 m"),
        ({"place": Affine(10, 0, 300_000, 0, -20, 8_020_000)}, "pixels of 10 x -20"),
        ({"place": Affine(10, 0, 300_000, 0, 10, 8_020_000)}, "pixels of 10 x 10"),
        ({"labels": np.zeros((2, 5, 5), np.uint8)}, "2 bands"),
        ({"labels": np.zeros((5, 5), np.complex64)}, "complex64 pixels"),
    ],
)
def test_an_export_that_is_none_is_refused(
    tmp_path: Path, store: FolderStore, changes: dict[str, Any], message: str
) -> None:
    """Wrong CRS, resolution, nodata, bands or type are named together with the file."""
    file = export(tmp_path / "2019.tif", **({"labels": any_labels()} | changes))
    with pytest.raises(DataError, match=f"2019.tif has .*{message}"):
        import_baselines([file], store)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_file_that_is_no_raster_is_refused(tmp_path: Path, store: FolderStore) -> None:
    """Text, nothing at all and half a file are data errors that name the file."""
    (tmp_path / "text_2019.tif").write_text("hello", encoding="utf-8")
    whole = Path(export(tmp_path / "half_2019.tif", any_labels((900, 900)), compress="deflate"))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for name in ("text_2019.tif", "missing_2019.tif", "half_2019.tif"):
        with pytest.raises(DataError, match=name):
            import_baselines([str(tmp_path / name)], store)


@pytest.mark.parametrize("name", ["dw.tif", "dw_2018_2019.tif", "dw_1999.tif", "dw_2099.tif"])
def test_a_year_that_is_none_is_refused(tmp_path: Path, store: FolderStore, name: str) -> None:
    """A name without a year, with two, or with one that Dynamic World does not have, is a usage error."""
    with pytest.raises(UsageError, match="year"):
        import_baselines([export(tmp_path / name, any_labels())], store)


def test_files_of_a_year_must_fit(tmp_path: Path, store: FolderStore) -> None:
    """Two CRSs or resolutions in one year are refused, naming both files."""
    files = [
        export(tmp_path / "a_2019.tif", any_labels()),
        export(tmp_path / "b_2019.tif", any_labels(), crs="EPSG:32735"),
    ]
    with pytest.raises(GeoCropError, match=r"b_2019.tif has EPSG:32735 at 10, .*a_2019.tif EPSG:32736"):
        import_baselines(files, store)


def test_a_baseline_is_listed_without_being_opened(tmp_path: Path, store: FolderStore) -> None:
    """What is known of each year lies beside it: its bounds, its size and checksum, and since when it has images."""
    names = ("dw_2018.tif", "dw_2015.tif")
    import_baselines([export(tmp_path / name, any_labels()) for name in names], store)
    found = list_baselines(store)
    assert [(one.year, one.partial_from) for one in found] == [(2015, "2015-06-27"), (2018, "")]
    assert all(one.bytes == store.size(naming.baseline_key(one.year)) for one in found)
    assert all(one.sha256 == sha256(store.get_bytes(naming.baseline_key(one.year))).hexdigest() for one in found)
    west, south, east, north = found[0].bounds
    assert -180 < west < east < 180
    assert -90 < south < north < 0
