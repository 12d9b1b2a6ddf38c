"""A real MLflow server on loopback: records in PostgreSQL, artifacts on S3, both of which it alone knows."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from steps.settings import Settings
from tests.s3_server import S3Server, free_ports

_START_SECONDS = 120


@dataclass(slots=True)
class MlflowServer:
    """One that can be stopped and started again."""

    port: int
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self, home: Path) -> Settings:
        """Settings of a client, which knows nothing of the stores behind the server."""
        return Settings(home=home, mlflow_uri=self.uri)

    def start(self) -> None:
        """Wait until it serves. `mlflow server` would be a second process that only waits for this one."""
        command = [
            *(sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--log-level", "warning", "mlflow.server.fastapi_app:app"),
        ]
        with (self.folder / "mlflow.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5):  # noqa: S310
                return
            time.sleep(0.1)
        log_text = (self.folder / "mlflow.log").read_text(encoding="utf-8")
        raise RuntimeError(f"MLflow does not serve; its log ends:\n{log_text[-4000:]}")

    def stop(self) -> None:
        """As if the machine had lost power."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def resident_mb(self) -> dict[str, float]:
        """Resident memory of all its processes: `rss` counts shared pages each time, `pss` once."""
        if self.process is None:
            return {}
        group = [path for path in Path("/proc").glob("[0-9]*") if _group_of(path) == self.process.pid]
        return {kind: sum(_kb(path, kind) for path in group) / 1024 for kind in ("rss", "pss")}


def _group_of(process: Path) -> int:
    try:
        return os.getpgid(int(process.name))
    except ProcessLookupError:
        return -1


def _kb(process: Path, kind: str) -> int:
    with contextlib.suppress(OSError):
        for line in (process / "smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.lower().startswith(f"{kind}:"):
                return int(line.split()[1])
    return 0


@contextlib.contextmanager
def mlflow_server(folder: Path, database: str, s3: S3Server, names: str = "") -> Iterator[MlflowServer]:
    """Start it over a database and a bucket; the log is `mlflow.log`. Secrets are in its environment alone.

    It answers to loopback's names, or to others where they are given.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_", "GEOCROP_"))},
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"s3://{s3.bucket}/mlflow",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_S3_ENDPOINT_URL": f"http://{s3.endpoint}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    if names:
        environment["MLFLOW_SERVER_ALLOWED_HOSTS"] = names
    server = MlflowServer(free_ports(1)[0], folder, environment)
    try:
        server.start()
        yield server
    finally:
        server.stop()
