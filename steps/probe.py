"""Do the items' offsets tell the truth? The pixels are asked.

From processing baseline 04.00 on, Sentinel-2 L2A pixels carry +1000 DN (0.1 reflectance), which an item states, or
says to be removed already; some items are wrong either way. Two kinds of evidence tell, on clear pixels by the scene
classification, which was made before the shift and so does not depend on it:

- the floor, the second percentile of the darkest band: dense vegetation, water and shadow reflect less than 0.05 in
  blue or red. Shifted pixels cannot be as dark as that; three and more scenes in a row that never are, although
  vegetation or water is there, are shifted;
- neighbours in time on the same pixels: a shift lifts the dark percentile of all bands by the same 0.1, where haze
  lifts blue most and shortwave infrared least, and a harvest lowers some bands.

Cloudy scenes, bright ground and contradictions are undecided, and what the item states stays.
"""

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyproj
import rasterio
import structlog
from pyproj.exceptions import ProjError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window, from_bounds
from shapely.geometry import shape

from steps.errors import GeoCropError
from steps.model.job import OffsetVerdict
from steps.model.scene import REFLECTANCE_BANDS, SCL, Asset, Scene
from steps.scenes import sign

SHIFT = 0.1
"""Reflectance: BOA_ADD_OFFSET of -1000 at 1e-4 per DN."""
_BANDS = ("blue", "red", "swir16", "green", "swir22", "nir08", "nir")
"""In order of preference; up to four are read."""
_VISIBLE, _SHORTWAVE = {"blue", "green", "red"}, {"swir16", "swir22"}
_MOST_BANDS, _LEAST_BANDS = 4, 2
_CLEAR = (2, 4, 5, 6)
"""SCL: dark, vegetation, bare, water. Unclassified and shadow are often thin cloud and its edge."""
_DARK = (4, 6)
_LEAST_CLEAR = 200
_SIDE_PX, _PX_M, _REACH_M = 128, 20.0, 20_000.0
"""Size of the sample: at most so many pixels a side, at least that far apart, from the middle of the AOI."""
_PLAIN_FLOOR = 0.05
"""No shifted scene has 2 % of its clear pixels below; that would be a reflectance of -0.05."""
_SHIFTED_FLOOR = (0.095, 0.15)
"""Where the floor of a shifted scene with vegetation or water lies."""
_NEAR_DAYS, _MOST_NEIGHBOURS, _LEAST_COMPANY = 60, 2, 3
_TOLERANCE, _BAND_TOLERANCE = 0.03, 0.05
_MOST_SCENES, _READERS = 400, 8
_GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_TIMEOUT": "30",
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_CACHEMAX": 32,  # MB: each window is read once, and 5 % of a large machine's memory is much for that
}
_log = structlog.get_logger()
_Bounds = tuple[float, float, float, float]
_Place = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A scene's clear pixels in a small window."""

    scene: Scene
    place: _Place
    """EPSG and window in metres: samples of one place can be compared pixel by pixel."""
    values: dict[str, np.ndarray]
    """Band to (y, x) float32 reflectance without any offset; NaN where not clear."""
    clear: int
    dark: int
    """Pixels among the clear ones that are vegetation or water."""

    @property
    def floor(self) -> float:
        """Second percentile of the darkest band."""
        return min(float(np.nanpercentile(values, 2)) for values in self.values.values())


@dataclass(frozen=True, slots=True)
class Finding:
    """What the pixels of a scene hold, and why it is thought so."""

    shift: float | None
    """0 or 0.1 reflectance; None: not known."""
    evidence: str


def probe_offsets(scenes: Sequence[Scene], geometry: Mapping[str, Any]) -> list[OffsetVerdict]:
    """One verdict per scene, in their order, from a small window of the AOI (GeoJSON, lon/lat) in each.

    Reads pixels; what cannot be read is undecided and raises nothing.
    """
    step = math.ceil(len(scenes) / _MOST_SCENES)
    bounds = shape(dict(geometry)).bounds
    with ThreadPoolExecutor(_READERS) as pool:
        chosen = scenes[::step] if step else []
        read = dict(
            zip((scene.id for scene in chosen), pool.map(lambda one: _sample(one, bounds), chosen), strict=True)
        )
    findings = _judge([one for one in read.values() if isinstance(one, Sample)])
    findings |= {name: Finding(None, one) for name, one in read.items() if isinstance(one, str)}
    skipped = Finding(None, f"not looked at: of {len(scenes)} scenes every {step}th was")
    verdicts = [_verdict(scene, findings.get(scene.id, skipped)) for scene in scenes]
    for verdict in (one for one in verdicts if one.verdict == "lies"):
        _log.warning("offset.lies", scene=verdict.scene, stated=verdict.stated, evidence=verdict.evidence)
    _log.info("offsets.probed", **Counter(verdict.verdict for verdict in verdicts))
    return verdicts


def apply_verdicts(scenes: Sequence[Scene], verdicts: Iterable[OffsetVerdict]) -> list[Scene]:
    """The scenes, with the offsets of those that lie as the pixels say."""
    lies = {verdict.scene: verdict for verdict in verdicts if verdict.verdict == "lies"}
    return [_corrected(scene, lies[scene.id].resolved) if scene.id in lies else scene for scene in scenes]


def _corrected(scene: Scene, offset: float) -> Scene:
    assets = {
        band: asset if band == SCL else msgspec.structs.replace(asset, offset=offset)
        for band, asset in scene.assets.items()
    }
    return msgspec.structs.replace(scene, assets=assets, offset_source="probe")


def _verdict(scene: Scene, finding: Finding) -> OffsetVerdict:
    stated = _stated(scene)
    resolved, verdict = stated, "undecided"
    if finding.shift is not None and min(abs(stated), abs(stated + SHIFT)) < 0.01:
        lies = abs(stated + finding.shift) >= 0.01
        resolved, verdict = (0.0 - finding.shift, "lies") if lies else (stated, "agrees")
    return OffsetVerdict(
        scene=scene.id, verdict=verdict, stated=stated, resolved=resolved + 0.0, evidence=finding.evidence
    )


def _stated(scene: Scene) -> float:
    offsets = Counter(scene.assets[band].offset for band in REFLECTANCE_BANDS if band in scene.assets)
    return offsets.most_common(1)[0][0] if offsets else 0.0


# -- reading -------------------------------------------------------------------------------------------------------


def _sample(scene: Scene, lonlat: _Bounds) -> Sample | str:
    """A scene's sample, or why there is none."""
    bands = [band for band in _BANDS if band in scene.assets][:_MOST_BANDS]
    if SCL not in scene.assets or len(bands) < _LEAST_BANDS or _VISIBLE.isdisjoint(bands):
        return "it has no scene classification, or not two bands of which one is visible"
    try:
        with rasterio.Env(**_GDAL):
            return _read(scene, bands, lonlat)
    except (RasterioError, GeoCropError, ProjError, ValueError, OSError) as error:
        _log.info("probe.unread", scene=scene.id, error=str(error)[:200])
        return f"it could not be read: {' '.join(str(error).split())[:150]}"


def _read(scene: Scene, bands: Sequence[str], lonlat: _Bounds) -> Sample | str:
    classes, place = _window(scene.assets[SCL], lonlat)
    clear = np.isin(classes, _CLEAR)
    raw = {band: _window(scene.assets[band], lonlat, classes.shape)[0] for band in bands}
    for band, pixels in raw.items():
        nodata = scene.assets[band].nodata
        clear &= pixels != (0 if nodata is None else nodata)
    if clear.sum() < _LEAST_CLEAR:
        return f"it has only {int(clear.sum())} clear pixels of {clear.size} looked at"
    dark = int((clear & np.isin(classes, _DARK)).sum())
    return Sample(
        scene=scene,
        place=place,
        values={band: np.where(clear, raw[band] * scene.assets[band].scale, np.nan).astype("f4") for band in bands},
        clear=int(clear.sum()),
        dark=dark,
    )


def _window(asset: Asset, lonlat: _Bounds, size: tuple[int, ...] | None = None) -> tuple[np.ndarray, _Place]:
    """Pixels (y, x) around the AOI's middle, nearest neighbour, from an overview where there is one."""
    with rasterio.open(sign(asset.href)) as source:
        epsg = asset.epsg or source.crs.to_epsg()
        left, bottom, right, top = _extent(epsg, lonlat, source.bounds)
        window = from_bounds(left, bottom, right, top, source.transform).intersection(
            Window(0, 0, source.width, source.height)
        )
        size = size or (_pixels(top - bottom), _pixels(right - left))
        pixels = source.read(1, window=window, out_shape=size, resampling=Resampling.nearest)
    return pixels, (epsg, round(left), round(bottom), round(right), round(top))


def _pixels(metres: float) -> int:
    return max(1, min(_SIDE_PX, round(metres / _PX_M)))


@functools.lru_cache(maxsize=256)
def _aoi_bounds(epsg: int, lonlat: _Bounds) -> _Bounds:
    west, south, east, north = lonlat
    transformer = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
    return transformer.transform_bounds(west, south, east, north)


def _extent(epsg: int, lonlat: _Bounds, raster: tuple[float, ...]) -> _Bounds:
    """Where AOI and raster overlap, at most `_REACH_M` wide and high around the middle. Metres of the raster's CRS."""
    aoi = _aoi_bounds(epsg, lonlat)
    left, bottom = (max(aoi[i], raster[i]) for i in (0, 1))
    right, top = (min(aoi[i], raster[i]) for i in (2, 3))
    if left >= right or bottom >= top:
        raise ValueError("the AOI lies outside of it")
    x, y = (left + right) / 2, (bottom + top) / 2
    half_width, half_height = (min(_REACH_M, extent) / 2 for extent in (right - left, top - bottom))
    return x - half_width, y - half_height, x + half_width, y + half_height


# -- judging -------------------------------------------------------------------------------------------------------


def _judge(samples: Sequence[Sample]) -> dict[str, Finding]:
    """Findings by scene id: first what the floor proves, then by neighbours, then by company."""
    findings = {one.scene.id: _by_floor(one) for one in samples}
    for _ in range(2):  # what is found by neighbours helps others once more
        for one in samples:
            if findings[one.scene.id].shift is None:
                findings[one.scene.id] = _by_neighbours(one, samples, findings)
    undecided = [one for one in samples if findings[one.scene.id].shift is None]
    return findings | {one.scene.id: _by_company(one, samples, findings) for one in undecided}


def _by_floor(sample: Sample) -> Finding:
    floor = sample.floor
    said = f"2 % of its {sample.clear} clear pixels are below {floor:.3f}"
    if floor < _PLAIN_FLOOR:
        return Finding(0.0, f"{said} before any offset, as dark as pixels without the shift of {SHIFT} only can be")
    return Finding(None, f"{said} before any offset, which fits both")


def _by_neighbours(sample: Sample, samples: Sequence[Sample], findings: Mapping[str, Finding]) -> Finding:
    """Compare with the nearest scenes before and after whose shift is known; what the season changes evens out."""
    known = [one for one in samples if one.place == sample.place and findings[one.scene.id].shift is not None]
    near = sorted((one for one in known if _days(one, sample) <= _NEAR_DAYS), key=lambda one: _days(one, sample))
    before = [one for one in near if one.scene.solar_day <= sample.scene.solar_day][:_MOST_NEIGHBOURS]
    after = [one for one in near if one.scene.solar_day > sample.scene.solar_day][:_MOST_NEIGHBOURS]
    each = [_lifts(sample, one, findings[one.scene.id].shift or 0.0) for one in (*before, *after)]
    lifts = _medians([one for one in each if one])
    shift = _shift_of(lifts) if lifts else None
    if shift is None or (shift == SHIFT and _SHORTWAVE.isdisjoint(lifts)):
        return findings[sample.scene.id]  # haze lifts visible bands and near infrared as much
    shown = ", ".join(f"{band} {lift:+.3f}" for band, lift in lifts.items())
    named = ", ".join(one.scene.id for one in (*before[:1], *after[:1]))
    return Finding(shift, f"before any offset its dark pixels differ from those of {named} by {shown}")


def _medians(lifts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By band that all have."""
    bands = [band for band in lifts[0] if all(band in one for one in lifts)] if lifts else []
    return {band: float(np.median([one[band] for one in lifts])) for band in bands}


def _days(one: Sample, other: Sample) -> int:
    return abs((one.scene.solar_day - other.scene.solar_day).days)


def _lifts(sample: Sample, neighbour: Sample, shift: float) -> dict[str, float]:
    """By band, how much brighter the tenth percentile is than a neighbour's true one, on pixels clear in both."""
    bands = [band for band in sample.values if band in neighbour.values]
    if len(bands) < _LEAST_BANDS or sample.values[bands[0]].shape != neighbour.values[bands[0]].shape:
        return {}
    both = ~np.isnan(sample.values[bands[0]]) & ~np.isnan(neighbour.values[bands[0]])
    if both.sum() < _LEAST_CLEAR:
        return {}
    return {band: _tenth(sample, band, both) - (_tenth(neighbour, band, both) - shift) for band in bands}


def _tenth(sample: Sample, band: str, where: np.ndarray) -> float:
    return float(np.percentile(sample.values[band][where], 10))


def _shift_of(lifts: Mapping[str, float]) -> float | None:
    """0 or 0.1 when every band is lifted by it; else None. Haze hardly lifts shortwave infrared."""
    values = np.array(list(lifts.values()))
    for shift in (0.0, SHIFT):
        off = np.abs(values - shift)
        if abs(float(np.median(values)) - shift) <= _TOLERANCE and off.max() <= _BAND_TOLERANCE:
            return shift
    return None


def _by_company(sample: Sample, samples: Sequence[Sample], findings: Mapping[str, Finding]) -> Finding:
    """Scenes in a row over vegetation or water that are never dark are shifted, and so is a stated shift that fits."""
    finding = findings[sample.scene.id]
    near = [one for one in samples if one.place == sample.place and _days(one, sample) <= _NEAR_DAYS]
    if not _looks_shifted(sample) or any(findings[one.scene.id].shift == 0.0 for one in near):
        return finding
    said = f"2 % of its {sample.clear} clear pixels are below {sample.floor:.3f} before any offset"
    company = [one for one in near if _looks_shifted(one)]
    if len(company) >= _LEAST_COMPANY and 2 * len(company) >= len(near):
        return Finding(SHIFT, f"{said}, and so in {len(company)} scenes within {_NEAR_DAYS} days, over dark ground")
    if abs(_stated(sample.scene) + SHIFT) < 0.01:
        return Finding(SHIFT, f"{said}, as the stated offset lets expect over dark ground")
    return finding


def _looks_shifted(sample: Sample) -> bool:
    low, high = _SHIFTED_FLOOR
    return low <= sample.floor <= high and sample.dark >= max(_LEAST_CLEAR, sample.clear // 5)
