"""An OpenID provider on loopback, with keys that can be rotated, to be asked over real HTTP."""

import base64
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT, CLIENT_SECRET = "geocrop", "any-client-secret"


@dataclass
class Provider:
    """What it says, and what it was asked."""

    url: str = ""
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    published: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    """By code: challenge and nonce of the sign-in that it was given for."""
    asked: list[str] = field(default_factory=list)

    def rotate(self, kid: str, *, keep: bool = False) -> None:
        """Another key; those before are kept among the published ones, or not."""
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.published = {*(self.published if keep else ()), kid}

    def token(self, kid: str, **changes: Any) -> str:
        """Signed; a claim of None is left out."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url, "aud": CLIENT, "sub": "ann-1", "iat": now, "exp": now + 300, "email": "ann@any.example",
        }  # fmt: skip
        said = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(said, self.keys[kid], algorithm="RS256", headers={"kid": kid})

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """Status and document."""
        self.asked.append(path)
        if path.endswith("/openid-configuration"):
            ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            return 200, {"issuer": self.url} | {name: f"{self.url}/{end}" for name, end in ends.items()}
        if path == "/keys":
            return 200, {"keys": [_public(kid, self.keys[kid]) for kid in sorted(self.published)]}
        return self._traded(parse_qs(body.decode())) if path == "/token" else (404, {})

    def _traded(self, form: dict[str, list[str]]) -> tuple[int, Any]:
        """A code for a token, once, for whoever began the sign-in (RFC 7636)."""
        begun = self.codes.pop(form["code"][0], None)
        proof = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).decode().rstrip("=")
        if begun is None or begun["challenge"] != challenge or form["client_secret"] != [CLIENT_SECRET]:
            return 400, {"error": "invalid_grant"}
        return 200, {"id_token": self.token(max(self.published), nonce=begun["nonce"]), "token_type": "Bearer"}


def _public(kid: str, key: rsa.RSAPrivateKey) -> Any:
    return {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", "alg": "RS256"}


@contextlib.contextmanager
def oidc_provider() -> Iterator[Provider]:
    """With one key, `one`."""
    provider = Provider()
    provider.rotate("one")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(b"")

        def do_POST(self) -> None:
            self._say(self.rfile.read(int(self.headers["content-length"])))

        def _say(self, body: bytes) -> None:
            status, document = provider.answer(self.path, body)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
