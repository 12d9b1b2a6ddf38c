"""Samples are the labelled pixels, with the features that mapping makes of them."""

import datetime as dt
from pathlib import Path
from typing import Any

import geopandas
import msgspec
import numpy as np
import pytest
import shapely

from steps import samples
from steps.cube import load_cube
from steps.errors import LabelError
from steps.features import compute_features
from steps.labels import Labels, read_labels
from steps.model.job import Plan
from steps.samples import collect_samples, labelled_tiles
from steps.table import SampleTable
from steps.testing import ANY_CORNER, ANY_DAY, ANY_EPSG, any_card, any_grid, any_plan, any_spec, tiny_scene

GRID = any_grid()
TILE = GRID.tile_at(ANY_CORNER[0] + 1, ANY_CORNER[1] - 1)
WEST, _, _, NORTH = GRID.bounds(TILE)


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
    return collect_samples(plan, labels, labelled_tiles(plan, labels), kept, quiet)


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


def test_labels_outside_the_scenes_are_refused(tmp_path: Path) -> None:
    """The remedy names CRS and area."""
    labels = read_labels(vector(tmp_path, [("a", square(500, 500, 9)), ("b", square(520, 520, 9))]), "crop", None, "")
    with pytest.raises(LabelError, match="no label lies where there are scenes"):
        labelled_tiles(plan_with(tmp_path), labels)


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    """The only class is named."""
    labels = read_labels(vector(tmp_path, [("a", square(5, 5, 9)), ("a", square(25, 25, 9))]), "crop", None, "")
    with pytest.raises(LabelError, match="only the class a"):
        collected(plan_with(tmp_path), labels, tmp_path / "kept")


def test_a_class_of_four_samples_is_refused(tmp_path: Path) -> None:
    """The class is named with its number."""
    labels = read_labels(vector(tmp_path, [("a", square(5, 5, 9)), ("b", square(25, 25, 2))]), "crop", None, "")
    with pytest.raises(LabelError, match="class b has 4 clear samples, at least 5"):
        collected(plan_with(tmp_path), labels, tmp_path / "kept")
