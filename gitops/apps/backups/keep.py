"""Brings a night's backup to the store and to a second place, and back: `keep.py keep`, `keep.py fetch DATE [PLACE]`.

A backup is complete when it has `complete.json`, which is written last and lists sizes; only such a one is fetched.
Secrets are encrypted with the key of secret `backup-key`, which the operator keeps elsewhere, too.
"""

import base64
import datetime as dt
import hashlib
import json
import os
import sqlite3
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from ssl import create_default_context
from typing import Any

from cryptography.fernet import Fernet
from minio import Minio

WORK = Path(os.environ.get("WORK", "/backup"))
SECRETS = Path(os.environ.get("SECRETS", "/secrets"))
GIT = Path(os.environ.get("GIT", "/git/gitea"))
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
COMPLETE = "complete.json"
MADE_AGAIN = ("log", "tmp", "indexers", "data/log", "data/tmp", "data/indexers")
DATABASE = ("gitea.db", "gitea.db-wal", "gitea.db-shm")
LEFT_OUT = {GIT / name for name in (*MADE_AGAIN, *DATABASE)}
"""Of Gitea's files: by their whole path, since a branch may be called `tmp`."""


def main(arguments: list[str]) -> int:
    """Keep, or fetch one day's."""
    match arguments:
        case ["keep"]:
            keep(f"{dt.datetime.now(dt.UTC):%Y-%m-%d}")
        case ["fetch", day, *only]:
            fetch(day, only)
        case _:
            sys.stderr.write("usage: keep.py keep | keep.py fetch DATE [first|second]\n")
            return 2
    return 0


def keep(day: str) -> None:
    """Write what is not dumped yet, then bring everything to each place; fails when any of them has not all of it."""
    if GIT.exists():
        pack_git()
    if (SECRETS / "names").exists():
        pack_secrets()
    files = sorted(path for path in WORK.iterdir() if path.suffix in {".dump", ".tar", ".sealed"})
    sizes = {path.name: path.stat().st_size for path in files}
    for name, client, bucket in places():
        for path in files:
            client.fput_object(bucket_name=bucket, object_name=f"{day}/{path.name}", file_path=str(path))
        note = WORK / COMPLETE
        note.write_text(json.dumps({"day": day, "sizes": sizes}), encoding="utf-8")
        client.fput_object(bucket_name=bucket, object_name=f"{day}/{COMPLETE}", file_path=str(note))
        sys.stdout.write(f"{name}: {day}, {len(files)} files, {sum(sizes.values())} bytes\n")


def fetch(day: str, only: list[str]) -> None:
    """A complete backup into the work folder, from the first place that has it; `latest` is the newest one."""
    for name, client, bucket in places():
        if only and name not in only:
            continue
        found = sorted(
            str(one.object_name).split("/")[0]
            for one in client.list_objects(bucket_name=bucket, recursive=True)
            if str(one.object_name).endswith(f"/{COMPLETE}")
        )
        wanted = found[-1] if day == "latest" and found else day
        if wanted in found:
            fetch_from(client, bucket, wanted)
            sys.stdout.write(f"{name}: {wanted} is fetched\n")
            return
    raise SystemExit(f"no complete backup of {day} in any place")


def fetch_from(client: Minio, bucket: str, day: str) -> None:
    """All files of a day, with the sizes that they should have; the secrets opened."""
    answer = client.get_object(bucket_name=bucket, object_name=f"{day}/{COMPLETE}")
    sizes: dict[str, int] = json.loads(answer.read())["sizes"]
    answer.close()
    for name, size in sizes.items():
        path = WORK / Path(name).name
        client.fget_object(bucket_name=bucket, object_name=f"{day}/{name}", file_path=str(path))
        if path.stat().st_size != size:
            raise SystemExit(f"{day}/{name} has {path.stat().st_size} bytes instead of {size}: take another day")
        if path.suffix == ".sealed":
            path.with_suffix(".json").write_bytes(box().decrypt(path.read_bytes()))


def places() -> Iterator[tuple[str, Minio, str]]:
    """The store, and the second place where its secret is there."""
    for name in ("first", "second"):
        folder = SECRETS / name
        if (folder / "endpoint").exists():
            told = {path.name: path.read_text(encoding="utf-8").strip() for path in folder.iterdir() if path.is_file()}
            secure = told.get("secure", "true") == "true"
            client = Minio(
                endpoint=told["endpoint"], access_key=told["access-key"], secret_key=told["secret-key"], secure=secure
            )
            yield name, client, told["bucket"]


def pack_git() -> None:
    """Gitea's database as SQLite itself copies it, and its files; what can be made again is left out."""
    copy = WORK / "gitea.db"
    with (
        closing(sqlite3.connect(f"file:{GIT / 'gitea.db'}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    with tarfile.open(WORK / "gitea.tar", "w") as tar:
        tar.add(copy, "gitea/gitea.db")
        for path in git_files():
            with suppress(FileNotFoundError):  # Gitea works on: what has gone meanwhile was not meant to stay
                tar.add(path, f"gitea/{path.relative_to(GIT)}", recursive=False)
    copy.unlink()


def git_files() -> Iterator[Path]:
    """Folders and files of Gitea, those that hold others first."""
    for root, folders, files in os.walk(GIT):
        here = Path(root)
        for names in (folders, files):
            names[:] = sorted(name for name in names if here / name not in LEFT_OUT)
            yield from (here / name for name in names)


def pack_secrets() -> None:
    """Every secret that is named, sealed."""
    names = (SECRETS / "names").read_text(encoding="utf-8").split()
    found = [one for one in map(read_secret, names) if one]
    (WORK / "secrets.sealed").write_bytes(box().encrypt(json.dumps({"items": found}).encode()))


def read_secret(name: str) -> dict[str, Any]:
    """One secret as it would be applied again; empty where there is none."""
    namespace = (ACCOUNT / "namespace").read_text(encoding="ascii")
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    token = (ACCOUNT / "token").read_text(encoding="ascii").strip()
    request = urllib.request.Request(
        f"https://{host}:{port}/api/v1/namespaces/{namespace}/secrets/{name}",
        headers={"Authorization": f"Bearer {token}"},
    )
    context = create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:  # noqa: S310
            thing = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return {}
        raise
    kept = {"name": name, "labels": thing["metadata"].get("labels", {})}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": kept, "data": thing["data"], "type": thing["type"]}


def box() -> Fernet:
    """The key, made of the words in its secret."""
    words = (SECRETS / "backup-key").read_bytes().strip()
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(words).digest()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
