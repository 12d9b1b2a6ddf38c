"""The job that makes buckets and users, on a real MinIO."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from minio import Minio
from minio.error import S3Error

from tests.kustomize import GITOPS
from tests.programs import unpacked
from tests.s3_server import free_ports

PROGRAM = GITOPS / "apps/minio/users/store_users.py"
WANTED = json.loads(PROGRAM.with_name("policies.json").read_text(encoding="utf-8"))
NAMES = ["minio-root", *WANTED["users"]]


@dataclass(frozen=True)
class Place:
    """A server and the secrets that the cluster would have."""

    endpoint: str
    secrets: Path

    def client(self, name: str) -> Minio:
        """As the user of a secret."""
        key, secret = (self.read(name, one) for one in ("access-key", "secret-key"))
        return Minio(endpoint=self.endpoint, access_key=key, secret_key=secret, secure=False)

    def read(self, name: str, key: str) -> str:
        """Of a secret."""
        return (self.secrets / name / key).read_text(encoding="utf-8")

    def rotate(self, name: str) -> None:
        """Another key in a secret."""
        (self.secrets / name / "access-key").write_text(f"{name}-2", encoding="utf-8")

    def run(self) -> str:
        """The job; what it said."""
        env = {
            **os.environ,
            "STORE_ENDPOINT": self.endpoint,
            "STORE_SECURE": "false",
            "STORE_SECRETS": str(self.secrets),
        }
        done = subprocess.run(
            [sys.executable, str(PROGRAM)], env=env, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server on loopback that the job has been at."""
    folder = tmp_path_factory.mktemp("minio")
    for name in NAMES:
        (folder / "secrets" / name).mkdir(parents=True)
        (folder / "secrets" / name / "access-key").write_text(f"{name}-1", encoding="utf-8")
        (folder / "secrets" / name / "secret-key").write_text(f"any-secret-of-{name}", encoding="utf-8")
    port = free_ports(1)[0]
    made = Place(f"127.0.0.1:{port}", folder / "secrets")
    env = {
        **os.environ,
        "MINIO_ROOT_USER": made.read("minio-root", "access-key"),
        "MINIO_ROOT_PASSWORD": made.read("minio-root", "secret-key"),
        "MINIO_UPDATE": "off",
    }
    command = [minio_program(), "server", "--quiet", "--address", made.endpoint, str(folder / "data")]
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until_ready(port)
            made.run()
            yield made
        finally:
            server.kill()


def minio_program() -> str:
    """MinIO's server; the one beside the project where none is installed."""
    if found := shutil.which("minio"):
        return found
    beside = unpacked("minio")
    if beside is None:
        pytest.skip("STORE'S USERS NOT TESTED: no minio is here")
    return str(beside)


def wait_until_ready(port: int) -> None:
    """A minute at most."""
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/minio/health/ready", timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("MinIO does not serve")


def may(action: str, client: Minio, bucket: str) -> bool:
    """Whether a user may list, read or write in a bucket."""
    try:
        if action == "list":
            list(client.list_objects(bucket_name=bucket, prefix="any/"))
        elif action == "read":
            client.get_object(bucket_name=bucket, object_name="any/absent").close()
        else:
            client.put_object(bucket_name=bucket, object_name="any/x", data=io.BytesIO(b"x"), length=1)
    except S3Error as error:
        return error.code == "NoSuchKey"
    return True


@pytest.mark.parametrize("name", WANTED["users"])
def test_a_user_may_do_what_it_needs_and_no_more(place: Place, name: str) -> None:
    """Of every bucket: read where it may read, write where it may write."""
    client, rights = place.client(name), WANTED["users"][name]
    for bucket in WANTED["buckets"]:
        writes = bucket in rights.get("write", [])
        reads = writes or bucket in rights.get("read", [])
        found = [may(action, client, bucket) for action in ("list", "read", "write")]
        assert found == [reads, reads, writes], bucket


def test_large_objects_come_in_parts(place: Place) -> None:
    """A user that may write may write in parts."""
    size = 6 << 20
    client = place.client("geocrop-s3")
    written = client.put_object(
        bucket_name="geocrop-results",
        object_name="any/large",
        data=io.BytesIO(bytes(size)),
        length=size,
        part_size=5 << 20,
    )
    assert written.etag
    assert written.etag.endswith("-2")


def test_what_need_not_be_kept_goes(place: Place) -> None:
    """Each bucket has the rules of policies.json and no others."""
    client = place.client("minio-root")
    for bucket, kept in WANTED["buckets"].items():
        found = client.get_bucket_lifecycle(bucket_name=bucket)
        rules = found.rules if found else []
        told = {rule.rule_filter.prefix or "": rule.expiration.days for rule in rules if rule.rule_filter}
        assert told == kept, bucket


def test_a_rotated_key_works_and_the_old_one_does_not(place: Place) -> None:
    """The job carries the new key to the server and takes the old one away."""
    old = place.client("s3-jupyter")
    assert may("list", old, "geocrop-datasets")
    place.rotate("s3-jupyter")
    assert "an old key of s3-jupyter is removed" in place.run()
    assert may("list", place.client("s3-jupyter"), "geocrop-datasets")
    assert not may("list", old, "geocrop-datasets")


def test_no_secret_is_told(place: Place) -> None:
    """What the job says holds neither keys nor secrets."""
    said = place.run()
    assert "any-secret" not in said
    assert all(place.read(name, "access-key") not in said for name in NAMES)
