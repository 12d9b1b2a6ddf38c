"""Sampling and assessing maps that lie on S3, or behind a web server."""

import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from steps.cli import main
from steps.settings import settings
from steps.store import Store, open_store
from steps.validation import Design, design_path
from tests.published_map import any_map, copy_map, publish_map
from tests.range_server import serving
from tests.s3_server import S3Server


@pytest.fixture
def item(tmp_path: Path) -> Path:
    """The item of a published map in a folder."""
    return publish_map(tmp_path / "store", any_map())


@pytest.fixture
def bucket(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store on S3 that the environment leads to."""
    for name, value in (("ENDPOINT", s3.endpoint), ("ACCESS_KEY", s3.access_key), ("SECRET_KEY", s3.secret_key)):
        monkeypatch.setenv(f"GEOCROP_S3_{name}", value)
    monkeypatch.setenv("GEOCROP_S3_SECURE", "false")
    settings.cache_clear()
    return f"s3://{s3.bucket}/{tmp_path.name}"


def label(points: Path) -> None:
    """Label every point of a CSV with what the map says."""
    design = msgspec.json.decode(design_path(points).read_bytes(), type=Design)
    lines = [f"{unit.id},{unit.code}\n" for unit in design.units]
    points.write_text("id,reference\n" + "".join(lines), encoding="utf-8")


def check_files(store: Store, folder: str) -> set[str]:
    """Each asset beside the item is what the item says; their names."""
    item = json.loads(store.get_bytes(f"{folder}/item.json"))
    for asset in item["assets"].values():
        content = store.get_bytes(f"{folder}/{asset['href'].removeprefix('./')}")
        assert asset["file:checksum"] == f"1220{hashlib.sha256(content).hexdigest()}"
    return set(item["assets"])


def test_a_map_on_s3_is_assessed_there(item: Path, bucket: str, tmp_path: Path) -> None:
    """The sample is drawn from the bucket, and the assessment is written to it."""
    store = open_store(bucket, settings())
    copy_map(item, store)
    folder = f"maps/{item.parent.name}"
    points = tmp_path / "points.csv"
    address = f"{bucket}/{folder}/item.json"
    assert main(["sample-design", address, "--out", str(points), "--standard-error", "0.05"]) == 0
    label(points)
    assert main(["assess", address, "--sample", str(points)]) == 0
    assert {"assessment", "assessment-csv", "report", "map"} == check_files(store, folder)


def test_a_map_on_the_web_is_sampled(item: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sample is the one that the folder gives; an assessment cannot be written there, which is said."""
    near, far = tmp_path / "near.csv", tmp_path / "far.csv"
    options = ["--standard-error", "0.05"]
    assert main(["sample-design", str(item), "--out", str(near), *options]) == 0
    with serving(item.parent) as server:
        address = f"{server.url}/item.json"
        assert main(["sample-design", address, "--out", str(far), *options]) == 0
        assert far.read_bytes() == near.read_bytes()
        assert design_path(far).read_bytes() == design_path(near).read_bytes()
        label(far)
        capsys.readouterr()
        assert main(["assess", address, "--sample", str(far)]) == 2
    assert "nothing can be written beside" in capsys.readouterr().err


def test_a_map_on_the_web_that_is_not_there_is_bad_data(
    item: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the map, and no sample is begun."""
    with serving(item.parent) as server:
        server.faults["map.tif"] = ["404"]
        assert main(["sample-design", f"{server.url}/item.json", "--out", str(tmp_path / "points.csv")]) == 65
    assert "/map.tif does not exist" in capsys.readouterr().err
    assert not list(tmp_path.glob("points*"))
