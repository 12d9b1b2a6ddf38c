"""Pods a second, and what a workflow of many pods weighs: `python -m tests.e2e.scale 300`. See docs/scale.md."""

import base64
import datetime as dt
import gzip
import json
import sys
import time
import uuid

from tests.e2e.argo import submit
from tests.e2e.kube import Json, Kube, kubectl_of
from tests.e2e.stage import find_cluster
from tests.programs import SHARED

PARALLEL = 30


def main(pods: int) -> None:
    """Run that many pods that do nothing, in a nested loop as `map-aoi` has it, and print what it took."""
    kubeconfig, _ = find_cluster()
    kube = Kube(kubeconfig, kubectl_of(SHARED), f"geocrop-scale-{uuid.uuid4().hex[:6]}")
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kube.namespace}}, *_access())
    try:
        kube.apply(_template(pods))
        start = time.monotonic()
        run = submit(kube, "scale", {})
        phase = run.wait(1800)
        _print(kube, run.name, phase, pods, time.monotonic() - start)
    finally:
        kube.run("delete", "namespace", kube.namespace, "--wait=false", check=False)


def _print(kube: Kube, name: str, phase: str, pods: int, seconds: float) -> None:
    found = kube.get("workflow", name)
    nodes = [node for node in found["status"]["nodes"].values() if node["type"] == "Pod"]
    each = sorted(_seconds(node) for node in nodes)
    status = json.dumps(found["status"]["nodes"], separators=(",", ":")).encode()
    size, packed = len(status), len(base64.b64encode(gzip.compress(status)))
    count = len(nodes)
    sys.stdout.write(
        f"{phase}: {count} of {pods} pods in {seconds:.0f} s, {count / seconds:.2f} a second\n"
        f"a pod takes {each[count // 2]:.0f} s (median), from its creation to its end\n"
        f"its nodes are {size} bytes, {size / count:.0f} a pod; packed {packed}, {packed / count:.0f} a pod\n"
    )


def _seconds(node: Json) -> float:
    begin, end = (dt.datetime.fromisoformat(node[field]) for field in ("startedAt", "finishedAt"))
    return (end - begin).total_seconds()


def _access() -> list[Json]:
    rule = {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
    group = "rbac.authorization.k8s.io"
    meta = {"name": "scale"}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": [rule]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "scale"},
            "subjects": [{"kind": "ServiceAccount", "name": "scale"}],
        },
    ]


def _template(pods: int) -> Json:
    resources = {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}}
    container = {
        "resources": resources,
        "image": "localhost/busybox:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["true"],
    }
    loop = {"name": "batch", "template": "nothing", "withSequence": {"count": str(pods)}}
    spec = {
        "entrypoint": "all",
        "serviceAccountName": "scale",
        "parallelism": PARALLEL,
        "podGC": {"strategy": "OnPodSuccess"},
        "templates": [
            {"name": "all", "dag": {"tasks": [loop]}},
            {"name": "nothing", "container": container, "retryStrategy": {"limit": "2"}},
        ],
    }
    kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowTemplate", "metadata": {"name": "scale"}}
    return kind | {"spec": spec}


if __name__ == "__main__":
    main(int(sys.argv[1]))
