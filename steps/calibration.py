"""How fast this machine is: measured once, refined by every run, kept under the home folder."""

import datetime as dt
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from steps.model.job import Plan, TileMapped, TileOutcome
from steps.settings import Settings

_BLEND = 0.3
"""Weight of a new run."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Rates of one worker."""

    read_mb_s: float
    """Uncompressed MB of windows read per second."""
    feature_mpx_s: float
    """Megapixels times days times bands per second."""
    predict_mpx_s: float
    tile_seconds: float = 0.1
    """Overhead of a tile."""
    start_seconds: float = 6.0
    """From the command to the first tile."""
    mosaic_mpx_s: float = 4.0
    worker_mb: float = 700.0
    compression: float = 0.6
    """Bytes in the files over bytes of the windows."""
    runs: int = 0
    source: str = "a short measurement of this machine"


def load(settings: Settings) -> Calibration:
    """What is known of this machine; measured now when nothing is."""
    try:
        return msgspec.json.decode(_path(settings).read_bytes(), type=Calibration)
    except (OSError, msgspec.DecodeError):
        return measure(settings)


def measure(settings: Settings) -> Calibration:
    """Time small pieces of the real work, in some seconds, and keep the result."""
    found = Calibration(read_mb_s=_reading(), feature_mpx_s=_features(), predict_mpx_s=_predicting())
    _keep(found, settings)
    return found


def learn(plan: Plan, outcomes: Iterable[TileOutcome], settings: Settings) -> Calibration | None:
    """Blend in what the tiles of a run took; None when no tile was computed."""
    mapped = [outcome for outcome in outcomes if isinstance(outcome, TileMapped) and outcome.seconds.get("load")]
    if not mapped:
        return None
    old, new = load(settings), _of_run(plan, mapped)
    rates = ("read_mb_s", "feature_mpx_s", "predict_mpx_s", "compression", "worker_mb")
    blended = {name: getattr(old, name) * (1 - _BLEND) + getattr(new, name) * _BLEND for name in rates}
    runs = old.runs + 1
    found = msgspec.structs.replace(old, **blended, runs=runs, source=f"{runs} runs on this machine")
    _keep(found, settings)
    return found


def _of_run(plan: Plan, mapped: list[TileMapped]) -> Calibration:
    from steps.quote import tile_megabytes  # noqa: PLC0415 - a quote needs a calibration

    entries = {entry.tile: entry for entry in plan.tiles}
    megabytes = sum(tile_megabytes(plan, entries[outcome.tile]) for outcome in mapped)
    seconds = {stage: sum(one.seconds.get(stage, 0.0) for one in mapped) for stage in ("load", "features", "predict")}
    megapixels = len(mapped) * plan.grid.size**2 / 1e6
    days = sum(len({plan.scenes[i].solar_day for i in entries[one.tile].scenes}) for one in mapped) / len(mapped)
    return Calibration(
        read_mb_s=megabytes / max(seconds["load"], 1e-3),
        feature_mpx_s=megapixels * days * len(plan.card.spec.bands) / max(seconds["features"], 1e-3),
        predict_mpx_s=megapixels / max(seconds["predict"], 1e-3),
        compression=min(1.0, sum(one.bytes_read for one in mapped) / 1e6 / max(megabytes, 1e-3)),
        worker_mb=max(one.peak_mb for one in mapped),
    )


def _path(settings: Settings) -> Path:
    return settings.home / "calibration.json"


def _keep(found: Calibration, settings: Settings) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=settings.home, prefix=".calibration-", delete=False) as file:
        file.write(msgspec.json.encode(found))
    Path(file.name).replace(_path(settings))


def _rate(amount: float, work: Callable[[], object]) -> float:
    """Amount per second, of the better of two runs after one to warm up."""
    work()
    times = []
    for _ in range(2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return amount / min(times)


def _reading() -> float:
    """Inflate blocks like those of real scenes."""
    import zlib  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415

    values = np.random.default_rng(0).normal(2000, 60, 1 << 21).astype(np.uint16)
    packed = zlib.compress(np.diff(values, prepend=values[:1]).tobytes(), 6)
    return _rate(values.nbytes / 1e6, lambda: np.cumsum(np.frombuffer(zlib.decompress(packed), np.uint16)))


def _features() -> float:
    import numpy as np  # noqa: PLC0415
    import xarray as xr  # noqa: PLC0415

    from steps.cube import Cube  # noqa: PLC0415
    from steps.features import compute_features  # noqa: PLC0415
    from steps.model.aoi import Season  # noqa: PLC0415
    from steps.model.spec import standard_spec  # noqa: PLC0415

    size, bands = 256, ("blue", "green", "red", "nir")
    season = Season(start=dt.date(2021, 1, 1), end=dt.date(2021, 12, 31))
    time_axis = np.datetime64("2021-01-01") + np.arange(24) * np.timedelta64(15, "D")
    stamps = {"time": time_axis}
    values = np.random.default_rng(0).integers(200, 5000, (24, 4, size, size)).astype(np.uint16)
    cube = Cube(
        xr.DataArray(values, dims=("time", "band", "y", "x"), coords={"time": time_axis, "band": list(bands)}),
        xr.DataArray(values[:, :0, ::2, ::2], dims=("time", "band", "y", "x"), coords={"time": time_axis, "band": []}),
        xr.DataArray(np.full((24, size // 2, size // 2), 4, np.uint8), dims=("time", "y", "x"), coords=stamps),
    )
    spec = standard_spec(bands)
    return _rate(size**2 / 1e6 * 24 * len(bands), lambda: compute_features(cube, spec, season, 0))


def _predicting() -> float:
    """Classify with a forest of 9 classes and 80 rounds, the size that training makes."""
    import numpy as np  # noqa: PLC0415
    import xgboost  # noqa: PLC0415

    from steps.forest import classify, compile_forest  # noqa: PLC0415

    rng = np.random.default_rng(0)
    values = rng.normal(size=(2000, 40)).astype(np.float32)
    parameters = {"objective": "multi:softprob", "num_class": 9, "max_depth": 5, "nthread": 1, "verbosity": 0}
    booster = xgboost.train(parameters, xgboost.DMatrix(values, rng.integers(0, 9, 2000), nthread=1), 8)
    forest = compile_forest(bytes(booster.save_raw("json")))
    many = np.ascontiguousarray(np.tile(values.T, (1, 16)))
    return _rate(many.shape[1] / 1e6 / 10, lambda: classify(forest, many))
