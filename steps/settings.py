"""The environment, read once. Everything else receives a frozen `Settings`."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from steps.errors import UsageError


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine or pod is told about itself."""

    home: Path
    """Records, calibration, block cache and the local model registry."""
    s3_endpoint: str = ""
    """host:port of an S3 server; needed for s3:// stores."""
    s3_access_key: str = ""
    s3_secret_key: str = ""
    s3_secure: bool = True
    s3_region: str = "us-east-1"
    gdal_reads_s3: bool = False
    """The user has told GDAL how to read `s3://`, by a variable of its own; else it is given the store's keys."""
    mlflow_uri: str = ""
    """Tracking server; empty: SQLite under `home`."""
    workers: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Worker processes of the local engine; 0: as many as cores and memory allow."""
    worker_memory_mb: Annotated[int, msgspec.Meta(ge=1)] = 2000
    cache_mb: Annotated[int, msgspec.Meta(ge=0)] = 10_000
    """Bound of the block cache on disk."""
    log_format: Literal["", "console", "json"] = ""
    """Empty: JSON lines of steps, console lines of all other commands."""
    sources: str = ""
    """Hosts and `s3://bucket`s, by commas, that a workflow may read from; empty: everywhere, paths too."""
    max_aoi_km2: float = 1_000_000.0
    """Largest AOI that a workflow may ask for."""
    key: str = ""
    """The API key for `--server`."""
    progress_file: str = ""
    """Where Argo looks for a pod's progress."""

    @property
    def allowed_sources(self) -> tuple[str, ...]:
        """The single ones of `sources`."""
        return tuple(filter(None, (one.strip() for one in self.sources.split(","))))

    def __repr__(self) -> str:
        return f"Settings(home={self.home}, s3_endpoint={self.s3_endpoint!r})"


_VARIABLES = {
    "GEOCROP_S3_ENDPOINT": "s3_endpoint",
    "GEOCROP_S3_ACCESS_KEY": "s3_access_key",
    "GEOCROP_S3_SECRET_KEY": "s3_secret_key",
    "GEOCROP_S3_SECURE": "s3_secure",
    "GEOCROP_S3_REGION": "s3_region",
    "MLFLOW_TRACKING_URI": "mlflow_uri",
    "GEOCROP_WORKERS": "workers",
    "GEOCROP_WORKER_MEMORY_MB": "worker_memory_mb",
    "GEOCROP_CACHE_MB": "cache_mb",
    "GEOCROP_LOG_FORMAT": "log_format",
    "GEOCROP_SOURCES": "sources",
    "GEOCROP_MAX_AOI_KM2": "max_aoi_km2",
    "GEOCROP_KEY": "key",
    "ARGO_PROGRESS_FILE": "progress_file",
}
_ELSEWHERE = {"GEOCROP_HOME", "GEOCROP_BENCH", "GEOCROP_SHARED_DATA"}
"""Read below, by `task bench` and by the tests."""
_OF_GDAL = ("AWS_ACCESS_KEY_ID", "AWS_NO_SIGN_REQUEST", "AWS_PROFILE")
_OF_THE_API = "GEOCROP_API_"
"""Read, and checked, by the API."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from variables; raises UsageError on a GEOCROP_ variable that is unknown or malformed."""
    known = {*_VARIABLES, *_ELSEWHERE}
    ours = (name for name in environ if name.startswith("GEOCROP_") and not name.startswith(_OF_THE_API))
    if unknown := sorted(name for name in ours if name not in known):
        raise UsageError(f"unknown variable {unknown[0]}", f"known are {', '.join(sorted(known))}")
    default_home = Path(environ.get("HOME", "/tmp")) / ".local/share/geocrop"  # noqa: S108 - a pod may have no HOME
    values: dict[str, object] = {"home": str(Path(environ.get("GEOCROP_HOME") or default_home).absolute())}
    values |= {field: environ[name] for name, field in _VARIABLES.items() if environ.get(name)}
    values["gdal_reads_s3"] = any(environ.get(name) for name in _OF_GDAL)
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=lambda _type, text: Path(text))
    except msgspec.ValidationError as error:
        raise UsageError(f"the environment does not fit: {_named(error)}", "see docs/reference/settings.md") from None


def _named(error: msgspec.ValidationError) -> str:
    """The error, with the variable in place of our field."""
    said = str(error)
    for name, field in _VARIABLES.items():
        said = said.replace(f"`$.{field}`", name)
    return said


@functools.cache
def settings() -> Settings:
    """The settings of this process."""
    return read_settings(os.environ)
