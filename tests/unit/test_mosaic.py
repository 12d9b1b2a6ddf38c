import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.transform import Affine
from rio_cogeo import cog_validate

import steps.mosaic
from steps import naming
from steps.aoi import aoi_shape
from steps.areas import pixel_areas
from steps.credit import COPERNICUS
from steps.errors import DataError
from steps.footprint import Footprint
from steps.layers import pin_raster
from steps.model.aoi import Aoi
from steps.model.grid import TileGrid, TileId
from steps.model.job import (
    REASON_CODES,
    MapOptions,
    Plan,
    Reason,
    SceneFault,
    TileEmpty,
    TileFailed,
    TileMapped,
    TileOutcome,
    TilePlan,
)
from steps.mosaic import Mosaic, band_names, count_pixels, make_mosaic, strips
from steps.plan import project
from steps.store import FolderStore, MissingObject
from steps.testing import ANY_EPSG, any_card, any_classes, any_plan, any_request
from steps.tile import BANDS

Bands = NDArray[np.uint8]
WEST, NORTH = 300_000.0, 8_020_000.0
"""Near the map, in metres; no multiple of the tiles here."""
ANY_FAULT = SceneFault(scene="any", href="/nowhere.tif", error="truncated")
LAYERS = ("map", "confidence", "margin", "clear", "composite", "reason")


def drawn(points: list[tuple[float, float]]) -> Aoi:
    """The hull of points given in pixels right and down of WEST, NORTH."""
    ring = shapely.convex_hull(shapely.MultiPoint(points)).exterior.coords
    lonlat = Transformer.from_crs(ANY_EPSG, 4326, always_xy=True)
    ring = [lonlat.transform(WEST + 10 * x, NORTH - 10 * y) for x, y in ring]
    return Aoi(name="any", geometry={"type": "Polygon", "coordinates": [ring]})


def plan_of(aoi: Aoi, size: int = 48, **options: Any) -> Plan:
    """A plan with all tiles that the AOI's window touches."""
    grid = TileGrid(epsg=ANY_EPSG, size=size)
    window = Footprint.of(aoi, grid).window
    tiles = [
        TileId(row=row, col=col)
        for row in range(window.row // size, (window.row + window.height - 1) // size + 1)
        for col in range(window.col // size, (window.col + window.width - 1) // size + 1)
    ]
    request = any_request(aoi=aoi, options=MapOptions(**options))
    plan = any_plan(request=request, grid=grid, scenes=0)
    return msgspec.structs.replace(plan, tiles=tuple(TilePlan(tile=tile, scenes=()) for tile in tiles))


def tile_pixels(plan: Plan, tile: TileId, seed: int) -> Bands:
    """A tile's raster as the classifier might have made it."""
    random = np.random.default_rng([seed, tile.row, tile.col])
    shape = (plan.grid.size, plan.grid.size)
    reason = random.choice([REASON_CODES[r] for r in (Reason.MAPPED, Reason.NO_SCENES, Reason.ALL_CLOUD)], shape)
    bands = random.integers(0, 101, (len(band_names(plan)), *shape), np.uint8)
    bands[0] = random.choice([0, 1, 7], shape)
    bands[3] = random.integers(0, 256, shape)
    bands[4:7] = random.integers(1, 256, (3, *shape))
    bands[7] = reason
    bands[np.ix_([0, 1, 2, *range(8, len(bands))])] = np.where(reason, 255, bands[[0, 1, 2, *range(8, len(bands))]])
    return bands


def put_tile(plan: Plan, tile: TileId, bands: Bands, store: FolderStore, folder: Path, **changes: Any) -> TileMapped:
    path = folder / "tile.tif"
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=len(bands), width=plan.grid.size, height=plan.grid.size,
        crs=f"EPSG:{plan.grid.epsg}", transform=Affine(*plan.grid.transform(tile)), tiled=True, blockxsize=16,
        blockysize=16, compress="zstd",
    ) as target:  # fmt: skip
        target.write(bands)
    store.put_file(naming.tile_raster_key(plan.grid, tile, "anykey"), path)
    fields: dict[str, Any] = {"tile": tile, "planned_key": "anykey", "key": "anykey", "pixels": {}, "scenes": 1}
    return TileMapped(**(fields | changes))


def any_empty(tile: TileId, reason: Reason) -> TileEmpty:
    return TileEmpty(tile=tile, planned_key="k", key="k", reason=reason, pixels={})


def naive(plan: Plan, tiles: Mapping[TileId, Bands | Reason], footprint: Footprint) -> Bands:
    """All of the window in one array, pixel centre by pixel centre."""
    window, size = footprint.window, plan.grid.size
    whole = np.full((len(band_names(plan)), window.height, window.width), 255, np.uint8)
    shape = project(aoi_shape(plan.request.aoi), plan.grid.epsg)
    inside = footprint.mask(0, window.height)
    x0, y0 = plan.grid.origin
    for y in range(window.height):
        for x in range(window.width):
            row, col = window.row + y, window.col + x
            centre = shapely.Point(x0 + (col + 0.5) * 10, y0 - (row + 0.5) * 10)
            on_the_line = shape.boundary.distance(centre) < 1e-3
            if not (inside[y, x] if on_the_line else shape.contains(centre)):
                whole[4:7, y, x] = 0
                continue
            there = tiles.get(TileId(row=row // size, col=col // size), Reason.WORKER_LOST)
            if isinstance(there, Reason):
                whole[3, y, x] = 255 if there is Reason.WORKER_LOST else 0
                whole[4:7, y, x] = 0
                whole[7, y, x] = REASON_CODES[there]
            else:
                whole[:, y, x] = there[:, row % size, col % size]
                whole[3, y, x] = min(whole[3, y, x], 254)
    return whole


def layers_of(whole: Bands) -> dict[str, Bands]:
    places = {"map": [0], "confidence": [1], "margin": [2], "clear": [3], "composite": [4, 5, 6], "reason": [7]}
    return {name: whole[place] for name, place in places.items()}


def read(path: Path) -> Bands:
    with rasterio.open(path) as source:
        return np.asarray(source.read())


def square(size: int = 60) -> Aoi:
    return drawn([(5, 3), (5 + size, 3), (5 + size, 3 + size), (5, 3 + size)])


def mosaic(plan: Plan, outcomes: Mapping[TileId, TileOutcome], store: FolderStore, folder: Path) -> Mosaic:
    folder.mkdir(exist_ok=True)
    return make_mosaic(plan, outcomes, store, folder, any_classes())


@settings(max_examples=25, deadline=None)
@given(
    points=st.lists(st.tuples(st.floats(0, 90), st.floats(0, 90)), min_size=3, max_size=6),
    kinds=st.lists(
        st.sampled_from(("mapped", "mapped", Reason.ALL_CLOUD, Reason.BAD_SCENE, "failed", "absent")),
        min_size=30, max_size=30,
    ),
    size=st.sampled_from((16, 48)),
    rows=st.sampled_from((512, 16, 7)),
    seed=st.integers(0, 2**32),
)  # fmt: skip
def test_a_mosaic_is_the_naive_paste(
    tmp_path_factory: pytest.TempPathFactory, points: list[Any], kinds: list[Any], size: int, rows: int, seed: int
) -> None:
    """For any AOI, offset, subset of tiles and height of strips, layers and counts are those of a loop over pixels."""
    folder, aoi = tmp_path_factory.mktemp("mosaic"), drawn([*points, (45.3, 44.1), (47.9, 44.4), (46.2, 47.7)])
    plan, store = plan_of(aoi, size), FolderStore(folder / "store")
    outcomes: dict[TileId, TileOutcome] = {}
    tiles: dict[TileId, Bands | Reason] = {}
    for entry, kind in zip(plan.tiles, kinds * 3, strict=False):
        tile = entry.tile
        if kind == "mapped":
            pixels = tile_pixels(plan, tile, seed)
            tiles[tile], outcomes[tile] = pixels, put_tile(plan, tile, pixels, store, folder)
        elif kind == "failed":
            outcomes[tile] = TileFailed(tile=tile, planned_key="k", error="any", exit_code=75)
        elif isinstance(kind, Reason):
            tiles[tile], outcomes[tile] = kind, any_empty(tile, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps.mosaic, "_ROWS", rows)
        made = mosaic(plan, outcomes, store, folder / "out")
        counted = count_pixels(strips(plan, outcomes, store, made.footprint, ("reason",)))
    expected = naive(plan, tiles, made.footprint)
    for name, layer in layers_of(expected).items():
        np.testing.assert_array_equal(read(made.paths[name]), layer, name)
    found = {reason: int((expected[7] == code).sum()) for reason, code in REASON_CODES.items()}
    assert made.pixels == counted == {reason: count for reason, count in found.items() if count}
    assert made.areas.pixels.tolist() == np.bincount(expected[0].ravel(), minlength=256).tolist()


def one_tile(tmp_path: Path, plan: Plan, **changes: Any) -> tuple[dict[TileId, TileOutcome], FolderStore]:
    """All of a plan's tiles, mapped."""
    store = FolderStore(tmp_path / "store")
    return {
        entry.tile: put_tile(plan, entry.tile, tile_pixels(plan, entry.tile, 0), store, tmp_path, **changes)
        for entry in plan.tiles
    }, store


def test_every_layer_is_a_strict_cog_at_the_same_place(tmp_path: Path) -> None:
    """All layers are valid COGs with the bounds of the AOI's window, to the pixel."""
    plan = plan_of(square(), probabilities=True)
    made = mosaic(plan, *one_tile(tmp_path, plan), tmp_path / "out")
    assert set(made.paths) == {*LAYERS, "probabilities"}
    for name, path in made.paths.items():
        assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
        with rasterio.open(path) as source:
            assert (source.crs.to_epsg(), source.shape) == (ANY_EPSG, (60, 60))
            assert tuple(source.bounds) == pytest.approx((WEST + 50, NORTH - 630, WEST + 650, NORTH - 30))
            assert source.nodata == (0 if name == "composite" else 255)


def test_layers_say_what_they_are(tmp_path: Path) -> None:
    """The map and the reasons have colours and names, bands of probabilities the names of their classes."""
    plan = plan_of(square(), probabilities=True)
    made = mosaic(plan, *one_tile(tmp_path, plan), tmp_path / "out")
    with rasterio.open(made.paths["map"]) as source:
        assert source.colormap(1)[7][:3] == (0x39, 0x7D, 0x49)
        assert source.tags(1)["CLASS_7"] == "forest"
        assert source.tags()["TIFFTAG_COPYRIGHT"] == COPERNICUS
    with rasterio.open(made.paths["reason"]) as source:
        assert source.tags(1)["CLASS_4"] == "worker-lost"
    with rasterio.open(made.paths["probabilities"]) as source:
        assert source.descriptions == tuple(entry.name for entry in plan.card.classes)


def test_probabilities_are_pasted_too(tmp_path: Path) -> None:
    """With probabilities asked for, each class has its band, clipped as the map is."""
    plan = plan_of(drawn([(0, 0), (50, 7), (20, 60)]), probabilities=True)
    made = mosaic(plan, *one_tile(tmp_path, plan), tmp_path / "out")
    tiles = {entry.tile: tile_pixels(plan, entry.tile, 0) for entry in plan.tiles}
    np.testing.assert_array_equal(read(made.paths["probabilities"]), naive(plan, tiles, made.footprint)[8:])


@pytest.mark.parametrize(
    ("lasting", "reason"),
    [((True,), Reason.BAD_SCENE), ((False,), Reason.READ_ERROR), ((False, True), Reason.READ_ERROR)],
)
def test_a_reduced_tile_says_which_scenes_it_lacks(tmp_path: Path, lasting: tuple[bool, ...], reason: Reason) -> None:
    """Where scenes were left out, a pixel without scenes is one of a bad scene, or of an error that may pass."""
    plan = plan_of(square())
    faults = tuple(msgspec.structs.replace(ANY_FAULT, lasting=one) for one in lasting)
    whole = mosaic(plan, *one_tile(tmp_path, plan), tmp_path / "out")
    reduced = mosaic(plan, *one_tile(tmp_path, plan, excluded=faults), tmp_path / "out")
    assert reduced.pixels[reason] == whole.pixels[Reason.NO_SCENES]
    assert Reason.NO_SCENES not in reduced.pixels


@pytest.mark.parametrize("epsg", [ANY_EPSG, 4326])
def test_a_mask_takes_pixels_out(tmp_path: Path, epsg: int) -> None:
    """Zeros of a mask on any grid, and where it has no data, are masked and not mapped; the picture stays."""
    x, y = Transformer.from_crs(ANY_EPSG, epsg, always_xy=True).transform(WEST, NORTH)
    step = 10.0 if epsg == ANY_EPSG else 1e-4
    with rasterio.open(
        tmp_path / "mask.tif", "w", driver="GTiff", dtype="int16", count=1, width=200, height=33, nodata=-1,
        crs=f"EPSG:{epsg}", transform=Affine(step, 0, x, 0, -step, y),
    ) as target:  # fmt: skip
        crops = np.ones((33, 200), np.int16)
        crops[:, :25], crops[:, 40] = 0, -1
        target.write(crops, 1)
    plan = plan_of(square(), mask=pin_raster(str(tmp_path / "mask.tif")))
    outcomes, store = one_tile(tmp_path, plan)
    made = mosaic(plan, outcomes, store, tmp_path / "out")
    whole = mosaic(plan_of(square()), outcomes, store, tmp_path / "whole")
    masked = read(made.paths["reason"])[0] == REASON_CODES[Reason.MASKED]
    if epsg == ANY_EPSG:
        expected = np.ones((60, 60), bool)
        expected[:30, 20:] = False
        expected[:30, 35] = True
        np.testing.assert_array_equal(masked, expected)
    assert 0 < masked.sum() < masked.size
    assert made.pixels[Reason.MASKED] == masked.sum()
    for name in ("map", "confidence", "margin", "reason"):
        kept = np.where(masked, 255 if name != "reason" else 5, read(whole.paths[name]))
        np.testing.assert_array_equal(read(made.paths[name]), kept)
    np.testing.assert_array_equal(read(made.paths["composite"]), read(whole.paths["composite"]))


def test_areas_are_true_areas_of_what_is_mapped(tmp_path: Path) -> None:
    """Hectares per class are the sum of its pixels' areas on the ellipsoid, inside the AOI only."""
    plan = plan_of(drawn([(0, 0), (50, 7), (20, 60)]))
    made = mosaic(plan, *one_tile(tmp_path, plan), tmp_path / "out")
    codes = read(made.paths["map"])[0]
    areas = pixel_areas(ANY_EPSG, made.footprint.window.transform, codes.shape)
    expected = {code: areas[codes == code].sum() / 10_000 for code in (0, 1, 7)}
    assert made.areas.hectares() == pytest.approx(expected, rel=1e-9)


def test_the_same_tiles_give_the_same_bytes(tmp_path: Path) -> None:
    """A mosaic made again has the bytes of the first, layer by layer."""
    plan = plan_of(square(), probabilities=True)
    outcomes, store = one_tile(tmp_path, plan)
    first = mosaic(plan, outcomes, store, tmp_path / "first")
    second = mosaic(plan, outcomes, store, tmp_path / "second")
    assert all(path.read_bytes() == second.paths[name].read_bytes() for name, path in first.paths.items())


def test_a_raster_that_is_gone_is_named(tmp_path: Path) -> None:
    """A result whose raster is not in the store is a data error with the key."""
    plan = plan_of(square())
    outcomes, store = one_tile(tmp_path, plan)
    key = naming.tile_raster_key(plan.grid, plan.tiles[0].tile, "anykey")
    store.delete(key)
    with pytest.raises(MissingObject, match=key):
        mosaic(plan, outcomes, store, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("damage", [b"", b"no raster at all"])
def test_a_raster_that_is_none_is_named(tmp_path: Path, damage: bytes) -> None:
    """A damaged raster is a data error that names the tile."""
    plan = plan_of(square())
    outcomes, store = one_tile(tmp_path, plan)
    store.put_bytes(naming.tile_raster_key(plan.grid, plan.tiles[0].tile, "anykey"), damage)
    with pytest.raises(DataError, match=str(plan.tiles[0].tile)):
        mosaic(plan, outcomes, store, tmp_path / "out")


def test_a_raster_of_another_plan_is_refused(tmp_path: Path) -> None:
    """A tile without the probabilities that the plan asks for is not taken for one."""
    outcomes, store = one_tile(tmp_path, plan_of(square()))
    with pytest.raises(DataError, match="cannot be read"):
        mosaic(plan_of(square(), probabilities=True), outcomes, store, tmp_path / "out")


def test_bands_are_those_of_a_tile() -> None:
    """The names of a tile's bands are its fixed ones, then a probability for each class code."""
    plan = plan_of(square(), probabilities=True)
    assert band_names(plan) == (*BANDS, *(f"probability-{entry.code}" for entry in any_card().classes))


def test_memory_does_not_grow_with_the_height_of_a_map(tmp_path: Path) -> None:
    """A map four times as high, 134 MB in all layers, takes no more than 40 MB more."""
    script = """
import resource, sys
from pathlib import Path
from tests.bench.mosaic_memory import make
def peak(height):
    make(Path(sys.argv[1]), 4096, height)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
first = peak(1024)
print(first, more := peak(4096) - first)
sys.exit(more > 40)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, cwd=root, capture_output=True)
    assert done.returncode == 0, done
