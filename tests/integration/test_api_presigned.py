"""Addresses of files in S3 open for users at the public host, for a while, and open nothing else."""

import datetime as dt
import uuid
from pathlib import Path

import httpx

from steps.s3 import presigned
from steps.store import open_store
from tests.s3_server import S3Server

HOUR = dt.timedelta(hours=1)


def test_a_file_is_opened_at_the_public_host(s3: S3Server, tmp_path: Path) -> None:
    """Whole and in parts, under the name that users reach, which is not the one that the API uses."""
    settings = s3.settings(tmp_path)
    url, key = f"s3://{s3.bucket}/{uuid.uuid4().hex}", "maps/any-job/map.tif"
    open_store(url, settings).put_bytes(key, b"0123456789")
    public = f"http://localhost:{s3.endpoint.rpartition(':')[2]}"
    address = presigned(url, key, settings, public, HOUR)
    assert address.startswith(f"{public}/")
    assert httpx.get(address, trust_env=False).content == b"0123456789"
    part = httpx.get(address, headers={"Range": "bytes=2-4"}, trust_env=False)
    assert (part.status_code, part.content) == (206, b"234")
    assert settings.s3_secret_key not in address


def test_an_address_is_the_same_while_it_holds(s3: S3Server, tmp_path: Path) -> None:
    """Signed as of the same time, so that a browser's cache knows it again; it opens until that time is over."""
    settings = s3.settings(tmp_path)
    url, key = f"s3://{s3.bucket}/{uuid.uuid4().hex}", "any.tif"
    open_store(url, settings).put_bytes(key, b"any")
    since = dt.datetime.now(dt.UTC).replace(microsecond=0) - HOUR / 2
    first, again = (presigned(url, key, settings, f"http://{s3.endpoint}", HOUR, since=since) for _ in range(2))
    assert first == again
    assert httpx.get(first, trust_env=False).status_code == 200
    over = presigned(url, key, settings, f"http://{s3.endpoint}", HOUR / 4, since=since)
    assert httpx.get(over, trust_env=False).status_code == 403


def test_a_signature_is_for_one_file_and_host(s3: S3Server, tmp_path: Path) -> None:
    """Another object, another host or another method is refused by the server."""
    settings = s3.settings(tmp_path)
    url = f"s3://{s3.bucket}/{uuid.uuid4().hex}"
    store = open_store(url, settings)
    for key in ("maps/a/map.tif", "maps/b/map.tif"):
        store.put_bytes(key, b"any")
    public = f"http://localhost:{s3.endpoint.rpartition(':')[2]}"
    address = presigned(url, "maps/a/map.tif", settings, public, HOUR)
    assert httpx.get(address.replace("/a/", "/b/"), trust_env=False).status_code == 403
    assert httpx.get(address.replace("localhost", "127.0.0.1"), trust_env=False).status_code == 403
    assert httpx.delete(address, trust_env=False).status_code == 403
    assert store.exists("maps/a/map.tif")
