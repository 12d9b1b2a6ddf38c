"""`stac-api-validator` where there is no network: what it would fetch is read from `tests/schemas` and from pystac.

    python -m tests.stac_api_validator --root-url http://127.0.0.1:8000/api/v1/ --conformance core ...

It asks the server as ever; an address of HTTPS that is no schema kept here is an error that names it.
"""

import sys
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from stac_api_validator.__main__ import main

SCHEMAS = Path(__file__).parent / "schemas"
STAC_VERSION = "v1.1.0"


def schema_of(address: str) -> bytes:
    """The schema at an address; raises FileNotFoundError where none is kept."""
    parts = urlsplit(address)
    name = parts.path.rpartition("/")[2]
    if parts.netloc == "stac-extensions.github.io":
        extension, version = parts.path.split("/")[1:3]
        return (SCHEMAS / f"{extension}-{version}.json").read_bytes()
    kept = files("pystac.validation.jsonschemas")
    if parts.netloc == "geojson.org":
        return (kept / "geojson" / name).read_bytes()
    if parts.netloc == "schemas.stacspec.org" and parts.path.startswith(f"/{STAC_VERSION}/"):
        return (kept / "stac-spec" / STAC_VERSION / name).read_bytes()
    raise FileNotFoundError(address)


class Kept(BaseAdapter):
    """Answers with schemas that are kept."""

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        """See BaseAdapter; raises ConnectionError for anything else."""
        answer = requests.Response()
        try:
            answer._content = schema_of(str(request.url))
        except FileNotFoundError as error:
            raise requests.ConnectionError(f"{request.url} is not kept here: {error}") from error
        answer.status_code, answer.url, answer.request = 200, str(request.url), request
        return answer

    def close(self) -> None:
        """Nothing is open."""


def go_offline() -> None:
    """All sessions of this process ask nobody by HTTPS."""
    make = requests.Session.__init__

    def make_offline(self: requests.Session) -> None:
        make(self)
        self.trust_env = False
        self.mount("https://", Kept())

    requests.Session.__init__ = make_offline  # type: ignore[method-assign]


if __name__ == "__main__":
    go_offline()
    sys.exit(main())
