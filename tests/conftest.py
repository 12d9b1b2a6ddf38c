"""What every test gets: a home of its own, and an environment that says nothing else."""

import logging
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from steps.registry import list_models
from steps.settings import Settings, settings

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
"""How long an example takes says more of what else the machine does than of the code."""
_FOR_TESTS = {"GEOCROP_BENCH", "GEOCROP_SHARED_DATA"}


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`GEOCROP_HOME`: nothing of the user's own is read or written."""
    for name in os.environ:
        if (name.startswith("GEOCROP_") and name not in _FOR_TESTS) or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("GEOCROP_HOME", str(folder))
    settings.cache_clear()
    return folder


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The one that the API runs on."""
    return "asyncio"


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """A test that configures the log, as every command does, does so for itself."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers = [handler for handler in handlers if handler in root.handlers]
    root.setLevel(level)


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a registry without models: making its tables takes seconds."""
    made = Settings(home=tmp_path_factory.mktemp("registry"))
    assert list_models(made) == []
    return made.home / "mlflow.db"


@pytest.fixture
def registry(home: Path, empty_registry: Path) -> Settings:
    """Settings with a registry of their own, in SQLite and a folder."""
    shutil.copy(empty_registry, home / "mlflow.db")
    return Settings(home=home)


@pytest.fixture
def free_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Of loopback; nothing listens there, and a registry there is asked once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
