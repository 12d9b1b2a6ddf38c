"""The synthetic landscape."""

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import shapely.geometry
from rio_cogeo import cog_validate

from steps import scenery
from steps.landscape import COLLECTION, SEASON, Landscape, make_landscape, plan_passes


@pytest.fixture(scope="module")
def landscape(tmp_path_factory: pytest.TempPathFactory) -> Landscape:
    return make_landscape(tmp_path_factory.mktemp("landscape"), size_px=192, dates=12, years=(2021,), lies=1)


@pytest.fixture(scope="module")
def items(landscape: Landscape) -> list[pystac.Item]:
    return list(pystac.Catalog.from_file(str(landscape.catalog)).get_items(recursive=True))


def _digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def _read(item: pystac.Item, band: str) -> np.ndarray:
    with rasterio.open(item.assets[band].get_absolute_href()) as source:
        return source.read(1)


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """Two landscapes of one seed are alike to the byte; another seed is another landscape."""
    folders = [tmp_path / name for name in "abc"]
    for folder, seed in zip(folders, (1, 1, 2), strict=True):
        make_landscape(folder, seed=seed, size_px=96, dates=3, years=(2021,))
    first, again, other = map(_digest, folders)
    assert first == again != other


def test_progress_ends_at_its_total(tmp_path: Path) -> None:
    """Progress is told once per date, and the last call says that all are done."""
    told: list[tuple[int, int]] = []
    make_landscape(tmp_path, size_px=96, dates=3, years=(), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(("size", "dates"), [(100, 5), (48, 5), (96, 0), (96, 74)])
def test_impossible_sizes_are_refused(tmp_path: Path, size: int, dates: int) -> None:
    """A size that 20 m and 60 m pixels do not divide, or dates that do not exist, are refused and nothing is made."""
    with pytest.raises(ValueError, match="give a multiple of 12"):
        make_landscape(tmp_path / "new", size_px=size, dates=dates)
    assert not (tmp_path / "new").exists()


def test_the_catalog_lists_two_granules_of_one_solar_day(items: list[pystac.Item]) -> None:
    """Both granules are seen on most days, and their footprints overlap without being equal."""
    by_day: dict[object, list[pystac.Item]] = {}
    for item in items:
        by_day.setdefault(item.datetime.date(), []).append(item)
    pairs = [pair for pair in by_day.values() if len(pair) == 2]
    assert len(pairs) >= 6
    one, two = (shapely.geometry.shape(item.geometry) for item in pairs[0])
    assert 0.05 < (one & two).area / one.area < 0.6


def test_dates_are_irregular_within_the_season(items: list[pystac.Item]) -> None:
    """All dates lie in the season, gaps differ."""
    days = sorted({item.datetime.date() for item in items})
    assert SEASON.start <= days[0] <= days[-1] <= SEASON.end
    assert len({(b - a).days for a, b in itertools.pairwise(days)}) > 2


def test_assets_are_strict_cogs_that_match_their_items(items: list[pystac.Item]) -> None:
    """Files are valid COGs whose CRS, shape, transform, size and checksum are those that the item states."""
    item = items[0]
    for band, asset in item.assets.items():
        path = Path(asset.get_absolute_href() or "")
        valid, errors, warnings = cog_validate(path, strict=True)
        assert valid, (band, errors, warnings)
        with rasterio.open(path) as source:
            assert source.crs.to_string() == item.properties["proj:code"]
            assert list(source.shape) == asset.extra_fields["proj:shape"]
            assert list(source.transform[:6]) == asset.extra_fields["proj:transform"]
        assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_coarse_pixels_cover_exactly_four_fine_ones(items: list[pystac.Item]) -> None:
    """10 m and 20 m assets share their corner, and its coordinates are multiples of 60 m."""
    for item in items:
        fine, coarse = (item.assets[band].extra_fields["proj:transform"] for band in ("red", "swir16"))
        assert (fine[2], fine[5]) == (coarse[2], coarse[5])
        assert fine[2] % 60 == 0
        assert fine[5] % 60 == 0
        assert (fine[0], coarse[0]) == (10, 20)


def test_stated_offsets_are_in_the_pixels(items: list[pystac.Item]) -> None:
    """Clear water has the same reflectance on days with and without the offset, after it is applied."""
    seen: dict[float, list[float]] = {0.0: [], -0.1: []}
    for item in items:
        offset = item.assets["nir"].extra_fields["raster:bands"][0]["offset"]
        water = np.repeat(np.repeat(_read(item, "scl") == 6, 2, 0), 2, 1)
        if water.sum() > 50:
            seen[offset].append(float(np.median(_read(item, "nir")[water]) / 10_000))
    assert len(seen[0.0]) > 2
    assert len(seen[-0.1]) > 1
    assert np.median(seen[0.0]) == pytest.approx(0.02, abs=0.015)
    truthful = [value - 0.1 for value in seen[-0.1] if value > 0.1]
    assert np.median(truthful) == pytest.approx(0.02, abs=0.015)


def test_liars_state_an_offset_that_is_not_there() -> None:
    """`lies` days state an offset of -0.1, and are marked as lying; never more than asked for."""
    passes = plan_passes(192, 40, 2, np.random.default_rng(0))
    assert [overpass.states_offset for overpass in passes if overpass.lies] == [True, True]
    assert not any(overpass.states_offset for overpass in passes if overpass.baseline < "04.00")
    assert sum(overpass.states_offset for overpass in passes) > 4


def test_nodata_is_the_same_in_all_bands(items: list[pystac.Item]) -> None:
    """Where the swath ends, every band and the SCL are 0; nowhere else."""
    east = next(item for item in items if "36KUF" in item.id)
    missing = _read(east, "scl") == 0
    assert 0.02 < missing.mean() < 0.2
    assert ((_read(east, "swir16") == 0) == missing).all()


def test_scl_misses_the_edges_of_clouds() -> None:
    """Thin cloud brightens pixels that the SCL takes for clear, and only near what it calls cloud."""
    rng = np.random.default_rng(5)
    land = scenery.make_countryside(192, rng)
    sky = scenery.make_sky(192, 0.3, rng)
    scl = scenery.scene_classification(land, scenery.green_cover(land, 120), sky, rng)
    thin = (scenery.halve(sky.cloud) > 0.05) & np.isin(scl, (4, 5, 6))
    assert 0.005 < thin.mean() < 0.15


def test_shadows_are_clouds_displaced_to_the_south_west() -> None:
    """The shadow of a pixel is the cloud north-east of it."""
    sky = scenery.make_sky(192, 0.4, np.random.default_rng(1))
    np.testing.assert_array_equal(sky.shadow[6:, :-4], sky.cloud[:-6, 4:])


def test_crops_differ_in_their_season() -> None:
    """Wheat is green in winter, maize in summer; forest always, water never."""
    land = scenery.make_countryside(384, np.random.default_rng(0))

    def green(code: int, day: int) -> float:
        return float(np.median(scenery.green_cover(land, day)[land.object_class == code]))

    assert green(scenery.MAIZE, 120) > green(scenery.MAIZE, 300) + 0.4
    assert green(scenery.WHEAT, 300) > green(scenery.WHEAT, 120) + 0.4
    assert min(green(scenery.FOREST, day) for day in (5, 120, 240)) > 0.4
    assert green(scenery.WATER, 120) < 0.05


def test_every_class_is_on_the_ground_and_labelled_in_the_west(landscape: Landscape) -> None:
    """The truth has all classes; labels lie clear of the AOI and say the truth but for a few."""
    with rasterio.open(landscape.truth) as truth:
        assert set(np.unique(truth.read(1))) >= {1, 5, 6, 7, 8}
    labels = json.loads(landscape.labels.read_text(encoding="utf-8"))["features"]
    aoi = shapely.geometry.shape(json.loads(landscape.aoi.read_text(encoding="utf-8"))["features"][0]["geometry"])
    assert len(labels) > 20
    assert not any(shapely.geometry.shape(label["geometry"]).intersects(aoi) for label in labels)
    assert {label["properties"]["class"] for label in labels} <= {one.name for one in landscape.classes}


def test_parcels_do_not_overlap_and_districts_fill_the_square(landscape: Landscape) -> None:
    """Parcels are disjoint polygons with ids; the districts' areas add up to their union's."""
    parcels = json.loads(landscape.parcels.read_text(encoding="utf-8"))["features"]
    shapes = [shapely.geometry.shape(one["geometry"]) for one in parcels]
    assert len({one["properties"]["parcel"] for one in parcels}) == len(parcels) > 5
    assert sum(shape.area for shape in shapes) == pytest.approx(shapely.union_all(shapes).area, rel=1e-5)
    districts = [
        shapely.geometry.shape(one["geometry"])
        for one in json.loads(landscape.districts.read_text(encoding="utf-8"))["features"]
    ]
    assert sum(shape.area for shape in districts) == pytest.approx(shapely.union_all(districts).area, rel=1e-5)


def test_baselines_are_dynamic_world_and_mostly_right(landscape: Landscape) -> None:
    """A baseline has codes 0 to 8 and agrees with the truth on about nine pixels in ten."""
    with rasterio.open(landscape.baselines[2021]) as source, rasterio.open(landscape.truth) as truth:
        found, ground = source.read(1), truth.read(1)
    assert found.max() <= 8
    expected = np.array([scenery.DYNAMIC_WORLD[code] for code in range(1, 10)])[ground - 1]
    assert 0.85 < (found == expected).mean() < 0.99


def test_hrefs_are_relative(landscape: Landscape) -> None:
    """The folder can be moved: no file in it names where it lies."""
    for path in (landscape.folder / COLLECTION).rglob("*.json"):
        assert str(landscape.folder) not in path.read_text(encoding="utf-8")
