"""What the API needs goes away and comes back: nothing is lost, and nobody is told what is not true."""

import contextlib
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.database.postgis import PostgisDatabase
from api.engines.fake import FakeEngine
from steps.model.job import Phase
from tests.api_server import ANY_ORDER, any_context, live_api
from tests.postgres_server import postgres_server
from tests.s3_server import S3Server, free_ports

_PATIENCE_SECONDS = 30


def ask(url: str, method: str, path: str, **more: Any) -> httpx.Response:
    return httpx.request(method, f"{url}/api/v1{path}", trust_env=False, timeout=30, **more)


def submit(url: str, key: str = "") -> httpx.Response:
    return ask(url, "POST", "/jobs", json={"order": ANY_ORDER}, headers={"Idempotency-Key": key or uuid.uuid4().hex})


def until(wanted: Any) -> Any:
    """The first answer that is not empty."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (found := wanted()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_the_database_is_stopped_and_started(tmp_path: Path) -> None:
    """Not ready, yet alive; changes are refused with 503 and Retry-After, and what was kept is there afterwards."""
    engine = FakeEngine()
    with postgres_server() as server:
        database = PostgisDatabase(server.create("farms"), size=4)
        with live_api(any_context(tmp_path, database=database, engine=engine)) as url:
            job = submit(url).json()["id"]
            until(lambda: engine.starts)
            server.stop()
            assert ask(url, "GET", "/health/ready").status_code == 503
            assert ask(url, "GET", "/health/live").status_code == 200
            refused = submit(url, "once")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert ask(url, "GET", f"/jobs/{job}").status_code == 503
            server.start()
            until(lambda: ask(url, "GET", "/health/ready").status_code == 200)
            assert ask(url, "GET", f"/jobs/{job}").json()["phase"] == "queued"
            later = submit(url, "once").json()["id"]
            until(lambda: f"{later}-1" in engine.starts)
            assert engine.starts == [f"{job}-1", f"{later}-1"]


class Gate:
    """A port that leads to another while it is open."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        (self.port,) = free_ports(1)
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []

    def open(self) -> None:
        """From now on."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Connections break."""
        for one in (*self._open, *([self._listener] if self._listener else [])):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open, self._listener = [], None

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def gate(s3: S3Server) -> Iterator[Gate]:
    made = Gate(s3.endpoint)
    made.open()
    yield made
    made.close()


def test_the_store_is_away(s3: S3Server, gate: Gate, tmp_path: Path) -> None:
    """Jobs are taken; a result is a 503 meanwhile; a job that ends then is told once its tiles can be read."""
    engine = FakeEngine()
    shared = s3.settings(tmp_path, s3_endpoint=f"127.0.0.1:{gate.port}")
    store = f"s3://{s3.bucket}/{uuid.uuid4().hex[:8]}"
    with live_api(any_context(tmp_path, engine=engine, shared=shared, store=store)) as url:
        gate.close()
        job = submit(url).json()["id"]
        until(lambda: engine.starts)
        assert ask(url, "GET", "/health/ready").status_code == 200
        assert ask(url, "GET", "/health/status").json()["dependencies"]["store"]["status"] == "failing"
        result = ask(url, "GET", f"/jobs/{job}/result")
        assert (result.status_code, "retry-after" in result.headers) == (503, True)
        engine.move(f"{job}-1", Phase.FAILED, "broken")
        time.sleep(1)
        assert ask(url, "GET", f"/jobs/{job}").json()["phase"] in {"queued", "running"}
        gate.open()
        until(lambda: ask(url, "GET", f"/jobs/{job}").json()["phase"] == "failed")
        assert ask(url, "GET", f"/jobs/{job}/result").status_code == 404
