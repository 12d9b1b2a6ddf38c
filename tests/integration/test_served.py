"""Jobs from submission to published map, with real scenes, through `geocrop serve` and its client."""

import contextlib
import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio

from api.schemas import PhaseEvent, PlannedEvent, TilesEvent
from geocrop.client import Client, Event, Job
from geocrop.errors import JobError, RefusedError
from steps.model.job import Phase
from tests.served import MODEL, Farm, Served, served, wait_for_tiler

pytestmark = [
    pytest.mark.xdist_group("served"),
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),  # a PNG has no place
]
_PYTHON = "/usr/bin/python3"
"""Debian's, for which its QGIS is."""
_LOOK = Path(__file__).parents[1] / "qgis_look.py"
_SCREENLESS = {"PATH": os.environ["PATH"], "QT_QPA_PLATFORM": "offscreen"}
CHOICES: dict[str, Any] = {"tile_size": 64, "probe": False, "min_unit_px": 4}


@pytest.fixture(scope="module")
def server(farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(farm, tmp_path_factory.mktemp("served")) as one:
        yield one


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[Client]:
    with server.client() as one:
        yield one


@pytest.fixture(scope="module")
def heard() -> list[Event]:
    """What the first job's stream told."""
    return []


@pytest.fixture(scope="module")
def mapped(client: Client, farm: Farm, heard: list[Event]) -> Job:
    """A job that was quoted, submitted and followed to its end."""
    order = client.order(farm.land.aoi, str(farm.land.season), name="east", **CHOICES)
    quote = client.quote(order)
    assert (quote.model.name, quote.cost.stored) == (MODEL, 0)
    assert quote.cost.tiles > 4
    job = client.submit(quote)
    return job.wait(timeout=120, on_event=heard.append)


def test_events_tell_the_whole_story(mapped: Job, heard: list[Event]) -> None:
    """In order and without a gap; the tiles that come in are all that were planned."""
    assert [event.id for event in heard] == list(range(1, len(heard) + 1))
    phases = [event.data.phase for event in heard if isinstance(event.data, PhaseEvent)]
    assert phases == [Phase.QUEUED, Phase.RUNNING, Phase.SUCCEEDED]
    (planned,) = (event.data for event in heard if isinstance(event.data, PlannedEvent))
    told = [tile for event in heard if isinstance(event.data, TilesEvent) for tile in event.data.tiles]
    done = [tile.tile for tile in told if tile.phase is Phase.SUCCEEDED]
    assert sorted(done) == sorted({feature.id for feature in mapped.tiles().features})
    assert len(done) == planned.counts.total == mapped.view.tiles.succeeded
    begun = [tile.tile for tile in told if tile.phase is Phase.RUNNING]
    assert begun
    assert len(begun) + len(done) == len(told)


def test_tiles_and_logs(mapped: Job) -> None:
    """Each tile has its outline, its time and its own lines of the log."""
    features = mapped.tiles().features
    assert all(
        one.geometry and one.properties.phase is Phase.SUCCEEDED and one.properties.seconds > 0 for one in features
    )
    lines = list(mapped.logs(features[0].id))
    assert lines
    assert {line.tile for line in lines} == {features[0].id}
    assert "job.done" in {line.event for line in mapped.logs()}


def test_the_map_as_an_array(mapped: Job, farm: Farm) -> None:
    """It lies where the area is, has the classes of the model, and is mostly right."""
    array = mapped.to_xarray()
    assert array.dims == ("y", "x")
    with rasterio.open(farm.land.truth) as truth:
        window = truth.window(*_bounds(array))
        right = (array.values == truth.read(1, window=window))[array.values != 255]
    assert right.mean() > 0.6
    assert set(np.unique(array.values)) - {255} <= set(array.attrs["classes"])


def _bounds(array: Any) -> tuple[float, float, float, float]:
    half = float(array.x[1] - array.x[0]) / 2
    return float(array.x[0]) - half, float(array.y[-1]) - half, float(array.x[-1]) + half, float(array.y[0]) + half


def test_result_and_downloads(mapped: Job, tmp_path: Path) -> None:
    """Areas add up, the item is the map's, and its files can be had whole and in parts."""
    result = mapped.result()
    assert sum(area.share for area in result.areas) == pytest.approx(1, abs=1e-4)
    assert result.item["properties"]["geocrop:phase"] == "succeeded"
    (path,) = mapped.download(tmp_path, "map.tif")
    href = result.layers["map"].href
    assert path.stat().st_size == int(httpx.head(href).headers["content-length"])
    part = httpx.get(href, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, path.read_bytes()[:4])


def test_qgis_opens_the_map(mapped: Job, tmp_path: Path) -> None:
    """By its address alone, in its place, with the names of its classes."""
    if not _has_qgis():
        pytest.skip("QGIS NOT TESTED: apt-get install python3-qgis")
    result = mapped.result()
    (style,) = mapped.download(tmp_path, "map.qml")
    command = [_PYTHON, str(_LOOK), result.layers["map"].href, str(style)]
    said = json.loads(subprocess.run(command, env=_SCREENLESS, capture_output=True, check=True).stdout)
    with rasterio.open(result.layers["map"].href) as raster:
        height, width = raster.shape
    assert (said["valid"], said["crs"], said["size"]) == (True, "EPSG:32736", [width, height])
    assert {area.name for area in result.areas} <= {*said["classes"]}


def _has_qgis() -> bool:
    return subprocess.run([_PYTHON, "-c", "import qgis.core"], capture_output=True, check=False).returncode == 0


def test_every_layer_is_drawn(mapped: Job, server: Served) -> None:
    """TiTiler's tile of each layer has the layer's colours where the map is; only signed addresses are opened."""
    wait_for_tiler(server)
    colours = {}
    for name, layer in mapped.result().layers.items():
        url = _tile_at(layer.tilejson.tiles[0], layer.tilejson.bounds)
        answer = httpx.get(url)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), (name, answer.text)
        assert "immutable" in answer.headers["cache-control"]
        colours[name] = _colours(answer.content)
        assert httpx.get(url.replace("signature=", "signature=x")).status_code == 403
    legend = {bytes.fromhex(area.colour) for area in mapped.result().areas}
    assert colours["map"] <= legend
    assert len(colours["confidence"]) > 3


def _tile_at(template: str, bounds: tuple[float, float, float, float], zoom: int = 13) -> str:
    """The tile of the middle of a box."""
    lon, lat = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    x = int((lon + 180) / 360 * 2**zoom)
    y = int((1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * 2**zoom)
    return template.replace("{z}", str(zoom)).replace("{x}", str(x)).replace("{y}", str(y))


def _colours(png: bytes) -> set[bytes]:
    """Of its opaque pixels."""
    with rasterio.MemoryFile(png) as memory, memory.open() as source:
        data = source.read()
    opaque = data[-1] == 255
    return {bytes(pixel) for pixel in np.unique(data[:3, opaque], axis=1).T.astype(np.uint8)}


def test_baselines_need_no_job(client: Client, server: Served) -> None:
    """The years that the store has are drawn for everybody."""
    wait_for_tiler(server)
    (year,) = client.baselines()
    answer = httpx.get(_tile_at(year.tilejson.tiles[0], year.bounds))
    assert (year.year, answer.status_code) == (2022, 200)
    assert _colours(answer.content) <= {bytes.fromhex(one.colour) for one in year.classes}
    assert httpx.get(_tile_at(year.tilejson.tiles[0].replace("/2022/", "/2019/"), year.bounds)).status_code == 404


def test_a_map_is_found_by_search(mapped: Job, server: Served) -> None:
    """Its item is in the STAC API, with addresses that open."""
    box = ",".join(map(str, mapped.view.bbox or ()))
    found = httpx.get(f"{server.url}/api/v1/search", params={"bbox": box}).json()["features"]
    assert mapped.id in {one["id"] for one in found}
    href = next(one for one in found if one["id"] == mapped.id)["assets"]["map"]["href"]
    assert httpx.head(href).status_code == 200


def test_cancelled_then_retried_then_deleted(client: Client, mapped: Job, farm: Farm) -> None:
    """Another job of the same tiles: stopped while it runs, finished by a retry from the store, deleted alone."""
    job = client.map(farm.land.aoi, str(farm.land.season), name="again", **CHOICES)
    for event in job.events():
        if isinstance(event.data, PhaseEvent) and event.data.phase is Phase.RUNNING:
            job.cancel()
    assert job.refresh().phase is Phase.CANCELLED
    with pytest.raises(JobError):
        job.wait()
    assert job.retry().wait(timeout=120).phase is Phase.SUCCEEDED
    assert job.view.attempt == 2
    assert client.quote(client.order(farm.land.aoi, str(farm.land.season), **CHOICES)).cost.stored > 4
    assert job.result().layers["map"].href != mapped.result().layers["map"].href
    job.delete()
    with pytest.raises(RefusedError) as refused:
        job.refresh()
    assert refused.value.status == 404
    _until(lambda: not any((farm.home / "store/maps" / job.id).glob("*")))
    assert mapped.to_xarray().size > 0
    assert len(list((farm.home / "store/tiles").rglob("*.tif"))) == mapped.view.tiles.total


def test_the_command_line_works_against_a_server(server: Served, farm: Farm, mapped: Job, tmp_path: Path) -> None:
    """The same commands with `--server`: the map comes here; what is asked wrongly is told as ever."""
    said = json.loads(farm.geocrop("status", mapped.id, "--server", server.url, "--json"))
    assert (said[0]["phase"], len(said)) == ("succeeded", 1 + mapped.view.tiles.total)
    assert MODEL in farm.geocrop("models", "--server", server.url)
    command = [
        *(str(farm.land.aoi), "--season", str(farm.land.season), "--catalog", "land", "--model", MODEL),
        *("--out", str(tmp_path), "--tile-size", "64", "--no-probe", "--min-unit", "4", "--server", server.url),
    ]
    assert "in the store" in farm.geocrop("quote", *command)
    said_run = farm.geocrop("run", *command)
    assert said_run.startswith("succeeded: ")
    (folder,) = tmp_path.iterdir()
    assert (folder / "report.html").exists()
    assert (folder / "map.tif").read_bytes() == _bytes(mapped)


def test_a_file_that_is_no_area_is_refused_by_name(client: Client, farm: Farm, tmp_path: Path) -> None:
    """Whatever its suffix says: the server reads all files, and tells what is wrong with this one."""
    file = tmp_path / "field.geojson"
    file.write_text('{"type":', encoding="utf-8")
    with pytest.raises(RefusedError, match="AOI file field is not JSON"):
        client.order(file, str(farm.land.season), **CHOICES)


def _bytes(job: Job) -> bytes:
    return httpx.get(job.result().layers["map"].href).content


def test_times_are_told_in_utc(mapped: Job) -> None:
    """Each with its zone, in the order in which things happened."""
    view = mapped.view
    assert view.started is not None
    assert view.finished is not None
    assert view.created < view.started < view.finished
    assert view.created.utcoffset() == dt.timedelta(0)


def test_a_kill_while_submitting(farm: Farm, tmp_path: Path) -> None:
    """kill -9 between two of many submissions: asked again under their keys, each is one job and one work."""
    home = tmp_path / "home"
    shutil.copytree(farm.home, home, ignore=shutil.ignore_patterns("api.db*", "engine", "store", "cache"))
    twin, calm = Farm(farm.land, home), {"GEOCROP_API_LOCAL_JOBS": "0"}
    keys = [f"key-{number}" for number in range(8)]
    with contextlib.suppress(AssertionError), served(twin, tmp_path, "--no-tiler", **calm) as server:
        _submit(server, twin, "warm")
        threads = [threading.Thread(target=_quietly, args=(server, twin, key)) for key in keys]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        os.killpg(server.process.pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
    with served(twin, tmp_path, "--no-tiler", **calm) as server:
        jobs = {key: _submit(server, twin, key) for key in ("warm", *keys)}
        assert len(set(jobs.values())) == len(jobs)
        listed = httpx.get(f"{server.url}/api/v1/jobs", params={"limit": 200}).json()["items"]
        assert sorted(one["id"] for one in listed) == sorted(jobs.values())
        _until(lambda: {path.name for path in (home / "engine").glob("[!.]*")} == {f"{job}-1" for job in jobs.values()})


def _submit(server: Served, farm: Farm, key: str) -> str:
    order = {
        "aoi": json.loads(farm.land.aoi.read_text(encoding="utf-8")), "season": _season(farm), "model": MODEL,
        "options": {"tile_size": 64},
    }  # fmt: skip
    answer = httpx.post(
        f"{server.url}/api/v1/jobs", json={"order": order}, headers={"Idempotency-Key": key}, timeout=60
    )
    assert answer.status_code in {200, 202}, answer.text
    return str(answer.json()["id"])


def _quietly(server: Served, farm: Farm, key: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        _submit(server, farm, key)


def _season(farm: Farm) -> dict[str, str]:
    start, end = str(farm.land.season).split("/")
    return {"start": start, "end": end}


def _until(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.1)
