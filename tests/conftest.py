"""What every test gets: a home of its own, and an environment that says nothing else."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from steps.settings import settings

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
