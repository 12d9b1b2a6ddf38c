"""Where results lie: a folder, S3 or memory behind one protocol. Writes are atomic or invisible."""

import contextlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from steps.errors import DataError, StoreError, UsageError
from steps.settings import Settings

_TEMPORARY = ".geocrop-tmp-"
_STALE_SECONDS = 24 * 3600


class MissingObject(DataError):  # noqa: N818 - named for what is the matter
    """There is nothing under this key."""

    def __init__(self, key: str, where: str) -> None:
        super().__init__(f"{where} has no object {key}", "run the job again, or check the store's address")
        self.key = key


class Store(Protocol):
    """Objects by key. A reader never sees a part of an object, whatever happens to the writer.

    Keys are relative, of `/`-separated parts without `.` and `..`. All methods raise StoreError when the store can not
    be reached now, and UsageError when it refuses us.
    """

    def put_bytes(self, key: str, data: bytes) -> None:
        """Write or replace an object."""

    def put_file(self, key: str, path: Path) -> None:
        """Write or replace an object with a file's content, streamed."""

    def get_bytes(self, key: str) -> bytes:
        """The whole object; raises MissingObject."""

    def local_path(self, key: str) -> AbstractContextManager[Path]:
        """A readable file with the object's content, for as long as the context lasts; raises MissingObject."""

    def exists(self, key: str) -> bool:
        """Whether there is an object."""

    def size(self, key: str) -> int:
        """Its bytes; raises MissingObject."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with a prefix, sorted."""

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""

    def href(self, key: str) -> str:
        """Absolute path or s3:// URL of an object; of the store itself for an empty key."""


def open_store(url: str, settings: Settings) -> Store:
    """The store at a folder's path or at `s3://bucket/prefix`; nothing is created before the first write."""
    if url.startswith("s3://"):
        from steps.s3 import open_s3  # noqa: PLC0415 - the client is only needed here

        return open_s3(url, settings)
    if "://" in url:
        raise UsageError(f"store {url} is neither a folder nor s3://", "give a folder or s3://bucket/prefix")
    return FolderStore(Path(url))


def checked(key: str) -> str:
    """The key, if it is one; raises UsageError for a key that could leave the store."""
    parts = key.split("/")
    if not key or any(part in {"", ".", ".."} for part in parts) or "\\" in key or "\0" in key:
        raise UsageError(f"{key!r} is not an object key", "keys are relative, without . and ..")
    return key


class FolderStore:
    """Objects are files below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def put_bytes(self, key: str, data: bytes) -> None:
        """See Store."""
        with self._placing(key) as temporary:
            temporary.write_bytes(data)

    def put_file(self, key: str, path: Path) -> None:
        """See Store."""
        with self._placing(key) as temporary:
            shutil.copyfile(path, temporary)

    def get_bytes(self, key: str) -> bytes:
        """See Store."""
        with self.local_path(key) as path:
            return path.read_bytes()

    @contextlib.contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        """See Store."""
        path = self._folder / checked(key)
        if not path.is_file():
            raise MissingObject(key, str(self._folder))
        yield path

    def exists(self, key: str) -> bool:
        """See Store."""
        return (self._folder / checked(key)).is_file()

    def size(self, key: str) -> int:
        """See Store."""
        with self.local_path(key) as path:
            return path.stat().st_size

    def list(self, prefix: str) -> Iterator[str]:
        """See Store."""
        base = self._folder / prefix.rpartition("/")[0]
        files = (path for path in base.rglob("*") if path.is_file() and not path.name.startswith(_TEMPORARY))
        keys = (path.relative_to(self._folder).as_posix() for path in files)
        return iter(sorted(key for key in keys if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        """See Store."""
        (self._folder / checked(key)).unlink(missing_ok=True)

    def href(self, key: str) -> str:
        """See Store."""
        return str(self._folder / key) if key else str(self._folder)

    @contextlib.contextmanager
    def _placing(self, key: str) -> Iterator[Path]:
        """A temporary file that gets the object's name when it is complete and on disk."""
        target = self._folder / checked(key)
        temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _sync(temporary)
            temporary.replace(target)
        except OSError as error:
            raise _refused(error, target, self._folder) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(error: OSError, target: Path, folder: Path) -> StoreError | UsageError:
    """The operating system's refusal, as an error that says what to do."""
    if isinstance(error, PermissionError | NotADirectoryError | FileExistsError | IsADirectoryError):
        return UsageError(f"{target} cannot be written: {error.strerror}", "choose a folder that you may write to")
    free = shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free
    return StoreError(f"{target} could not be written: {error.strerror}", f"{free / 2**20:.0f} MB are free there")


def sweep(folder: Path, older_than: float = _STALE_SECONDS) -> int:
    """Remove temporary files that killed writers left behind; how many there were."""
    limit = time.time() - older_than
    stale = [path for path in folder.rglob(f"{_TEMPORARY}*") if path.stat().st_mtime < limit]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


class MemoryStore:
    """Objects in a dictionary; for tests."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def put_bytes(self, key: str, data: bytes) -> None:
        """See Store."""
        self._objects[checked(key)] = bytes(data)

    def put_file(self, key: str, path: Path) -> None:
        """See Store."""
        self.put_bytes(key, path.read_bytes())

    def get_bytes(self, key: str) -> bytes:
        """See Store."""
        if checked(key) not in self._objects:
            raise MissingObject(key, "memory")
        return self._objects[key]

    @contextlib.contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        """See Store."""
        data = self.get_bytes(key)
        with tempfile.TemporaryDirectory(prefix="geocrop-object-") as folder:
            path = Path(folder) / key.rpartition("/")[2]
            path.write_bytes(data)
            yield path

    def exists(self, key: str) -> bool:
        """See Store."""
        return checked(key) in self._objects

    def size(self, key: str) -> int:
        """See Store."""
        return len(self.get_bytes(key))

    def list(self, prefix: str) -> Iterator[str]:
        """See Store."""
        return iter(sorted(key for key in self._objects if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        """See Store."""
        self._objects.pop(checked(key), None)

    def href(self, key: str) -> str:
        """See Store."""
        return f"memory:{key}"
