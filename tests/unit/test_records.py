"""Records of jobs and tiles outlive crashes and are shared by processes."""

import contextlib
import datetime as dt
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from steps.errors import DataError, StoreError, UsageError
from steps.model.grid import TileId
from steps.model.job import JobRecord, Phase
from steps.records import _MIGRATIONS, Records, SqliteRecords, open_records
from steps.settings import Settings
from steps.testing import any_request

NOBODY = 65534
ROOT = Path(__file__).parents[2]
NOW = dt.datetime(2022, 5, 1, 12, tzinfo=dt.UTC)


def any_record(name: str = "any-job", *, minutes: int = 0, **changes: object) -> JobRecord:
    """A running job, updated some minutes after `NOW`."""
    fields = {"phase": Phase.RUNNING, "created": NOW, "updated": NOW + dt.timedelta(minutes=minutes)}
    return JobRecord(id=name, request=any_request(), **(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """Empty records."""
    return open_records(Settings(home=tmp_path / "not" / "yet"))


def test_a_job_comes_back_as_it_was_saved(records: Records) -> None:
    """Request, phase, href, error and times are kept."""
    record = any_record(phase=Phase.FAILED, href="/any/item.json", error="any", store="/any", tiles={Phase.QUEUED: 3})
    records.save_job(record)
    assert list(records.jobs("any-job")) == [record]
    assert list(records.jobs()) == [record]


def test_an_unknown_job_is_none(records: Records) -> None:
    """Nothing is made up."""
    assert list(records.jobs("unknown")) == []
    assert records.tiles(any_record("unknown")) == []
    assert list(records.jobs()) == []


def test_tiles_are_counted_by_phase(records: Records) -> None:
    """A job's tiles come counted from their own records, alone and in the list; the last one saved holds."""
    records.save_job(any_record(tiles={Phase.QUEUED: 2}))
    records.save_tile(any_record(), TileId(row=1, col=2), Phase.FAILED, "read-error", 0.5)
    records.save_tile(any_record(), TileId(row=1, col=2), Phase.SUCCEEDED, "", 1.5)
    records.save_tile(any_record(), TileId(row=1, col=1), Phase.SUCCEEDED, "all-cloud", 2.0)
    records.save_tile(any_record(), TileId(row=0, col=9), Phase.FAILED, "worker-lost", 0.0)
    counts = {Phase.SUCCEEDED: 2, Phase.FAILED: 1}
    assert [record.tiles for record in (*records.jobs("any-job"), *records.jobs())] == [counts, counts]
    rows = [(tile.tile, tile.phase, tile.reason, tile.seconds) for tile in records.tiles(any_record())]
    assert rows == [
        ("r00000c00009", Phase.FAILED, "worker-lost", 0.0),
        ("r00001c00001", Phase.SUCCEEDED, "all-cloud", 2.0),
        ("r00001c00002", Phase.SUCCEEDED, "", 1.5),
    ]


def test_a_job_saved_again_keeps_its_tiles(records: Records) -> None:
    """Saving a job replaces the job and nothing else."""
    records.save_job(any_record())
    records.save_tile(any_record(), TileId(row=1, col=2), Phase.SUCCEEDED, "", 1.5)
    records.save_job(any_record(phase=Phase.SUCCEEDED, minutes=5))
    (job,) = records.jobs("any-job")
    assert (job.phase, job.tiles) == (Phase.SUCCEEDED, {Phase.SUCCEEDED: 1})


def test_a_job_in_two_stores_has_two_records(records: Records) -> None:
    """A replay elsewhere leaves the record of the first map, and its tiles, as they are."""
    first, second = any_record(store="/one"), any_record(store="/two", minutes=5)
    records.save_job(first)
    records.save_tile(first, TileId(row=1, col=2), Phase.SUCCEEDED, "", 1.5)
    records.save_job(second)
    assert [record.store for record in records.jobs("any-job")] == ["/two", "/one"]
    assert (len(records.tiles(first)), records.tiles(second)) == (1, [])


def test_records_of_the_first_schema_are_kept(tmp_path: Path) -> None:
    """A file from before a job could lie in two stores is brought up to date with all that it holds."""
    with sqlite3.connect(tmp_path / "records.db") as connection:
        connection.executescript(_MIGRATIONS[0])
        record = any_record(store="/one")
        row = (record.id, NOW.isoformat(), NOW.isoformat(), record.phase, msgspec.json.encode(record).decode())
        connection.execute("insert into jobs values (?, ?, ?, ?, ?)", row)
        connection.execute("insert into tiles values (?, 'r1', 'succeeded', '', 1, ?)", (record.id, NOW.isoformat()))
        connection.execute("pragma user_version = 1")
    connection.close()
    records = open_records(Settings(home=tmp_path))
    (found,) = records.jobs(record.id)
    assert (found.store, found.tiles) == ("/one", {Phase.SUCCEEDED: 1})
    assert [tile.tile for tile in records.tiles(found)] == ["r1"]


def test_the_last_updated_job_comes_first(records: Records) -> None:
    """`geocrop status` shows what moved last on top."""
    for name, minutes in (("a", 5), ("b", 9), ("c", 1)):
        records.save_job(any_record(name, minutes=minutes))
    assert [record.id for record in records.jobs()] == ["b", "a", "c"]


@hypothesis_settings(deadline=None, max_examples=30)
@given(reason=st.text(max_size=80), seconds=st.floats(0, 1e9), name=st.text(min_size=1, max_size=30))
def test_any_text_is_kept(tmp_path_factory: pytest.TempPathFactory, reason: str, seconds: float, name: str) -> None:
    """Whatever an error says, it comes back."""
    if any("\ud800" <= letter <= "\udfff" for letter in reason + name):
        return
    records = SqliteRecords(tmp_path_factory.mktemp("records") / "records.db")
    records.save_job(any_record(name, error=reason))
    records.save_tile(any_record(name), TileId(row=1, col=2), Phase.FAILED, reason, seconds)
    (tile,) = records.tiles(any_record(name))
    (job,) = records.jobs(name)
    assert (tile.reason, tile.seconds, job.error) == (reason, seconds, reason)


_WORK = """
import pathlib, sys
import msgspec
from steps.model.grid import TileId
from steps.model.job import JobRecord, Phase
from steps.records import SqliteRecords
record = msgspec.json.decode(sys.argv[2], type=JobRecord)
print("ready", flush=True)
sys.stdin.readline()
records = SqliteRecords(pathlib.Path(sys.argv[1]))
records.save_job(record)
for col in range(int(sys.argv[3])):
    records.save_tile(record, TileId(row=7, col=col), Phase.SUCCEEDED, "", 0.1)
"""


def start_worker(path: Path, name: str, tiles: int) -> subprocess.Popen[bytes]:
    """A process that saves a job and its tiles when it is told to."""
    record = msgspec.json.encode(any_record(name)).decode()
    command = [sys.executable, "-c", _WORK, str(path), record, str(tiles)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def tell(worker: subprocess.Popen[bytes]) -> None:
    """Let a worker begin."""
    assert worker.stdin is not None
    worker.stdin.write(b"go\n")
    worker.stdin.flush()


def test_processes_share_the_file(tmp_path: Path) -> None:
    """Processes that start on a new file at once, and write at once, lose nothing and fail in nothing."""
    path = tmp_path / "records.db"
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(start_worker(path, f"job-{number}", 20)) for number in range(4)]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"ready\n"
        for worker in workers:
            tell(worker)
    assert [worker.returncode for worker in workers] == [0] * 4
    assert [record.tiles for record in SqliteRecords(path).jobs()] == [{Phase.SUCCEEDED: 20}] * 4


def test_a_killed_process_loses_nothing_it_had_saved(tmp_path: Path) -> None:
    """After `kill -9` the file is whole: tiles saved so far are there, without a gap, and writing goes on."""
    path = tmp_path / "records.db"
    records = SqliteRecords(path)
    with start_worker(path, "any-job", 100_000) as worker:
        tell(worker)
        deadline = time.monotonic() + 30
        while len(records.tiles(any_record())) < 30 and time.monotonic() < deadline:
            time.sleep(0.01)
        worker.kill()
    saved = records.tiles(any_record())
    assert len(saved) >= 30
    assert [tile.tile for tile in saved] == [str(TileId(row=7, col=col)) for col in range(len(saved))]
    records.save_tile(any_record(), TileId(row=8, col=0), Phase.FAILED, "worker-lost", 0.0)
    assert len(records.tiles(any_record())) == len(saved) + 1


@pytest.fixture
def closed_home(tmp_path: Path) -> Iterator[Path]:
    """A home that may not be written to; root becomes nobody, to whom that applies."""
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0)
    user = os.geteuid()
    os.seteuid(user or NOBODY)
    yield folder
    os.seteuid(user)
    folder.chmod(0o755)


def test_a_home_without_permission(closed_home: Path) -> None:
    """It is said which variable to set; trying again would not help."""
    for home in (closed_home, closed_home / "below"):
        with pytest.raises(UsageError, match="GEOCROP_HOME"):
            open_records(Settings(home=home))


def test_a_damaged_file(tmp_path: Path) -> None:
    """What is not a database is bad data, and is not overwritten."""
    (tmp_path / "records.db").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(DataError, match="is damaged"):
        open_records(Settings(home=tmp_path))
    assert (tmp_path / "records.db").read_bytes().startswith(b"not a database")


def test_a_file_of_a_later_version(tmp_path: Path) -> None:
    """An older program does not touch a newer file."""
    open_records(Settings(home=tmp_path))
    with sqlite3.connect(tmp_path / "records.db") as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(DataError, match="later version"):
        open_records(Settings(home=tmp_path))


def test_a_file_that_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody holds for too long may be free later: 75."""
    records = open_records(Settings(home=tmp_path))
    monkeypatch.setattr("steps.records._BUSY_SECONDS", 0.1)
    holder = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    holder.execute("begin exclusive")
    with pytest.raises(StoreError, match="locked"):
        records.save_job(any_record())
    holder.close()


def test_records_are_whole_structs(records: Records) -> None:
    """What is kept of a request is enough to run it again."""
    records.save_job(any_record())
    (job,) = records.jobs("any-job")
    assert msgspec.json.encode(job.request) == msgspec.json.encode(any_request())
