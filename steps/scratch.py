"""Inflated blocks that will be needed again: by the tile's next strip, or by the next tile of the batch.

Blocks do not align with tiles or strips, and inflating them is most of the work of reading. They are kept in a
temporary file rather than in memory: the system's page cache makes reading them back a copy, and the worker's own
memory stays bounded. The file has no name, so nothing is left behind however the process ends.
"""

import os
import tempfile
import threading
import weakref
from collections.abc import Hashable, Sequence
from typing import IO

import structlog

LIMIT = 2 * 2**30
"""Bytes kept per process at most; what does not fit is inflated again."""
_SHARE_OF_DISK = 4
_log = structlog.get_logger()


class Scratch:
    """A bounded store of blocks by key, each held for one owner; safe between threads.

    Reading and writing hold the lock: a place that is read is never given to another block meanwhile.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._file: IO[bytes] | None = None
        self._places: dict[Hashable, tuple[int, int]] = {}
        self._owner: dict[Hashable, Hashable] = {}
        self._held: dict[Hashable, dict[Hashable, None]] = {}
        self._free: dict[int, list[int]] = {}
        self._end = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def serve(self, owners: Sequence[Hashable]) -> None:
        """Hold blocks for these only, the soonest first; when room is short, the last go without."""
        with self._lock:
            served: dict[Hashable, dict[Hashable, None]] = {owner: self._held.get(owner, {}) for owner in owners}
            for owner in self._held.keys() - served.keys():
                for key in list(self._held[owner]):
                    self._drop(key)
            self._held = served

    def put(self, key: Hashable, data: bytes, owner: Hashable) -> None:
        """Keep a block for one of the owners served; does nothing when there is no room."""
        with self._lock:
            if owner in self._held and key not in self._places:
                place = self._make_place(len(data), owner)
                if place is not None and self._write(place, data):
                    self._places[key] = (place, len(data))
                    self._owner[key] = owner
                    self._held[owner][key] = None

    def hand_on(self, key: Hashable, owner: Hashable) -> None:
        """Keep a block, if it is kept, for another of the owners served."""
        with self._lock:
            if owner in self._held and key in self._places:
                self._held[self._owner[key]].pop(key)
                self._owner[key] = owner
                self._held[owner][key] = None

    def get(self, key: Hashable, start: int = 0, length: int | None = None) -> bytes | None:
        """A block or some bytes of it; None when it is not kept."""
        with self._lock:
            place = self._places.get(key)
            if place is None or self._file is None:
                return None
            length = place[1] - start if length is None else length
            return os.pread(self._file.fileno(), length, place[0] + start)

    def drop(self, key: Hashable) -> None:
        """Forget a block, if it is kept."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        place = self._places.pop(key, None)
        if place is None:
            return
        self._held[self._owner.pop(key)].pop(key)
        self._free.setdefault(place[1], []).append(place[0])
        if not self._places:
            # A fresh start: blocks of another size may come next.
            self._free, self._end = {}, 0

    def _make_place(self, size: int, owner: Hashable) -> int | None:
        """Where so many bytes may be written; blocks held for later owners make way."""
        place = self._allocate(size)
        for later in reversed(self._held):
            while place is None and later != owner and self._held[later]:
                self._drop(next(reversed(self._held[later])))
                place = self._allocate(size)
            if place is not None or later == owner:
                break
        return place

    def _allocate(self, size: int) -> int | None:
        """Sizes are few: blocks of one collection are alike."""
        if self._file is None:
            self._open()
        if self._free.get(size):
            return self._free[size].pop()
        if self._end + size > self._limit:
            return None
        self._end += size
        return self._end - size

    def _open(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="geocrop-blocks-", buffering=0)  # noqa: SIM115 - as long as the process
        weakref.finalize(self, self._file.close)
        disk = os.fstatvfs(self._file.fileno())
        self._limit = min(self._limit, disk.f_bavail * disk.f_frsize // _SHARE_OF_DISK)

    def _write(self, place: int, data: bytes) -> bool:
        """False when the disk is full: then blocks are inflated again, which only takes longer."""
        try:
            return self._file is not None and os.pwrite(self._file.fileno(), data, place) == len(data)
        except OSError as error:
            self._limit = 0
            _log.warning("scratch.full", error=str(error))
            return False
