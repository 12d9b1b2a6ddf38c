"""How fast this machine is: tried once, refined by every run, kept under the home folder."""

import statistics
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import structlog

from steps import naming
from steps.errors import StoreError
from steps.model.job import Plan, TileMapped, TileOutcome, TilePlan
from steps.settings import Settings
from steps.store import Store
from steps.workload import Work, works

_BLEND = 0.3
"""Weight of a new run."""
_SECONDS_THAT_COUNT = 2.0
"""What tiles took in less is mostly noise."""
_SHORTEST = 1e-4
"""Clocks jump, and cached blocks are read in no time."""
_HERE = "this machine"
_log = structlog.get_logger()
Rate = Annotated[float, msgspec.Meta(gt=0)]


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Rates of one worker."""

    read_mb_s: Rate
    """Uncompressed MB of windows per second."""
    feature_mpx_s: Rate
    """Megapixels times days times bands per second."""
    predict_mpx_s: Rate
    tile_seconds: Annotated[float, msgspec.Meta(ge=0)]
    """What a tile takes beyond these: keys, writing, the store."""
    worker_mb: Rate
    """Peak memory."""
    compression: Rate
    """Bytes in the files over bytes of the windows."""
    start_seconds: Rate | None = None
    """From the command to the first tile; runs do not tell it, only a trial does."""
    mosaic_mpx_s: Rate | None = None
    """Megapixels of the map per second, all layers; from a trial as well."""
    runs: int = 0
    """That it has learnt from."""
    place: str = _HERE
    """Whose rates they are, for people."""

    @property
    def source(self) -> str:
        """What it is based on, for people."""
        if not self.runs:
            how = "a short measurement of" if self.place == _HERE else "what is usual for"
            return f"{how} {self.place}; runs will refine it"
        return f"{self.runs} run{'s' * (self.runs != 1)} on {self.place}"

    def seconds(self, work: Work) -> float:
        """Of a tile on one worker."""
        return (
            work.read_mb / self.read_mb_s
            + work.feature_mpx / self.feature_mpx_s
            + work.mpx / self.predict_mpx_s
            + self.tile_seconds
        )


def load(settings: Settings) -> Calibration:
    """What is known of this machine; what is not, is measured now."""
    known = _known(settings)
    if known is None or not known.start_seconds or not known.mosaic_mpx_s:
        return _measured(settings, known)
    return known


def measure(settings: Settings) -> Calibration:
    """Map a tile of made-up scenes in some seconds, and keep what it took; forgets what runs have taught."""
    return _measured(settings, None)


def _measured(settings: Settings, known: Calibration | None) -> Calibration:
    """A trial; of what runs have taught it changes nothing."""
    from steps.trial import try_machine  # noqa: PLC0415 - the whole raster stack

    _log.info("calibration.measuring")
    trial = try_machine()
    found = msgspec.structs.replace(
        known or _of_run(trial.plan, [trial.outcome]),
        start_seconds=trial.start_seconds,
        mosaic_mpx_s=trial.mosaic_mpx_s,
        runs=known.runs if known else 0,
    )
    _keep(found, settings)
    return found


def learn(plan: Plan, outcomes: Iterable[TileOutcome], settings: Settings) -> Calibration | None:
    """Blend in what the tiles of a run took; None when there were none, or too little to tell.

    Each tile counts once, by medians: the one in which kernels were compiled is no rule. Memory rises at once and
    sinks slowly. Measures nothing, and stops no job when the home folder cannot be written.
    """
    found = _learnt(_known(settings), plan, outcomes)
    if found is not None:
        _keep(found, settings)
    return found


def _learnt(old: Calibration | None, plan: Plan, outcomes: Iterable[TileOutcome]) -> Calibration | None:
    mapped = [outcome for outcome in outcomes if isinstance(outcome, TileMapped) and outcome.seconds.get("load")]
    if sum(outcome.seconds.get("total", 0.0) for outcome in mapped) < _SECONDS_THAT_COUNT:
        return None
    new = _of_run(plan, mapped, old.compression if old else 1.0)
    return new if old is None else _blend(old, new)


# -- of pods -------------------------------------------------------------------------------------------------------

_POD = Calibration(
    read_mb_s=150.0, feature_mpx_s=300.0, predict_mpx_s=1.0, tile_seconds=0.2, worker_mb=900.0, compression=0.5,
    place="a small server",
)  # fmt: skip
"""A core of one; jobs soon know better."""
_AROUND_S = 27.0
"""From the order to the published map beside the tiles' own work, in all pods of a small job: docs/performance.md."""
_MOSAIC_MPX_S = 3.0


def of_pods(store: Store) -> Calibration:
    """What tiles take in pods of the cluster whose store this is. Measures nothing; raises StoreError."""
    known = _of_store(store)
    found = _POD if known is None else msgspec.structs.replace(known, place="pods of this cluster")
    return msgspec.structs.replace(found, start_seconds=_AROUND_S, mosaic_mpx_s=_MOSAIC_MPX_S)


def tile_seconds(plan: Plan, entries: Sequence[TilePlan], store: Store) -> float:
    """Mean seconds of a tile in a pod, by what earlier jobs of the store took. Raises StoreError."""
    known = of_pods(store)
    return statistics.fmean(known.seconds(work) for work in works(plan, entries))


def learn_of_pods(plan: Plan, outcomes: Iterable[TileOutcome], store: Store) -> None:
    """Blend in what the tiles of a workflow took; a calibration is never worth failing for."""
    try:
        if found := _learnt(_of_store(store), plan, outcomes):
            store.put_bytes(naming.calibration_key(), msgspec.json.encode(found))
    except StoreError as error:
        _log.warning("calibration.not-kept", error=str(error))


def _of_store(store: Store) -> Calibration | None:
    key = naming.calibration_key()
    try:
        return msgspec.json.decode(store.get_bytes(key), type=Calibration) if store.exists(key) else None
    except msgspec.DecodeError:
        return None


_RATES = ("read_mb_s", "feature_mpx_s", "predict_mpx_s", "compression")
_SUMS = ("worker_mb", "tile_seconds")


def _blend(old: Calibration, new: Calibration) -> Calibration:
    """The first run after a mere trial weighs half.

    Rates by geometric means: ten times too fast is no worse a mistake than ten times too slow.
    """
    share = _BLEND if old.runs else 0.5
    values = {name: getattr(old, name) ** (1 - share) * getattr(new, name) ** share for name in _RATES}
    memory, beyond = ((1 - share) * getattr(old, name) + share * getattr(new, name) for name in _SUMS)
    sums = {"worker_mb": max(new.worker_mb, memory), "tile_seconds": beyond}
    return msgspec.structs.replace(old, **values, **sums, runs=old.runs + 1)


def _of_run(plan: Plan, mapped: Sequence[TileMapped], compression: float = 1.0) -> Calibration:
    """What some tiles say of the machine; `compression` where nothing was read from files, but all from a cache."""
    planned = {entry.tile: entry for entry in plan.tiles}
    done = works(plan, [planned[outcome.tile] for outcome in mapped])
    read, size = sum(outcome.bytes_read for outcome in mapped) / 1e6, sum(work.read_mb for work in done)
    others = [_beyond(outcome) for outcome in mapped]
    return Calibration(
        read_mb_s=_rate([work.read_mb for work in done], mapped, "load"),
        feature_mpx_s=_rate([work.feature_mpx for work in done], mapped, "features"),
        predict_mpx_s=_rate([work.mpx for work in done], mapped, "predict"),
        tile_seconds=statistics.median(others),
        # blocks that tiles share are read once: files may well have more or less bytes than windows
        compression=min(max(read / size, 0.05), 1.5) if read and size else compression,
        worker_mb=max(1.0, *(outcome.peak_mb for outcome in mapped)),
        runs=1,
    )


def _rate(amounts: Sequence[float], mapped: Sequence[TileMapped], stage: str) -> float:
    """Amount per second of the tile in the middle, of those that had something to do."""
    pairs = zip(amounts, mapped, strict=True)
    slowness = [max(one.seconds.get(stage, 0.0), _SHORTEST) / amount for amount, one in pairs if amount > 0]
    return 1 / statistics.median(slowness) if slowness else 1.0


def _beyond(outcome: TileMapped) -> float:
    """Seconds of a tile beyond reading, features and classes."""
    stages = ("load", "features", "predict")
    return max(0.0, outcome.seconds.get("total", 0.0) - sum(outcome.seconds.get(stage, 0.0) for stage in stages))


# -- the file ------------------------------------------------------------------------------------------------------


def _path(settings: Settings) -> Path:
    return settings.home / "calibration.json"


def _known(settings: Settings) -> Calibration | None:
    """What is stored; None where that is nothing, damaged, or of another version."""
    try:
        return msgspec.json.decode(_path(settings).read_bytes(), type=Calibration)
    except (OSError, msgspec.DecodeError):
        return None


def _keep(found: Calibration, settings: Settings) -> None:
    """Whole or not at all, also with several processes. A calibration is never worth failing for."""
    path = _path(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".calibration-", delete=False) as file:
            file.write(msgspec.json.encode(found))
        _rename(Path(file.name), path)
    except OSError as error:
        _log.warning("calibration.not-kept", path=str(path), error=str(error))


def _rename(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
