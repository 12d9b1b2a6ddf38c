"""What a run would cost, from its plan and a calibration of this machine. Pure: no pixel is read."""

import collections
import datetime as dt
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import shapely

from steps.aoi import aoi_shape, geodesic_km2
from steps.calibration import Calibration
from steps.model.job import Plan
from steps.model.scene import Scene
from steps.plan import project
from steps.workload import works

_TILE_BYTES, _MAP_BYTES = 2.5, 2.5
"""Bytes of all layers per pixel of a tile and of the map, compressed; about."""
_PROBABILITY_BYTES = 0.5
"""The same of one class's probability, in both."""


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A quote; `str` of it is for people."""

    job: str
    tiles: int
    stored: int
    """Tiles whose pixels lie in the store already."""
    bare: int
    """Tiles that no scene covers."""
    scenes: int
    days: int
    """Solar days with a scene: granules of one day are one observation."""
    days_by_period: tuple[int, ...]
    """The same in each period of the model's spec, counted from the season's start."""
    clear_by_period: tuple[float, ...]
    """Sums of the cloud-free shares of these days; a day that does not say counts as clear."""
    cloud_free: float | None
    """Mean cloud-free share of the days, by scene metadata; None where no scene says."""
    area_km2: float
    """Of the AOI, on the ellipsoid."""
    crs: str
    width: int
    """Of the map, in pixels; about."""
    height: int
    read_mb: float
    """Bytes to read, as they lie in the files."""
    seconds: float
    memory_mb: float
    """Of all workers together."""
    workers: int
    """That have something to do."""
    store_mb: float
    """New tiles in the store; about."""
    output_mb: float
    """The map with all its layers; about."""
    measured: str
    """What time and memory are based on."""

    def __str__(self) -> str:
        return "\n".join(f"{name:<15} {text}" for name, text in _lines(self))


def quote(plan: Plan, calibration: Calibration, stored: Collection[str], workers: int) -> Quote:
    """The cost of the tiles that are not among the `stored` ids, on some workers.

    Raises AoiError where the plan's grid does not hold its AOI.
    """
    todo = [entry for entry in plan.tiles if str(entry.tile) not in stored]
    work = works(plan, todo)
    busy = max(1, min(workers, len(todo)))
    width, height = _map_shape(plan)
    return Quote(
        job=plan.job,
        tiles=len(plan.tiles),
        stored=len(plan.tiles) - len(todo),
        bare=sum(not entry.scenes for entry in plan.tiles),
        scenes=len(plan.scenes),
        **_season(plan),
        area_km2=round(geodesic_km2(plan.request.aoi), 3),
        crs=f"EPSG:{plan.grid.epsg}",
        width=width,
        height=height,
        read_mb=round(sum(one.read_mb for one in work) * calibration.compression, 1),
        seconds=round(
            _around(width * height, calibration) + _span([calibration.seconds(one) for one in work], busy), 1
        ),
        memory_mb=round(calibration.worker_mb * busy),
        workers=busy,
        store_mb=round(len(todo) * plan.grid.size**2 * _bytes(plan, _TILE_BYTES) / 1e6, 1),
        output_mb=round(width * height * _bytes(plan, _MAP_BYTES) / 1e6, 1),
        measured=calibration.source,
    )


def _bytes(plan: Plan, basic: float) -> float:
    """Per pixel."""
    return basic + _PROBABILITY_BYTES * len(plan.card.classes) * plan.request.options.probabilities


def _around(pixels: int, calibration: Calibration) -> float:
    """Seconds before the first tile and after the last one, as far as a trial has told."""
    mosaic = pixels / 1e6 / calibration.mosaic_mpx_s if calibration.mosaic_mpx_s else 0.0
    return (calibration.start_seconds or 0.0) + mosaic


def _span(seconds: Iterable[float], workers: int) -> float:
    """Until the last worker is done: a tile is not shared out."""
    each = list(seconds)
    return max(sum(each) / workers, max(each, default=0.0))


def _map_shape(plan: Plan) -> tuple[int, int]:
    """Width and height of the map in pixels."""
    left, bottom, right, top = shapely.bounds(project(aoi_shape(plan.request.aoi), plan.grid.epsg))
    return max(1, round((right - left) / plan.grid.resolution)), max(1, round((top - bottom) / plan.grid.resolution))


# -- the season ----------------------------------------------------------------------------------------------------


def _season(plan: Plan) -> dict[str, Any]:
    """The fields that tell of days and clouds."""
    clear = _clear_by_day(plan.scenes)
    stated = [share for share in clear.values() if share is not None]
    periods = [[share for day, share in clear.items() if _period(day, plan) == number] for number in _numbers(plan)]
    return {
        "days": len(clear),
        "days_by_period": tuple(len(shares) for shares in periods),
        "clear_by_period": tuple(round(sum(_or_clear(share) for share in shares), 1) for shares in periods),
        "cloud_free": round(sum(stated) / len(stated), 4) if stated else None,
    }


def _clear_by_day(scenes: Sequence[Scene]) -> dict[dt.date, float | None]:
    """The mean cloud-free share of each solar day's granules; None where they do not say."""
    shares: dict[dt.date, list[float]] = {scene.solar_day: [] for scene in scenes}
    for scene in scenes:
        if scene.cloud_cover is not None:
            shares[scene.solar_day].append(1 - scene.cloud_cover / 100)
    return {day: sum(stated) / len(stated) if stated else None for day, stated in shares.items()}


def scene_days(plan: Plan) -> list[dict[str, Any]]:
    """Date, number of scenes and mean cloud-free share of each solar day with a scene, in order."""
    clear = _clear_by_day(plan.scenes)
    counts = collections.Counter(scene.solar_day for scene in plan.scenes)
    return [{"date": day.isoformat(), "scenes": counts[day], "cloud_free": clear[day]} for day in sorted(clear)]


def _or_clear(share: float | None) -> float:
    return 1.0 if share is None else share


def _numbers(plan: Plan) -> range:
    return range(plan.card.spec.periods)


def _period(day: dt.date, plan: Plan) -> int:
    """As features count them; a leap year's last day belongs to the last period."""
    spec = plan.card.spec
    return min(plan.request.season.day(day) * spec.periods // spec.season_days, spec.periods - 1)


# -- for people ----------------------------------------------------------------------------------------------------


def _lines(found: Quote) -> Iterator[tuple[str, str]]:
    bare = f", {found.bare:,} without any scene" if found.bare else ""
    plural = "s" if found.workers != 1 else ""
    yield "job", found.job
    yield "area", f"{found.area_km2:,g} km2"
    yield "map", f"{found.width:,} x {found.height:,} pixels in {found.crs}, about {_size(found.output_mb)}"
    yield "tiles", f"{found.tiles:,}, of which {found.stored:,} in the store{bare}"
    yield "scenes", f"{found.scenes:,} on {found.days:,} days"
    yield "days by period", " ".join(map(str, found.days_by_period))
    yield "clear of these", " ".join(f"{days:g}" for days in found.clear_by_period)
    yield "cloud-free", _cloud(found.cloud_free)
    yield "to read", _size(found.read_mb)
    yield "to store", f"about {_size(found.store_mb)}"
    yield "time", f"{_duration(found.seconds)} on {found.workers} worker{plural} ({found.measured})"
    yield "memory", f"{found.memory_mb:.0f} MB for all workers"


def _cloud(share: float | None) -> str:
    return "not stated by the scenes" if share is None else f"{share:.0%} of the season, by scene metadata"


def _size(megabytes: float) -> str:
    return f"{megabytes / 1000:,.1f} GB" if megabytes >= 1000 else f"{megabytes:,.1f} MB"


def _duration(seconds: float) -> str:
    """Rounded up: nobody minds being done early."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    if minutes >= 60:
        hours, minutes = divmod(math.ceil(seconds / 60), 60)
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
