"""A real Gitea on loopback, as a provider of identities; of the cluster's programs beside the project."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from tests.programs import SHARED
from tests.s3_server import free_ports

_START_SECONDS = 60
_INPUT = re.compile(r"<input[^>]*>")
_ATTRIBUTE = re.compile(r'(name|value)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class GiteaServer:
    """Where it listens, and its one user."""

    url: str
    user: str = "ops"
    password: str = "any-password-of-gitea"  # noqa: S105 - the server is ours and gone with the test

    def application(self, callback: str) -> tuple[str, str]:
        """Id and secret of a client that may sign people in."""
        body = {"name": "geocrop", "redirect_uris": [callback], "confidential_client": True}
        url = f"{self.url}/api/v1/user/applications/oauth2"
        made = httpx.post(url, json=body, auth=(self.user, self.password), trust_env=False).raise_for_status().json()
        return made["client_id"], made["client_secret"]

    def consent(self, address: str) -> str:
        """What a person does whom a page has sent here: sign in, agree. Where the browser is sent then."""
        with httpx.Client(trust_env=False, headers={"Sec-Fetch-Site": "same-origin"}) as browser:
            page = browser.get(f"{self.url}/user/login")
            known = _inputs(page.text) | {"user_name": self.user, "password": self.password}
            assert browser.post(f"{self.url}/user/login", data=known).status_code == 303
            asked = browser.get(address)
            if asked.status_code == 200:
                form = _inputs(asked.text) | {"granted": "true"}
                asked = browser.post(f"{self.url}/login/oauth/grant", data=form)
            assert asked.is_redirect, asked.text[:2000]
            return urljoin(address, asked.headers["location"])


def _inputs(page: str) -> dict[str, str]:
    found = [dict(_ATTRIBUTE.findall(one)) for one in _INPUT.findall(page)]
    return {one["name"]: one.get("value", "") for one in found if "name" in one}


@contextlib.contextmanager
def gitea_server() -> Iterator[GiteaServer]:
    """Start it with one administrator. Skips where it is not to be had."""
    script = SHARED / "services/start-gitea.sh"
    if not script.exists():
        pytest.skip("NO GITEA: signing in was tested against the provider of tests/oidc_provider.py only")
    (port,) = free_ports(1)
    server = GiteaServer(f"http://127.0.0.1:{port}")
    folder = Path(tempfile.mkdtemp(prefix="geocrop-gitea-"))
    folder.chmod(0o755)
    environment = {"GITEA_STATE": str(folder), "GITEA_PORT": str(port), "GITEA_ADMIN_PASSWORD": server.password}
    done = subprocess.run(
        [str(script)], env=os.environ | environment, stdout=subprocess.PIPE, encoding="utf-8", check=True, timeout=120
    )
    pid = int(done.stdout.split()[-1])
    try:
        _wait(server)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: GiteaServer) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{server.url}/api/healthz", trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("Gitea does not serve")
