"""One tile, from its job to its result in the store: read, make features, classify, write.

The raster of a tile is uint8 with the bands of `BANDS`, then one probability (0-100) per class where asked. It is
written before its result, so that a result always has its raster.
"""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import structlog
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from steps import naming
from steps.classify import ClassifiedBlock, classify_block
from steps.cube import load_cube, plan_strips
from steps.drift_reference import Known, read_known
from steps.errors import DataError, ReadError, SceneError
from steps.features import Features, compute_features
from steps.forest import Forest, compile_forest
from steps.gate import left_out
from steps.lattice import Lattice, encode_sample
from steps.layers import read_layers
from steps.model.card import NODATA_CLASS, ModelCard
from steps.model.grid import TileId
from steps.model.job import REASON_CODES, Plan, Reason, SceneFault, TileEmpty, TileJob, TileMapped, TileResult
from steps.models import check_digest
from steps.reader import Supply
from steps.store import MissingObject, Store
from steps.versions import pixel_version

BANDS = ("class", "confidence", "margin", "clear", "red", "green", "blue", "reason")
"""Bands of a tile's raster, in order."""
_log = structlog.get_logger()
FeatureStrip = tuple[slice, Features, int]
"""Rows of a tile, their features, and the bytes read for them."""


@dataclass(slots=True)
class Stopwatch:
    """Wall seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


def feature_strips(
    job: TileJob,
    *,
    threads: int = 1,
    watch: Stopwatch | None = None,
    following: Sequence[TileId] = (),
    needed: np.ndarray | None = None,
    supply: Supply | None = None,
) -> Iterator[FeatureStrip]:
    """The features of a tile, strip by strip: rows of the tile, their features, bytes read.

    Training and mapping both come through here. `following` are the tiles that this process does next: blocks
    that reach into them are kept. Strips that hold none of the rows `needed` are left out; None: all are. Raises
    ReadError or SceneError, naming the scene.
    """
    watch = watch or Stopwatch()
    spec = job.card.spec
    for rows in plan_strips(job):
        if needed is not None and not ((needed >= rows.start) & (needed < rows.stop)).any():
            continue
        with watch.time("load"):
            cube = load_cube(job, rows, threads=threads, following=following, supply=supply)
        with watch.time("features"):
            layers = read_layers(job, rows)
            features = compute_features(cube, spec, job.season, job.halo, layers, threads=threads)
        yield rows, features, cube.bytes_read


@dataclass(slots=True)
class TileMapper:
    """Maps tiles into one store; keeps the compiled model from tile to tile."""

    store: Store
    threads: int = 1
    forests: dict[str, Forest] = field(default_factory=dict)
    references: dict[str, Known | None] = field(default_factory=dict)

    def map(self, job: TileJob, following: Sequence[TileId] = ()) -> TileResult:
        """Map a tile, or find it in the store.

        A scene that cannot be read is left out when the job allows it. The tile is then one of a shorter list of
        scenes, with the key of that list. Raises the scene's error when it may not be left out.
        """
        planned = job.key
        faults: list[SceneFault] = []
        while True:
            try:
                result = find_result(job, self.store) or self._compute(job, following, reduced=bool(faults))
                return _as_planned(result, planned, faults)
            except (ReadError, SceneError) as error:
                job, fault = without_scene(job, error)
                faults.append(fault)
                _log.warning("scene.excluded", tile=str(job.tile), scene=fault.scene, error=fault.error)

    def _compute(self, job: TileJob, following: Sequence[TileId], *, reduced: bool) -> TileResult:
        """Make the tile's rasters and put them, then the result, into the store."""
        _check_versions(job)
        watch = Stopwatch()
        with watch.time("total"):
            strips = feature_strips(job, threads=self.threads, watch=watch, following=following)
            known = self._known(job.card)
            lattice = Lattice(job.grid.size, known) if known else None
            if lattice:
                strips = _sampled(strips, lattice, watch)
            raster, bytes_read = _classify_tile(job, strips, self._forest(job.card), self.threads, watch)
            pixels = count_reasons(raster[BANDS.index("reason")])
            if Reason.MAPPED in pixels:
                with watch.time("write"):
                    _put_raster(job, raster, self.store)
                if lattice:
                    with watch.time("drift"):
                        _put_sample(job, lattice, self.store)
        result = _result(job, pixels, watch.seconds, bytes_read)
        if isinstance(result, TileMapped) or not reduced:
            self.store.put_bytes(naming.tile_result_key(job.grid, job.tile, job.key), msgspec.json.encode(result))
        return result

    def _forest(self, card: ModelCard) -> Forest:
        if card.digest not in self.forests:
            self.forests[card.digest] = compile_forest(_model_bytes(card, self.store), card.learner)
        return self.forests[card.digest]

    def _known(self, card: ModelCard) -> Known | None:
        """What the model was trained on; None where it or the store does not say: the map is made all the same."""
        if card.reference is None:
            return None
        sha256 = card.reference.points_sha256
        if sha256 not in self.references:
            self.references[sha256] = _read_known(card, self.store)
        return self.references[sha256]


def _check_versions(job: TileJob) -> None:
    """Raises DataError for a job planned with other versions: its key would promise pixels that are not made here."""
    if job.pixel_version != pixel_version():
        raise DataError(
            f"tile {job.tile} was planned with other versions of what makes pixels: {job.pixel_version}",
            f"plan it anew, or map it with those; here are {pixel_version()}",
        )


def _model_bytes(card: ModelCard, store: Store) -> bytes:
    """Raises ModelError when the store's model is not the one that the card names."""
    key = naming.model_key(card.digest)
    data = store.get_bytes(key)
    check_digest(data, card, store.href(key))
    return data


def _read_known(card: ModelCard, store: Store) -> Known | None:
    """Raises ModelError when the store's file is not the one that the card names."""
    if card.reference is None:
        return None
    key = naming.points_key(card.reference.points_sha256)
    try:
        data = store.get_bytes(key)
    except MissingObject:
        _log.warning("drift.unmeasured", model=card.name, missing=store.href(key))
        return None
    return read_known(data, card.reference, card.spec.feature_names, store.href(key))


def find_result(job: TileJob, store: Store, is_there: Callable[[str], bool] | None = None) -> TileResult | None:
    """The result of a job that was done before, by whomever; `is_there` knows the store's keys, where it was listed."""
    is_there = is_there or store.exists
    key = naming.tile_result_key(job.grid, job.tile, job.key)
    if not is_there(key):
        return None
    result: TileResult = msgspec.json.decode(store.get_bytes(key), type=TileResult)
    if isinstance(result, TileMapped) and not is_there(naming.tile_raster_key(job.grid, job.tile, job.key)):
        return None
    return result


def stored_results(plan: Plan, store: Store) -> Iterator[TileResult]:
    """Of those of a plan's tiles that lie in the store; each row of tiles is listed once, none looked for by itself."""
    rows = sorted({entry.tile.row for entry in plan.tiles})
    keys = {key for row in rows for key in store.list(naming.tile_row_prefix(plan.grid, row))}
    found = (find_result(job, store, keys.__contains__) for job in plan.tile_jobs())
    return (result for result in found if result is not None)


def without_scene(job: TileJob, error: ReadError | SceneError) -> tuple[TileJob, SceneFault]:
    """The job of the other scenes; raises the error when its scene may not be left out."""
    kept = tuple(scene for scene in job.scenes if scene.id != error.scene)
    if not job.exclude_bad_scenes or len(kept) == len(job.scenes):
        raise error
    lasting = isinstance(error, SceneError)
    fault = SceneFault(scene=error.scene, href=error.href, error=error.what, lasting=lasting)
    return msgspec.structs.replace(job, scenes=kept), fault


def _as_planned(result: TileResult, planned: str, faults: Sequence[SceneFault]) -> TileResult:
    """The result of a job whose scenes at fault were left out; it may be empty only for want of them."""
    changes: dict[str, Any] = {"planned_key": planned, "excluded": tuple(faults)}
    if faults and isinstance(result, TileEmpty):
        changes["reason"] = left_out(faults)
    return msgspec.structs.replace(result, **changes)


def _result(job: TileJob, pixels: dict[Reason, int], seconds: dict[str, float], bytes_read: int) -> TileResult:
    facts: dict[str, Any] = {
        "tile": job.tile,
        "planned_key": job.key,
        "key": job.key,
        "pixels": pixels,
        "scenes": len(job.scenes),
        "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        "bytes_read": bytes_read,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    if Reason.MAPPED in pixels:
        return TileMapped(**facts)
    return TileEmpty(**facts, reason=Reason.ALL_CLOUD if pixels.get(Reason.ALL_CLOUD) else Reason.NO_SCENES)


def _classify_tile(
    job: TileJob, strips: Iterator[FeatureStrip], forest: Forest, threads: int, watch: Stopwatch
) -> tuple[np.ndarray, int]:
    """The tile's raster (band, y, x) uint8, and the bytes read for it."""
    size, bytes_read = job.grid.size, 0
    bands = len(BANDS) + (len(job.card.classes) if job.probabilities else 0)
    raster = np.zeros((bands, size, size), np.uint8)
    raster[:3] = NODATA_CLASS
    raster[BANDS.index("reason")] = REASON_CODES[Reason.NO_SCENES]
    if not job.scenes:
        return raster, 0
    for rows, features, read in strips:
        with watch.time("predict"):
            block = classify_block(features, forest, job.card, probabilities=job.probabilities, threads=threads)
        _paste(raster[:, rows], block, features)
        bytes_read += read
    return raster, bytes_read


def _sampled(strips: Iterator[FeatureStrip], lattice: Lattice, watch: Stopwatch) -> Iterator[FeatureStrip]:
    """The same strips; the lattice takes its sample of each."""
    for rows, features, read in strips:
        with watch.time("drift"):
            lattice.add(rows, features.values.values, features.clear)
        yield rows, features, read


def _paste(strip: np.ndarray, block: ClassifiedBlock, features: Features) -> None:
    """Fill one strip (band, y, x) of the tile's raster."""
    strip[0], strip[1], strip[2] = block.classes, block.confidence, block.margin
    strip[3] = np.minimum(features.clear, 255)
    strip[4:7] = features.rgb
    strip[7] = reasons(features)
    if block.probabilities is not None:
        strip[len(BANDS) :] = block.probabilities


def reasons(features: Features) -> np.ndarray:
    """The reason code (y, x) uint8 of each pixel, as far as its own observations tell."""
    unmapped = np.where(features.seen, REASON_CODES[Reason.ALL_CLOUD], REASON_CODES[Reason.NO_SCENES])
    return np.where(features.clear > 0, REASON_CODES[Reason.MAPPED], unmapped).astype(np.uint8)


def count_reasons(codes: np.ndarray) -> dict[Reason, int]:
    """Pixels by reason, of an array of reason codes of any shape; reasons without pixels are left out."""
    counts = np.bincount(codes.ravel(), minlength=len(Reason))
    return {reason: int(counts[code]) for reason, code in REASON_CODES.items() if counts[code]}


def _put_raster(job: TileJob, raster: np.ndarray, store: Store) -> None:
    with MemoryFile() as memory:  # a disk that is full is then ours to notice: GDAL would write its own words
        _write_raster(memory, job, raster)
        store.put_bytes(naming.tile_raster_key(job.grid, job.tile, job.key), memory.read())


def _put_sample(job: TileJob, lattice: Lattice, store: Store) -> None:
    store.put_bytes(naming.tile_drift_key(job.grid, job.tile, job.key), encode_sample(lattice.sample()))


def _write_raster(memory: MemoryFile, job: TileJob, raster: np.ndarray) -> None:
    bands, size, _ = raster.shape
    block = 512 if size % 512 == 0 else 16
    with memory.open(
        driver="GTiff",
        dtype="uint8",
        count=bands,
        width=size,
        height=size,
        crs=f"EPSG:{job.grid.epsg}",
        transform=Affine(*job.grid.transform(job.tile)),
        tiled=True,
        blockxsize=block,
        blockysize=block,
        compress="zstd",
        zstd_level=1,
        interleave="band",
    ) as target:
        target.write(raster)
