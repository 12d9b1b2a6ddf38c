"""Areas of interest and seasons: from what a user gives to one validated, unwrapped geometry. Pure.

An AOI is refused, never repaired: a map of something else than what was meant is worse than an error. The exceptions
change no pixel: ring direction and start, parts that overlap or touch (merged), and how the antimeridian is written.
Altitudes are refused, since dropping them would hide that the file holds something else than an area.
"""

import datetime as dt
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
import pyproj
import shapely
from pyproj.exceptions import ProjError
from shapely.errors import GEOSException
from shapely.geometry import MultiPolygon, Polygon, mapping, shape
from shapely.geometry.polygon import orient

from steps.errors import AoiError, UsageError
from steps.model.aoi import Aoi, BBox, Season
from steps.naming import slug

MAX_VERTICES = 100_000
"""Most positions of an AOI; a country at 1:1M has about a tenth of it."""
MIN_M2 = 100.0
"""Smallest AOI: one 10 m pixel."""
_MAX_NESTING = 16
"""Deepest GeometryCollection within GeometryCollection."""
_A, _E2 = 6_378_137.0, 0.0066943799901413165
"""WGS84: semi-major axis in metres, squared eccentricity."""
_FAR = 1e9
"""Metres or feet; no projected coordinate is larger."""
_UNPROJECTED = re.compile(r"(OGC:.*CRS84|EPSG:+4326)$", re.IGNORECASE)

_Position = tuple[float, float]


def parse_aoi(document: object, *, name: str = "", max_km2: float = 1_000_000) -> Aoi:
    """The AOI of a GeoJSON document: Polygon, MultiPolygon, Feature, FeatureCollection or GeometryCollection.

    Coordinates are lon/lat WGS84 (RFC 7946); a legacy `crs` member is honoured by reprojecting. Over the antimeridian
    both RFC 7946's split parts and rings that run on past 180 or below -180 are taken; the result's longitudes run on
    past 180. Raises AoiError for everything else.
    """
    label = f"AOI {name!r}" if name else "the AOI"
    if not isinstance(document, dict):
        raise AoiError(f"{label} is not a GeoJSON object", "give a Polygon, MultiPolygon, Feature or FeatureCollection")
    crs = _legacy_crs(document, label)
    polygons = _Reader(label, projected=crs is not None).polygons(document)
    if crs is not None:
        polygons = [_to_lonlat(polygon, crs, label) for polygon in polygons]
    geometry = _unify(polygons, label)
    _check_size(geometry, label, max_km2)
    return Aoi(name=slug(name or _own_name(document)), geometry=_as_geojson(geometry))


def aoi_shape(aoi: Aoi) -> Polygon | MultiPolygon:
    """The AOI's geometry, lon/lat, longitudes running on past 180 over the antimeridian."""
    found = shape(aoi.geometry)
    assert isinstance(found, Polygon | MultiPolygon)  # noqa: S101 - parse_aoi makes no other
    return found


def with_swapped_axes(aoi: Aoi) -> Aoi | None:
    """The area that was meant if latitudes were written before longitudes; None where there is no such area."""
    swapped = shapely.transform(aoi_shape(aoi), lambda lonlat: lonlat[:, ::-1])
    try:
        return parse_aoi(mapping(swapped), name=aoi.name)
    except AoiError:
        return None


def search_boxes(aoi: Aoi) -> list[BBox]:
    """west, south, east, north within -180..180: one box, or two for an AOI over the antimeridian."""
    west, south, east, north = aoi_shape(aoi).bounds
    if east <= 180:
        return [(west, south, east, north)]
    return [(west, south, 180.0, north), (-180.0, south, min(east - 360, 180.0), north)]


def geodesic_km2(aoi: Aoi) -> float:
    """True area on the WGS84 ellipsoid, whose edges are straight in lon/lat as GeoJSON says."""
    return _area_m2(aoi_shape(aoi)) / 1e6


def check_vertices(aoi: Aoi, most: int) -> None:
    """Raises AoiError for an area with more vertices than that."""
    count = int(shapely.get_num_coordinates(aoi_shape(aoi)))
    if count > most:
        raise AoiError(f"AOI {aoi.name} has {count:,} vertices", f"simplify it to {most:,}")


def area_facts(aoi: Aoi) -> dict[str, Any]:
    """Its bounds in degrees (`bbox`: west, south, east, north), its size (`area_km2`) and how many vertices it has."""
    outline = aoi_shape(aoi)
    return {
        "bbox": list(outline.bounds),
        "area_km2": round(geodesic_km2(aoi), 6),
        "vertices": int(shapely.get_num_coordinates(outline)),
    }


def parse_season(text: str, today: dt.date) -> Season:
    """The season of START/END, both inclusive; one that still runs is fine. Raises UsageError."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise UsageError(f"season {text[:60]!r} is not START/END", "as 2018-09-01/2019-08-31")
    try:
        start, end = (dt.date.fromisoformat(part) for part in text.split("/"))
    except ValueError as error:
        raise UsageError(f"season {text!r} holds no date: {error}", "as 2018-09-01/2019-08-31") from None
    if end < start:
        raise UsageError(f"season {text} runs backwards", f"give {end}/{start}")
    if start > today:
        raise UsageError(f"season {text} starts in the future", f"give a season that starts by {today}")
    return Season(start=start, end=end)


class _Reader:
    """Reads positions out of GeoJSON, which may hold anything, and counts them."""

    def __init__(self, label: str, *, projected: bool) -> None:
        self.label = label
        self.projected = projected
        self.vertices = 0
        self.parts = 0

    def polygons(self, document: dict[str, Any]) -> list[Polygon]:
        """Every polygon of the document, valid each, in its order; never none."""
        polygons = [self._polygon(rings) for rings in self._ring_lists(document, 0)]
        if not polygons:
            raise AoiError(f"{self.label} is empty", "give at least one polygon")
        return polygons

    def _ring_lists(self, node: object, depth: int) -> Iterator[Sequence[object]]:
        if depth > _MAX_NESTING:
            self._refuse(f"is nested more than {_MAX_NESTING} deep", "give its polygons as one FeatureCollection")
        kind = node.get("type") if isinstance(node, dict) else None
        read = self._kinds().get(kind) if isinstance(kind, str) else None
        if not isinstance(node, dict) or read is None:
            self._refuse(f"holds {_show(kind)} where an area is expected", "give polygons: buffer points and lines")
        yield from read(node, depth)

    def _kinds(self) -> dict[str, Callable[[dict[str, Any], int], Iterator[Sequence[object]]]]:
        return {
            "Polygon": lambda node, _: iter([self._list(node, "coordinates")]),
            "MultiPolygon": lambda node, _: (self._as_list(one) for one in self._list(node, "coordinates")),
            "Feature": self._feature,
            "FeatureCollection": lambda node, depth: self._members(node, "features", depth),
            "GeometryCollection": lambda node, depth: self._members(node, "geometries", depth),
        }

    def _feature(self, node: dict[str, Any], depth: int) -> Iterator[Sequence[object]]:
        if node.get("geometry") is None:
            self._refuse("has a feature without geometry", "remove it or draw its polygon")
        return self._ring_lists(node["geometry"], depth + 1)

    def _members(self, node: dict[str, Any], key: str, depth: int) -> Iterator[Sequence[object]]:
        for member in self._list(node, key):
            yield from self._ring_lists(member, depth + 1)

    def _list(self, node: dict[str, Any], key: str) -> Sequence[object]:
        return self._as_list(node.get(key), key)

    def _as_list(self, value: object, key: str = "coordinates") -> Sequence[object]:
        if not isinstance(value, list | tuple):
            self._refuse(f"has no list of {key}", "see RFC 7946 for what GeoJSON looks like")
        return value

    def _polygon(self, rings: Sequence[object]) -> Polygon:
        self.parts += 1
        if not rings:
            self._refuse("is empty", "give at least one ring", self.parts)
        shell, *holes = (self._ring(ring, number) for number, ring in enumerate(rings, 1))
        polygon = Polygon(shell, holes)
        self._check_valid(polygon)
        return polygon

    def _ring(self, ring: object, number: int) -> list[_Position]:
        where = f"ring {number}"
        positions = [self._position(position, where) for position in self._as_list(ring)]
        if not positions:
            self._refuse(f"is empty in {where}", "give at least four positions", self.parts)
        if positions[0] != positions[-1]:
            first = _point(positions[0])
            self._refuse(f"is not closed in {where}", f"end the ring where it starts, at {first}", self.parts)
        if len(positions) < 4:
            self._refuse(f"has only {len(positions)} positions in {where}", "a ring needs four", self.parts)
        return positions

    def _position(self, position: object, where: str) -> _Position:
        self.vertices += 1
        if self.vertices > MAX_VERTICES:
            self._refuse(f"has more than {MAX_VERTICES:,} vertices", "simplify it")
        values = self._as_list(position)
        if len(values) > 2:
            remedy = "drop the altitudes, as with ogr2ogr -dim XY"
            self._refuse(f"is 3-D: a position in {where} has {len(values)} numbers", remedy, self.parts)
        if len(values) < 2:
            self._refuse(f"has a position with {len(values)} numbers in {where}", "give lon, lat", self.parts)
        x, y = (self._number(value, where) for value in values)
        if not self.projected:
            self._check_degrees(x, y, where)
        elif max(abs(x), abs(y)) > _FAR:
            self._refuse(f"has {_point((x, y))} in {where}, which is not on Earth", "check its CRS", self.parts)
        return x, y

    def _number(self, value: object, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(f"has {_show(value)} as a coordinate in {where}", "give numbers", self.parts)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self._refuse(f"has {number} as a coordinate in {where}", "give finite numbers", self.parts)
        return number + 0.0  # -0.0 would be another AOI than 0.0

    def _check_degrees(self, x: float, y: float, where: str) -> None:
        if abs(y) <= 90 and abs(x) <= 540:
            return
        at = f"has {_point((x, y))} in {where}"
        if abs(x) > 540:
            remedy = "reproject it to WGS84 (EPSG:4326), or give a GeoPackage that says its CRS"
            self._refuse(f"{at}, which are no degrees", remedy, self.parts)
        swapped = ", so that latitude and longitude look swapped" if abs(x) <= 90 else ""
        self._refuse(f"{at}: latitudes end at 90{swapped}", "write lon, lat in degrees", self.parts)

    def _check_valid(self, polygon: Polygon) -> None:
        if polygon.convex_hull.area == 0:
            self._refuse("has no area", "draw a polygon that covers something", self.parts)
        if not polygon.is_valid:
            reason, _, place = shapely.is_valid_reason(polygon).partition("[")
            at = f" at {place.rstrip(']')}" if place else ""
            remedy = "repair it there, as with 'Fix geometries' in QGIS"
            self._refuse(f"is not valid: {reason.strip().lower()}{at}", remedy, self.parts)

    def _refuse(self, what: str, remedy: str, part: int = 0) -> NoReturn:
        subject = f"polygon {part} of {self.label}" if part else self.label
        raise AoiError(f"{subject} {what}", remedy)


def _show(value: object) -> str:
    """Something foreign, short enough for a message."""
    if isinstance(value, str):
        return repr(value[:40])
    return f"{value}"[:40] if isinstance(value, int | float | None) else f"a {type(value).__name__}"


def _point(position: _Position) -> str:
    return f"{position[0]:.10g} {position[1]:.10g}"


def _own_name(document: dict[str, Any]) -> str:
    properties = document.get("properties")
    found = properties.get("name") if isinstance(properties, dict) else None
    return found if isinstance(found, str) else ""


# -- coordinate reference systems ----------------------------------------------------------------------------------


def _legacy_crs(document: dict[str, Any], label: str) -> pyproj.CRS | None:
    """The CRS of a GeoJSON 2008 `crs` member that is not lon/lat WGS84; None: nothing to do."""
    member = document.get("crs")
    if member is None:
        return None
    remedy = "reproject it to WGS84 lon/lat and remove the crs member"
    properties = member.get("properties") if isinstance(member, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str):
        raise AoiError(f"{label} has a crs member that names no CRS", remedy)
    if _UNPROJECTED.search(name):
        return None
    return _crs_named(name, label, remedy)


def _crs_named(name: str, label: str, remedy: str) -> pyproj.CRS | None:
    try:
        crs = pyproj.CRS.from_user_input(name)
    except (ProjError, ValueError):
        raise AoiError(f"{label} has the unknown CRS {name[:60]!r}", remedy) from None
    if not (crs.is_projected or crs.is_geographic):
        raise AoiError(f"{label} has the CRS {crs.name!r}, which is not of the ground's plane", remedy)
    return None if crs.equals(pyproj.CRS.from_epsg(4326), ignore_axis_order=True) else crs


def _to_lonlat(polygon: Polygon, crs: pyproj.CRS, label: str) -> Polygon:
    """A polygon of another CRS in lon/lat; edges get vertices at least every 1/200 of its extent, as they curve."""
    try:
        transformer = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
        moved = shapely.transform(_dense(polygon, 200), lambda xy: _unwrapped(transformer, xy))
    except (ProjError, GEOSException, ValueError):
        moved = None
    if moved is None or not moved.is_valid or not np.isfinite(shapely.get_coordinates(moved)).all():
        raise AoiError(f"{label} lies outside of what its CRS {crs.name!r} covers", "check its coordinates and CRS")
    return moved


def _dense(polygon: Polygon, parts: int) -> Polygon:
    west, south, east, north = polygon.bounds
    return shapely.segmentize(polygon, max(east - west, north - south) / parts)


def _unwrapped(transformer: pyproj.Transformer, xy: np.ndarray) -> np.ndarray:
    """lon/lat whose longitudes do not jump from 180 to -180. xy: (n, 2), all rings of a polygon one after the other."""
    lon, lat = transformer.transform(xy[:, 0], xy[:, 1], errcheck=True)
    return np.column_stack([np.unwrap(lon, period=360), lat])


# -- the antimeridian ----------------------------------------------------------------------------------------------


def _unify(polygons: list[Polygon], label: str) -> Polygon | MultiPolygon:
    """One valid geometry, its western end within -180..180, in canonical order."""
    shifted = _side_by_side(polygons, label)
    try:
        union = shapely.union_all(shifted) if len(shifted) > 1 else shifted[0]
    except GEOSException as error:
        raise AoiError(f"{label} cannot be merged: {error}", "repair it, as with 'Fix geometries' in QGIS") from None
    if not isinstance(union, Polygon | MultiPolygon):
        raise AoiError(f"{label} does not merge to an area", "repair it, as with 'Fix geometries' in QGIS")
    return _canonical(union if shifted == polygons else _without_seam(union))


def _without_seam(union: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
    """The union without vertices on straight edges, as splitting at the antimeridian leaves them; moves < 0.1 mm."""
    with np.errstate(divide="ignore", invalid="ignore"):  # GEOS divides by lengths of zero, and looks at what comes out
        plain = shapely.simplify(shapely.normalize(union), 1e-10)
    return plain if plain.is_valid and not plain.is_empty else union


def _side_by_side(polygons: list[Polygon], label: str) -> list[Polygon]:
    """The polygons moved by whole turns, so that together they span the least of the globe."""
    spans = [(polygon.bounds[0], polygon.bounds[2]) for polygon in polygons]
    for west, east in spans:
        if east - west > 360:
            raise AoiError(f"{label} spans {east - west:.6g} degrees of longitude", "give at most 360")
    west, east = min(west for west, _ in spans), max(east for _, east in spans)
    turns = [0] * len(spans) if east - west <= 180 else _turns(spans)
    west = min(span[0] + 360 * turn for span, turn in zip(spans, turns, strict=True))
    home = -math.floor((west + 180) / 360)
    return [_turned(polygon, turn + home) for polygon, turn in zip(polygons, turns, strict=True)]


def _turns(spans: list[tuple[float, float]]) -> list[int]:
    """Turns per span that put the cut of the globe into the widest gap between the spans."""
    placed = sorted((west - 360 * math.floor((west + 180) / 360), east - west) for west, east in spans)
    cut, widest, reach = placed[0][0], -math.inf, placed[-1][0] - 360 + placed[-1][1]
    reach = max(reach, *(west - 360 + width for west, width in placed))
    for west, width in placed:
        if west - reach > widest:
            cut, widest = west, west - reach
        reach = max(reach, west + width)
    return [-math.floor((west - cut) / 360) for west, _ in spans]


def _turned(polygon: Polygon, turns: int) -> Polygon:
    if turns == 0:
        return polygon
    return shapely.transform(polygon, lambda xy: xy + np.array([360.0 * turns, 0.0]))


def _canonical(geometry: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
    """The same area in the same words: RFC 7946 ring directions, first vertex and part order fixed."""
    parts = [orient(part) for part in getattr(shapely.normalize(geometry), "geoms", [shapely.normalize(geometry)])]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _as_geojson(geometry: Polygon | MultiPolygon) -> dict[str, Any]:
    """GeoJSON with lists, as it would come out of a file."""
    found = mapping(geometry)
    return {"type": found["type"], "coordinates": _as_lists(found["coordinates"])}


def _as_lists(value: Any) -> Any:
    return [_as_lists(one) for one in value] if isinstance(value, tuple | list) else value


# -- size ----------------------------------------------------------------------------------------------------------


def _check_size(geometry: Polygon | MultiPolygon, label: str, max_km2: float) -> None:
    m2 = _area_m2(geometry)
    if m2 < MIN_M2:
        raise AoiError(f"{label} covers {m2:.2g} m2, less than one pixel", f"draw at least {MIN_M2:.0f} m2")
    if m2 / 1e6 > max_km2:
        west, _, east, _ = geometry.bounds
        hint = "; if it crosses the antimeridian, split it there or let longitudes run on past 180"
        remedy = f"give at most {max_km2:,.0f} km2" + (hint if east - west > 180 else "")
        raise AoiError(f"{label} covers {m2 / 1e6:,.0f} km2, which is too much", remedy)


def _area_m2(geometry: Polygon | MultiPolygon) -> float:
    """Area on the ellipsoid, by the cylindrical equal-area projection of edges with 1,000 parts per extent."""
    west, south, east, north = geometry.bounds
    dense = shapely.segmentize(geometry, max((east - west) / 1000, (north - south) / 1000, 1e-6))
    return float(shapely.transform(dense, _equal_area).area)


def _equal_area(lonlat: np.ndarray) -> np.ndarray:
    """x, y in metres of lon, lat in degrees (n, 2); Snyder, Map Projections (1987), equations 3-12 and 10-14."""
    e = math.sqrt(_E2)
    sin = np.sin(np.radians(lonlat[:, 1]))
    q = (1 - _E2) * (sin / (1 - _E2 * sin**2) + np.arctanh(e * sin) / e)
    return np.column_stack([_A * np.radians(lonlat[:, 0]), _A * q / 2])
