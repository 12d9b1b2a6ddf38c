"""Rasters in the store, as baselines are, read by GDAL with the keys of the store."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from steps import layers
from steps.errors import DataError
from steps.layers import pin_raster, read_window
from steps.settings import read_settings
from steps.store import open_store
from tests.s3_server import S3Server
from tests.tiles import tiler_of

EPSG, TRANSFORM = 32736, (10.0, 0.0, 300_000.0, 0.0, -10.0, 8_030_000.0)  # of UTM; as rasterio orders them


@pytest.fixture
def href(s3: S3Server, tmp_path: Path) -> str:
    """A raster of ones in the bucket."""
    path = tmp_path / "any.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=16, height=16, count=1, dtype="uint8", crs=EPSG, transform=Affine(*TRANSFORM)
    ) as target:
        target.write(np.ones((1, 16, 16), np.uint8))
    store = open_store(f"s3://{s3.bucket}/{tmp_path.name}", s3.settings(tmp_path))
    store.put_bytes("any.tif", path.read_bytes())
    return store.href("any.tif")


def test_a_raster_in_the_store_is_pinned_and_read(
    s3: S3Server, href: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the keys of the store; they are gone again afterwards."""
    monkeypatch.setattr(layers, "settings", lambda: s3.settings(tmp_path))
    ref = pin_raster(href)
    assert ref.href == href
    assert read_window(ref, EPSG, TRANSFORM, (16, 16)).sum() == 16 * 16
    with rasterio.Env() as env:
        assert "AWS_ACCESS_KEY_ID" not in env.options


def test_wrong_keys_open_nothing_and_are_not_told(
    s3: S3Server, href: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the raster."""
    wrong = {"s3_secret_key": "not-the-secret"}
    monkeypatch.setattr(layers, "settings", lambda: s3.settings(tmp_path, **wrong))
    with pytest.raises(DataError, match=href) as caught:
        pin_raster(href)
    assert "not-the-secret" not in str(caught.value)


def test_what_the_user_told_gdal_is_left_alone(s3: S3Server, href: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment is for S3 elsewhere."""
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    found = read_settings(s3.environ | {"AWS_NO_SIGN_REQUEST": "YES"})
    monkeypatch.setattr(layers, "settings", lambda: found)
    monkeypatch.setenv("AWS_S3_ENDPOINT", "127.0.0.1:9")
    monkeypatch.setenv("AWS_HTTPS", "NO")
    with pytest.raises(DataError, match=href):
        pin_raster(href)


def test_tiles_are_not_said_to_be_missing_where_the_store_refuses(s3: S3Server, tmp_path: Path) -> None:
    """As in the first minute of an installation: try again, not "there is no such object"."""
    shared = s3.settings(tmp_path, s3_secret_key="not-the-secret")  # noqa: S106 - on purpose
    with tiler_of(f"s3://{s3.bucket}", shared) as client:
        answer = client.get("/baselines.json")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "refuses" in answer.json()["detail"]
