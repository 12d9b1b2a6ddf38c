"""A model registry that steps in the cluster reach: MLflow on loopback, and two relays to it.

Steps reach no address of a node, only pods that say that they serve steps: one of these leads to the node, where the
other leads to loopback.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.kube import PATIENCE, Json
from tests.e2e.stage import Stage, node_address, store_at
from tests.mlflow_server import MlflowServer, mlflow_server
from tests.s3_server import free_ports

_RELAY = """
import asyncio, sys

async def copy(source, target):
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    finally:
        target.close()

async def serve(reader, writer):
    there = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer), return_exceptions=True)

async def main():
    async with await asyncio.start_server(serve, sys.argv[3], int(sys.argv[4])) as server:
        await server.serve_forever()

asyncio.run(main())
"""


@contextlib.contextmanager
def registry(stage: Stage, folder: Path) -> Iterator[MlflowServer]:
    """MLflow over the cluster's S3, known to the steps by their settings for as long as the context lasts."""
    with stage.kube.forwarded("service/minio", 9000) as port:
        s3 = store_at(f"127.0.0.1:{port}")
        names = "mlflow:5000,127.0.0.1:*"
        with (
            mlflow_server(folder, f"sqlite:///{folder}/mlflow.db", s3, names) as server,
            _relay(node_address(stage.kube), server.port) as relay,
        ):
            stage.kube.apply(_pod(stage, *relay), _SERVICE)
            stage.kube.run("wait", "--for=condition=Ready", "pod/mlflow", f"--timeout={PATIENCE:.0f}s")
            _tell(stage, "http://mlflow:5000")
            try:
                yield server
            finally:
                _tell(stage, "")
                stage.kube.run("delete", "pod/mlflow", "service/mlflow", "--wait=false", check=False)


@contextlib.contextmanager
def _relay(host: str, port: int) -> Iterator[tuple[str, int]]:
    """An address of this machine that pods reach, for a port of loopback."""
    other = free_ports(1)[0]
    process = subprocess.Popen([sys.executable, "-c", _RELAY, "127.0.0.1", str(port), host, str(other)])
    try:
        yield host, other
    finally:
        process.kill()
        process.wait()


def _tell(stage: Stage, uri: str) -> None:
    patch = json.dumps({"data": {"mlflow-uri": uri}})
    stage.kube.run("patch", "configmap", "geocrop-settings", "--type=merge", "-p", patch)


def _pod(stage: Stage, host: str, port: int) -> Json:
    container = {
        "name": "relay",
        "image": stage.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/opt/geocrop/bin/python", "-c", _RELAY],
        "args": [host, str(port), "0.0.0.0", "5000"],  # noqa: S104 - of the pod
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": {"tcpSocket": {"port": 5000}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "containers": [container],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    metadata = {"name": "mlflow", "labels": {"app": "mlflow", "geocrop.io/serves": "steps"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


_SERVICE: Json = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "mlflow"},
    "spec": {"selector": {"app": "mlflow"}, "ports": [{"port": 5000}]},
}
