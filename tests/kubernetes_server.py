"""A real Kubernetes API on loopback: kube-apiserver and etcd, without nodes. Nothing runs in it, all of it is kept.

KUBECONFIG's cluster is not touched. The programs are those on the PATH, or of the cluster beside the project.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lightkube.config.kubeconfig import KubeConfig

from tests.programs import unpacked
from tests.s3_server import free_ports

ROOT = Path(__file__).parents[1]
KINDS = ROOT / "tests/e2e/fixtures/workflow-kinds.yaml"
ACCESS = ROOT / "gitops/apps/workflow-access/service-accounts.yaml"
TEMPLATES = ROOT / "gitops/apps/workflow-templates"
ADMIN, SUBMITTER = "admin-token", "submitter-token"
_START_SECONDS = 120


@dataclass(slots=True)
class KubernetesServer:
    """Where it listens; `admin` may do everything."""

    folder: Path
    programs: Path
    port: int
    etcd: int
    processes: "dict[str, subprocess.Popen[bytes]]"

    @property
    def url(self) -> str:
        """Of the API."""
        return f"https://127.0.0.1:{self.port}"

    def config(self, token: str = SUBMITTER) -> KubeConfig:
        """What a client of that token needs."""
        authority = base64.b64encode((self.folder / "pki/apiserver.crt").read_bytes()).decode()
        return KubeConfig.from_dict(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "any", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
                "users": [{"name": "any", "user": {"token": token}}],
                "contexts": [{"name": "any", "context": {"cluster": "any", "user": "any"}}],
                "current-context": "any",
            }
        )

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str = ADMIN, kind: str = "json"
    ) -> httpx.Response:
        """One request."""
        trusted = ssl.create_default_context(cafile=self.folder / "pki/apiserver.crt")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": f"application/{kind}"}
        with httpx.Client(base_url=self.url, verify=trusted, trust_env=False, timeout=20) as http:
            return http.request(method, path, headers=headers, content=None if body is None else json.dumps(body))

    def namespace(self, name: str) -> str:
        """A namespace as an operator sets it up: who may submit, and the templates."""
        self._made("/api/v1/namespaces", {"metadata": {"name": name}})
        for thing in [*_documents(ACCESS), *(one for path in TEMPLATES.glob("map-*.yaml") for one in _documents(path))]:
            self._made(_collection(thing, name), thing)
        binding = {
            "metadata": {"name": "the-api"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "geocrop-submitter"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "submitter"}],
        }
        self._made(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{name}/rolebindings", binding)
        return name

    def _made(self, path: str, thing: Any) -> None:
        answer = self.ask("POST", path, thing)
        assert answer.status_code in {200, 201}, answer.text

    def compact(self) -> None:
        """Forget all that was before now: who watches from there is told 410 Gone."""
        status = self._etcd("maintenance/status", {})
        self._etcd("kv/compaction", {"revision": status["header"]["revision"], "physical": True})

    def _etcd(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = httpx.post(f"http://127.0.0.1:{self.etcd}/v3/{path}", json=body, trust_env=False)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def start(self) -> None:
        """Both, until the API is ready. What was kept is there again."""
        self._run("etcd", *_etcd_options(self.folder, self.etcd))
        self._run("kube-apiserver", *_api_options(self.folder, self.port, self.etcd))
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.processes["kube-apiserver"].poll() is None:
            with contextlib.suppress(OSError, httpx.HTTPError):
                if self.ask("GET", "/readyz").status_code == 200:
                    return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "kube-apiserver.log").read_text(encoding="utf-8")[-4000:])

    def stop(self, *names: str) -> None:
        """At once; all of it unless named."""
        for name in names or ("kube-apiserver", "etcd"):
            if (process := self.processes.pop(name, None)) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _run(self, name: str, *options: str) -> None:
        if name in self.processes:
            return
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(self.programs / name), *options], stdout=log, stderr=log, start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            )  # fmt: skip


@contextlib.contextmanager
def kubernetes_server(folder: Path) -> Iterator[KubernetesServer]:
    """Start with the kinds of Argo Workflows. Skips where the programs are not to be had."""
    programs = _programs(folder)
    _write_keys(folder)
    port, etcd = free_ports(2)
    server = KubernetesServer(folder, programs, port, etcd, {})
    try:
        server.start()
        for kind in _documents(KINDS):
            server._made("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", kind)
        _wait_for_kinds(server)
        yield server
    finally:
        server.stop()


def _programs(folder: Path) -> Path:
    """A folder with both."""
    if (found := shutil.which("kube-apiserver")) and shutil.which("etcd"):
        return Path(found).parent
    target = unpacked("kube")
    if target is None:
        pytest.skip(
            "NO KUBERNETES: put kube-apiserver and etcd on the PATH; the Argo engine was not tested against a real API"
        )
    for name in ("etcd", "kube-apiserver"):
        (folder / name).symlink_to(target.resolve())
    return folder


def _write_keys(folder: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    data = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (folder / "accounts.key").write_bytes(data)
    rows = f"{ADMIN},admin,admin,system:masters\n{SUBMITTER},submitter,submitter\n"
    (folder / "tokens.csv").write_text(rows, encoding="utf-8")


def _etcd_options(folder: Path, port: int) -> list[str]:
    url = f"http://127.0.0.1:{port}"
    return [
        *(f"--data-dir={folder / 'etcd-data'}", f"--listen-client-urls={url}", f"--advertise-client-urls={url}"),
        *("--listen-peer-urls=http://127.0.0.1:0", "--log-level=warn", "--unsafe-no-fsync"),
    ]


def _api_options(folder: Path, port: int, etcd: int) -> list[str]:
    """Without a watch cache a watch is as old as etcd allows, so that 410 Gone is as real as after days."""
    return [
        *(f"--etcd-servers=http://127.0.0.1:{etcd}", "--bind-address=127.0.0.1", f"--secure-port={port}"),
        *(f"--cert-dir={folder / 'pki'}", f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC"),
        *("--service-account-issuer=https://any.example", f"--service-account-key-file={folder / 'accounts.key'}"),
        *(f"--service-account-signing-key-file={folder / 'accounts.key'}", "--service-cluster-ip-range=10.99.0.0/24"),
        *("--watch-cache=false", "--profiling=false", "--anonymous-auth=false", "--advertise-address=127.0.0.1"),
        "--disable-admission-plugins=ServiceAccount,LimitRanger,ResourceQuota,PodSecurity",
    ]


def _documents(path: Path) -> list[Any]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def _collection(thing: Any, namespace: str) -> str:
    group, plural = thing["apiVersion"], f"{thing['kind'].lower()}s"
    return f"/{'api' if '/' not in group else 'apis'}/{group}/namespaces/{namespace}/{plural}"


def _wait_for_kinds(server: KubernetesServer) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.ask("GET", "/apis/argoproj.io/v1alpha1/workflows").status_code != 200:
        if time.monotonic() > deadline:
            raise RuntimeError("the kinds of Argo Workflows are not served")
        time.sleep(0.1)
