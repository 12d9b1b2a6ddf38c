"""What a run would cost, from its plan and a calibration of this machine. Pure: no pixel is read."""

from collections.abc import Collection, Iterator

import msgspec

from steps.aoi import geodesic_km2
from steps.calibration import Calibration
from steps.model.job import Plan, TilePlan
from steps.model.scene import SCL, Scene

_COARSE_M = 15.0
"""Bands with larger pixels are read at a quarter of the pixels."""


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A quote; `str` of it is for people."""

    job: str
    tiles: int
    stored: int
    """Tiles whose pixels lie in the store already."""
    scenes: int
    days: int
    """Solar days with a scene."""
    cloud_free: float | None
    """Mean share of the scenes that is free of cloud, by their metadata; None where none says."""
    days_by_period: tuple[int, ...]
    area_km2: float
    read_mb: float
    """Compressed bytes to read, in MB."""
    seconds: float
    memory_mb: float
    """Of all workers together."""
    workers: int
    output_mb: float
    crs: str
    measured: str
    """What the time is based on."""

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def quote(plan: Plan, calibration: Calibration, stored: Collection[str], workers: int) -> Quote:
    """The cost of the tiles that are not stored yet."""
    todo = [entry for entry in plan.tiles if str(entry.tile) not in stored]
    work = sum(_seconds(plan, entry, calibration) for entry in todo)
    days = {scene.solar_day for scene in plan.scenes}
    clouds = [scene.cloud_cover for scene in plan.scenes if scene.cloud_cover is not None]
    busy = min(workers, len(todo)) or 1
    return Quote(
        job=plan.job,
        tiles=len(plan.tiles),
        stored=len(plan.tiles) - len(todo),
        scenes=len(plan.scenes),
        days=len(days),
        cloud_free=round(1 - sum(clouds) / len(clouds) / 100, 4) if clouds else None,
        days_by_period=_by_period(plan),
        area_km2=round(geodesic_km2(plan.request.aoi), 3),
        read_mb=round(sum(tile_megabytes(plan, entry) for entry in todo) * calibration.compression, 1),
        seconds=round(calibration.start_seconds + work / busy + _mosaic_seconds(plan, calibration), 1),
        memory_mb=round(calibration.worker_mb * busy, 0),
        workers=busy,
        output_mb=round(len(plan.tiles) * plan.grid.size**2 * _OUTPUT_BYTES / 1e6, 1),
        crs=f"EPSG:{plan.grid.epsg}",
        measured=calibration.source,
    )


_OUTPUT_BYTES = 2.5
"""Bytes of all layers per pixel of the map, compressed; about."""


def tile_megabytes(plan: Plan, entry: TilePlan) -> float:
    """Uncompressed megabytes of a tile's windows."""
    pixels = (plan.grid.size + 2 * plan.halo) ** 2
    return sum(_scene_bytes(plan.scenes[index], plan.card.spec.bands) for index in entry.scenes) * pixels / 1e6


def _scene_bytes(scene: Scene, bands: tuple[str, ...]) -> float:
    """Bytes per pixel of the grid that a scene's assets have."""
    steps = [abs(asset.transform[0]) if (asset := scene.assets[band]).transform else 10.0 for band in bands]
    return sum(0.5 if step > _COARSE_M else 2.0 for step in steps) + (0.25 if SCL in scene.assets else 0.0)


def _seconds(plan: Plan, entry: TilePlan, calibration: Calibration) -> float:
    """Of one tile on one worker."""
    if not entry.scenes:
        return 0.01
    megapixels = plan.grid.size**2 / 1e6
    days = len({plan.scenes[index].solar_day for index in entry.scenes})
    return (
        tile_megabytes(plan, entry) / calibration.read_mb_s
        + megapixels * days * len(plan.card.spec.bands) / calibration.feature_mpx_s
        + megapixels / calibration.predict_mpx_s
        + calibration.tile_seconds
    )


def _mosaic_seconds(plan: Plan, calibration: Calibration) -> float:
    return len(plan.tiles) * plan.grid.size**2 / 1e6 / calibration.mosaic_mpx_s


def _by_period(plan: Plan) -> tuple[int, ...]:
    """Days with a scene in each period of the spec, counted from the season's start."""
    spec, season = plan.card.spec, plan.request.season
    days = {season.day(scene.solar_day) for scene in plan.scenes}
    periods = [min(day * spec.periods // spec.season_days, spec.periods - 1) for day in days]
    return tuple(periods.count(period) for period in range(spec.periods))


def _lines(found: Quote) -> Iterator[str]:
    minutes, seconds = divmod(round(found.seconds), 60)
    clear = "not stated" if found.cloud_free is None else f"{found.cloud_free:.0%} by scene metadata"
    yield f"job            {found.job}"
    yield f"area           {found.area_km2:g} km2, {found.crs}"
    yield f"tiles          {found.tiles}, of which {found.stored} are in the store"
    yield f"scenes         {found.scenes} on {found.days} days"
    yield f"days by period {' '.join(map(str, found.days_by_period))}"
    yield f"cloud-free     {clear}"
    yield f"to read        {found.read_mb:g} MB"
    yield f"time           {minutes} min {seconds} s on {found.workers} workers ({found.measured})"
    yield f"memory         {found.memory_mb:g} MB"
    yield f"output         about {found.output_mb:g} MB"
