"""Workflows on the cluster: submitted as `argo submit --from` does, and looked at."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from minio import Minio

from tests.e2e.farm import RASTERS, TILE, Farm
from tests.e2e.kube import PATIENCE, Json, Kube, wait_for
from tests.e2e.stage import BUCKET

ENDED = ("Succeeded", "Failed", "Error")
CATALOG = "http://scenes:9000/landscape/catalog.json"


@dataclass(frozen=True)
class Run:
    """A workflow that was submitted."""

    kube: Kube
    name: str

    @property
    def status(self) -> Json:
        """Its status; empty before the controller has seen it."""
        found = self.kube.get("workflow", self.name).get("status")
        return dict(found or {})

    def wait(self, seconds: float = 2 * PATIENCE) -> str:
        """Wait until it has ended; how."""
        return str(self.until(lambda status: status.get("phase") in ENDED, "its end", seconds)["phase"])

    def until(self, ready: Callable[[Json], object], what: str, seconds: float = PATIENCE) -> Json:
        """Its status once that is as wanted."""

        def as_wanted() -> Json | None:
            status = self.status
            return status if ready(status) else None

        return dict(wait_for(f"{what} of {self.name}", as_wanted, seconds))

    def nodes(self, template: str, kind: str = "Pod") -> list[Json]:
        """Its pods of a template, the first first."""
        found = [
            node
            for node in self.status.get("nodes", {}).values()
            if node.get("templateName") == template and node["type"] == kind
        ]
        return sorted(found, key=lambda node: (node["startedAt"] or "", node["name"]))

    def pods(self, step: str, phase: str = "Running") -> list[str]:
        """Names of its pods of a step in some phase, as Kubernetes has them."""
        selector = f"workflows.argoproj.io/workflow={self.name},geocrop.io/step={step}"
        found = self.kube.get("pods", "", "-l", selector)["items"]
        return [pod["metadata"]["name"] for pod in found if pod["status"]["phase"] == phase]

    def tell(self) -> str:
        """What went wrong, for the message of an assertion."""
        nodes = self.status.get("nodes", {}).values()
        return "\n".join(
            f"{node['displayName']}: {node['phase']} {node.get('message', '')}"
            for node in nodes
            if node["phase"] not in {"Succeeded", "Skipped", "Omitted"}
        )

    def stop(self, how: str = "Stop") -> None:
        """As `argo stop` does it; `Terminate` runs no exit handler."""
        self.kube.run("patch", "workflow", self.name, "--type=merge", "-p", json.dumps({"spec": {"shutdown": how}}))

    def tries(self) -> Counter[tuple[str, int]]:
        """How often its pods ended, by template and exit code; -1 where there is none."""
        nodes = (node for node in self.status.get("nodes", {}).values() if node["type"] == "Pod")
        return Counter((node["templateName"], int(node.get("outputs", {}).get("exitCode", -1))) for node in nodes)


def submit(kube: Kube, template: str, parameters: Mapping[str, str]) -> Run:
    """Make a workflow from a template."""
    arguments = {"parameters": [{"name": name, "value": value} for name, value in parameters.items()]}
    name = kube.create(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"generateName": f"{template}-"},
            "spec": {"workflowTemplateRef": {"name": template}, "arguments": arguments},
        }
    )
    return Run(kube, name)


def map_parameters(farm: Farm, aoi: Path | None = None, **changes: str) -> dict[str, str]:
    """What makes the map that the local engine makes."""
    return {
        "aoi": (aoi or farm.land.aoi).read_text(encoding="utf-8"),
        "season": str(farm.land.season),
        "catalog": CATALOG,
        "model": "s3://geocrop-results/farm-model",
        "name": "farm",
        "tile-size": str(TILE),
    } | changes


def job_of(run: Run, store: Minio) -> str:
    """The job that a workflow did."""
    return store.get_object(bucket_name=BUCKET, object_name=f"workflows/{run.name}/job").read().decode()


def published(run: Run, store: Minio) -> dict[str, bytes]:
    """The rasters of the map that a workflow published."""
    return rasters_at(store, f"maps/{job_of(run, store)}")


def rasters_at(store: Minio, prefix: str) -> dict[str, bytes]:
    """The rasters of a map in the store, by name."""
    return {name: store.get_object(bucket_name=BUCKET, object_name=f"{prefix}/{name}.tif").read() for name in RASTERS}


def tile_times(store: Minio) -> dict[str, float]:
    """When each tile's object was written."""
    return written(store, "tiles/")


def forget_tiles(store: Minio) -> None:
    """As if none was ever made."""
    for name in tile_times(store):
        store.remove_object(bucket_name=BUCKET, object_name=name)


def written(store: Minio, prefix: str) -> dict[str, float]:
    """When each object below a prefix was."""
    found = store.list_objects(bucket_name=BUCKET, prefix=prefix, recursive=True)
    return {str(one.object_name): one.last_modified.timestamp() for one in found if one.last_modified}


def seconds_since(start: float) -> float:
    """For messages and measurements."""
    return round(time.monotonic() - start, 1)
