"""Where results lie: a folder, S3 or memory behind one protocol. Writes are atomic or invisible."""

import contextlib
import datetime as dt
import errno
import os
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from steps.errors import DataError, StoreError, UsageError
from steps.settings import Settings

_TEMPORARY = ".geocrop-tmp-"
_STALE_SECONDS = 24 * 3600
"""A temporary file that nobody has written to for so long belongs to a writer that was killed."""
_NOTHING_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_NEVER = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG),
}
"""What the operating system refuses today, and will refuse again."""


class MissingObject(DataError):  # noqa: N818 - named for what is the matter
    """There is nothing under this key."""

    def __init__(self, key: str, where: str) -> None:
        super().__init__(f"{where} has no object {key}", "run the job again, or check the store's address")
        self.key = key


class NotAKeyError(UsageError):
    """No object can have this key: it could leave the store, or is one of the store's own names."""

    def __init__(self, key: str, remedy: str) -> None:
        super().__init__(f"{key!r} is not an object key", remedy)


class Entry(NamedTuple):
    """An object as a listing has it."""

    key: str
    modified: dt.datetime
    """When it was written last, in UTC."""


class Store(Protocol):
    """Objects by key. A reader never sees a part of an object, whatever happens to the writer.

    Keys are relative, of `/`-separated parts without `.` and `..`; no key lies below another as if that were a folder.
    All methods raise StoreError when the store can not do it now, and UsageError when it refuses us or the key.
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
        """Keys that start with a prefix, which need not end at a `/`; sorted."""

    def entries(self, prefix: str) -> Iterator[Entry]:
        """As `list`, with when each was written."""

    def total(self, prefix: str) -> int:
        """Bytes of all objects whose keys start with a prefix."""

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""

    def href(self, key: str) -> str:
        """Absolute path or s3:// URL of an object; of the store itself for an empty key."""


def open_store(url: str, settings: Settings) -> Store:
    """The store at a folder's path or at `s3://bucket/prefix`; nothing is created before the first write."""
    if url.startswith("s3://"):
        from steps.s3 import open_s3  # noqa: PLC0415 - the client is only needed here

        return open_s3(url, settings)
    if "://" in url or not url:
        raise UsageError(f"store {url!r} is neither a folder nor s3://", "give a folder or s3://bucket/prefix")
    return FolderStore(Path(url))


def checked(key: str) -> str:
    """The key, if it is one; raises NotAKeyError for a key that could leave the store."""
    parts = key.split("/")
    if not key.isprintable() or "\\" in key or any(part in {"", ".", ".."} for part in parts):
        raise NotAKeyError(key, "keys are relative, without . and ..")
    if parts[-1].startswith(_TEMPORARY):
        raise NotAKeyError(key, f"names that begin with {_TEMPORARY} are taken")
    return key


def checked_prefix(prefix: str) -> str:
    """The beginning of a key, if it is one; raises NotAKeyError for one that could leave the store."""
    checked(f"{prefix}x")
    return prefix


class FolderStore:
    """Objects are files below a folder, which is made with the first of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._swept: set[Path] = set()

    def put_bytes(self, key: str, data: bytes) -> None:
        """See Store."""
        with self._placing(key) as temporary:
            temporary.write_bytes(data)

    def put_file(self, key: str, path: Path) -> None:
        """See Store."""
        with path.open("rb"), self._placing(key) as temporary:
            shutil.copyfile(path, temporary)

    def get_bytes(self, key: str) -> bytes:
        """See Store."""
        path = self._found(key)
        with self._reading(key):
            return path.read_bytes()

    @contextlib.contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        """See Store."""
        yield self._found(key)

    def exists(self, key: str) -> bool:
        """See Store."""
        try:
            self._found(key)
        except MissingObject:
            return False
        return True

    def size(self, key: str) -> int:
        """See Store."""
        path = self._found(key)
        with self._reading(key):
            return path.stat().st_size

    def list(self, prefix: str) -> Iterator[str]:
        """See Store."""
        base = self._folder / checked_prefix(prefix).rpartition("/")[0]
        keys = (path.relative_to(self._folder).as_posix() for path in _files(base))
        return iter(sorted(key for key in keys if key.startswith(prefix)))

    def entries(self, prefix: str) -> Iterator[Entry]:
        """See Store."""
        for key in self.list(prefix):
            with contextlib.suppress(FileNotFoundError):
                yield Entry(key, dt.datetime.fromtimestamp((self._folder / key).stat().st_mtime, dt.UTC))

    def total(self, prefix: str) -> int:
        """See Store."""
        found = 0
        for key in self.list(prefix):
            with contextlib.suppress(FileNotFoundError):
                found += (self._folder / key).stat().st_size
        return found

    def delete(self, key: str) -> None:
        """See Store."""
        with contextlib.suppress(MissingObject):
            path = self._found(key)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _refused(error, f"{path} cannot be removed", self._folder) from error

    def href(self, key: str) -> str:
        """See Store."""
        return str(self._folder / key) if key else str(self._folder)

    def _found(self, key: str) -> Path:
        path = self._folder / checked(key)
        with self._reading(key):
            if not stat.S_ISREG(path.stat().st_mode):
                raise MissingObject(key, str(self._folder))
        return path

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _NOTHING_THERE:
                raise MissingObject(key, str(self._folder)) from error
            raise _refused(error, f"{self._folder / key} cannot be read", self._folder) from error

    @contextlib.contextmanager
    def _placing(self, key: str) -> Iterator[Path]:
        """A temporary file beside the object, which gets its name when it is complete and on disk."""
        target = self._folder / checked(key)
        temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._sweep(target.parent)
            yield temporary
            _sync(temporary)
            temporary.replace(target)
        except OSError as error:
            raise _refused(error, f"{target} cannot be written", self._folder) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _sweep(self, folder: Path) -> None:
        """Remove, once per folder, what killed writers left behind; their files are never anyone's object."""
        if folder in self._swept:
            return
        self._swept.add(folder)
        limit = time.time() - _STALE_SECONDS
        for path in folder.glob(f"{_TEMPORARY}*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < limit:
                    path.unlink()


def _files(base: Path) -> Iterator[Path]:
    """Every object's file below a folder; none when there is no such folder."""
    for folder, _, names in os.walk(base, onerror=_raise_refused):
        yield from (Path(folder, name) for name in names if not name.startswith(_TEMPORARY))


def _raise_refused(error: OSError) -> None:
    if error.errno not in _NOTHING_THERE:
        raise _refused(error, f"{error.filename} cannot be listed", Path(error.filename)) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(error: OSError, what: str, folder: Path) -> StoreError | UsageError:
    """The operating system's refusal, as an error that says what to do."""
    said = f"{what}: {error.strerror}"
    if error.errno in _NEVER:
        return UsageError(said, "choose a folder that you may write to, or have its permissions changed")
    return StoreError(said, f"{free_mb(folder)} MB are free there; free some, or choose another folder")


def free_mb(folder: Path) -> int:
    """Free space where a folder lies or will lie, in MB."""
    for path in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(path).free // 2**20
    return 0


class MemoryStore:
    """Objects in a dictionary; for tests."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._written: dict[str, dt.datetime] = {}

    def put_bytes(self, key: str, data: bytes) -> None:
        """See Store."""
        self._objects[checked(key)] = bytes(data)
        self._written[key] = dt.datetime.now(dt.UTC)

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
        checked_prefix(prefix)
        return iter(sorted(key for key in self._objects if key.startswith(prefix)))

    def entries(self, prefix: str) -> Iterator[Entry]:
        """See Store."""
        return (Entry(key, self._written[key]) for key in self.list(prefix))

    def total(self, prefix: str) -> int:
        """See Store."""
        return sum(len(self._objects[key]) for key in self.list(prefix))

    def delete(self, key: str) -> None:
        """See Store."""
        self._objects.pop(checked(key), None)

    def href(self, key: str) -> str:
        """See Store."""
        return f"memory:{key}" if key else "memory:"
