"""Bearer tokens and sign-in, by a provider that answers over HTTP and rotates its keys."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from api.database.access import list_sign_ins
from api.oidc import Oidc
from tests.api_server import ANY_ORDER, ApiServer, api_server
from tests.oidc_provider import CLIENT, CLIENT_SECRET, Provider, oidc_provider

pytestmark = pytest.mark.anyio


@pytest.fixture
def provider() -> Iterator[Provider]:
    with oidc_provider() as one:
        yield one


@pytest.fixture
async def server(tmp_path: Path, provider: Provider) -> AsyncIterator[ApiServer]:
    settings: dict[str, Any] = {
        "auth": "on", "oidc_issuer": provider.url, "oidc_client_id": CLIENT, "oidc_client_secret": CLIENT_SECRET,
        "oidc_admins": "root-1 boss@any.example", "public_url": "http://testserver.local",
    }  # fmt: skip
    async with api_server(tmp_path, **settings) as one:
        yield one


async def _asked(server: ApiServer, token: str, path: str = "/jobs") -> Any:
    return await server.client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})


def _later(server: ApiServer, seconds: float = 10) -> None:
    """As if the keys had been asked for so long ago."""
    assert isinstance(server.context.oidc, Oidc)
    server.context.oidc._asked -= seconds


async def test_a_token_of_the_provider(server: ApiServer, provider: Provider) -> None:
    """Its owner is the provider's own id of them; administrators are named by id, or by an address that is verified."""
    for claims, owner, admin in (
        ({}, "oidc:ann-1", False),
        ({"sub": "root-1"}, "oidc:root-1", True),
        ({"sub": "b", "email": "boss@any.example", "email_verified": True}, "oidc:b", True),
        ({"sub": "c", "email": "boss@any.example", "email_verified": False}, "oidc:c", False),
    ):
        seen = (await _asked(server, provider.token("one", **claims), "/auth/session")).json()
        assert (seen["owner"], "admin" in seen["scopes"], seen["method"]) == (owner, admin, "token")


@pytest.mark.parametrize(
    "claims",
    [{"aud": "other"}, {"iss": "https://evil.example"}, {"exp": 1}, {"exp": None}, {"sub": None}, {"aud": None}],
)
async def test_a_token_that_does_not_hold(server: ApiServer, provider: Provider, claims: dict[str, Any]) -> None:
    """For another client, of another issuer, too old, or without what it must say: 401."""
    assert (await _asked(server, provider.token("one", **claims))).status_code == 401


async def test_forged_tokens(server: ApiServer, provider: Provider) -> None:
    """Unsigned, signed with the public key as a secret, or by a key that the provider does not publish: 401."""
    claims = jwt.decode(provider.token("one"), options={"verify_signature": False})
    unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": "one"})
    secret = jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": "one"})
    provider.rotate("hidden")
    hidden = provider.token("hidden")
    provider.published = {"one"}
    for token in (unsigned, secret, hidden, f"{provider.token('one')}x"):
        assert (await _asked(server, token)).status_code == 401


async def test_a_rotated_key(server: ApiServer, provider: Provider) -> None:
    """A new key is known at once, without a restart; tokens of the old one end when it is no longer published."""
    old = provider.token("one")
    assert (await _asked(server, old)).status_code == 200
    _later(server)
    provider.rotate("two")
    assert (await _asked(server, provider.token("two"))).status_code == 200
    assert (await _asked(server, old)).status_code == 401


async def test_forged_key_ids_do_not_ask_the_provider_each_time(server: ApiServer, provider: Provider) -> None:
    """A flood of them is not passed on."""
    provider.rotate("hidden")
    token = provider.token("hidden")
    provider.published = {"one"}
    for _ in range(10):
        assert (await _asked(server, token)).status_code == 401
    assert provider.asked.count("/keys") <= 2


async def test_while_the_provider_is_away(tmp_path: Path, free_port: int) -> None:
    """503 with Retry-After: a token may hold, we cannot know. Keys go on to work."""
    issuer = f"http://127.0.0.1:{free_port}"
    async with api_server(tmp_path, auth="on", oidc_issuer=issuer, oidc_client_id=CLIENT) as server:
        token = jwt.encode({"sub": "a"}, "x" * 32, algorithm="HS256", headers={"kid": "one"})
        answer = await _asked(server, token)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert (await server.client.get("/api/v1/auth/login")).status_code == 503


async def _begun(server: ApiServer, back: str = "/?job=any") -> dict[str, str]:
    """What the browser is sent to the provider with."""
    answer = await server.client.get("/api/v1/auth/login", params={"back": back}, follow_redirects=False)
    assert answer.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


async def _returned(server: ApiServer, state: str, code: str) -> Any:
    query = {"state": state, "code": code}
    return await server.client.get("/api/v1/auth/callback", params=query, follow_redirects=False)


async def test_signing_in(server: ApiServer, provider: Provider) -> None:
    """Code flow with PKCE; a session that scripts cannot read, the page where it was, and a change with its token."""
    sent = await _begun(server)
    assert (sent["code_challenge_method"], sent["response_type"]) == ("S256", "code")
    provider.codes["c"] = {"challenge": sent["code_challenge"], "nonce": sent["nonce"]}
    answer = await _returned(server, sent["state"], "c")
    assert (answer.status_code, answer.headers["location"]) == (302, "/?job=any")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("geocrop_session="))
    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()
    session = (await server.client.get("/api/v1/auth/session")).json()
    assert (session["owner"], session["method"]) == ("oidc:ann-1", "session")
    change = {"X-CSRF-Token": session["csrf"]}
    order = {"order": ANY_ORDER}
    assert (await server.client.post("/api/v1/jobs", json=order, headers=change)).status_code == 202
    assert (await _returned(server, sent["state"], "c")).status_code in {400, 401}, "a code is good once"
    async with server.context.database.read() as connection:
        noted = await list_sign_ins(connection, 10)
    assert [(one.owner, bool(one.error)) for one in noted] == [("", True), ("oidc:ann-1", False)]


async def test_signing_in_is_limited_by_address(server: ApiServer) -> None:
    """Before the provider is asked anything."""
    codes = [(await _returned(server, "any", "any")).status_code for _ in range(61)]
    assert codes == [400] * 60 + [429]
    async with server.context.database.read() as connection:
        assert len(await list_sign_ins(connection, 100)) == 60


async def test_a_provider_in_the_same_cluster(tmp_path: Path, provider: Provider) -> None:
    """The browser goes to its public address, which the server itself need not reach."""
    inside, provider.url = provider.url, "https://git.any.example"
    settings = {"oidc_issuer": provider.url, "oidc_internal_url": inside, "oidc_client_id": CLIENT}
    async with api_server(tmp_path, auth="on", oidc_client_secret=CLIENT_SECRET, **settings) as server:
        answer = await server.client.get("/api/v1/auth/login", follow_redirects=False)
        assert answer.headers["location"].startswith("https://git.any.example/authorize?")
        sent = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
        provider.codes["c"] = {"challenge": sent["code_challenge"], "nonce": sent["nonce"]}
        assert (await _returned(server, sent["state"], "c")).status_code == 302
        assert (await server.client.get("/api/v1/auth/session")).json()["owner"] == "oidc:ann-1"


@pytest.mark.parametrize("wrong", ["state", "nonce", "challenge", "cookie"])
async def test_another_sign_in_is_not_taken(server: ApiServer, provider: Provider, wrong: str) -> None:
    """Of another state, nonce, proof or browser."""
    sent = await _begun(server)
    provider.codes["c"] = {"challenge": sent["code_challenge"], "nonce": sent["nonce"]}
    if wrong in provider.codes["c"]:
        provider.codes["c"][wrong] = "other"
    if wrong == "cookie":
        server.client.cookies.clear()
    answer = await _returned(server, "other" if wrong == "state" else sent["state"], "c")
    assert answer.status_code in {400, 401}
    assert "geocrop_session" not in server.client.cookies


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/\\evil.example", "/\tevil", "x"])
async def test_signing_in_leads_nowhere_else(server: ApiServer, provider: Provider, back: str) -> None:
    """Whatever the address asks for: a path of this server."""
    sent = await _begun(server, back)
    provider.codes["c"] = {"challenge": sent["code_challenge"], "nonce": sent["nonce"]}
    assert (await _returned(server, sent["state"], "c")).headers["location"] == "/"
