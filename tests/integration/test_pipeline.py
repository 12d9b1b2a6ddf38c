"""The whole way, from labels to a replayed map, on a small landscape and the real engine."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import msgspec
import numpy as np
import pytest
import rasterio

from steps import cli
from steps.calibration import Calibration
from steps.landscape import Landscape, make_landscape
from steps.model.job import Plan, TileEmpty, TileFailed, TileMapped, TileOutcome
from steps.settings import settings
from tests.range_server import serving
from tests.s3_server import S3Server

TILE = 128
ANY_MACHINE = Calibration(
    read_mb_s=100, feature_mpx_s=100, predict_mpx_s=1, tile_seconds=0.1, worker_mb=500, compression=0.5,
    start_seconds=2, mosaic_mpx_s=10, runs=1,
)  # fmt: skip
"""Without it the first quote would measure this one."""
RASTERS = ("map", "confidence", "margin", "clear", "composite", "reason")


@dataclass(frozen=True)
class Farm:
    """A landscape with a model of it."""

    land: Landscape
    model: Path
    home: Path

    def geocrop(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, which one worker does not leave."""
        out, err, handler = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
        with mock.patch.dict(os.environ, self.env | {"GEOCROP_WORKERS": "1"}):
            settings.cache_clear()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = cli.main(arguments)
        settings.cache_clear()
        signal.signal(signal.SIGTERM, handler)
        assert not check or code == 0, err.getvalue()[-3000:]
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    @property
    def env(self) -> dict[str, str]:
        """The environment of its commands."""
        return os.environ | {"GEOCROP_HOME": str(self.home), "GEOCROP_WORKERS": "2"}

    @contextlib.contextmanager
    def started(self, out: Path, *more: str) -> "Iterator[subprocess.Popen[str]]":
        """A process that maps the AOI, with workers of its own; none of them outlives the block."""
        command = [sys.executable, "-m", "steps.cli", *self.map_command(out), *more]
        with subprocess.Popen(
            command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8",
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def run(
        self, out: Path, *more: str, aoi: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Map an AOI, the landscape's own unless told."""
        return self.geocrop(*self.map_command(out, aoi), *more, check=check)

    def map_command(self, out: Path | str, aoi: Path | None = None) -> list[str]:
        """The arguments of that."""
        return [
            *("run", str(aoi or self.land.aoi), "--season", str(self.land.season)),
            *("--catalog", str(self.land.catalog), "--model", str(self.model), "--out", str(out)),
            *("--tile-size", str(TILE)),
        ]


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Farm:
    folder = tmp_path_factory.mktemp("farm")
    made = Farm(
        make_landscape(folder / "land", size_px=384, dates=12, years=(2022,)), folder / "model", folder / "home"
    )
    made.geocrop(
        *("train", "--labels", str(made.land.labels), "--legend", str(made.land.legend)),
        *("--season", str(made.land.season), "--catalog", str(made.land.catalog)),
        *("--name", "farm", "--out", str(made.model), "--quick"),
    )
    (made.home / "calibration.json").write_bytes(msgspec.json.encode(ANY_MACHINE))
    return made


@pytest.fixture(scope="module")
def published(farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a map in it, made by two workers; all others are made by one."""
    out = tmp_path_factory.mktemp("published") / "store"
    with farm.started(out, "--zones", str(farm.land.districts), "--parcels", str(farm.land.parcels)) as process:
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said[-3000:]
    return out


def the_map(store: Path) -> Path:
    (found,) = (store / "maps").iterdir()
    return found


def the_plan(store: Path) -> Plan:
    (found,) = (store / "plans").glob("*/plan.json")
    return msgspec.json.decode(found.read_bytes(), type=Plan)


def outcomes(store: Path) -> list[TileOutcome]:
    return [
        msgspec.json.decode(path.read_bytes(), type=TileOutcome) for path in sorted(store.glob("plans/*/tiles/*.json"))
    ]


def same_map(one: Path, other: Path) -> None:
    """Every raster to the byte, and the same drift."""
    for name in (*(f"{name}.tif" for name in RASTERS), "drift.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def tile_times(store: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in store.glob("tiles/*/*/*")}


def test_the_map_is_right(farm: Farm, published: Path) -> None:
    """Most pixels of the AOI, which the model never saw, have their true class."""
    with rasterio.open(the_map(published) / "map.tif") as source, rasterio.open(farm.land.truth) as truth:
        mapped = source.read(1)
        window = truth.window(*source.bounds)
        known = mapped != 255
        assert (mapped == truth.read(1, window=window))[known].mean() > 0.8


def test_a_run_leaves_everything_that_it_says(published: Path) -> None:
    """Rasters, tables, style, report and item are there, and no temporary file is."""
    names = {path.name for path in the_map(published).iterdir()}
    assert {f"{name}.tif" for name in RASTERS} <= names
    assert {"item.json", "report.html", "areas.csv", "map.qml", "coverage.json", "zones.csv", "parcels.csv"} <= names
    assert {"drift.json", "drift.csv"} <= names
    assert not [path for path in published.rglob("*") if "tmp" in path.name]


def test_areas_add_up_to_the_map(published: Path) -> None:
    """The hectares of the item are the map's pixels, at their true size."""
    item = json.loads((the_map(published) / "item.json").read_text(encoding="utf-8"))
    with rasterio.open(the_map(published) / "map.tif") as source:
        pixels = int((source.read(1) != 255).sum())
    lines = (the_map(published) / "areas.csv").read_text(encoding="utf-8").splitlines()[1:]
    hectares = sum(float(line.split(",")[3]) for line in lines)
    assert hectares == pytest.approx(pixels / 100, rel=2e-3)
    assert item["assets"]["map"]["file:size"] == (the_map(published) / "map.tif").stat().st_size


def test_the_same_job_again_computes_nothing(farm: Farm, published: Path) -> None:
    """No tile is written twice, and the map has the same bytes."""
    before, rasters = tile_times(published), {n: (the_map(published) / f"{n}.tif").read_bytes() for n in RASTERS}
    farm.run(published, "--zones", str(farm.land.districts), "--parcels", str(farm.land.parcels))
    assert tile_times(published) == before
    assert all((the_map(published) / f"{n}.tif").read_bytes() == data for n, data in rasters.items())


def test_a_killed_run_goes_on_where_it_was(farm: Farm, published: Path, tmp_path: Path) -> None:
    """After SIGKILL in the middle only missing tiles run, and the map is the one of an undisturbed run."""
    out = tmp_path / "store"
    with farm.started(out):
        for _ in wait(300):
            if len(list(out.glob("tiles/*/*/*.json"))) >= 2:
                break
    done = {path: path.stat().st_mtime_ns for path in out.glob("tiles/*/*/*.json")}
    assert done
    farm.run(out)
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    same_map(the_map(out), the_map(published))


def wait(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.05)
        yield
    pytest.fail("waited too long")


def test_the_steps_make_the_map_of_the_run(farm: Farm, published: Path, tmp_path: Path) -> None:
    """plan, classify, gate, mosaic and publish, each a process with files and flags only, give the same bytes."""
    request = next((published / "requests").iterdir())
    store, out, coverage = str(tmp_path / "store"), tmp_path / "out", str(tmp_path / "coverage.json")
    options = ("--store", store, "--tiles-per-pod", "3", "--out", str(out))
    farm.geocrop("step", "plan", "--request", str(request), *options)
    plan = str(out / "plan.json")
    for group in json.loads((out / "groups.json").read_text(encoding="utf-8")):
        part = str(out / "parts" / f"{group['part']}.json")
        for batch in range(int(group["batches"])):
            chosen = ("--batch", str(batch), "--batch-size", "3")
            farm.geocrop("step", "classify", "--plan", part, "--store", store, *chosen)
    farm.geocrop("step", "gate", "--plan", plan, "--store", store, "--coverage", coverage)
    farm.geocrop("step", "mosaic", "--plan", plan, "--store", store)
    said = farm.geocrop("step", "publish", "--plan", plan, "--store", store, "--coverage", coverage).stdout
    same_map(the_map(tmp_path / "store"), the_map(published))
    assert Path(said.strip()).exists()


def test_replay_rebuilds_the_same_bytes(farm: Farm, published: Path, tmp_path: Path) -> None:
    """The item alone is enough, with the registry and the model's folder gone."""
    bare = Farm(farm.land, farm.model, tmp_path / "empty-home")
    moved = farm.model.rename(farm.model.with_name("moved"))
    try:
        bare.geocrop("replay", str(the_map(published) / "item.json"), "--out", str(tmp_path / "again"))
    finally:
        moved.rename(farm.model)
    same_map(the_map(tmp_path / "again"), the_map(published))


def test_an_assessed_map_replays(farm: Farm, published: Path, tmp_path: Path) -> None:
    """Points drawn from the map and labelled with the truth assess it; its item still rebuilds the same bytes."""
    store, points = tmp_path / "store", tmp_path / "points.csv"
    shutil.copytree(published, store)
    item = the_map(store) / "item.json"
    farm.geocrop("sample-design", str(item), "--out", str(points), "--standard-error", "0.02", "--minimum", "20")
    label_with_truth(points, farm.land.truth)
    said = farm.geocrop("assess", str(item), "--sample", str(points)).stdout
    assert said.isascii()
    found = json.loads(item.read_text(encoding="utf-8"))["properties"]["geocrop:assessment"]["accuracy"]
    with rasterio.open(the_map(store) / "map.tif") as source, rasterio.open(farm.land.truth) as truth:
        mapped = source.read(1)
        right = (mapped == truth.read(1, window=truth.window(*source.bounds)))[mapped != 255].mean()
    assert abs(found["overall"]["value"] - right) < 4 * found["overall"]["standard_error"]
    assert 'aria-labelledby="accuracy"' in (the_map(store) / "report.html").read_text(encoding="utf-8")
    farm.geocrop("replay", str(item), "--out", str(tmp_path / "again"))
    same_map(the_map(tmp_path / "again"), the_map(published))


def label_with_truth(points: Path, truth: Path) -> None:
    """Fill in the reference column of a CSV from a raster of true codes."""
    design = json.loads(points.with_name(f"{points.name}.design.json").read_text(encoding="utf-8"))
    with rasterio.open(truth) as source:
        codes = [int(one[0]) for one in source.sample([(unit["x"], unit["y"]) for unit in design["units"]])]
    rows = [f"{unit['id']},{code}\n" for unit, code in zip(design["units"], codes, strict=True)]
    points.write_text("id,reference\n" + "".join(rows), encoding="utf-8")


def test_a_bad_scene_is_left_out_and_comes_back(farm: Farm, published: Path, tmp_path: Path) -> None:
    """A truncated COG costs its scene, with its name in the record; repaired, the next run makes the full tiles."""
    copy = tmp_path / "land"
    shutil.copytree(farm.land.folder, copy)
    broken = Farm(farm.land, farm.model, farm.home)
    command = broken.map_command(tmp_path / "store")
    command[command.index("--catalog") + 1] = str(copy / "catalog.json")
    victim = sorted((copy / farm.land.collection).rglob("red.tif"))[3]
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 3])
    broken.geocrop(*command, "--no-probe")
    first = [outcome for outcome in outcomes(tmp_path / "store") if not isinstance(outcome, TileFailed)]
    assert {fault.scene for outcome in first for fault in outcome.excluded} == {victim.parent.name}
    assert all(outcome.key != outcome.planned_key for outcome in first if outcome.excluded)
    stat = victim.stat()
    victim.write_bytes(whole)
    os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    broken.geocrop(*command, "--no-probe")
    (second,) = {path.parent for path in (tmp_path / "store").glob("maps/*/map.tif")}
    assert (second / "map.tif").read_bytes() == (the_map(published) / "map.tif").read_bytes()


def test_broken_scenes_are_the_reason(farm: Farm, tmp_path: Path) -> None:
    """Where every scene is broken nothing is mapped because scenes were left out, and trying again is not advised."""
    copy = tmp_path / "land"
    shutil.copytree(farm.land.folder, copy)
    for path in (copy / farm.land.collection).rglob("red.tif"):
        path.write_bytes(path.read_bytes()[:100])
    command = farm.map_command(tmp_path / "store")
    command[command.index("--catalog") + 1] = str(copy / "catalog.json")
    done = farm.geocrop(*command, "--no-probe", check=False)
    assert done.returncode == 65
    assert "bad-scene" in done.stderr
    assert "not mapped, bad-scene: " in done.stdout
    assert not list((tmp_path / "store").glob("tiles/*/*/*"))


def test_overlapping_areas_share_tiles(farm: Farm, published: Path, tmp_path: Path) -> None:
    """A second AOI over the first computes only the tiles that are new."""
    store = tmp_path / "store"
    shutil.copytree(published, store)
    before = tile_times(store)
    farm.run(store, aoi=farm.land.districts)
    after = tile_times(store)
    assert before.items() <= after.items()
    assert len(after) > len(before)


def test_retry_does_only_what_failed(farm: Farm, published: Path, tmp_path: Path) -> None:
    """Of a job with one failed tile, that tile alone runs again."""
    store = tmp_path / "store"
    shutil.copytree(published, store)
    done = next(outcome for outcome in outcomes(store) if isinstance(outcome, TileMapped))
    failed = TileFailed(tile=done.tile, planned_key=done.key, error="killed", exit_code=75)
    (note,) = store.glob(f"plans/*/tiles/{done.tile}.json")
    note.write_bytes(msgspec.json.encode(failed))
    for path in store.glob(f"tiles/*/{done.tile}/*"):
        path.unlink()
    before = tile_times(store)
    farm.geocrop("retry", note.parents[1].name, "--store", str(store))
    new = tile_times(store).keys() - before.keys()
    assert new == {f"{done.key}.tif", f"{done.key}.json", f"{done.key}.drift.npz"}
    same_map(the_map(store), the_map(published))


def test_retry_publishes_with_what_the_run_was_given(farm: Farm, published: Path, tmp_path: Path) -> None:
    """Zones and parcels are kept beside the plan: a map that is published again has them still."""
    store = tmp_path / "store"
    shutil.copytree(published, store)
    job = the_map(store).name
    tables = {name: (the_map(store) / name).read_bytes() for name in ("zones.csv", "parcels.csv")}
    (the_map(store) / "item.json").unlink()
    farm.geocrop("retry", job, "--store", str(store))
    assert {name: (the_map(store) / name).read_bytes() for name in tables} == tables
    assert {"zones", "parcels"} <= json.loads((the_map(store) / "item.json").read_bytes())["assets"].keys()


def test_retry_of_a_whole_map_does_nothing(farm: Farm, published: Path) -> None:
    """Nothing failed: it says so, and the map is not touched."""
    before = (the_map(published) / "item.json").stat().st_mtime_ns
    said = farm.geocrop("retry", the_map(published).name, "--store", str(published)).stdout
    assert "nothing to do again" in said
    assert (the_map(published) / "item.json").stat().st_mtime_ns == before


def test_a_run_without_zones_leaves_none(farm: Farm, published: Path, tmp_path: Path) -> None:
    """The same map run again without `--zones` keeps no table of the earlier one."""
    store = tmp_path / "store"
    shutil.copytree(published, store)
    farm.run(store)
    assert not list(the_map(store).glob("zones.*"))
    assert not list(store.glob("plans/*/zones.parquet"))


def test_status_reads_a_store(farm: Farm, published: Path) -> None:
    """A job that another machine made is shown from its store, tile by tile."""
    job, *tiles = json.loads(
        farm.geocrop("status", the_map(published).name, "--store", str(published), "--json").stdout
    )
    assert (job["phase"], job["map"].endswith("item.json")) == ("succeeded", True)
    assert len(tiles) == len(the_plan(published).tiles)
    assert {tile["phase"] for tile in tiles} == {"succeeded"}


def test_what_was_fetched_works_without_a_network(farm: Farm, published: Path, tmp_path: Path) -> None:
    """With plan and blocks at home, a map and a model are made though the catalog's server is gone; a line warns."""
    away = Farm(farm.land, farm.model, tmp_path / "home")
    away.home.mkdir()
    (away.home / "calibration.json").write_bytes(msgspec.json.encode(ANY_MACHINE))
    with serving(farm.land.folder) as server:
        asked = away.map_command(tmp_path / "store")
        asked[asked.index("--catalog") + 1] = f"{server.url}/catalog.json"
        train = [
            *("train", "--labels", str(farm.land.labels), "--legend", str(farm.land.legend), "--quick"),
            *("--season", str(farm.land.season), "--catalog", f"{server.url}/catalog.json", "--name", "away"),
        ]
        away.geocrop("quote", *asked[1:], "--plan", str(tmp_path / "map.json"))
        away.geocrop(*train, "--plan", str(tmp_path / "train.json"))
        away.geocrop("fetch", str(tmp_path / "map.json"))
        away.geocrop("fetch", str(tmp_path / "train.json"))
    said = away.geocrop(*asked)
    assert "plan.recalled" in said.stderr
    same_map(the_map(tmp_path / "store"), the_map(published))
    assert "model away version 1" in away.geocrop(*train).stdout


def test_a_map_in_a_bucket(farm: Farm, published: Path, s3: S3Server) -> None:
    """An s3:// store serves run, status, retry, replay and compare as a folder does."""
    there, again = (f"s3://{s3.bucket}/pipeline/{name}" for name in ("first", "second"))
    with mock.patch.dict(os.environ, s3.environ):
        farm.geocrop(*farm.map_command(there))
        job = the_map(published).name
        rows = json.loads(farm.geocrop("status", job, "--store", there, "--json").stdout)
        assert rows[0]["phase"] == "succeeded"
        assert "nothing to do again" in farm.geocrop("retry", job, "--store", there).stdout
        farm.geocrop("replay", rows[0]["map"], "--out", again)
        said = farm.geocrop("compare", rows[0]["map"], f"{again}/maps/{job}/item.json").stdout
    assert said


def test_a_map_on_a_web_server_is_replayed(farm: Farm, published: Path, tmp_path: Path) -> None:
    """Item, model and its points come from the server; the registry need not know the model."""
    stranger = Farm(farm.land, tmp_path / "no-model", tmp_path / "home")
    with serving(published) as server:
        item = f"{server.url}/maps/{the_map(published).name}/item.json"
        stranger.geocrop("replay", item, "--out", str(tmp_path / "store"))
    same_map(the_map(tmp_path / "store"), the_map(published))


def test_a_tile_of_cloud_is_empty_and_done(farm: Farm, tmp_path: Path) -> None:
    """With every class masked as cloud the tiles are empty, for that reason, and no map is made of them."""
    card = json.loads((farm.model / "card.json").read_text(encoding="utf-8"))
    model = tmp_path / "model"
    shutil.copytree(farm.model, model)
    card["spec"]["clear_classes"] = [11]
    (model / "card.json").write_text(json.dumps(card), encoding="utf-8")
    cloudy = Farm(farm.land, model, farm.home)
    done = cloudy.run(tmp_path / "store", check=False)
    assert done.returncode == 65
    assert "all-cloud" in done.stdout
    found = [
        msgspec.json.decode(path.read_bytes(), type=TileOutcome) for path in tmp_path.glob("store/tiles/*/*/*.json")
    ]
    assert {outcome.reason for outcome in found if isinstance(outcome, TileEmpty)} == {"all-cloud"}
    assert all(isinstance(outcome, TileEmpty) for outcome in found)
    assert "all-cloud" in json.loads(cloudy.geocrop("status", "--json").stdout)[0]["error"]
    left = [path.relative_to(tmp_path / "store") for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert {path.parts[0] for path in left} == {"tiles"}


def test_quote_counts_what_is_stored(farm: Farm, published: Path) -> None:
    """A quote for a map that is there says so, and writes nothing."""
    before = sorted(published.rglob("*"))
    command = farm.map_command(published)
    said = json.loads(farm.geocrop("quote", *command[1:], "--json").stdout)
    assert said["tiles"] == said["stored"] == len(the_plan(published).tiles)
    assert sorted(published.rglob("*")) == before


def test_sigterm_leaves_no_half_written_object(farm: Farm, tmp_path: Path) -> None:
    """SIGTERM ends a run with 143 and a line that says so, and every object in the store is whole."""
    out = tmp_path / "store"
    with farm.started(out) as process:
        for _ in wait(300):
            if list(out.glob("tiles/*/*/*.tif")):
                break
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 143
    assert said.splitlines()[-1] == "geocrop: stopped by SIGTERM: run it again to go on"
    for path in out.glob("tiles/*/*/*.tif"):
        with rasterio.open(path) as source:
            assert np.isfinite(source.read()).all()
    assert not list(out.glob("maps/*/item.json"))
