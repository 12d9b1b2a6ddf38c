"""Bytes of files on HTTP servers: ranges, bounded retries, and errors that say whether trying again can help.

The one adapter of urllib3 for pixels. GDAL's `/vsicurl` is not used: it hides the status of a failure, ignores
`Retry-After`, and remembers failures.
"""

import functools
import random
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import structlog
import urllib3
from urllib3.exceptions import HTTPError

from steps.errors import ReadError, SceneError

_GONE = {401: "needs a login", 403: "gives no permission", 404: "does not exist", 410: "is gone"}
_TIMEOUT = urllib3.Timeout(connect=15.0, read=60.0)
_POOL = 16
_WHOLE_MAX = 64 * 2**20
"""Bytes of the largest file that is read from a server that knows no ranges."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request is tried again, and how long after."""

    tries: int = 5
    first_s: float = 0.5
    """Doubled each time, give or take half."""
    longest_s: float = 60.0
    """Also of what a server may ask for by `Retry-After`."""

    def pause(self, failed: int, asked: float | None) -> float:
        """Seconds to wait after so many failures."""
        wait = self.first_s * 2.0 ** (failed - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        return float(min(max(wait, asked or 0.0), self.longest_s))


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of a file."""

    data: bytes
    """Shorter than asked for where the file ends."""
    size: int
    """Bytes of the whole file."""


class _Busy(Exception):  # noqa: N818 - never leaves this module
    """A failure that may pass."""

    def __init__(self, what: str, after_s: float | None = None) -> None:
        super().__init__(what)
        self.after_s = after_s


def _signed(href: str) -> str:
    from steps.scenes import sign  # noqa: PLC0415 - brings the STAC clients, which most reading does without

    return sign(href)


@dataclass(frozen=True, slots=True)
class RangeReader:
    """Reads ranges of remote files; safe to share between threads."""

    retries: Retries = Retries()
    sign: Callable[[str], str] = _signed
    """Turns an href into one that can be opened now."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set it to end all waiting."""

    def read(self, href: str, start: int, length: int, *, scene: str = "") -> Piece:
        """Some bytes of a file; fewer at its end.

        Raises SceneError for what stays as it is (not there, not allowed), ReadError for what may pass, after trying
        again. Both carry the unsigned href.
        """
        for failed in range(1, self.retries.tries + 1):
            try:
                return self._once(href, start, length, scene)
            except (_Busy, HTTPError, OSError) as error:
                last = error
            if failed < self.retries.tries:
                pause = self.retries.pause(failed, getattr(last, "after_s", None))
                _log.info("read.retry", href=href, scene=scene, error=_words(last), pause_s=round(pause, 2))
                if self.stop.wait(pause):
                    break
        raise ReadError(
            f"{unsigned(href)} could not be read in {failed} tries: {_words(last)}",
            "check the network, or try again later",
            href=unsigned(href),
            scene=scene,
        )

    def _once(self, href: str, start: int, length: int, scene: str) -> Piece:
        url = self.sign(href)
        headers = {"Range": f"bytes={start}-{start + length - 1}", "Accept-Encoding": "identity"}
        answer = _pool_for(url).request(
            "GET", url, headers=headers, preload_content=False, retries=False, timeout=_TIMEOUT, redirect=True
        )
        try:
            return _piece(answer, start, length, unsigned(href), scene)
        finally:
            answer.close()


def is_web(href: str) -> bool:
    """Whether it is the address of something on a web server."""
    return href.startswith(("http://", "https://"))


def unsigned(href: str) -> str:
    """An href as it may be shown and stored: without query and credentials."""
    parts = urlsplit(href)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _piece(answer: urllib3.BaseHTTPResponse, start: int, length: int, href: str, scene: str) -> Piece:
    status = answer.status
    if status == 206:
        return _part(answer, start, length)
    if status == 200:
        return _cut(answer, start, length, href, scene)
    if status == 416:
        return Piece(b"", _total(answer.headers.get("Content-Range", "")))
    if status in _GONE:
        raise SceneError(
            f"{href} {_GONE[status]} (HTTP {status})", "plan again, or leave the scene out", href=href, scene=scene
        )
    if status in (408, 425, 429) or status >= 500:
        raise _Busy(f"HTTP {status}", _seconds(answer.headers.get("Retry-After", "")))
    raise SceneError(f"{href} was answered with HTTP {status}", "check the href", href=href, scene=scene)


def _part(answer: urllib3.BaseHTTPResponse, start: int, length: int) -> Piece:
    where = answer.headers.get("Content-Range", "")
    size = _total(where)
    if not where.replace("bytes ", "").startswith(f"{start}-"):
        raise _Busy(f"asked for bytes from {start}, got {where!r}")
    data = answer.read()
    if len(data) != min(length, size - start):
        raise _Busy(f"the answer ended after {len(data)} bytes of {min(length, size - start)}")
    return Piece(data, size)


def _cut(answer: urllib3.BaseHTTPResponse, start: int, length: int, href: str, scene: str) -> Piece:
    """A part of the whole file, from a server that ignores ranges."""
    size = int(answer.headers.get("Content-Length") or 0)
    if not 0 < size <= _WHOLE_MAX:
        what = f"{href} comes from a server that knows no byte ranges"
        raise SceneError(what, "serve it with Range support", href=href, scene=scene)
    data = answer.read()
    if len(data) != size:
        raise _Busy(f"the answer ended after {len(data)} bytes of {size}")
    return Piece(data[start : start + length], size)


def _total(content_range: str) -> int:
    """The size of the file, by a Content-Range header such as `bytes 0-99/1234`."""
    total = content_range.rpartition("/")[2]
    if not total.isdecimal():
        raise _Busy(f"Content-Range {content_range!r} does not tell the file's size")
    return int(total)


def _seconds(retry_after: str) -> float | None:
    """Seconds that a server asks for, given as such or as a date."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _words(error: BaseException) -> str:
    """The error without the URL, which may be signed."""
    return str(error) if isinstance(error, _Busy) else type(error).__name__


@functools.cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(num_pools=8, maxsize=_POOL, ssl_context=_ssl())


@functools.cache
def _proxy(address: str) -> urllib3.ProxyManager:
    return urllib3.ProxyManager(address, num_pools=8, maxsize=_POOL, ssl_context=_ssl())


def _ssl() -> ssl.SSLContext:
    """The system's certificates, and certifi's where the system has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _pool_for(url: str) -> urllib3.PoolManager:
    proxy = proxy_of(url)
    return _proxy(proxy) if proxy else _pool()


def proxy_of(url: str) -> str:
    """The environment's proxy for an address, which is honoured as other clients do; empty: none."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme, "")
    return proxy if proxy and not proxy_bypass(parts.hostname or "") else ""
