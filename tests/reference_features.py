"""Features the slow and plain way, straight from docs/reference/feature-spec.md: a pixel at a time."""

import itertools

import numpy as np

from steps.features import LIMIT, POLE
from steps.model.aoi import Season
from steps.model.spec import FeatureSpec, Index


def clear_cells(scl: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Clear, and farther than `dilation_m` from every cell of a dilated class of its date."""
    clear = np.isin(scl, spec.clear_classes)
    rows, cols = np.indices(scl.shape[1:])
    for t, y, x in zip(*np.nonzero(np.isin(scl, spec.dilate_classes)), strict=True):
        if spec.dilation_m > 0:
            clear[t] &= np.hypot(rows - y, cols - x) * 20 > spec.dilation_m
    return clear


def pixel_features(values: np.ndarray, usable: np.ndarray, days: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Features of one pixel: values (t, band) uint16, usable (t) bool, days (t) since the season's start."""
    observed, when = values[usable], days[usable]
    if len(observed) == 0:
        return np.full(len(spec.feature_names), np.nan, np.float32)
    periods = np.minimum(when * spec.periods // spec.season_days, spec.periods - 1)
    medians = [np.median(observed[periods == p], axis=0) if (periods == p).any() else None for p in range(spec.periods)]
    filled = np.array(fill(medians, spec.gap_limit, len(spec.bands)), np.float32)
    series = {band: filled[:, b] * np.float32(1e-4) for b, band in enumerate(spec.bands)}
    series |= {index.name: index_values(index, filled, spec) for index in spec.indices}
    single = {band: observed[:, b].astype(np.float32) * np.float32(1e-4) for b, band in enumerate(spec.bands)}
    single |= {index.name: index_values(index, observed.astype(np.float32), spec) for index in spec.indices}
    return np.array(_collected(spec, series, single, len(set(periods.tolist()))), np.float32)


def _collected(spec: FeatureSpec, series: dict, single: dict, full: int) -> list[float]:
    out = [value for source in spec.composites for value in series[source]]
    out += [full / spec.periods] if spec.counts else []
    out += [np.percentile(single[entry.of], percent) for entry in spec.percentiles for percent in entry.percents]
    out += [np.nanmax(series[source]) - np.nanmin(series[source]) for source in spec.amplitudes]
    for source in spec.phenology:
        out += events(series[source], spec.season_days / spec.periods)
    return out


def fill(medians: list, limit: int, bands: int) -> list:
    """Gaps of at most `limit` periods: linear inside, the nearest at the ends."""
    known = [p for p, median in enumerate(medians) if median is not None]
    out = []
    for p, median in enumerate(medians):
        before, after = [k for k in known if k < p], [k for k in known if k > p]
        if median is not None:
            out.append(median)
        elif before and after and after[0] - before[-1] - 1 <= limit:
            share = (p - before[-1]) / (after[0] - before[-1])
            out.append(medians[before[-1]] + (medians[after[0]] - medians[before[-1]]) * share)
        elif before and not after and len(medians) - before[-1] - 1 <= limit:
            out.append(medians[before[-1]])
        elif after and not before and after[0] <= limit:
            out.append(medians[after[0]])
        else:
            out.append(np.full(bands, np.nan))
    return out


def index_values(index: Index, values: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """An index of values (n, band) x 10000: 0 at poles, clipped."""
    num = _side(index.numerator, values, spec) + np.float32(index.numerator_const)
    den = _side(index.denominator, values, spec) + np.float32(index.denominator_const)
    pole = np.abs(den) < POLE
    ratio = np.float32(index.gain) * num / np.where(pole, np.float32(1), den)
    clipped = np.clip(np.where(pole, np.float32(0), ratio), -LIMIT, LIMIT)
    return np.where(np.isnan(num + den), np.float32(np.nan), clipped)


def _side(side: dict[str, float], values: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    total = np.zeros(len(values), np.float32)
    for b, band in enumerate(spec.bands):
        if side.get(band, 0):
            total = total + np.float32(side[band] * 1e-4) * values[:, b]
    return total


def events(series: np.ndarray, step: float) -> list[float]:
    """Days of the half-way rise, the peak and the half-way fall."""
    if np.isnan(series).all():
        return [np.nan] * 3
    top = int(np.nanargmax(series))
    return [_crossing(series, top, -1, step), step * (top + 0.5), _crossing(series, top, 1, step)]


def _crossing(series: np.ndarray, top: int, direction: int, step: float) -> float:
    side = [p for p in (range(top, -1, -1) if direction < 0 else range(top, len(series))) if not np.isnan(series[p])]
    level = np.float32(0.5) * (series[top] + min(series[p] for p in side))
    for inner, outer in itertools.pairwise(side):
        if series[outer] <= level < series[inner]:
            share = (series[inner] - level) / (series[inner] - series[outer])
            return step * (inner + 0.5 + share * (outer - inner))
    return step * (side[-1] + 0.5)


def reference(fine, coarse, scl, names, spec: FeatureSpec, season: Season, days: np.ndarray, halo: int) -> np.ndarray:
    """float32 (feature, y, x) inside the halo, of fine (t, band, y, x), coarse (t, band, y2, x2), scl (t, y2, x2)."""
    clear = clear_cells(scl, spec)
    fine_names, coarse_names = names
    height, width = fine.shape[2] - 2 * halo, fine.shape[3] - 2 * halo
    out = np.empty((len(spec.feature_names), height, width), np.float32)
    for y in range(height):
        for x in range(width):
            cy, cx = (y + halo) // 2, (x + halo) // 2
            cell = fine[:, :, 2 * cy : 2 * cy + 2, 2 * cx : 2 * cx + 2]
            usable = clear[:, cy, cx] & (cell != 0).all(axis=(1, 2, 3)) & (coarse[:, :, cy, cx] != 0).all(axis=1)
            columns = [
                coarse[:, coarse_names.index(band), cy, cx]
                if band in coarse_names
                else fine[:, fine_names.index(band), y + halo, x + halo]
                for band in spec.bands
            ]
            out[:, y, x] = pixel_features(np.stack(columns, 1), usable, days, spec)
    assert season.days >= 1
    return out
