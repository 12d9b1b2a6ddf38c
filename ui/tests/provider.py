"""A small OpenID provider on loopback, whose only user is signed in already: code flow with PKCE, RS256."""

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_CODES: dict[str, dict[str, str]] = {}


class Provider(BaseHTTPRequestHandler):
    """Discovery, keys, authorization and token."""

    def do_GET(self) -> None:
        """Discovery and keys, or the way back with a code."""
        parts = urlsplit(self.path)
        if parts.path == "/.well-known/openid-configuration":
            self._answer(200, _metadata(self._issuer))
        elif parts.path == "/keys":
            self._answer(200, {"keys": [_public_key()]})
        elif parts.path == "/authorize":
            self._authorize({name: values[0] for name, values in parse_qs(parts.query).items()})
        else:
            self._answer(404, {})

    def do_POST(self) -> None:
        """A token for a code, once, to the one that asked for it."""
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        asked = _CODES.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
            self._answer(400, {"error": "invalid_grant"})
            return
        self._answer(200, {"token_type": "Bearer", "id_token": _token(self._issuer, asked)})

    def _authorize(self, asked: dict[str, str]) -> None:
        code = secrets.token_urlsafe()
        _CODES[code] = asked
        self.send_response(302)
        self.send_header("location", f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")
        self.end_headers()

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    @property
    def _issuer(self) -> str:
        return f"http://{self.headers['host']}"

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def _metadata(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/keys",
    }


def _public_key() -> dict[str, Any]:
    key = jwt.algorithms.RSAAlgorithm.to_jwk(_KEY.public_key(), as_dict=True)
    return {**key, "kid": "one", "use": "sig", "alg": "RS256"}


def _token(issuer: str, asked: dict[str, str]) -> str:
    at = int(time.time())
    claims = {"iss": issuer, "aud": asked["client_id"], "sub": "tester", "iat": at, "exp": at + 300}
    return jwt.encode({**claims, "nonce": asked["nonce"]}, _KEY, algorithm="RS256", headers={"kid": "one"})


def start_provider(port: int) -> str:
    """Serve beside whatever else this process does; the issuer's address."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{port}"
