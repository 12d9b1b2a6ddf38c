"""The story of the page on a cluster: what it needs in the store, the browser, and what must be there afterwards."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steps.baselines import import_baselines
from steps.landscape import Landscape
from steps.store import open_store
from tests.e2e.installation import DOMAIN, Installation
from tests.e2e.kube import Json
from tests.e2e.lab import DATASETS, keys_of, store
from tests.e2e.still import quiet
from tests.e2e.visitor import Visitor
from tests.programs import ROOT
from tests.s3_server import S3Server

RESULTS = "geocrop-results"
PLAYWRIGHT = ROOT / "ui/node_modules/.bin/playwright"
_CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


def missing() -> str:
    """Why there is no browser here; empty where there is one."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None:
        return "a network of its own for the browser takes root, unshare and ip"
    if not Path(_CHROMIUM).exists():
        return f"there is no {_CHROMIUM} (Debian's package chromium)"
    return "" if PLAYWRIGHT.exists() else f"there is no {PLAYWRIGHT} (./task setup-ui)"


def put_world(place: Installation, land: Landscape, folder: Path) -> None:
    """The landscape's catalog for everybody to read, as those of the web are, and its baselines."""
    with place.kube.forwarded("service/minio", 9000) as port:
        statement = {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"]}
        statement |= {"Resource": [f"arn:aws:s3:::{DATASETS}/landscape/*"]}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        store(place, port, "minio-root").set_bucket_policy(bucket_name=DATASETS, policy=policy)
        server = S3Server(f"127.0.0.1:{port}", *keys_of(place, "geocrop-s3"), bucket=RESULTS)
        results = open_store(f"s3://{RESULTS}", server.settings(folder))
        import_baselines([str(path) for path in land.baselines.values()], results)


def tell(place: Installation, land: Landscape, page: str) -> str:
    """Run it in Chromium; the job that was ordered."""
    said = browse(place, land, page, "story")
    found = re.search(r"^job=(\S+)$", said, re.MULTILINE)
    assert found, said
    return found[1]


def browse(place: Installation, land: Landscape, page: str, spec: str) -> str:
    """Run one of the page's specs for clusters in Chromium; what it said."""
    west, south, east, north = _bounds(land)
    env = place.kube.env | {
        "CLUSTER_INGRESS": "127.0.0.1",
        "CLUSTER_PAGE": f"https://{page}",
        "CLUSTER_AT": f"{(west + east) / 2:.4f},{(south + north) / 2:.4f},13",
        "CLUSTER_PASSWORD": place.secret("gitea", "admin-password"),
        "CHROMIUM": _CHROMIUM,
        "PATH": f"{ROOT / '.tools/node/bin'}:{os.environ['PATH']}",
    }
    command = [str(PLAYWRIGHT), "test", "--config=playwright.cluster.config.ts", f"{spec}.spec.ts"]
    with quiet(place.folder, place.traefik) as before:
        done = subprocess.run(
            [*before, *command], cwd=ROOT / "ui", env=env, capture_output=True, encoding="utf-8", check=False
        )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@contextlib.contextmanager
def without_api(place: Installation) -> Iterator[None]:
    """While this lasts, no pod of the API is there, and a quota lets none be made."""
    quota: Json = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-more-pods"}}
    place.kube.apply(quota | {"spec": {"hard": {"pods": "0"}}})
    try:
        place.kube.run("delete", "pod", "-l", "app.kubernetes.io/name=api", "--grace-period=1", timeout=120)
        yield
        assert not place.kube.get("pods", "", "-l", "app.kubernetes.io/name=api")["items"]
    finally:
        place.kube.run("delete", "resourcequota", "no-more-pods")
        # Kubernetes asks ever less often for what a quota refused.
        place.kube.run("rollout", "restart", "deployment/api")


def _bounds(land: Landscape) -> tuple[float, float, float, float]:
    """West, south, east and north of its area, in degrees."""
    shape = json.loads(land.aoi.read_text(encoding="utf-8"))
    points = list(_points(shape))
    return min(x for x, _ in points), min(y for _, y in points), max(x for x, _ in points), max(y for _, y in points)


def _points(shape: Any) -> Any:
    if isinstance(shape, dict):
        for value in shape.values():
            yield from _points(value)
    elif isinstance(shape, list):
        if len(shape) == 2 and all(isinstance(one, int | float) for one in shape):
            yield tuple(shape)
        else:
            for value in shape:
                yield from _points(value)


def run_of(place: Installation, job: str) -> dict[str, Any]:
    """MLflow's run of a job, as whoever has signed in sees it."""
    visitor, address = Visitor(place.traefik), f"https://ml.{DOMAIN}/api/2.0/mlflow"
    visitor.sign_in(f"https://ml.{DOMAIN}/", "frankchine", place.secret("gitea", "admin-password"))
    name = "geocrop/crops/maps"
    found = json.loads(visitor.open(f"{address}/experiments/get-by-name?experiment_name={name}").text)
    body = {"experiment_ids": [found["experiment"]["experiment_id"]], "filter": f"tags.job = '{job}'"}
    (run,) = json.loads(visitor.send(f"{address}/runs/search", body).text)["runs"]
    return dict(run)
