"""Sets up in Gitea what others need of it; run again it makes what is missing. Standard library only.

An OAuth client's secret is told once, when it is made: it goes straight into a secret of the cluster.
"""

import base64
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

GITEA = os.environ.get("GITEA", "http://gitea:3000")
SECRETS = Path(os.environ.get("SECRETS", "/secrets"))
ACCOUNT = Path(os.environ.get("ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount"))
ADMIN, NOTEBOOKS, REPOSITORY = "frankchine", "notebooks", "geocrop"
BUILDS = "geocrop-builds"
"""The namespace of what builds images."""
CLIENTS = {
    "api-client": ["https://app.portfolio.{domain}/api/v1/auth/callback"],
    "sign-in-client": ["https://ml.{domain}/oauth2/callback", "https://lab.{domain}/oauth2/callback"],
}
"""Secret, and the addresses that people are sent back to."""


def main() -> int:
    """Make what is missing."""
    admin = (SECRETS / "admin-password").read_text(encoding="utf-8").strip()
    notebooks = (SECRETS / "notebooks-password").read_text(encoding="utf-8").strip()
    make_account(admin, notebooks)
    there = {one["name"]: one for one in gitea("GET", "user/applications/oauth2?limit=50", admin)}
    for secret, addresses in CLIENTS.items():
        wanted = [address.format(domain=os.environ["DOMAIN"]) for address in addresses]
        if secret not in there:
            make_client(secret, wanted, admin)
        elif there[secret]["redirect_uris"] != wanted:
            sys.stderr.write(f"client {secret} is for {there[secret]['redirect_uris']}: remove it and its secret\n")
    bring_runner_token(admin)
    return 0


def make_account(admin: str, password: str) -> None:
    """The notebooks' user, with the password that its secret holds now, and its repository."""
    user = {"username": NOTEBOOKS, "email": "notebooks@localhost.localdomain", "must_change_password": False}
    if gitea("GET", f"users/{NOTEBOOKS}", admin, missing=True) is None:
        gitea("POST", "admin/users", admin, user | {"password": password})
    change = {"login_name": NOTEBOOKS, "source_id": 0, "password": password, "must_change_password": False}
    gitea("PATCH", f"admin/users/{NOTEBOOKS}", admin, change)
    if gitea("GET", f"repos/{NOTEBOOKS}/{NOTEBOOKS}", admin, missing=True) is None:
        repository = {"name": NOTEBOOKS, "private": True, "auto_init": True, "default_branch": "main"}
        gitea("POST", f"admin/users/{NOTEBOOKS}/repos", admin, repository)


def make_client(secret: str, addresses: list[str], admin: str) -> None:
    """A client, whose secret goes into the cluster; where that fails the client goes, too."""
    wanted = {"name": secret, "redirect_uris": addresses, "confidential_client": True}
    made = gitea("POST", "user/applications/oauth2", admin, wanted)
    try:
        store(secret, {"client-id": made["client_id"], "client-secret": made["client_secret"]})
    except urllib.error.HTTPError as error:
        gitea("DELETE", f"user/applications/oauth2/{made['id']}", admin)
        sys.stderr.write(f"secret {secret}: {error.code} {error.reason}; delete it, so that it can be made anew\n")
        raise
    sys.stdout.write(f"made client {secret}\n")


def bring_runner_token(admin: str) -> None:
    """Have the runner's secret hold the token by which it registers, for our repository alone.

    There may be no repository yet, or no runner, whose folder says that we may make its secret.
    """
    path = f"repos/{ADMIN}/{REPOSITORY}/actions/runners/registration-token"
    if (token := gitea("POST", path, admin, missing=True)) is None:
        return
    try:
        store("runner", {"token": token["token"]}, BUILDS)
    except urllib.error.HTTPError as error:
        if error.code not in {403, 409}:  # there is no runner; it has its token
            raise


def gitea(method: str, path: str, admin: str, body: Any = None, *, missing: bool = False) -> Any:
    """What Gitea's API answers; None for something missing that may be."""
    mark = base64.b64encode(f"{ADMIN}:{admin}".encode()).decode()
    headers = {"Authorization": f"Basic {mark}", "Content-Type": "application/json"}
    try:
        return send(f"{GITEA}/api/v1/{path}", method, headers, body)
    except urllib.error.HTTPError as error:
        if missing and error.code == 404:
            return None
        sys.stderr.write(f"Gitea, {method} {path}: {error.code} {error.reason}\n")
        raise


def store(name: str, values: dict[str, str], namespace: str = "") -> None:
    """Make a secret, in the namespace of this pod or in another."""
    labels = {"app.kubernetes.io/part-of": "geocrop", "app.kubernetes.io/managed-by": "gitea-setup"}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    thing = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}, "data": data}
    namespace = namespace or (ACCOUNT / "namespace").read_text(encoding="ascii")
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    token = (ACCOUNT / "token").read_text(encoding="ascii").strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    send(f"https://{host}:{port}/api/v1/namespaces/{namespace}/secrets", "POST", headers, thing, context)


def send(url: str, method: str, headers: dict[str, str], body: Any, context: ssl.SSLContext | None = None) -> Any:
    """The JSON of an answer; None where there is none."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers)  # noqa: S310 - addresses of ours
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:  # noqa: S310
        text = answer.read()
    return json.loads(text) if text else None


if __name__ == "__main__":
    sys.exit(main())
