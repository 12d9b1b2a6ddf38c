"""A runner and a registry on this machine, for the Gitea of an installation."""

import contextlib
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.installation import Installation
from tests.programs import SHARED
from tests.s3_server import free_ports

HOST = "this-machine"
"""The label of the runner here; the platform's own is in the cluster, which has no package registries."""


@dataclass(frozen=True)
class Actions:
    """The repository's runs."""

    gitea: str
    password: str
    registry: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Gitea's answer."""
        mark = b64encode(f"frankchine:{self.password}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310
            f"{self.gitea}/api/v1/repos/frankchine/geocrop/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Basic {mark}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            error.msg = f"{path}: {error.read(300).decode(errors='replace')}"
            raise
        return json.loads(text) if text else None

    def set(self, **variables: str) -> None:
        """Variables of the repository."""
        for name, value in variables.items():
            with contextlib.suppress(urllib.error.HTTPError):
                self.ask("DELETE", f"actions/variables/{name}")
            self.ask("POST", f"actions/variables/{name}", {"value": value})

    def runs(self, workflow: str) -> list[dict[str, Any]]:
        """Runs of a workflow, the newest first."""
        found = self.ask("GET", "actions/runs")["workflow_runs"]
        return [run for run in found if str(run.get("path", "")).startswith(workflow)]

    def log(self) -> str:
        """The end of the newest job's log."""
        jobs = self.ask("GET", "actions/jobs")["jobs"]
        mark = b64encode(f"frankchine:{self.password}".encode()).decode()
        url = f"{self.gitea}/api/v1/repos/frankchine/geocrop/actions/jobs/{jobs[0]['id']}/logs"
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {mark}"})  # noqa: S310
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return str(answer.read().decode(errors="replace")[-3000:])


def repository(place: Installation, registry: str = "") -> Actions:
    """That of an installation."""
    address = place.kube.get("service", "gitea")["spec"]["clusterIP"]
    return Actions(f"http://{address}:3000", place.secret("gitea", "admin-password"), registry)


@contextlib.contextmanager
def actions(place: Installation) -> Iterator[Actions]:
    """While a runner and a registry run here; both end with this."""
    port = free_ports(1)[0]
    found = repository(place, f"127.0.0.1:{port}")
    token = found.ask("POST", "actions/runners/registration-token")["token"]
    folder = place.folder
    env = place.kube.env | {
        "REGISTRY_STATE": str(folder / "registry"),
        "REGISTRY_PORT": str(port),
        "RUNNER_STATE": str(folder / "runner"),
        "RUNNER_LABELS": f"{HOST}:host",
        "RUNNER_TOKEN": token,
        "GITEA_URL": found.gitea,
    }
    started: list[int] = []
    try:
        started.append(_start(SHARED / "services/start-registry.sh", env, folder / "registry.log"))
        started.append(_start(SHARED / "services/start-runner.sh", env, folder / "runner.log"))
        yield found
    finally:
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _start(script: Path, env: dict[str, str], log: Path) -> int:
    """Run a script that leaves a process behind; its id."""
    with log.open("wb") as file:
        subprocess.run([str(script)], env=env, stdout=file, stderr=subprocess.STDOUT, check=True, timeout=300)
    return int(log.read_text(encoding="utf-8").split()[-1])
