"""The STAC item of a published map, and back: from an item to the plan that rebuilds the map. Pure; plain dicts.

STAC 1.1.0 with the projection 2.0.0, classification 2.0.0, raster 1.1.0, processing 1.0.0 and file 2.1.0 extensions.
The item carries the whole plan (request, scenes with their resolved offsets, model card, versions) and the key of
every tile as done, so that it alone is enough to rebuild the map and to notice that it was changed.
"""

import datetime as dt
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import shapely
from shapely.geometry import mapping, shape
from shapely.geometry.polygon import orient

from steps.credit import COPERNICUS, DYNAMIC_WORLD
from steps.errors import CatalogError
from steps.model.aoi import Aoi
from steps.model.card import NODATA_CLASS, ClassDef
from steps.model.digest import digest
from steps.model.grid import TileId
from steps.model.job import REASON_CODES, Coverage, Plan, TileEmpty, TileMapped, TileOutcome, TilePlan
from steps.model.scene import SCL
from steps.naming import slug
from steps.palette import AGREES, DISAGREEMENT_COLOURS, DISAGREES, REASON_COLOURS
from steps.versions import encoder_versions, pixel_version

STAC_VERSION = "1.1.0"
EXTENSIONS = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("projection/v2.0.0", "classification/v2.0.0", "raster/v1.1.0", "processing/v1.0.0", "file/v2.1.0")
)
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_MEDIA_TYPES = {
    ".tif": _COG,
    ".json": "application/json",
    ".gpkg": "application/geopackage+sqlite3",
    ".qml": "application/xml",
    ".ubj": "application/octet-stream",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFile:
    """One published file."""

    name: str
    """Asset key: `map`, `confidence`, ... of MAP_LAYERS, or `areas`, `report`, `style`, `zones`, `model`, ..."""
    href: str
    """Absolute, or relative to the item; never signed."""
    size: int
    """Bytes."""
    sha256: str
    """Hex digest of the content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRaster:
    """The pixel grid that all of a map's rasters share."""

    epsg: int
    transform: tuple[float, float, float, float, float, float]
    """Affine a, b, c, d, e, f from pixel corners to x, y in metres."""
    shape: tuple[int, int]
    """rows, columns."""

    @property
    def bbox(self) -> list[float]:
        """left, bottom, right, top in metres."""
        a, _, left, _, e, top = self.transform
        rows, cols = self.shape
        return [left, top + e * rows, left + a * cols, top]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFacts:
    """What became of a plan."""

    coverage: Coverage
    outcomes: Mapping[TileId, TileOutcome]
    """Of all tiles that were finished."""
    files: Sequence[MapFile]
    raster: MapRaster
    areas: Mapping[int, float]
    """Hectares by class code."""
    classes: Sequence[ClassDef] = ()
    """As published; the model's where empty."""
    drift: Mapping[str, Any] = field(default_factory=dict)
    """Properties `geocrop:drift_...` of `steps.drift`; empty where the model says nothing of its training."""
    created: dt.datetime
    """Aware."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """How one layer is described."""

    title: str
    roles: tuple[str, ...]
    bands: tuple[str, ...]
    nodata: int | None
    unit: str = ""


_LAYERS = {
    "map": _Layer("Land-use map", ("data",), ("class",), NODATA_CLASS),
    "generalised": _Layer("Land-use map without small patches", ("data",), ("class",), NODATA_CLASS),
    "confidence": _Layer("Probability of the mapped class", ("data", "uncertainty"), ("confidence",), 255, "%"),
    "margin": _Layer("Lead of the mapped class over the second", ("data", "uncertainty"), ("margin",), 255, "%"),
    "clear": _Layer("Clear observations in the season", ("metadata",), ("clear",), 255, "observations"),
    "composite": _Layer("Natural colour, median of the season", ("visual", "overview"), ("red", "green", "blue"), 0),
    "reason": _Layer("Why a pixel is not mapped", ("data-mask", "metadata"), ("reason",), 255),
    "disagreement": _Layer("Disagreement with the baseline", ("metadata",), ("disagreement",), 255),
}
_OTHERS = {
    "areas": ("Area per class", "metadata"),
    "report": ("Report", "overview"),
    "style": ("Style for QGIS", "style"),
    "model": ("The model", "mlm:model"),
    "points": ("Training samples that the area was compared with", "metadata"),
    "drift": ("Drift between training samples and area", "metadata"),
    "drift-csv": ("Drift by feature, as a table", "metadata"),
    "zones": ("Area per class and zone", "metadata"),
    "parcels": ("Majority class and confidence per parcel", "data"),
    "coverage": ("Coverage by reason", "metadata"),
    "assessment": ("Accuracy and area from a reference sample", "metadata"),
    "assessment-csv": ("Accuracy and area from a reference sample, as a table", "metadata"),
}


def map_item(plan: Plan, facts: MapFacts) -> dict[str, Any]:
    """The STAC item of a map."""
    geometry, bbox = item_geometry(plan.request.aoi)
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": plan.job,
        "geometry": geometry,
        "bbox": bbox,
        "properties": {**_described(plan, facts), **_processed(plan, facts), **facts.drift, **_provenance(plan, facts)},
        "links": [],
        "assets": {file.name: _asset(file, facts, _classes(plan, facts)) for file in facts.files},
    }


def with_assessment(
    item: Mapping[str, Any], assessment: Mapping[str, Any], files: Sequence[MapFile], updated: dt.datetime
) -> dict[str, Any]:
    """An item of ours with an accuracy assessment in place of a former one; `files` are its files and the report."""
    said = {"updated": _utc(updated), "geocrop:assessment": dict(assessment)}
    assets = {file.name: _other_asset(file) for file in files}
    return {**item, "properties": {**item["properties"], **said}, "assets": {**item["assets"], **assets}}


def _utc(when: dt.datetime) -> str:
    return when.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def item_geometry(aoi: Aoi) -> tuple[dict[str, Any], list[float]]:
    """Geometry and bbox as RFC 7946 wants them: split at the antimeridian, where the bbox's west is then > east."""
    whole = shape(aoi.geometry)
    west, south, east, north = whole.bounds
    if east <= 180:
        return msgspec.to_builtins(aoi.geometry), [west, south, east, north]
    world = shapely.box(-180, -90, 180, 90)
    beyond = shapely.transform(whole, lambda lonlat: lonlat - (360, 0))
    parts = [part for side in (whole & world, beyond & world) for part in _polygons(side)]
    split = shapely.MultiPolygon([orient(part) for part in parts])
    return msgspec.to_builtins(mapping(split)), [west, south, east - 360, north]


def _polygons(geometry: shapely.Geometry) -> list[shapely.Polygon]:
    """Its polygons; slivers of lower dimension, which clipping can leave, are dropped."""
    return [part for part in getattr(geometry, "geoms", [geometry]) if isinstance(part, shapely.Polygon) and part.area]


def _classes(plan: Plan, facts: MapFacts) -> Sequence[ClassDef]:
    return facts.classes or plan.card.classes


def _described(plan: Plan, facts: MapFacts) -> dict[str, Any]:
    """Core properties and those of the projection extension."""
    season = plan.request.season
    return {
        "title": f"{plan.request.aoi.name}, {season}",
        "description": f"Land use by {plan.card.name}, {facts.coverage.share:.1%} of the area mapped. "
        f"{COPERNICUS} {_years(plan)}.{_compared(facts)}",
        "datetime": None,
        "start_datetime": f"{season.start}T00:00:00Z",
        "end_datetime": f"{season.end}T23:59:59Z",
        "created": _utc(facts.created),
        "gsd": plan.grid.resolution,
        "providers": [
            {"name": "European Union/ESA/Copernicus", "roles": ["licensor"], "url": "https://www.copernicus.eu"},
            {"name": "GeoCrop", "roles": ["processor"]},
        ],
        "proj:code": f"EPSG:{facts.raster.epsg}",
        "proj:bbox": facts.raster.bbox,
        "proj:shape": list(facts.raster.shape),
        "proj:transform": list(facts.raster.transform),
    }


def _compared(facts: MapFacts) -> str:
    return f" Compared with {DYNAMIC_WORLD}." if any(file.name == "disagreement" for file in facts.files) else ""


def _years(plan: Plan) -> str:
    season = plan.request.season
    return str(season.start.year) if season.start.year == season.end.year else f"{season.start:%Y}-{season.end:%Y}"


def _processed(plan: Plan, facts: MapFacts) -> dict[str, Any]:
    """Properties of the processing extension."""
    return {
        "processing:level": "L4",
        "processing:lineage": f"{len(plan.scenes)} scenes over {len(plan.tiles)} tiles, "
        f"classified by {plan.card.name} ({plan.card.learner}); coverage: {facts.coverage.phase}",
        "processing:software": {"geocrop": plan.code_version, "geocrop-pixels": plan.pixel_version}
        | encoder_versions(),
    }


def _provenance(plan: Plan, facts: MapFacts) -> dict[str, Any]:
    """All that made the map, as properties of our own."""
    done = {
        str(tile): outcome
        for tile, outcome in sorted(facts.outcomes.items())
        if isinstance(outcome, TileMapped | TileEmpty)
    }
    left_out = {name: [fault.scene for fault in outcome.excluded] for name, outcome in done.items() if outcome.excluded}
    return {
        "geocrop:phase": str(facts.coverage.phase),
        "geocrop:coverage": msgspec.to_builtins(facts.coverage),
        "geocrop:areas_ha": {str(code): round(area, 4) for code, area in sorted(facts.areas.items())},
        "geocrop:classes": msgspec.to_builtins(list(_classes(plan, facts))),
        "geocrop:model": {
            "name": plan.card.name,
            "version": plan.card.version,
            "digest": plan.card.digest,
            "spec": digest(plan.card.spec),
        },
        "geocrop:offsets": {scene.id: [_offset(scene.assets), scene.offset_source] for scene in plan.scenes},
        "geocrop:left_out": left_out,
        "geocrop:tiles": {name: outcome.key for name, outcome in done.items()},
        "geocrop:plan": msgspec.to_builtins(plan),
        "geocrop:plan_digest": digest(plan),
    }


def _offset(assets: Mapping[str, Any]) -> float:
    """The resolved offset of a scene's reflectance bands; they have one in common."""
    return next((float(asset.offset) for band, asset in sorted(assets.items()) if band != SCL), 0.0)


def _asset(file: MapFile, facts: MapFacts, classes: Sequence[ClassDef]) -> dict[str, Any]:
    layer = _LAYERS.get(file.name)
    if layer is None:
        return _other_asset(file)
    return {
        **_known(file),
        "title": layer.title,
        "type": _COG,
        "roles": list(layer.roles),
        "bands": [{"name": band} for band in layer.bands],
        "raster:bands": [_raster_band(layer, facts.raster) for _ in layer.bands],
        **_classified(file.name, facts, classes),
    }


def _known(file: MapFile) -> dict[str, Any]:
    return {"href": file.href, "file:size": file.size, "file:checksum": f"1220{file.sha256}"}


def _other_asset(file: MapFile) -> dict[str, Any]:
    """A file that is no raster."""
    suffix = f".{file.href.rpartition('.')[2]}"
    title, role = _OTHERS.get(file.name, (file.name, "metadata"))
    media = _MEDIA_TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    return {**_known(file), "title": title, "type": media, "roles": [role]}


def _raster_band(layer: _Layer, raster: MapRaster) -> dict[str, Any]:
    band: dict[str, Any] = {"data_type": "uint8", "sampling": "area", "spatial_resolution": raster.transform[0]}
    if layer.nodata is not None:
        band["nodata"] = layer.nodata
    return band | ({"unit": layer.unit} if layer.unit else {})


def _classified(name: str, facts: MapFacts, classes: Sequence[ClassDef]) -> dict[str, Any]:
    """`classification:classes` of the layers that have classes."""
    nodata = {"value": NODATA_CLASS, "name": "nodata", "title": "not mapped", "nodata": True}
    if name in ("map", "generalised"):
        shares = _shares(facts.areas) if name == "map" else {}
        return {"classification:classes": [*(_class(one, shares) for one in classes), nodata]}
    if name == "reason":
        return {
            "classification:classes": [
                {"value": code, "name": reason.value, "color_hint": REASON_COLOURS[reason]}
                for reason, code in REASON_CODES.items()
            ]
        }
    if name == "disagreement":
        agrees = {"value": AGREES, "name": "agrees", "color_hint": DISAGREEMENT_COLOURS[AGREES]}
        return {
            "classification:classes": [
                agrees,
                {"value": DISAGREES, "name": "disagrees", "color_hint": DISAGREEMENT_COLOURS[DISAGREES]},
                nodata,
            ]
        }
    return {}


def _shares(areas: Mapping[int, float]) -> dict[int, float]:
    total = sum(areas.values())
    return {code: round(100 * area / total, 3) for code, area in areas.items()} if total else {}


def _class(one: ClassDef, shares: Mapping[int, float]) -> dict[str, Any]:
    name = slug(one.name) if re.search("[A-Za-z0-9]", one.name) else f"class-{one.code}"
    described: dict[str, Any] = {"value": one.code, "name": name, "title": one.name, "color_hint": one.colour}
    return described | ({"percentage": shares[one.code]} if one.code in shares else {})


def replay_plan(item: Mapping[str, Any]) -> Plan:
    """The plan that rebuilds an item's map: the one that made it, less the scenes that could not be read then.

    Every tile that was done has the key that it had. Tiles that were lost are in the plan again. Raises CatalogError
    when the item is not of a map of ours, was changed, or was made with other versions of what makes pixels: its
    tiles would be others under the same keys.
    """
    name = str(item.get("id", "the item"))
    properties = item.get("properties")
    if not isinstance(properties, Mapping) or "geocrop:plan" not in properties:
        raise CatalogError(f"{name} has no geocrop:plan", "give the item.json of a map that GeoCrop published")
    try:
        plan = msgspec.convert(properties["geocrop:plan"], Plan, str_keys=True)
    except (msgspec.ValidationError, ValueError) as error:
        raise CatalogError(f"the plan of {name} cannot be read: {error}", "give the item as published") from error
    if digest(plan) != properties.get("geocrop:plan_digest"):
        raise CatalogError(f"the plan of {name} was changed after publishing", "give the item as published")
    plan = _less_scenes(plan, properties.get("geocrop:left_out", {}))
    _check_keys(plan, properties.get("geocrop:tiles", {}), name)
    if plan.pixel_version != pixel_version():
        raise CatalogError(
            f"{name} was made with other versions of what makes pixels: {plan.pixel_version}",
            f"replay it with those, here are {pixel_version()}; or map the area anew",
        )
    return plan


def replay_classes(item: Mapping[str, Any]) -> tuple[ClassDef, ...]:
    """The classes as published: those of the model, or of the legend that was given. Raises CatalogError."""
    try:
        return msgspec.convert(item["properties"]["geocrop:classes"], tuple[ClassDef, ...])
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise CatalogError(f"{item.get('id')} has no classes of ours: {error}", "give the item as published") from error


def _less_scenes(plan: Plan, left_out: Mapping[str, Sequence[str]]) -> Plan:
    if not left_out:
        return plan
    tiles = tuple(_less(entry, plan, set(left_out.get(str(entry.tile), ()))) for entry in plan.tiles)
    return msgspec.structs.replace(plan, tiles=tiles)


def _less(entry: TilePlan, plan: Plan, unread: set[str]) -> TilePlan:
    kept = tuple(index for index in entry.scenes if plan.scenes[index].id not in unread)
    return msgspec.structs.replace(entry, scenes=kept)


def _check_keys(plan: Plan, keys: Mapping[str, str], name: str) -> None:
    for entry in plan.tiles:
        published = keys.get(str(entry.tile))
        if published is not None and plan.tile_job(entry).key != published:
            raise CatalogError(
                f"tile {entry.tile} of {name} would have another key than it was published under",
                "give the item as published, and use the GeoCrop version that it names",
            )
