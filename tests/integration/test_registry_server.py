"""A shared registry: MLflow's server over PostgreSQL and S3, all real."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
import xgboost

from steps.commands.outcome import workshop
from steps.extras import Extras
from steps.jobs import Workshop, carry_out
from steps.landscape import Landscape, make_landscape
from steps.mlflow_client import connect
from steps.model.job import Coverage, MapOptions, MapRequest, ModelRef, Phase, Plan
from steps.model.registry import RegisteredModel
from steps.model.spec import standard_spec
from steps.outbox import flush_outbox, home_outbox
from steps.prepare import make_plan, store_plan
from steps.registry import crown, find_version, list_models, log_and_register, pinned, resolve
from steps.settings import Settings
from steps.store import open_store
from steps.testing import any_classes
from steps.vectors import read_aoi
from steps.work import map_batch
from tests.mlflow_server import MlflowServer
from tests.model_folders import ANY_BYTES, saved
from tests.s3_server import S3Server

pytestmark = pytest.mark.xdist_group("mlflow")
LIMIT_MB = 512
"""Of a pod that serves the registry."""


@pytest.fixture
def shared(mlflow: MlflowServer, home: Path) -> Settings:
    """Settings of a client with an empty home."""
    return mlflow.settings(home)


def test_a_model_goes_to_the_bucket_and_back(tmp_path: Path, mlflow: MlflowServer, s3: S3Server, home: Path) -> None:
    """Another machine finds by name what one registered; neither knows the bucket's secrets, which hold the files."""
    ref = log_and_register(saved(tmp_path / "model", name="travels"), mlflow.settings(home))
    other = mlflow.settings(tmp_path / "other")
    found, _ = resolve("travels@champion", other)
    assert found == ref
    assert pinned(found, other).model_bytes == ANY_BYTES
    run = find_version("travels", other, version="1").run
    bucket = open_store(f"s3://{s3.bucket}/mlflow", s3.settings(home))
    kept = {key.partition(f"{run}/artifacts/")[2] for key in bucket.list("") if run in key}
    assert {"model/model.json", "model/card.json", "model/MLmodel", "training/confusion.json"} <= kept


def test_the_server_fits_its_pod(tmp_path: Path, mlflow: MlflowServer, shared: Settings) -> None:
    """After registering, listing and fetching, its processes together have less than the pod's limit resident."""
    for number in range(5):
        log_and_register(saved(tmp_path / str(number), b"%d" % number, name="weighs"), shared)
        resolve(f"weighs/{number + 1}", shared)
        list_models(shared)
    resident = mlflow.resident_mb()
    assert 0 < resident["pss"] <= resident["rss"] < LIMIT_MB, resident


def test_a_killed_upload_leaves_no_version(tmp_path: Path, mlflow: MlflowServer, shared: Settings) -> None:
    """A process that dies while it uploads has registered nothing; the next one gets version 1."""
    folder = saved(tmp_path / "model", name="dies")
    os.mkfifo(folder / "zz-never-ends")
    code = (
        "import sys; from pathlib import Path; from steps.registry import log_and_register\n"
        "from steps.settings import Settings; settings = Settings(home=Path(sys.argv[2]), mlflow_uri=sys.argv[3])\n"
        "log_and_register(Path(sys.argv[1]), settings)"
    )
    with subprocess.Popen([sys.executable, "-c", code, folder, shared.home, mlflow.uri]) as process:
        _until(lambda: _uploaded(shared, "geocrop/dies", "model/model.json"))
        process.send_signal(signal.SIGKILL)
    assert find_version("dies", shared) is None
    assert "dies" not in {model.name for model in list_models(shared)}
    (folder / "zz-never-ends").unlink()
    assert log_and_register(folder, shared).version == "1"


def _uploaded(settings: Settings, experiment: str, path: str) -> bool:
    with connect(settings) as client:
        found = client.get_experiment_by_name(experiment)
        runs = client.search_runs([found.experiment_id]) if found else []
        return any(path == one.path for run in runs for one in client.list_artifacts(run.info.run_id, "model"))


def _until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Landscape:
    """Small and soon mapped."""
    return make_landscape(tmp_path_factory.mktemp("land"), size_px=192, dates=8, years=())


@dataclass(frozen=True)
class Accepted:
    """A request that was accepted, and where its map goes."""

    plan: Plan
    shop: Workshop


def accept(land: Landscape, text: str, settings: Settings, out: Path) -> Accepted:
    """Pin a model as a user names it, and plan."""
    ref, card = resolve(text, settings)
    request = MapRequest(
        aoi=read_aoi(str(land.aoi)),
        season=land.season,
        model=ref,
        catalog=str(land.catalog),
        collection=land.collection,
        options=MapOptions(tile_size=128, min_coverage=0.1),
    )
    plan = make_plan(request, card, probe=False)
    shop = workshop(str(out), settings, 1)
    store_plan(plan, pinned(ref, settings).model_bytes, shop.store)
    return Accepted(plan, shop)


def finish(job: Accepted) -> Coverage:
    """Map and publish, all in this process."""
    map_batch(job.shop.store_url, job.plan.job, tuple(entry.tile for entry in job.plan.tiles), 1)
    return carry_out(job.plan, job.shop, Extras())


def a_model_of(land: Landscape, folder: Path, name: str, seed: int) -> Path:
    """One that knows nothing but the number of features."""
    classes, rng = any_classes(), np.random.default_rng(seed)
    spec = msgspec.structs.replace(standard_spec(("red", "nir")), season_days=land.season.days)
    x = rng.random((50, len(spec.feature_names)), np.float32)
    y = np.arange(50) % len(classes)
    options = {"objective": "multi:softprob", "num_class": len(classes), "seed": seed}
    booster = xgboost.train(options, xgboost.DMatrix(x, y), 2)
    return saved(folder, bytes(booster.save_raw("json")), name=name, spec=spec, classes=classes)


@dataclass(frozen=True)
class Outage:
    """What a server that died in the middle of a job left behind, and found when it was back."""

    settings: Settings
    job: Accepted
    coverage: Coverage
    waiting: int
    models: list[RegisteredModel]
    """Before."""


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory, mlflow: MlflowServer, land: Landscape) -> Outage:
    """It is killed once a request is accepted, and started again when the map is published."""
    folder = tmp_path_factory.mktemp("outage")
    settings = mlflow.settings(folder / "home")
    for seed in (1, 2):
        log_and_register(a_model_of(land, folder / f"model{seed}", "lasts", seed), settings)
    job = accept(land, "lasts@champion", settings, folder / "out")
    models = list_models(settings)
    mlflow.stop()
    try:
        coverage = finish(job)
        waiting = len(list(home_outbox(settings).list("outbox/")))
    finally:
        mlflow.start()
    return Outage(settings, job, coverage, waiting, models)


def test_a_map_is_made_while_the_server_is_away(outage: Outage) -> None:
    """Tiles that were pinned go on: the map is published, and what is to be logged waits."""
    assert outage.coverage.phase is Phase.SUCCEEDED
    assert outage.waiting == 1
    assert outage.job.shop.store.exists(f"maps/{outage.job.plan.job}/item.json")


def test_versions_outlive_the_server(outage: Outage) -> None:
    """Versions, aliases and scores are in PostgreSQL: a server on another machine would know them."""
    assert [model for model in list_models(outage.settings) if model.name == "lasts"] == [
        model for model in outage.models if model.name == "lasts"
    ]
    assert [model.aliases for model in outage.models if model.name == "lasts"] == [("champion",), ("challenger",)]


def test_a_map_is_logged_when_the_server_is_back(outage: Outage) -> None:
    """Whatever asks the registry next sends what waits: coverage, areas and cost, under the job's name."""
    flush_outbox(outage.settings)
    assert list(home_outbox(outage.settings).list("outbox/")) == []
    with connect(outage.settings) as client:
        (run,) = client.search_runs([client.get_experiment_by_name("geocrop/lasts/maps").experiment_id])
    assert run.info.run_name == outage.job.plan.job
    assert run.data.metrics["coverage"] == pytest.approx(outage.coverage.share)
    assert sum(value for name, value in run.data.metrics.items() if name.startswith("hectares.")) > 0
    assert run.data.tags["item"].endswith("item.json")


def test_promoting_changes_nothing_for_an_accepted_request(tmp_path: Path, shared: Settings, land: Landscape) -> None:
    """A champion crowned between accepting and mapping maps later requests, not this one."""
    for seed in (1, 2):
        log_and_register(a_model_of(land, tmp_path / f"model{seed}", "reigns", seed), shared)
    job = accept(land, "reigns@champion", shared, tmp_path / "out")
    first, second = (find_version("reigns", shared, version=number) for number in "12")
    crown(second, first, shared)
    finish(job)
    item = job.shop.store.get_bytes(f"maps/{job.plan.job}/item.json").decode()
    assert first.digest in item
    assert second.digest not in item
    assert resolve("reigns@champion", shared)[0] == ModelRef(
        name="reigns", version="2", digest=second.digest, href="models:/reigns/2"
    )


def test_a_worker_needs_no_more_than_the_skinny_client(tmp_path: Path, shared: Settings, mlflow: MlflowServer) -> None:
    """Resolving, fetching and logging work without what mlflow-skinny leaves out."""
    log_and_register(saved(tmp_path / "model", name="skinny"), shared)
    code = textwrap.dedent("""
        import sys
        from pathlib import Path
        for name in ("alembic", "boto3", "docker", "flask", "graphene", "huey", "matplotlib", "sqlalchemy"):
            sys.modules[name] = None
        from steps.outbox import home_outbox, log_map, note_of
        from steps.registry import pinned, resolve
        from steps.settings import Settings
        settings = Settings(home=Path(sys.argv[1]), mlflow_uri=sys.argv[2])
        ref, _ = resolve("skinny@champion", settings)
        pinned(ref, settings)
        log_map(note_of("any-job", ref, {"coverage": 1.0}, {}, "map"), home_outbox(settings), settings)
        assert not list(home_outbox(settings).list("outbox/"))
    """)
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "home", mlflow.uri], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
