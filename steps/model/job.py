"""From request to result: what a map request becomes on its way to a map."""

import datetime as dt
import enum
from collections.abc import Iterator

import msgspec

from steps.model.aoi import Aoi, Season
from steps.model.card import ModelCard
from steps.model.digest import digest
from steps.model.grid import TileGrid, TileId
from steps.model.scene import Scene


class Reason(enum.StrEnum):
    """Why a pixel or tile is not mapped. The position is the value of the tile's reason band; 0 is mapped."""

    MAPPED = "mapped"
    NO_SCENES = "no-scenes"
    """No scene covers it in the season."""
    ALL_CLOUD = "all-cloud"
    """Scenes cover it, but none saw it clear."""
    READ_ERROR = "read-error"
    """The scenes that cover it could not be read, and were left out: another try may read them."""
    WORKER_LOST = "worker-lost"
    """The tile failed or was never finished."""
    MASKED = "masked"
    """Outside the cropland mask."""
    BAD_SCENE = "bad-scene"
    """The scenes that cover it are broken, and were left out: another try reads the same."""


REASON_CODES: dict[Reason, int] = {reason: code for code, reason in enumerate(Reason)}
SCENES_LEFT_OUT = frozenset({Reason.READ_ERROR, Reason.BAD_SCENE})
"""Reasons of what might be mapped had all of its scenes been read."""


class RasterRef(msgspec.Struct, frozen=True, kw_only=True):
    """A raster given by the user, pinned: the same path with other content is another raster."""

    href: str
    """Absolute path or URL, never signed."""
    version: str
    """SHA-256 of a local file, or what the server says of a remote one."""


class MapOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may choose beyond AOI, season and model."""

    epsg: int | None = None
    """Output CRS; None: the AOI's UTM zone, or equal area."""
    tile_size: int = 1024
    min_coverage: float = 0.95
    """Least share of the AOI mapped for `succeeded`."""
    publish_above: float = 0.0
    """A map that covers less than `min_coverage` but more than this is published as `partial`; otherwise it failed."""
    max_cloud: float = 100.0
    """Scenes cloudier than this percentage, by their metadata, are left out."""
    exclude_bad_scenes: bool = True
    """A scene that cannot be read is left out with its reason; otherwise the tile fails."""
    probabilities: bool = False
    """Whether the probability of every class is kept."""
    mask: RasterRef | None = None
    """A raster whose zero pixels are left unmapped, as a cropland mask."""
    min_unit_px: int = 0
    """Minimum mapping unit in pixels for the generalised map; the raw map stays."""
    layers: dict[str, RasterRef] = {}
    """The rasters that the model's spec asks for, by layer name."""
    baseline: RasterRef | None = None
    """A Dynamic World class raster of the year."""


class ModelRef(msgspec.Struct, frozen=True, kw_only=True):
    """A model pinned to a version."""

    name: str
    version: str
    digest: str
    href: str
    """Folder or registry URI that the model is loaded from."""


class MapRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One map asked for, the model pinned."""

    aoi: Aoi
    season: Season
    model: ModelRef
    catalog: str
    """Absolute path or URL of a STAC API or static catalog."""
    collection: str
    options: MapOptions = MapOptions()


class TileJob(msgspec.Struct, frozen=True, kw_only=True):
    """One tile to be mapped, complete: whoever holds it needs nothing else but the scenes and the store."""

    grid: TileGrid
    tile: TileId
    season: Season
    scenes: tuple[Scene, ...]
    """In order of solar day; within a day the first valid scene wins."""
    card: ModelCard
    halo: int
    """Pixels read beyond the tile on each side."""
    pixel_version: str
    """Versions of the code and libraries that make pixels."""
    probabilities: bool = False
    layers: dict[str, RasterRef] = {}
    exclude_bad_scenes: bool = True

    @property
    def key(self) -> str:
        """Hash of all that changes the tile's pixels, and of nothing else."""
        return digest(
            {
                "grid": self.grid,
                "tile": self.tile,
                "season": self.season,
                "scenes": [scene.pixels for scene in self.scenes],
                "model": self.card.digest,
                "halo": self.halo,
                "pixel_version": self.pixel_version,
                "probabilities": self.probabilities,
                "layers": self.layers,
            }
        )


class TilePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A tile and its scenes, by their position in the plan's table."""

    tile: TileId
    scenes: tuple[int, ...]


class OffsetVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the pixels say of an item's stated offset."""

    scene: str
    verdict: str
    """agrees, lies or undecided."""
    stated: float
    resolved: float
    evidence: str
    """One sentence with the numbers."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that will be done, as data: print it, diff it, replay it."""

    job: str
    request: MapRequest
    card: ModelCard
    grid: TileGrid
    halo: int
    scenes: tuple[Scene, ...]
    tiles: tuple[TilePlan, ...]
    """In raster order."""
    pixel_version: str
    code_version: str
    offsets: tuple[OffsetVerdict, ...] = ()

    def tile_job(self, planned: TilePlan) -> TileJob:
        """The complete job of one of the plan's tiles."""
        options = self.request.options
        return TileJob(
            grid=self.grid,
            tile=planned.tile,
            season=self.request.season,
            scenes=tuple(self.scenes[index] for index in planned.scenes),
            card=self.card,
            halo=self.halo,
            pixel_version=self.pixel_version,
            probabilities=options.probabilities,
            layers=options.layers,
            exclude_bad_scenes=options.exclude_bad_scenes,
        )

    def tile_jobs(self) -> Iterator[TileJob]:
        """Every tile's job, in raster order."""
        return (self.tile_job(planned) for planned in self.tiles)


class SceneFault(msgspec.Struct, frozen=True, kw_only=True):
    """A scene that was left out of a tile, and why."""

    scene: str
    href: str
    error: str
    lasting: bool = False
    """Whether the scene's data is bad, so that another try finds the same; or it could not be read this time."""


class TileMapped(msgspec.Struct, frozen=True, kw_only=True, tag="mapped"):
    """A tile with at least one mapped pixel; its rasters are in the store under `key`."""

    tile: TileId
    planned_key: str
    """The key of the job as planned."""
    key: str
    """The key of the job as done: another one when scenes were left out."""
    pixels: dict[Reason, int]
    """Pixels of the tile by reason; `mapped` among them."""
    scenes: int
    """Scenes used."""
    excluded: tuple[SceneFault, ...] = ()
    seconds: dict[str, float] = {}
    """Wall time by stage: load, features, predict, write, total."""
    bytes_read: int = 0
    peak_mb: float = 0.0


class TileEmpty(msgspec.Struct, frozen=True, kw_only=True, tag="empty"):
    """A tile without a mapped pixel. Done, not failed."""

    tile: TileId
    planned_key: str
    key: str
    reason: Reason
    pixels: dict[Reason, int]
    scenes: int = 0
    excluded: tuple[SceneFault, ...] = ()
    seconds: dict[str, float] = {}
    bytes_read: int = 0
    peak_mb: float = 0.0


TileResult = TileMapped | TileEmpty


class TileFailed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """A tile that could not be done. It is in no cache: another run tries again."""

    tile: TileId
    planned_key: str
    error: str
    exit_code: int


TileOutcome = TileMapped | TileEmpty | TileFailed
"""What became of a tile in one job."""


class Phase(enum.StrEnum):
    """Where a job, or a tile of it, stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate found: how much of the AOI is mapped, and why the rest is not."""

    phase: Phase
    """succeeded, partial or failed."""
    share: float
    """Of the AOI's pixels that are mapped, 0 to 1. Masked pixels do not count."""
    pixels: dict[Reason, int]
    """AOI pixels by reason."""
    tiles: dict[str, Reason]
    """Tiles with no mapped pixel, by tile id."""
    excluded: tuple[SceneFault, ...] = ()


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A job as users see it."""

    id: str
    request: MapRequest
    phase: Phase
    tiles: dict[Phase, int] = {}
    """Number of tiles by phase."""
    href: str = ""
    """The published item."""
    store: str = ""
    error: str = ""
    created: dt.datetime
    updated: dt.datetime
