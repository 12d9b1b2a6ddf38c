"""Signing in by a real Gitea."""

from pathlib import Path

import httpx

from tests.api_server import ANY_ORDER, any_context, live_api
from tests.gitea_server import gitea_server
from tests.s3_server import free_ports


def test_signing_in_by_gitea(tmp_path: Path) -> None:
    """A person signs in there, agrees, and has a session here under the id that Gitea gives them."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with gitea_server() as gitea:
        client, secret = gitea.application(f"{url}/api/v1/auth/callback")
        settings = {"oidc_issuer": gitea.url, "oidc_client_id": client, "oidc_client_secret": secret}
        context = any_context(tmp_path, auth="on", public_url=url, **settings)
        with live_api(context, port) as root, httpx.Client(base_url=f"{root}/api/v1", trust_env=False) as browser:
            assert browser.get("/auth/session").json()["owner"] == ""
            sent = browser.get("/auth/login", params={"back": "/?job=any"})
            back = browser.get(gitea.consent(sent.headers["location"]))
            assert (back.status_code, back.headers["location"]) == (302, "/?job=any"), back.text
            session = browser.get("/auth/session").json()
            assert (session["method"], session["owner"].startswith("oidc:")) == ("session", True)
            token = {"X-CSRF-Token": session["csrf"]}
            assert browser.post("/jobs", json={"order": ANY_ORDER}, headers=token).status_code == 202
            assert browser.post("/auth/logout", headers=token).status_code == 204
            assert browser.get("/jobs").status_code == 401
