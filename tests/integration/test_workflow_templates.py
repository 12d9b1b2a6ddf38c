"""Every workflow template to its end, with the steps as processes of this machine."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.argo_interpreter import Interpreter, Unsupported, again
from tests.e2e.farm import Farm, make_farm, rasters_of
from workflows.__main__ import FOLDER

OOM = "OOMKilled (exit code 137)"


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Farm:
    return make_farm(tmp_path_factory.mktemp("farm"))


@pytest.fixture(scope="module")
def reference(farm: Farm) -> dict[str, bytes]:
    """The rasters of the local engine's map."""
    return rasters_of(farm.map(farm.land.aoi, farm.store))


def template(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


def interpreter(kind: str, bucket: Path, home: Path, **more: Any) -> Interpreter:
    return Interpreter(template(kind), bucket, {"GEOCROP_HOME": str(home), "GEOCROP_LOG_FORMAT": "json"}, **more)


def wanted(farm: Farm, store: Path, **changes: str) -> dict[str, str]:
    """What makes the local engine's map."""
    return {
        "aoi": farm.land.aoi.read_text(encoding="utf-8"),
        "season": str(farm.land.season),
        "catalog": str(farm.land.catalog),
        "model": str(farm.model),
        "name": "farm",
        "tile-size": "128",
        "store": str(store),
    } | changes


def the_map(store: Path, job: str = "any-workflow") -> Path:
    """The map of a job, which has its workflow's name."""
    return store / "maps" / job


def test_the_map_is_the_local_engines(farm: Farm, reference: Mapping[str, bytes], tmp_path: Path) -> None:
    """`map-aoi` publishes the same bytes; another workflow of the same job computes no tile."""
    first = interpreter("map-aoi", tmp_path / "bucket", tmp_path / "home")
    assert first.run(wanted(farm, tmp_path / "store", **{"tiles-per-pod": "2"})) == "Succeeded"
    assert rasters_of(the_map(tmp_path / "store")) == reference
    tiles = len(list((tmp_path / "store").glob("plans/any-workflow/tiles/*.json")))
    assert len(first.ran("classify")) == -(-tiles // 2)
    second = interpreter("map-aoi", tmp_path / "bucket", tmp_path / "home", name="another")
    assert second.run(wanted(farm, tmp_path / "store")) == "Succeeded"
    assert second.ran("classify") == []
    assert [len(second.ran(step)) for step in ("gate", "mosaic", "publish", "report", "settle")] == [1] * 5
    assert rasters_of(the_map(tmp_path / "store", "another")) == reference


def test_a_tile_is_tried_again_and_given_up(farm: Farm, reference: Mapping[str, bytes], tmp_path: Path) -> None:
    """Exit 75 and a kill are tried again; a tile with bad data is not, and the gate publishes the rest."""
    first = interpreter("map-aoi", tmp_path / "bucket", tmp_path / "home", disturb={"classify": (75, 137)})
    assert first.run(wanted(farm, tmp_path / "store", **{"tiles-per-pod": "4"})) == "Succeeded"
    assert rasters_of(the_map(tmp_path / "store")) == reference
    bad = interpreter("map-aoi", tmp_path / "b", tmp_path / "home", disturb={"classify": (65,)}, name="bad")
    assert bad.run(wanted(farm, tmp_path / "other", **{"tiles-per-pod": "4"})) == "Succeeded"
    coverage = json.loads((the_map(tmp_path / "other", "bad") / "coverage.json").read_bytes())
    assert coverage["phase"] == "partial"
    assert set(coverage["tiles"].values()) == {"worker-lost"}
    (ending,) = (tmp_path / "other").glob("plans/*/workflow.json")
    assert json.loads(ending.read_bytes())["phase"] == "partial"


def test_nothing_mapped_fails_and_is_settled(farm: Farm, tmp_path: Path) -> None:
    """To a model that takes all for cloud the gate fails, nothing is published, and the exit handler notes it."""
    model = shutil.copytree(farm.model, tmp_path / "model")
    card = json.loads((model / "card.json").read_bytes())
    card["spec"]["clear_classes"] = [11]
    (model / "card.json").write_text(json.dumps(card), encoding="utf-8")
    run = interpreter("map-aoi", tmp_path / "bucket", tmp_path / "home")
    assert run.run(wanted(farm, tmp_path / "store", model=str(model))) == "Failed"
    assert "all-cloud" in run.ran("gate")[-1].stderr
    assert run.ran("mosaic") == []
    (ending,) = (tmp_path / "store").glob("plans/*/workflow.json")
    assert json.loads(ending.read_bytes())["phase"] == "failed"


def test_a_wrong_request_never_starts_a_tile(farm: Farm, tmp_path: Path) -> None:
    """A season that runs backwards is a usage error of the plan, once; the exit handler still runs."""
    run = interpreter("map-aoi", tmp_path / "bucket", tmp_path / "home")
    assert run.run(wanted(farm, tmp_path / "store", season="2022-09-30/2021-10-01")) == "Failed"
    assert [(pod.template, pod.code) for pod in run.pods] == [("plan", 2), ("settle", 0)]


def test_a_request_of_the_store_can_be_submitted(farm: Farm, reference: Mapping[str, bytes], tmp_path: Path) -> None:
    """As the API does it: the request lies in a file, the job has an id, all else stays at its default."""
    (request,) = (farm.store / "requests").glob("*.json")
    run = interpreter("map-aoi", tmp_path / "bucket", tmp_path / "home")
    parameters = {"request": str(request), "job": "farm-7", "store": str(tmp_path / "store"), "tiles-per-pod": "100"}
    assert run.run(parameters) == "Succeeded"
    assert len(run.ran("classify")) == 1
    assert rasters_of(the_map(tmp_path / "store", "farm-7")) == reference


def test_a_model_is_trained(farm: Farm, tmp_path: Path) -> None:
    """`train-model` leaves a model that is one, with the layer that its spec declares."""
    land, spec = farm.land, tmp_path / "spec.toml"
    spec.write_text('[[layers]]\nname = "terrain"\n', encoding="utf-8")
    run = interpreter("train-model", tmp_path / "bucket", tmp_path / "home")
    parameters = {
        "labels": str(land.labels), "legend": str(land.legend), "season": str(land.season),
        "catalog": str(land.catalog), "name": "trained", "keep": str(tmp_path / "kept"),
        "spec": str(spec), "layers": f"terrain={land.truth}",
    }  # fmt: skip
    assert run.run(parameters) == "Succeeded", run.pods[-1].stderr[-2000:]
    card = json.loads((tmp_path / "kept/card.json").read_bytes())
    assert (card["name"], [layer["name"] for layer in card["spec"]["layers"]]) == ("trained", ["terrain"])


def test_baselines_are_imported(farm: Farm, tmp_path: Path) -> None:
    """`import-baselines` stores a COG of the year."""
    run = interpreter("import-baselines", tmp_path / "bucket", tmp_path / "home")
    files = ",".join(str(path) for path in farm.land.baselines.values())
    assert run.run({"files": files, "store": str(tmp_path / "store")}) == "Succeeded", run.pods[-1].stderr[-2000:]
    assert (tmp_path / "store/baselines/dynamic-world/2022.tif").exists()


def test_storage_is_cleaned(tmp_path: Path) -> None:
    """`clean-storage` removes a tile that is old, and no map."""
    store = tmp_path / "store"
    for key in ("tiles/grid/r00001c00001/a.tif", "maps/job/map.tif"):
        (store / key).parent.mkdir(parents=True)
        (store / key).write_bytes(b"any")
        os.utime(store / key, (0, 0))
    run = interpreter("clean-storage", tmp_path / "bucket", tmp_path / "home")
    assert run.run({"store": str(store)}) == "Succeeded", run.pods[-1].stderr
    assert [path.name for path in store.rglob("*") if path.is_file()] == ["map.tif"]


def test_what_is_not_known_is_refused(tmp_path: Path) -> None:
    """A template with a field that the interpreter does not know is no success."""
    changed = template("clean-storage")
    changed["spec"]["templates"][0]["steps"] = []
    with pytest.raises(Unsupported, match="steps"):
        Interpreter(changed, tmp_path, {}).run({})


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"code": 75}, True),
        ({"code": 137}, True),
        ({"code": 143}, True),
        ({"code": 65}, False),
        ({"code": 2}, False),
        ({"code": 1}, False),
        ({"code": -1, "status": "Error", "message": "pod deleted"}, True),
        ({"code": -1, "message": "The node was low on resource: memory. Evicted"}, True),
        ({"code": -1, "message": "Pod was terminated in response to imminent node shutdown."}, True),
        ({"code": 128, "message": "main: StartError (exit code 128): failed to create containerd task"}, True),
        ({"code": 137, "message": OOM}, True),
        ({"code": 137, "message": OOM, "number": 1}, False),
    ],
)
def test_retries_know_what_may_pass(facts: dict[str, Any], expected: bool) -> None:
    """Infrastructure, exit 75 and one death for memory are tried again; bad data and mistakes never."""
    templates = template("map-aoi")["spec"]["templates"]
    expression = next(one for one in templates if one["name"] == "classify")["retryStrategy"]["expression"]
    assert again(expression, **({"number": 0} | facts)) is expected
