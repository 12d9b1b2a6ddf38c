"""STAC items to scenes: names, hrefs, projection and offsets resolved. Pure.

An item may come from anybody: whatever it holds, the result is a Scene or a CatalogError. Specifications: STAC 1.0 and
1.1 core, projection 1.x and 2.x, raster 1.1 and 2.0, eo, file and processing extensions.

Offset, in this order: what the provider says to have applied already (0); the offset that the asset states, unless it
states none while the item says that the offset is still in the pixels; -1000 DN from processing baseline 04.00 on; 0.
"""

import datetime as dt
import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlencode, urljoin, urlsplit, urlunsplit

import numpy as np
import pyproj
import shapely
from pyproj.exceptions import ProjError
from shapely.errors import ShapelyError
from shapely.geometry import MultiPolygon, Polygon, mapping, shape
from shapely.geometry.base import BaseGeometry

from steps.errors import CatalogError
from steps.model.scene import REFLECTANCE_BANDS, SCL, Asset, Scene
from steps.profiles import PUBLIC_BUCKETS, Profile

OFFSET_SINCE = "04.00"
"""The first processing baseline whose pixels carry BOA_ADD_OFFSET."""
_REMOTE_SCHEMES = ("http", "https", "s3", "gs", "az", "abfs")
_SIGNING = re.compile(
    r"(x-amz-.*|x-goog-.*|awsaccesskeyid|signature|expires|key-pair-id|policy|token|access_token|sig)"
)
_SAS = frozenset(
    ("sv", "st", "se", "sr", "sp", "sig", "skoid", "sktid", "skt", "ske", "sks", "skv", "spr", "sip", "ss", "srt", "si",
     "sdd", "saoid", "suoid", "scid")
)  # fmt: skip
_BASELINE_KEYS = ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version")
_PRODUCT_KEYS = ("s2:product_uri", "sentinel:product_id", "s2:datastrip_id", "s2:granule_id")
_VERSION_KEYS = ("updated", "created", "s2:generation_time")
_TILE_KEYS = ("s2:mgrs_tile", "s2:tile", "odc:region_code", "grid:code")
_TILE = re.compile(r"(?:^|[_-])(?:MGRS-|T)?([0-9]{1,2}[C-HJ-NP-X][A-HJ-NP-Z]{2})(?=$|[_-])")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Says which item is meant in every message."""

    item: str

    def __call__(self, what: str, remedy: str = "leave it out, or correct the catalog") -> NoReturn:
        """Raise the CatalogError."""
        raise CatalogError(f"item {self.item} {what}", remedy)


def to_scene(item: Json, profile: Profile, *, base: str = "", bands: Sequence[str] = ()) -> Scene:
    """The scene of a STAC item. Raises CatalogError naming the item and its fault.

    `base` is the path or URL that relative hrefs start from (default: the item's self link). `bands` limits the assets
    to some reflectance bands and `scl`; none: all that are known.
    """
    fault = Fault(_item_id(item))
    properties = _member(item, "properties", fault)
    when = _datetime(properties, fault)
    footprint = _footprint(item, fault)
    baseline = baseline_of(item) or profile.min_baseline
    wanted = (*bands, SCL) if bands else (*REFLECTANCE_BANDS, SCL)
    resolver = _AssetReader(item, profile, baseline, base or self_href(item), fault)
    assets = {band: asset for band in dict.fromkeys(wanted) if (asset := resolver.read(band)) is not None}
    _check_place(assets, footprint, fault)
    return Scene(
        id=fault.item,
        collection=_text(item.get("collection")) or profile.name,
        datetime=when,
        solar_day=solar_day(when, footprint, fault),
        footprint=_geojson(footprint),
        assets=assets,
        cloud_cover=_percent(properties.get("eo:cloud_cover")),
        baseline=baseline,
        version=_version(properties),
        offset_source=resolver.source(),
    )


def asset_names(item: Json, profile: Profile) -> list[str]:
    """Canonical names of the bands that an item carries, else the keys of its assets."""
    assets = item.get("assets")
    if not isinstance(assets, dict):
        return []
    found = [band for band in (*REFLECTANCE_BANDS, SCL) if _find(assets, band, profile) is not None]
    return found or sorted(str(key) for key in assets)


def self_href(item: Json) -> str:
    """The item's own absolute URL, or nothing."""
    links = item.get("links")
    for link in links if isinstance(links, list) else ():
        href = link.get("href") if isinstance(link, dict) and link.get("rel") == "self" else None
        if isinstance(href, str) and is_remote(href):
            return href
    return ""


def _item_id(item: object) -> str:
    found = item.get("id") if isinstance(item, dict) else None
    if not isinstance(found, str) or not found.strip() or len(found) > 500:
        raise CatalogError("the catalog holds an item without a usable id", "correct the catalog")
    return found


def _member(item: Json, key: str, fault: Fault) -> Json:
    found = item.get(key)
    if not isinstance(found, dict):
        fault(f"has no {key}")
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _percent(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 100 else None


# -- when ----------------------------------------------------------------------------------------------------------


def _datetime(properties: Json, fault: Fault) -> dt.datetime:
    text = _text(properties.get("datetime")) or _text(properties.get("start_datetime"))
    when = parse_datetime(text)
    if when is None:
        fault(f"has the datetime {text[:40]!r}")
    return when


def parse_datetime(text: str) -> dt.datetime | None:
    """RFC 3339, aware in UTC; without a zone it is taken as UTC, as STAC asks for. None: no datetime."""
    try:
        when = dt.datetime.fromisoformat(text)
        return when.replace(tzinfo=when.tzinfo or dt.UTC).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def solar_day(when: dt.datetime, footprint: BaseGeometry, fault: Fault) -> dt.date:
    """The date by mean solar time at the middle of the footprint: 15 degrees an hour."""
    west, _, east, _ = footprint.bounds
    longitude = ((west + east) / 2 + 180) % 360 - 180
    try:
        return (when + dt.timedelta(hours=longitude / 15)).date()
    except OverflowError:
        fault(f"has the datetime {when.isoformat()}")


def baseline_of(item: Json) -> str:
    """The processing baseline as 05.09, from its property or the product's name (N0509); empty: not known."""
    properties = item.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    for key in _BASELINE_KEYS:
        found = re.fullmatch(r"([0-9]{1,2})\.([0-9]{1,2})", str(properties.get(key, ""))[:20])
        if found:
            return f"{int(found[1]):02d}.{found[2].ljust(2, '0')}"
    for text in (*(properties.get(key) for key in _PRODUCT_KEYS), item.get("id")):
        named = re.search(r"_N([0-9]{2})\.?([0-9]{2})(?:_|\.|$)", _text(text))
        if named:
            return f"{named[1]}.{named[2]}"
    return ""


def _version(properties: Json) -> str:
    for key in _VERSION_KEYS:
        when = parse_datetime(_text(properties.get(key)))
        if when is not None:
            return when.isoformat(timespec="seconds")
    return ""


# -- where ---------------------------------------------------------------------------------------------------------


def _footprint(item: Json, fault: Fault) -> Polygon | MultiPolygon:
    """lon/lat, 2-D, valid; one that crosses the antimeridian runs on past 180."""
    geometry = item.get("geometry")
    try:
        with np.errstate(all="ignore"):  # NaN is looked for afterwards
            found = shape(geometry) if isinstance(geometry, dict) else _box(item.get("bbox"))
            return _areas(_home(shapely.force_2d(found)))
    except (ShapelyError, ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError):
        fault("has no usable footprint")


def _box(bbox: Any) -> Polygon:
    west, south, east, north = (float(v) for v in (bbox if len(bbox) == 4 else (*bbox[:2], *bbox[3:5])))
    return shapely.box(west, south, east + 360 * (east < west), north)


def _home(geometry: BaseGeometry) -> BaseGeometry:
    """The footprint's western end within -180..180. A scene is small: what spans the globe crosses the antimeridian."""
    coordinates = shapely.get_coordinates(geometry)
    if not (len(coordinates) and np.isfinite(coordinates).all() and np.abs(coordinates).max() <= 540):
        raise ValueError("no degrees")
    if np.ptp(coordinates[:, 0]) > 180:
        geometry = shapely.transform(geometry, lambda xy: xy + np.where(xy < 0, [360.0, 0.0], 0.0))
    turns = -math.floor((geometry.bounds[0] + 180) / 360)
    return _eastward(geometry, 360.0 * turns) if turns else geometry


def _eastward(geometry: BaseGeometry, degrees: float) -> BaseGeometry:
    return shapely.transform(geometry, lambda xy: xy + np.array([degrees, 0.0]))


def _areas(geometry: BaseGeometry) -> Polygon | MultiPolygon:
    if not geometry.is_valid:
        geometry = shapely.make_valid(geometry)
    parts = [p for p in shapely.get_parts(shapely.union_all(_polygons(geometry))) if isinstance(p, Polygon) and p.area]
    if not parts:
        raise ValueError("no area")
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _polygons(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Polygons and multipolygons among the parts, at any depth of two."""
    parts = [inner for part in shapely.get_parts(geometry) for inner in shapely.get_parts(part)]
    return [part for part in parts if isinstance(part, Polygon)]


def _geojson(geometry: BaseGeometry) -> Json:
    found = mapping(geometry)
    return {"type": found["type"], "coordinates": _lists(found["coordinates"])}


def _lists(value: Any) -> Any:
    return [_lists(one) for one in value] if isinstance(value, tuple | list) else value


def _check_place(assets: Mapping[str, Asset], footprint: BaseGeometry, fault: Fault) -> None:
    """An item whose CRS puts its pixels elsewhere than its footprint has one of the two wrong."""
    for epsg, transform, size in sorted({(a.epsg, a.transform, a.shape) for a in assets.values()}, key=str):
        if epsg and transform and size and not _meet(_lonlat_bounds(epsg, transform, size), footprint):
            what = f"states EPSG:{epsg}, which puts its pixels outside of its footprint"
            fault(what, "correct its CRS or its footprint")


def _lonlat_bounds(epsg: int, transform: tuple[float, ...], size: tuple[int, int]) -> tuple[float, ...]:
    """west, south, east, north of a raster; infinite where its CRS does not reach."""
    a, b, c, d, e, f = transform
    rows, cols = size
    xs = [c, c + a * cols, c + b * rows, c + a * cols + b * rows]
    ys = [f, f + d * cols, f + e * rows, f + d * cols + e * rows]
    try:
        return _lonlat(epsg).transform_bounds(min(xs), min(ys), max(xs), max(ys))
    except ProjError:
        return (math.inf,) * 4


def _meet(bounds: tuple[float, ...], footprint: BaseGeometry) -> bool:
    west, south, east, north = bounds
    if not all(math.isfinite(value) for value in bounds):
        return False
    box = shapely.box(west, south, east + 360 * (east < west), north)
    left, bottom, right, top = footprint.bounds
    around = shapely.box(left - 0.01, bottom - 0.01, right + 0.01, top + 0.01)
    return any(box.intersects(_eastward(around, turn)) for turn in (-360.0, 0.0, 360.0))


@functools.lru_cache(maxsize=256)
def _lonlat(epsg: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)


@functools.lru_cache(maxsize=256)
def _is_crs(epsg: int) -> bool:
    try:
        crs = pyproj.CRS.from_epsg(epsg)
    except ProjError:
        return False
    return bool(crs.is_projected or crs.is_geographic)


def tile_of(item: Json) -> str:
    """The MGRS tile, as 35MNM, from whichever property or name says so; empty: not known."""
    properties = item.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    for prefix in ("mgrs", "sentinel"):
        parts = [str(properties.get(f"{prefix}:{key}", "")) for key in ("utm_zone", "latitude_band", "grid_square")]
        if all(parts):
            return "".join(parts).zfill(5)[:20]
    for text in (*(properties.get(key) for key in (*_TILE_KEYS, *_PRODUCT_KEYS)), item.get("id")):
        if found := _TILE.search(_text(text)):
            return found[1].zfill(5)
    return ""


# -- hrefs ---------------------------------------------------------------------------------------------------------


def is_remote(href: str) -> bool:
    """Whether an href leads to another machine."""
    return href.split("://", 1)[0].lower() in _REMOTE_SCHEMES and "://" in href


def absolute_href(href: str, base: str) -> str:
    """An href as an absolute path or URL, unsigned, in one spelling. Raises CatalogError.

    A remote document may not point into this machine's files, neither by file:// nor by GDAL's /vsi paths.
    """
    plain = _plain(href)
    if is_remote(plain):
        return _public(unsigned(plain))
    if is_remote(base):
        if plain.startswith("/vsi") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", plain):
            raise CatalogError(f"{base} refers to {plain[:100]}", "a remote catalog may only refer to remote files")
        return _public(unsigned(_joined(base, plain)))
    return _local(plain, base)


def _plain(href: str) -> str:
    """Without GDAL's prefixes, as often as they stand there."""
    text = href.strip()
    if not text or any(ord(letter) < 32 for letter in text):
        raise CatalogError(f"{href[:60]!r} is no href", "correct the catalog")
    for prefix, scheme in (("/vsicurl/", ""), ("/vsis3/", "s3://"), ("/vsigs/", "gs://"), ("/vsiaz/", "az://")):
        if text.startswith(prefix):
            return _plain(scheme + text[len(prefix) :])
    return text


def _joined(base: str, relative: str) -> str:
    if urlsplit(base).scheme in ("http", "https"):
        joined = urljoin(base, relative)
    else:  # urljoin knows no other schemes
        scheme, _, rest = base.partition("://")
        joined = f"{scheme}://{urljoin('http://' + rest, relative).removeprefix('http://')}"
    if not is_remote(joined):
        raise CatalogError(f"{base} refers to {relative[:100]}", "a remote catalog may only refer to remote files")
    return joined


def _local(plain: str, base: str) -> str:
    if plain.startswith("file://"):
        plain = unquote(urlsplit(plain).path)
    elif "://" in plain:
        raise CatalogError(f"{plain[:100]} has a scheme that cannot be read", "give paths, https:// or s3://")
    if plain.startswith("/"):
        return plain
    if not base.startswith("/"):
        raise CatalogError(f"the href {plain[:100]} is relative to nothing", "give the catalog by its path or URL")
    folder = base.rsplit("/", 1)[0]
    return _collapsed(f"{folder}/{plain}")


def _collapsed(path: str) -> str:
    """Without . and .. steps, so that one file has one name."""
    steps: list[str] = []
    for step in path.split("/"):
        if step == "..":
            del steps[-1:]
        elif step not in ("", "."):
            steps.append(step)
    return "/" + "/".join(steps)


def _public(url: str) -> str:
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme == "s3" and bucket in PUBLIC_BUCKETS:
        return f"https://{bucket}.s3.{PUBLIC_BUCKETS[bucket]}.amazonaws.com/{key}"
    return url


def unsigned(url: str) -> str:
    """A URL without what signs it (SAS, AWS, Google, CloudFront, tokens, passwords): that expires, and leaks."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        raise CatalogError(f"{url[:100]!r} is no URL", "correct the catalog") from None
    names = {name.lower() for name, _ in pairs}
    drop = _SAS if "sig" in names else frozenset[str]()
    kept = [(k, v) for k, v in pairs if k.lower() not in drop and not _SIGNING.fullmatch(k.lower())]
    query = parts.query if len(kept) == len(pairs) else urlencode(kept)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


# -- assets --------------------------------------------------------------------------------------------------------


def _find(assets: Json, band: str, profile: Profile) -> Json | None:
    """The asset of a band: by its key, else by the name of its only band."""
    for key in profile.assets[band]:
        if isinstance(assets.get(key), dict):
            found: Json = assets[key]
            return found
    names = set(profile.assets[band])
    for key, asset in assets.items():
        if isinstance(asset, dict) and not str(key).endswith("-jp2") and _only_band_name(asset) in names:
            return asset
    return None


def _only_band_name(asset: Json) -> str:
    for key in ("eo:bands", "bands"):
        bands = asset.get(key)
        if isinstance(bands, list) and len(bands) == 1 and isinstance(bands[0], dict):
            return _text(bands[0].get("name"))
    return ""


class _AssetReader:
    """Resolves the assets of one item, and remembers where their offsets came from."""

    def __init__(self, item: Json, profile: Profile, baseline: str, base: str, fault: Fault) -> None:
        self.assets = _member(item, "assets", fault)
        self.properties = _member(item, "properties", fault)
        self.profile, self.baseline, self.base, self.fault = profile, baseline, base, fault
        self.sources: Counter[str] = Counter()

    def read(self, band: str) -> Asset | None:
        """The asset of a band by canonical name; None: the item has none."""
        if band not in self.profile.assets:
            return None
        asset = _find(self.assets, band, self.profile)
        if asset is None:
            return None
        scale, offset = (1.0, 0.0) if band == SCL else self._radiometry(asset, band)
        return Asset(
            href=self._href(asset, band),
            epsg=self._epsg(asset, band),
            transform=self._transform(asset, band),
            shape=self._shape(asset, band),
            nodata=self._nodata(asset),
            scale=scale,
            offset=offset,
            version=_text(asset.get("file:checksum")) or _text(asset.get("checksum:multihash")),
        )

    def source(self) -> str:
        """How most of the offsets were resolved."""
        return self.sources.most_common(1)[0][0] if self.sources else "none"

    def _href(self, asset: Json, band: str) -> str:
        try:
            return absolute_href(_text(asset.get("href")), self.base)
        except CatalogError as error:
            self.fault(f"has an unusable href for {band}: {error.what}", error.remedy)

    def _layers(self, asset: Json) -> list[Json]:
        """Where raster metadata may stand, the most particular first."""
        bands = [first for key in ("raster:bands", "bands") if (first := _first(asset.get(key)))]
        return [*bands, asset]

    def _stated(self, asset: Json, *keys: str) -> object:
        found = (layer[key] for layer in self._layers(asset) for key in keys if layer.get(key) is not None)
        return next(found, None)

    def _radiometry(self, asset: Json, band: str) -> tuple[float, float]:
        """scale, offset of reflectance."""
        stated = self._stated(asset, "raster:scale", "scale")
        shift = self._stated(asset, "raster:offset", "offset")
        scale = self._scale(stated, shift, asset, band)
        offset, source = self._offset(shift, scale, band)
        self.sources[source] += 1
        return scale, offset

    def _scale(self, stated: object, shift: object, asset: Json, band: str) -> float:
        if stated is None:
            return self.profile.scale
        scale = _number(stated)
        if scale is None or scale <= 0:
            self.fault(f"states the scale {str(stated)[:40]} for {band}")
        whole = _text(self._stated(asset, "data_type")).startswith(("int", "uint"))
        if scale == 1 and whole and not shift:  # the extension's defaults, written out: nobody's reflectance
            return self.profile.scale
        return scale

    def _offset(self, stated: object, scale: float, band: str) -> tuple[float, str]:
        flag = next((self.properties[k] for k in self.profile.applied_flags if k in self.properties), None)
        if flag is True:
            return 0.0, "applied"
        shifted = self.baseline >= OFFSET_SINCE
        if stated is None or (stated == 0 and flag is False and shifted):
            if not self.baseline:
                return 0.0, "none"
            return (self.profile.baseline_offset if shifted else 0.0), "baseline"
        offset = _number(stated)
        if offset is None:
            self.fault(f"states the offset {str(stated)[:40]} for {band}")
        # No reflectance is shifted by 10 and more: such an offset is meant in DN.
        return (offset * scale if abs(offset) >= 10 else offset) + 0.0, "stated"

    def _nodata(self, asset: Json) -> float | None:
        found = self._stated(asset, "nodata")
        if found is None:
            return 0.0
        return _number(found)

    def _projection(self, asset: Json, key: str) -> object:
        for place in (asset, self.properties):
            if key in place:
                return place[key]
        return None

    def _epsg(self, asset: Json, band: str) -> int | None:
        for place in (asset, self.properties):
            if place.get("proj:code") is not None:
                return self._checked(self._code(place["proj:code"], band), band)
            if place.get("proj:epsg") is not None:
                return self._checked(place["proj:epsg"], band)
        return None

    def _code(self, value: object, band: str) -> int | None:
        authority, colon, number = _text(value).partition(":")
        if not colon:
            self.fault(f"states the CRS {str(value)[:40]!r} for {band}")
        return int(number) if authority.upper() == "EPSG" and re.fullmatch("[0-9]{1,9}", number) else None

    def _checked(self, epsg: object, band: str) -> int | None:
        number = None if epsg is None else _number(epsg)
        if epsg is None:
            return None
        if number is None or not number.is_integer() or not 0 < number < 1e9 or not _is_crs(int(number)):
            self.fault(f"states the CRS EPSG:{str(epsg)[:40]} for {band}, which does not exist", "correct its CRS")
        return int(number)

    def _transform(self, asset: Json, band: str) -> tuple[float, float, float, float, float, float] | None:
        found = self._projection(asset, "proj:transform")
        if found is None:
            return None
        values = self._numbers(found, (6, 9), f"proj:transform of {band}")
        a, b, c, d, e, f = values[:6]
        if abs(a * e - b * d) < 1e-12 or max(abs(value) for value in values) > 1e9:
            self.fault(f"has a proj:transform of {band} without pixels")
        return a, b, c, d, e, f

    def _shape(self, asset: Json, band: str) -> tuple[int, int] | None:
        found = self._projection(asset, "proj:shape")
        if found is None:
            return None
        rows, cols = self._numbers(found, (2,), f"proj:shape of {band}")
        if not (rows.is_integer() and cols.is_integer() and 0 < rows < 1e7 and 0 < cols < 1e7):
            self.fault(f"has a proj:shape of {band} that is no size")
        return int(rows), int(cols)

    def _numbers(self, found: object, lengths: tuple[int, ...], what: str) -> list[float]:
        values = [_number(value) for value in found] if isinstance(found, list | tuple) else []
        numbers = [value for value in values if value is not None]
        if len(numbers) != len(values) or len(values) not in lengths:
            self.fault(f"has a {what} that is no list of {lengths[0]} numbers")
        return numbers


def _first(bands: object) -> Json | None:
    first = bands[0] if isinstance(bands, list) and bands else None
    return first if isinstance(first, dict) else None


# -- reprocessing --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scene together with the tile that it is one of, which tells reprocessed duplicates."""

    tile: str
    scene: Scene


def to_candidate(item: Json, profile: Profile, *, base: str = "", bands: Sequence[str] = ()) -> Candidate:
    """A scene and its tile; where no tile is known, its pixel grid and platform stand in for one."""
    scene = to_scene(item, profile, base=base, bands=bands)
    tile = tile_of(item)
    asset = next(iter(scene.assets.values()), None)
    if not tile and asset is not None and asset.transform is not None:
        tile = f"{asset.epsg} {asset.transform} {asset.shape} {item['properties'].get('platform')}"
    return Candidate(tile, scene)


def newest(candidates: Iterable[Candidate]) -> list[Scene]:
    """Scenes without reprocessed duplicates, sorted by solar day and id.

    Duplicates show the same tile at the same second and the same ground: two datastrips of one pass share tile and
    time too, but not the ground, and both stay. The newest baseline is kept, then the newest version.
    """
    kept: dict[tuple[str, dt.date], list[Scene]] = {}
    ids: dict[str, Scene] = {}
    for candidate in sorted(candidates, key=lambda one: _rank(one.scene), reverse=True):
        scene = candidate.scene
        rivals = kept.setdefault((candidate.tile or scene.id, scene.solar_day), [])
        if scene.id not in ids and not any(_same(scene, rival) for rival in rivals):
            rivals.append(scene)
            ids[scene.id] = scene
    return sorted(ids.values(), key=lambda scene: (scene.solar_day, scene.id))


def _rank(scene: Scene) -> tuple[str, str, str]:
    return scene.baseline, scene.version, scene.id


def _same(scene: Scene, rival: Scene) -> bool:
    if abs((scene.datetime - rival.datetime).total_seconds()) >= 1.0:
        return False
    ours, theirs = shape(scene.footprint), shape(rival.footprint)
    return bool(ours.intersection(theirs).area >= 0.5 * min(ours.area, theirs.area))
