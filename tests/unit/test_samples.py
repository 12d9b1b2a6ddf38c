"""Samples are the labelled pixels, with the features that mapping makes of them."""

import datetime as dt
import itertools
import re
from pathlib import Path
from typing import Any

import geopandas
import msgspec
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from steps import reader, samples
from steps.cube import load_cube
from steps.errors import LabelError
from steps.features import compute_features
from steps.labels import Labels, read_labels
from steps.local import Crew
from steps.model.grid import TileId
from steps.model.job import Plan, TilePlan
from steps.samples import collect_samples, group_names, labelled_tiles, neighbourhoods
from steps.table import SampleTable
from steps.testing import ANY_CORNER, ANY_DAY, ANY_EPSG, any_card, any_grid, any_plan, any_spec, tiny_scene
from steps.tiff import TiffLayout

GRID = any_grid()
TILE = GRID.tile_at(ANY_CORNER[0] + 1, ANY_CORNER[1] - 1)
WEST, _, _, NORTH = GRID.bounds(TILE)
ALONE = Crew(workers=1, threads=1, memory_mb=2000)


def square(col: int, row: int, width: int) -> shapely.Polygon:
    """A box of whole pixels of the tile."""
    left, top = WEST + 10 * col, NORTH - 10 * row
    return shapely.box(left, top - 10 * width, left + 10 * width, top)


def vector(folder: Path, rows: list[tuple[Any, shapely.Geometry]]) -> str:
    """A GeoPackage of labelled shapes with the column `crop`."""
    frame = geopandas.GeoDataFrame(
        {"crop": [label for label, _ in rows]}, geometry=[shape for _, shape in rows], crs=ANY_EPSG
    )
    frame.to_file(folder / "labels.gpkg", driver="GPKG", engine="pyogrio")
    return str(folder / "labels.gpkg")


def quiet(_steps: int = 1, _note: str = "") -> None:
    """No progress bar."""


def plan_with(folder: Path, scl: int | np.ndarray = 4) -> Plan:
    """A plan of one tile with three scenes whose pixels all differ."""
    rng = np.random.default_rng(0)
    scenes = tuple(
        tiny_scene(
            folder,
            {"scl": scl, **{band: rng.integers(100, 6000, (64, 64)) for band in ("red", "nir")}},
            day=ANY_DAY + dt.timedelta(days=40 * number),
            corner=(WEST, NORTH),
        )
        for number in range(3)
    )
    spec = any_spec(bands=("red", "nir"), dilation_m=0.0)
    return msgspec.structs.replace(any_plan(tiles=1, scenes=3, halo=0, card=any_card(spec=spec)), scenes=scenes)


@pytest.fixture
def fields(tmp_path: Path) -> Labels:
    """Two classes with two fields each."""
    rows = [("a", square(2, 2, 12)), ("b", square(20, 2, 12)), ("a", square(2, 30, 12)), ("b", square(30, 30, 12))]
    return read_labels(vector(tmp_path, rows), "crop", None, "")


def collected(plan: Plan, labels: Labels, kept: Path) -> SampleTable:
    """The samples of a plan's tiles."""
    return collect_samples(plan, labels, labelled_tiles(plan, labels), kept, ALONE, quiet)


def test_samples_have_the_features_that_mapping_has(
    tmp_path: Path, fields: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit the features of the pixels, with their classes, parcels and places."""
    monkeypatch.setattr(samples, "MAX_PER_GROUP", 10**6)
    plan = plan_with(tmp_path)
    found = collected(plan, fields, tmp_path / "kept")
    job = plan.tile_job(plan.tiles[0])
    features = compute_features(load_cube(job), job.card.spec, job.season, job.halo).values.values
    on_tile = fields.on(plan.grid, plan.tiles[0].tile)
    codes, groups = on_tile.codes, on_tile.groups
    y, x = np.nonzero(codes >= 0)
    np.testing.assert_array_equal(found.features, features[:, y, x].T)
    np.testing.assert_array_equal(found.codes, codes[y, x])
    np.testing.assert_array_equal(found.groups, groups[y, x])
    assert found.placed


def test_no_parcel_gives_more_than_its_share(tmp_path: Path, fields: Labels) -> None:
    """Large fields are thinned to the same number, and the same pixels every time."""
    plan = plan_with(tmp_path)
    one, two = collected(plan, fields, tmp_path / "one"), collected(plan, fields, tmp_path / "two")
    _, counts = np.unique(one.groups, return_counts=True)
    assert list(counts) == [samples.MAX_PER_GROUP] * 4
    np.testing.assert_array_equal(one.features, two.features)


def test_cloudy_pixels_are_no_samples(tmp_path: Path, fields: Labels) -> None:
    """Only what was seen clear trains."""
    scl = np.full((32, 32), 4, np.uint8)
    scl[:16] = 9
    found = collected(plan_with(tmp_path, scl), fields, tmp_path / "kept")
    assert len(np.unique(found.groups)) == 2


def test_labels_that_were_never_seen_clear_are_refused(tmp_path: Path, fields: Labels) -> None:
    """A season all in cloud trains nothing."""
    with pytest.raises(LabelError, match="no labelled pixel was seen clear"):
        collected(plan_with(tmp_path, 9), fields, tmp_path / "kept")


def pixels_of(plan: Plan, labels: Labels) -> dict[int, set[tuple[TileId, int, int]]]:
    """The pixels drawn of each parcel, by its row."""
    found: dict[int, set[tuple[TileId, int, int]]] = {}
    for tile, pixels in labelled_tiles(plan, labels).items():
        for group, row, col in zip(pixels.groups.tolist(), pixels.rows.tolist(), pixels.cols.tolist(), strict=True):
            found.setdefault(group, set()).add((tile, row, col))
    return found


def test_labels_that_are_added_change_no_parcel(tmp_path: Path) -> None:
    """The pixels drawn of a parcel are the same whatever else is labelled, before or after it, near or far."""
    old = [("a", square(2, 2, 12)), ("b", square(20, 2, 12)), ("a", square(2, 30, 12)), ("b", square(30, 30, 12))]
    new = [("b", square(16, 44, 12)), *old, ("a", square(36, 16, 10))]
    plan = plan_with(tmp_path)
    before, after = (pixels_of(plan, read_labels(vector(tmp_path, rows), "crop", None, "")) for rows in (old, new))
    assert [after[row + 1] for row in before] == list(before.values())


def test_a_parcel_over_several_tiles_gives_its_share_once(tmp_path: Path) -> None:
    """It is one parcel, however many tiles it lies on."""
    rows = [("a", square(34, 34, 60)), ("b", square(2, 2, 12))]
    found = pixels_of(wide_plan(tmp_path, 2), read_labels(vector(tmp_path, rows), "crop", None, ""))
    assert {row: len(pixels) for row, pixels in found.items()} == {1: samples.MAX_PER_GROUP, 2: samples.MAX_PER_GROUP}
    assert len({tile for tile, _, _ in found[1]}) == 4


def test_a_class_gives_no_more_than_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parcels give as evenly as they are large enough; a rarer class gives all."""
    monkeypatch.setattr(samples, "MAX_PER_CLASS", 63)
    rows = [("a", square(2, 2, 12)), ("a", square(20, 2, 12)), ("a", square(2, 30, 3)), ("b", square(30, 30, 9))]
    found = pixels_of(plan_with(tmp_path), read_labels(vector(tmp_path, rows), "crop", None, ""))
    assert {row: len(pixels) for row, pixels in found.items()} == {1: 27, 2: 27, 3: 9, 4: 49}


def test_labels_outside_the_scenes_are_refused(tmp_path: Path) -> None:
    """They are named, with where they lie; the remedy names CRS and area."""
    labels = read_labels(vector(tmp_path, [("a", square(500, 500, 9)), ("b", square(520, 520, 9))]), "crop", None, "")
    words = r"no label lies where there are scenes \(2 labels: row 1, row 2\): they are at .* E, .* N, the scenes at"
    with pytest.raises(LabelError, match=words):
        labelled_tiles(plan_with(tmp_path), labels)


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    """The only class is named."""
    labels = read_labels(vector(tmp_path, [("a", square(5, 5, 9)), ("a", square(25, 25, 9))]), "crop", None, "")
    with pytest.raises(LabelError, match="only the class a"):
        collected(plan_with(tmp_path), labels, tmp_path / "kept")


def test_a_class_of_four_samples_is_refused(tmp_path: Path) -> None:
    """The class is named with its number."""
    labels = read_labels(vector(tmp_path, [("a", square(5, 5, 9)), ("b", square(25, 25, 2))]), "crop", None, "")
    with pytest.raises(LabelError, match=r"class b has 4 clear samples \(row 2\), at least 10"):
        collected(plan_with(tmp_path), labels, tmp_path / "kept")


def wide_plan(folder: Path, side: int = 4) -> Plan:
    """A plan of 4 x 4 tiles, or of less, with two scenes of several blocks each, which reach over tiles."""
    rng = np.random.default_rng(3)
    scenes = tuple(
        tiny_scene(
            folder,
            {"red": rng.integers(100, 6000, (320, 320)), "nir": rng.integers(100, 6000, (320, 320))},
            day=ANY_DAY + dt.timedelta(days=40 * number),
            corner=(WEST - 320, NORTH + 320),
            size=320,
        )
        for number in range(2)
    )
    spec = any_spec(bands=("red", "nir"), dilation_m=0.0)
    plan = any_plan(tiles=1, scenes=2, halo=0, card=any_card(spec=spec))
    tiles = tuple(
        TilePlan(tile=TileId(row=TILE.row + row, col=TILE.col + col), scenes=(0, 1))
        for row in range(side)
        for col in range(side)
    )
    return msgspec.structs.replace(plan, scenes=scenes, tiles=tiles)


@pytest.fixture
def points(tmp_path: Path) -> Labels:
    """10,000 points, one to a pixel."""
    cols, rows = np.divmod(np.random.default_rng(0).permutation(256 * 256)[:10_000], 256)
    frame = geopandas.GeoDataFrame(
        {"crop": np.where(rows % 2, "a", "b")},
        geometry=shapely.points(WEST + 10 * cols + 5, NORTH - 10 * rows - 5),
        crs=ANY_EPSG,
    )
    frame.to_parquet(tmp_path / "points.parquet")
    return read_labels(str(tmp_path / "points.parquet"), "crop", None, "")


def test_points_decode_each_block_at_most_once(tmp_path: Path, points: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 points over tiles that share blocks: no block of no scene is inflated twice."""
    decoded: list[int] = []
    inflate = reader.inflate

    def counted(layout: TiffLayout, number: int, data: bytes) -> bytes:
        decoded.append(hash(data))
        return inflate(layout, number, data)

    monkeypatch.setattr(reader, "inflate", counted)
    plan = wide_plan(tmp_path)
    found = collected(plan, points, tmp_path / "kept")
    assert len(found) == 10_000
    assert len(np.unique(found.groups)) == 10_000
    assert len(decoded) == 2 * (4 + 4 + 1), "all blocks of red, nir and the scenes' classes"
    assert len(set(decoded)) == len(decoded) - 1, "only the classes of the two scenes are alike"


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path, points: Labels) -> None:
    """Tiles that were done are not done again; the table is the same as in one go."""

    class Stopped(Exception):  # noqa: N818
        """As Ctrl-C would."""

    def stops(_steps: int = 1, _note: str = "") -> None:
        if len(list((tmp_path / "kept").iterdir())) == 2:
            raise Stopped

    plan, kept = wide_plan(tmp_path, side=2), tmp_path / "kept"
    tiles = labelled_tiles(plan, points)
    with pytest.raises(Stopped):
        collect_samples(plan, points, tiles, kept, ALONE, stops)
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    again = collected(plan, points, kept)
    after = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert len(before) == 2
    assert len(after) == 4
    assert before.items() <= after.items()
    assert again.digest == collected(plan, points, tmp_path / "other").digest


def test_a_kept_file_that_is_damaged_is_made_again(tmp_path: Path, fields: Labels) -> None:
    """Half a file is as good as none."""
    plan, kept = plan_with(tmp_path), tmp_path / "kept"
    whole = collected(plan, fields, kept)
    path = next(kept.iterdir())
    path.write_bytes(path.read_bytes()[:-100])
    assert collected(plan, fields, kept).digest == whole.digest


def test_a_scene_that_cannot_be_read_is_left_out(tmp_path: Path, fields: Labels) -> None:
    """As mapping does: the samples are those of the other scenes."""
    plan = plan_with(tmp_path)
    Path(plan.scenes[1].assets["red"].href).write_bytes(b"no raster")
    less = msgspec.structs.replace(
        plan,
        scenes=(plan.scenes[0], plan.scenes[2]),
        tiles=(msgspec.structs.replace(plan.tiles[0], scenes=(0, 1)),),
    )
    one, other = collected(plan, fields, tmp_path / "one"), collected(less, fields, tmp_path / "two")
    assert one.digest == other.digest


@settings(deadline=None, max_examples=50)
@given(st.sets(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=30), st.integers(1, 3))
def test_neighbourhoods_share_no_block(places: set[tuple[int, int]], reach: int) -> None:
    """Every tile is in one group; tiles of two groups are farther apart than the reach, the largest group is first."""
    tiles = [TileId(row=row, col=col) for row, col in sorted(places)]
    groups = neighbourhoods(tiles, reach)
    assert sorted(tile for group in groups for tile in group) == tiles
    assert [len(group) for group in groups] == sorted((len(group) for group in groups), reverse=True)
    for one, other in itertools.combinations(groups, 2):
        assert all(max(abs(a.row - b.row), abs(a.col - b.col)) > reach for a in one for b in other)


def test_labels_are_called_by_row_and_place(tmp_path: Path, fields: Labels) -> None:
    """What a list of doubtful labels shows."""
    names = group_names(collected(plan_with(tmp_path), fields, tmp_path / "kept"), fields)
    assert set(names) == {1, 2, 3, 4}
    assert re.fullmatch(r"row 2 at 31\.\d{5} -17\.\d{5}", names[2])
