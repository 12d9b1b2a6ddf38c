"""The notebook of the docs, run as a reader would, against a real bucket."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steps.landscape import Landscape, make_landscape
from steps.registry import list_models
from steps.settings import Settings
from steps.store import open_store
from tests.s3_server import S3Server

NOTEBOOK = Path(__file__).parents[2] / "docs/notebooks/train-and-register.ipynb"


def put_dataset(land: Landscape, url: str, settings: Settings) -> None:
    """Its catalog, labels and legend, as a bucket of data sets has them."""
    store = open_store(url, settings)
    root = land.catalog.parent
    for path in [land.catalog, *sorted(one for one in (root / land.collection).rglob("*") if one.is_file())]:
        store.put_file(f"catalog/{path.relative_to(root).as_posix()}", path)
    store.put_file("labels.geojson", land.labels)
    store.put_file("legend.csv", land.legend)


def run_notebook(folder: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Execute a copy in a folder; its cells with what they said."""
    copy, out = folder / NOTEBOOK.name, folder / "done.ipynb"
    shutil.copy(NOTEBOOK, copy)
    command = [Path(sys.executable).with_name("jupyter-execute"), copy.name, "--output=done.ipynb"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cells: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))["cells"]
    return cells


def said(cells: list[dict[str, Any]]) -> Iterator[str]:
    """Texts that its cells printed or showed."""
    for cell in cells:
        for output in cell.get("outputs", []):
            yield "".join(output.get("text", []))
            for content in output.get("data", {}).values():
                yield "".join(content)


def test_the_notebook_leads_from_a_bucket_to_a_registered_model(
    tmp_path: Path, s3: S3Server, registry: Settings
) -> None:
    """Every cell runs; there is a champion with a spatial score, a card, a score on new parcels, and a pin."""
    land = make_landscape(tmp_path / "land", size_px=192, dates=4, years=())
    url = f"s3://{s3.bucket}/datasets/landscape"
    put_dataset(land, url, s3.settings(tmp_path))
    environment = {
        "GEOCROP_HOME": str(registry.home),
        "GEOCROP_S3_ENDPOINT": s3.endpoint,
        "GEOCROP_S3_ACCESS_KEY": s3.access_key,
        "GEOCROP_S3_SECRET_KEY": s3.secret_key,
        "GEOCROP_S3_SECURE": "false",
        "DATASET": url,
        "SEASON": str(land.season),
    }
    text = "\n".join(said(run_notebook(tmp_path, environment)))
    (model,) = list_models(registry)
    assert (model.name, model.version, model.aliases) == ("crops", "1", ("champion",))
    assert "held out" in model.split
    assert model.balanced is not None
    assert "# Model crops" in text
    assert "<svg" in text
    assert "labels that it was not trained on" in text
    assert f'"digest": "{model.digest}"' in text
    assert s3.secret_key not in text


def test_the_notebook_is_committed_without_what_it_said() -> None:
    """Outputs of one machine are no documentation, and change with every run."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
