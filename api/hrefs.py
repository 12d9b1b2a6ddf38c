"""Addresses that open objects of the store for some hours; TiTiler tells those of the page's baselines."""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.clock import now
from api.secrets import signature
from api.settings import ApiSettings
from steps import naming
from steps.dynamic_world import Baseline
from steps.s3 import presigned
from steps.settings import Settings

_BASELINE_TILES = "tiles/WebMercatorQuad/{z}/{x}/{y}.png?tilesize=512"


@dataclass(frozen=True, slots=True)
class Hrefs:
    """Makes addresses; what asks for them within half of the time that they hold gets the same, so that caches hit."""

    store_url: str
    tiler_url: str
    tiler_secret: str
    s3_public_url: str
    hours: float
    """How long an address holds, at most."""
    shared: Settings

    @classmethod
    def of(cls, settings: ApiSettings, shared: Settings, tiler_secret: str) -> "Hrefs":
        """With the API's settings and the secret that it shares with TiTiler."""
        return cls(
            store_url=settings.store_url(shared.home),
            tiler_url=settings.tiler_url,
            tiler_secret=tiler_secret,
            s3_public_url=settings.s3_public_url,
            hours=settings.link_hours,
            shared=shared,
        )

    def expiry(self) -> dt.datetime:
        """Until when addresses made now hold."""
        window = self.hours * 1800
        return dt.datetime.fromtimestamp((math.floor(now().timestamp() / window) + 2) * window, dt.UTC)

    def of_object(self, key: str, expires: dt.datetime) -> str:
        """Opens one object until then, for GET, HEAD and ranges."""
        if self.store_url.startswith("s3://"):
            holds = dt.timedelta(hours=self.hours)
            return presigned(self.store_url, key, self.shared, self.s3_public_url, holds, since=expires - holds)
        return self.of_tiler(f"files/{key}?{self.signed(f'files/{key}', expires)}")

    def of_tiler(self, path: str) -> str:
        """A path of TiTiler's."""
        return f"{self.tiler_url.rstrip('/')}/{path}"

    def of_baseline_tiles(self, baseline: Baseline) -> str:
        """Tiles of a year of Dynamic World, for everybody; the content is part of the address."""
        return self.of_tiler(f"baselines/{baseline.year}/{baseline.version}/{_BASELINE_TILES}")

    def signed(self, path: str, expires: dt.datetime) -> str:
        """The query that opens a path of TiTiler's until then; both values are safe in an address."""
        until = str(int(expires.timestamp()))
        return f"expires={until}&signature={signature(self.tiler_secret, path, until)}"

    def of_baselines(self, baselines: Sequence[Baseline]) -> list[dict[str, Any]]:
        """What `baselines.json` says: each year with its raster and its tiles."""
        expires = self.expiry()
        return [
            {
                "year": one.year,
                "partial_from": one.partial_from,
                "bounds": one.bounds,
                "cog": self.of_object(naming.baseline_key(one.year), expires),
                "tiles": [self.of_baseline_tiles(one)],
            }
            for one in baselines
        ]
