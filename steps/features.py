"""From a cube to features, as docs/reference/feature-spec.md defines them. Pure: arrays in, arrays out."""

import functools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from steps.kernels import features as kernels
from steps.model.aoi import Season
from steps.model.spec import FeatureSpec, Index

if TYPE_CHECKING:
    from steps.cube import Cube

POLE = np.float32(0.01)
"""An index whose denominator is closer to zero than this, in reflectance, is 0."""
LIMIT = np.float32(2.0)
"""Indices are clipped to this, either way."""
_RGB = ("red", "green", "blue")
_RGB_WHITE = 3000.0
"""Reflectance x 10000 that is shown as full brightness."""
_COARSE_M = 20.0
_ROWS_PER_TASK = 16


@dataclass(frozen=True, slots=True)
class Features:
    """What a model sees of a block of pixels."""

    values: xr.DataArray
    """float32 (feature, y, x); NaN where missing."""
    clear: np.ndarray
    """uint16 (y, x): usable observations."""
    seen: np.ndarray
    """bool (y, x): whether any observation has data at all."""
    rgb: np.ndarray
    """uint8 (3, y, x): red, green, blue, mean of the period medians; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class _Tables:
    """A spec as the kernel reads it, for one set of observation days."""

    members: np.ndarray
    member_first: np.ndarray
    pairs: np.ndarray
    pair_first: np.ndarray
    index_num: np.ndarray
    index_den: np.ndarray
    index_consts: np.ndarray
    series_used: np.ndarray
    composites: np.ndarray
    percentile_of: np.ndarray
    percents: np.ndarray
    amplitudes: np.ndarray
    phenologies: np.ndarray
    rgb_bands: np.ndarray


def compute_features(
    cube: "Cube",
    spec: FeatureSpec,
    season: Season,
    halo: int,
    layers: Mapping[str, np.ndarray] | None = None,
    *,
    threads: int = 1,
) -> Features:
    """The features of a cube's pixels inside its halo (in fine pixels, even).

    `layers` maps names to float32 (band, y, x) without halo. The result does not depend on `threads`.
    """
    clear = _trimmed(clear_cells(cube.scl.values, spec), halo // 2)
    height, width = 2 * clear.shape[1], 2 * clear.shape[2]
    made = len(spec.feature_names) - sum(len(layer.bands) for layer in spec.layers)
    out = np.empty((made, height, width), np.float32)
    counts, rgb = np.empty((height, width), np.uint16), np.zeros((3, height, width), np.uint8)
    fine, coarse = np.ascontiguousarray(cube.fine.values), np.ascontiguousarray(cube.coarse.values)
    arguments = _arguments(cube, spec, season)
    rows = height // 2
    tasks = [(first, min(first + _ROWS_PER_TASK, rows)) for first in range(0, rows, _ROWS_PER_TASK)]

    def run(task: tuple[int, int]) -> None:
        kernels.feature_rows(fine, coarse, clear, halo, *arguments, *task, out, counts, rgb)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, tasks))
    seen = _trimmed((cube.scl.values != 0), halo // 2).any(axis=0)
    values = np.concatenate([out, *_layers_of(spec, layers or {})]) if spec.layers else out
    return Features(
        values=xr.DataArray(values, dims=("feature", "y", "x"), coords={"feature": list(spec.feature_names)}),
        clear=counts,
        seen=np.repeat(np.repeat(seen, 2, 0), 2, 1),
        rgb=rgb,
    )


def clear_cells(scl: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """bool (t, y2, x2): of a clear class, and no cell of a dilated class within `dilation_m`, centre to centre."""
    clear = np.isin(scl, spec.clear_classes)
    if spec.dilation_m > 0:
        dy, dx = _disk(spec.dilation_m / _COARSE_M)
        kernels.grow(np.isin(scl, spec.dilate_classes), dy, dx, clear)
    return clear


@functools.cache
def _disk(radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of the cells within `radius` cells."""
    reach = math.floor(radius)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = dy**2 + dx**2 <= radius**2
    return dy[inside], dx[inside]


def _trimmed(cells: np.ndarray, halo: int) -> np.ndarray:
    height, width = cells.shape[1:]
    return np.ascontiguousarray(cells[:, halo : height - halo, halo : width - halo])


def _layers_of(spec: FeatureSpec, layers: Mapping[str, np.ndarray]) -> Iterator[np.ndarray]:
    return (layers[layer.name].astype(np.float32, copy=False) for layer in spec.layers)


def _arguments(cube: "Cube", spec: FeatureSpec, season: Season) -> tuple[object, ...]:
    """The kernel's arguments between the cube and the rows."""
    fine_bands, coarse_bands = list(cube.fine.band.values), list(cube.coarse.band.values)
    is_coarse = np.array([band in coarse_bands for band in spec.bands])
    slot = np.array([(coarse_bands if band in coarse_bands else fine_bands).index(band) for band in spec.bands])
    days = (cube.scl.time.values - np.datetime64(season.start)).astype("timedelta64[D]").astype(int)
    t = _tables(spec, tuple(int(day) for day in days))
    return (
        is_coarse, slot, t.members, t.member_first, t.pairs, t.pair_first,
        spec.gap_limit, t.index_num, t.index_den, t.index_consts, POLE, LIMIT,
        t.series_used, t.composites, spec.counts, t.percentile_of, t.percents, t.amplitudes, t.phenologies,
        np.float32(spec.season_days / spec.periods), t.rgb_bands, np.float32(254.0 / _RGB_WHITE),
    )  # fmt: skip


def period_of(day: int, spec: FeatureSpec) -> int:
    """The period of a day of the season; a leap year's last day belongs to the last period."""
    return min(day * spec.periods // spec.season_days, spec.periods - 1)


@functools.lru_cache(maxsize=8)
def _tables_of(key: bytes, days: tuple[int, ...]) -> _Tables:
    import msgspec  # noqa: PLC0415

    return _build_tables(msgspec.json.decode(key, type=FeatureSpec), days)


def _tables(spec: FeatureSpec, days: tuple[int, ...]) -> _Tables:
    import msgspec  # noqa: PLC0415

    return _tables_of(msgspec.json.encode(spec), days)


def _build_tables(spec: FeatureSpec, days: Sequence[int]) -> _Tables:
    periods = np.array([period_of(day, spec) for day in days], np.int64)
    groups = [np.flatnonzero(periods == period) for period in range(spec.periods)]
    sizes = [len(group) for group in groups]
    pairs, pair_first = _networks({*sizes, len(days)}, len(days))
    sources = list(spec.sources)
    entries = [(sources.index(entry.of), percent) for entry in spec.percentiles for percent in entry.percents]
    return _Tables(
        members=np.concatenate([*groups, np.empty(0, np.int64)]).astype(np.int64),
        member_first=np.cumsum([0, *sizes]).astype(np.int64),
        pairs=pairs,
        pair_first=pair_first,
        index_num=_coefficients(spec, [index.numerator for index in spec.indices]),
        index_den=_coefficients(spec, [index.denominator for index in spec.indices]),
        index_consts=np.array([_consts(index) for index in spec.indices], np.float32).reshape(-1, 3),
        series_used=_series_used(spec),
        composites=_positions(sources, spec.composites),
        percentile_of=np.array([source for source, _ in entries], np.int64),
        percents=np.array([percent for _, percent in entries], np.float64),
        amplitudes=_positions(sources, spec.amplitudes),
        phenologies=_positions(sources, spec.phenology),
        rgb_bands=np.array([spec.bands.index(band) if band in spec.bands else -1 for band in _RGB], np.int64),
    )


def _positions(sources: Sequence[str], names: Sequence[str]) -> np.ndarray:
    return np.array([sources.index(name) for name in names], np.int64)


def _coefficients(spec: FeatureSpec, sides: Sequence[Mapping[str, float]]) -> np.ndarray:
    """float32 (index, band), per unit of the stored values."""
    rows = [[side.get(band, 0.0) * 1e-4 for band in spec.bands] for side in sides]
    return np.array(rows, np.float32).reshape(len(sides), len(spec.bands))


def _consts(index: Index) -> tuple[float, float, float]:
    return index.gain, index.numerator_const, index.denominator_const


def _series_used(spec: FeatureSpec) -> np.ndarray:
    """bool (source): whether its period values are needed, by a feature, an index or the picture."""
    direct = {*spec.composites, *spec.amplitudes, *spec.phenology}
    through = {
        band for index in spec.indices if index.name in direct for band in (*index.numerator, *index.denominator)
    }
    return np.array([source in direct | through | {*_RGB} for source in spec.sources])


def _networks(sizes: set[int], largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorting networks of some sizes in one table; pairs[first[n] : first[n + 1]] sorts n."""
    tables = [sorting_network(n) if n in sizes else np.empty((0, 2), np.int64) for n in range(largest + 1)]
    first = np.cumsum([0, *(len(table) for table in tables)])
    return np.concatenate(tables), first.astype(np.int64)


@functools.cache
def sorting_network(n: int) -> np.ndarray:
    """int64 (comparison, 2): Batcher's odd-even merge sort for n inputs (Knuth, TAOCP 3, 5.2.2, algorithm M)."""
    pairs = []
    p = 1
    while p < n:
        k = p
        while k >= 1:
            pairs += _merge_stage(n, p, k)
            k //= 2
        p *= 2
    return np.array(pairs, np.int64).reshape(-1, 2)


def _merge_stage(n: int, p: int, k: int) -> list[tuple[int, int]]:
    starts = range(k % p, n - k, 2 * k)
    candidates = ((j + i, j + i + k) for j in starts for i in range(min(k, n - j - k)))
    return [(a, b) for a, b in candidates if a // (2 * p) == b // (2 * p)]


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))
