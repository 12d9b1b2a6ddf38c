"""The cube of a tile against the naive answer: whole scenes read by rasterio, cut by hand."""

import datetime as dt
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask
import msgspec
import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steps.block_cache import BlockCache
from steps.cube import Cube, load_cube, plan_strips
from steps.errors import SceneError
from steps.model.grid import TileGrid, TileId
from steps.model.job import TileJob
from steps.model.scene import Asset, Scene
from steps.reader import Supply
from steps.testing import ANY_CORNER, ANY_DAY, ANY_EPSG, any_card, any_scene, any_season, any_spec, tiny_scene

BANDS = ("red", "nir", "swir16")


@pytest.fixture
def supply(tmp_path: Path) -> Supply:
    return Supply(BlockCache(tmp_path / "blocks", 10**8))


def job_of(scenes: Sequence[Scene], *, tile: TileId | None = None, size: int = 64, **changes: Any) -> TileJob:
    """A tile whose north-west corner is near the scenes'; the grid's corners are not the scenes'."""
    grid = TileGrid(epsg=ANY_EPSG, size=size)
    fields: dict[str, Any] = {
        "grid": grid,
        "tile": tile or grid.tile_at(ANY_CORNER[0] + 1, ANY_CORNER[1] - 1),
        "season": any_season(),
        "scenes": tuple(scenes),
        "card": any_card(spec=any_spec(bands=BANDS)),
        "halo": 4,
        "pixel_version": "any",
    }
    return TileJob(**(fields | changes))


def noise(seed: int, size: int, holes: bool = True) -> np.ndarray:
    values = np.random.default_rng(seed).integers(1, 9000, (size, size)).astype(np.uint16)
    if holes:
        values[values % 11 == 0] = 0
    return values


def naive(scene: Scene, band: str, job: TileJob, res: float) -> np.ndarray:
    """The asset's pixels on the tile with its halo, one by one; 0 outside."""
    left, bottom, right, top = job.grid.bounds(job.tile, job.halo)
    with rasterio.open(scene.assets[band].href) as raster:
        pixels, step = raster.read(1), raster.transform
    out = np.zeros((round((top - bottom) / res), round((right - left) / res)), pixels.dtype)
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            i = int((step.f - (top - (row + 0.5) * res)) // step.a)
            j = int((left + (col + 0.5) * res - step.c) // step.a)
            if 0 <= i < pixels.shape[0] and 0 <= j < pixels.shape[1]:
                out[row, col] = pixels[i, j]
    return out


def test_a_checkerboard_of_20_m_covers_four_pixels_each(tmp_path: Path, supply: Supply) -> None:
    """A 20 m pixel lies corner on corner with its four 10 m pixels: no half pixel is lost between them."""
    board = np.indices((32, 32)).sum(0) % 2 * 1000 + 1000
    scene = tiny_scene(tmp_path, {"red": board.repeat(2, 0).repeat(2, 1), "nir": 1, "swir16": board})
    cube = load_cube(job_of([scene]), supply=supply)
    fine, coarse = cube.fine.sel(band="red").values, cube.coarse.sel(band="swir16").values
    np.testing.assert_array_equal(fine, coarse.repeat(2, 1).repeat(2, 2))
    assert {1000, 2000} <= set(np.unique(coarse))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_window_equals_the_naive_answer(data: st.DataObject, tmp_path: Path, supply: Supply) -> None:
    """At odd offsets, over edges and outside the raster, in strips or whole."""
    east, south = data.draw(st.integers(-70, 70)) * 10, data.draw(st.integers(-70, 70)) * 10
    size = data.draw(st.sampled_from([30, 64, 90]))
    corner = (ANY_CORNER[0] + east, ANY_CORNER[1] - south)
    values = {"red": noise(1, size), "nir": noise(2, size), "swir16": noise(3, size // 2)}
    scene = tiny_scene(tmp_path, values, size=size, corner=corner)
    job = job_of([scene])
    cube = load_cube(job, supply=supply)
    for band, plane, res in (("red", cube.fine, 10), ("nir", cube.fine, 10), ("swir16", cube.coarse, 20)):
        np.testing.assert_array_equal(plane.sel(band=band).values[0], naive(scene, band, job, res))
    np.testing.assert_array_equal(cube.scl.values[0], naive(scene, "scl", job, 20))


def test_strips_are_the_whole(tmp_path: Path, supply: Supply) -> None:
    """Strips, laid below one another without their halos, are the tile; blocks are read once."""
    scenes = [
        tiny_scene(tmp_path, {band: noise(seed, n) for band, n in (("red", 640), ("nir", 640), ("swir16", 320))},
                   size=640, day=ANY_DAY + dt.timedelta(days=seed))
        for seed in range(2)
    ]  # fmt: skip
    job = job_of(scenes, size=320)
    whole = load_cube(job, supply=supply)
    strips = [load_cube(job, rows, supply=supply) for rows in plan_strips(job, 0.35)]
    assert len(strips) > 2
    for name in ("fine", "coarse", "scl"):
        halo = 4 if name == "fine" else 2
        parts = [getattr(strip, name).isel(y=slice(halo, -halo)) for strip in strips]
        merged = np.concatenate([part.values for part in parts], axis=-2)
        np.testing.assert_array_equal(merged, getattr(whole, name).isel(y=slice(halo, -halo)).values)
    assert sum(strip.bytes_read for strip in strips) == whole.bytes_read
    assert len(supply.scratch) == 0


def test_the_next_tile_finds_the_blocks_that_reach_into_it(tmp_path: Path, supply: Supply) -> None:
    """Blocks over the border of two tiles are inflated once when the first is told of the second."""
    values = {band: noise(5, n) for band, n in (("red", 1280), ("nir", 1280), ("swir16", 640))}
    scene = tiny_scene(tmp_path, values, size=1280)
    job = job_of([scene], size=320)
    east = msgspec.structs.replace(job, tile=TileId(row=job.tile.row, col=job.tile.col + 1))
    alone = load_cube(east, supply=supply)
    load_cube(job, supply=supply, following=[east.tile])
    shared = load_cube(east, supply=supply)
    np.testing.assert_array_equal(shared.fine, alone.fine)
    assert shared.bytes_read < alone.bytes_read
    assert len(supply.scratch) == 0


@pytest.mark.parametrize("budget", [0.001, 1.0, 7.5, 300.0])
def test_strips_are_even_and_cover_the_tile(tmp_path: Path, budget: float) -> None:
    """Every row belongs to one strip, and a cube of a strip is within the budget unless it is two rows high."""
    job = job_of([tiny_scene(tmp_path, {"red": 1, "nir": 1, "swir16": 1})] * 40, size=512)
    strips = plan_strips(job, budget)
    assert [row for strip in strips for row in range(strip.start, strip.stop)] == list(range(512))
    width = 512 + 8
    for strip in strips:
        assert strip.start % 2 == strip.stop % 2 == 0
        rows = strip.stop - strip.start + 8
        assert rows == 10 or 40 * rows * width * (2 * 2 + 0.5 + 0.25) <= budget * 1e6


def test_nodata_is_told_apart_before_the_offset(tmp_path: Path, supply: Supply) -> None:
    """0 stays without data; below the offset is 1, the darkest value; the brightest is 65534."""
    red = np.full((64, 64), 2500, np.uint16)
    red[0, :4] = 0, 1, 1000, 65535
    scene = tiny_scene(tmp_path, {"red": red, "nir": red, "swir16": 3000}, offset=-0.1)
    cube = load_cube(job_of([scene], size=128), supply=supply)
    row, col = corner_of(cube)
    assert cube.fine.sel(band="red").values[0, row, col : col + 4].tolist() == [0, 1, 1, 64535]
    assert cube.fine.sel(band="red").values[0, row + 1, col] == 1500
    assert cube.coarse.values[0, 0, row // 2, col // 2] == 2000


def test_any_scale_is_rounded_half_to_even(tmp_path: Path, supply: Supply) -> None:
    """Reflectance of 2.5e-4 units becomes value 2, of 3.5e-4 becomes 4; nothing wraps round."""
    red = np.full((64, 64), 40_000, np.uint16)
    red[0, :3] = 5, 7, 0
    scene = tiny_scene(tmp_path, {"red": red, "nir": red, "swir16": 3000})
    assets = {
        band: msgspec.structs.replace(asset, scale=0.5e-4 if band == "red" else 2e-4)
        for band, asset in scene.assets.items()
        if band != "scl"
    }
    scene = msgspec.structs.replace(scene, assets=assets | {"scl": scene.assets["scl"]})
    cube = load_cube(job_of([scene], size=128), supply=supply)
    row, col = corner_of(cube)
    assert cube.fine.sel(band="red").values[0, row, col : col + 3].tolist() == [2, 4, 0]
    assert cube.fine.sel(band="nir").values[0, row + 1, col] == 65534


def corner_of(cube: Cube) -> tuple[int, int]:
    """Row and column of the scene's north-west pixel in a cube that holds it."""
    x, y = cube.fine.x.values, cube.fine.y.values
    return int(np.argmin(abs(y - (ANY_CORNER[1] - 5)))), int(np.argmin(abs(x - (ANY_CORNER[0] + 5))))


def test_the_first_complete_granule_of_a_day_wins(tmp_path: Path, supply: Supply) -> None:
    """Bands and scene class of a 20 m cell come from one granule: the first with data in all of the cell."""
    red = np.full((64, 64), 100, np.uint16)
    red[10, 11] = 0  # one pixel of cell 5, 5
    scl = np.full((32, 32), 4, np.uint8)
    scl[7, 7] = 0
    first = tiny_scene(tmp_path, {"red": red, "nir": 100, "swir16": 100, "scl": scl}, suffix="_A")
    second = tiny_scene(tmp_path, {"red": 200, "nir": 200, "swir16": 200, "scl": 5}, suffix="_B")
    cube = load_cube(job_of([first, second], size=128), supply=supply)
    row, col = corner_of(cube)
    cells = {(5, 5): 200, (7, 7): 200, (6, 6): 100}
    for (y, x), value in cells.items():
        assert (cube.fine.values[0, :, row + 2 * y : row + 2 * y + 2, col + 2 * x : col + 2 * x + 2] == value).all()
        assert (cube.coarse.values[0, :, row // 2 + y, col // 2 + x] == value).all()
        assert cube.scl.values[0, row // 2 + y, col // 2 + x] == (4 if value == 100 else 5)


def test_days_are_steps_of_time_in_order(tmp_path: Path, supply: Supply) -> None:
    """Three granules of two days are two steps; where the day's first granule ends, the second goes on."""
    east = (ANY_CORNER[0] + 320, ANY_CORNER[1])
    later = ANY_DAY + dt.timedelta(days=5)
    scenes = [
        tiny_scene(tmp_path, {"red": 10, "nir": 10, "swir16": 10}, size=32),
        tiny_scene(tmp_path, {"red": 20, "nir": 20, "swir16": 20}, size=32, corner=east, suffix="_E"),
        tiny_scene(tmp_path, {"red": 30, "nir": 30, "swir16": 30}, day=later),
    ]
    cube = load_cube(job_of(scenes, size=128), supply=supply)
    row, col = corner_of(cube)
    assert cube.fine.time.values.astype("datetime64[D]").tolist() == [ANY_DAY, later]
    assert cube.fine.values[:, 0, row, [col, col + 31, col + 32]].tolist() == [[10, 10, 20], [30, 30, 30]]


def test_a_cube_without_scenes_is_empty(supply: Supply) -> None:
    """No scenes, no steps of time; the pixels are still there."""
    cube = load_cube(job_of([]), supply=supply)
    assert cube.fine.shape == (0, 3, 72, 72)
    assert cube.scl.shape == (0, 36, 36)


def test_coordinates_are_centres(tmp_path: Path, supply: Supply) -> None:
    """The first coordinates are half a pixel inside the tile and its halo."""
    job = job_of([tiny_scene(tmp_path, {"red": 1, "nir": 1, "swir16": 1})])
    cube = load_cube(job, slice(10, 20), supply=supply)
    left, _, _, top = job.grid.bounds(job.tile)
    assert (cube.fine.x[0], cube.fine.y[0]) == (left - 40 + 5, top - 60 - 5)
    assert (cube.coarse.x[0], cube.scl.y[0]) == (left - 40 + 10, top - 60 - 10)
    assert cube.fine.sizes == {"time": 1, "band": 2, "y": 18, "x": 72}


def shared_catalog(name: str) -> Path:
    root = Path(os.environ.get("GEOCROP_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (root / "catalogs" / name).is_dir():
        pytest.skip(f"no {name} catalog in {root}")
    return root / "catalogs" / name


def scenes_of(catalog: Path, limit: int) -> list[Scene]:
    """Some of a static catalog's scenes, as its items state them."""
    found = []
    for path in sorted(catalog.glob("*/*/*.json"))[:limit]:
        item = json.loads(path.read_text(encoding="utf-8"))
        assets = {
            band: Asset(
                href=str(path.parent / asset["href"]),
                epsg=item["properties"]["proj:epsg"],
                transform=tuple(asset["proj:transform"]),
                shape=tuple(asset["proj:shape"]),
            )
            for band, asset in item["assets"].items()
        }
        when = dt.datetime.fromisoformat(item["properties"]["datetime"])
        found.append(any_scene(id=item["id"], datetime=when, solar_day=when.date(), assets=assets))
    return found


@pytest.mark.parametrize("name", ["romania", "flanders"])
def test_real_scenes_lie_where_they_are(name: str, supply: Supply) -> None:
    """On an off-grid origin each pixel is the one that holds the tile pixel's centre; on the grid, the pixel itself."""
    scenes = scenes_of(shared_catalog(name), 12)
    red = scenes[0].assets["red"]
    assert red.epsg is not None
    assert red.transform is not None
    grid = TileGrid(epsg=red.epsg, size=64)
    job = job_of(
        scenes,
        grid=grid,
        tile=grid.tile_at(red.transform[2] + 100, red.transform[5] - 100),
        card=any_card(spec=any_spec(bands=("red", "nir", "swir16"))),
    )
    cube = load_cube(job, supply=supply)
    assert cube.fine.values.any()
    for index in (0, 7):
        np.testing.assert_array_equal(cube.fine.values[index, 0], naive(scenes[index], "red", job, 10))
        np.testing.assert_array_equal(cube.coarse.values[index, 0], naive(scenes[index], "swir16", job, 20))
        np.testing.assert_array_equal(cube.scl.values[index], naive(scenes[index], "scl", job, 20))


def test_odd_rows_are_refused(supply: Supply) -> None:
    """20 m pixels are never cut."""
    with pytest.raises(ValueError, match="even"):
        load_cube(job_of([]), slice(1, 20), supply=supply)


def test_threads_read_the_same(tmp_path: Path, supply: Supply) -> None:
    """Two threads give the cube that one gives."""
    scenes = [
        tiny_scene(
            tmp_path, {"red": noise(day, 64), "nir": noise(day, 64), "swir16": 7}, day=ANY_DAY + dt.timedelta(day)
        )
        for day in range(5)
    ]
    one, two = (load_cube(job_of(scenes), supply=supply, threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one.fine, two.fine)


def test_work_never_goes_to_another_scheduler(tmp_path: Path, supply: Supply) -> None:
    """Inside a worker the default scheduler is the cluster's; the cube is computed here all the same."""

    def elsewhere(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("handed to the default scheduler")

    job = job_of([tiny_scene(tmp_path, {"red": 1, "nir": 1, "swir16": 1})])
    with dask.config.set(scheduler=elsewhere):
        for threads in (1, 2):
            assert load_cube(job, supply=supply, threads=threads).fine.values.any()


def with_asset(scene: Scene, band: str, **changes: Any) -> Scene:
    assets = scene.assets | {band: msgspec.structs.replace(scene.assets[band], **changes)}
    return msgspec.structs.replace(scene, assets=assets)


def test_an_asset_that_does_not_say_where_it_lies_is_asked(tmp_path: Path, supply: Supply) -> None:
    """Without stated CRS, size and corner the file's own are used."""
    scene = tiny_scene(tmp_path, {"red": noise(1, 64), "nir": 1, "swir16": 1})
    silent = with_asset(scene, "red", epsg=None, transform=None, shape=None)
    told, asked = (load_cube(job_of([each]), supply=supply) for each in (scene, silent))
    np.testing.assert_array_equal(told.fine, asked.fine)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epsg": 32735}, "EPSG:32736, but its item says EPSG:32735"),
        ({"shape": (65, 64)}, "its item says"),
        ({"transform": (10.0, 0.0, ANY_CORNER[0] + 10, 0.0, -10.0, ANY_CORNER[1])}, "its item says"),
        ({"href": "/nowhere/red.tif"}, "cannot be opened"),
    ],
)
def test_an_item_that_is_wrong_is_named(tmp_path: Path, supply: Supply, changes: dict[str, Any], words: str) -> None:
    """Wrong CRS, size or corner, or no file: a scene error with href and id, never nodata."""
    scene = with_asset(tiny_scene(tmp_path, {"red": 1, "nir": 1, "swir16": 1}), "red", **changes)
    with pytest.raises(SceneError, match=words) as caught:
        load_cube(job_of([scene]), supply=supply, threads=2)
    assert caught.value.scene == scene.id
    assert caught.value.href == scene.assets["red"].href


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.97])
def test_a_truncated_file_is_an_error(tmp_path: Path, supply: Supply, keep: float) -> None:
    """A COG cut short is named, wherever it was cut."""
    values = {"red": noise(1, 640, holes=False), "nir": 1, "swir16": 1}
    job = job_of([], size=640)
    left, _, _, top = job.grid.bounds(job.tile)
    scene = tiny_scene(tmp_path, values, size=640, corner=(left, top))
    path = Path(scene.assets["red"].href)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(SceneError, match="damaged") as caught:
        load_cube(msgspec.structs.replace(job, scenes=(scene,)), supply=supply)
    assert caught.value.scene == scene.id


def test_damage_inside_a_block_is_an_error(tmp_path: Path, supply: Supply) -> None:
    """Flipped bytes do not become pixels."""
    scene = tiny_scene(tmp_path, {"red": noise(1, 64), "nir": 1, "swir16": 1})
    path = Path(scene.assets["red"].href)
    content = bytearray(path.read_bytes())
    content[-3000:-2900] = b"\xff" * 100
    path.write_bytes(content)
    with pytest.raises(SceneError, match="damaged"):
        load_cube(job_of([scene]), supply=supply)


@pytest.mark.parametrize("profile", [{"compress": "lzw"}, {"compress": "zstd", "predictor": 2}, {"tiled": False}])
def test_other_files_read_the_same(tmp_path: Path, supply: Supply, profile: dict[str, Any]) -> None:
    """Other compressions go through GDAL, strips do not have to: the pixels are the same."""
    scene = tiny_scene(tmp_path, {"red": noise(1, 64), "nir": 1, "swir16": 1})
    before = load_cube(job_of([scene]), supply=supply)
    path = scene.assets["red"].href
    with rasterio.open(path) as raster:
        pixels, facts = raster.read(), raster.profile
    with rasterio.open(path, "w", **{**facts, "blockysize": 16, **profile}) as raster:
        raster.write(pixels)
    np.testing.assert_array_equal(load_cube(job_of([scene]), supply=supply).fine, before.fine)
