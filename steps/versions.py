"""Versions of what makes pixels, without importing any of it."""

import functools
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PIXEL_VERSION = 1
"""Raise it with every change of ours that changes a pixel."""
_PIXEL_PACKAGES = ("rasterio", "pyproj", "numpy", "numba", "llvmlite", "xgboost-cpu", "xgboost")
"""rasterio's wheel carries its GDAL, so its version stands for both."""


@functools.cache
def pixel_version() -> str:
    """Part of every tile's key. The CPU is not in it: same bytes are promised within one family only."""
    found = [f"{name}={_version(name)}" for name in _PIXEL_PACKAGES if _version(name)]
    return ";".join([f"geocrop-pixels={PIXEL_VERSION}", *found])


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


def _commit(git: Path) -> str:
    """The checked-out commit, read from git's files; empty where there is none."""
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        ref = git / head.removeprefix("ref: ")
        return ref.read_text().strip() if ref.exists() else _packed(git, head.removeprefix("ref: "))
    except OSError:
        return ""


def _packed(git: Path, name: str) -> str:
    lines = (line.split() for line in (git / "packed-refs").read_text().splitlines())
    return next((parts[0] for parts in lines if len(parts) == 2 and parts[1] == name), "")
