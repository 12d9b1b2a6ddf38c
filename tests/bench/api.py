"""The API process by itself, on SQLite and on PostGIS: requests a second, pages by box, open streams, memory, start.

Each rate stands beside that of an answer that needs no database, in the same run. Load comes over as many connections
as are named, on the same machine. Jobs are asked for by nobody in particular, and with an API key.
"""

import asyncio
import contextlib
import datetime as dt
import fcntl
import functools
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from api.database import jobs
from api.database.access import KeyRow, insert_key
from api.database.postgis import PostgisDatabase
from api.database.sqlite import SqliteDatabase
from api.engines.local import LocalEngine
from api.engines.protocol import Work
from api.secrets import digest_of, split_key
from steps import naming
from steps.errors import UsageError
from steps.model.job import Phase, Reason, TileMapped
from steps.settings import Settings
from steps.store import open_store
from steps.testing import any_plan, any_request
from tests.postgres_server import postgres_server
from tests.s3_server import free_ports

JOBS, STREAMS, SECONDS, CONNECTIONS = 100_000, 1_000, 5, 16
LIVE, ONE = "/api/v1/health/live", "/api/v1/jobs/job-{}"
KEY = "gck_bench_any-secret"
_FAR = 10**9


def run() -> dict[str, Any]:
    """All rows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    with tempfile.TemporaryDirectory(prefix="geocrop-bench-") as folder, postgres_server() as server:
        home = Path(folder)
        asyncio.run(_fill(SqliteDatabase(home / "api.db")))
        uri = server.create("bench")
        asyncio.run(_fill(PostgisDatabase(uri, size=2)))
        return {
            "jobs": JOBS,
            "connections": CONNECTIONS,
            "cores": os.cpu_count(),
            "sqlite": _measure(home, {}),
            "postgis": _measure(home, {"GEOCROP_API_DATABASE": uri}),
        }


# -- what is measured ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Api:
    """A server's process."""

    port: int
    pid: int
    start_s: float


def _measure(home: Path, environment: dict[str, str]) -> dict[str, Any]:
    starts = []
    for _ in range(3):
        with _served(home, environment) as api:
            starts.append(api.start_s)
    with _served(home, environment) as api:
        time.sleep(2)
        found: dict[str, Any] = {"start_s": round(statistics.median(starts), 2), "idle_mb": _memory_mb(api.pid)}
        live, one = (_load(api.port, path) for path in (LIVE, ONE))
        found |= {"live_per_s": live.per_second, "job_per_s": one.per_second, "job_p99_ms": one.p99_ms}
        by_key = _load(api.port, ONE, KEY)
        found |= {"by_key_per_s": by_key.per_second, "by_key_p99_ms": by_key.p99_ms}
        found["box_ms"] = _page_ms(api.port)
        found |= asyncio.run(_streams(api, home))
    return found


@contextlib.contextmanager
def _served(home: Path, environment: dict[str, str]) -> Iterator[Api]:
    """`geocrop serve` without TiTiler, until its database answers."""
    (port,) = free_ports(1)
    told = {
        "GEOCROP_HOME": str(home),
        "GEOCROP_API_REQUESTS_PER_MINUTE": str(_FAR),
        "GEOCROP_API_LOCAL_JOBS": "0",
        "GEOCROP_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "steps.cli", "serve", "--port", str(port), "--no-tiler"]
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | told | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/api/v1/health/ready", trust_env=False).status_code == 200:
                    break
            time.sleep(0.01)
        yield Api(port, process.pid, time.perf_counter() - begin)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _memory_mb(pid: int) -> int:
    """Resident."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmRSS:")[2].split()[0]) // 1000


@dataclass(frozen=True, slots=True)
class Rate:
    """Of one kind of request."""

    per_second: int
    p99_ms: float


def _load(port: int, path: str, key: str = "") -> Rate:
    """As many as possible, one after the other on each connection, by wrk: it leaves the cores to the server."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua", encoding="utf-8") as script:
        script.write(_SCRIPT % {"path": path, "key": key, "jobs": JOBS})
        script.flush()
        options = ["--threads=1", f"--connections={CONNECTIONS}", f"--duration={SECONDS}s", f"--script={script.name}"]
        command = [_wrk(), *options, f"http://127.0.0.1:{port}"]
        done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    answers, bad, seconds, p99 = (float(one) for one in done.stdout.rpartition("told:")[2].split())
    assert answers
    assert not bad, f"{bad:.0f} requests failed"
    return Rate(round(answers / seconds), round(p99, 1))


_SCRIPT = """
local number = 0
if "%(key)s" ~= "" then wrk.headers["Authorization"] = "Bearer %(key)s" end
request = function()
  number = (number * 7919 + 13) %% %(jobs)d
  return wrk.format("GET", (string.gsub("%(path)s", "{}", number)))
end
done = function(summary, latency)
  local bad = summary.errors
  local failed = bad.status + bad.connect + bad.read + bad.write + bad.timeout
  print("told:", summary.requests, failed, summary.duration / 1e6, latency:percentile(99) / 1000)
end
"""


@functools.cache
def _wrk() -> str:
    """Debian's; installed where it is missing and we are root."""
    if not shutil.which("wrk") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "wrk"], check=False, capture_output=True)
    found = shutil.which("wrk")
    if found is None:
        raise UsageError("wrk makes the load of this bench, and is not here", "apt-get install wrk")
    return found


def _page_ms(port: int) -> float:
    """A page of jobs in a box that holds one in a hundred of them; the median of some boxes."""
    times = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False) as http:
        for west in range(-170, 160, 11):
            begin = time.perf_counter()
            answer = http.get("/jobs", params={"bbox": f"{west},-20,{west + 10},0"})
            times.append(time.perf_counter() - begin)
            assert answer.json()["items"]
    return round(statistics.median(times) * 1000, 1)


async def _streams(api: Api, home: Path) -> dict[str, float]:
    """Open streams on one job, what they cost, and how soon each hears of a tile that was done."""
    plan = any_plan(job="watched", tiles=8)
    store = open_store(str(home / "store"), Settings(home=home))
    for key in list(store.list("plans/")):
        store.delete(key)
    async with _running(api, home):
        streams = [one for _ in range(0, STREAMS, 50) for one in await asyncio.gather(*map(_opened, [api.port] * 50))]
        memory = _memory_mb(api.pid)
        store.put_bytes(naming.plan_key(plan.job), msgspec.json.encode(plan))
        await asyncio.gather(*(reader.readuntil(b"event: planned") for reader, _ in streams))
        delays = []
        for entry in plan.tiles:
            await asyncio.sleep(0.37)
            done = TileMapped(
                tile=entry.tile, planned_key="any", key="any", pixels={Reason.MAPPED: 1}, scenes=3, seconds={}
            )
            store.put_bytes(naming.job_tile_key(plan.job, entry.tile), msgspec.json.encode(done))
            begin = time.perf_counter()
            await asyncio.gather(*(reader.readuntil(str(entry.tile).encode()) for reader, _ in streams))
            delays.append(time.perf_counter() - begin)
        for _, writer in streams:
            writer.close()
    return {
        "streams": STREAMS,
        "streams_mb": memory,
        "event_s": round(statistics.median(delays), 2),
        "event_worst_s": round(max(delays), 2),
    }


async def _opened(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/v1/jobs/watched/events HTTP/1.1\r\nHost: any\r\n\r\n")
    await reader.readuntil(b"event: phase")
    return reader, writer


@contextlib.asynccontextmanager
async def _running(api: Api, home: Path) -> AsyncIterator[None]:
    """A job that somebody works on: this process holds its work's lock."""
    engine = LocalEngine(home / "engine", places=0)
    work = Work(
        name="watched-1", job="watched", attempt=1, request=any_request(), store=str(home / "store"), probe=False
    )
    (home / "engine").mkdir(exist_ok=True)
    await engine.remove("watched-1")
    await engine.start(work)
    with (home / "engine/watched-1/lock").open("a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        url = f"http://127.0.0.1:{api.port}/api/v1/jobs/watched"
        while not (answer := httpx.get(url, trust_env=False)).is_success or answer.json()["phase"] != "running":
            await asyncio.sleep(0.1)
        yield
    await engine.remove("watched-1")


# -- what there is -------------------------------------------------------------------------------------------------


async def _fill(database: Any) -> None:
    """Jobs all over the world, all of them over."""
    await database.open()
    rows = [_row(number) for number in range(JOBS)]
    names = [name for name in rows[0] if name != "n"]
    marks = ", ".join(f":{name}" for name in names)
    async with database.write() as connection:
        await connection.many(f"insert into jobs ({', '.join(names)}) values ({marks})", rows)  # noqa: S608
        sqlite = isinstance(database, SqliteDatabase)
        await connection.run(
            "insert into jobs_box select n, west, east, south, north from jobs"
            if sqlite
            else "update jobs set shape = ST_MakeEnvelope(west, south, east, north, 4326)"
        )
        await insert_key(connection, _key())
        await connection.run("analyze")
    await database.close()


def _key() -> KeyRow:
    name, secret = split_key(KEY) or ("", "")
    return KeyRow(
        id=name, owner="local", name="any", scopes="read", hash=digest_of(secret), created=dt.datetime.now(dt.UTC)
    )


def _row(number: int) -> dict[str, Any]:
    when = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=number)
    west, south = (number * 7919 % 35_900) / 100 - 180, (number * 104_729 % 17_000) / 100 - 85
    job = jobs.JobRow(
        id=f"job-{number}", owner="local", name="any", work=f"job-{number}-1", uid="any", phase=Phase.SUCCEEDED,
        created=when, updated=when, started=when, finished=when, west=west, south=south, east=west + 0.1,
        north=south + 0.1, season_start="2021-10-01", season_end="2022-09-30", model_name="any", model_version="1",
    )  # fmt: skip
    return {
        name: str(value) if isinstance(value, Phase) else value for name, value in msgspec.structs.asdict(job).items()
    }
