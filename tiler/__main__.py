"""Serves the tiles: `python -m tiler --host 127.0.0.1 --port 8001`."""

import argparse
import asyncio
import os
import signal

from granian.constants import Interfaces
from granian.server.embed import Server

from api.hrefs import Hrefs
from api.settings import api_settings
from steps.errors import UsageError
from steps.log import configure
from steps.settings import Settings, settings
from steps.store import open_store
from tiler.app import make_tiler

_GDAL = {
    "GDAL_CACHEMAX": "64",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MAX_RETRY": "2",
    "CPL_VSIL_CURL_CACHE_SIZE": "33554432",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif",
}


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tiler")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    arguments = parser.parse_args()
    configure(settings())
    asyncio.run(_serve(arguments.host, arguments.port))


async def _serve(host: str, port: int) -> None:
    ours, shared = api_settings(), settings()
    if not ours.tiler_secret:
        raise UsageError("GEOCROP_API_TILER_SECRET is empty", "set it to what the API has")
    os.environ.update(_GDAL | _s3(shared))
    hrefs = Hrefs.of(ours, shared, ours.tiler_secret)
    app = make_tiler(open_store(hrefs.store_url, shared), hrefs)
    server = Server(app, address=host, port=port, interface=Interfaces.ASGI, log_access=False)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.serve()


def _s3(shared: Settings) -> dict[str, str]:
    """GDAL's names for what we know of S3."""
    if not shared.s3_endpoint:
        return {}
    return {
        "AWS_S3_ENDPOINT": shared.s3_endpoint,
        "AWS_ACCESS_KEY_ID": shared.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": shared.s3_secret_key,
        "AWS_REGION": shared.s3_region,
        "AWS_HTTPS": "YES" if shared.s3_secure else "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
    }


if __name__ == "__main__":
    main()
