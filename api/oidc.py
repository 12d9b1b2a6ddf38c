"""OpenID Connect: bearer tokens checked by the provider's keys, and sign-in by code flow with PKCE."""

import asyncio
import base64
import hashlib
import time
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import msgspec

from api.problems import ProblemError
from api.secrets import new_secret
from api.settings import ApiSettings
from steps.errors import StoreError

_ALGORITHMS = ["RS256", "ES256", "EdDSA"]
_KEEP_SECONDS = 600.0
_LEEWAY_SECONDS = 30
CALLBACK = "/api/v1/auth/callback"


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says of its owner."""

    sub: str
    email: str = ""
    email_verified: bool = False
    preferred_username: str = ""
    nonce: str = ""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-in on its way; kept in the browser, signed."""

    state: str
    nonce: str
    verifier: str
    back: str
    """Path to return to."""


class Oidc:
    """One provider. Its metadata and keys are asked for when needed, and kept for some minutes."""

    def __init__(self, settings: ApiSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._http = httpx.AsyncClient(timeout=10, follow_redirects=False, transport=transport)
        self._turn = asyncio.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked = -_KEEP_SECONDS

    async def claims(self, token: str, *, nonce: str = "") -> Claims:
        """Of a token that this provider signed for us; raises a 401 otherwise, StoreError while it is away."""
        try:
            key = await self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            found = jwt.decode(
                token,
                key.key,
                algorithms=_ALGORITHMS,
                audience=self._settings.oidc_client_id,
                issuer=self._settings.oidc_issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
            claims = msgspec.convert(found, Claims)
        except (jwt.PyJWTError, msgspec.ValidationError) as error:
            raise _unauthorised("the token does not hold") from error
        if nonce and claims.nonce != nonce:
            raise _unauthorised("the token is of another sign-in")
        return claims

    def owner(self, claims: Claims) -> str:
        """Who owns what this one makes: the provider's own id, which is never given to another."""
        return f"oidc:{claims.sub}"

    def scopes(self, claims: Claims) -> frozenset[str]:
        """read and submit; admin for those that the settings name, by subject or by an address that is verified."""
        names = {claims.sub} | ({claims.email} if claims.email_verified else set())
        admins = set(self._settings.oidc_admins.split())
        return frozenset({"read", "submit"} | ({"admin"} if names & admins else set()))

    async def begin(self, back: str) -> tuple[str, Attempt]:
        """Where to send the browser, and what to remember of it."""
        await self._refresh()
        attempt = Attempt(state=new_secret(), nonce=new_secret(), verifier=new_secret(48), back=back)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._callback,
            "scope": "openid profile email",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._metadata['authorization_endpoint']}?{urlencode(query)}", attempt

    async def finish(self, attempt: Attempt, code: str) -> Claims:
        """Trade the code for a token of this very sign-in; raises a 401 where the provider refuses."""
        await self._refresh()
        data = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "client_id": self._settings.oidc_client_id,
            "client_secret": self._settings.oidc_client_secret,
            "code_verifier": attempt.verifier,
        }
        try:
            answer = await self._http.post(self._inside(self._metadata["token_endpoint"]), data=data)
        except httpx.HTTPError as error:
            raise _away(error) from error
        token = answer.json().get("id_token") if answer.status_code == 200 else None
        if not isinstance(token, str):
            raise _unauthorised("the provider did not accept the sign-in")
        return await self.claims(token, nonce=attempt.nonce)

    async def ping(self) -> None:
        """Ask the provider something; raises StoreError while it is away."""
        await self._refresh(older_than=5.0)

    async def close(self) -> None:
        """Let go."""
        await self._http.aclose()

    @property
    def _callback(self) -> str:
        return f"{self._settings.public_url.rstrip('/')}{CALLBACK}"

    async def _key(self, kid: str) -> jwt.PyJWK:
        await self._refresh()
        if kid not in self._keys:
            await self._refresh(older_than=5.0)  # keys may have been rotated; a forged kid asks only so often
        if kid not in self._keys:
            raise _unauthorised("the token is signed by an unknown key")
        return self._keys[kid]

    async def _refresh(self, older_than: float = _KEEP_SECONDS) -> None:
        async with self._turn:
            if time.monotonic() - self._asked < older_than:
                return
            self._metadata = await self._get(f"{self._issuer}/.well-known/openid-configuration")
            document = await self._get(self._metadata["jwks_uri"])
            self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(document).keys if key.key_id}
            self._asked = time.monotonic()

    @property
    def _issuer(self) -> str:
        return self._settings.oidc_issuer.rstrip("/")

    def _inside(self, url: str) -> str:
        """An address of the provider as this server reaches it; browsers are sent to the public one."""
        internal = self._settings.oidc_internal_url.rstrip("/")
        return f"{internal}{url.removeprefix(self._issuer)}" if internal and url.startswith(self._issuer) else url

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            answer = await self._http.get(self._inside(url))
            answer.raise_for_status()
            document: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _away(error) from error
        return document


def _unauthorised(what: str) -> ProblemError:
    return ProblemError(401, what, "sign in again", headers={"WWW-Authenticate": "Bearer"})


def _away(error: Exception) -> StoreError:
    return StoreError(f"the identity provider does not answer ({type(error).__name__})", "try again")
