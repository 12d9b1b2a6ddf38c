"""How soon whoever follows a job hears of its tiles: the API, on this machine, follows a workflow of the cluster."""

import json
import os
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from lightkube import KubeConfig
from minio import Minio

from api.engines.argo import ArgoEngine
from tests.api_server import any_context, live_api
from tests.e2e.argo import Run, submit
from tests.e2e.kube import Json, wait_for
from tests.e2e.stage import BUCKET, Stage, store_at

_LOOK_SECONDS = 0.02


def event_seconds(stage: Stage, folder: Path, parameters: Mapping[str, str]) -> Json:
    """From a tile's note in the store to its event on a stream, over the tiles of a workflow."""
    with stage.kube.forwarded("service/minio", 9000) as port:
        s3 = store_at(f"127.0.0.1:{port}")
        shared = s3.settings(folder)
        store = f"s3://{BUCKET}"
        config = KubeConfig.from_file(stage.kube.kubeconfig)
        engine = ArgoEngine(stage.kube.namespace, "map-aoi", shared, config, store_url=store)
        context = any_context(folder, engine=engine, shared=shared, store=store)
        with patch.dict(os.environ, s3.environ), live_api(context) as url:
            return _heard(stage.store, submit(stage.kube, "map-aoi", parameters), url)


def _heard(store: Minio, run: Run, url: str) -> Json:
    job = f"{url}/api/v1/jobs/{run.name}"
    wait_for("the job", lambda: httpx.get(job, trust_env=False).status_code == 200)
    noted: dict[str, float] = {}
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(store, f"plans/{run.name}/tiles/", noted, over))
    watch.start()
    told: dict[str, dict[str, float]] = {"running": {}, "succeeded": {}}
    try:
        for tile in _tiles(f"{job}/events"):
            told.setdefault(tile["phase"], {}).setdefault(tile["tile"], time.monotonic())
    finally:
        over.set()
        watch.join()
    late = [when - noted[tile] for tile, when in told["succeeded"].items() if tile in noted]
    return {
        "tiles": len(late),
        "told_running": len(told["running"]),
        "event_s": statistics.median(late),
        "event_worst_s": max(late),
    }


def _tiles(url: str) -> Iterator[Json]:
    """Of the events of a stream, until it ends."""
    with httpx.stream("GET", url, trust_env=False, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith('data: {"tiles":['):
                yield from json.loads(line.removeprefix("data: "))["tiles"]


def _watch(store: Minio, prefix: str, noted: dict[str, Any], over: threading.Event) -> None:
    """When each tile's note was first seen."""
    while not over.wait(_LOOK_SECONDS):
        for one in store.list_objects(bucket_name=BUCKET, prefix=prefix):
            name = str(one.object_name).rpartition("/")[2]
            if name.endswith(".json"):
                noted.setdefault(name.removesuffix(".json"), time.monotonic())
