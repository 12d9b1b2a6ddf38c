"""The S3 store when it is refused, unanswered or interrupted."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from minio import Minio

from steps.errors import StoreError, UsageError
from steps.store import Store, open_store
from tests.s3_server import S3Server

ROOT = Path(__file__).parents[2]
WRONG = ({"s3_secret_key": "not-the-secret"}, {"s3_access_key": "nobody"})
METHODS: dict[str, Callable[[Store], object]] = {
    "put_bytes": lambda store: store.put_bytes("a", b"any"),
    "get_bytes": lambda store: store.get_bytes("a"),
    "exists": lambda store: store.exists("a"),
    "size": lambda store: store.size("a"),
    "list": lambda store: list(store.list("")),
    "delete": lambda store: store.delete("a"),
}


@pytest.fixture(params=METHODS.values(), ids=METHODS.keys())
def method(request: pytest.FixtureRequest) -> Callable[[Store], object]:
    """Each method of a store."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def url(s3: S3Server, tmp_path: Path) -> str:
    """A store of the test's own with one object, `a`."""
    url = f"s3://{s3.bucket}/{tmp_path.name}"
    open_store(url, s3.settings(tmp_path)).put_bytes("a", b"any")
    return url


@pytest.mark.parametrize(
    "wrong", [{"s3_secret_key": "not-the-secret"}, {"s3_access_key": "nobody"}], ids=lambda w: [*w]
)
def test_wrong_credentials_are_refused(
    s3: S3Server, url: str, tmp_path: Path, method: Callable[[Store], object], wrong: dict[str, str]
) -> None:
    """Neither a wrong secret nor an unknown key gets anything; trying again would not help; no secret is shown."""
    store = open_store(url, s3.settings(tmp_path, **wrong))
    with pytest.raises(UsageError, match="check GEOCROP_S3_ACCESS_KEY and GEOCROP_S3_SECRET_KEY") as caught:
        method(store)
    assert caught.value.exit_code == 2
    assert not any(secret in str(caught.value) for secret in ("not-the-secret", s3.secret_key))
    assert open_store(url, s3.settings(tmp_path)).get_bytes("a") == b"any"


def test_a_reader_may_only_read(s3: S3Server, url: str, tmp_path: Path) -> None:
    """An identity without the right to write is refused when it writes, and only then."""
    store = open_store(url, s3.settings(tmp_path, s3_access_key=s3.reader_key))
    assert store.get_bytes("a") == b"any"
    assert list(store.list("")) == ["a"]
    with pytest.raises(UsageError, match="what they may do in this bucket"):
        store.put_bytes("a", b"other")
    with pytest.raises(UsageError, match="what they may do in this bucket"):
        store.delete("a")


def test_settings_do_not_show_the_secret(s3: S3Server, tmp_path: Path) -> None:
    """The text of the settings and of the store leaves secrets out."""
    configured = s3.settings(tmp_path)
    store = open_store(f"s3://{s3.bucket}", configured)
    assert s3.secret_key not in f"{configured!r} {configured} {store!r} {vars(store)}"


def test_a_bucket_that_is_not_there(s3: S3Server, tmp_path: Path, method: Callable[[Store], object]) -> None:
    """A missing bucket is the user's to correct, whatever is asked first; it is named."""
    with pytest.raises(UsageError, match=r"s3://nowhere/at/all.*NoSuchBucket.*create the bucket"):
        method(open_store("s3://nowhere/at/all", s3.settings(tmp_path)))


@pytest.mark.parametrize("method", [METHODS["put_bytes"], METHODS["exists"]], ids=["put_bytes", "exists"])
def test_a_server_that_is_not_there(s3: S3Server, tmp_path: Path, method: Callable[[Store], object]) -> None:
    """Nobody listening is something that may pass: 75."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(StoreError, match="no answer from the S3 server") as caught:
            method(open_store("s3://maps/x", s3.settings(tmp_path, s3_endpoint=endpoint)))
    assert caught.value.exit_code == 75


def test_tls_where_there_is_none(s3: S3Server, tmp_path: Path) -> None:
    """Speaking TLS to a server that does not is a wrong setting, and said so."""
    with pytest.raises(UsageError, match="GEOCROP_S3_SECURE"):
        open_store("s3://maps/x", s3.settings(tmp_path, s3_secure=True)).exists("a")


@pytest.mark.parametrize(
    ("store", "changes", "said"),
    [
        ("s3://", {}, "names no bucket"),
        ("s3://maps", {"s3_endpoint": ""}, "set GEOCROP_S3_ENDPOINT"),
        ("s3://maps", {"s3_secret_key": ""}, "GEOCROP_S3_SECRET_KEY"),
        ("s3://maps", {"s3_endpoint": "http://127.0.0.1:1/path"}, "write host:port"),
        ("s3://maps/../other", {}, "is not an object key"),
    ],
)
def test_addresses_that_are_none(s3: S3Server, tmp_path: Path, store: str, changes: dict[str, str], said: str) -> None:
    """What can be seen without asking the server is said at once."""
    with pytest.raises(UsageError, match=said):
        open_store(store, s3.settings(tmp_path, **changes))


def test_a_bucket_name_that_is_none(s3: S3Server, tmp_path: Path) -> None:
    """A name that no bucket can have is the user's to correct."""
    for name in ("Not_A_Bucket", "x", "a..b"):
        with pytest.raises(UsageError, match=r"(?i)bucket ?name.*correct the store"):
            open_store(f"s3://{name}", s3.settings(tmp_path)).put_bytes("a", b"any")


class _Broken(BaseHTTPRequestHandler):
    """Answers as the server's `answer` says: a status, or half of a body."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        answer = self.server.answer  # type: ignore[attr-defined]
        self.send_response(200 if answer == "half" else answer)
        self.send_header("Content-Length", "1000" if answer == "half" else "0")
        self.send_header("Connection", "close")
        self.send_header("ETag", '"0"')
        self.end_headers()
        if answer == "half":
            self.wfile.write(b"x" * 500)
            self.close_connection = True

    do_HEAD = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that http.server asks for

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(params=["half", 429, 503])
def broken(request: pytest.FixtureRequest) -> Iterator[str]:
    """The endpoint of a server that fails in one way."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Broken) as server:
        server.answer = request.param  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_failing_server_is_tried_again_later(s3: S3Server, tmp_path: Path, broken: str) -> None:
    """Half a body, 429 and 503 are never taken for an object; later it may work: 75."""
    store = open_store("s3://maps/x", s3.settings(tmp_path, s3_endpoint=broken))
    with pytest.raises(StoreError) as caught:
        store.get_bytes("a")
    assert caught.value.exit_code == 75


def test_large_files_have_parts(s3: S3Server, url: str, tmp_path: Path) -> None:
    """More than 16 MB goes up in parts, whose number the server puts into the ETag."""
    (tmp_path / "large").write_bytes(bytes(40 * 2**20))
    open_store(url, s3.settings(tmp_path)).put_file("large", tmp_path / "large")
    client = Minio(
        endpoint=s3.endpoint, access_key=s3.access_key, secret_key=s3.secret_key, secure=False, region="us-east-1"
    )
    etag = client.stat_object(bucket_name=s3.bucket, object_name=f"{tmp_path.name}/large").etag
    client._http.clear()  # its connections would be closed by the garbage collector, with a warning
    assert str(etag).endswith("-3")


_UPLOAD = """
import pathlib, sys
from steps.settings import settings
from steps.store import open_store
store = open_store(sys.argv[1], settings())
print("ready", flush=True)
while True:
    store.put_file("large", pathlib.Path(sys.argv[2]))
"""


def test_a_killed_upload_leaves_nothing(s3: S3Server, url: str, tmp_path: Path) -> None:
    """`kill -9` amid uploads: the object is absent or whole, and the one that was there stays."""
    old, new = b"o" * 10, b"n" * (24 * 2**20)
    (tmp_path / "new").write_bytes(new)
    store = open_store(url, s3.settings(tmp_path))
    variables = {"ENDPOINT": s3.endpoint, "ACCESS_KEY": s3.access_key, "SECRET_KEY": s3.secret_key, "SECURE": "false"}
    environment = os.environ | {f"GEOCROP_S3_{name}": value for name, value in variables.items()}
    for delay in (0.02, 0.1, 0.25):
        store.put_bytes("large", old)
        command = [sys.executable, "-c", _UPLOAD, url, str(tmp_path / "new")]
        with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        assert store.get_bytes("large") in {old, new}
        assert set(store.list("")) == {"a", "large"}
