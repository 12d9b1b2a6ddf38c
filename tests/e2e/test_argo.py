"""The pipeline on a real Argo Workflows: the same bytes as the local engine, whatever happens on the way.

Skipped, with the reason, where the cluster runs no Argo Workflows.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.e2e.argo import CATALOG, Run, job_of, map_parameters, published, seconds_since, submit, tile_times
from tests.e2e.farm import Farm, rasters_of
from tests.e2e.kube import Json, Kube, wait_for
from tests.e2e.stage import BUCKET, STATE, Stage, holds, start_shared

pytestmark = pytest.mark.usefixtures("argo")

Rasters = Mapping[str, bytes]


def mapped(stage: Stage, farm: Farm, **changes: str) -> Run:
    return submit(stage.kube, "map-aoi", map_parameters(farm, **changes))


def ended_well(run: Run, stage: Stage, reference: Rasters) -> None:
    """It succeeded, with the local engine's bytes."""
    assert run.wait() == "Succeeded", run.tell()
    assert published(run, stage.store) == reference


def running_tile(run: Run) -> str:
    """A pod that maps a tile."""
    return str(wait_for("a tile's pod", lambda: next(iter(run.pods("classify")), ""), pause=0.2))


def test_the_map_is_the_local_engines(stage: Stage, farm: Farm, reference: Rasters) -> None:
    """`map-aoi` publishes the same bytes; submitted once more, it computes no tile and no pod of one starts.

    Each is a job of its own, under the workflow's name.
    """
    first = mapped(stage, farm, **{"tiles-per-pod": "3"})
    ended_well(first, stage, reference)
    before = tile_times(stage.store)
    second = mapped(stage, farm)
    ended_well(second, stage, reference)
    assert second.nodes("classify") == []
    assert tile_times(stage.store) == before
    assert [job_of(run, stage.store) for run in (first, second)] == [first.name, second.name]


@pytest.mark.usefixtures("fresh")
def test_people_can_read_what_runs(stage: Stage, farm: Farm) -> None:
    """Its title names the area; no step has a token of Kubernetes'; a job has the id that was asked for."""
    run = mapped(stage, farm, job="farm-7", **{"tiles-per-pod": "100"})
    pod = stage.kube.get("pod", running_tile(run))
    mounts = {
        one["name"]: {mount["mountPath"] for mount in one.get("volumeMounts", ())} for one in pod["spec"]["containers"]
    }
    token = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where it would lie
    assert token in mounts["wait"]
    assert token not in mounts["main"]
    assert run.wait() == "Succeeded", run.tell()
    notes = stage.kube.get("workflow", run.name)["metadata"]["annotations"]
    assert notes["workflows.argoproj.io/title"] == "Map farm"
    assert str(farm.land.season) in notes["workflows.argoproj.io/description"]
    assert job_of(run, stage.store) == "farm-7"


@pytest.mark.usefixtures("fresh")
def test_a_killed_worker_is_made_good(stage: Stage, farm: Farm, reference: Rasters) -> None:
    """SIGKILL of the step, in the middle of it: its pod is tried again."""
    run = mapped(stage, farm, **{"tiles-per-pod": "3"})
    wait_for("a step to kill", lambda: _killed(stage.kube, running_tile(run)), pause=0)
    ended_well(run, stage, reference)
    assert ("classify", 137) in run.tries()


def _killed(kube: Kube, pod: str) -> bool:
    """Whether there was a step to kill."""
    kill = "for p in /proc/[0-9]*; do grep -q steps.cli $p/cmdline && kill -9 ${p#/proc/} && echo killed; done; true"
    return "killed" in kube.run("exec", pod, "-c", "main", "--", "sh", "-c", kill, check=False)


@pytest.mark.usefixtures("fresh")
def test_a_deleted_pod_is_made_good(stage: Stage, farm: Farm, reference: Rasters) -> None:
    """A pod that somebody deletes is made again: under its own name while it is young, else as another try."""
    run = mapped(stage, farm, **{"tiles-per-pod": "3"})
    victim = stage.kube.get("pod", running_tile(run))["metadata"]
    stage.kube.run("delete", "pod", victim["name"], "--grace-period=0", "--force")
    wait_for("another pod", lambda: _was_replaced(run, victim))
    ended_well(run, stage, reference)


def _was_replaced(run: Run, pod: Json) -> bool:
    """Whether there is a pod of its name that is another, or its try has failed."""
    lost = any(node["phase"] in {"Error", "Failed"} for node in run.nodes("classify"))
    same_name = [one for one in run.kube.get("pods")["items"] if one["metadata"]["name"] == pod["name"]]
    return lost or any(one["metadata"]["uid"] != pod["uid"] for one in same_name)


@pytest.mark.usefixtures("fresh")
def test_the_kubelet_may_restart(stage: Stage, farm: Farm, reference: Rasters) -> None:
    """Killed while tiles are mapped, it finds its pods again."""
    if not Path(stage.kube.kubeconfig).is_relative_to(STATE):
        pytest.skip("NOT TESTED: the kubelet of a cluster that is not this machine's cannot be killed from here")
    run = mapped(stage, farm, **{"tiles-per-pod": "3"})
    running_tile(run)
    os.kill(int((STATE / "pid/kubelet").read_text(encoding="ascii").split()[0]), signal.SIGKILL)
    time.sleep(10)
    start_shared()
    wait_for("the store", lambda: holds(stage.store, BUCKET))
    ended_well(run, stage, reference)


@pytest.mark.usefixtures("fresh")
def test_the_controller_may_restart(stage: Stage, farm: Farm, reference: Rasters) -> None:
    """Killed while tiles are mapped, it goes on where it was."""
    run = mapped(stage, farm, **{"tiles-per-pod": "3"})
    running_tile(run)
    found = json.loads(stage.kube.run("get", "deployments", "--all-namespaces", "-o", "json"))["items"]
    where = next(one["metadata"]["namespace"] for one in found if one["metadata"]["name"] == "workflow-controller")
    command = ("delete", "pod", "--grace-period=0", "--force", "-l", "app=workflow-controller")
    Kube(stage.kube.kubeconfig, stage.kube.kubectl, where).run(*command)
    ended_well(run, stage, reference)


@pytest.mark.usefixtures("fresh")
def test_a_step_outlives_the_store(stage: Stage, farm: Farm, reference: Rasters) -> None:
    """With the store away for 30 s the steps are tried again."""
    run = mapped(stage, farm, **{"tiles-per-pod": "3"})
    running_tile(run)
    block = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "minio"},
        "spec": {"selector": {"app": "nothing"}, "ports": [{"port": 9000}]},
    }  # fmt: skip
    stage.kube.apply(block)
    time.sleep(30)
    stage.kube.apply(block | {"spec": {"selector": {"app": "minio"}, "ports": [{"port": 9000}]}})
    ended_well(run, stage, reference)


@pytest.mark.skipif(shutil.which("argo") is None, reason="NOT TESTED: `argo retry`, as there is no argo in PATH")
@pytest.mark.usefixtures("fresh")
def test_retry_computes_nothing_again(stage: Stage, farm: Farm, reference: Rasters) -> None:
    """`argo retry` of a workflow that was stopped goes on where it was: what lies in the store stays as it is."""
    run = mapped(stage, farm, **{"tiles-per-pod": "1"})
    wait_for("a tile", lambda: tile_times(stage.store))
    run.stop()
    assert run.wait() == "Failed"
    before = tile_times(stage.store)
    command = ["argo", "retry", run.name, "--namespace", stage.kube.namespace]
    subprocess.run(command, env=stage.kube.env, check=True, capture_output=True)
    run.until(lambda status: status.get("phase") == "Running", "a new beginning")
    ended_well(run, stage, reference)
    after = tile_times(stage.store)
    assert before.items() <= after.items()
    assert before.keys() < after.keys()


@pytest.mark.usefixtures("fresh")
def test_a_bad_scene_is_left_out(stage: Stage, farm: Farm) -> None:
    """A truncated file costs its scene, with its name in the verdict; the map is published."""
    victim = sorted((farm.land.folder / farm.land.collection).rglob("red.tif"))[3]
    key = victim.relative_to(farm.land.folder).as_posix()
    whole = victim.read_bytes()
    try:
        _put(stage, key, whole[: len(whole) // 3])
        run = mapped(stage, farm, **{"tiles-per-pod": "3", "no-probe": "true"})
        assert run.wait() == "Succeeded", run.tell()
    finally:
        _put(stage, key, whole)
    verdict = stage.store.get_object(bucket_name=BUCKET, object_name=f"maps/{job_of(run, stage.store)}/coverage.json")
    assert [one["scene"] for one in json.loads(verdict.read())["excluded"]] == [victim.parent.name]


def _put(stage: Stage, key: str, data: bytes) -> None:
    stage.scenes.put_object(bucket_name="landscape", object_name=key, data=io.BytesIO(data), length=len(data))


@pytest.mark.usefixtures("fresh")
def test_a_tile_that_needs_more_memory_gets_it(stage: Stage, farm: Farm, reference: Rasters) -> None:
    """Killed for its memory, a tile is tried once more with more of it."""
    small = _with_memory(stage, "64Mi", "3Gi")
    try:
        stage.kube.apply(small)
        run = submit(stage.kube, small["metadata"]["name"], map_parameters(farm, **{"tiles-per-pod": "100"}))
        ended_well(run, stage, reference)
        nodes = run.nodes("classify")
        assert [node["phase"] for node in nodes] == ["Failed", "Succeeded"]
        assert "OOMKilled" in nodes[0]["message"]
    finally:
        stage.kube.run("delete", "workflowtemplate", small["metadata"]["name"], check=False)


def _with_memory(stage: Stage, first: str, again: str) -> dict[str, object]:
    """`map-aoi` under another name, with other memory for its tiles."""
    (thing,) = (one for one in stage.objects("workflow-templates") if one["metadata"]["name"] == "map-aoi")
    text = json.dumps(thing["spec"])
    patch = next(one["podSpecPatch"] for one in thing["spec"]["templates"] if one["name"] == "classify")
    other = patch.replace("'2Gi'", f"'{first}'").replace("'3Gi'", f"'{again}'")
    assert other != patch
    spec = json.loads(text.replace(json.dumps(patch), json.dumps(other)))
    return thing | {"metadata": {"name": "map-aoi-small"}, "spec": spec}


@pytest.mark.usefixtures("fresh")
def test_a_cancelled_workflow_ends(stage: Stage, farm: Farm) -> None:
    """Stopped, it starts no further tile, publishes nothing, and the exit handler notes the end."""
    run = mapped(stage, farm, name="cancelled", **{"tiles-per-pod": "1"})
    running_tile(run)
    run.stop()
    assert run.wait() == "Failed"
    job = job_of(run, stage.store)
    names = {str(one.object_name) for one in stage.store.list_objects(BUCKET, prefix=f"maps/{job}/", recursive=True)}
    assert f"maps/{job}/item.json" not in names
    ending = stage.store.get_object(bucket_name=BUCKET, object_name=f"plans/{job}/workflow.json").read()
    assert json.loads(ending)["phase"] == "failed"


@pytest.mark.usefixtures("fresh")
def test_overlapping_areas_at_once(stage: Stage, farm: Farm, reference: Rasters, tmp_path: Path) -> None:
    """Two areas that share tiles, started together: each has the bytes that it would have alone."""
    one = mapped(stage, farm, **{"tiles-per-pod": "3"})
    other = submit(stage.kube, "map-aoi", map_parameters(farm, farm.land.districts, **{"tiles-per-pod": "6"}))
    alone = rasters_of(farm.map(farm.land.districts, tmp_path / "store"))
    ended_well(one, stage, reference)
    ended_well(other, stage, alone)


@pytest.mark.usefixtures("fresh")
def test_a_small_job_is_not_held_up_by_a_large_one(
    stage: Stage, farm: Farm, record_property: Callable[[str, object], None]
) -> None:
    """While a job of many tiles fills its slots, another one's first tile starts, long before the many are done."""
    large = mapped(stage, farm, **{"tile-size": "64", "tiles-per-pod": "1"})
    running_tile(large)
    start = time.monotonic()
    small = mapped(stage, farm, name="small", **{"tile-size": "1024"})
    wait_for("the small job's tile", lambda: small.nodes("classify"), pause=0.2)
    record_property("seconds to the small job's tile", seconds_since(start))
    done = sum(node["phase"] == "Succeeded" for node in large.nodes("classify"))
    asked = len(_plan_of(large, stage)["tiles"])
    for run in (large, small):
        run.stop("Terminate")
        run.wait()
    assert done < asked / 2


def _plan_of(run: Run, stage: Stage) -> Json:
    found = stage.store.get_object(bucket_name=BUCKET, object_name=f"plans/{job_of(run, stage.store)}/plan.json")
    return dict(json.loads(found.read()))


def test_a_place_that_is_not_allowed_is_refused(stage: Stage, farm: Farm) -> None:
    """The steps themselves keep the allow list: a catalog from elsewhere is a usage error, tried once."""
    run = mapped(stage, farm, catalog=CATALOG.replace("scenes", "elsewhere"))
    assert run.wait() == "Failed"
    assert [node["outputs"]["exitCode"] for node in run.nodes("plan")] == ["2"]


def test_a_spec_of_ones_own_is_refused(stage: Stage) -> None:
    """With `templateReferencing: Strict` a workflow that brings its own templates does not run."""
    if "templateReferencing: Strict" not in _controller_settings(stage.kube):
        pytest.skip("NOT TESTED: this cluster's controller is not set to `templateReferencing: Strict`")
    spec = {
        "entrypoint": "own",
        "templates": [{"name": "own", "container": {"image": stage.image, "command": ["true"]}}],
    }
    kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"generateName": "own-"}}
    run = Run(stage.kube, stage.kube.create(kind | {"spec": spec}))
    assert run.wait() in {"Error", "Failed"}


def _controller_settings(kube: Kube) -> str:
    return kube.run(
        "get", "configmaps", "-A", "--field-selector=metadata.name=workflow-controller-configmap", "-o", "yaml"
    )
