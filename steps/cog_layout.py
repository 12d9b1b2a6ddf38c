"""The bytes of a cloud-optimised GeoTIFF around tiles that are already compressed. Pure.

As GDAL's COG driver lays a file out (https://gdal.org/en/stable/drivers/raster/cog.html): header, GDAL's structural
metadata, the directories from the full size to the smallest overview, then tiles from the smallest overview to the full
size. Every tile stands between its length and its last four bytes, so that GDAL can read it with one request.
TIFF 6.0; BigTIFF where 4 GiB do not suffice.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

Tag = tuple[int, int, bytes]
"""TIFF type, number of values, their bytes."""

_STRUCTURE = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
_GHOST = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_STRUCTURE) + _STRUCTURE
_MARGIN = 4
"""Bytes of a tile's length before it, and of its repeated end after it."""
_SHORT, _LONG, _LONG8 = 3, 4, 16
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 12: 8, 16: 8}
_SUBFILE, _WIDTH, _LENGTH, _OFFSETS, _COUNTS = 254, 256, 257, 324, 325
_OF_THE_FILE = (33550, 33922, 34264, 34735, 34736, 34737, 42112)
"""Georeferencing and GDAL's metadata: not repeated in overviews."""


@dataclass(frozen=True, slots=True)
class Level:
    """The full size, or an overview."""

    width: int
    height: int
    counts: Sequence[int]
    """Bytes of each compressed tile, row by row."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How numbers are stored, in a classic TIFF or a BigTIFF."""

    magic: bytes
    count: str
    place: str
    offset: int
    """TIFF type of a place in the file."""

    @property
    def room(self) -> int:
        """Bytes of values that fit into an entry."""
        return struct.calcsize(self.place)


_CLASSIC = _Form(b"II*\0", "<H", "<I", _LONG)
_BIG = _Form(b"II+\0\x08\0\0\0", "<Q", "<Q", _LONG8)


def framed(tile: bytes) -> bytes:
    """A compressed tile as it stands in the file: length, tile, last four bytes again."""
    return struct.pack("<I", len(tile)) + tile + tile[-_MARGIN:]


def read_tags(data: bytes) -> dict[int, Tag]:
    """The tags of the first directory of a classic little-endian TIFF."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    return dict(_read_entry(data, start + 2 + 12 * number) for number in range(count))


def _read_entry(data: bytes, at: int) -> tuple[int, Tag]:
    tag, kind, count = struct.unpack_from("<HHI", data, at)
    size = _WIDTHS[kind] * count
    place = at + 8 if size <= 4 else struct.unpack_from("<I", data, at + 8)[0]
    return tag, (kind, count, data[place : place + size])


def file_head(levels: Sequence[Level], tags: Mapping[int, Tag]) -> bytes:
    """All bytes before the first tile, for levels from the full size to the smallest.

    `tags` are those of the full size but for its width, height and tiles; they tell bands, type, compression, colours
    and place. After the head follow the framed tiles, of the smallest level first.
    """
    sizes = [sum(level.counts) + 2 * _MARGIN * len(level.counts) for level in levels]
    form = _CLASSIC if _head_bytes(levels, tags, _CLASSIC) + sum(sizes) < 2**32 else _BIG
    starts = list(accumulate(reversed(sizes), initial=_head_bytes(levels, tags, form)))[-2::-1]
    return _pack_head(levels, tags, form, starts)


def _head_bytes(levels: Sequence[Level], tags: Mapping[int, Tag], form: _Form) -> int:
    """The head's length, which does not depend on where tiles begin."""
    blank = [Level(level.width, level.height, [0] * len(level.counts)) for level in levels]
    return len(_pack_head(blank, tags, form, [0] * len(levels)))


def _pack_head(levels: Sequence[Level], tags: Mapping[int, Tag], form: _Form, starts: Sequence[int]) -> bytes:
    """The head of a file whose levels' tiles begin at these places."""
    first = len(form.magic) + form.room + len(_GHOST)
    first += first % 2
    head = form.magic + struct.pack(form.place, first) + _GHOST
    for number, (level, start) in enumerate(zip(levels, starts, strict=True)):
        head += b"\0" * (len(head) % 2)
        entries = _entries(level, tags, form, start, is_overview=number > 0)
        head += _pack_directory(entries, len(head), form, is_last=number == len(levels) - 1)
    return head


def _entries(level: Level, tags: Mapping[int, Tag], form: _Form, start: int, *, is_overview: bool) -> dict[int, Tag]:
    kept = {tag: value for tag, value in tags.items() if not (is_overview and tag in _OF_THE_FILE)}
    count = len(level.counts)
    steps = accumulate((size + 2 * _MARGIN for size in level.counts[:-1]), initial=start + _MARGIN)
    places = struct.pack(f"<{count}{form.place[1]}", *steps)
    return {
        **kept,
        **({_SUBFILE: (_LONG, 1, struct.pack("<I", 1))} if is_overview else {}),
        _WIDTH: (_LONG, 1, struct.pack("<I", level.width)),
        _LENGTH: (_LONG, 1, struct.pack("<I", level.height)),
        _OFFSETS: (form.offset, count, places),
        _COUNTS: (_LONG, count, struct.pack(f"<{count}I", *level.counts)),
    }


def _pack_directory(entries: Mapping[int, Tag], at: int, form: _Form, *, is_last: bool) -> bytes:
    """A directory that stands at a place, followed by the values that do not fit into its entries."""
    table = struct.pack(form.count, len(entries))
    body_at = at + len(table) + len(entries) * (4 + 2 * form.room) + form.room
    body = b""
    for tag, (kind, count, data) in sorted(entries.items()):
        value = data if len(data) <= form.room else struct.pack(form.place, body_at + len(body))
        table += struct.pack("<HH", tag, kind) + struct.pack(form.place, count) + value.ljust(form.room, b"\0")
        if len(data) > form.room:
            body += data + b"\0" * (len(data) % 2)
    following = body_at + len(body)
    return table + struct.pack(form.place, 0 if is_last else following) + body
