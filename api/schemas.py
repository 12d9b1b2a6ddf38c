"""What goes over the wire. Times are aware UTC, positions lon/lat WGS84, bounds west, south, east, north."""

import datetime as dt
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from steps.model.job import Phase

Json = dict[str, Any]
BBox = tuple[float, float, float, float]
Share = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(max_length=80)]

_SQUARE = {
    "type": "Polygon",
    "coordinates": [[[31.0, -17.8], [31.05, -17.8], [31.05, -17.75], [31.0, -17.75], [31.0, -17.8]]],
}


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One field that does not fit."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Problem details (RFC 9457)."""

    type: Annotated[str, Meta(examples=["/problems/not-found"])]
    title: str
    status: int
    detail: str = ""
    """What failed."""
    remedy: str = ""
    """What to do about it."""
    instance: str = ""
    errors: list[FieldError] = []


# -- orders --------------------------------------------------------------------------------------------------------


class SeasonOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """First and last day, both inclusive."""

    start: Annotated[dt.date, Meta(examples=["2018-09-01"])]
    end: Annotated[dt.date, Meta(examples=["2019-08-31"])]


class OrderOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be chosen beyond area, season and model."""

    epsg: Annotated[int, Meta(ge=1024, le=32767)] | None = None
    """Output CRS; absent: the area's UTM zone."""
    tile_size: Annotated[int, Meta(ge=64, le=4096, multiple_of=16)] = 1024
    min_coverage: Share = 0.95
    max_cloud: Annotated[float, Meta(ge=0, le=100)] = 100.0
    exclude_bad_scenes: bool = True
    probabilities: bool = False
    min_unit_px: Annotated[int, Meta(ge=0, le=2500)] = 0
    mask: str = ""
    """Name of a raster that the operator allows; unmapped where it is 0."""
    layers: dict[str, str] = {}
    """Layer of the model to name of an allowed raster."""
    baseline_year: int | None = None
    """Dynamic World year to compare with."""
    probe: bool = True
    """Whether stated offsets are checked against the pixels."""


class MapOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A map asked for: `aoi` or `aoi_id`, season and model."""

    season: SeasonOrder
    model: Annotated[str, Meta(min_length=1, max_length=120, examples=["crops", "crops/3", "crops@champion"])]
    aoi: Annotated[Json | None, Meta(examples=[_SQUARE])] = None
    """GeoJSON Polygon, MultiPolygon, Feature or FeatureCollection."""
    aoi_id: str = ""
    """A saved area instead."""
    name: Name = ""
    catalog: Name = ""
    """Name of an allowed catalog; may be left out where there is one."""
    collection: Annotated[str, Meta(max_length=120)] = ""
    options: OrderOptions = msgspec.field(default_factory=OrderOptions)


class JobOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job: an order, or a quote that was given for one."""

    order: MapOrder | None = None
    quote: str = ""


# -- quotes --------------------------------------------------------------------------------------------------------


class ModelName(msgspec.Struct, frozen=True, kw_only=True):
    """A model, pinned."""

    name: str
    version: str
    digest: str


class SceneDay(msgspec.Struct, frozen=True, kw_only=True):
    """One solar day with scenes."""

    date: dt.date
    scenes: int
    cloud_free: float | None
    """Mean share, by metadata; null where no scene says."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be waited for."""

    jobs_ahead: int
    seconds: float | None
    """Until the job starts, about; null while nothing is known of those ahead."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a run takes."""

    tiles: int
    stored: int
    """Tiles that are in the store already, and cost nothing."""
    bare: int
    """Tiles that no scene covers."""
    scenes: int
    area_km2: float
    crs: str
    width: int
    height: int
    read_mb: float
    seconds: float
    memory_mb: float
    workers: int
    store_mb: float
    output_mb: float
    measured: str
    """What time and memory are based on."""
    cloud_free: float | None
    days: list[SceneDay]


class QuoteView(msgspec.Struct, frozen=True, kw_only=True):
    """A quote; a job that names it before it expires is the one that was quoted."""

    id: str
    name: str
    season: SeasonOrder
    model: ModelName
    cost: Cost
    queue: Queue
    warnings: list[str]
    created: dt.datetime
    expires: dt.datetime


# -- jobs ----------------------------------------------------------------------------------------------------------


class TileCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Tiles by phase; all 0 until the job is planned."""

    total: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0


class JobLinks(msgspec.Struct, frozen=True, kw_only=True):
    """Where the rest of a job is; paths below the server's root."""

    self: str
    aoi: str
    tiles: str
    events: str
    logs: str
    result: str


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job."""

    id: Annotated[str, Meta(examples=["farm-3f9a5d20c1b7"])]
    name: str
    owner: str
    phase: Phase
    cancelling: bool = False
    """Whether it was cancelled, but has not ended yet."""
    origin: Literal["api", "workflow"] = "api"
    """workflow: started in Argo by other means than this API."""
    attempt: int = 1
    season: SeasonOrder | None = None
    model: ModelName | None = None
    catalog: str = ""
    collection: str = ""
    bbox: BBox | None = None
    area_km2: float = 0.0
    tiles: TileCounts = msgspec.field(default_factory=TileCounts)
    queue: Queue | None = None
    """While it is queued."""
    seconds_left: float | None = None
    """While it runs; null until some tiles are done."""
    error: str = ""
    thumbnail: str = ""
    """A small picture of the map, once it is published; the address holds for some hours."""
    created: dt.datetime
    started: dt.datetime | None = None
    finished: dt.datetime | None = None
    updated: dt.datetime
    links: JobLinks


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs, the newest first."""

    items: list[JobView]
    next: str | None
    """Cursor of the next page; null on the last."""


class TileProperties(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a tile."""

    tile: Annotated[str, Meta(examples=["r01214c00987"])]
    phase: Phase
    reason: str = ""
    """Why it is empty or failed."""
    seconds: float = 0.0


class TileFeature(msgspec.Struct, frozen=True, kw_only=True):
    """A tile on the map."""

    type: Literal["Feature"] = "Feature"
    id: str
    geometry: Json | None
    properties: TileProperties


class TileCollection(msgspec.Struct, frozen=True, kw_only=True):
    """GeoJSON of a job's tiles; empty until the job is planned."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[TileFeature]
    event: int
    """Id of the last event that this reflects: follow the events from here."""


class PhaseEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Event `phase`: a job moved on. The stream ends after one that is final."""

    phase: Phase
    attempt: int
    error: str = ""
    tiles: TileCounts


class TilesEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Event `tiles`: tiles moved on."""

    tiles: list[TileProperties]
    counts: TileCounts


class PlannedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Event `planned`: a job's tiles are known."""

    counts: TileCounts


class LogLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a job's log."""

    time: str = ""
    level: str = "info"
    event: str
    tile: str = ""
    fields: Json = {}


# -- results -------------------------------------------------------------------------------------------------------


class ClassArea(msgspec.Struct, frozen=True, kw_only=True):
    """The area of one class."""

    code: int
    name: str
    colour: str
    """Six hex digits."""
    hectares: float
    """Counted in the map."""
    safe_colour: str
    """Six hex digits, told apart by all kinds of colour vision."""
    share: float
    counterpart: int | None = None
    """Dynamic World's code of the same cover; null where its name says none."""
    adjusted_hectares: float | None = None
    """Estimated from a reference sample, where the map was assessed."""
    interval_hectares: tuple[float, float] | None = None
    """Its 95 % interval."""


class TileJson(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """TileJSON 3.0.0; the addresses hold for some hours."""

    tilejson: str = "3.0.0"
    name: str
    tiles: list[str]
    bounds: BBox
    minzoom: int = 0
    maxzoom: int = 24
    attribution: str = ""
    tileSize: int = 512  # noqa: N815 - as MapLibre spells it


class ResultLayer(msgspec.Struct, frozen=True, kw_only=True):
    """One raster of a map."""

    title: str
    href: str
    """The COG; the address holds for some hours."""
    tilejson: TileJson


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """One file."""

    name: str
    title: str
    href: str
    media_type: str
    bytes: int


class ResultView(msgspec.Struct, frozen=True, kw_only=True):
    """A published map."""

    job: str
    phase: Phase
    item: Json
    """The STAC item, its hrefs made absolute."""
    layers: dict[str, ResultLayer]
    """By name: map, confidence, margin, clear, composite, reason, disagreement, generalised."""
    areas: list[ClassArea]
    coverage: Json
    """Share mapped, and pixels by reason."""
    drift: Json | None
    accuracy: Json | None
    """From a reference sample, where the map was assessed."""
    downloads: list[Download]
    expires: dt.datetime
    """When the addresses stop working; ask again."""


# -- models, baselines, areas --------------------------------------------------------------------------------------


class ClassView(msgspec.Struct, frozen=True, kw_only=True):
    """A class of a legend."""

    code: int
    name: str
    colour: str
    safe_colour: str
    """Told apart by all kinds of colour vision."""


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a model."""

    name: str
    version: str
    digest: str
    classes: list[ClassView]
    season_days: int
    bands: list[str]
    layers: list[str]
    """Rasters that it needs beside the scenes."""
    registered: str
    """Day, as 2026-05-31."""
    score: float | None
    """Mean recall of the classes on what was held out."""
    overall: float | None
    split: str
    """What was held out for these."""
    drift: str
    """The verdict on the last map that it made."""
    aliases: list[str]
    """champion, challenger or others."""


class BaselineView(msgspec.Struct, frozen=True, kw_only=True):
    """One year of Dynamic World."""

    year: int
    partial_from: str
    """First day, where the year is not whole."""
    bounds: BBox
    tilejson: TileJson
    classes: list[ClassView]


class CatalogView(msgspec.Struct, frozen=True, kw_only=True):
    """A catalog that jobs may read."""

    name: str
    collections: list[str]


class AoiOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An area to keep."""

    name: Annotated[str, Meta(min_length=1, max_length=80, examples=["north farm"])]
    geometry: Annotated[Json, Meta(examples=[_SQUARE])]
    """GeoJSON."""


class AoiDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An area, checked: merged, on WGS84, longitudes running on past 180 over the antimeridian."""

    name: str
    geometry: Json
    bbox: BBox
    area_km2: float
    vertices: int


class AoiView(msgspec.Struct, frozen=True, kw_only=True):
    """A saved area."""

    id: str
    name: str
    geometry: Json
    bbox: BBox
    area_km2: float
    created: dt.datetime


class AoiPage(msgspec.Struct, frozen=True, kw_only=True):
    """Saved areas, the newest first."""

    items: list[AoiView]
    next: str | None


# -- access --------------------------------------------------------------------------------------------------------

Scope = Literal["read", "submit", "admin"]


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking."""

    owner: str
    scopes: list[Scope]
    method: Literal["off", "key", "token", "session", "link"]
    csrf: str = ""
    """Send it as X-CSRF-Token with every change; only for sessions."""
    sign_in: str = ""
    """Where a page sends its user to sign in; empty where nobody has to."""


class LinkOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A read-only link to ask for."""

    days: Annotated[int, Meta(ge=1, le=366)] = 30


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """A read-only link to one job."""

    id: str
    job: str
    url: str = ""
    """Told once, when it is made."""
    created: dt.datetime
    expires: dt.datetime


class LinkEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A link as administrators see it; revoked like its owner would."""

    id: str
    job: str
    owner: str
    created: dt.datetime
    expires: dt.datetime


class SessionEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in browser."""

    id: str
    owner: str
    scopes: list[Scope]
    created: dt.datetime
    expires: dt.datetime


class SignInEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to sign in."""

    made: dt.datetime
    owner: str
    """Empty where it failed."""
    address: str
    error: str
    """Why it failed; empty where it did not."""


# -- health --------------------------------------------------------------------------------------------------------


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether this process serves."""

    status: Literal["ok", "failing"]
    detail: str = ""


class DependencyHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether something that we need works."""

    status: Literal["ok", "failing"]
    detail: str = ""
    milliseconds: float = 0.0


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All that we need, and the version."""

    status: Literal["ok", "degraded"]
    version: str
    dependencies: dict[str, DependencyHealth]


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What a page needs to know before anything else."""

    version: str
    tiler: str
    """Where TiTiler is."""
    auth: Literal["off", "on"]
    sign_in: str
    require_quote: bool
    max_aoi_km2: float
    max_tiles: int
    max_vertices: int
    max_upload_mb: int
    catalogs: list[str]
    rasters: list[str]
    basemap_url: str
    """Raster tiles with {z}, {x} and {y}; empty: the page's own outlines."""
    basemap_attribution: str
