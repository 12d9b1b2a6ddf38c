"""What a workflow may read, and how much of it."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.errors import DataError, UsageError
from steps.references import check_allowed, fetch_file
from steps.settings import Settings


class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/small.json")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Quiet."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that has read enough hangs up."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A server of some files."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web/small.json").write_text('{"a": 1}', encoding="utf-8")
    (tmp_path / "web/large.bin").write_bytes(bytes(2_000_000))
    handler = functools.partial(_Handler, directory=str(tmp_path / "web"))
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def place(home: Path, sources: str = "") -> Settings:
    return Settings(home=home, sources=sources)


@pytest.mark.parametrize(
    ("reference", "sources", "allowed"),
    [
        ("https://a.example/x", "a.example", True),
        ("https://A.example:8443/x", "a.example", True),
        ("https://a.example.evil/x", "a.example", False),
        ("https://a.example@evil/x", "a.example", False),
        ("https://evil/a.example", "a.example, b.example", False),
        ("s3://bucket/key", "s3://bucket", True),
        ("s3://bucket-of-others/key", "s3://bucket", False),
        ("/etc/passwd", "a.example", False),
        ("file:///etc/passwd", "a.example", False),
        ("ftp://a.example/x", "a.example", False),
        ("/data/x", "", True),
    ],
)
def test_only_what_is_listed_may_be_read(tmp_path: Path, reference: str, sources: str, allowed: bool) -> None:
    """By host and by bucket, whatever else an address looks like; with no list, everything."""
    if allowed:
        check_allowed(reference, place(tmp_path, sources))
    else:
        with pytest.raises(UsageError, match="nothing may be read"):
            check_allowed(reference, place(tmp_path, sources))


def test_a_file_of_the_web_is_fetched(web: str, tmp_path: Path) -> None:
    """Under its own name, its query left out."""
    found = fetch_file(f"{web}/small.json?any=1", tmp_path / "to", place(tmp_path))
    assert (found.name, found.read_text(encoding="utf-8")) == ("small.json", '{"a": 1}')


def test_a_large_file_is_refused(web: str, tmp_path: Path) -> None:
    """A file over the limit is bad data, and is not written."""
    with pytest.raises(DataError, match="1 MB"):
        fetch_file(f"{web}/large.bin", tmp_path / "to", place(tmp_path), limit=1_000_000)
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize(("path", "said"), [("moved", "302"), ("absent", "404")])
def test_what_is_elsewhere_is_not_followed(web: str, tmp_path: Path, path: str, said: str) -> None:
    """A redirect could lead past the list."""
    with pytest.raises(UsageError, match=said):
        fetch_file(f"{web}/{path}", tmp_path, place(tmp_path))


def test_a_path_is_itself_where_paths_are_allowed(tmp_path: Path) -> None:
    """On a laptop nothing is copied."""
    assert fetch_file("/data/aoi.geojson", tmp_path, place(tmp_path)) == Path("/data/aoi.geojson")
