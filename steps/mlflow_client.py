"""The one module that imports MLflow: a connection to its server, whose failures become ours.

MLflow takes seconds to import, so that this is done only when a registry is spoken to. Artifacts go through the server
(`mlflow server --serve-artifacts`, its default): a client holds no secret of the object store behind it.
"""

import contextlib
import logging
import os
import re
import socket
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from steps.errors import GeoCropError, ModelError, StoreError, TryAgainError, UsageError
from steps.remote import proxy_of
from steps.settings import Settings

_QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
"""MLflow's own variables where the user set none; by itself it would try a server that is away for four minutes."""
_MISSING = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
_DENIED = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}
_REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE", *_MISSING}
_USERINFO = re.compile(r"(\w://)[^/\s@]*@")
_PORTS = {"http": 80, "https": 443}
_PROBE_SECONDS = 10.0
_BATCH = 100
"""Parameters or tags that MLflow takes at once; of metrics it takes more."""


def address(settings: Settings) -> str:
    """Where the registry is, without credentials."""
    if not settings.mlflow_uri:
        return str(_database(settings))
    parts = urlsplit(settings.mlflow_uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_unmade(settings: Settings) -> bool:
    """Whether it is this machine's and nothing was ever registered in it: there is no need to make it to say so."""
    return not settings.mlflow_uri and not _database(settings).exists()


def artifacts_root(settings: Settings) -> str | None:
    """Where the runs of a new experiment keep their files; None: as the server says."""
    return None if settings.mlflow_uri else (settings.home / "mlflow").as_uri()


@contextlib.contextmanager
def connect(settings: Settings) -> Iterator[Any]:
    """An `MlflowClient`. Within, MLflow's warnings are kept quiet, and its failures become ours.

    Raises TryAgainError when the server is away or fails, ModelError when it refuses what it is given, UsageError when
    it does not know us or its address is none.
    """
    uri = _uri(settings)
    _probe(uri, settings)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from mlflow import MlflowClient  # noqa: PLC0415 - takes seconds
        except ImportError as error:
            raise UsageError("MLflow is not installed", "install mlflow, or mlflow-skinny for a server") from error
        for name in ("alembic", "mlflow"):
            logging.getLogger(name).setLevel(logging.ERROR)
        with translated(settings):
            yield MlflowClient(registry_uri=uri, tracking_uri=uri)


@contextlib.contextmanager
def translated(settings: Settings) -> Iterator[None]:
    """Raises the failures of MLflow, and of what it stands on, as ours."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    try:
        yield
    except (MlflowException, RequestException) as error:
        raise _ours(error, settings) from error
    except Exception as error:
        if not type(error).__module__.startswith("sqlalchemy."):  # which mlflow-skinny does without
            raise
        raise _ours(error, settings) from error


def _uri(settings: Settings) -> str:
    """Raises UsageError when it is of another kind than we support."""
    if settings.mlflow_uri.startswith(("http://", "https://", "sqlite:///")):
        return settings.mlflow_uri
    if settings.mlflow_uri:
        raise UsageError(
            f"MLFLOW_TRACKING_URI leads to {address(settings)}", "give the http:// or https:// address of a server"
        )
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{settings.home} cannot be made: {error.strerror}", "set GEOCROP_HOME") from error
    return f"sqlite:///{_database(settings)}"


def _probe(uri: str, settings: Settings) -> None:
    """Raises TryAgainError when nothing listens at a server's address, before MLflow takes seconds to say so."""
    parts = urlsplit(uri)
    if parts.scheme not in _PORTS or not parts.hostname or proxy_of(uri):
        return
    try:
        with socket.create_connection((parts.hostname, parts.port or _PORTS[parts.scheme]), _PROBE_SECONDS):
            pass
    except OSError as error:
        raise _away(settings) from error


def _away(settings: Settings) -> TryAgainError:
    where = f"the model registry at {address(settings)}"
    return TryAgainError(f"{where} does not answer", "start it, or check MLFLOW_TRACKING_URI, then run again")


def _database(settings: Settings) -> Path:
    return settings.home / "mlflow.db"


def _ours(error: Exception, settings: Settings) -> GeoCropError:
    """MLflow's failure as ours: what it said, cut short and without credentials."""
    code = _code(error)
    where = f"the model registry at {address(settings)}"
    said = _USERINFO.sub(r"\1", " ".join(str(error).split()))[:300]
    if code in _DENIED:
        return UsageError(f"{where} lets us do nothing", "check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
    if code in _REFUSED:
        return ModelError(f"{where} refuses: {said}", "check the name and version: see `geocrop models`")
    if "Max retries exceeded" in said or "Connection" in said:
        return _away(settings)
    return TryAgainError(f"{where} fails: {said}", "see its log, or check MLFLOW_TRACKING_URI, then run again")


def _code(error: Exception) -> str:
    """MLflow's error code, also where the answer came without one."""
    status = getattr(getattr(error, "response", None), "status_code", 0)
    return {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}.get(status, str(getattr(error, "error_code", "")))


@contextlib.contextmanager
def absent_is_fine(*also: str) -> Iterator[None]:
    """Nothing happens when what is asked for does not exist; nor for the error codes given."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        yield
    except MlflowException as error:
        if error.error_code not in {*_MISSING, *also}:
            raise


def log_values(
    client: Any, run: str, params: Mapping[str, str], metrics: Mapping[str, float], milliseconds: int
) -> None:
    """Parameters and metrics of a run, in as few requests as MLflow takes."""
    from mlflow.entities import Metric, Param  # noqa: PLC0415

    pairs = [Param(name, value) for name, value in params.items()]
    numbers = [Metric(name, value, milliseconds, 0) for name, value in metrics.items()]
    for start in range(0, max(len(pairs), len(numbers)), _BATCH):
        stop = start + _BATCH
        client.log_batch(run, metrics=numbers[start:stop], params=pairs[start:stop])
