import datetime as dt
import random
import time

import msgspec
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from steps.aoi import aoi_shape, parse_aoi, search_boxes
from steps.errors import AoiError, CatalogError, ModelError, UsageError
from steps.model.aoi import Aoi
from steps.model.grid import TileGrid, TileId
from steps.model.job import MapOptions, Plan, RasterRef
from steps.model.scene import SCL, Scene
from steps.model.spec import Layer
from steps.plan import check_fit, grid_for, halo_px, plan_map, project, search_area, tiles_covering
from steps.testing import (
    ANY_CORNER,
    ANY_DAY,
    ANY_EPSG,
    any_aoi,
    any_asset,
    any_card,
    any_grid,
    any_request,
    any_scene,
    any_season,
    any_spec,
    aois,
)

replace = msgspec.structs.replace


def box(west: float, south: float, east: float, north: float, name: str = "box") -> Aoi:
    """A lon/lat rectangle."""
    return parse_aoi(msgspec.to_builtins(shapely.geometry.mapping(shapely.box(west, south, east, north))), name=name)


def square(col: float, row: float, cols: float = 1, rows: float = 1, *, size: int = 64) -> Aoi:
    """A rectangle on the ground in units of `size` pixels, col eastward and row southward from a tile's corner."""
    x0, y0 = corner(size)
    step = size * 10.0
    ring = [(0, 0), (0, 1), (1, 1), (1, 0), (0, 0)]
    xy = [(x0 + (col + cols * i) * step, y0 - (row + rows * j) * step) for i, j in ring]
    lon, lat = Transformer.from_crs(ANY_EPSG, 4326, always_xy=True).transform(*np.array(xy).T)
    return Aoi(name="square", geometry={"type": "Polygon", "coordinates": [np.column_stack([lon, lat]).tolist()]})


def corner(size: int = 64) -> tuple[float, float]:
    """The north-west corner of the tile at `ANY_CORNER`."""
    grid = any_grid(size)
    left, _, _, top = grid.bounds(grid.tile_at(*ANY_CORNER))
    return left, top


def plan_of(aoi: Aoi, scenes: list[Scene], *, size: int = 64, **changes: object) -> Plan:
    """A plan of tiles of `size` pixels."""
    options = replace(MapOptions(tile_size=size), **changes)
    return plan_map(any_request(aoi=aoi, options=options), any_card(), scenes)


def scene_over(aoi: Aoi, name: str = "scene", day: dt.date = ANY_DAY) -> Scene:
    """A scene whose footprint is an AOI's geometry."""
    return any_scene(id=name, day=day, footprint=aoi.geometry)


# -- the grid ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "epsg"),
    [
        ((30.9, -17.9, 31.1, -17.7), 32736),
        ((4.9, 51.0, 5.1, 51.2), 32631),
        ((5.8, 51.0, 6.4, 51.2), 32632),  # over a zone's edge, but within reach
        ((20.0, -0.2, 20.2, 0.1), 32734),
        ((20.0, -0.1, 20.2, 0.2), 32634),
        ((-179.9, 10, -179.8, 10.1), 32601),
        ((179.8, 10, 179.9, 10.1), 32660),
        ((179.7, -17, 180.2, -16), 32760),  # Taveuni: most of it in the west
        ((179.7, -17, 180.9, -16), 32701),
        ((2.9, 50, 6.1, 51), 32631),  # half of the reach on both sides
        ((0, 50, 7, 51), 6933),
        ((14, -12, 26, -8), 6933),
    ],
)
def test_the_grid_of_an_aoi(bounds: tuple[float, float, float, float], epsg: int):
    """The AOI's UTM zone when it fits one, north and south apart; else the equal-area grid."""
    assert grid_for(box(*bounds), MapOptions()) == TileGrid(epsg=epsg)


@pytest.mark.parametrize(("east", "epsg"), [(182.9, 32701), (184.6, 32701)])
def test_aois_over_the_antimeridian_reach_farther(east: float, epsg: int):
    """Where EPSG:6933 is cut in two, an AOI may be as wide as a few zones."""
    assert grid_for(box(178.2, -17, east, -16), MapOptions()).epsg == epsg


def test_wide_aois_over_the_antimeridian_are_refused():
    """No grid holds an AOI of twenty degrees over the antimeridian in one piece."""
    with pytest.raises(AoiError, match="too wide over the antimeridian: map its two sides"):
        grid_for(box(170, -17, 190, -16), MapOptions())


def test_polar_aois_need_a_crs_of_their_own():
    """Neither UTM nor the equal-area grid reach the poles; a CRS asked for does."""
    aoi = box(10, 84.5, 11, 84.8)
    with pytest.raises(AoiError, match="polar CRS with --crs"):
        grid_for(aoi, MapOptions())
    assert tiles_covering(aoi, grid_for(aoi, MapOptions(epsg=3995)))


def test_the_crs_asked_for_is_taken():
    """`--crs` overrides the AOI's zone."""
    assert grid_for(any_aoi(), MapOptions(epsg=6933, tile_size=512)) == TileGrid(epsg=6933, size=512)


@pytest.mark.parametrize(
    ("epsg", "says"),
    [
        (4326, "not projected in metres"),
        (2263, "not projected in metres"),  # New York in feet
        (4978, "not projected in metres"),
        (2048, "counts westward"),  # South Africa's Lo19
        (0, "not known"),
        (999_999, "not known"),
    ],
)
def test_unfit_crs_are_refused(epsg: int, says: str):
    """A CRS that is not projected, not in metres, turned around or unknown is a usage error that names it."""
    with pytest.raises(UsageError, match=f"EPSG:{epsg}.*{says}"):
        grid_for(any_aoi(), MapOptions(epsg=epsg))


def test_a_crs_that_is_cut_in_the_aoi_is_refused():
    """Web Mercator ends at 180 degrees: an AOI over it would become two strips around the globe."""
    aoi = box(179.9, 10, 180.1, 10.2)
    with pytest.raises(AoiError, match=r"EPSG:3857 (is cut in two|.*plane)|plane of EPSG:3857"):
        tiles_covering(aoi, grid_for(aoi, MapOptions(epsg=3857)))


# -- tiles ---------------------------------------------------------------------------------------------------------


def naive_tiles(aoi: Aoi, grid: TileGrid) -> set[TileId]:
    """Tiles whose square shares more than a square centimetre with the AOI, of all that its bounds touch."""
    shape = project(aoi_shape(aoi), grid.epsg)
    left, bottom, right, top = shape.bounds
    first, last = grid.tile_at(left, top), grid.tile_at(right, bottom)
    around = [
        TileId(row=r, col=c) for r in range(first.row - 1, last.row + 2) for c in range(first.col - 1, last.col + 2)
    ]
    return {tile for tile in around if shapely.box(*grid.bounds(tile)).intersection(shape).area > 1e-4}


@settings(deadline=None, max_examples=40)
@given(st.one_of(aois(), aois(antimeridian=True)), st.sampled_from((64, 512)))
def test_tiles_are_those_that_share_area_with_the_aoi(aoi: Aoi, size: int):
    """The tiles are exactly the ones whose square meets the AOI, in raster order, also over the antimeridian."""
    grid = grid_for(aoi, MapOptions(tile_size=size))
    tiles = tiles_covering(aoi, grid)
    assert tiles == sorted(naive_tiles(aoi, grid))


@settings(deadline=None, max_examples=25)
@given(aois())
def test_overlapping_aois_share_tiles(aoi: Aoi):
    """An AOI within another one has a part of its tiles, under the same names."""
    west, south, east, north = aoi_shape(aoi).bounds
    half = aoi_shape(aoi).intersection(shapely.box(west, south, (west + east) / 2, north))
    inner = Aoi(name="inner", geometry=shapely.geometry.mapping(half))
    grid = grid_for(aoi, MapOptions(tile_size=256))
    assert {*tiles_covering(inner, grid)} <= {*tiles_covering(aoi, grid)}


def test_an_aoi_on_a_tiles_edges_has_one_tile():
    """A neighbour that only touches the AOI is no tile of it, in spite of the rounding of degrees."""
    assert len(tiles_covering(square(0, 0), any_grid())) == 1
    assert len(tiles_covering(square(0, 0, 2, 3), any_grid())) == 6
    assert len(tiles_covering(square(0.5, 0.5), any_grid())) == 4


def test_an_aoi_in_parts_has_no_tiles_between_them():
    """Two far parts of one AOI do not bring the tiles that lie between."""
    shapes = [aoi_shape(square(0, 0)), aoi_shape(square(400, 300))]
    aoi = Aoi(name="parts", geometry=shapely.geometry.mapping(shapely.MultiPolygon(shapes)))
    assert len(tiles_covering(aoi, any_grid())) == 2


def test_holes_have_no_tiles():
    """A tile that lies whole in a hole of the AOI is not mapped."""
    ring = aoi_shape(square(0, 0, 3, 3)).difference(aoi_shape(square(0.9, 0.9, 1.2, 1.2)))
    aoi = Aoi(name="ring", geometry=shapely.geometry.mapping(ring))
    assert len(tiles_covering(aoi, any_grid())) == 8


def test_long_edges_are_densified():
    """A parallel of 6 degrees is no straight line in UTM: the tiles follow it as it curves."""
    aoi = box(0, 60, 6, 60.05)
    grid = grid_for(aoi, MapOptions(tile_size=64))
    rows = {tile.row for tile in tiles_covering(aoi, grid)}
    straight = Transformer.from_crs(4326, grid.epsg, always_xy=True).transform([0, 6], [60.0, 60.05])[1]
    assert max(rows) > grid.tile_at(0, min(straight)).row


def test_an_aoi_between_pixel_centres_is_refused():
    """An AOI that holds no pixel's centre would give an empty map after all the work."""
    with pytest.raises(AoiError, match="holds no pixel's centre"):
        tiles_covering(square(0.5 - 0.004, 0.2, 0.008, 10), any_grid())


def test_too_many_tiles_are_refused():
    """A country in tiles of 64 pixels is a slip, not a job."""
    aoi = box(20, -10, 28, -2)
    with pytest.raises(UsageError, match="more than 200,000 tiles"):
        tiles_covering(aoi, grid_for(aoi, MapOptions(tile_size=64)))


# -- scenes of tiles -----------------------------------------------------------------------------------------------


def test_scenes_are_chosen_by_the_tile():
    """A scene that meets a tile but not the AOI belongs to the tile's job, since a tile is whole."""
    aoi, scene = square(0.1, 0.1, 0.2, 0.2, size=1024), scene_over(square(0.8, 0.8, size=1024))
    assert plan_of(aoi, [scene], size=1024).tiles[0].scenes == (0,)


def test_two_aois_share_keys():
    """Two AOIs that lie in one tile have one key for it, though their scenes were searched apart."""
    first, second = square(0.1, 0.1, 0.2, 0.2, size=1024), square(0.7, 0.6, 0.2, 0.3, size=1024)
    world = [scene_over(square(c / 2, r / 2, 0.6, 0.6, size=1024), f"s{c}{r}") for c in range(-4, 5) for r in range(9)]
    found = []
    for aoi in (first, second):
        area = aoi_shape(search_area(aoi, MapOptions()))
        near = [scene for scene in world if area.intersects(shapely.geometry.shape(scene.footprint))]
        assert len(near) < len(world)
        plan = plan_of(aoi, near, size=1024)
        found.append({job.tile: job.key for job in plan.tile_jobs()})
    assert found[0] == found[1]
    assert len(found[0]) == 1


@settings(deadline=None, max_examples=20)
@given(st.one_of(aois(), aois(antimeridian=True)))
def test_the_search_covers_tiles_and_halos(aoi: Aoi):
    """The area where scenes are searched holds every tile of the plan with a kilometre around it."""
    grid = grid_for(aoi, MapOptions(tile_size=256))
    area = search_area(aoi, MapOptions(tile_size=256))
    assert aoi_shape(area).is_valid
    assert -180 <= aoi_shape(area).bounds[0] <= 180
    plane = shapely.make_valid(project(aoi_shape(area), grid.epsg))
    left, bottom, right, top = shapely.total_bounds(
        [shapely.box(*grid.bounds(tile, 100)) for tile in tiles_covering(aoi, grid)]
    )
    assert plane.covers(shapely.box(*grid.bounds(tiles_covering(aoi, grid)[0], 100)))
    assert plane.bounds[0] < left
    assert plane.bounds[1] < bottom
    assert plane.bounds[2] > right
    assert plane.bounds[3] > top
    assert len(search_boxes(area)) == (2 if aoi_shape(area).bounds[2] > 180 else 1)


def naive_scenes(plan: Plan, scenes: list[Scene]) -> dict[TileId, set[str]]:
    """By tile, the scenes whose footprint certainly meets its square with halo."""
    shapes = {scene.id: project(shapely.geometry.shape(scene.footprint), plan.grid.epsg) for scene in scenes}
    boxes = {entry.tile: shapely.box(*plan.grid.bounds(entry.tile, plan.halo)) for entry in plan.tiles}
    return {
        tile: {name for name, shape in shapes.items() if shape.intersects(square)} for tile, square in boxes.items()
    }


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.floats(-6, 6), st.floats(-6, 6), st.floats(0.1, 4)), max_size=12), st.booleans())
def test_a_tiles_scenes_are_those_over_it(places: list[tuple[float, float, float]], shuffled: bool):
    """Each tile has all scenes over it and its halo, and none that is farther off than the slack of footprints."""
    scenes = [scene_over(square(*place, place[2]), f"scene{number:02d}") for number, place in enumerate(places)]
    given_scenes = random.Random(7).sample(scenes, len(scenes)) if shuffled else scenes
    plan = plan_of(square(-1.5, -1.5, 3, 3), given_scenes)
    found = {entry.tile: {plan.scenes[index].id for index in entry.scenes} for entry in plan.tiles}
    near = naive_scenes(replace(plan, halo=plan.halo + 51), scenes)
    for tile, certain in naive_scenes(plan, scenes).items():
        assert certain <= found[tile] <= near[tile]
    assert {scene.id for scene in plan.scenes} == set().union(*found.values())


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(6)))
def test_scenes_stand_by_solar_day(order: list[int]):
    """Scenes are planned by solar day, then id, in whatever order a catalog lists them; every tile's are ascending."""
    scenes = [
        any_scene(id=f"scene-{number % 2}-{number}", day=ANY_DAY + dt.timedelta(days=number // 2)) for number in order
    ]
    plan = plan_of(any_aoi(), scenes)
    days = [(scene.solar_day, scene.id) for scene in plan.scenes]
    assert days == sorted(days)
    assert len(days) == 6
    assert all(list(entry.scenes) == sorted(entry.scenes) for entry in plan.tiles)


def test_far_scenes_are_not_in_the_plan():
    """A scene that reaches no tile is neither pinned nor quoted."""
    plan = plan_of(square(0, 0), [scene_over(square(20, 0), "far"), scene_over(square(0, 0), "near")])
    assert [scene.id for scene in plan.scenes] == ["near"]
    assert [entry.scenes for entry in plan.tiles] == [(0,)]


def test_tiles_without_scenes_are_planned():
    """A tile that no scene covers is done by saying so, and so is a season without any."""
    plan = plan_of(square(0.1, 0.1, 8.8, 0.8), [scene_over(square(0, 0))])
    assert [len(entry.scenes) for entry in plan.tiles] == [1, 1, 0, 0, 0, 0, 0, 0, 0]
    empty = plan_of(square(0, 0), [])
    assert [entry.scenes for entry in empty.tiles] == [()]
    assert empty.tile_job(empty.tiles[0]).key


@pytest.mark.parametrize(("epsg", "aoi"), [(6933, box(179.7, 10, 179.9, 10.2)), (32660, box(179.9, 10, 180.1, 10.2))])
def test_footprints_over_the_antimeridian(epsg: int, aoi: Aoi):
    """A scene over 180 degrees belongs to the tiles at its place, not to all tiles of its latitude."""
    over = scene_over(box(179.2, 9.5, 180.6, 10.6), "over")
    split = any_scene(id="split", footprint=shapely.geometry.mapping(
        shapely.MultiPolygon([shapely.box(179.2, 9.5, 180, 10.6), shapely.box(-180, 9.5, -179.4, 10.6)])
    ))  # fmt: skip
    away = scene_over(box(178.0, 9.5, 178.9, 10.6), "away")
    plan = plan_of(aoi, [over, split, away], size=256, epsg=epsg)
    assert {entry.scenes for entry in plan.tiles} == {(0, 1)}
    elsewhere = plan_of(box(20.0, 10, 20.1, 10.1), [over, split], size=256, epsg=6933)
    assert {entry.scenes for entry in elsewhere.tiles} == {()}


def test_a_granules_bulging_edge_is_within_the_slack():
    """The northern edge of a granule bulges over the straight line between its corners by less than the slack."""
    to_lonlat = Transformer.from_crs(32631, 4326, always_xy=True)
    lon, lat = to_lonlat.transform([399_960, 454_860, 509_760], [6_700_020.0] * 3)
    middle = lat[0] + (lat[2] - lat[0]) * (lon[1] - lon[0]) / (lon[2] - lon[0])
    _, _, metres = Geod(ellps="WGS84").inv(lon[1], middle, lon[1], lat[1])
    assert 100 < metres < 500


# -- what must fit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [364, 365, 366])
def test_seasons_may_miss_a_day(days: int):
    """A leap year's season fits a model of 365 days, from any start."""
    check_fit(any_card(), any_season(dt.date(2019, 11, 1), days), MapOptions())


@pytest.mark.parametrize("days", [1, 180, 363, 367, 730])
def test_seasons_of_another_length_are_refused(days: int):
    """Another length of season is refused with both lengths named."""
    with pytest.raises(ModelError, match=rf"{days} days, model any-model was trained for 365"):
        check_fit(any_card(), any_season(days=days), MapOptions())


def test_missing_and_unknown_layers_are_refused():
    """A layer that the model needs must be given; one that it does not know would only change keys."""
    dem = {"dem": RasterRef(href="/dem.tif", version="1")}
    card = any_card(spec=any_spec(layers=(Layer(name="dem"),)))
    check_fit(card, any_season(), MapOptions(layers=dem))
    with pytest.raises(ModelError, match="needs the layer dem: give it with --layer dem=RASTER"):
        check_fit(card, any_season(), MapOptions())
    with pytest.raises(UsageError, match="has no layer dem"):
        check_fit(any_card(), any_season(), MapOptions(layers=dem))


def test_models_of_other_pixels_are_refused():
    """A model that was trained on 20 m pixels does not map 10 m ones."""
    with pytest.raises(ModelError, match="one of 20 m pixels"):
        check_fit(any_card(spec=any_spec(resolution=20.0)), any_season(), MapOptions())


@pytest.mark.parametrize("missing", ["nir", SCL])
def test_scenes_without_a_band_are_refused(missing: str):
    """The message names the scene, the band, and what there is instead, also what the model does not need."""
    assets = {name: asset for name, asset in any_scene().assets.items() if name != missing}
    scene = any_scene(id="bad", assets={**assets, "blue": any_asset("blue")})
    with pytest.raises(CatalogError, match=rf"scene bad has no band {missing}.*it has .*blue"):
        plan_of(any_aoi(), [any_scene(), scene])


def test_only_read_assets_are_pinned():
    """Bands that the model does not read are not in the plan, and so not in the key."""
    plan = plan_of(any_aoi(), [any_scene()])
    assert [*plan.scenes[0].assets] == ["nir", "red", "scl"]


@pytest.mark.parametrize(("metres", "pixels"), [(0, 0), (1, 2), (20, 2), (21, 4), (40, 4), (100, 10)])
def test_halo_is_even_and_holds_the_dilation(metres: float, pixels: int):
    """The halo is whole 20 m pixels that cover the dilation."""
    assert halo_px(any_spec(dilation_m=metres), any_grid()) == pixels


# -- the plan as data ----------------------------------------------------------------------------------------------


def test_the_same_request_has_the_same_plan():
    """Planning twice gives the same plan, and the plan comes back whole from JSON."""
    scenes = [any_scene(id=f"s{number}") for number in range(3)]
    plan = plan_of(square(0, 0, 3, 2), scenes)
    assert plan_of(square(0, 0, 3, 2), scenes[::-1]) == plan
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
    jobs = [*msgspec.json.decode(msgspec.json.encode(plan), type=Plan).tile_jobs()]
    assert [job.key for job in jobs] == [job.key for job in plan.tile_jobs()]


def test_a_region_is_planned_in_seconds():
    """Seven thousand tiles and a thousand scenes take less than five seconds."""
    aoi = box(20, -10, 28, -2, "region")
    scenes = [
        any_scene(id=f"s{number:04d}", footprint=shapely.geometry.mapping(shapely.box(x, y, x + 1, y + 1)))
        for number in range(1000)
        for x, y in [(20 + number % 40 * 0.18, -10 + number // 40 * 0.28)]
    ]
    start = time.perf_counter()
    plan = plan_of(aoi, scenes, size=1024)
    assert time.perf_counter() - start < 5
    assert len(plan.tiles) > 7000
    assert len(plan.scenes) == 1000
