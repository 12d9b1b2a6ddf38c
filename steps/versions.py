"""Versions of what makes pixels, without importing any of it.

"Same bytes" is promised for the same pixel version on the same family of CPU. In the pixel version are the libraries
that compute or resample pixels, the very GDAL and PROJ that rasterio's wheel carries, and the machine's architecture:
x86-64 and ARM contract multiplications and additions differently. Which SIMD units a CPU has beyond its family's common
ones is not in it; NumPy chooses among them at run time, and may round the last bit of an `exp` differently. Neither are
libraries that only label, schedule, inflate or encode: what they do is exact.
"""

import functools
import platform
import re
import zlib
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

PIXEL_VERSION = 2
"""Raise it with every change of ours that changes a pixel."""
_PIXEL_PACKAGES = ("rasterio", "pyproj", "stackstac", "numpy", "numba", "llvmlite", "xgboost-cpu", "xgboost")
_BUNDLED = re.compile(r"(?:^|/)(lib(?:gdal|proj)[-.][^/]*)$")


@functools.cache
def pixel_version() -> str:
    """Part of every tile's key: NAME=VERSION, separated by semicolons."""
    found = [f"{name}={_version(name)}" for name in _PIXEL_PACKAGES if _version(name)]
    return ";".join([f"geocrop-pixels={PIXEL_VERSION}", *found, *_bundled("rasterio"), f"cpu={platform.machine()}"])


def encoder_versions() -> dict[str, str]:
    """What decides, besides pixels, the bytes of a published raster: another zlib packs the same pixels otherwise."""
    return {"zlib": zlib.ZLIB_RUNTIME_VERSION}


@functools.cache
def code_version() -> str:
    """The package's version, with the commit when run from a checkout."""
    commit = _commit(Path(__file__).parents[1] / ".git")
    return f"{_version('geocrop') or '0'}+{commit[:12]}" if commit else _version("geocrop") or "0"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _bundled(package: str) -> list[str]:
    """Names of the GDAL and PROJ libraries in a wheel, which hold a digest of their content; none in other builds."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return []
    return sorted({match[1] for file in files if (match := _BUNDLED.search(str(file)))})


def _commit(git: Path) -> str:
    """The checked-out commit, read from git's files; empty where there is none."""
    try:
        git = _git_folder(git)
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        shared = git / (git / "commondir").read_text(encoding="utf-8").strip() if (git / "commondir").exists() else git
        ref = shared / name
        return ref.read_text(encoding="utf-8").strip() if ref.exists() else _packed(shared, name)
    except (OSError, UnicodeDecodeError):
        return ""


def _git_folder(git: Path) -> Path:
    """`.git`, or where the file `.git` of a further work tree points."""
    if not git.is_file():
        return git
    return git.parent / git.read_text(encoding="utf-8").strip().removeprefix("gitdir: ")


def _packed(git: Path, name: str) -> str:
    lines = (line.split() for line in (git / "packed-refs").read_text(encoding="utf-8").splitlines())
    return next((parts[0] for parts in lines if len(parts) == 2 and parts[1] == name), "")
