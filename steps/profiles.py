"""Collection profiles, as data: how each provider of Sentinel-2 L2A names its assets and states its offsets."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from steps.model.scene import SCL

_BANDS = {
    "coastal": "B01", "blue": "B02", "green": "B03", "red": "B04", "rededge1": "B05", "rededge2": "B06",
    "rededge3": "B07", "nir": "B08", "nir08": "B8A", "nir09": "B09", "swir16": "B11", "swir22": "B12",
    SCL: "SCL",
}  # fmt: skip
"""Canonical name to the name in ESA's products."""
_METRES = {"B01": 60, "B09": 60, "B05": 20, "B06": 20, "B07": 20, "B8A": 20, "B11": 20, "B12": 20, "SCL": 20}
_COMMON = {name: (name,) for name in _BANDS}
_ESA = {name: (code,) for name, code in _BANDS.items()}
_SIZED = {name: (f"{code}_{_METRES.get(code, 10)}m",) for name, code in _BANDS.items()}
"""As the Copernicus Data Space spells them: B02_10m."""


def _either(*tables: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(key for table in tables for key in table[name]) for name in _BANDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is known of a collection beyond what its items say."""

    name: str
    collections: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Part of the catalog's URL; tells providers apart whose collections have the same id."""
    assets: dict[str, tuple[str, ...]] = field(default_factory=lambda: _either(_COMMON, _ESA, _SIZED))
    """Canonical band name to asset keys, best first."""
    scale: float = 1e-4
    """Reflectance per DN where the item states none."""
    baseline_offset: float = -0.1
    """Reflectance to add from processing baseline 04.00 on (BOA_ADD_OFFSET -1000), where the item states none."""
    min_baseline: str = ""
    """The oldest baseline in the collection; used for items that state none."""
    applied_flags: tuple[str, ...] = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
    """Properties that say whether the provider has subtracted the offset from the pixels already."""


EARTH_SEARCH_V0 = Profile(
    name="earth-search-v0",
    collections=("sentinel-s2-l2a-cogs",),
    assets=_either(_ESA, _COMMON),
    applied_flags=("sentinel:boa_offset_applied", "earthsearch:boa_offset_applied"),
)
EARTH_SEARCH_V1 = Profile(
    name="earth-search-v1",
    collections=("sentinel-2-l2a",),
    hosts=("earth-search", "element84"),
    assets=_either(_COMMON, _ESA),
)
EARTH_SEARCH_C1 = Profile(
    name="earth-search-c1",
    collections=("sentinel-2-c1-l2a",),
    assets=_either(_COMMON, _ESA),
    min_baseline="05.00",
)
PLANETARY_COMPUTER = Profile(
    name="planetary-computer",
    collections=("sentinel-2-l2a",),
    hosts=("planetarycomputer",),
    assets=_either(_ESA, _COMMON),
    applied_flags=(),
)
DE_AFRICA = Profile(
    name="de-africa",
    collections=("s2_l2a",),
    assets=_either(_ESA, _COMMON),
    applied_flags=("sentinel:boa_offset_applied", "earthsearch:boa_offset_applied"),
)
DE_AFRICA_C1 = Profile(
    name="de-africa-c1",
    collections=("s2_l2a_c1",),
    assets=_either(_ESA, _COMMON),
    min_baseline="05.00",
)
GENERIC = Profile(name="generic")
"""Any other catalog: all spellings, and what the items say."""
PROFILES = (EARTH_SEARCH_V0, EARTH_SEARCH_V1, EARTH_SEARCH_C1, PLANETARY_COMPUTER, DE_AFRICA, DE_AFRICA_C1)

SIGNED_HOSTS = ("sentinel2l2a01.blob.core.windows.net",)
"""Storage of the Planetary Computer that is only read with a token."""
PUBLIC_BUCKETS = {
    "sentinel-cogs": "us-west-2",
    "e84-earth-search-sentinel-data": "us-west-2",
    "deafrica-sentinel-2": "af-south-1",
    "deafrica-sentinel-2-l2a-c1": "af-south-1",
}
"""Buckets that everybody may read, and their regions: their s3:// hrefs become https:// and need no credentials."""


def known_collections() -> frozenset[str]:
    """Ids of collections that hold Sentinel-2 L2A as this software understands it."""
    return frozenset(name for profile in PROFILES for name in profile.collections)


def profile_for(collection: str, catalog: str = "") -> Profile:
    """The profile of a collection; the catalog's URL decides between providers that use the same id."""
    named = [profile for profile in PROFILES if collection in profile.collections]
    at_host = [profile for profile in named if any(host in catalog.lower() for host in profile.hosts)]
    if at_host:
        return at_host[0]
    return named[0] if len(named) == 1 else GENERIC
