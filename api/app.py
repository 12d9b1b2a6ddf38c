"""The Litestar application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from litestar import Litestar, Router, head
from litestar.config.compression import CompressionConfig
from litestar.config.cors import CORSConfig
from litestar.datastructures import CacheControlHeader
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.response import File
from litestar.static_files import create_static_files_router
from litestar.types import Message, Scope

from api.auth import LIMITS, AnyRequest, provide_admin, provide_reader, provide_submitter
from api.context import Context
from api.limits import check_body
from api.metrics import counted
from api.problems import HANDLERS
from api.quota import QUOTA, RATE
from api.reconcile import Reconciler
from api.routes import access, admin, aois, choices, health, jobs, quotes, stac
from api.routes.page import list_page_baselines
from api.settings import ApiSettings
from api.tasks import end
from steps.errors import TryAgainError

VERSION = "1.0.0"
"""Of the interface."""
_OPEN_SECONDS = 5.0
"""To wait for the database before serving; without it, answers are 503."""
_TAGS = ("quotes", "jobs", "links", "models", "baselines", "catalogs", "aois", "stac", "auth", "admin", "health")


def make_app(context: Context, page: Path | None = None, *, reconcile: bool = True) -> Litestar:
    """The API over a context, and the web page where its files are."""
    settings = context.settings
    handlers: list[Any] = [_api(settings), list_page_baselines]
    if page is not None:
        handlers += [*_files_of(page), _head_of(page)]
    return Litestar(
        route_handlers=handlers,
        dependencies={
            "context": Provide(_always(context), sync_to_thread=False),
            "reader": Provide(provide_reader),
            "submitter": Provide(provide_submitter),
            "admin": Provide(provide_admin),
        },
        exception_handlers=HANDLERS,
        before_request=_look(settings),
        before_send=[_finished(settings)],
        cors_config=_cors(settings),
        compression_config=CompressionConfig(backend="gzip", gzip_compress_level=6, exclude=["^/api/"]),
        middleware=[counted],
        openapi_config=_openapi(),
        request_max_body_size=settings.max_body_mb * 1_000_000,
        lifespan=[_lifespan(context, reconcile=reconcile)],
    )


def _always(context: Context) -> Callable[[], Context]:
    def provide() -> Context:
        return context

    return provide


def _api(settings: ApiSettings) -> Router:
    return Router(
        path="/api/v1",
        route_handlers=[
            quotes.router,
            jobs.router,
            access.link_handlers,
            aois.make_router(settings.max_upload_mb),
            *choices.handlers,
            stac.router,
            access.router,
            admin.router,
            *health.handlers,
        ],
        response_headers=RATE,
    )


def _head_of(page: Path) -> Any:
    """The router of files answers HEAD for all files but the first."""

    @head("/", include_in_schema=False)
    async def index_head() -> File:
        return File(path=page / "index.html", media_type="text/html", content_disposition_type="inline")

    return index_head


def _files_of(page: Path) -> list[Any]:
    """Built files have their content in their names and are kept for ever; the page itself is asked for anew."""
    kept = CacheControlHeader(max_age=31_536_000, public=True, immutable=True)
    anew = CacheControlHeader(no_cache=True)
    assets = page / "assets"
    root = create_static_files_router(path="/", directories=[page], html_mode=True, cache_control=anew)
    if not assets.is_dir():
        return [root]
    return [create_static_files_router(path="/assets", directories=[assets], name="assets", cache_control=kept), root]


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", description="An API key, or a token of the provider")
    session = SecurityScheme(type="apiKey", name="geocrop_session", security_scheme_in="cookie")
    link = SecurityScheme(type="apiKey", name="link", security_scheme_in="query", description="A read-only link")
    return OpenAPIConfig(
        title="GeoCrop",
        version=VERSION,
        description="Turn an area of interest into a land-use and crop map: quote, submit, watch, get the map.",
        tags=[Tag(name=name) for name in _TAGS],
        components=Components(security_schemes={"bearer": bearer, "session": session, "link": link}),
        security=[{"bearer": []}, {"session": []}, {"link": []}],
        use_handler_docstrings=True,
        path="/api/v1/schema",
        render_plugins=[JsonRenderPlugin()],
        operation_id_creator=lambda handler, _method, _path: handler.handler_name,
    )


def _cors(settings: ApiSettings) -> CORSConfig | None:
    """Closed, unless other sites' pages are allowed by name."""
    origins = settings.cors_origins.split()
    if not origins:
        return None
    return CORSConfig(
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-CSRF-Token"],
        expose_headers=["Location", "Retry-After", *(header.name for header in (*RATE, *QUOTA))],
        allow_credentials=True,
    )


def _look(settings: ApiSettings) -> Any:
    """Bodies made to exhaust the parser are refused before it sees them; uploads go to a process of their own."""

    async def look(request: AnyRequest) -> None:
        if request.method == "POST" and not request.url.path.endswith(_UPLOAD):
            check_body(await request.body(), settings.max_vertices)

    return look


_UPLOAD = "/aois/convert"


def _finished(settings: ApiSettings) -> Any:
    """Every answer's last touch: security headers, and how many requests are left to whoever is known."""
    tiler, s3, basemap = settings.tiler_url, settings.s3_public_url, _origin(settings.basemap_url)
    policy = "; ".join(
        (
            "default-src 'self'",
            f"img-src 'self' data: blob: {tiler} {s3} {basemap}".strip(),
            f"connect-src 'self' {tiler} {s3} {basemap}".strip(),
            "worker-src 'self' blob:",
            "style-src 'self' 'unsafe-inline'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=()",
    }
    if settings.public_url.startswith("https://"):
        headers["Strict-Transport-Security"] = "max-age=31536000"

    always = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def finish(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start":
            limits: dict[str, str] = scope["state"].get(LIMITS, {})
            told = [(name.lower().encode(), value.encode()) for name, value in limits.items()]
            message["headers"] = [*message["headers"], *always, *told]

    return finish


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _lifespan(context: Context, *, reconcile: bool) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        opened = asyncio.Event()
        task = asyncio.create_task(_serve(context, opened, reconcile=reconcile))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OPEN_SECONDS):
                await opened.wait()
        try:
            yield
        finally:
            await end(task)
            await _close(context)

    return lifespan


async def _serve(context: Context, opened: asyncio.Event, *, reconcile: bool) -> None:
    """Work as soon as the database answers, however long that takes."""
    while True:
        try:
            await context.database.open()
            break
        except TryAgainError:
            await asyncio.sleep(1)
    await context.engine.open()
    opened.set()
    if reconcile:
        context.wake.set()
        await Reconciler(context).run()


async def _close(context: Context) -> None:
    await context.desk.close()
    await context.planner.close()
    await context.engine.close()
    if context.oidc is not None:
        await context.oidc.close()
    await context.database.close()
