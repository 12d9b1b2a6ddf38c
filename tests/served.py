"""`geocrop serve` as it is run by its users: processes of its own, over a made landscape and a model of it."""

import contextlib
import io
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

import httpx
import msgspec

from geocrop.client import Client
from steps import cli
from steps.calibration import Calibration
from steps.landscape import Landscape, make_landscape
from steps.settings import settings
from tests.s3_server import free_ports

ANY_MACHINE = Calibration(
    read_mb_s=100, feature_mpx_s=100, predict_mpx_s=1, tile_seconds=0.1, worker_mb=500, compression=0.5,
    start_seconds=2, mosaic_mpx_s=10, runs=1,
)  # fmt: skip
"""Without it the first quote would measure this one."""
MODEL = "served"
_START_SECONDS = 60


@dataclass(frozen=True)
class Farm:
    """A landscape, and a home whose registry has a model of it."""

    land: Landscape
    home: Path

    def geocrop(self, *arguments: str) -> str:
        """Run a command in this process; what it said."""
        out, err, handler = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
        environment = {"GEOCROP_HOME": str(self.home), "GEOCROP_WORKERS": "1"}
        with mock.patch.dict(os.environ, environment):
            settings.cache_clear()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = cli.main(arguments)
        settings.cache_clear()
        signal.signal(signal.SIGTERM, handler)
        assert code == 0, err.getvalue()[-3000:]
        return out.getvalue()


def make_farm(folder: Path, registry: Path) -> Farm:
    """A small landscape, a quick model and a baseline; `registry` is a database without models."""
    farm = Farm(make_landscape(folder / "land", size_px=252, dates=6, years=(2022,)), folder / "home")
    farm.home.mkdir()
    shutil.copy(registry, farm.home / "mlflow.db")
    (farm.home / "calibration.json").write_bytes(msgspec.json.encode(ANY_MACHINE))
    farm.geocrop(
        *("train", "--labels", str(farm.land.labels), "--legend", str(farm.land.legend), "--quick", "--no-probe"),
        *("--season", str(farm.land.season), "--catalog", str(farm.land.catalog), "--name", MODEL),
    )
    farm.geocrop(
        "baselines", "import", str(farm.land.baselines[2022]), "--year", "2022", "--out", str(farm.home / "store")
    )
    return farm


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    url: str
    tiler: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def client(self) -> Client:
        """Without a key."""
        return Client(self.url, patience=10)


@contextlib.contextmanager
def served(farm: Farm, folder: Path, *more: str, **environment: str) -> Iterator[Served]:
    """Start the server, wait until it is ready, end it. What it says is in `serve.log`."""
    port, tiler = free_ports(2)
    command = [
        *(sys.executable, "-m", "steps.cli", "serve", "--port", str(port), "--tiler-port", str(tiler)),
        *("--catalog", f"land={farm.land.catalog}", *more),
    ]
    env = os.environ | {"GEOCROP_HOME": str(farm.home), "GEOCROP_WORKERS": "1", "GEOCROP_LOG_FORMAT": "json"}
    log = folder / "serve.log"
    with log.open("ab") as file:
        process = subprocess.Popen(command, env=env | environment, stdout=file, stderr=file, start_new_session=True)
    server = Served(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{tiler}", process, log)
    try:
        _wait(server, f"{server.url}/api/v1/health/ready")
        yield server
        process.terminate()
        assert process.wait(30) == 0, log.read_text(encoding="utf-8")[-3000:]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_tiler(server: Served) -> None:
    """It takes some seconds longer than the API."""
    _wait(server, f"{server.tiler}/healthz")


def _wait(server: Served, url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=2).status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{url} is not served:\n{server.log.read_text(encoding='utf-8')[-3000:]}")
