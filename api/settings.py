"""What the API is told by its environment, read once; the rest of the settings is `steps.settings`."""

import functools
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from steps.errors import UsageError
from steps.settings import Settings, settings

_PREFIX = "GEOCROP_API_"


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`GEOCROP_API_` and the field's name in capitals."""

    database: str = ""
    """postgresql:// address of PostGIS; empty: SQLite under GEOCROP_HOME."""
    store: str = ""
    """Where maps go; empty: the folder `store` under GEOCROP_HOME."""
    engine: Literal["local", "argo"] = "local"
    auth: Literal["off", "on"] = "on"
    """`geocrop serve` turns it off by default, on loopback only."""
    public_url: str = "http://127.0.0.1:8000"
    """Where users reach the API and the page."""
    tiler_url: str = "http://127.0.0.1:8001"
    """Where users reach TiTiler."""
    tiler_secret: str = ""
    """Signs addresses of tiles; shared with TiTiler. Empty: made at start, good for one machine."""
    s3_public_url: str = ""
    """Where users reach S3, as https://s3.example.org; presigned links are signed for it."""
    catalogs: str = ""
    """The catalogs that jobs may read, NAME=URL-or-PATH separated by spaces."""
    rasters: str = ""
    """The rasters that jobs may use as masks and layers, NAME=URL-or-PATH separated by spaces."""
    basemap_url: str = ""
    """Raster tiles under everything, as https://tiles.example.org/{z}/{x}/{y}.png; empty: outlines of our own."""
    basemap_attribution: str = ""
    """Whose they are; on the map whenever they are."""
    cors_origins: str = ""
    """Origins of other sites' pages that may call, separated by spaces."""
    oidc_issuer: str = ""
    oidc_internal_url: str = ""
    """Where this server reaches the provider, when that is not the issuer's address: http://gitea:3000."""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_admins: str = ""
    """Subjects or e-mail addresses of administrators, separated by spaces."""
    require_quote: bool = False
    """Whether a job needs a quote first."""
    max_aoi_km2: float = 50_000.0
    max_tiles: int = 5_000
    """Of one job."""
    max_active_jobs: int = 20
    """Queued or running, of one owner."""
    max_active_tiles: int = 20_000
    """Of one owner's queued and running jobs together."""
    max_active_km2: float = 200_000.0
    """Of one owner's queued and running jobs together."""
    requests_per_minute: int = 1_200
    """Of one owner or address."""
    submissions_per_minute: int = 60
    sign_ins_per_minute: int = 60
    """Of one address."""
    proxies: str = ""
    """Addresses or networks of proxies that are believed where a request comes from, separated by spaces."""
    max_vertices: int = 50_000
    max_body_mb: int = 8
    max_upload_mb: int = 50
    local_jobs: int = 1
    """Jobs that the local engine runs at once."""
    disk_reserve_mb: int = 1_000
    """Free space that no job may take from a folder store."""
    store_budget_mb: int = 0
    """Space that maps and tiles may take in an S3 store; 0: as much as there is."""
    argo_namespace: str = "geocrop"
    argo_template: str = "map-aoi"
    argo_pods: Annotated[int, msgspec.Meta(ge=1)] = 4
    """Tiles' pods of a job that run at once: `slots.pods` of the templates."""
    link_hours: float = 12.0
    """How long signed addresses of tiles and files hold."""

    def __repr__(self) -> str:
        return f"ApiSettings(engine={self.engine!r}, auth={self.auth!r}, public_url={self.public_url!r})"

    def store_url(self, home: Path) -> str:
        """Where maps go."""
        return self.store or str(home / "store")


def read_api_settings(environ: Mapping[str, str]) -> ApiSettings:
    """Settings from variables; raises UsageError on a GEOCROP_API_ variable that is unknown or malformed."""
    fields = {f"{_PREFIX}{name.upper()}": name for name in ApiSettings.__struct_fields__}
    given = {name: value for name, value in environ.items() if name.startswith(_PREFIX) and value}
    if unknown := sorted(set(given) - set(fields)):
        raise UsageError(f"unknown variable {unknown[0]}", f"known are {', '.join(sorted(fields))}")
    try:
        return msgspec.convert({fields[name]: value for name, value in given.items()}, ApiSettings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"the environment does not fit: {error}", "see docs/reference/settings.md") from None


def pairs(text: str, variable: str) -> dict[str, str]:
    """NAME=VALUE pairs separated by spaces; raises UsageError."""
    found: dict[str, str] = {}
    for pair in text.split():
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{variable} holds {pair!r}", "write NAME=VALUE, separated by spaces")
        found[name] = value
    return found


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@functools.cache
def api_settings() -> ApiSettings:
    """The API's settings of this process."""
    return read_api_settings(os.environ)


def both_settings() -> tuple[ApiSettings, Settings]:
    """The API's own, and those that it shares with the steps."""
    return api_settings(), settings()
