"""`geocrop fetch`: a plan works offline afterwards, and the cache keeps its bound."""

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from steps.block_cache import BlockCache
from steps.blocks import FetchReport, fetch_plan
from steps.cube import load_cube
from steps.errors import ReadError, SceneError, StoreError, UsageError
from steps.model.job import Plan
from steps.model.scene import Scene
from steps.reader import Supply
from steps.remote import RangeReader, Retries
from steps.settings import Settings
from steps.testing import ANY_COARSE, ANY_DAY, ANY_FINE, any_card, any_plan, any_spec, tiny_scene
from tests.range_server import FileServer, serving

QUICK = Retries(tries=2, first_s=0.01, longest_s=0.1)
BANDS = (*ANY_FINE, *ANY_COARSE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with serving(tmp_path / "www") as facts:
        yield facts


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache_mb=50)


def plan_of(server: FileServer, count: int = 2) -> Plan:
    """Two tiles of some scenes on the server."""
    noise = np.random.default_rng(3).integers(1, 60_000, (640, 640)).astype(np.uint16)
    days = [ANY_DAY + dt.timedelta(days=number) for number in range(count)]
    scenes = [tiny_scene(server.folder, {"red": noise, "nir": noise, "swir16": 9}, size=640, day=day) for day in days]
    plan = any_plan(scenes=count, size=320, card=any_card(spec=any_spec(bands=BANDS)))
    return msgspec.structs.replace(plan, scenes=tuple(remote(scene, server) for scene in scenes))


def remote(scene: Scene, server: FileServer) -> Scene:
    assets = {
        band: msgspec.structs.replace(asset, href=asset.href.replace(str(server.folder), server.url))
        for band, asset in scene.assets.items()
    }
    return msgspec.structs.replace(scene, assets=assets)


def supply_of(home: Settings) -> Supply:
    """As a new process would have it."""
    return Supply(BlockCache(home.home / "blocks", home.cache_mb * 2**20), RangeReader(QUICK, sign=lambda href: href))


def fetch(plan: Plan, home: Settings) -> FetchReport:
    steps: list[int] = []

    def count(number: int = 1, note: str = "") -> None:
        assert isinstance(note, str)
        steps.append(number)

    report = fetch_plan(plan, home, count, supply=supply_of(home))
    if not report.faults:
        assert sum(steps) == sum(len(scene.assets) for scene in plan.scenes)
    return report


def cubes(plan: Plan, home: Settings) -> list[np.ndarray]:
    return [load_cube(job, supply=supply_of(home)).fine.values for job in plan.tile_jobs()]


def test_a_fetched_plan_works_offline(server: FileServer, home: Settings) -> None:
    """With the server gone, every tile reads from the cache what it would have read from the server."""
    plan = plan_of(server)
    online = cubes(plan, home)
    report = fetch(plan, home)
    server.asked.clear()
    server.faults.update({f"{band}.tif": ["404"] * 99 for band in (*BANDS, "scl")})
    for before, after in zip(online, cubes(plan, home), strict=True):
        np.testing.assert_array_equal(before, after)
    assert not server.asked
    assert report.fetched == report.blocks > 0


def test_fetching_again_fetches_nothing(server: FileServer, home: Settings) -> None:
    """What is there is not asked for again."""
    plan = plan_of(server)
    fetch(plan, home)
    server.asked.clear()
    report = fetch(plan, home)
    assert (report.fetched, server.asked) == (0, [])


def test_only_what_the_tiles_read_is_fetched(server: FileServer, home: Settings) -> None:
    """A plan of one tile needs less than a plan of two, and the second then adds the rest."""
    plan = plan_of(server)
    one = msgspec.structs.replace(plan, tiles=plan.tiles[:1])
    first, both = fetch(one, home), fetch(plan, home)
    assert first.blocks < both.blocks
    assert both.fetched == both.blocks - first.blocks


def test_the_report_counts_what_is_on_disk(server: FileServer, home: Settings) -> None:
    """The bytes named are an upper bound of those used, and a close one."""
    report = fetch(plan_of(server), home)
    used = supply_of(home).cache.used()
    assert 0.5 * report.bytes < used <= report.bytes
    assert "rasters fetched" in str(report)


def test_a_plan_larger_than_the_cache_is_refused(server: FileServer, home: Settings) -> None:
    """Before any block is fetched, with the size and the setting that would do."""
    small = msgspec.structs.replace(home, cache_mb=1)
    with pytest.raises(UsageError, match=r"reads [0-9.]+ MB .* GEOCROP_CACHE_MB to at least"):
        fetch(plan_of(server), small)
    assert supply_of(small).cache.used() == 0


def test_the_longest_unused_is_evicted(server: FileServer, home: Settings) -> None:
    """A second plan pushes out the first, and the bound is kept."""
    plan = plan_of(server, count=2)
    old, new = (msgspec.structs.replace(plan, scenes=plan.scenes[index:][:1] * 2) for index in (0, 1))
    needed = fetch(old, home).bytes
    tight = msgspec.structs.replace(home, cache_mb=-(-needed * 5 // 4 // 2**20))
    assert needed * 2 > tight.cache_mb * 2**20
    fetch(new, tight)
    assert supply_of(tight).cache.used() <= tight.cache_mb * 2**20
    assert fetch(new, tight).fetched == 0
    assert fetch(old, tight).fetched > 0


def test_local_rasters_need_no_cache(server: FileServer, home: Settings) -> None:
    """A plan of files on this machine fetches nothing."""
    plan = plan_of(server)
    scenes = tuple(
        msgspec.structs.replace(
            scene,
            assets={
                band: msgspec.structs.replace(asset, href=asset.href.replace(server.url, str(server.folder)))
                for band, asset in scene.assets.items()
            },
        )
        for scene in plan.scenes
    )
    report = fetch(msgspec.structs.replace(plan, scenes=scenes), home)
    assert (report.assets, report.local, report.blocks) == (0, 8, 0)


def test_a_bad_scene_is_reported(server: FileServer, home: Settings) -> None:
    """One raster that is gone keeps nobody from fetching the others."""
    server.faults["nir.tif"].append("404")
    report = fetch(plan_of(server), home)
    assert [fault.error for fault in report.faults] == [str(report.faults[0].error)]
    assert "HTTP 404" in report.faults[0].error
    assert report.fetched > 0


def test_a_bad_scene_fails_a_plan_that_leaves_none_out(server: FileServer, home: Settings) -> None:
    """Then the scene's error is the fetch's."""
    plan = plan_of(server)
    options = msgspec.structs.replace(plan.request.options, exclude_bad_scenes=False)
    strict = msgspec.structs.replace(plan, request=msgspec.structs.replace(plan.request, options=options))
    server.faults["nir.tif"].append("404")
    with pytest.raises(SceneError):
        fetch(strict, home)


def test_nothing_to_be_had_is_an_error(server: FileServer, home: Settings) -> None:
    """No network: try again later."""
    plan = plan_of(server)
    server.faults.update({f"{band}.tif": ["500"] * 99 for band in (*BANDS, "scl")})
    with pytest.raises(ReadError):
        fetch(plan, home)


def test_damage_in_the_cache_is_fetched_again(server: FileServer, home: Settings) -> None:
    """A block that rotted on disk does not become pixels, nor an error while the server is there."""
    plan = plan_of(server)
    online = cubes(plan, home)
    fetch(plan, home)
    blocks = [path for path in (home.home / "blocks").glob("??/*/*") if path.name != "head"]
    for path in blocks:
        path.write_bytes(bytes(path.stat().st_size))
    for before, after in zip(online, cubes(plan, home), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_file_that_changed_on_its_server_is_not_mixed(server: FileServer, home: Settings) -> None:
    """Blocks of two versions never meet in one cube: the cached ones are dropped."""
    plan = plan_of(server)
    fetch(msgspec.structs.replace(plan, tiles=plan.tiles[:1]), home)
    for path in server.folder.rglob("red.tif"):
        path.write_bytes(path.read_bytes() + b"new")
    second = list(plan.tile_jobs())[1]
    with pytest.raises(ReadError, match="changed on its server"):
        load_cube(second, supply=supply_of(home))
    assert load_cube(msgspec.structs.replace(second, scenes=second.scenes[1:]), supply=supply_of(home))


def test_a_full_disk_is_to_be_tried_again(tmp_path: Path) -> None:
    """A cache that cannot be written says so, with a remedy."""
    (tmp_path / "blocks").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(StoreError, match="GEOCROP_HOME"):
        BlockCache(tmp_path / "blocks", 10**6).raster("https://any", "").put_block(0, b"x")


FILL = """
import sys
from pathlib import Path
from steps.block_cache import BlockCache

cache, seed = BlockCache(Path(sys.argv[1]), int(sys.argv[2])), int(sys.argv[3])
for number in range(60):
    raster = cache.raster(f"https://any/{(seed + number) % 7}", "")
    cache.make_room(8192, [raster])
    raster.put_block(number, bytes([number]) * 5000)
    assert raster.block(number) in (None, bytes([number]) * 5000)
"""


def test_processes_share_the_cache(tmp_path: Path) -> None:
    """Processes fill and evict at once: a block is whole or absent, and the bound holds but for their last blocks."""
    limit = 40 * 8192
    command = [sys.executable, "-c", FILL, str(tmp_path), str(limit)]
    workers = [subprocess.Popen([*command, str(seed)], cwd=Path(__file__).parents[2]) for seed in range(3)]
    assert [worker.wait(60) for worker in workers] == [0] * 3
    assert BlockCache(tmp_path, limit).used() <= limit + 3 * 8192
    assert not list(tmp_path.rglob(".new-*"))
