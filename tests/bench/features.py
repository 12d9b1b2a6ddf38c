"""Features of a tile of 1024 px, 24 dates: ours against xarray on dask, as a tutorial would write it. Same outputs.

Both use two threads. `numbagg` is installed, so xarray uses it where it can; `flox` is not.
"""

import statistics
import time
from collections.abc import Callable

import dask
import numpy as np
import xarray as xr

from steps.cube import Cube, load_cube
from steps.features import compute_features
from steps.model.aoi import Season
from steps.model.spec import FeatureSpec
from tests.bench.job import spec as bench_spec
from tests.bench.load import tile_job

THREADS = 2


def run() -> dict[str, float]:
    """Medians in seconds, the ratio, and how far the two are apart."""
    job = tile_job()
    cube, spec = load_cube(job, threads=THREADS), bench_spec()
    ours, first = _median(lambda: compute_features(cube, spec, job.season, job.halo, threads=THREADS).values.values, 5)
    theirs, second = _median(lambda: tutorial(cube, spec, job.season, job.halo), 1)
    return {
        "ours_s": round(ours, 3),
        "xarray_dask_s": round(theirs, 2),
        "times": round(theirs / ours, 1),
        "mpx_s": round(first[0].size / 1e6 / ours, 2),
        "worst_difference": float(np.nanmax(np.abs(first - second))),
        "missing_differs": int((np.isnan(first) != np.isnan(second)).sum()),
    }


def _median(work: Callable[[], np.ndarray], repeats: int) -> tuple[float, np.ndarray]:
    out, times = work() if repeats > 1 else None, []
    for _ in range(repeats):
        start = time.perf_counter()
        out = work()
        times.append(time.perf_counter() - start)
    return statistics.median(times), out


def tutorial(cube: Cube, spec: FeatureSpec, season: Season, halo: int) -> np.ndarray:
    """Medians, percentiles and filled periods with xarray, chunked by dask."""
    scl = _fine(cube.scl)
    cloud = scl.isin(spec.dilate_classes).values
    grown = cloud.copy()
    for axis in (1, 2):  # a disk of one 20 m cell is a cross
        for shift in (-2, 2):
            grown |= np.roll(cloud, shift, axis)
    clear = scl.isin(spec.clear_classes) & ~grown
    both = xr.concat([cube.fine.drop_vars(["y", "x"]), _fine(cube.coarse)], "band").sel(band=list(spec.bands))
    inner = {"y": slice(halo, -halo or None), "x": slice(halo, -halo or None)}
    values = both.where(clear & (both != 0).all("band")).isel(inner).astype("float32") * np.float32(1e-4)
    values = values.chunk({"time": -1, "band": -1, "y": 256, "x": 256})
    days = (values.time.values - np.datetime64(season.start)).astype("timedelta64[D]").astype(int)
    periods = np.minimum(days * spec.periods // spec.season_days, spec.periods - 1)
    grouped = values.assign_coords(period=("time", periods)).groupby("period").median()
    filled = _filled(grouped.reindex(period=np.arange(spec.periods)).chunk({"period": -1}), spec.gap_limit)
    single, series = _ndvi(values), _ndvi(filled)
    median = values.median("time")
    quantiles = single.quantile([0.1, 0.5, 0.9], "time")
    with dask.config.set(scheduler="threads", num_workers=THREADS):
        series, median, quantiles = dask.compute(series, median, quantiles)
    parts = [series.transpose("period", "y", "x"), median.transpose("band", "y", "x"), quantiles]
    return np.concatenate([part.values for part in parts]).astype(np.float32)


def _filled(series: xr.DataArray, limit: int) -> xr.DataArray:
    """Gaps of at most `limit` periods: linear inside, nearest at the ends."""
    inside = series.interpolate_na("period", "linear", max_gap=limit + 1, use_coordinate=True)
    known = series.notnull().any("band")
    position = xr.where(known, series.period, np.nan)
    first, last = position.min("period"), position.max("period")
    begin = (series.period < first) & (first <= limit)
    end = (series.period > last) & (series.sizes["period"] - 1 - last <= limit)
    return inside.where(~begin, series.bfill("period")).where(~end, series.ffill("period"))


def _ndvi(values: xr.DataArray) -> xr.DataArray:
    nir, red = values.sel(band="nir"), values.sel(band="red")
    return (nir - red) / (nir + red)


def _fine(coarse: xr.DataArray) -> xr.DataArray:
    """Each 20 m pixel as four of 10 m."""
    values = coarse.values.repeat(2, -1).repeat(2, -2)
    kept = {name: coarse[name] for name in ("time", "band") if name in coarse.dims}
    return xr.DataArray(values, dims=coarse.dims, coords=kept)
