"""The other templates on a real Argo Workflows, and the tests' own interpreter held against it."""

import json
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.argo_interpreter import Interpreter
from tests.e2e.argo import CATALOG, Run, job_of, map_parameters, published, submit, tile_times
from tests.e2e.farm import Farm, rasters_of
from tests.e2e.kube import Json, wait_for
from tests.e2e.registry import registry
from tests.e2e.stage import BUCKET, Stage

pytestmark = pytest.mark.usefixtures("argo")

ELSEWHERE = json.dumps(
    {"type": "Polygon", "coordinates": [[[33, -18], [33.01, -18], [33.01, -17.99], [33, -17.99], [33, -18]]]}
)
"""Where no scene is."""


def template(stage: Stage, name: str) -> Json:
    """A rendered object."""
    return next(one for one in stage.objects("workflow-templates") if one["metadata"]["name"] == name)


def put(stage: Stage, path: Path) -> str:
    """A file of this machine in the store; its address."""
    stage.store.fput_object(bucket_name=BUCKET, object_name=f"given/{path.name}", file_path=str(path))
    return f"s3://{BUCKET}/given/{path.name}"


def held(stage: Stage, key: str) -> bytes:
    """An object of the store."""
    return bytes(stage.store.get_object(bucket_name=BUCKET, object_name=key).read())


def test_a_model_is_trained(stage: Stage, farm: Farm, tmp_path: Path) -> None:
    """`train-model` registers the model that the same training makes on this machine, and keeps it where asked."""
    with registry(stage, tmp_path) as server:
        asked = {
            "labels": put(stage, farm.land.labels), "legend": put(stage, farm.land.legend),
            "season": str(farm.land.season), "catalog": CATALOG, "name": "trained", "keep": f"s3://{BUCKET}/trained",
        }  # fmt: skip
        run = submit(stage.kube, "train-model", asked)
        assert run.wait() == "Succeeded", run.tell()
        here = {
            "labels": str(farm.land.labels), "legend": str(farm.land.legend), "catalog": str(farm.land.catalog),
            "keep": str(tmp_path / "kept"),
        }  # fmt: skip
        environment = {"GEOCROP_HOME": str(tmp_path / "home"), "MLFLOW_TRACKING_URI": server.uri}
        local = Interpreter(template(stage, "train-model"), tmp_path / "bucket", environment)
        assert local.run(asked | here) == "Succeeded", local.pods[-1].stderr[-2000:]
        listed = farm.geocrop("models", "--json", MLFLOW_TRACKING_URI=server.uri)
    assert run.tries() == tries(local)
    assert held(stage, "trained/model.json") == (tmp_path / "kept/model.json").read_bytes()
    assert [(one["name"], one["version"]) for one in json.loads(listed)] == [("trained", "1"), ("trained", "2")]


def test_baselines_are_imported(stage: Stage, farm: Farm, tmp_path: Path) -> None:
    """`import-baselines` stores the COG that is made on this machine."""
    files = farm.land.baselines.values()
    run = submit(stage.kube, "import-baselines", {"files": ",".join(put(stage, path) for path in files)})
    assert run.wait() == "Succeeded", run.tell()
    local = Interpreter(template(stage, "import-baselines"), tmp_path, {"GEOCROP_HOME": str(tmp_path)})
    assert local.run({"files": ",".join(map(str, files)), "store": str(tmp_path / "store")}) == "Succeeded"
    assert run.tries() == tries(local)
    (year,) = farm.land.baselines
    key = f"baselines/dynamic-world/{year}.tif"
    assert held(stage, key) == (tmp_path / "store" / key).read_bytes()


def every_minute(stage: Stage, name: str, arguments: Mapping[str, str]) -> Run:
    """The first workflow that a clock starts, which is then taken away."""
    thing = template(stage, name)
    clock = f"{name[:20]}-{uuid.uuid4().hex[:4]}"
    given = [{"name": key, "value": value} for key, value in arguments.items()]
    spec = thing["spec"]["workflowSpec"] | {"arguments": {"parameters": given}}
    changed = thing["spec"] | {"schedules": ["* * * * *"], "suspend": False, "workflowSpec": spec}
    stage.kube.apply(thing | {"metadata": {"name": clock}, "spec": changed})
    try:
        return Run(stage.kube, wait_for("the clock", lambda: _started_by(stage, clock)))
    finally:
        stage.kube.run("delete", "cronworkflow", clock, "--cascade=orphan")


def _started_by(stage: Stage, clock: str) -> str:
    found = stage.kube.get("workflows", "", "-l", f"workflows.argoproj.io/cron-workflow={clock}")["items"]
    return str(found[0]["metadata"]["name"]) if found else ""


def test_storage_is_cleaned_by_the_clock(stage: Stage) -> None:
    """The nightly clean-up starts by itself, and leaves what is young."""
    before = tile_times(stage.store)
    run = every_minute(stage, "clean-storage-nightly", {})
    assert run.wait() == "Succeeded", run.tell()
    assert run.tries() == Counter({("clean", 0): 1})
    assert tile_times(stage.store) == before


def test_the_season_is_refreshed_by_the_clock(stage: Stage, farm: Farm, reference: Mapping[str, bytes]) -> None:
    """The standing area of the store is mapped when its time comes."""
    stage.store.fput_object(bucket_name=BUCKET, object_name="standing/area.geojson", file_path=str(farm.land.aoi))
    thing = template(stage, "refresh-season")["spec"]["workflowSpec"]["arguments"]["parameters"]
    usual = {one["name"]: one["value"] for one in thing}
    assert usual["season"] == "latest"
    here = map_parameters(farm) | {"aoi": usual["aoi"], "collection": ""}
    run = every_minute(stage, "refresh-season", usual | here)
    assert run.wait() == "Succeeded", run.tell()
    assert published(run, stage.store) == reference


# -- the interpreter -----------------------------------------------------------------------------------------------

CASES: dict[str, tuple[dict[str, str], str]] = {
    "tiles apart": ({"tiles-per-pod": "2", "max-cloud": "99"}, "Succeeded"),
    "all in the store": ({"tiles-per-pod": "2", "max-cloud": "99"}, "Succeeded"),
    "one pod": ({"tiles-per-pod": "100", "max-cloud": "98"}, "Succeeded"),
    "no scene": ({"aoi": ELSEWHERE, "tiles-per-pod": "100"}, "Failed"),
    "season runs backwards": ({"season": "2022-09-30/2021-10-01"}, "Failed"),
}
"""Parameters of `map-aoi`, and how the workflow ends; in this order, as they share a store."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bucket, store and home of the interpreter."""
    return tmp_path_factory.mktemp("interpreter")


def tries(local: Interpreter) -> Counter[tuple[str, int]]:
    """As Run.tries."""
    return Counter((pod.template, pod.code) for pod in local.pods)


@pytest.mark.parametrize("case", CASES)
def test_the_interpreter_does_as_argo_does(stage: Stage, farm: Farm, folder: Path, case: str) -> None:
    """The same pods with the same exit codes, the same end, the same bytes."""
    changes, phase = CASES[case]
    asked = map_parameters(farm) | changes
    run = submit(stage.kube, "map-aoi", asked)
    local = Interpreter(
        template(stage, "map-aoi"), folder / "bucket", {"GEOCROP_HOME": str(folder / "home")}, name=run.name
    )
    here = {"catalog": str(farm.land.catalog), "model": str(farm.model), "store": str(folder / "store")}
    assert local.run(asked | here) == phase
    assert run.wait() == phase, run.tell()
    assert run.tries() == tries(local)
    if phase == "Succeeded":
        assert published(run, stage.store) == rasters_of(folder / "store/maps" / job_of(run, stage.store))
