"""Reading over HTTP, from a server that fails in every way it can."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from steps.block_cache import BlockCache
from steps.cube import load_cube
from steps.errors import ReadError, SceneError
from steps.model.grid import TileGrid
from steps.model.job import TileJob
from steps.model.scene import Scene
from steps.reader import Supply
from steps.remote import RangeReader, Retries, unsigned
from steps.testing import ANY_CORNER, ANY_EPSG, any_card, any_season, any_spec, tiny_scene
from tests.range_server import FileServer, serving

QUICK = Retries(tries=4, first_s=0.01, longest_s=1.0)
LOUD = np.random.default_rng(3).integers(1, 60_000, (640, 640)).astype(np.uint16)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with serving(tmp_path / "www") as facts:
        yield facts


@pytest.fixture
def local(tmp_path: Path) -> Scene:
    job = job_of()
    left, _, _, top = job.grid.bounds(job.tile)
    return tiny_scene(tmp_path / "www", {"red": LOUD, "nir": 300, "swir16": 200}, size=640, corner=(left, top))


@pytest.fixture
def supply(tmp_path: Path) -> Supply:
    return Supply(BlockCache(tmp_path / "blocks", 10**8), RangeReader(QUICK, sign=lambda href: href))


def remote(scene: Scene, server: FileServer) -> Scene:
    """The same scene by URL."""
    root = str(server.folder)
    assets = {
        band: msgspec.structs.replace(asset, href=asset.href.replace(root, server.url))
        for band, asset in scene.assets.items()
    }
    return msgspec.structs.replace(scene, assets=assets)


def job_of(*scenes: Scene) -> TileJob:
    grid = TileGrid(epsg=ANY_EPSG, size=640)
    return TileJob(
        grid=grid,
        tile=grid.tile_at(ANY_CORNER[0] + 1, ANY_CORNER[1] - 1),
        season=any_season(),
        scenes=scenes,
        card=any_card(spec=any_spec(bands=("red", "nir", "swir16"))),
        halo=4,
        pixel_version="any",
    )


def test_over_http_the_cube_is_the_same(local: Scene, server: FileServer, supply: Supply) -> None:
    """Ranges give what the files give, and far less than the whole files is asked for."""
    job = job_of(remote(local, server))
    cube = load_cube(job, supply=supply)
    np.testing.assert_array_equal(cube.fine, load_cube(job_of(local), supply=supply).fine)
    assert all(asked.startswith("bytes=") for _, asked in server.asked)


@pytest.mark.parametrize("fault", ["500", "503", "408", "429:0", "reset", "truncate"])
def test_what_may_pass_is_tried_again(local: Scene, server: FileServer, supply: Supply, fault: str) -> None:
    """Two failures, at the head and at the blocks, and the cube is whole all the same."""
    server.faults["red.tif"] += [fault, "", fault, fault]
    cube = load_cube(job_of(remote(local, server)), supply=supply)
    np.testing.assert_array_equal(cube.fine, load_cube(job_of(local), supply=supply).fine)
    assert not server.faults["red.tif"]


@pytest.mark.parametrize("fault", ["500", "429:0", "reset", "truncate"])
def test_what_does_not_pass_is_a_read_error(local: Scene, server: FileServer, supply: Supply, fault: str) -> None:
    """After the last try the error names href and scene, and says that later it may work."""
    scene = remote(local, server)
    server.faults["nir.tif"] += [fault] * 50
    with pytest.raises(ReadError, match="in 4 tries") as caught:
        load_cube(job_of(scene), supply=supply)
    assert (caught.value.href, caught.value.scene) == (scene.assets["nir"].href, scene.id)
    assert sum(name == "nir.tif" for name, _ in server.asked) == 4


@pytest.mark.parametrize("fault", ["404", "403", "401", "410"])
def test_what_stays_is_a_scene_error_at_once(local: Scene, server: FileServer, supply: Supply, fault: str) -> None:
    """Not there or not allowed is never asked twice, and never nodata."""
    scene = remote(local, server)
    server.faults["nir.tif"] += [fault] * 50
    with pytest.raises(SceneError, match=f"HTTP {fault}") as caught:
        load_cube(job_of(scene), supply=supply)
    assert (caught.value.href, caught.value.scene) == (scene.assets["nir"].href, scene.id)
    assert sum(name == "nir.tif" for name, _ in server.asked) == 1


def test_a_failure_is_not_remembered(local: Scene, server: FileServer, supply: Supply) -> None:
    """A file that was missing is found once it is there."""
    server.faults["red.tif"].append("404")
    job = job_of(remote(local, server))
    with pytest.raises(SceneError):
        load_cube(job, supply=supply)
    assert load_cube(job, supply=supply).fine.values.any()


def test_the_server_says_how_long_to_wait(local: Scene, server: FileServer, supply: Supply) -> None:
    """Retry-After is kept, up to the longest wait."""
    server.faults["red.tif"].append("429:1")
    start = time.monotonic()
    load_cube(job_of(remote(local, server)), supply=supply)
    assert time.monotonic() - start > 0.9


def test_a_file_cut_short_on_its_server_is_a_scene_error(local: Scene, server: FileServer, supply: Supply) -> None:
    """Trying again does not make it longer."""
    path = Path(local.assets["red"].href)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SceneError, match="damaged") as caught:
        load_cube(job_of(remote(local, server)), supply=supply)
    assert caught.value.scene == local.id


def test_a_server_without_ranges_is_read_whole(local: Scene, server: FileServer, supply: Supply) -> None:
    """A small file may come as a whole."""
    server.faults["red.tif"] += ["whole"] * 50
    cube = load_cube(job_of(remote(local, server)), supply=supply)
    np.testing.assert_array_equal(cube.fine, load_cube(job_of(local), supply=supply).fine)


def test_nobody_listening_is_a_read_error(local: Scene, server: FileServer, supply: Supply) -> None:
    """No network is a reason to try again later."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = FileServer(server.folder, f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(ReadError, match="tries"):
            load_cube(job_of(remote(local, closed)), supply=supply)


def test_hrefs_are_signed_when_opened_and_never_shown(local: Scene, server: FileServer, tmp_path: Path) -> None:
    """The server sees the token; errors and cache do not."""
    signed = RangeReader(QUICK, sign=lambda href: f"{href}?sig=secret")
    supply = Supply(BlockCache(tmp_path / "blocks", 10**8), signed)
    load_cube(job_of(remote(local, server)), supply=supply)
    assert all(name.endswith("?sig=secret") for name, _ in server.asked)
    server.faults["nir.tif"].append("403")
    with pytest.raises(SceneError) as caught:
        load_cube(job_of(remote(local, server)), supply=supply)
    assert "secret" not in f"{caught.value}{caught.value.href}"


def test_neighbouring_blocks_come_in_one_request(local: Scene, server: FileServer, supply: Supply) -> None:
    """A head and at most one range per row of blocks."""
    load_cube(job_of(remote(local, server)), supply=supply)
    assert sum(name == "red.tif" for name, _ in server.asked) <= 3


def test_credentials_are_cut_from_what_is_shown() -> None:
    """Neither query nor user are part of an href that is stored."""
    assert unsigned("https://me:pw@host.org/a/b.tif?X-Amz-Signature=1#x") == "https://host.org/a/b.tif"
