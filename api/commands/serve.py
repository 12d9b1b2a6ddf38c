"""`geocrop serve`: the API, the page, the local engine and TiTiler in one command."""

import argparse
import asyncio
import gc
import os
import resource
import signal
import sys
from pathlib import Path

import msgspec
import structlog
import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server
from granian.utils.proxies import wrap_asgi_with_proxy_headers

from api.app import make_app
from api.context import make_context
from api.secrets import new_secret
from api.settings import ApiSettings, api_settings, is_loopback
from api.tasks import end
from steps.errors import UsageError
from steps.settings import settings

_PAGE = Path(__file__).parents[2] / "ui" / "dist"
_AGAIN_SECONDS = 1.0
_MOST_CONNECTIONS = 4096
"""At once: every page that follows a job holds one."""
_log = structlog.get_logger()


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    chosen = choose(arguments, api_settings())
    return uvloop.run(serve(arguments, chosen))


def choose(arguments: argparse.Namespace, given: ApiSettings) -> ApiSettings:
    """The environment's settings with the command line's; nobody is asked who they are on loopback only."""
    loopback = is_loopback(arguments.host)
    auth = given.auth if "GEOCROP_API_AUTH" in os.environ or not loopback else "off"
    if auth == "off" and not loopback:
        raise UsageError(f"{arguments.host} is reached from outside", "leave GEOCROP_API_AUTH on, and make a key")
    return msgspec.structs.replace(
        given,
        auth=auth,
        store=arguments.out or given.store,
        catalogs=" ".join([given.catalogs, *arguments.catalog]).strip(),
        public_url=_url(given.public_url, "GEOCROP_API_PUBLIC_URL", arguments.host, arguments.port),
        tiler_url=_url(given.tiler_url, "GEOCROP_API_TILER_URL", arguments.host, arguments.tiler_port),
        tiler_secret=given.tiler_secret or new_secret(),
    )


def _url(given: str, variable: str, host: str, port: int) -> str:
    return given if variable in os.environ else f"http://{host}:{port}"


async def serve(arguments: argparse.Namespace, chosen: ApiSettings) -> int:
    """The API in this process, TiTiler in one of its own, until SIGTERM or SIGINT."""
    page = Path(arguments.page) if arguments.page else _PAGE
    app = make_app(make_context(chosen, settings()), page if page.is_dir() else None)
    server = Server(
        wrap_asgi_with_proxy_headers(app, chosen.proxies.split()),
        address=arguments.host,
        port=arguments.port,
        interface=Interfaces.ASGI,
        log_access=False,
        backlog=_MOST_CONNECTIONS,
        backpressure=_MOST_CONNECTIONS,
    )
    gc.freeze()  # what lives for ever is not looked at again: a full look holds every answer up by some 50 ms
    _allow_files(2 * _MOST_CONNECTIONS)
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, server.stop)
    watch = None if arguments.no_tiler else asyncio.create_task(_watch_tiler(arguments, chosen))
    sys.stderr.write(f"GeoCrop is at {chosen.public_url}\n")
    try:
        await server.serve()
    finally:
        if watch is not None:
            await end(watch)
    return 0


def _allow_files(count: int) -> None:
    """As many open files as connections need, where the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _watch_tiler(arguments: argparse.Namespace, chosen: ApiSettings) -> None:
    """Start TiTiler, and again whenever it ends."""
    environ = {
        **os.environ,
        "GEOCROP_API_TILER_SECRET": chosen.tiler_secret,
        "GEOCROP_API_TILER_URL": chosen.tiler_url,
        "GEOCROP_API_STORE": chosen.store,
    }
    command = [sys.executable, "-m", "tiler", "--host", arguments.host, "--port", str(arguments.tiler_port)]
    while True:
        process = await asyncio.create_subprocess_exec(*command, env=environ, stdin=asyncio.subprocess.DEVNULL)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        _log.warning("tiler.ended", code=code)
        await asyncio.sleep(_AGAIN_SECONDS)
