"""Where the bytes of blocks come from: a file on disk, or a server with the block cache before it."""

import functools
import os
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from steps.block_cache import CachedRaster, Head
from steps.errors import ReadError
from steps.remote import Piece, RangeReader
from steps.tiff import BrokenTiff, TiffLayout, UnsupportedTiff, read_layout

_GAP = 65_536
"""Bytes between two blocks that are rather fetched too than asked for around."""
_KEPT_LAYOUTS = 4096
_KEPT_HEADS = 1600
"""Of 16 kB or so: the assets of the longest season."""


class ByteSource(Protocol):
    """The bytes of a file."""

    @property
    def identity(self) -> tuple[str, ...]:
        """Changes when the content does."""
        ...

    def layout(self) -> TiffLayout:
        """Where its blocks lie; raises UnsupportedTiff or BrokenTiff."""
        ...

    def blocks(self, layout: TiffLayout, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Blocks as they lie in the file, in any order."""
        ...

    def forget(self) -> bool:
        """Drop what is cached, after damage; whether reading again can give anything else."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on disk."""

    path: str
    identity: tuple[str, ...]

    @classmethod
    def of(cls, path: str) -> "LocalFile":
        """Raises OSError when it is not there."""
        facts = Path(path).stat()
        return cls(path, (path, str(facts.st_mtime_ns), str(facts.st_size)))

    def layout(self) -> TiffLayout:
        """See `ByteSource`."""
        return _local_layout(self)

    def blocks(self, layout: TiffLayout, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """See `ByteSource`."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            for number in numbers:
                yield number, os.pread(handle, int(layout.counts[number]), int(layout.offsets[number]))
        finally:
            os.close(handle)

    def forget(self) -> bool:
        """See `ByteSource`."""
        return False


@functools.lru_cache(maxsize=_KEPT_LAYOUTS)
def _local_layout(file: LocalFile) -> TiffLayout:
    handle = os.open(file.path, os.O_RDONLY)
    try:
        return read_layout(lambda start, length: os.pread(handle, length, start))
    finally:
        os.close(handle)


@dataclass(slots=True)
class RemoteFile:
    """A file on an HTTP server, some of it perhaps in the block cache."""

    href: str
    scene: str
    ranges: RangeReader
    cached: CachedRaster
    known: MutableMapping[str, Head] = field(default_factory=dict)
    """Heads read before by this process, by href."""

    @property
    def head(self) -> Head | None:
        """What is known of where the blocks lie."""
        return self.known.get(self.href)

    @property
    def identity(self) -> tuple[str, ...]:
        """See `ByteSource`."""
        return (self.href, str(self.head.size) if self.head else "")

    def layout(self) -> TiffLayout:
        """See `ByteSource`."""
        head = self.head or self.cached.head()
        if head is None:
            return self._fetch_layout()
        try:
            layout = read_layout(head.fetch)
        except (LookupError, UnsupportedTiff, BrokenTiff):
            self.forget()
            return self._fetch_layout()
        self.known[self.href] = head
        return layout

    def blocks(self, layout: TiffLayout, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """See `ByteSource`. Neighbouring blocks come in one request."""
        absent = []
        for number in numbers:
            data = self.cached.block(number)
            if data is None or len(data) != layout.counts[number]:
                absent.append(number)
            else:
                yield number, data
        for run in _runs(layout, absent):
            start, end = _span(layout, run[0])[0], max(_span(layout, number)[1] for number in run)
            data = self._fetch(start, end - start).data
            for number in run:
                first, last = _span(layout, number)
                yield number, data[first - start : last - start]

    def forget(self) -> bool:
        """See `ByteSource`."""
        was_cached = self.cached.head() is not None
        self.cached.discard()
        self.known.pop(self.href, None)
        return was_cached

    def _fetch_layout(self) -> TiffLayout:
        parts: list[tuple[int, bytes]] = []
        size = 0

        def fetch(start: int, length: int) -> bytes:
            nonlocal size
            piece = self._fetch(start, length)
            size = piece.size
            parts.append((start, piece.data))
            return piece.data

        layout = read_layout(fetch)
        while len(self.known) >= _KEPT_HEADS:
            self.known.pop(next(iter(self.known)), None)
        self.known[self.href] = Head(self.href, size, tuple(parts))
        return layout

    def _fetch(self, start: int, length: int) -> Piece:
        piece = self.ranges.read(self.href, start, length, scene=self.scene)
        if self.head is not None and piece.size != self.head.size:
            self.forget()
            raise ReadError(f"{self.href} changed on its server", "try again", href=self.href, scene=self.scene)
        return piece


def _span(layout: TiffLayout, number: int) -> tuple[int, int]:
    start = int(layout.offsets[number])
    return start, start + int(layout.counts[number])


def _runs(layout: TiffLayout, numbers: Sequence[int]) -> Iterator[list[int]]:
    """Blocks in the order of the file, those close together as one run."""
    run: list[int] = []
    for number in sorted(numbers, key=lambda number: int(layout.offsets[number])):
        if run and _span(layout, number)[0] - _span(layout, run[-1])[1] > _GAP:
            yield run
            run = []
        run.append(number)
    if run:
        yield run
