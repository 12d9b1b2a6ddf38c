"""What every test gets: a home of its own, and an environment that says nothing else."""

import os
from pathlib import Path

import pytest

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
