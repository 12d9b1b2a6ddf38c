"""What the end-to-end tests need around them: a cluster, the images, and a namespace as an operator would set it up.

Any cluster will do that KUBECONFIG names; without it the shared cluster beside the project is brought up, and stopped
again if it did not run before. The images are built here where the cluster is that one; elsewhere E2E_IMAGE and
E2E_S3_IMAGE name them. With E2E_KEEP all stays as it was at the end.
"""

import contextlib
import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from minio import Minio

from tests.e2e import images
from tests.e2e.kube import PATIENCE, Json, Kube, kubectl_of, wait_for
from tests.programs import ROOT, SHARED
from tests.s3_server import S3Server

STATE = Path(os.environ.get("CLUSTER_STATE", "/tmp/cluster/run"))
APPS = ROOT / "gitops/apps"
ACCESS_KEY, SECRET_KEY, BUCKET = "e2e-access-key", "e2e-secret-key", "geocrop-results"
_WORKER_INPUTS = ("steps", "pyproject.toml", "README.md", "LICENSE")


@dataclass(frozen=True)
class Stage:
    """A namespace with a store, scenes, and everything of `gitops/apps`."""

    kube: Kube
    image: str
    store: Minio
    scenes: Minio
    """Another server, so that the store can fail alone."""

    def objects(self, *names: str) -> list[Json]:
        """The objects of manifests below gitops/apps, for this place."""
        return [thing for name in names for thing in rendered(APPS / name, self.image)]


def rendered(path: Path, image: str) -> Iterator[Json]:
    """The objects of a manifest, or of a folder of them, with another image."""
    files = [path] if path.is_file() else sorted(path.glob("*.yaml"))
    text = "\n---\n".join(file.read_text(encoding="utf-8") for file in files if file.name != "kustomization.yaml")
    name = yaml_image(text)
    return (thing for thing in yaml.safe_load_all(text.replace(name, image) if name else text) if thing)


def yaml_image(text: str) -> str:
    """The first image that a manifest names."""
    return next((line.split()[-1] for line in text.splitlines() if line.strip().startswith("image: ")), "")


# -- the cluster and its images ------------------------------------------------------------------------------------


def find_cluster() -> tuple[str, bool]:
    """The path of a kubeconfig, and whether it is the shared cluster's; raises LookupError when there is none."""
    if given := os.environ.get("KUBECONFIG"):
        return given, Path(given).is_relative_to(STATE)
    if not (SHARED / "up.sh").exists():
        raise LookupError(f"no KUBECONFIG, and no cluster in {SHARED}")
    if os.geteuid() != 0:
        raise LookupError(f"no KUBECONFIG, and only root may start the cluster in {SHARED}")
    return start_shared(), True


def start_shared() -> str:
    """Start what does not run of the shared cluster; its kubeconfig. Raises LookupError where it does not start."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    try:
        done = subprocess.run([str(SHARED / "up.sh")], **quiet, encoding="utf-8", check=True, timeout=PATIENCE)
    except subprocess.SubprocessError as error:
        raise LookupError(f"the cluster in {SHARED} does not start here: {error}") from error
    return done.stdout.strip().splitlines()[-1]


@contextlib.contextmanager
def cluster() -> Iterator[tuple[str, bool]]:
    """See find_cluster. The shared one is stopped again, and forgotten, if it was not there before."""
    ours, known = not os.environ.get("KUBECONFIG") and not _runs(), STATE.exists()
    try:
        yield find_cluster()
    finally:
        if ours and (SHARED / "down.sh").exists() and not os.environ.get("E2E_KEEP"):
            subprocess.run([str(SHARED / "down.sh"), *(() if known else ("--wipe",))], check=False, timeout=PATIENCE)


def _runs() -> bool:
    """Whether the shared cluster answers."""
    kubectl, kubeconfig = STATE / "bin/kubectl", STATE / "kubeconfig"
    command = [str(kubectl), "--kubeconfig", str(kubeconfig), "get", "--raw", "/readyz", "--request-timeout=5s"]
    return kubeconfig.exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0


def worker_image(*, shared: bool) -> str:
    """The name of the worker image; built and given to the shared cluster when its sources have changed."""
    if given := os.environ.get("E2E_IMAGE"):
        return given
    if not shared:
        raise LookupError("the cluster is not the shared one, and E2E_IMAGE names no worker image")
    return images.of_dockerfile("worker", _WORKER_INPUTS, {"BASE_IMAGE": images.base(*images.WORKER_PACKAGES)})


def s3_image(*, shared: bool) -> str:
    """The name of an S3 server's image."""
    if given := os.environ.get("E2E_S3_IMAGE"):
        return given
    name = "localhost/minio:1"
    if shared and name not in images.there():
        images.pack_program(name, images.program("minio"))
    return name


def node_address(kube: Kube) -> str:
    """An address of this machine that pods reach, where the cluster is this machine's."""
    found = kube.get("nodes")["items"][0]["status"]["addresses"]
    return str(next(one["address"] for one in found if one["type"] == "InternalIP"))


# -- the namespace -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def staged(kubeconfig: str, shared: bool) -> Iterator[Stage]:
    """A namespace of its own, ready; removed at the end unless E2E_KEEP is set."""
    image, s3 = worker_image(shared=shared), s3_image(shared=shared)
    kube = Kube(kubeconfig, kubectl_of(SHARED), os.environ.get("E2E_NAMESPACE", f"geocrop-e2e-{uuid.uuid4().hex[:6]}"))
    try:
        _prepare(kube, image, s3)
        with (
            kube.forwarded("service/minio", 9000) as port,
            kube.forwarded("service/scenes", 9000) as other,
        ):
            store, scenes = client_of(port), client_of(other)
            wait_for("the store", lambda: holds(store, BUCKET))
            wait_for("the scenes", lambda: holds(scenes, "landscape"))
            scenes.set_bucket_policy(bucket_name="landscape", policy=json.dumps(_public("landscape")))
            yield Stage(kube, image, store, scenes)
    finally:
        if not os.environ.get("E2E_KEEP"):
            kube.run("delete", "namespace", kube.namespace, "--wait=false", "--ignore-not-found", check=False)


def _prepare(kube: Kube, image: str, s3: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kube.namespace, "labels": labels}})
    secret = {"access-key": ACCESS_KEY, "secret-key": SECRET_KEY}
    kube.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "geocrop-s3"}, "stringData": secret},
        *s3_server("minio", s3),
        *s3_server("scenes", s3),
        *rendered(APPS / "workflow-access", image),
    )
    sources = {"sources": "scenes,s3://geocrop-results", "mlflow-uri": ""}
    kube.run("patch", "configmap", "geocrop-settings", "--type=merge", "-p", json.dumps({"data": sources}))
    for name in ("minio", "scenes"):
        kube.run("rollout", "status", f"deployment/{name}", f"--timeout={PATIENCE:.0f}s")


def s3_server(name: str, image: str, command: Sequence[str] = ()) -> list[Json]:
    """A MinIO that forgets everything when its pod ends, with the keys of the secret `geocrop-s3`."""
    labels = {"app": name, "geocrop.io/serves": "steps"}
    security = {
        "allowPrivilegeEscalation": False, "runAsNonRoot": True, "runAsUser": 65532, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    container = {
        "name": "s3",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [*command, "server", "/data"],
        "env": [_secret_env("MINIO_ROOT_USER", "access-key"), _secret_env("MINIO_ROOT_PASSWORD", "secret-key")],
        "ports": [{"containerPort": 9000}],
        "readinessProbe": {"httpGet": {"path": "/minio/health/ready", "port": 9000}, "periodSeconds": 1},
        "resources": {"requests": {"memory": "256Mi", "cpu": "50m"}, "limits": {"memory": "1Gi"}},
        "securityContext": security,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"fsGroup": 65532},
    }
    spec = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    ports = [{"port": 9000}]
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": ports},
        },
    ]


def _secret_env(name: str, key: str) -> Json:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": "geocrop-s3", "key": key}}}


def store_at(endpoint: str) -> S3Server:
    """The stage's store, as it is reached at an address."""
    return S3Server(endpoint, ACCESS_KEY, SECRET_KEY, bucket=BUCKET)


def client_of(port: int) -> Minio:
    return Minio(endpoint=f"127.0.0.1:{port}", access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False)


def holds(client: Minio, name: str) -> bool:
    """Whether there is the bucket, now; it is made where it is not."""
    try:
        if not client.bucket_exists(bucket_name=name):
            client.make_bucket(bucket_name=name)
    except Exception:
        return False
    return True


def _public(bucket: str) -> dict[str, Any]:
    """Everyone may read: what a catalog on the web is."""
    statement = {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"]}
    return {"Version": "2012-10-17", "Statement": [statement | {"Resource": [f"arn:aws:s3:::{bucket}/*"]}]}


def upload(client: Minio, bucket: str, folder: Path, prefix: str = "") -> None:
    """Put all files of a folder into a bucket."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            key = f"{prefix}{path.relative_to(folder).as_posix()}"
            client.fput_object(bucket_name=bucket, object_name=key, file_path=str(path))
