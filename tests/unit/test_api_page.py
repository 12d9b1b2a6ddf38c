"""The page's files as the API serves them."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from litestar.testing import AsyncTestClient

from api.app import make_app
from api.context import make_context
from api.settings import ApiSettings
from steps.settings import Settings

pytestmark = pytest.mark.anyio
NGINX = Path(__file__).parents[2] / "infra/images/web/nginx.conf"
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


async def test_the_page_has_the_same_security_headers_from_a_web_server(client):
    """Those of nginx in the image of the page, once start.sh has put the hosts of tiles and maps into them."""
    answer = await client.get("/")
    pairs = re.findall(r'add_header (\S+) (?:"([^"]*)"|([^";]+?))(?: always)?;', NGINX.read_text(encoding="utf-8"))
    given = {name: quoted or bare for name, quoted, bare in pairs}
    policy = given["Content-Security-Policy"].replace("@hosts@", ApiSettings().tiler_url)
    assert {part.strip() for part in policy.split(";")} == {
        part.strip() for part in answer.headers["content-security-policy"].split(";")
    }
    for name in ("X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy", "Permissions-Policy"):
        assert given[name] == answer.headers[name]
