"""A real S3 server on loopback: SeaweedFS, with identities, so that a wrong secret is refused."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minio import Minio
from minio.error import MinioException
from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError

from steps.settings import Settings

_START_SECONDS = 60
_ROLES = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
_OFF = ("s3.port.iceberg=0", "s3.port.lance=0", "master.telemetry=false")


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where it listens, and who may do what."""

    endpoint: str
    access_key: str = "any-access-key"
    secret_key: str = "any-secret-key"  # noqa: S105 - the server is ours and gone with the test
    reader_key: str = "any-reader-key"
    """May read and list, nothing else; with the same secret."""
    bucket: str = "maps"

    def settings(self, home: Path, **changes: object) -> Settings:
        """Settings that lead here."""
        fields: dict[str, object] = {
            "s3_endpoint": self.endpoint,
            "s3_access_key": self.access_key,
            "s3_secret_key": self.secret_key,
            "s3_secure": False,
        }
        return Settings(home=home, **(fields | changes))  # type: ignore[arg-type]

    @property
    def environ(self) -> dict[str, str]:
        """Variables that lead here."""
        return {
            "GEOCROP_S3_ENDPOINT": self.endpoint,
            "GEOCROP_S3_ACCESS_KEY": self.access_key,
            "GEOCROP_S3_SECRET_KEY": self.secret_key,
            "GEOCROP_S3_SECURE": "false",
        }


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Start the server in a folder, wait until it serves, end it with all that it started. The log is `weed.log`."""
    port, *others = free_ports(2 + len(_ROLES))
    server = S3Server(endpoint=f"127.0.0.1:{port}")
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(_command(server, folder, others), stdout=log, stderr=log, start_new_session=True)
        try:
            _wait(server, process, folder / "weed.log")
            yield server
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _command(server: S3Server, folder: Path, ports: list[int]) -> list[str]:
    (folder / "data").mkdir()
    identities = folder / "identities.json"
    identities.write_text(json.dumps(_identities(server)), encoding="utf-8")
    s3_port = server.endpoint.rpartition(":")[2]
    options = [
        *(f"{role}={port}" for role, port in zip(_ROLES, ports[1:], strict=True)),
        *(f"dir={folder / 'data'}", "ip=127.0.0.1", "ip.bind=127.0.0.1", "volume.max=0", "volume.preStopSeconds=0"),
        *("filer", "s3", f"s3.port={s3_port}", f"s3.port.grpc={ports[0]}", f"s3.config={identities}"),
        *("s3.autoCreateBucket=false", f"filer.localSocket={folder / 'filer.sock'}", *_OFF),
        *("master.volumeSizeLimitMB=64",),
    ]
    return [str(Path(sys.executable).with_name("weed")), "server", *(f"-{option}" for option in options)]


def _identities(server: S3Server) -> dict[str, object]:
    def identity(name: str, access_key: str, actions: list[str]) -> dict[str, object]:
        credentials = [{"accessKey": access_key, "secretKey": server.secret_key}]
        return {"name": name, "credentials": credentials, "actions": actions}

    return {
        "identities": [
            identity("owner", server.access_key, ["Admin", "Read", "Write", "List"]),
            identity("reader", server.reader_key, ["Read", "List"]),
        ]
    }


def _wait(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the bucket exists and takes an object."""
    http = PoolManager(retries=Retry(total=0), timeout=5)
    client = Minio(
        endpoint=server.endpoint,
        access_key=server.access_key,
        secret_key=server.secret_key,
        secure=False,
        region="us-east-1",
        http_client=http,
    )
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(HTTPError, MinioException):
            if not client.bucket_exists(bucket_name=server.bucket):
                client.make_bucket(bucket_name=server.bucket)
            client.remove_object(bucket_name=server.bucket, object_name=_probe(client, server))
            return
        time.sleep(0.1)
    raise RuntimeError(f"SeaweedFS does not serve; its log ends:\n{log.read_text(encoding='utf-8')[-4000:]}")


def _probe(client: Minio, server: S3Server) -> str:
    client.put_object(bucket_name=server.bucket, object_name="probe", data=io.BytesIO(b"any"), length=3)
    return "probe"


def free_ports(count: int) -> list[int]:
    """Ports free now; all are held until all are known, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
