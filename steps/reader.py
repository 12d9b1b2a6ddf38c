"""Pixels of scenes, block by block: the `reader=` that stackstac builds its cubes with.

GeoTIFFs in deflate are read without GDAL: their blocks are found by `steps.tiff`, read or fetched as bytes, inflated by
ISA-L, then summed and cut in one compiled pass. Whatever else there is goes through rasterio, and the log says so.
Both are placed on the tile's grid by `steps.placement`.
"""

import functools
import itertools
import math
import threading
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import rasterio
import structlog
from isal import igzip_lib, isal_zlib
from rasterio.errors import RasterioError
from rasterio.windows import Window

from steps.block_cache import BlockCache, Head
from steps.errors import GeoCropError, ReadError, SceneError
from steps.kernels.blocks import copy_block, scale_values, shift_values
from steps.model.scene import SCL, Asset
from steps.placement import Lattice, Rect, place, reach
from steps.remote import RangeReader, is_web
from steps.scratch import Scratch
from steps.settings import Settings, settings
from steps.sources import ByteSource, LocalFile, RemoteFile
from steps.tiff import BrokenTiff, TiffLayout, UnsupportedTiff

_GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "CPL_VSIL_CURL_NON_CACHED": "/vsis3/:/vsigs/:/vsiaz/:/vsicurl/",
}
_PASSING = ("timed out", "timeout", "could not resolve", "connection", "response code: 429", "response code: 5")
"""What GDAL says of failures that may pass."""
_log = structlog.get_logger()
_InflateError = cast("type[Exception]", igzip_lib.IsalError)  # its stub has an instance


@dataclass(frozen=True, slots=True)
class Wanted:
    """One asset of one scene."""

    scene: str
    band: str
    asset: Asset

    def fault(self, what: str, remedy: str = "plan again, or leave the scene out") -> SceneError:
        """An error of this asset that stays."""
        text = f"{self.asset.href} of scene {self.scene} {what}"
        return SceneError(text, remedy, href=self.asset.href, scene=self.scene)

    def passing(self, what: str, remedy: str = "try again later") -> ReadError:
        """An error of this asset that may pass."""
        text = f"{self.asset.href} of scene {self.scene} {what}"
        return ReadError(text, remedy, href=self.asset.href, scene=self.scene)


@dataclass(frozen=True, slots=True)
class Supply:
    """What reading draws on; one per process will do."""

    cache: BlockCache
    ranges: RangeReader = field(default_factory=RangeReader)
    scratch: Scratch = field(default_factory=Scratch)
    heads: dict[str, Head] = field(default_factory=dict)

    def source(self, wanted: Wanted) -> ByteSource | None:
        """The asset's bytes; None where only GDAL can get at them. Raises OSError for a path that is none."""
        href = wanted.asset.href
        if is_web(href):
            return self.remote(wanted)
        if "://" in href.removeprefix("file://") or href.startswith("/vsi"):
            return None
        return LocalFile.of(href.removeprefix("file://"))

    def remote(self, wanted: Wanted) -> RemoteFile:
        """An asset on an HTTP server."""
        href = wanted.asset.href
        cached = self.cache.raster(href, wanted.asset.version)
        return RemoteFile(href, wanted.scene, self.ranges, cached, self.heads)


@dataclass(frozen=True, slots=True)
class Later:
    """Who will need a block again."""

    owner: Hashable
    target: Lattice
    """At the grid's own resolution."""


@dataclass(slots=True)
class Session:
    """Reads the assets of one cube; shared by its threads."""

    assets: Mapping[str, Wanted]
    """By the key that stackstac is given for an href."""
    supply: Supply
    later: tuple[Later, ...] = ()
    """Blocks that these need too are kept."""
    bytes_read: int = 0
    """Bytes of blocks, as they lie in their files."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __dask_tokenize__(self) -> int:
        """No two sessions are alike, and their assets need no hashing."""
        return id(self)

    @property
    def is_remote(self) -> bool:
        """Whether some asset has to be fetched from a server."""
        return any("://" in wanted.asset.href.removeprefix("file://") for wanted in self.assets.values())

    def reader(self, **facts: Any) -> "AssetReader":
        """What stackstac is given as `reader=`."""
        return AssetReader(session=self, **facts)

    def pixels(self, key: str, target: Lattice, resampling: str) -> np.ndarray:
        """An asset on a target (y, x): uint16 values of reflectance, or uint8 scene classes; 0 where there is none.

        Values are reflectance * 10000 after scale and offset, half to even, within 1 to 65534; nodata is tested on the
        file's own numbers, before. Raises SceneError for an asset that cannot be used, ReadError for what may pass.
        """
        wanted = self.assets[key]
        with damage(wanted):
            numbers, nodata = self._numbers(wanted, target, "nearest" if wanted.band == SCL else resampling)
        if wanted.band == SCL:
            return np.asarray(np.where(numbers == nodata, 0, numbers), np.uint8)
        return to_values(numbers, wanted.asset, nodata)

    def _numbers(self, wanted: Wanted, target: Lattice, resampling: str) -> tuple[np.ndarray, float]:
        """The file's numbers on the target, and which of them is nodata."""
        source = self.supply.source(wanted)
        if source is None:
            return self._by_gdal(wanted, wanted.asset.href, target, resampling)
        try:
            return self._by_blocks(wanted, source, target, resampling)
        except UnsupportedTiff as error:
            if not isinstance(source, LocalFile):
                raise
            _log.info("reader.fallback", href=wanted.asset.href, reason=str(error))
            return self._by_gdal(wanted, source.path, target, resampling)
        except (BrokenTiff, _InflateError):
            if not source.forget():
                raise
            return self._by_blocks(wanted, source, target, resampling)

    def _by_blocks(
        self, wanted: Wanted, source: ByteSource, target: Lattice, resampling: str
    ) -> tuple[np.ndarray, float]:
        layout = source.layout()
        lattice = checked(layout.lattice, wanted)
        nodata = _nodata(wanted.asset, layout.nodata)
        view = place(lattice, target, resampling)
        keepers = tuple((reach(lattice, each.target), each.owner) for each in self.later)
        reading = _Reading(source, layout, view.rect, nodata, keepers)
        pixels = reading.pixels(self.supply.scratch)
        self._count(reading.bytes_read)
        return view.fill(pixels, nodata), nodata

    def _by_gdal(self, wanted: Wanted, path: str, target: Lattice, resampling: str) -> tuple[np.ndarray, float]:
        try:
            with rasterio.Env(**_GDAL), rasterio.open(path, sharing=False) as raster:
                lattice = checked(_gdal_lattice(raster, wanted), wanted)
                view = place(lattice, target, resampling)
                nodata = _nodata(wanted.asset, raster.nodata)
                if view.rect.is_empty:
                    return view.fill(np.empty((0, 0), raster.dtypes[0]), nodata), nodata
                pixels = raster.read(1, window=_window(view.rect))
        except RasterioError as error:
            raise _gdal_error(wanted, error) from None
        self._count(pixels.nbytes)
        return view.fill(pixels, nodata), nodata

    def _count(self, size: int) -> None:
        with self._lock:
            self.bytes_read += size


@dataclass(slots=True)
class _Reading:
    """A rectangle of one raster, put together from its blocks."""

    source: ByteSource
    layout: TiffLayout
    rect: Rect
    nodata: float
    keepers: tuple[tuple[Rect, Hashable], ...]
    """Parts of the raster that will be needed again, the soonest first, and by whom."""
    bytes_read: int = 0

    def pixels(self, scratch: Scratch) -> np.ndarray:
        """The rectangle (y, x); raises BrokenTiff for damage."""
        out = np.empty(self.rect.shape, self.layout.dtype)
        absent = [number for number in self.layout.blocks(self.rect) if not self._is_known(number, out, scratch)]
        for number, stored in self.source.blocks(self.layout, absent) if absent else ():
            self.bytes_read += len(stored)
            data = inflate(self.layout, number, stored)
            self._place(number, data, 0, out)
            if (owner := self._owner(number)) is not None:
                scratch.put((*self.source.identity, number), data, owner)
        return out

    def _is_known(self, number: int, out: np.ndarray, scratch: Scratch) -> bool:
        """Places a block that holds nodata only, or was kept."""
        extent = self.layout.extent(number)
        part = extent.common(self.rect)
        if self.layout.counts[number] == 0:
            self._target(part, out)[:] = self.nodata
            return True
        key = (*self.source.identity, number)
        first, row_bytes = part.top - extent.top, self.layout.block[1] * self.layout.dtype.itemsize
        data = scratch.get(key, first * row_bytes, part.shape[0] * row_bytes)
        if data is None:
            return False
        self._place(number, data, first, out)
        owner = self._owner(number)
        scratch.drop(key) if owner is None else scratch.hand_on(key, owner)
        return True

    def _place(self, number: int, data: bytes, first: int, out: np.ndarray) -> None:
        """Copy what the rectangle needs of a block, of which the rows from `first` on are given."""
        extent = self.layout.extent(number)
        part = extent.common(self.rect)
        block = np.frombuffer(data, self.layout.dtype).reshape(-1, self.layout.block[1])
        top, left = part.top - extent.top - first, part.left - extent.left
        copy_block(block, self.layout.predictor == 2, top, left, self._target(part, out))

    def _target(self, part: Rect, out: np.ndarray) -> np.ndarray:
        rect = self.rect
        return out[part.top - rect.top : part.bottom - rect.top, part.left - rect.left : part.right - rect.left]

    def _owner(self, number: int) -> Hashable | None:
        extent = self.layout.extent(number)
        return next((owner for need, owner in self.keepers if not need.common(extent).is_empty), None)


class AssetReader:
    """What stackstac asks for pixels; see `stackstac.reader_protocol.Reader`. Cheap: the session holds all there is."""

    def __init__(self, *, url: str, spec: Any, resampling: Any, dtype: Any, session: Session, **_unused: Any) -> None:
        self._url, self._spec, self._resampling, self._dtype = url, spec, resampling, np.dtype(dtype)
        self._session = session

    def read(self, window: Window) -> np.ndarray:
        """A window (y, x) of the spec's grid."""
        res, (left, _, _, top) = self._spec.resolutions_xy[0], self._spec.bounds
        corner = left + window.col_off * res, top - window.row_off * res
        target = Lattice(self._spec.epsg, res, *corner, int(window.height), int(window.width))
        pixels = self._session.pixels(self._url, target, self._resampling.name)
        return np.asarray(pixels, self._dtype)

    def close(self) -> None:
        """Nothing is held open."""

    def __getstate__(self) -> dict[str, Any]:
        """Sessions hold locks and files; cubes are computed where they are planned."""
        raise TypeError("a reader stays in its process: compute the cube with threads")

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Never called, since nothing is pickled."""


@contextmanager
def damage(wanted: Wanted) -> Iterator[None]:
    """Translates what files and blocks raise into errors of the scene."""
    try:
        yield
    except UnsupportedTiff as error:
        raise wanted.fault(f"cannot be read over HTTP: {error}", "serve it as a deflated COG") from None
    except (BrokenTiff, _InflateError) as error:
        raise wanted.fault(f"is damaged: {error}") from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise wanted.fault(f"cannot be opened: {error.strerror}", "check path and permissions") from None
    except OSError as error:
        raise wanted.passing(f"cannot be read: {error}") from None


def inflate(layout: TiffLayout, number: int, data: bytes) -> bytes:
    """A block's pixels as bytes; raises BrokenTiff for one that is cut short."""
    if len(data) < layout.counts[number]:
        raise BrokenTiff(f"it ends inside block {number}")
    size = layout.block_bytes(number)
    plain = isal_zlib.decompress(data, bufsize=size) if layout.is_deflated else data
    if len(plain) < size:
        raise BrokenTiff(f"block {number} has {len(plain)} bytes of {size}")
    return plain[:size]


def to_values(numbers: np.ndarray, asset: Asset, nodata: float) -> np.ndarray:
    """Reflectance * 10000 as uint16 (y, x) of a file's numbers: 0 for nodata, else within 1 to 65534."""
    out = np.empty(numbers.shape, np.uint16)
    scale, offset = asset.scale * 1e4, asset.offset * 1e4
    if numbers.dtype.kind in "iu" and math.isclose(scale, 1) and math.isclose(offset, round(offset), abs_tol=1e-6):
        shift_values(numbers, np.int32(_exact(nodata)), np.int32(round(offset)), out)
    else:
        scale_values(numbers, np.float64(nodata), np.float64(scale), np.float64(offset), out)
    return out


def _exact(nodata: float) -> int:
    """A nodata value that integers can have; one that they cannot have marks nothing."""
    return int(nodata) if math.isfinite(nodata) and float(nodata).is_integer() else -(2**31)


def _nodata(asset: Asset, stated: float | None) -> float:
    """The item's word goes before the file's; 0 where neither says, as everywhere in Sentinel-2."""
    return next((value for value in (asset.nodata, stated) if value is not None), 0)


def checked(found: Lattice, wanted: Wanted) -> Lattice:
    """The file's pixels, as far as item and file agree on them; raises SceneError where they do not."""
    asset = wanted.asset
    if found.epsg and asset.epsg and found.epsg != asset.epsg:
        raise wanted.fault(f"is in EPSG:{found.epsg}, but its item says EPSG:{asset.epsg}")
    if not found.epsg and not asset.epsg:
        raise wanted.fault("names no CRS, nor does its item")
    if asset.shape and tuple(asset.shape) != found.shape:
        raise wanted.fault(f"has {found.shape} pixels, but its item says {tuple(asset.shape)}")
    if asset.transform:
        res, _, left, _, _, top = asset.transform
        if max(abs(res - found.res), abs(left - found.left), abs(top - found.top)) > 0.01 * found.res:
            where = f"{found.left:.2f} {found.top:.2f} with pixels of {found.res:g} m"
            raise wanted.fault(f"starts at {where}, but its item says {left:.2f} {top:.2f} with {res:g} m")
    return found._replace(epsg=found.epsg or asset.epsg or 0)


def _gdal_lattice(raster: Any, wanted: Wanted) -> Lattice:
    step = raster.transform
    if step.b or step.d or step.e >= 0 or not math.isclose(step.a, -step.e):
        raise wanted.fault("is not north-up with square pixels", "leave the scene out")
    epsg = raster.crs.to_epsg() if raster.crs else None
    return Lattice(epsg or 0, step.a, step.c, step.f, raster.height, raster.width)


def _window(rect: Rect) -> Window:
    return Window(rect.left, rect.top, rect.right - rect.left, rect.bottom - rect.top)


def _gdal_error(wanted: Wanted, error: RasterioError) -> GeoCropError:
    """GDAL only has words for what went wrong."""
    causes = itertools.takewhile(bool, _chain(error))
    words = "; ".join(str(cause) for cause in causes)
    if "://" in wanted.asset.href and any(sign in words.lower() for sign in _PASSING):
        return wanted.passing(f"cannot be read: {words}")
    return wanted.fault(f"cannot be read: {words}")


def _chain(error: BaseException | None) -> Iterator[BaseException | None]:
    while True:
        yield error
        error = error.__cause__ if error else None


def supply_of(settings: Settings) -> Supply:
    """What a process with these settings reads with."""
    return Supply(BlockCache(settings.home / "blocks", settings.cache_mb * 2**20))


@functools.cache
def process_supply() -> Supply:
    """The one of this process, by its environment."""
    return supply_of(settings())
