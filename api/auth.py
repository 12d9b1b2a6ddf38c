"""From a request to a principal: an API key, a bearer token, a session or a link; and what each may do."""

from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.di import NamedDependency

from api.clock import now
from api.context import Context
from api.database.access import find_link, find_session
from api.principal import NOBODY, Principal
from api.problems import ProblemError
from api.secrets import KEY_PREFIX, digest_of, same, split_key

SESSION_COOKIE = "geocrop_session"
LIMITS = "limits"
"""Where a request's state of the rate limit is kept until it is answered."""
LINK_PARAMETER = "link"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_EVERYTHING = frozenset({"read", "submit", "admin"})
AnyRequest = Request[Any, Any, Any]


async def identify(request: AnyRequest, context: Context) -> Principal:
    """Who asks; raises a 401 where nobody says, or what they say does not hold."""
    found = await _credentials(request, context)
    if found is None:
        if context.settings.auth == "off":
            return _local(request, context)
        raise ProblemError(
            401, "nobody is signed in", "send an API key or a token as Authorization: Bearer", headers=_CHALLENGE
        )
    return found


_CHALLENGE = {"WWW-Authenticate": "Bearer"}


def _local(request: AnyRequest, context: Context) -> Principal:
    """Without authentication a page of another site must still not reach us through the user's browser."""
    if request.method not in _SAFE:
        _check_origin(request, context)
    return Principal(owner=NOBODY, scopes=_EVERYTHING, method="off")


async def _credentials(request: AnyRequest, context: Context) -> Principal | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return await (_by_key if token.startswith(f"{KEY_PREFIX}_") else _by_token)(token.strip(), context)
    if link := request.query_params.get(LINK_PARAMETER):
        return await _by_link(request, str(link), context)
    if session := request.cookies.get(SESSION_COOKIE):
        return await _by_session(request, session, context)
    return None


async def _by_key(token: str, context: Context) -> Principal:
    parts = split_key(token)
    row = await context.keyring.find(context.database, parts[0]) if parts else None
    if parts is None or row is None or not same(row.hash, digest_of(parts[1])):
        raise ProblemError(401, "the API key does not hold", "ask for another", headers=_CHALLENGE)
    return Principal(owner=row.owner, scopes=frozenset(row.scopes.split()), method="key")


async def _by_token(token: str, context: Context) -> Principal:
    if context.oidc is None:
        raise ProblemError(401, "this server takes no tokens", "send an API key", headers=_CHALLENGE)
    claims = await context.oidc.claims(token)
    return Principal(owner=context.oidc.owner(claims), scopes=context.oidc.scopes(claims), method="token")


async def _by_session(request: AnyRequest, session: str, context: Context) -> Principal:
    row = await find_session(context.database, digest_of(session), now())
    if row is None:
        raise ProblemError(401, "the session is over", "sign in again", headers=_CHALLENGE)
    if request.method not in _SAFE:
        _check_origin(request, context)
        if not same(request.headers.get("x-csrf-token", ""), row.csrf):
            raise ProblemError(403, "the change has no valid X-CSRF-Token", "take it from /api/v1/auth/session")
    return Principal(owner=row.owner, scopes=frozenset(row.scopes.split()), method="session", csrf=row.csrf)


async def _by_link(request: AnyRequest, link: str, context: Context) -> Principal:
    row = await find_link(context.database, digest_of(link), now())
    if row is None or request.method not in _SAFE:
        raise ProblemError(401, "the link does not hold", "ask its sender for another", headers=_CHALLENGE)
    return Principal(owner=f"link:{row.id}", scopes=frozenset({"read"}), method="link", job=row.job)


def _check_origin(request: AnyRequest, context: Context) -> None:
    """Browsers say where a change comes from: ours, or a page that the settings allow."""
    origin = request.headers.get("origin")
    if origin is None and request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}:
        return
    allowed = {_origin_of(context.settings.public_url), *context.settings.cors_origins.split()}
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if origin not in allowed and not (origin == own and _is_loopback(own)):
        raise ProblemError(403, "the change comes from another site", "use the page of this server")


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _is_loopback(url: str) -> bool:
    """A name that another site could have pointed at us does not count."""
    return urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}


# -- dependencies --------------------------------------------------------------------------------------------------


async def _with_scope(request: AnyRequest, context: Context, scope: str) -> Principal:
    try:
        who = await identify(request, context)
    except ProblemError as problem:
        if problem.status == 401:  # whoever guesses does not guess for long
            context.limiter.take("request", f"@{address_of(request)}")
        raise
    request.state[LIMITS] = context.limiter.take("request", _bucket(request, who))
    who.need(scope)
    return who


def _bucket(request: AnyRequest, who: Principal) -> str:
    return f"{who.owner}@{address_of(request)}" if who.method in {"off", "link"} else who.owner


def address_of(request: AnyRequest) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


async def provide_reader(request: AnyRequest, context: NamedDependency[Context]) -> Principal:
    """`reader`: may look. Asks for `context`, so that the two come one after the other: tasks would cost more."""
    return await _with_scope(request, context, "read")


async def provide_submitter(request: AnyRequest, context: NamedDependency[Context]) -> Principal:
    """`submitter`: may change what is theirs."""
    return await _with_scope(request, context, "submit")


async def provide_admin(request: AnyRequest, context: NamedDependency[Context]) -> Principal:
    """`admin`: may do everything."""
    return await _with_scope(request, context, "admin")
