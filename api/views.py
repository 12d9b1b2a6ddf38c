"""From rows to what goes over the wire. Pure."""

import datetime as dt
from collections.abc import Sequence
from typing import Literal, cast

import msgspec

from api.clock import now
from api.database.aois import AoiRow
from api.database.jobs import JobRow
from api.database.tiles import TileRow
from api.schemas import (
    AoiView,
    JobLinks,
    JobView,
    ModelName,
    Queue,
    SeasonOrder,
    TileCollection,
    TileCounts,
    TileFeature,
    TileProperties,
)
from steps.model.job import Phase

API = "/api/v1"
_ENOUGH_TILES = 2
"""Done, before the rest is foretold from them."""


def job_view(job: JobRow, thumbnail: str, queue: Queue | None = None) -> JobView:
    """A job as its owner sees it."""
    return JobView(
        id=job.id,
        name=job.name,
        owner=job.owner,
        phase=job.phase,
        cancelling=job.wanted == "cancel",
        origin=cast("Literal['api', 'workflow']", job.origin),
        attempt=job.attempt,
        season=_season(job),
        model=_model(job),
        catalog=job.catalog,
        collection=job.collection,
        bbox=job.box,
        area_km2=job.area_km2,
        tiles=counts(job),
        queue=queue,
        seconds_left=seconds_left(job, now()),
        error=job.error,
        thumbnail=thumbnail,
        created=job.created,
        started=job.started,
        finished=job.finished,
        updated=job.updated,
        links=_links(job.id),
    )


def _season(job: JobRow) -> SeasonOrder | None:
    if job.season_start is None or job.season_end is None:
        return None
    return SeasonOrder(start=dt.date.fromisoformat(job.season_start), end=dt.date.fromisoformat(job.season_end))


def _model(job: JobRow) -> ModelName | None:
    if not job.model_name:
        return None
    return ModelName(name=job.model_name, version=job.model_version, digest=job.model_digest)


def _links(job: str) -> JobLinks:
    root = f"{API}/jobs/{job}"
    return JobLinks(
        self=root,
        aoi=f"{root}/aoi",
        tiles=f"{root}/tiles",
        events=f"{root}/events",
        logs=f"{root}/logs",
        result=f"{root}/result",
    )


def counts(job: JobRow) -> TileCounts:
    """A job's tiles by phase."""
    return TileCounts(
        total=job.total,
        queued=max(0, job.total - job.running - job.succeeded - job.failed),
        running=job.running,
        succeeded=job.succeeded,
        failed=job.failed,
    )


def seconds_left(job: JobRow, at: dt.datetime) -> float | None:
    """By the pace so far; None where too little is known."""
    done = job.succeeded + job.failed
    if job.phase is not Phase.RUNNING or job.started is None or done < _ENOUGH_TILES:
        return None
    pace = (at - job.started).total_seconds() / done
    return round(pace * (job.total - done), 1)


def queue_view(ahead: Sequence[JobRow]) -> Queue:
    """What has to be waited for, given the active jobs that come first."""
    waits = [seconds_left(job, now()) for job in ahead]
    known = [wait for wait in waits if wait is not None]
    return Queue(jobs_ahead=len(ahead), seconds=sum(known) if len(known) == len(waits) else None)


def tile_properties(tile: TileRow) -> TileProperties:
    """What became of a tile."""
    return TileProperties(tile=tile.tile, phase=Phase(tile.phase), reason=tile.reason, seconds=tile.seconds)


def tile_collection(tiles: Sequence[TileRow], event: int) -> TileCollection:
    """A job's tiles as GeoJSON."""
    features = [
        TileFeature(
            id=tile.tile,
            geometry=msgspec.json.decode(tile.outline) if tile.outline else None,
            properties=tile_properties(tile),
        )
        for tile in tiles
    ]
    return TileCollection(features=features, event=event)


def aoi_view(aoi: AoiRow) -> AoiView:
    """A saved area."""
    return AoiView(
        id=aoi.id,
        name=aoi.name,
        geometry=msgspec.json.decode(aoi.body),
        bbox=aoi.box,
        area_km2=aoi.area_km2,
        created=aoi.created,
    )
