"""Who may do what, and what is refused early."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.clock import now
from api.database.access import KeyRow, SessionRow, insert_key, insert_session
from api.secrets import digest_of
from tests.api_server import ANY_ORDER, ApiServer, api_server

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with api_server(tmp_path, auth="on", max_vertices=1000, max_body_mb=1) as one:
        yield one


async def _key(server: ApiServer, owner: str, scopes: str = "read submit", key: str = "") -> dict[str, str]:
    async with server.context.database.write() as connection:
        row = KeyRow(id=key or owner, owner=owner, name="", scopes=scopes, hash=digest_of("secret"), created=now())
        await insert_key(connection, row)
    return {"Authorization": f"Bearer gck_{row.id}_secret"}


async def test_nobody_is_told_anything(server: ApiServer) -> None:
    """Without credentials, or with wrong ones: 401 as problem details."""
    await _key(server, "ann")
    for headers in ({}, {"Authorization": "Bearer gck_ann_wrong"}, {"Authorization": "Bearer x.y.z"}):
        answer = await server.client.get("/api/v1/jobs", headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_what_belongs_to_another_is_not_there(server: ApiServer) -> None:
    """The same 404 as for a job that is not; administrators see all."""
    ann, bea, root = await _key(server, "ann"), await _key(server, "bea"), await _key(server, "root", "admin")
    job = (await server.submit(ann))["id"]
    paths = ("", "/tiles", "/events", "/logs", "/result", "/aoi", "/links")
    for path in paths:
        theirs = await server.client.get(f"/api/v1/jobs/{job}{path}", headers=bea)
        missing = await server.client.get(f"/api/v1/jobs/none{path}", headers=bea)
        assert (theirs.status_code, missing.status_code) == (404, 404)
        assert theirs.json()["title"] == missing.json()["title"]
    assert (await server.client.delete(f"/api/v1/jobs/{job}", headers=bea)).status_code == 404
    assert (await server.client.get("/api/v1/jobs", headers=bea)).json()["items"] == []
    assert (await server.client.get(f"/api/v1/jobs/{job}", headers=root)).status_code == 200


async def test_scopes(server: ApiServer) -> None:
    """A key that may only look submits nothing."""
    looks = await _key(server, "ann", "read")
    answer = await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER}, headers=looks)
    assert answer.status_code == 403


async def test_a_link_opens_one_job_until_it_is_revoked(server: ApiServer) -> None:
    """For looking only, and no other job."""
    ann = await _key(server, "ann")
    job, other = (await server.submit(ann))["id"], (await server.submit(ann))["id"]
    made = (await server.client.post(f"/api/v1/jobs/{job}/links", json={}, headers=ann)).json()
    link = {"link": made["url"].rpartition("link=")[2]}
    assert (await server.client.get(f"/api/v1/jobs/{job}", params=link)).status_code == 200
    assert (await server.client.get(f"/api/v1/jobs/{other}", params=link)).status_code == 404
    assert (await server.client.post(f"/api/v1/jobs/{job}/cancel", params=link)).status_code == 401
    assert (await server.client.get("/api/v1/jobs", params=link)).status_code == 403
    await server.client.delete(f"/api/v1/jobs/{job}/links/{made['id']}", headers=ann)
    assert (await server.client.get(f"/api/v1/jobs/{job}", params=link)).status_code == 401


async def _session(server: ApiServer) -> None:
    """Of ann, for an hour."""
    made = now()
    row = SessionRow(
        hash=digest_of("s"), owner="ann", scopes="read submit", csrf="c", created=made,
        expires=made + dt.timedelta(hours=1),
    )  # fmt: skip
    async with server.context.database.write() as connection:
        await insert_session(connection, row)


async def test_administrators_see_and_end_what_opens_doors(server: ApiServer) -> None:
    """Links and sessions of all, without what would open them; nobody else sees any."""
    ann, root = await _key(server, "ann"), await _key(server, "root", "admin")
    job = (await server.submit(ann))["id"]
    made = (await server.client.post(f"/api/v1/jobs/{job}/links", json={}, headers=ann)).json()
    await _session(server)
    for what in ("links", "sessions", "sign-ins"):
        assert (await server.client.get(f"/api/v1/admin/{what}", headers=ann)).status_code == 403
    (link,) = (await server.client.get("/api/v1/admin/links", headers=root)).json()
    assert (link["id"], link["job"], link["owner"], "url" in link) == (made["id"], job, "ann", False)
    assert (await server.client.delete(f"/api/v1/jobs/{job}/links/{link['id']}", headers=root)).status_code == 204
    (session,) = (await server.client.get("/api/v1/admin/sessions", headers=root)).json()
    address = f"/api/v1/admin/sessions/{session['id']}"
    assert (session["owner"], (await server.client.delete(address, headers=ann)).status_code) == ("ann", 403)
    codes = [(await server.client.delete(one, headers=root)).status_code for one in (address[:-1], address, address)]
    assert codes == [404, 204, 404]
    server.client.cookies.set("geocrop_session", "s")
    assert (await server.client.get("/api/v1/jobs")).status_code == 401
    assert (await server.client.get("/api/v1/admin/links", headers=root)).json() == []


async def test_a_session_changes_nothing_without_its_csrf_token(server: ApiServer) -> None:
    """Nor from another site's page; signing out ends it."""
    await _session(server)
    server.client.cookies.set("geocrop_session", "s")
    session = (await server.client.get("/api/v1/auth/session")).json()
    assert (session["owner"], session["csrf"], session["method"]) == ("ann", "c", "session")
    order = {"order": ANY_ORDER}
    assert (await server.client.post("/api/v1/jobs", json=order)).status_code == 403
    token = {"X-CSRF-Token": "c"}
    evil = token | {"Origin": "https://evil.example"}
    assert (await server.client.post("/api/v1/jobs", json=order, headers=evil)).status_code == 403
    assert (await server.client.post("/api/v1/jobs", json=order, headers=token)).status_code == 202
    assert (await server.client.post("/api/v1/auth/logout", headers=token)).status_code == 204
    server.client.cookies.set("geocrop_session", "s")
    assert (await server.client.get("/api/v1/jobs")).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"order": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", {400, 413}),
        (b'{"order": {"aoi": {"a":' + b'{"a":' * 200 + b"1" + b"}" * 203, {400, 413}),
        (b'{"order": {"aoi": {"coordinates": [' + b"[1,2]," * 5000 + b"[1,2]]}}}", {400, 413}),
        (b" " * 2_000_000, {413}),
        (b"not json", {400}),
    ],
)
async def test_bodies_made_to_exhaust_are_refused(server: ApiServer, body: bytes, status: set[int]) -> None:
    """Early, with a problem."""
    headers = await _key(server, "ann") | {"Content-Type": "application/json"}
    answer = await server.client.post("/api/v1/jobs", content=body, headers=headers)
    assert answer.status_code in status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_address_from_outside_is_never_opened(server: ApiServer) -> None:
    """Catalogs and rasters go by name, and only by names that the operator allows."""
    ann = await _key(server, "ann")
    for change in ({"catalog": "http://169.254.169.254/"}, {"options": {"mask": "/etc/passwd"}}):
        answer = await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER | change}, headers=ann)
        assert (answer.status_code, "is not allowed" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("quota", "limit", "left", "told"),
    [
        ("jobs", {"max_active_jobs": 1}, "0", "1 jobs are queued or running; with 1 more they are over 1"),
        ("tiles", {"max_active_tiles": 3}, "1", "2 tiles are queued or running; with 2 more they are over 3"),
        ("km2", {"max_active_km2": 200.5}, "83", "117 km2 are queued or running; with 117 more they are over 200"),
    ],
)
async def test_quotas_are_told_and_kept(
    tmp_path: Path, quota: str, limit: dict[str, Any], left: str, told: str
) -> None:
    """Jobs, tiles and area that an owner's keys may have at once: in headers, and as a 429 until a job has ended."""
    async with api_server(tmp_path, auth="on", **limit) as server:
        ann, too, bea = await _key(server, "ann"), await _key(server, "ann", key="too"), await _key(server, "bea")
        asked = await server.client.post("/api/v1/quotes", json=ANY_ORDER, headers=ann)
        assert asked.headers[f"x-quota-{quota}-remaining"] == asked.headers[f"x-quota-{quota}-limit"]
        first = await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER}, headers=ann)
        assert (first.status_code, first.headers[f"x-quota-{quota}-remaining"]) == (202, left)
        second = await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER}, headers=too)
        assert (second.status_code, second.headers["retry-after"], second.json()["detail"]) == (429, "60", told)
        assert second.headers[f"x-quota-{quota}-remaining"] == left
        assert (await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER}, headers=bea)).status_code == 202
        address = f"/api/v1/jobs/{first.json()['id']}"
        await server.client.post(f"{address}/cancel", headers=ann)
        await server.settle()
        assert (await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER}, headers=too)).status_code == 202
        refused = await server.client.post(f"{address}/retry", headers=ann)
        assert (refused.status_code, refused.headers[f"x-quota-{quota}-remaining"]) == (429, left)


async def test_requests_are_limited(tmp_path: Path) -> None:
    """By owner, and by address for those who guess: 429 with when to try again; every answer tells what is left."""
    async with api_server(tmp_path, auth="on", requests_per_minute=5) as server:
        ann, bea = await _key(server, "ann"), await _key(server, "bea")
        for left in range(4, -1, -1):
            answer = await server.client.get("/api/v1/jobs", headers=ann)
            assert (answer.status_code, answer.headers["ratelimit-remaining"]) == (200, str(left))
        refused = await server.client.get("/api/v1/jobs", headers=ann)
        assert (refused.status_code, int(refused.headers["retry-after"]) <= 12) == (429, True)
        assert (await server.client.get("/api/v1/jobs", headers=bea)).status_code == 200
        wrong = {"Authorization": "Bearer gck_ann_guess"}
        codes = [(await server.client.get("/api/v1/jobs", headers=wrong)).status_code for _ in range(6)]
        assert codes == [401] * 5 + [429]


async def test_submissions_are_limited_apart(tmp_path: Path) -> None:
    """Whoever may look often need not submit often."""
    async with api_server(tmp_path, submissions_per_minute=1) as server:
        await server.submit()
        refused = await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER})
        assert (refused.status_code, "submissions" in refused.json()["detail"]) == (429, True)
        assert (await server.client.get("/api/v1/jobs")).status_code == 200


async def test_security_headers(server: ApiServer) -> None:
    """On every answer of ours; other sites' pages are not let in."""
    answer = await server.client.get("/api/v1/health/live", headers={"Origin": "https://other.example"})
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers


async def test_the_page_is_served(tmp_path: Path) -> None:
    """With GET and HEAD alike, and under the policy that keeps other sites' scripts out."""
    (tmp_path / "page").mkdir()
    (tmp_path / "page/index.html").write_text("<p>any", encoding="utf-8")
    async with api_server(tmp_path, page=tmp_path / "page") as server:
        whole, head = await server.client.get("/"), await server.client.head("/")
    assert (whole.status_code, whole.text) == (200, "<p>any")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "6", b"")
    assert head.headers["content-type"].startswith("text/html")
    assert "frame-ancestors 'none'" in head.headers["content-security-policy"]


async def test_areas_and_quotes_of_another_are_not_there(server: ApiServer) -> None:
    """Neither to read, nor to delete, nor to order with; nor are the maps of another found by search."""
    ann, bea = await _key(server, "ann"), await _key(server, "bea")
    area = {"name": "north", "geometry": ANY_ORDER["aoi"]}
    aoi = (await server.client.post("/api/v1/aois", json=area, headers=ann)).json()["id"]
    quote = (await server.client.post("/api/v1/quotes", json=ANY_ORDER, headers=ann)).json()["id"]
    for path in (f"aois/{aoi}", f"quotes/{quote}"):
        assert (await server.client.get(f"/api/v1/{path}", headers=ann)).status_code == 200
        assert (await server.client.get(f"/api/v1/{path}", headers=bea)).status_code == 404
    assert (await server.client.delete(f"/api/v1/aois/{aoi}", headers=bea)).status_code == 404
    assert (await server.client.get("/api/v1/aois", headers=bea)).json()["items"] == []
    theirs = {name: value for name, value in ANY_ORDER.items() if name != "aoi"} | {"aoi_id": aoi}
    for body in ({"order": theirs}, {"quote": quote}):
        assert (await server.client.post("/api/v1/jobs", json=body, headers=bea)).status_code == 404
    assert (await server.client.post("/api/v1/jobs", json={"quote": quote}, headers=ann)).status_code == 202


async def test_links_are_their_owners(server: ApiServer) -> None:
    """Nobody else makes, lists or revokes them; a link makes no links and opens no search."""
    ann, bea = await _key(server, "ann"), await _key(server, "bea")
    job = (await server.submit(ann))["id"]
    made = (await server.client.post(f"/api/v1/jobs/{job}/links", json={"days": 1}, headers=ann)).json()
    assert (await server.client.post(f"/api/v1/jobs/{job}/links", json={}, headers=bea)).status_code == 404
    assert (await server.client.delete(f"/api/v1/jobs/{job}/links/{made['id']}", headers=bea)).status_code == 404
    link = {"link": made["url"].rpartition("link=")[2]}
    assert (await server.client.post(f"/api/v1/jobs/{job}/links", json={}, params=link)).status_code == 401
    assert (await server.client.get("/api/v1/search", params=link)).status_code == 403
    listed = (await server.client.get(f"/api/v1/jobs/{job}/links", headers=ann)).json()
    assert [(one["id"], one["url"]) for one in listed] == [(made["id"], "")]
