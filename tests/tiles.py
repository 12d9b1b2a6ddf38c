"""A server of tiles in this process, and the addresses that it is told."""

from pathlib import Path

from starlette.testclient import TestClient

from api.hrefs import Hrefs
from steps.settings import Settings
from steps.store import open_store
from tiler.app import make_tiler

SECRET = "any-secret"  # noqa: S105 - signs addresses of made maps


def any_hrefs(url: str = "any-folder", shared: Settings | None = None) -> Hrefs:
    """Of a tiler at `https://tiles` over the store at a URL."""
    return Hrefs(
        store_url=url,
        tiler_url="https://tiles/",
        tiler_secret=SECRET,
        s3_public_url="",
        hours=12,
        shared=shared or Settings(home=Path("any")),
    )


def tiler_of(url: str, shared: Settings) -> TestClient:
    """A server over the store at a URL; what goes wrong in it is an answer."""
    return TestClient(make_tiler(open_store(url, shared), any_hrefs(url, shared)), raise_server_exceptions=False)
