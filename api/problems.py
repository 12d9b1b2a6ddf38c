"""Every error as problem details (RFC 9457): one place that maps errors to statuses."""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec

from api.schemas import FieldError, Problem
from steps.errors import DataError, GeoCropError, TryAgainError, UsageError

PROBLEM_JSON = "application/problem+json"
_RETRY_SECONDS = 5
_log = structlog.get_logger()
_TITLES = {
    400: "bad request",
    401: "sign in first",
    403: "not allowed",
    404: "not found",
    405: "method not allowed",
    409: "conflict",
    413: "too large",
    415: "media type not understood",
    422: "cannot be mapped",
    429: "too many requests",
    500: "our fault",
    503: "not now",
    507: "disk budget",
}


class ProblemError(Exception):
    """An answer other than the one asked for."""

    def __init__(self, status: int, what: str, remedy: str = "", *, headers: dict[str, str] | None = None) -> None:
        super().__init__(what)
        self.status, self.what, self.remedy, self.headers = status, what, remedy, headers or {}


def not_found(what: str) -> ProblemError:
    """Not there, or not the caller's: the same answer."""
    return ProblemError(404, f"{what} is not known", "it may have been deleted, or belong to somebody else")


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The problems that any handler may answer with, and some more, for OpenAPI."""
    everywhere = (400, 401, 403, 404, 405, 413, 415, 429, 503)
    return {
        status: ResponseSpec(
            data_container=Problem, description=_TITLES[status], media_type=PROBLEM_JSON, generate_examples=False
        )
        for status in sorted({*everywhere, *statuses})
    }


def on_problem(request: Request[Any, Any, Any], error: ProblemError) -> Response[bytes]:
    """A problem of our own."""
    return _answer(request, error.status, error.what, error.remedy, headers=error.headers)


def on_geocrop_error(request: Request[Any, Any, Any], error: GeoCropError) -> Response[bytes]:
    """An error of the steps: what is away may come back, what is wrong stays wrong."""
    if isinstance(error, TryAgainError):
        headers = {"Retry-After": str(_RETRY_SECONDS)}
        return _answer(request, 503, error.what, error.remedy, headers=headers)
    status = 422 if isinstance(error, DataError | UsageError) else 500
    return _answer(request, status, error.what, error.remedy)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What Litestar refuses: a field that does not fit, a route that is not there."""
    headers, remedy = dict(error.headers or {}), _REMEDIES.get(error.status_code, "")
    return _answer(request, error.status_code, error.detail, remedy, headers=headers, errors=_field_errors(error.extra))


_REMEDIES = {
    404: "see /api/v1/schema/openapi.json for what there is",
    405: "see /api/v1/schema/openapi.json for the methods",
    413: "send less: simplify the area, or give it as a file to /api/v1/aois/convert",
}


def on_any_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A bug: logged whole, told without detail."""
    _log.error("request.failed", path=request.url.path, error=f"{type(error).__name__}: {error}", exc_info=error)
    return _answer(request, 500, "something went wrong here", "try again; the log says more")


def _field_errors(extra: object) -> list[FieldError]:
    if not isinstance(extra, list):
        return []
    return [
        FieldError(field=str(one.get("key", "")), message=str(one.get("message", "")))
        for one in extra
        if isinstance(one, dict)
    ]


def _answer(
    request: Request[Any, Any, Any],
    status: int,
    what: str,
    remedy: str = "",
    *,
    headers: dict[str, str] | None = None,
    errors: list[FieldError] | None = None,
) -> Response[bytes]:
    title = _TITLES.get(status, "not possible")
    problem = Problem(
        type=f"/problems/{title.replace(' ', '-')}",
        title=title,
        status=status,
        detail=what,
        remedy=remedy,
        instance=request.url.path,
        errors=errors or [],
    )
    return Response(
        msgspec.json.encode(problem),
        status_code=status,
        media_type=PROBLEM_JSON,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


HANDLERS: dict[Any, Any] = {
    ProblemError: on_problem,
    GeoCropError: on_geocrop_error,
    HTTPException: on_http_exception,
    Exception: on_any_error,
}
"""For Litestar; the most specific one is taken."""
