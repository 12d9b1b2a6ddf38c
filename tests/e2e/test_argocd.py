"""Argo CD brings `gitops/` to the cluster, and a commit changes what the next workflow is made from."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.e2e.argo import map_parameters, published, submit
from tests.e2e.farm import Farm
from tests.e2e.kube import PATIENCE, Json, Kube, wait_for
from tests.e2e.stage import APPS, Stage, node_address, yaml_image
from tests.programs import SHARED
from tests.s3_server import free_ports

KINDS = Path(__file__).with_name("fixtures") / "workflow-kinds.yaml"
APPLICATION = "geocrop-e2e"


@dataclass(frozen=True)
class Repository:
    """A Git repository that the cluster can read."""

    tree: Path
    address: str

    def commit(self, message: str) -> str:
        """Publish the work tree; the commit's id."""
        self._git("add", "-A")
        self._git("-c", "user.name=e2e", "-c", "user.email=e2e@localhost", "commit", "-qm", message)
        self._git("push", "-q", "origin", "HEAD:main")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.tree), *arguments]
        return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout


@pytest.fixture(scope="module")
def argocd(stage: Stage) -> Kube:
    """Argo CD's namespace; it is brought up on the shared cluster, and elsewhere has to be there."""
    kube = Kube(stage.kube.kubeconfig, stage.kube.kubectl, os.environ.get("ARGOCD_NAMESPACE", "argocd"))
    if not kube.there("statefulset", "argocd-application-controller"):
        if not (SHARED / "argocd/up.sh").exists():
            pytest.skip("the cluster runs no Argo CD")
        parts = "argocd-application-controller argocd-repo-server argocd-redis"
        env = kube.env | {"ARGOCD_PARTS": parts, "TIMEOUT": f"{PATIENCE:.0f}s"}
        subprocess.run([str(SHARED / "argocd/up.sh")], env=env, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
    if not kube.there("crd", "workflowtemplates.argoproj.io"):
        kube.run("apply", "--server-side", "-f", str(KINDS))
    return kube


@pytest.fixture(scope="module")
def repository(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """`gitops/apps` with this place's image, served from the node."""
    folder = tmp_path_factory.mktemp("git")
    tree = folder / "tree"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder / "gitops.git")], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(tree)], check=True)
    subprocess.run(["git", "-C", str(tree), "remote", "add", "origin", str(folder / "gitops.git")], check=True)
    for path in APPS.rglob("*.yaml"):
        target = tree / "apps" / path.relative_to(APPS)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8")
        name = yaml_image(text)
        target.write_text(text.replace(name, stage.image) if name else text, encoding="utf-8")
    _keep_settings(stage, tree / "apps/workflow-access/settings.yaml")
    host = node_address(stage.kube)
    port = free_ports(1)[0]
    command = ["git", "daemon", f"--listen={host}", f"--port={port}", f"--base-path={folder}", "--export-all"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, start_new_session=True, **quiet)  # git starts the daemon as a child
    yield Repository(tree, f"git://{host}:{port}/gitops.git")
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _keep_settings(stage: Stage, path: Path) -> None:
    """Argo CD would set the place's settings back."""
    thing = yaml.safe_load(path.read_text(encoding="utf-8"))
    thing["data"] = stage.kube.get("configmap", "geocrop-settings")["data"]
    path.write_text(yaml.safe_dump(thing), encoding="utf-8")


@pytest.fixture(scope="module")
def synced(stage: Stage, argocd: Kube, repository: Repository) -> Iterator[Repository]:
    """The repository, followed by applications of Argo CD."""
    revision = repository.commit("first")
    names = ("workflow-access", "workflow-templates")
    argocd.apply(*(_application(name, repository, stage.kube.namespace, argocd.namespace) for name in names))
    for name in names:
        wait_until_synced(argocd, name, revision)
    yield repository
    for name in names:
        argocd.run("delete", "application", f"{APPLICATION}-{name}", "--wait=false", check=False)


def _application(name: str, repository: Repository, namespace: str, own: str) -> Json:
    spec = {
        "project": "default",
        "source": {"repoURL": repository.address, "path": f"apps/{name}", "targetRevision": "main"},
        "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
        "syncPolicy": {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["ServerSideApply=true"]},
    }
    metadata = {"name": f"{APPLICATION}-{name}", "namespace": own}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": spec}


def wait_until_synced(argocd: Kube, name: str, revision: str) -> None:
    """Until an application has a commit and is healthy."""

    def state() -> bool:
        status = argocd.get("application", f"{APPLICATION}-{name}").get("status", {})
        sync = status.get("sync", {})
        healthy = status.get("health", {}).get("status") == "Healthy"
        return bool(sync.get("status") == "Synced" and sync.get("revision") == revision and healthy)

    wait_for(f"{name} to be synced and healthy", state)


def test_gitops_is_synced_and_healthy(stage: Stage, synced: Repository) -> None:
    """Every object of the manifests is there as committed."""
    assert synced
    for thing in stage.objects("workflow-access", "workflow-templates"):
        assert stage.kube.there(thing["kind"], thing["metadata"]["name"]), thing["metadata"]["name"]


def test_what_is_changed_by_hand_is_healed(stage: Stage, synced: Repository) -> None:
    """The repository says what is."""
    assert synced
    patch = json.dumps({"data": {"catalog": "99"}})
    stage.kube.run("patch", "configmap", "geocrop-limits", "--type=merge", "-p", patch)
    wait_for("healing", lambda: stage.kube.get("configmap", "geocrop-limits")["data"]["catalog"] == "2")


@pytest.mark.usefixtures("argo")
def test_a_commit_changes_the_next_workflow_alone(
    stage: Stage, argocd: Kube, synced: Repository, farm: Farm, reference: Mapping[str, bytes]
) -> None:
    """A running workflow ends with the template that it started with; the next one is made from the new one."""
    running = submit(stage.kube, "map-aoi", map_parameters(farm, **{"tiles-per-pod": "3"}))
    running.until(lambda status: status.get("storedWorkflowTemplateSpec"), "its template")
    path = synced.tree / "apps/workflow-templates/map-aoi.yaml"
    text = path.read_text(encoding="utf-8")
    changed = text.replace("--jitter=10", "--jitter=9")
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    wait_until_synced(argocd, "workflow-templates", synced.commit("another jitter"))
    following = submit(stage.kube, "map-aoi", map_parameters(farm))
    for run, jitter in ((running, "--jitter=10"), (following, "--jitter=9")):
        assert run.wait() == "Succeeded", run.tell()
        assert jitter in json.dumps(run.status["storedWorkflowTemplateSpec"])
        assert published(run, stage.store) == reference
