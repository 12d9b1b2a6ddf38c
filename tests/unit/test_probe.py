"""The offset probe finds items that lie, and is silent where the pixels do not say."""

import datetime as dt
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio import Affine
from shapely.geometry import box, mapping

from steps.aoi import parse_aoi, search_boxes
from steps.model.aoi import Season
from steps.model.scene import Asset, Scene
from steps.probe import apply_verdicts, probe_offsets
from steps.scenes import SceneQuery, find_scenes

SHARED = Path(os.environ.get("GEOCROP_SHARED_DATA", Path(__file__).parents[2] / "../shared/data"))
WEST, NORTH, EPSG, SIZE = 500000.0, 5600000.0, 32631, 48
AREA = mapping(
    box(
        *pyproj.Transformer.from_crs(EPSG, 4326, always_xy=True).transform_bounds(
            WEST, NORTH - 20 * SIZE, WEST + 20 * SIZE, NORTH
        )
    )
)
GROUND = {  # reflectance of vegetation, water, bare soil
    "blue": (0.03, 0.04, 0.08),
    "red": (0.04, 0.03, 0.14),
    "swir16": (0.17, 0.02, 0.30),
    "green": (0.07, 0.05, 0.11),
}
SCL_OF = (4, 6, 5)


class Season20:
    """A season of scenes over the same ground, each written as GeoTIFFs when it is added."""

    def __init__(self, folder):
        self.folder, self.scenes = folder, []
        self.rng = np.random.default_rng(7)
        self.cover = self.rng.choice(3, (SIZE, SIZE), p=(0.6, 0.1, 0.3))

    def add(self, day, stated=0.0, *, shift=0.0, clear=1.0, haze=0.0, cover=None, bands=GROUND):
        """A scene whose item states `stated` while its pixels carry `shift` DN."""
        name, cover = f"s{len(self.scenes)}", self.cover if cover is None else cover
        cloudy = self.rng.random(cover.shape) > clear
        scl = np.where(cloudy, 9, np.array(SCL_OF)[cover]).astype("u1")
        assets = {"scl": self.asset(name, "scl", scl, scale=1.0)}
        for band in bands:
            truth = np.array(GROUND[band])[cover] * self.rng.uniform(0.9, 1.1) + self.rng.normal(0, 0.004, cover.shape)
            truth = np.where(cloudy, 0.6, truth + haze * (0.1 if band.startswith("swir") else 1))
            pixels = np.clip(truth * 10000 + shift, 1, 65535).astype("u2")
            assets[band] = self.asset(name, band, pixels, offset=stated)
        when = dt.datetime.fromisoformat(f"{day}T10:50:00+00:00")
        scene = Scene(id=name, collection="any", datetime=when, solar_day=when.date(), footprint=AREA, assets=assets)
        self.scenes.append(scene)
        return name

    def asset(self, name, band, pixels, **fields):
        """A GeoTIFF and the asset that refers to it."""
        path = self.folder / f"{name}-{band}.tif"
        profile = {"driver": "GTiff", "count": 1, "width": SIZE, "height": SIZE, "dtype": pixels.dtype, "nodata": 0}
        with rasterio.open(
            path, "w", crs=f"EPSG:{EPSG}", transform=Affine(20, 0, WEST, 0, -20, NORTH), **profile
        ) as sink:
            sink.write(pixels, 1)
        return Asset(href=str(path), epsg=EPSG, **fields)

    def verdicts(self):
        """Verdict by scene id."""
        return {one.scene: one for one in probe_offsets(self.scenes, AREA)}


@pytest.fixture
def season(tmp_path):
    return Season20(tmp_path)


def days(start, count, step=10):
    first = dt.date.fromisoformat(start)
    return [(first + dt.timedelta(days=step * n)).isoformat() for n in range(count)]


def said(season):
    return [one.verdict for one in season.verdicts().values()]


def test_honest_items_agree(season):
    """Neither shifted nor stated."""
    for day in days("2019-05-01", 4):
        season.add(day)
    assert said(season) == ["agrees"] * 4


def test_a_season_across_january_2022_agrees(season):
    """Before it nothing is stated nor there, after it -0.1 is stated and there."""
    for day in days("2021-11-20", 10):
        new = day >= "2022-01-25"
        season.add(day, -0.1 if new else 0.0, shift=1000 if new else 0)
    assert said(season) == ["agrees"] * 10


def test_stated_as_applied_but_not_applied(season):
    """One scene among honest ones is 0.1 too bright in every band."""
    for day in days("2022-05-01", 3):
        season.add(day)
    liar = season.add("2022-05-26", shift=1000)
    for day in days("2022-06-01", 3):
        season.add(day)
    verdicts = season.verdicts()
    assert [name for name, one in verdicts.items() if one.verdict == "lies"] == [liar]
    assert (verdicts[liar].stated, verdicts[liar].resolved) == (0.0, -0.1)
    assert "swir16 +0.1" in verdicts[liar].evidence


def test_stated_as_there_but_applied(season):
    """Subtracting it again would make most of the scene negative."""
    for day in days("2022-05-01", 3):
        season.add(day, -0.1, shift=1000)
    liar = season.add("2022-06-01", -0.1, shift=0)
    verdicts = season.verdicts()
    assert Counter(one.verdict for one in verdicts.values()) == {"agrees": 3, "lies": 1}
    assert (verdicts[liar].stated, verdicts[liar].resolved) == (-0.1, 0.0)


def test_a_whole_season_that_lies(season):
    """No honest neighbour is needed when vegetation and water are never dark."""
    for day in days("2022-05-01", 5):
        season.add(day, shift=1000)
    assert said(season) == ["lies"] * 5


def test_one_shifted_scene_alone_is_undecided(season):
    """It may be haze."""
    season.add("2022-05-01", shift=1000)
    assert said(season) == ["undecided"]


def test_haze_is_no_offset(season):
    """Haze lifts visible bands by as much, but hardly shortwave infrared."""
    for day in days("2022-05-01", 3):
        season.add(day)
    hazy = season.add("2022-06-01", haze=0.1)
    assert season.verdicts()[hazy].verdict != "lies"


def test_haze_is_no_offset_without_shortwave_bands(season):
    """Where shortwave infrared is not there to tell, nothing is claimed."""
    bands = ("blue", "red", "green")
    for day in days("2022-05-01", 3):
        season.add(day, bands=bands)
    bright = season.add("2022-06-01", haze=0.1, bands=bands)
    assert season.verdicts()[bright].verdict == "undecided"


def test_bright_ground_is_undecided(season):
    """Bare soil everywhere looks the same with and without an offset."""
    bare = np.full((SIZE, SIZE), 2)
    for day in days("2022-05-01", 4):
        season.add(day, cover=bare)
    assert said(season) == ["undecided"] * 4


@pytest.mark.parametrize("shift", [0, 1000])
def test_too_cloudy_is_undecided(season, shift):
    """A few clear pixels are no evidence."""
    season.add("2022-05-01")
    cloudy = season.add("2022-05-06", shift=shift, clear=0.03)
    assert season.verdicts()[cloudy].verdict == "undecided"
    assert "clear pixels" in season.verdicts()[cloudy].evidence


def test_what_cannot_be_read_is_undecided(season):
    """A truncated file does not end the plan; reading it later will say what is wrong."""
    good, bad = season.add("2022-05-01"), season.add("2022-05-06")
    path = season.folder / f"{bad}-red.tif"
    path.write_bytes(path.read_bytes()[:300])
    verdicts = season.verdicts()
    assert (verdicts[good].verdict, verdicts[bad].verdict) == ("agrees", "undecided")
    assert "could not be read" in verdicts[bad].evidence


def test_an_aoi_elsewhere_is_undecided(season):
    """Scenes that do not reach the AOI are not looked at."""
    season.add("2022-05-01")
    assert probe_offsets(season.scenes, mapping(box(60, 10, 61, 11)))[0].verdict == "undecided"


def test_infrared_alone_is_undecided(season):
    """Without a visible band nothing on land is dark for sure."""
    season.add("2022-05-01", bands=("swir16",))
    assert "visible" in season.verdicts()["s0"].evidence


def test_verdicts_are_applied(season):
    """Only scenes that lie change, in reflectance bands only, and say why."""
    for day in days("2022-05-01", 3):
        season.add(day, -0.1, shift=1000)
    season.add("2022-06-01", -0.1)
    season.add("2022-06-06", -0.1, clear=0.0)
    fixed = apply_verdicts(season.scenes, probe_offsets(season.scenes, AREA))
    assert fixed[:3] == season.scenes[:3]
    assert fixed[4] == season.scenes[4]
    assert fixed[3].offset_source == "probe"
    assert {band: asset.offset for band, asset in fixed[3].assets.items()} == dict.fromkeys((*GROUND, "scl"), 0.0)
    assert fixed[3].assets["red"].href == season.scenes[3].assets["red"].href


def test_nothing_to_probe():
    """No scenes, no verdicts."""
    assert probe_offsets([], AREA) == []


@pytest.mark.parametrize(
    ("name", "place", "year"), [("flanders", (4.059, 50.744, 4.067, 50.748), 2019), ("romania", None, 2020)]
)
def test_real_catalogs_do_not_lie(name, place, year):
    """Real, harmonised scenes with much cloud: none is accused, most clear ones agree."""
    if not (SHARED / "catalogs" / name).is_dir():
        pytest.skip("the shared real catalogs are not on this machine")
    aoi = parse_aoi(mapping(box(*(place or (22.146, 45.2017, 22.158, 45.208)))))
    query = SceneQuery(
        catalog=str(SHARED.resolve() / "catalogs" / name / "catalog.json"),
        boxes=tuple(search_boxes(aoi)),
        aoi_geometry=aoi.geometry,
        season=Season(start=dt.date(year, 1, 1), end=dt.date(year, 12, 31)),
        bands=("blue", "green", "red", "nir", "swir16"),
    )
    counts = Counter(one.verdict for one in probe_offsets(find_scenes(query), aoi.geometry))
    assert counts["lies"] == 0
    assert counts["agrees"] >= 20
