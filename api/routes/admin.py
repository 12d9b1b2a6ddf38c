"""What administrators see and end: links, sessions, and attempts to sign in."""

from typing import cast

from litestar import Router, delete, get
from litestar.params import FromPath

from api.clock import now
from api.database.access import erase_session, list_all_links, list_sessions, list_sign_ins
from api.problems import not_found, problems
from api.routes.parameters import Limit, Shared, Who
from api.schemas import LinkEntry, Scope, SessionEntry, SignInEntry

_ID = 16
"""Digits of a session's digest: enough to name it, too few to be taken for it."""


@get("/links", summary="List all links", responses=problems())
async def list_every_link(context: Shared, admin: Who) -> list[LinkEntry]:  # noqa: ARG001
    """Those that hold, the newest first; `DELETE jobs/{job}/links/{link}` revokes one."""
    async with context.database.read() as connection:
        found = await list_all_links(connection, now())
    return [
        LinkEntry(id=link.id, job=link.job, owner=link.owner, created=link.created, expires=link.expires)
        for link in found
    ]


@get("/sessions", summary="List all sessions", responses=problems())
async def list_every_session(context: Shared, admin: Who) -> list[SessionEntry]:  # noqa: ARG001
    """Those that hold, the newest first."""
    async with context.database.read() as connection:
        found = await list_sessions(connection, now())
    return [
        SessionEntry(
            id=session.hash[:_ID],
            owner=session.owner,
            scopes=[cast("Scope", scope) for scope in session.scopes.split()],
            created=session.created,
            expires=session.expires,
        )
        for session in found
    ]


@delete("/sessions/{session:str}", summary="End a session", status_code=204, responses=problems())
async def delete_session(session: FromPath[str], context: Shared, admin: Who) -> None:  # noqa: ARG001
    """Its browser is signed out with its next request."""
    async with context.database.write() as connection:
        if len(session) != _ID or not await erase_session(connection, session):
            raise not_found(f"session {session[:40]}")


@get("/sign-ins", summary="List attempts to sign in", responses=problems())
async def list_attempts(context: Shared, admin: Who, limit: Limit = 50) -> list[SignInEntry]:  # noqa: ARG001
    """The newest first, of the last thousand."""
    async with context.database.read() as connection:
        found = await list_sign_ins(connection, limit)
    return [SignInEntry(made=one.made, owner=one.owner, address=one.address, error=one.error) for one in found]


router = Router(
    path="/admin", tags=["admin"], route_handlers=[list_every_link, list_every_session, delete_session, list_attempts]
)
