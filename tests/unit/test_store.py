"""What only a folder can do wrong: permissions, full disks, killed writers."""

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.errors import UsageError
from steps.settings import Settings
from steps.store import FolderStore, MissingObject, open_store

ROOT = Path(__file__).parents[2]
NOBODY = 65534


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """An empty store that does not exist yet."""
    return FolderStore(tmp_path / "not" / "yet")


def files_in(folder: Path) -> list[str]:
    """Names of all files below a folder, also hidden ones."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_nothing_is_made_before_the_first_write(store: FolderStore, tmp_path: Path) -> None:
    """Looking into a store leaves no folder behind."""
    assert list(store.list("tiles/")) == []
    assert not store.exists("a/b")
    assert list(tmp_path.iterdir()) == []


def test_hrefs_are_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative store stays where it was when the process moves on."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = open_store("results", Settings(home=tmp_path))
    monkeypatch.chdir("elsewhere")
    store.put_bytes("a/b", b"any")
    assert store.href("a/b") == str(tmp_path / "results/a/b")
    assert (tmp_path / "results/a/b").read_bytes() == b"any"


@pytest.mark.parametrize("url", ["", "gs://bucket", "https://any.example/maps", "file:///maps"])
def test_other_addresses_are_refused(url: str, tmp_path: Path) -> None:
    """What is neither a folder nor s3:// is a usage error."""
    with pytest.raises(UsageError, match="give a folder or s3://"):
        open_store(url, Settings(home=tmp_path))


def test_a_failed_write_leaves_nothing(store: FolderStore, tmp_path: Path) -> None:
    """A source that is not there makes no object and no temporary file."""
    with pytest.raises(FileNotFoundError):
        store.put_file("a/b", tmp_path / "missing")
    assert not store.exists("a/b")
    assert files_in(tmp_path) == []


def test_temporary_files_are_no_objects(store: FolderStore) -> None:
    """What a killed writer left is not listed; after a day the next writer to that folder removes it."""
    store.put_bytes("tiles/a", b"any")
    folder = Path(store.href("tiles"))
    old, new = folder / ".geocrop-tmp-old", folder / ".geocrop-tmp-new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    assert list(store.list("")) == ["tiles/a"]
    FolderStore(Path(store.href(""))).put_bytes("tiles/b", b"any")
    assert files_in(folder) == [".geocrop-tmp-new", "a", "b"]


def test_an_object_is_no_folder(store: FolderStore) -> None:
    """A key below another object's key cannot be written, and says so."""
    store.put_bytes("a", b"any")
    with pytest.raises(UsageError, match="cannot be written"):
        store.put_bytes("a/b", b"any")
    with pytest.raises(MissingObject):
        store.get_bytes("a/b")
    assert store.get_bytes("a") == b"any"


def test_a_name_that_is_too_long(store: FolderStore) -> None:
    """The file system's limit on names is a usage error."""
    with pytest.raises(UsageError, match="name too long"):
        store.put_bytes("a" * 300, b"any")


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[FolderStore]:
    """A store with one object, whose folder then has no permissions; root becomes nobody, to whom they apply."""
    folder = tmp_path / "closed"
    store = FolderStore(folder)
    store.put_bytes("tiles/a", b"any")
    folder.chmod(0)
    user = os.geteuid()
    os.seteuid(user or NOBODY)
    yield store
    os.seteuid(user)
    folder.chmod(0o755)


def test_no_permission_is_a_usage_error(closed: FolderStore) -> None:
    """A folder that we may not use is said with its path and what to do; trying again would not help."""
    calls = (
        lambda: closed.put_bytes("tiles/b", b""),
        lambda: closed.get_bytes("tiles/a"),
        lambda: closed.exists("tiles/a"),
        lambda: list(closed.list("")),
        lambda: closed.delete("tiles/a"),
    )
    for call in calls:
        with pytest.raises(UsageError, match=r"closed.*Permission denied: choose a folder that you may write to"):
            call()


_FILL = """
import pathlib, sys
from steps.errors import StoreError
from steps.store import FolderStore
folder = pathlib.Path(sys.argv[1])
store = FolderStore(folder)
store.put_bytes("a", b"before")
try:
    store.put_bytes("a", bytes(4 * 2**20))
except StoreError as error:
    print(error.exit_code, error)
print(store.get_bytes("a"), [path.name for path in folder.iterdir()])
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """On a full disk the old object stays, nothing is left over, and the error names the path and what is free: 75."""
    mount = 'mount -t tmpfs -o size=1m none "$0" && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    said = subprocess.run(
        [*command, sys.executable, "-c", _FILL, str(tmp_path)],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        check=True,
    ).stdout
    message = r"75 \S+/a cannot be written: No space left on device: \d+ MB are free there; .*\nb'before' \['a'\]\n"
    assert re.fullmatch(message, said)


def _write_forever(folder: str, letter: bytes) -> None:
    store = FolderStore(Path(folder))
    while True:
        store.put_bytes("shared/object", letter * 2**20)


def test_readers_never_see_a_part(store: FolderStore) -> None:
    """While processes replace one object again and again, and are killed doing so, every read is of one of them."""
    store.put_bytes("shared/object", b"0" * 2**20)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_forever, args=(store.href(""), letter)) for letter in (b"1", b"2")]
    for writer in writers:
        writer.start()
    try:
        seen = _watched(store, until=b"012", seconds=20)
    finally:
        for writer in writers:
            os.kill(writer.pid or 0, signal.SIGKILL)
            writer.join()
    assert seen == {ord("0"), ord("1"), ord("2")}
    assert set(store.get_bytes("shared/object")) <= seen
    assert list(store.list("")) == ["shared/object"]


def _watched(store: FolderStore, *, until: bytes, seconds: float) -> set[int]:
    """The letters of all objects read, each of them made of one letter only."""
    seen: set[int] = set()
    deadline = time.monotonic() + seconds
    while not seen >= set(until) and time.monotonic() < deadline:
        letters = set(store.get_bytes("shared/object"))
        assert len(letters) == 1
        assert store.size("shared/object") == 2**20
        seen |= letters
    return seen
