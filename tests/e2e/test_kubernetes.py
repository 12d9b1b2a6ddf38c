"""The first layer: what needs a cluster, but no Argo Workflows."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.argo import map_parameters, tile_times
from tests.e2e.farm import RASTERS, Farm
from tests.e2e.kube import Kube
from tests.e2e.pods import PodInterpreter, ran, template
from tests.e2e.stage import BUCKET, Stage

_GIGABYTE = 1000**3
_CONNECT = """
import socket, sys, time

def connects():
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
    except OSError:
        return False
    return True

for _ in range(10):
    if connects() == (sys.argv[3] == "True"):
        sys.exit(0)
    time.sleep(1)
sys.exit("not as it should be")
"""
"""Policies reach a new pod a moment after it starts."""


def interpreter(stage: Stage, name: str, run: str = "") -> PodInterpreter:
    return PodInterpreter(template(stage, name), Path(), {}, name=run or f"plain-{uuid.uuid4().hex[:6]}", stage=stage)


@pytest.mark.usefixtures("fresh")
def test_every_step_runs_as_a_plain_pod(stage: Stage, farm: Farm, reference: Mapping[str, bytes]) -> None:
    """Restricted, within its quota, behind its policies: `map-aoi` makes the local engine's bytes, and once only."""
    first = interpreter(stage, "map-aoi")
    parameters = map_parameters(farm, **{"tiles-per-pod": "100"})
    assert first.run(parameters) == "Succeeded", first.pods[-1].stderr[-3000:]
    job = stage.store.get_object(bucket_name=BUCKET, object_name=f"workflows/{first.name}/job").read().decode()
    found = {n: stage.store.get_object(bucket_name=BUCKET, object_name=f"maps/{job}/{n}.tif").read() for n in RASTERS}
    assert found == reference
    assert {pod.template for pod in first.pods} == {
        "plan", "classify", "gate", "mosaic", "publish", "report", "settle"
    }  # fmt: skip
    before = tile_times(stage.store)
    second = interpreter(stage, "map-aoi")
    assert second.run(parameters) == "Succeeded", second.pods[-1].stderr[-3000:]
    assert second.ran("classify") == []
    assert tile_times(stage.store) == before


def test_storage_is_cleaned_by_a_pod(stage: Stage) -> None:
    """`clean-storage` runs in the same place and leaves what is young."""
    before = tile_times(stage.store)
    run = interpreter(stage, "clean-storage")
    assert run.run({}) == "Succeeded", run.pods[-1].stderr
    assert tile_times(stage.store) == before


def test_the_image_is_small(stage: Stage) -> None:
    """It takes less than 1.3 GB on the node, and has no compiler."""
    images = stage.kube.get("nodes")["items"][0]["status"]["images"]
    sizes = [one["sizeBytes"] for one in images if any(stage.image in name for name in one.get("names") or ())]
    assert sizes
    assert sizes[0] < 1.3 * _GIGABYTE
    code, said = ran(stage, "import shutil, sys; sys.exit(shutil.which('gcc') or shutil.which('cc') or 0)")
    assert code == 0, said


@pytest.mark.parametrize(
    ("host", "port", "reached"),
    [
        ("minio", 9000, True),
        ("scenes", 9000, True),
        ("kubernetes.default", 443, True),
        ("kube-dns.kube-system", 9153, False),
    ],
)
def test_a_step_reaches_what_it_needs(stage: Stage, host: str, port: int, reached: bool) -> None:
    """DNS, the store and the API server, and nothing else inside the cluster."""
    code, said = ran(stage, _CONNECT, host, str(port), str(reached))
    assert code == 0, said


def test_a_pod_with_rights_is_refused(stage: Stage) -> None:
    """The namespace takes only pods of the restricted standard."""
    container = {"name": "main", "image": stage.image, "securityContext": {"privileged": True}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "rights"}, "spec": {"containers": [container]}}
    assert "violates PodSecurity" in stage.kube.refused("create", "-f", "-", stdin=json.dumps(pod))


@pytest.mark.parametrize(
    ("account", "verb", "what", "allowed"),
    [
        ("geocrop-steps", "create", "workflowtaskresults.argoproj.io", True),
        ("geocrop-steps", "patch", "workflowtaskresults.argoproj.io", True),
        ("geocrop-steps", "get", "secrets", False),
        ("geocrop-steps", "create", "pods", False),
        ("geocrop-steps", "create", "workflows.argoproj.io", False),
        ("geocrop-steps", "list", "workflowtaskresults.argoproj.io", False),
        ("geocrop-submitter", "create", "workflows.argoproj.io", True),
        ("geocrop-submitter", "get", "secrets", False),
        ("geocrop-submitter", "create", "pods", False),
        ("geocrop-submitter", "update", "workflowtemplates.argoproj.io", False),
    ],
)
def test_accounts_may_do_what_they_must(
    kube: Kube,
    account: str,
    verb: str,
    what: str,
    allowed: bool,
) -> None:
    """And nothing more, whether or not the cluster knows the kind."""
    resource, _, group = what.partition(".")
    asked = {"namespace": kube.namespace, "verb": verb, "group": group, "resource": resource}
    spec = {"user": f"system:serviceaccount:{kube.namespace}:{account}", "resourceAttributes": asked}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = json.loads(kube.run("create", "-o", "json", "-f", "-", stdin=json.dumps(review)))
    assert answer["status"]["allowed"] is allowed


def test_tiles_cannot_take_the_place_of_services(kube: Kube) -> None:
    """Their quota counts their priority class alone, and that class pushes no other pod out."""
    quota = kube.get("resourcequota", "geocrop-tiles")["spec"]
    assert quota["scopeSelector"]["matchExpressions"][0]["values"] == ["geocrop-tiles"]
    assert "limits.cpu" not in quota["hard"]
    for name in ("geocrop-tiles", "geocrop-steps"):
        found = kube.get("priorityclass", name)
        assert found["value"] < 0
        assert found["preemptionPolicy"] == "Never"


def test_a_full_quota_refuses_a_tile(stage: Stage) -> None:
    """What is over the quota is refused as Argo understands it: it waits on `exceeded quota`."""
    classify = next(one for one in template(stage, "map-aoi")["spec"]["templates"] if one["name"] == "classify")
    resources = {"requests": {"cpu": "1m", "memory": "4Gi"}, "limits": {"memory": "4Gi"}}
    containers = [classify["container"] | {"name": f"c{number}", "resources": resources} for number in range(7)]
    spec = {
        "priorityClassName": classify["priorityClassName"], "securityContext": classify["securityContext"],
        "volumes": classify["volumes"], "containers": containers,
    }  # fmt: skip
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "greedy"}, "spec": spec}
    assert "exceeded quota" in stage.kube.refused("create", "-f", "-", stdin=json.dumps(pod))
