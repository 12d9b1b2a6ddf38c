"""The page's files as the API serves them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from litestar.testing import AsyncTestClient

from api.app import make_app
from api.context import make_context
from api.settings import ApiSettings
from steps.settings import Settings

pytestmark = pytest.mark.anyio
SCRIPT = "console.log('any');\n" * 200


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncTestClient]:
    """A page of two files."""
    page = tmp_path / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<p>any page</p>")
    (page / "assets/index-1a2b.js").write_text(SCRIPT)
    context = make_context(ApiSettings(auth="off"), Settings(home=tmp_path))
    async with AsyncTestClient(make_app(context, page, reconcile=False)) as one:
        yield one


async def test_built_files_are_kept_for_ever(client):
    """Their content is in their names."""
    answer = await client.get("/assets/index-1a2b.js")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.text == SCRIPT


async def test_the_page_itself_is_asked_for_anew(client):
    """So that a new version is seen at once."""
    answer = await client.get("/")
    assert answer.text == "<p>any page</p>"
    assert answer.headers["cache-control"] == "no-cache"


async def test_scripts_are_sent_compressed(client):
    """To browsers that say that they can read it."""
    answer = await client.get("/assets/index-1a2b.js", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
