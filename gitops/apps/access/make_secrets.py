"""Makes the secrets of the namespace that are not there yet. Standard library only: it runs before any image of ours.

A secret is never read and never changed: what is there stays, whoever made it. The account may create, and no more.
"""

import base64
import json
import os
import secrets
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def password() -> str:
    """43 letters of a URL: 256 bits."""
    return secrets.token_urlsafe(32)


def postgres(role: str, scheme: str = "postgresql") -> dict[str, str]:
    """A role of PostGIS, as password and as address."""
    word = password()
    return {"password": word, "url": f"{scheme}://{role}:{word}@postgis:5433/{role}"}


def s3(user: str) -> dict[str, str]:
    """A user of the store."""
    return {"access-key": f"{user}-{secrets.token_hex(4)}", "secret-key": password()}


WANTED: dict[str, Callable[[], dict[str, str]]] = {
    "postgis-admin": lambda: {"password": password()},
    "postgis-api": lambda: postgres("geocrop"),
    "postgis-mlflow": lambda: postgres("mlflow", "postgresql+psycopg"),
    "postgis-argo": lambda: postgres("argo") | {"username": "argo"},
    "minio-root": lambda: s3("root"),
    "geocrop-s3": lambda: s3("steps"),
    "s3-api": lambda: s3("api"),
    "s3-mlflow": lambda: s3("mlflow"),
    "s3-jupyter": lambda: s3("jupyter"),
    "s3-backup": lambda: s3("backup"),
    "api": lambda: {"tiler-secret": password()},
    "sign-in": lambda: {"cookie-secret": secrets.token_hex(16)},
    "gitea": lambda: {
        "admin-password": password(),
        "secret-key": password(),
        "internal-token": secrets.token_hex(64),
        "jwt-secret": password(),
        "lfs-jwt-secret": password(),
        "runner-token": secrets.token_hex(20),
    },
    "gitea-notebooks": lambda: {"password": password()},
    "backup-key": lambda: {"key": password()},
}
"""Name of the secret, and what is in a new one."""


def main() -> int:
    """Make what is missing; says which, never what is in it."""
    for name, make in WANTED.items():
        if create(name, make()):
            sys.stdout.write(f"made secret {name}\n")
    return 0


def create(name: str, values: dict[str, str]) -> bool:
    """Whether the secret was made now: the server refuses one that is there."""
    labels = {"app.kubernetes.io/part-of": "geocrop", "app.kubernetes.io/managed-by": "make-secrets"}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    thing = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}, "data": data}
    try:
        post(json.dumps(thing).encode())
    except urllib.error.HTTPError as error:
        if error.code != 409:
            sys.stderr.write(f"secret {name} was not made: {error.code} {error.reason}\n")
            raise
        return False
    return True


def post(body: bytes) -> None:
    """Hand an object to the API server, as the pod's account."""
    namespace = (ACCOUNT / "namespace").read_text(encoding="ascii")
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    token = (ACCOUNT / "token").read_text(encoding="ascii").strip()
    request = urllib.request.Request(
        f"https://{host}:{port}/api/v1/namespaces/{namespace}/secrets",
        data=body,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    urllib.request.urlopen(request, context=context, timeout=30).close()  # noqa: S310


if __name__ == "__main__":
    sys.exit(main())
