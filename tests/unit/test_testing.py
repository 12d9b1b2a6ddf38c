"""The builders and strategies that other tests stand on."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from rio_cogeo import cog_validate
from shapely.geometry import shape

from steps.aoi import aoi_shape, parse_aoi
from steps.model.aoi import Aoi, Season
from steps.model.job import Plan
from steps.model.scene import SCL, Scene
from steps.testing import (
    ANY_CORNER,
    ANY_EPSG,
    any_aoi,
    any_card,
    any_plan,
    any_scene,
    any_spec,
    aois,
    scenes,
    seasons,
    tiny_scene,
)


def test_a_plan_survives_json() -> None:
    """What is built here can cross a process like the real thing."""
    plan = any_plan()
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_builders_agree_with_each_other() -> None:
    """The request's model is the plan's card, the first tile holds the AOI, the scene has the spec's bands."""
    plan = any_plan()
    assert plan.request.model.digest == plan.card.digest == any_card().digest
    left, bottom, right, top = plan.grid.bounds(plan.tiles[0].tile)
    assert left <= ANY_CORNER[0] < right
    assert bottom < ANY_CORNER[1] <= top
    assert {*any_spec().bands, SCL} <= set(any_scene().assets)


def test_any_aoi_is_an_aoi() -> None:
    """The built AOI passes the parser unchanged but for what that normalises."""
    assert aoi_shape(parse_aoi(any_aoi().geometry, name="any-aoi")).equals(aoi_shape(any_aoi()))


@pytest.mark.parametrize("band", ["red", "nir", "swir16", SCL])
def test_a_tiny_scene_is_what_it_states(tmp_path: Path, band: str) -> None:
    """Its files are COGs with the CRS, transform and shape that its assets state."""
    scene = tiny_scene(tmp_path, {"red": 500, "nir": 3000, "swir16": 2000})
    asset = scene.assets[band]
    assert cog_validate(asset.href, strict=True)[0]
    with rasterio.open(asset.href) as source:
        assert source.crs.to_epsg() == asset.epsg == ANY_EPSG
        assert source.shape == asset.shape
        assert tuple(source.transform)[:6] == asset.transform


def test_a_tiny_scene_holds_the_given_pixels(tmp_path: Path) -> None:
    """Arrays are written as they are, numbers everywhere, SCL is clear vegetation unless given."""
    red = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32)
    scene = tiny_scene(tmp_path, {"red": red, "swir16": 7}, size=32, offset=-0.1, baseline="04.00")
    pixels = {band: rasterio.open(asset.href).read(1) for band, asset in scene.assets.items()}
    np.testing.assert_array_equal(pixels["red"], red)
    np.testing.assert_array_equal(pixels["swir16"], np.full((16, 16), 7))
    np.testing.assert_array_equal(pixels[SCL], np.full((16, 16), 4))
    assert (scene.assets["red"].offset, scene.assets[SCL].offset, scene.baseline) == (-0.1, 0.0, "04.00")


def test_scenes_of_one_day_need_not_collide(tmp_path: Path) -> None:
    """A suffix gives a second scene of the day its own id and files, and a corner its own place."""
    first = tiny_scene(tmp_path, {"red": 1})
    second = tiny_scene(tmp_path, {"red": 2}, suffix="-b", corner=(ANY_CORNER[0] + 320, ANY_CORNER[1]))
    assert first.id != second.id
    assert first.assets["red"].href != second.assets["red"].href
    assert shape(first.footprint).intersects(shape(second.footprint))
    assert shape(second.footprint).bounds[0] > shape(first.footprint).bounds[0]


@given(aoi=aois())
@settings(deadline=None, max_examples=40)
def test_drawn_aois_are_valid(aoi: Aoi) -> None:
    """The parser takes every drawn AOI, and finds the same area in it."""
    assert aoi_shape(parse_aoi(aoi.geometry)).equals(aoi_shape(aoi))


@given(aoi=aois(antimeridian=True))
@settings(deadline=None, max_examples=40)
def test_drawn_aois_over_the_antimeridian_cross_it(aoi: Aoi) -> None:
    """They run on past 180 degrees, and the parser takes them."""
    west, _, east, _ = aoi_shape(parse_aoi(aoi.geometry)).bounds
    assert west < 180 < east


@given(season=seasons(), scene=scenes())
@settings(deadline=None)
def test_drawn_scenes_and_seasons(season: Season, scene: Scene) -> None:
    """Seasons have the length asked for; scenes survive JSON and state no offset for their SCL."""
    assert season.days == 365
    assert msgspec.json.decode(msgspec.json.encode(scene), type=Scene) == scene
    assert scene.assets[SCL].offset == 0
