"""The figures of docs/scale.md and docs/performance.md that need Argo Workflows: `python -m tests.e2e.measure`.

On a machine that does nothing else. Each figure of Argo stands beside the local engine's of the same job, from the same
run; a line of JSON each. The landscape is made once in the folder E2E_FOLDER, where that is set.
"""

import contextlib
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import Transformer

from steps.batches import POD_START_S
from steps.landscape import EPSG, ORIGIN
from steps.model.grid import TileGrid, TileId
from tests.e2e.argo import Run, forget_tiles, job_of, map_parameters, published, rasters_at, submit, written
from tests.e2e.farm import Farm, make_farm
from tests.e2e.kube import Json
from tests.e2e.latency import event_seconds
from tests.e2e.pods import first_line_seconds
from tests.e2e.stage import BUCKET, Stage, cluster, staged, store_at, upload
from workflows import values

SIZE_PX = 2976
SIDES = {1: (128, 1), 4: (128, 2), 16: (128, 4), 64: (128, 8)}
"""Number of tiles to pixels of a tile and tiles of a side."""
MANY = {484: (128, 22)}
LARGE = {4: (512, 2)}


def main(arguments: list[str]) -> None:
    """Measure what is named: `start`, `events`, `small`, `many`, `large`, or numbers of tiles; by default all."""
    wanted = arguments or ["start", "events", "small", "large", "many"]
    with _ready() as (stage, farm):
        sys.stderr.write("ready\n")
        if "start" in wanted:
            _say(what="python to a step's first line", seconds=first_line_seconds(stage))
        if "events" in wanted:
            _events(stage, farm)
        for name, jobs in (("small", SIDES), ("large", LARGE), ("many", MANY)):
            for tiles, (size, side) in jobs.items():
                if {name, f"{tiles}"} & {*wanted}:
                    _job(stage, farm, tiles, size, side)


@contextlib.contextmanager
def _ready() -> Iterator[tuple[Stage, Farm]]:
    kept = os.environ.get("E2E_FOLDER")
    folder = Path(kept or tempfile.mkdtemp(prefix="geocrop-measure-"))
    with cluster() as found, staged(*found) as stage:
        farm = make_farm(folder, size_px=SIZE_PX)
        upload(stage.scenes, "landscape", farm.land.folder)
        upload(stage.store, BUCKET, farm.model, "farm-model/")
        stage.kube.apply(*stage.objects("workflow-templates"))
        yield stage, farm
    if not kept:
        shutil.rmtree(folder)


def _job(stage: Stage, farm: Farm, tiles: int, size: int, side: int) -> None:
    """One job on both engines, from nothing, with the same catalog and the same store."""
    aoi = _area(farm, size, side)
    here, made = _mapped_here(stage, farm, aoi, size)
    for forced in ("0",) if tiles > 64 else ("1", "0") if tiles == 16 else ("1",):  # tiles of a pod; 0: as planned
        forget_tiles(stage.store)
        parameters = map_parameters(farm, aoi, **{"tile-size": str(size), "tiles-per-pod": forced})
        start = time.monotonic()
        run = submit(stage.kube, "map-aoi", parameters)
        phase = run.wait()
        wall = time.monotonic() - start
        _say(
            what=f"{tiles} tiles of {size} px",
            tiles_per_pod=forced,
            **here,
            argo_s=wall,
            same=phase == "Succeeded" and published(run, stage.store) == made,
            **_facts(run, stage, wall),
        )


def _mapped_here(stage: Stage, farm: Farm, aoi: Path, size: int) -> tuple[Json, dict[str, bytes]]:
    """Seconds of the local engine on as many cores as pods have, as a whole and from plan to last tile; its rasters."""
    address = {name: f"{stage.kube.get('service', name)['spec']['clusterIP']}:9000" for name in ("minio", "scenes")}
    place = f"here-{uuid.uuid4().hex[:6]}"
    catalog = f"http://{address['scenes']}/landscape/catalog.json"
    start = time.monotonic()
    farm.run(aoi, catalog, f"s3://{BUCKET}/{place}", size, **store_at(address["minio"]).environ)
    seconds = time.monotonic() - start
    plans = written(stage.store, f"{place}/plans/")
    (plan,) = (key for key in plans if key.endswith("/plan.json"))
    tiles = max(written(stage.store, f"{place}/tiles/").values()) - plans[plan]
    rasters = rasters_at(stage.store, f"{place}/maps/{Path(plan).parent.name}")
    return {"local_s": seconds, "local_tiles_s": tiles}, rasters


def _events(stage: Stage, farm: Farm) -> None:
    """Of 16 tiles, four a pod."""
    aoi = _area(farm, *SIDES[16])
    parameters = map_parameters(farm, aoi, **{"tile-size": "128", "tiles-per-pod": "4"})
    with tempfile.TemporaryDirectory(prefix="geocrop-measure-") as home:
        _say(what="a tile's note to its event", **event_seconds(stage, Path(home), parameters))


def _area(farm: Farm, size: int, side: int) -> Path:
    aoi = farm.home.parent / f"aoi-{side * side}-{size}.geojson"
    aoi.write_text(json.dumps(_block(size, side)), encoding="utf-8")
    return aoi


def _facts(run: Run, stage: Stage, wall: float) -> Json:
    """Of a workflow: its pods, their work, and what the model says."""
    prefix = f"plans/{job_of(run, stage.store)}/tiles/"
    found = [str(one.object_name) for one in stage.store.list_objects(bucket_name=BUCKET, prefix=prefix)]
    tiles = [json.loads(stage.store.get_object(bucket_name=BUCKET, object_name=name).read()) for name in found]
    work = sum(one["seconds"]["total"] for one in tiles)
    pods, slots = len(run.nodes("classify")), values.number("slots", "pods")
    return {
        "tiles": len(tiles),
        "pods": pods,
        "tile_s": work,
        "tile_median_s": statistics.median(one["seconds"]["total"] for one in tiles),
        "peak_mb": max(one["peak_mb"] for one in tiles),
        "tiles_phase_s": _seconds(run, "tiles"),
        "modelled_tiles_phase_s": (work + pods * POD_START_S) / min(slots, pods),
        "steps_s": {
            name: _pod_seconds(run, name) for name in ("plan", "gate", "mosaic", "publish", "report", "settle")
        },
        "rest_s": wall - _seconds(run, "tiles"),
        "published_s": _published_after(run),
    }


def _seconds(run: Run, task: str) -> float:
    return next((_length(node) for node in run.status["nodes"].values() if node["displayName"] == task), math.nan)


def _published_after(run: Run) -> float:
    """From submission to the end of the step that writes the item."""
    (done,) = [node["finishedAt"] for node in run.nodes("publish") if node["phase"] == "Succeeded"]
    asked = run.kube.get("workflow", run.name)["metadata"]["creationTimestamp"]
    return _length({"startedAt": asked, "finishedAt": done})


def _pod_seconds(run: Run, template: str) -> float:
    return sum(_length(node) for node in run.nodes(template))


def _length(node: Json) -> float:
    begin, end = (time.strptime(node[field], "%Y-%m-%dT%H:%M:%SZ") for field in ("startedAt", "finishedAt"))
    return time.mktime(end) - time.mktime(begin)


def _block(size: int, side: int) -> Json:
    """A square of whole tiles within the landscape, a little smaller, as lon/lat."""
    grid = TileGrid(epsg=EPSG, size=size)
    first = grid.tile_at(ORIGIN[0] + grid.tile_m, ORIGIN[1] - grid.tile_m)
    left, _, _, top = grid.bounds(first)
    _, bottom, right, _ = grid.bounds(TileId(row=first.row + side - 1, col=first.col + side - 1))
    assert right <= ORIGIN[0] + 10 * SIZE_PX, "the landscape is too small"
    assert bottom >= ORIGIN[1] - 10 * SIZE_PX, "the landscape is too small"
    to_lonlat = Transformer.from_crs(EPSG, 4326, always_xy=True).transform
    inner = shapely.segmentize(shapely.box(left + 40, bottom + 40, right - 40, top - 40), 1000)
    return dict(shapely.geometry.mapping(shapely.transform(inner, lambda xy: np.column_stack(to_lonlat(*xy.T)))))


def _say(**facts: Any) -> None:
    shown = {key: round(value, 2) if isinstance(value, float) else value for key, value in facts.items()}
    sys.stdout.write(json.dumps(shown) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
