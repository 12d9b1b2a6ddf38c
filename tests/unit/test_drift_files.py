"""Drift of whole maps: made fields of real COGs, mapped, published, and compared with where the model was trained."""

import csv
import dataclasses
import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import shapely
import xgboost
from pyproj import Transformer

from steps import naming
from steps.drift import Drift, Verdict
from steps.drift_reference import POINTS_FILE, make_reference
from steps.errors import ModelError
from steps.extras import Extras
from steps.model.aoi import Aoi
from steps.model.card import ModelCard
from steps.model.grid import TileId
from steps.model.job import Coverage, Plan, TileFailed, TileMapped, TilePlan
from steps.model.scene import Scene
from steps.prepare import load_points, store_plan
from steps.publish import gate_job, mosaic_job, publish_job
from steps.store import FolderStore
from steps.testing import any_classes, any_grid, any_plan, any_request, any_spec, tiny_scene
from steps.tile import TileMapper, feature_strips
from steps.versions import pixel_version
from steps.work import do_tiles

TILE, PATCH, TILES = 64, 8, 2
GRID = any_grid(TILE)
FIRST = GRID.tile_at(300_001.0, 8_019_999.0)
LEFT, _, _, TOP = GRID.bounds(FIRST)
CROP, FOREST = 1, 7


def patches(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Class codes and parcel numbers (y, x) of a scene: square parcels, a third of them forest."""
    side = TILES * TILE // PATCH
    numbers = np.arange(side * side).reshape(side, side)
    codes = np.where(np.random.default_rng(seed).random((side, side)) < 1 / 3, FOREST, CROP)
    return np.kron(codes, np.ones((PATCH, PATCH), int)), np.kron(numbers, np.ones((PATCH, PATCH), int))


def write_season(folder: Path, delay: int = 0, seed: int = 0) -> tuple[Scene, ...]:
    """A year of scenes, one a month; crops are green about day 150 and `delay` days later, forest always."""
    codes, numbers = patches(seed)
    rng = np.random.default_rng(seed)
    vigour = rng.normal(0, 0.05, numbers.max() + 1)[numbers]
    scenes = []
    for month in range(12):
        day = dt.date(2021, 10, 5) + dt.timedelta(days=30 * month)
        growth = np.exp(-(((30 * month - 150 - delay) / 60) ** 2))
        green = np.where(codes == FOREST, 0.8, 0.2 + 0.6 * growth) + vigour + rng.normal(0, 0.02, codes.shape)
        red, nir = 2500 - 2000 * green, 2000 + 2500 * green
        values = {"red": red.clip(1).astype(np.uint16), "nir": nir.astype(np.uint16)}
        scenes.append(tiny_scene(folder, values, day=day, size=TILES * TILE, corner=(LEFT, TOP)))
    return tuple(scenes)


@dataclass(frozen=True)
class Field:
    """Two seasons of the same land, and a model of the first one's west."""

    scenes: tuple[Scene, ...]
    late: tuple[Scene, ...]
    card: ModelCard
    model: bytes
    points: bytes

    def plan(self, tiles: Sequence[TileId], scenes: Sequence[Scene], aoi: Aoi | None = None) -> Plan:
        """A map of some tiles, or of an area in them."""
        aoi = aoi or area("tiles", tiles)
        return msgspec.structs.replace(
            any_plan(card=self.card, grid=GRID, request=any_request(aoi=aoi), pixel_version=pixel_version()),
            job=f"{aoi.name}-{'late' if scenes is self.late else 'usual'}",
            scenes=tuple(scenes),
            tiles=tuple(TilePlan(tile=tile, scenes=tuple(range(len(scenes)))) for tile in tiles),
        )


def area(name: str, tiles: Sequence[TileId], share: float = 1.0) -> Aoi:
    """A row of tiles, or only so much of each side of it, from its north-western corner on."""
    left, bottom, _, top = GRID.bounds(tiles[0])
    right = GRID.bounds(tiles[-1])[2]
    box = shapely.box(left, top - (top - bottom) * share, left + (right - left) * share, top)
    to_degrees = Transformer.from_crs(GRID.epsg, 4326, always_xy=True)
    return Aoi(
        name=name,
        geometry=json.loads(shapely.to_geojson(shapely.transform(box, to_degrees.transform, interleaved=False))),
    )


def tile(row: int, col: int) -> TileId:
    return TileId(row=FIRST.row + row, col=FIRST.col + col)


TRAINED, NEIGHBOUR = tile(0, 0), tile(0, 1)


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Field:
    folder = tmp_path_factory.mktemp("field")
    scenes, late = write_season(folder / "season"), write_season(folder / "late", delay=90)
    spec = any_spec()
    blank = ModelCard(name="field", model_sha256="", spec=spec, classes=())
    plan = any_plan(card=blank, grid=GRID, pixel_version=pixel_version())
    job = msgspec.structs.replace(next(plan.tile_jobs()), tile=TRAINED, scenes=scenes)
    values = np.concatenate([features.values.values for _, features, _ in feature_strips(job)], axis=1)
    codes, numbers = (one[:TILE, :TILE].ravel() for one in patches(0))
    features = np.ascontiguousarray(values.reshape(len(values), -1).T)
    booster = xgboost.train(
        {"objective": "multi:softprob", "num_class": 2, "max_depth": 3, "seed": 0},
        xgboost.DMatrix(features, codes == FOREST),
        num_boost_round=8,
    )
    model = bytes(booster.save_raw("json"))
    reference, points = make_reference(features, spec.feature_names, codes, numbers)
    card = msgspec.structs.replace(
        blank,
        model_sha256=hashlib.sha256(model).hexdigest(),
        classes=tuple(one for one in any_classes() if one.code in (CROP, FOREST)),
        reference=reference,
    )
    return Field(scenes, late, card, model, points)


Copied = tuple[Plan, FolderStore, Path]


@pytest.fixture(scope="module")
def finished(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the map of both tiles; not to be changed."""
    root = tmp_path_factory.mktemp("finished")
    make_map(field, field.plan([TRAINED, NEIGHBOUR], field.scenes), FolderStore(root))
    return root


@pytest.fixture
def copied(field: Field, finished: Path, tmp_path: Path) -> Copied:
    """The same to work in: plan, store and its folder."""
    root = tmp_path / "copied"
    shutil.copytree(finished, root)
    return field.plan([TRAINED, NEIGHBOUR], field.scenes), FolderStore(root), root


def make_map(field: Field, plan: Plan, store: FolderStore, *, points: bool = True) -> Coverage:
    """Plan, map and publish, in this process."""
    store_plan(plan, field.model, store, field.points if points else None)
    assert all(isinstance(one, TileMapped) for one in do_tiles(TileMapper(store), plan, [e.tile for e in plan.tiles]))
    return publish(plan, store)


def publish(plan: Plan, store: FolderStore) -> Coverage:
    coverage = gate_job(plan, store)
    mosaic_job(plan, store, Extras())
    publish_job(plan, store, coverage, Extras())
    return coverage


def drift_of(plan: Plan, store: FolderStore) -> Drift:
    return msgspec.json.decode(store.get_bytes(naming.map_key(plan.job, "drift.json")), type=Drift)


def item_of(plan: Plan, store: FolderStore) -> dict[str, Any]:
    return json.loads(store.get_bytes(naming.item_key(plan.job)))


def report_of(plan: Plan, store: FolderStore) -> str:
    return store.get_bytes(naming.map_key(plan.job, "report.html")).decode()


def sidecars(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.drift.npz")}


def test_where_it_was_trained_the_model_is_trusted(field: Field, tmp_path: Path) -> None:
    """The training area, all of its pixels: no feature has moved, and nothing is warned of."""
    store, plan = FolderStore(tmp_path), field.plan([TRAINED], field.scenes)
    make_map(field, plan, store)
    found = drift_of(plan, store)
    assert found.verdict is Verdict.OK
    assert found.moved == 0
    assert found.outside < 0.1
    assert found.sentence in report_of(plan, store)


def test_other_land_of_the_same_season_is_trusted(field: Field, finished: Path) -> None:
    """With the next tile, which the model never saw."""
    plan = field.plan([TRAINED, NEIGHBOUR], field.scenes)
    assert drift_of(plan, FolderStore(finished)).verdict is Verdict.OK


def test_a_late_season_is_not_trusted(field: Field, tmp_path: Path) -> None:
    """The same fields, green three months later: report, item and table say so, and which features moved."""
    store, plan = FolderStore(tmp_path), field.plan([TRAINED, NEIGHBOUR], field.late)
    make_map(field, plan, store)
    found, properties = drift_of(plan, store), item_of(plan, store)["properties"]
    assert found.verdict is Verdict.DISTRUST
    assert found.sentence.startswith("Do not trust this map")
    assert found.features[0].name in found.sentence
    assert properties["geocrop:drift_verdict"] == "do not trust"
    assert properties["geocrop:drift_sentence"] == found.sentence
    assert report_of(plan, store).index(found.sentence) < report_of(plan, store).index('id="map"')
    rows = list(csv.DictReader(store.get_bytes(naming.map_key(plan.job, "drift.csv")).decode().splitlines()))
    assert [row["feature"] for row in rows] == [one.name for one in found.features]


def test_the_item_lists_what_the_comparison_needs(field: Field, finished: Path) -> None:
    """The numbers, and the training points beside the model, each with its checksum."""
    plan = field.plan([TRAINED, NEIGHBOUR], field.scenes)
    assets = item_of(plan, FolderStore(finished))["assets"]
    assert {"drift", "drift-csv", "points"} <= set(assets)
    lies_at = (finished / naming.map_key(plan.job, assets["points"]["href"])).resolve()
    assert assets["points"]["file:checksum"] == f"1220{hashlib.sha256(lies_at.read_bytes()).hexdigest()}"


def test_neither_order_nor_threads_matter(field: Field, finished: Path, tmp_path: Path) -> None:
    """Tiles one by one from the east on two threads, or in one batch: the same sidecars and the same file."""
    plan, other = field.plan([TRAINED, NEIGHBOUR], field.scenes), FolderStore(tmp_path)
    store_plan(plan, field.model, other, field.points)
    for entry in plan.tiles[::-1]:
        list(do_tiles(TileMapper(other, threads=2), plan, [entry.tile]))
    publish(plan, other)
    assert len(sidecars(finished)) == 2
    assert sidecars(finished) == sidecars(tmp_path)
    assert drift_of(plan, FolderStore(finished)) == drift_of(plan, other)


def test_tiles_of_another_job_are_measured(field: Field, copied: Copied) -> None:
    """Tiles that lie in the store count as those made now, and are not made again."""
    _, store, root = copied
    before = tile_times(root)
    plan = field.plan([TRAINED, NEIGHBOUR], field.scenes, area("part", [TRAINED, NEIGHBOUR], 0.5))
    make_map(field, plan, store)
    assert tile_times(root) == before
    assert (drift_of(plan, store).tiles, drift_of(plan, store).tiles_unmeasured) == (2, 0)


def tile_times(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.glob("tiles/*/*/*")}


def test_a_job_that_was_stopped_goes_on(field: Field, copied: Copied) -> None:
    """A tile whose result was not written yet is made again: the map's drift is that of a run without a stop."""
    plan, store, root = copied
    whole, kept = drift_of(plan, store), sidecars(root)
    for path in (*root.glob(f"tiles/*/{NEIGHBOUR}/*.json"), *root.glob(f"tiles/*/{NEIGHBOUR}/*.npz")):
        path.unlink()
    make_map(field, plan, store)
    assert sidecars(root) == kept
    assert drift_of(plan, store) == whole


def test_only_pixels_of_the_map_count(field: Field, tmp_path: Path) -> None:
    """A quarter of a tile is a quarter of its sample."""
    store = FolderStore(tmp_path)
    plan = field.plan([TRAINED, NEIGHBOUR], field.scenes, area("part", [TRAINED, NEIGHBOUR], 0.5))
    make_map(field, plan, store)
    assert drift_of(plan, store).pixels == 32


def test_few_pixels_have_no_verdict(field: Field, tmp_path: Path) -> None:
    """A garden is mapped, and its report says that nobody measured whether the model fits."""
    store = FolderStore(tmp_path)
    plan = field.plan([TRAINED], field.scenes, area("garden", [TRAINED], 0.25))
    make_map(field, plan, store)
    assert drift_of(plan, store).verdict is Verdict.UNKNOWN
    assert "was not measured" in report_of(plan, store)


def test_a_model_without_a_reference_maps(field: Field, tmp_path: Path) -> None:
    """Nothing is compared, no file is written, and the report leaves the judgement to its reader."""
    store = FolderStore(tmp_path)
    without = dataclasses.replace(field, card=msgspec.structs.replace(field.card, reference=None))
    plan = without.plan([TRAINED], field.scenes)
    make_map(without, plan, store)
    assert not store.exists(naming.map_key(plan.job, "drift.json"))
    assert not [name for name in item_of(plan, store)["properties"] if "drift" in name]
    assert "does not say what it was trained on" in report_of(plan, store)


def test_points_that_are_lost_do_not_stop_a_map(field: Field, tmp_path: Path) -> None:
    """Without the file that its card names the model maps, and the drift is not measured."""
    store, plan = FolderStore(tmp_path), field.plan([TRAINED], field.scenes)
    coverage = make_map(field, plan, store, points=False)
    assert coverage.share == 1
    assert not store.exists(naming.map_key(plan.job, "drift.json"))


def test_points_of_another_model_stop_it(field: Field, tmp_path: Path) -> None:
    """A changed file is an error, as a changed model is: the tile fails with its reason."""
    store, plan = FolderStore(tmp_path), field.plan([TRAINED], field.scenes)
    store_plan(plan, field.model, store, field.points + b" ")
    (outcome,) = do_tiles(TileMapper(store), plan, [TRAINED])
    assert isinstance(outcome, TileFailed)
    assert "has digest" in outcome.error


@pytest.mark.parametrize("content", [None, b"no sample"])
def test_a_damaged_sidecar_leaves_its_tile_out(copied: Copied, content: bytes | None) -> None:
    """The map is published from the other tile's sample, and says that one is missing."""
    plan, store, root = copied
    (path,) = root.glob(f"tiles/*/{NEIGHBOUR}/*.npz")
    path.unlink() if content is None else path.write_bytes(content)
    publish_job(plan, store, gate_job(plan, store), Extras())
    assert (drift_of(plan, store).tiles, drift_of(plan, store).tiles_unmeasured) == (1, 1)
    assert drift_of(plan, store).pixels == 64


def test_a_folder_without_its_points_is_refused(field: Field, tmp_path: Path) -> None:
    """The message names the file; a folder whose points are others' is refused as well."""
    with pytest.raises(ModelError, match=POINTS_FILE):
        load_points(str(tmp_path), field.card)
    (tmp_path / POINTS_FILE).write_bytes(b"other")
    with pytest.raises(ModelError, match="has digest"):
        load_points(str(tmp_path), field.card)
    (tmp_path / POINTS_FILE).write_bytes(field.points)
    assert load_points(str(tmp_path), field.card) == field.points
