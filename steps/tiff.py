"""Where the blocks of a GeoTIFF lie in its bytes. Pure: bytes in, numbers out.

Enough of TIFF 6.0, BigTIFF and GeoTIFF 1.1 to read one band of a plain or cloud-optimised GeoTIFF block by block. What
is not understood is refused with `UnsupportedTiff`, and left to GDAL.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from steps.placement import Lattice, Rect

Fetch = Callable[[int, int], bytes]
"""Bytes of the file from a start, as many as asked for or fewer at its end."""
HEAD = 16_384
"""Bytes read first; the whole directory of most COGs is in them."""

_TYPES = {1: "B", 2: "c", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_WIDTH, _LENGTH, _BITS, _COMPRESSION = 256, 257, 258, 259
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS = 273, 277, 278, 279
_PREDICTOR, _TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS, _FORMAT = 317, 322, 323, 324, 325, 339
_PIXEL_SCALE, _TIE_POINT, _MATRIX, _GEO_KEYS, _NODATA = 33550, 33922, 34264, 34735, 42113
_PROJECTED_CRS, _RASTER_TYPE, _PIXEL_IS_POINT, _USER_DEFINED = 3072, 1025, 2, 32767
_NONE, _ADOBE_DEFLATE, _DEFLATE = 1, 8, 32946
_DTYPES = {(8, 1): np.uint8, (16, 1): np.uint16, (16, 2): np.int16}
_MAX_ENTRIES = 50_000_000
_MAX_BLOCK = 64 * 2**20
"""Pixels."""
_SLACK = 65_536
"""Bytes: what does not deflate grows a little."""


class UnsupportedTiff(Exception):  # noqa: N818 - not a failure: another reader takes over
    """A file that this module does not understand, and why."""


class BrokenTiff(Exception):  # noqa: N818 - translated where it leaves the reader
    """A file that is damaged or cut short."""


@dataclass(frozen=True, slots=True, eq=False)
class TiffLayout:
    """One band of a TIFF: its pixels and where its blocks lie."""

    lattice: Lattice
    """`epsg` is 0 where the file does not name its CRS by code."""
    dtype: np.dtype[Any]
    nodata: float | None
    block: tuple[int, int]
    """Rows, columns of a block."""
    offsets: np.ndarray
    """Start of each block in the file, row by row; 0 for one that holds nodata only."""
    counts: np.ndarray
    """Bytes of each block."""
    is_deflated: bool
    """Whether blocks are zlib streams; else they are plain."""
    predictor: int
    """1 none, 2 differences along rows."""

    @property
    def across(self) -> int:
        """Blocks per row of blocks."""
        return -(-self.lattice.cols // self.block[1])

    def blocks(self, rect: Rect) -> list[int]:
        """Numbers of the blocks that hold a part of a rectangle."""
        if rect.is_empty:
            return []
        high, wide = self.block
        rows = range(rect.top // high, (rect.bottom - 1) // high + 1)
        cols = range(rect.left // wide, (rect.right - 1) // wide + 1)
        return [row * self.across + col for row in rows for col in cols]

    def extent(self, number: int) -> Rect:
        """Rows and columns of a block; at the edges it may reach out of the raster."""
        row, col = divmod(number, self.across)
        high, wide = self.block
        return Rect(row * high, (row + 1) * high, col * wide, (col + 1) * wide)

    def block_bytes(self, number: int) -> int:
        """Bytes of a block when inflated; the last strip of a file may be short."""
        return self.rows_stored(number) * self.block[1] * self.dtype.itemsize

    def rows_stored(self, number: int) -> int:
        """Tiles are stored whole; the last strip ends with the raster."""
        if self.block[1] != self.lattice.cols:
            return self.block[0]
        return min(self.block[0], self.lattice.rows - number // self.across * self.block[0])


def read_layout(fetch: Fetch) -> TiffLayout:
    """The layout of the first image of a file; raises UnsupportedTiff or BrokenTiff."""
    try:
        return _layout(_Directory(_Buffered(fetch)))
    except (struct.error, LookupError, ArithmeticError, ValueError, TypeError) as error:
        raise BrokenTiff(f"its TIFF directory is damaged or cut short ({error})") from None


class _Buffered:
    """The first bytes once, others when asked for."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch, self._head = fetch, fetch(0, HEAD)

    def read(self, start: int, length: int) -> bytes:
        """Exactly the bytes asked for; raises BrokenTiff where the file ends before."""
        data = self._head[start : start + length] if start + length <= len(self._head) else self._fetch(start, length)
        if len(data) < length:
            raise BrokenTiff(f"it ends before byte {start + length}")
        return data


class _Directory:
    """The tags of the first image."""

    def __init__(self, file: _Buffered) -> None:
        self._file = file
        order = file.read(0, 2)
        if order not in (b"II", b"MM"):
            raise UnsupportedTiff("it is no TIFF")
        self._order = "<" if order == b"II" else ">"
        (magic,) = self._unpack("H", file.read(2, 2))
        if magic not in (42, 43):
            raise UnsupportedTiff("it is no TIFF")
        self._big = magic == 43
        self._entries = self._read_entries()

    @property
    def is_little(self) -> bool:
        return self._order == "<"

    def numbers(self, tag: int, default: tuple[float, ...] = ()) -> tuple[Any, ...]:
        """A tag's values; raises BrokenTiff when it is absent and there is no default."""
        if tag not in self._entries and default:
            return default
        code, count, data = self._values(tag)
        return self._unpack(f"{count}{code}", data)

    def array(self, tag: int) -> np.ndarray:
        """A long tag's values as int64."""
        code, _, data = self._values(tag)
        return np.frombuffer(data, np.dtype(code).newbyteorder("<" if self.is_little else ">")).astype(np.int64)

    def text(self, tag: int) -> str:
        """A text tag; empty when absent."""
        return self._values(tag)[2].rstrip(b"\0 ").decode("ascii", "replace") if tag in self._entries else ""

    def has(self, tag: int) -> bool:
        return tag in self._entries

    def _unpack(self, code: str, data: bytes) -> tuple[Any, ...]:
        return struct.unpack(self._order + code, data)

    def _read_entries(self) -> dict[int, tuple[int, int, bytes]]:
        (start,) = self._unpack("Q", self._file.read(8, 8)) if self._big else self._unpack("I", self._file.read(4, 4))
        head, size, code = (8, 20, "HHQ8s") if self._big else (2, 12, "HHI4s")
        (count,) = self._unpack("Q" if self._big else "H", self._file.read(start, head))
        if count > 4096:
            raise BrokenTiff(f"its TIFF directory has {count} tags")
        body = self._file.read(start + head, count * size)
        entries = (self._unpack(code, body[at : at + size]) for at in range(0, len(body), size))
        return {tag: (kind, length, value) for tag, kind, length, value in entries}

    def _values(self, tag: int) -> tuple[str, int, bytes]:
        """Code, count and bytes of a tag's values."""
        if tag not in self._entries:
            raise BrokenTiff(f"it lacks TIFF tag {tag}")
        kind, count, inline = self._entries[tag]
        if kind not in _TYPES or count > _MAX_ENTRIES:
            raise BrokenTiff(f"TIFF tag {tag} has type {kind} and {count} values")
        size = struct.calcsize(_TYPES[kind]) * count
        if size <= len(inline):
            return _TYPES[kind], count, inline[:size]
        (start,) = self._unpack("Q" if self._big else "I", inline)
        return _TYPES[kind], count, self._file.read(start, size)


def _layout(tags: _Directory) -> TiffLayout:
    rows, cols = int(tags.numbers(_LENGTH)[0]), int(tags.numbers(_WIDTH)[0])
    tiled = tags.has(_TILE_WIDTH)
    block = (tags.numbers(_TILE_LENGTH)[0], tags.numbers(_TILE_WIDTH)[0]) if tiled else (_strip_rows(tags, rows), cols)
    if min(rows, cols, *block) < 1 or block[0] * block[1] > _MAX_BLOCK:
        raise BrokenTiff(f"it has {rows} x {cols} pixels in blocks of {block[0]} x {block[1]}")
    layout = TiffLayout(
        lattice=Lattice(_epsg(tags), *_corner(tags), rows, cols),
        dtype=_dtype(tags),
        nodata=_nodata(tags),
        block=block,
        offsets=tags.array(_TILE_OFFSETS if tiled else _STRIP_OFFSETS),
        counts=tags.array(_TILE_COUNTS if tiled else _STRIP_COUNTS),
        is_deflated=_is_deflated(tags),
        predictor=_predictor(tags),
    )
    expected = layout.across * -(-rows // block[0])
    if len(layout.offsets) < expected or len(layout.counts) < expected:
        raise BrokenTiff(f"it lists {len(layout.offsets)} blocks of {expected}")
    largest = _SLACK + 2 * layout.block_bytes(0)
    if min(layout.offsets.min(), layout.counts.min()) < 0 or layout.counts.max() > largest:
        raise BrokenTiff("it lists blocks that no file can have")
    return layout


def _strip_rows(tags: _Directory, rows: int) -> int:
    return min(int(tags.numbers(_ROWS_PER_STRIP, (rows,))[0]), rows)


def _dtype(tags: _Directory) -> np.dtype[Any]:
    bits, form = tags.numbers(_BITS, (1,)), tags.numbers(_FORMAT, (1,))
    if tags.numbers(_SAMPLES, (1,))[0] != 1 or (bits[0], form[0]) not in _DTYPES or not tags.is_little:
        raise UnsupportedTiff("it has several bands, another byte order or another type than 8 or 16 bit integers")
    return np.dtype(_DTYPES[bits[0], form[0]])


def _is_deflated(tags: _Directory) -> bool:
    (code,) = tags.numbers(_COMPRESSION, (_NONE,))
    if code not in (_NONE, _ADOBE_DEFLATE, _DEFLATE):
        raise UnsupportedTiff(f"its TIFF compression is {code}")
    return bool(code != _NONE)


def _predictor(tags: _Directory) -> int:
    (code,) = tags.numbers(_PREDICTOR, (1,))
    if code not in (1, 2):
        raise UnsupportedTiff(f"its TIFF predictor is {code}")
    return int(code) if _is_deflated(tags) else 1


def _nodata(tags: _Directory) -> float | None:
    try:
        return float(tags.text(_NODATA))
    except ValueError:
        return None


def _corner(tags: _Directory) -> tuple[float, float, float]:
    """Metres per pixel, left and top of a north-up raster with square pixels."""
    if not tags.has(_PIXEL_SCALE) or not tags.has(_TIE_POINT) or tags.has(_MATRIX):
        raise UnsupportedTiff("its georeferencing is not a pixel size and a corner")
    (width, height, *_), (col, row, _, x, y, *_) = tags.numbers(_PIXEL_SCALE), tags.numbers(_TIE_POINT)
    if not np.isfinite([width, height, col, row, x, y]).all():
        raise BrokenTiff("its georeferencing is not of numbers")
    if width <= 0 or abs(width - height) > 1e-9 * width:
        raise UnsupportedTiff(f"its pixels are {width} x {height}")
    half = 0.5 if _geo_key(tags, _RASTER_TYPE) == _PIXEL_IS_POINT else 0.0
    return width, x - (col + half) * width, y + (row + half) * height


def _epsg(tags: _Directory) -> int:
    code = _geo_key(tags, _PROJECTED_CRS)
    return code if 0 < code < _USER_DEFINED else 0


def _geo_key(tags: _Directory, key: int) -> int:
    """A short GeoKey's value; 0 when absent."""
    numbers = tags.numbers(_GEO_KEYS, (1, 1, 0, 0))
    keys = (numbers[at : at + 4] for at in range(4, len(numbers) - 3, 4))
    return next((int(value) for name, place, _, value in keys if name == key and place == 0), 0)
