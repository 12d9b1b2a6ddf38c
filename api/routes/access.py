"""Who is asking, signing in and out, and read-only links."""

import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.datastructures import Cookie
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Redirect

from api import jobs as service
from api.auth import SESSION_COOKIE, AnyRequest, address_of, identify
from api.clock import now
from api.context import Context
from api.database.access import (
    LinkRow,
    SessionRow,
    SignInRow,
    erase_link,
    erase_session,
    insert_link,
    insert_session,
    insert_sign_in,
    list_links,
)
from api.oidc import Attempt, Claims, Oidc
from api.problems import ProblemError, not_found, problems
from api.routes.parameters import Shared, Who
from api.schemas import LinkOrder, LinkView, Scope, SessionView
from api.secrets import digest_of, new_id, new_secret, same, signature

_ATTEMPT_COOKIE = "geocrop_sign_in"
_ATTEMPT_SECONDS = 600
_SESSION_HOURS = 12
_SCOPES: tuple[Scope, ...] = ("read", "submit", "admin")
_GO = {302: ResponseSpec(data_container=None, description="To the identity provider, or back to the page")}


@get("/session", summary="Who is asking", responses=problems())
async def get_session(request: AnyRequest, context: Shared) -> SessionView:
    """Owner and scopes; for a session its CSRF token. An answer, not an error, where nobody is signed in."""
    sign_in = "/api/v1/auth/login" if context.oidc else ""
    try:
        who = await identify(request, context)
    except ProblemError as error:
        if error.status != 401:
            raise
        return SessionView(owner="", scopes=[], method="off", sign_in=sign_in)
    scopes = [scope for scope in _SCOPES if scope in who.scopes]
    return SessionView(owner=who.owner, scopes=scopes, method=who.method, csrf=who.csrf, sign_in=sign_in)


@get("/login", summary="Sign in", status_code=302, responses={**_GO, **problems()})
async def login(
    request: AnyRequest,
    context: Shared,
    back: Annotated[str, QueryParameter(description="Path of the page to return to", max_length=4000)] = "/",
) -> Response[Any]:
    """Sends the browser to the identity provider: code flow with PKCE."""
    context.limiter.take("sign-in", address_of(request))
    where, attempt = await _provider(context).begin(_local_path(back))
    text = msgspec.json.encode(attempt).hex()
    sealed = f"{text}.{signature(context.tiler_secret, 'sign-in', text)}"
    return Redirect(where, status_code=302, cookies=[_cookie(context, _ATTEMPT_COOKIE, sealed, _ATTEMPT_SECONDS)])


@get("/callback", summary="Return from signing in", status_code=302, responses={**_GO, **problems()})
async def callback(
    request: AnyRequest,
    context: Shared,
    code: Annotated[str, QueryParameter(description="From the provider", max_length=4000)] = "",
    sent: Annotated[str, QueryParameter(name="state", description="From the provider", max_length=400)] = "",
) -> Response[Any]:
    """Makes the session."""
    address = address_of(request)
    context.limiter.take("sign-in", address)
    oidc, attempt = _provider(context), _opened(context, request.cookies.get(_ATTEMPT_COOKIE, ""))
    try:
        claims, back = await _finished(oidc, attempt, code, sent)
    except ProblemError as refused:
        async with context.database.write() as connection:
            await insert_sign_in(connection, SignInRow(made=now(), address=address, error=refused.what))
        raise
    secret, made = new_secret(), now()
    row = SessionRow(
        hash=digest_of(secret),
        owner=oidc.owner(claims),
        scopes=" ".join(sorted(oidc.scopes(claims))),
        csrf=new_secret(),
        created=made,
        expires=made + dt.timedelta(hours=_SESSION_HOURS),
    )
    async with context.database.write() as connection:
        await insert_session(connection, row)
        await insert_sign_in(connection, SignInRow(made=made, owner=row.owner, address=address))
    cookies = [
        _cookie(context, SESSION_COOKIE, secret, _SESSION_HOURS * 3600),
        _cookie(context, _ATTEMPT_COOKIE, "", 0),
    ]
    return Redirect(back, status_code=302, cookies=cookies)


async def _finished(oidc: Oidc, attempt: Attempt | None, code: str, sent: str) -> tuple[Claims, str]:
    """Who signed in, and where their page was."""
    if attempt is None or not code or not same(attempt.state, sent):
        raise ProblemError(400, "this sign-in was not begun here, or is too old", "sign in again")
    return await oidc.finish(attempt, code), attempt.back


_OUT = {204: ResponseSpec(data_container=None, description="Signed out")}


@post("/logout", summary="Sign out", status_code=204, responses={**_OUT, **problems()})
async def logout(request: AnyRequest, context: Shared, reader: Who) -> Response[None]:
    """Ends the session here; the one at the provider stays."""
    if reader.method == "session":
        async with context.database.write() as connection:
            await erase_session(connection, digest_of(request.cookies[SESSION_COOKIE]))
    return Response(None, status_code=204, cookies=[_cookie(context, SESSION_COOKIE, "", 0)])


def _provider(context: Context) -> Oidc:
    if context.oidc is None:
        raise ProblemError(404, "this server has no identity provider", "use an API key")
    return context.oidc


def _local_path(back: str) -> str:
    """A path of this server: never another site, however it is written."""
    ours = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
    return back if ours and "\\" not in back else "/"


def _opened(context: Context, sealed: str) -> Attempt | None:
    text, _, mark = sealed.partition(".")
    if not text or not same(signature(context.tiler_secret, "sign-in", text), mark):
        return None
    return msgspec.json.decode(bytes.fromhex(text), type=Attempt)


def _cookie(context: Context, name: str, value: str, seconds: int) -> Cookie:
    secure = context.settings.public_url.startswith("https://")
    return Cookie(key=name, value=value, max_age=seconds, path="/", httponly=True, secure=secure, samesite="lax")


# -- links ---------------------------------------------------------------------------------------------------------


@post("/{job:str}/links", tags=["links"], summary="Share a job", status_code=201, responses=problems())
async def create_link(job: FromPath[str], data: JSONBody[LinkOrder], context: Shared, submitter: Who) -> LinkView:
    """A read-only link for somebody without an account; its address is told once."""
    row = await service.own_job(context, submitter, job)
    secret, made = new_secret(), now()
    link = LinkRow(
        id=new_id(),
        job=row.id,
        owner=submitter.owner,
        hash=digest_of(secret),
        created=made,
        expires=made + dt.timedelta(days=data.days),
    )
    async with context.database.write() as connection:
        await insert_link(connection, link)
    # In the fragment, which no server and no log sees.
    url = f"{context.settings.public_url.rstrip('/')}/#job={row.id}&link={secret}"
    return LinkView(id=link.id, job=row.id, url=url, created=made, expires=link.expires)


@get("/{job:str}/links", tags=["links"], summary="List a job's links", responses=problems())
async def get_links(job: FromPath[str], context: Shared, submitter: Who) -> list[LinkView]:
    """Without their addresses."""
    row = await service.own_job(context, submitter, job)
    async with context.database.read() as connection:
        links = await list_links(connection, row.id)
    return [LinkView(id=link.id, job=link.job, created=link.created, expires=link.expires) for link in links]


@delete("/{job:str}/links/{link:str}", tags=["links"], summary="Revoke a link", status_code=204, responses=problems())
async def delete_link(job: FromPath[str], link: FromPath[str], context: Shared, submitter: Who) -> None:
    """It opens nothing from now on."""
    row = await service.own_job(context, submitter, job)
    async with context.database.write() as connection:
        if not await erase_link(connection, row.id, link):
            raise not_found(f"link {link[:40]}")


router = Router(path="/auth", tags=["auth"], route_handlers=[get_session, login, callback, logout])
link_handlers = Router(path="/jobs", route_handlers=[create_link, get_links, delete_link])
