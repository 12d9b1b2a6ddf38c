"""The block cache: blocks of remote rasters kept on disk, as they came, so that a plan works offline.

One folder per raster, named by the digest of its unsigned href and version; in it `head` (what is needed to find the
blocks) and one file per block under its number. Files appear whole, by renaming, so that any number of processes may
fill and read the cache at once. Whole rasters are evicted, the longest unused first.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from steps.errors import StoreError
from steps.model.digest import digest

_HEAD = "head"
_LOCK = ".lock"
_EVICTED_MEANWHILE = 5
"""Times that a folder may vanish under a write before it is an error."""
_log = structlog.get_logger()


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What was read of a remote file to find its blocks."""

    href: str
    size: int
    """Bytes of the whole file: another size is another file."""
    parts: tuple[tuple[int, bytes], ...]
    """Start and bytes of each range read."""

    def fetch(self, start: int, length: int) -> bytes:
        """A range that was read before; raises LookupError for any other."""
        for first, data in self.parts:
            if first <= start and (start + length <= first + len(data) or first + len(data) == self.size):
                return data[start - first : start - first + length]
        raise LookupError(f"bytes {start} to {start + length} of {self.href} were never read")


class CachedRaster:
    """The part of one remote raster that is on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def head(self) -> Head | None:
        """What was read to find the blocks; None when the raster is not in the cache. Counts as use."""
        try:
            data = (self._folder / _HEAD).read_bytes()
            os.utime(self._folder / _HEAD)
            return msgspec.msgpack.decode(data, type=Head)
        except (OSError, msgspec.DecodeError):
            return None

    def block(self, number: int) -> bytes | None:
        """A block as it lies in the file; None when it is not in the cache."""
        try:
            return (self._folder / str(number)).read_bytes()
        except OSError:
            return None

    def missing(self, numbers: Collection[int]) -> list[int]:
        """Those of some blocks that are not in the cache."""
        try:
            have = {entry.name for entry in os.scandir(self._folder)}
        except FileNotFoundError:
            have = set()
        return [number for number in numbers if str(number) not in have]

    def put_head(self, head: Head) -> None:
        """Remember how to find the blocks."""
        self._put(_HEAD, msgspec.msgpack.encode(head))

    def put_block(self, number: int, data: bytes) -> None:
        """Keep a block. Raises StoreError when the disk is full."""
        self._put(str(number), data)

    def discard(self) -> None:
        """Forget the raster."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _put(self, name: str, data: bytes) -> None:
        try:
            for _ in range(_EVICTED_MEANWHILE):
                with contextlib.suppress(FileNotFoundError):
                    self._write(name, data)
                    return
            self._write(name, data)
        except OSError as error:
            raise StoreError(
                f"the block cache in {self._folder.parents[1]} cannot be written: {error.strerror}",
                "free some disk, or point GEOCROP_HOME elsewhere",
            ) from None

    def _write(self, name: str, data: bytes) -> None:
        """The file appears whole; raises FileNotFoundError when the folder is evicted at this moment."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).replace(self._folder / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


class BlockCache:
    """All cached rasters of a machine."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        """Bytes on disk at most."""

    def raster(self, href: str, version: str) -> CachedRaster:
        """The place of a raster in the cache, whether it is there or not."""
        name = digest([href, version])
        return CachedRaster(self.folder / name[:2] / name)

    def used(self) -> int:
        """Bytes on disk."""
        return sum(size for _, size, _ in self._rasters())

    def make_room(self, needed: int, keep: Collection[CachedRaster] = ()) -> None:
        """Evict rasters, the longest unused first, until so many bytes fit; those to be kept are not touched."""
        kept = {raster._folder for raster in keep}
        with self._locked():
            rasters = sorted(self._rasters())
            used = sum(size for _, size, _ in rasters)
            for _, size, folder in rasters:
                if used + needed <= self.limit:
                    return
                if folder not in kept:
                    shutil.rmtree(folder, ignore_errors=True)
                    used -= size
                    _log.info("blocks.evicted", folder=folder.name, bytes=size)

    def _rasters(self) -> Iterator[tuple[float, int, Path]]:
        """When it was last used, bytes on disk and folder, of each raster."""
        for folder in self.folder.glob("??/*"):
            try:
                sizes = [entry.stat().st_blocks * 512 for entry in os.scandir(folder)]
                head = folder / _HEAD
                yield (head.stat().st_mtime if head.exists() else 0.0, sum(sizes), folder)
            except OSError:
                # Evicted by another process meanwhile.
                continue

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process evicts at a time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
