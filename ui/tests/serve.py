"""`geocrop serve` over what make_data.py made, in a home of its own that ends with it.

`serve.py FOLDER PORT` is at home in FOLDER/at-PORT as long as it runs, has TiTiler on PORT + 1, and nobody has
to sign in; with `--sign-in` users do, their identity provider is on PORT + 2, and the basemap is an operator's.
"""

import os
import shutil
import sys
from pathlib import Path


def serve(folder: Path, port: int, *, sign_in: bool) -> int:
    """Serve until SIGTERM."""
    home = folder / f"at-{port}"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(folder / "home", home)
    try:
        os.environ["GEOCROP_HOME"] = str(home)
        if sign_in:
            os.environ.update(_provided(port + 2) | _basemap(port + 1))
        from steps.cli import dispatch  # noqa: PLC0415 - settings are read from here on

        catalog = f"demo={folder / 'land/catalog.json'}"
        return dispatch(["serve", "--port", str(port), "--tiler-port", str(port + 1), "--catalog", catalog])
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _basemap(tiler_port: int) -> dict[str, str]:
    """Tiles of another host: a year of the baseline stands in for a picture of the ground."""
    tiles = f"http://127.0.0.1:{tiler_port}/baselines/2016/any/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}.png"
    return {"GEOCROP_API_BASEMAP_URL": tiles, "GEOCROP_API_BASEMAP_ATTRIBUTION": "Any Maps Ltd"}


def _provided(port: int) -> dict[str, str]:
    from provider import start_provider  # noqa: PLC0415 - lies beside this file

    issuer = start_provider(port)
    return {
        "GEOCROP_API_AUTH": "on",
        "GEOCROP_API_OIDC_ISSUER": issuer,
        "GEOCROP_API_OIDC_CLIENT_ID": "geocrop",
        "GEOCROP_API_OIDC_CLIENT_SECRET": "kept by both",
    }


if __name__ == "__main__":
    sys.exit(serve(Path(sys.argv[1]).resolve(), int(sys.argv[2]), sign_in="--sign-in" in sys.argv))
