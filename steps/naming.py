"""Every object key and id. No other module spells one."""

import re

from steps.model.digest import digest
from steps.model.grid import TileGrid, TileId
from steps.model.job import MapRequest

MAP_LAYERS = (
    "map", "confidence", "margin", "clear", "composite", "reason", "probabilities", "disagreement", "generalised",
)  # fmt: skip
"""Rasters that a published map may consist of."""


def slug(text: str, length: int = 40) -> str:
    """Lower-case letters, digits and single dashes, at most `length`; `aoi` when nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:length].strip("-") or "aoi"


def job_id(request: MapRequest) -> str:
    """The same request has the same id."""
    return f"{slug(request.aoi.name, 24)}-{digest(request, 12)}"


def is_job_id(text: str) -> bool:
    """Whether a job may be called so: as Kubernetes' objects are, so that it is a part of a key and a label."""
    return len(text) <= 63 and re.fullmatch(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", text) is not None


def request_key(job: str) -> str:
    return f"requests/{job}.json"


def plan_key(job: str) -> str:
    return f"{job_prefix(job)}plan.json"


PLANS = "plans/"
"""What is kept of all jobs beside their maps."""


def job_prefix(job: str) -> str:
    """What is kept of a job beside its map."""
    return f"{PLANS}{job}/"


def job_tiles_prefix(job: str) -> str:
    """What became of its tiles."""
    return f"{job_prefix(job)}tiles/"


def coverage_key(job: str) -> str:
    return f"{job_prefix(job)}coverage.json"


def legend_key(job: str) -> str:
    """Names and colours that the user gave for a job's classes."""
    return f"{job_prefix(job)}legend.json"


def polygons_key(job: str, name: str) -> str:
    """The `zones` or `parcels` that the user gave for a job."""
    return f"{job_prefix(job)}{name}.parquet"


def calibration_key() -> str:
    """How fast pods are, by the jobs of the store."""
    return "calibration/pods.json"


def workflow_key(job: str) -> str:
    """The last workflow of a job and how it ended."""
    return f"{job_prefix(job)}workflow.json"


def workflow_logs(workflow: str) -> str:
    """Where Argo archives what the pods of a workflow said: POD/main.log below it."""
    return f"workflows/{workflow}/"


def tile_raster_key(grid: TileGrid, tile: TileId, key: str) -> str:
    return f"tiles/{grid.id}/{tile}/{key}.tif"


def tile_row_prefix(grid: TileGrid, row: int) -> str:
    """What the objects of all tiles of a row begin with."""
    return f"tiles/{grid.id}/{TileId(row=row, col=0)}".removesuffix("00000")


def tile_drift_key(grid: TileGrid, tile: TileId, key: str) -> str:
    """A sample of the tile's features, by the bins of its model's reference."""
    return f"tiles/{grid.id}/{tile}/{key}.drift.npz"


def tile_result_key(grid: TileGrid, tile: TileId, key: str) -> str:
    """Written last: where it exists, the tile is done."""
    return f"tiles/{grid.id}/{tile}/{key}.json"


def model_key(model_digest: str) -> str:
    """The learner's bytes, kept with the tiles that they made: a map can be rebuilt when the registry is gone."""
    return f"models/{model_digest}/model.json"


def points_key(sha256: str) -> str:
    """What a model was trained on, by the digest of the file: the map is compared with it."""
    return f"models/points/{sha256}.npz"


def map_key(job: str, name: str) -> str:
    """A file of a published map, as `map.tif`, `confidence.tif`, `item.json`, `report.html`."""
    return f"maps/{job}/{name}"


def item_key(job: str) -> str:
    """Written last: where it exists, the map is published."""
    return map_key(job, "item.json")


OUTBOX = "outbox/"
"""What waits to be told to the model registry."""


def outbox_key(job: str, kind: str) -> str:
    return f"{OUTBOX}{job}.{kind}.json"


BASELINES = "baselines/dynamic-world/"


def baseline_key(year: int) -> str:
    return f"{BASELINES}{year}.tif"


def baseline_note_key(year: int) -> str:
    """What is known of a baseline without opening it."""
    return f"{BASELINES}{year}.json"


def job_tile_key(job: str, tile: TileId) -> str:
    """What became of one tile of one job; tiles themselves are shared between jobs."""
    return f"{job_tiles_prefix(job)}{tile}.json"


def begun_key(job: str, tile: TileId) -> str:
    """Is there while somebody works on the tile; empty. Also left by whoever was ended meanwhile."""
    return f"{job_tiles_prefix(job)}{tile}{BEGUN}"


BEGUN = ".begun"
