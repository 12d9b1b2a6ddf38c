"""kubectl, as the tests use it: whatever cluster KUBECONFIG names."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.s3_server import free_ports

Json = dict[str, Any]
_AGAIN = "import subprocess, sys, time\nwhile True: subprocess.run(sys.argv[1:], stderr=-3); time.sleep(0.5)"
PATIENCE = 900.0
"""Seconds to wait for what must come to pass: long, since a machine may be slow without anything being wrong."""


@dataclass(frozen=True)
class Kube:
    """A namespace of a cluster."""

    kubeconfig: str
    kubectl: str
    namespace: str

    @property
    def env(self) -> dict[str, str]:
        """The environment of kubectl; no proxy of the user's stands between."""
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return kept | {"KUBECONFIG": self.kubeconfig}

    def run(self, *arguments: str, stdin: str = "", check: bool = True, timeout: float = PATIENCE) -> str:
        """What kubectl prints."""
        command = [self.kubectl, "-n", self.namespace, *arguments]
        done = subprocess.run(
            command, input=stdin, env=self.env, capture_output=True, encoding="utf-8", check=False, timeout=timeout
        )
        assert not check or done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-2000:]}"
        return done.stdout

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl says on standard error; fails when it succeeds."""
        command = [self.kubectl, "-n", self.namespace, *arguments]
        done = subprocess.run(command, input=stdin, env=self.env, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def apply(self, *objects: Json) -> None:
        """Create or replace objects."""
        self.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def create(self, thing: Json) -> str:
        """Create an object; its name."""
        found: str = json.loads(self.run("create", "-o", "json", "-f", "-", stdin=json.dumps(thing)))["metadata"][
            "name"
        ]
        return found

    def get(self, kind: str, name: str = "", *more: str) -> Json:
        """An object, or a list of them."""
        return dict(json.loads(self.run("get", kind, *filter(None, (name,)), *more, "-o", "json")))

    def there(self, kind: str, name: str) -> bool:
        """Whether there is such an object."""
        return bool(self.run("get", kind, name, "--ignore-not-found", "-o", "name", check=False).strip())

    def logs(self, pod: str, container: str = "main") -> str:
        """What a container has said."""
        return self.run("logs", pod, "-c", container, "--tail=200", check=False)

    def picture(self) -> str:
        """Pods, the last events, and the end of what the pods that are not well have said."""
        pods = self.run("get", "pods", check=False)
        events = self.run("get", "events", "--sort-by=.lastTimestamp", check=False).splitlines()[-30:]
        bad = [line.split()[0] for line in pods.splitlines()[1:] if line.split()[2] not in {"Running", "Completed"}]
        said = [self.run("logs", pod, "--all-containers", "--tail=30", check=False) for pod in bad[-5:]]
        return "\n\n".join([pods, "\n".join(events), *said])

    @contextlib.contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[int]:
        """A port of this machine that leads to a pod's or service's, again when its pod or its kubelet was away."""
        (own,) = free_ports(1)
        command = [self.kubectl, "-n", self.namespace, "port-forward", target, f"{own}:{port}"]
        loop = subprocess.Popen(
            [sys.executable, "-c", _AGAIN, *command], env=self.env, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            wait_for(f"a way to {target}", lambda: _is_open(own))
            yield own
        finally:
            os.killpg(loop.pid, signal.SIGKILL)
            loop.wait()


def _is_open(port: int) -> bool:
    """Whether something listens on loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def wait_for(what: str, ready: Callable[[], object], seconds: float = PATIENCE, pause: float = 0.5) -> Any:
    """The first true answer; fails after some seconds."""
    end = time.monotonic() + seconds
    while True:
        if found := ready():
            return found
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(pause)


def kubectl_of(shared: Path) -> str:
    """The kubectl of the shared cluster, or the one in PATH."""
    state = Path(os.environ.get("CLUSTER_STATE", "/tmp/cluster/run"))
    return str(state / "bin/kubectl") if shared.exists() and (state / "bin/kubectl").exists() else "kubectl"
