"""A workflow template on Kubernetes alone: the interpreter of the tests, with each step as a plain pod.

The step's container is the rendered one, with its pod's security, disks, account and priority. Before it a container
fetches its input files, after it one keeps its outputs, as Argo's executor would.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.argo_interpreter import Interpreter, Ran
from tests.e2e.kube import PATIENCE, Json, wait_for
from tests.e2e.stage import BUCKET, Stage

_PRELUDE = """
import json, os, pathlib, sys
from minio import Minio
store = Minio(endpoint=os.environ["GEOCROP_S3_ENDPOINT"], access_key=os.environ["GEOCROP_S3_ACCESS_KEY"],
              secret_key=os.environ["GEOCROP_S3_SECRET_KEY"], secure=False)
files = json.loads(sys.argv[1])
"""
_FETCH = f"""{_PRELUDE}
for path, key, content in files:
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    if content is not None:
        pathlib.Path(path).write_text(content)
    else:
        store.fget_object(bucket_name="{BUCKET}", object_name=key, file_path=path)
"""
_KEEP = f"""{_PRELUDE}
for path, key in files:
    path = pathlib.Path(path)
    for one in sorted(path.rglob("*")) if path.is_dir() else [path]:
        name = f"{{key}}/{{one.relative_to(path)}}" if path.is_dir() else key
        store.fput_object(bucket_name="{BUCKET}", object_name=name, file_path=str(one))
"""
_FIRST_LINE = """
import statistics, subprocess, sys, time
code = "from steps import cli; cli.load('steps.commands.step_classify')"
times = []
for _ in range(6):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    times.append(time.perf_counter() - start)
print(statistics.median(times[1:]))
"""


@dataclass
class PodInterpreter(Interpreter):
    """Runs steps on the cluster of a stage; `bucket` and `env` are not used."""

    stage: Stage | None = None

    @property
    def _stage(self) -> Stage:
        assert self.stage is not None
        return self.stage

    def _inputs(self, template: Json, work: Path) -> None:
        """The pod fetches them."""

    def _try(self, template: Json, work: Path) -> int:  # noqa: ARG002
        kube = self._stage.kube
        self._count = len(self.pods)
        name = kube.create(self._pod_of(template))
        status = wait_for(f"pod {name}", lambda: _ended(kube.get("pod", name)["status"]))
        states = {one["name"]: one["state"] for one in status["initContainerStatuses"]}
        code = states["main"].get("terminated", {}).get("exitCode", -1)
        said = kube.logs(name)
        self.pods.append(Ran(template["name"], code, template["container"]["args"], said))
        assert code != 0 or status["phase"] == "Succeeded", (states, kube.logs(name, "keep"))
        kube.run("delete", "pod", name, "--wait=false")
        return int(code)

    def _outputs(self, template: Json, work: Path) -> dict[str, str]:  # noqa: ARG002
        return {
            one["name"]: self._stage.store.get_object(bucket_name=BUCKET, object_name=self._parameter(one["name"]))
            .read()
            .decode()
            for one in template.get("outputs", {}).get("parameters", [])
        }

    def _parameter(self, name: str) -> str:
        return f"workflows/{self.name}/parameters/{self._count}/{name}"

    def _pod_of(self, template: Json) -> Json:
        main: Json = template["container"] | {"name": "main"}
        labels = template["metadata"]["labels"] | {"workflows.argoproj.io/workflow": self.name}
        spec = {
            "restartPolicy": "Never",
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "serviceAccountName": template["serviceAccountName"],
            "priorityClassName": template["priorityClassName"],
            "securityContext": template["securityContext"],
            "activeDeadlineSeconds": round(PATIENCE),
            "volumes": template["volumes"],
            "initContainers": [self._helper(main, "fetch", _FETCH, self._files_in(template)), main],
            "containers": [self._helper(main, "keep", _KEEP, self._files_out(template))],
        }
        metadata = {"generateName": f"{self.name}-{template['name']}-", "labels": labels}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    @staticmethod
    def _helper(main: Json, name: str, code: str, files: list[Any]) -> Json:
        command = {"command": ["/opt/geocrop/bin/python", "-c", code], "args": [json.dumps(files)]}
        resources = {"requests": {"cpu": "10m", "memory": "128Mi"}, "limits": {"memory": "128Mi"}}
        return main | {"name": name, "resources": resources} | command

    @staticmethod
    def _files_in(template: Json) -> list[tuple[str, str, str | None]]:
        artifacts = template.get("inputs", {}).get("artifacts", [])
        return [(one["path"], one.get("s3", {}).get("key", ""), one.get("raw", {}).get("data")) for one in artifacts]

    def _files_out(self, template: Json) -> list[tuple[str, str]]:
        outputs = template.get("outputs", {})
        files = [(one["path"], one["s3"]["key"]) for one in outputs.get("artifacts", [])]
        files += [(one["valueFrom"]["path"], self._parameter(one["name"])) for one in outputs.get("parameters", [])]
        return files


def _ended(status: Json) -> Json | None:
    return status if status["phase"] in {"Succeeded", "Failed"} else None


def template(stage: Stage, name: str) -> Json:
    """A rendered WorkflowTemplate."""
    return next(one for one in stage.objects("workflow-templates") if one["metadata"]["name"] == name)


def ran(stage: Stage, code: str, *arguments: str) -> tuple[int, str]:
    """Exit code and log of Python in a pod as steps have it."""
    classify = next(one for one in template(stage, "map-aoi")["spec"]["templates"] if one["name"] == "gate")
    main = classify["container"] | {"command": ["/opt/geocrop/bin/python", "-c", code], "args": list(arguments)}
    spec = {
        "restartPolicy": "Never",
        "serviceAccountName": classify["serviceAccountName"],
        "priorityClassName": classify["priorityClassName"],
        "securityContext": classify["securityContext"],
        "volumes": classify["volumes"],
        "containers": [main | {"name": "main"}],
    }
    labels = {"workflows.argoproj.io/workflow": "probe"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "probe-", "labels": labels}, "spec": spec}
    name = stage.kube.create(pod)
    ended = ("Succeeded", "Failed")
    status = wait_for(
        f"pod {name}",
        lambda: next((s for s in [stage.kube.get("pod", name)["status"]] if s["phase"] in ended), None),
    )
    said = stage.kube.logs(name)
    stage.kube.run("delete", "pod", name, "--wait=false")
    return int(status["containerStatuses"][0]["state"]["terminated"]["exitCode"]), said


def first_line_seconds(stage: Stage) -> float:
    """From a step's process to the first line of its own that runs, all imports of a tile done; the median of five."""
    code, said = ran(stage, _FIRST_LINE)
    assert code == 0, said
    return float(said.split()[-1])
