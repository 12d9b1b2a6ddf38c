"""Scenes: STAC items, normalised. Bands go by common names (`red`, `swir16`), whatever the provider says."""

import datetime as dt
import functools
from typing import Any

import msgspec

from steps.model.digest import digest

REFLECTANCE_BANDS = (
    "coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "nir09", "swir16", "swir22",
)  # fmt: skip
"""Canonical names, as Earth Search v1 and the STAC eo extension spell them."""
SCL = "scl"
"""The scene classification layer."""


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """One raster of a scene. Reflectance = DN * scale + offset, where DN is not nodata."""

    href: str
    """Absolute path or URL, never signed."""
    epsg: int | None = None
    """None: not stated, read it from the file."""
    transform: tuple[float, float, float, float, float, float] | None = None
    """Affine a, b, c, d, e, f from pixel corners to x, y in metres."""
    shape: tuple[int, int] | None = None
    """rows, columns."""
    nodata: float | None = 0
    scale: float = 1e-4
    offset: float = 0.0
    """Resolved: what really has to be added, not what an item may wrongly state."""
    version: str = ""
    """Checksum, or size and time of a local file; empty where the provider gives none."""


class Scene(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One STAC item, pinned."""

    id: str
    collection: str
    datetime: dt.datetime
    """Aware, UTC."""
    solar_day: dt.date
    """Local solar date at the footprint's centre; granules of one solar day are one observation."""
    footprint: dict[str, Any]
    """GeoJSON Polygon or MultiPolygon, lon/lat."""
    assets: dict[str, Asset]
    """By canonical name; reflectance bands and `scl`."""
    cloud_cover: float | None = None
    """Percent, by the provider's metadata."""
    baseline: str = ""
    """Processing baseline, as 05.09."""
    version: str = ""
    """When the item was last updated or generated, as the provider says."""
    offset_source: str = "stated"
    """How the offset was resolved: stated, applied, baseline, probe or none."""

    @functools.cached_property
    def pixels(self) -> str:
        """Digest of all that changes pixels: not its cloud cover, nor how its offset was found.

        Kept, since a scene is part of the keys of many tiles.
        """
        fields = ("id", "collection", "solar_day", "baseline", "version", "assets")
        return digest({name: getattr(self, name) for name in fields})
