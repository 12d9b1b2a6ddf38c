"""Buckets, users and their rights on a MinIO server, as `policies.json` says; run again it changes what has changed.

A user is named by its secret: two files, `access-key` and `secret-key`. A user of ours whose key is no longer in a
secret is removed, so that a rotated key stops working.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.credentials import StaticProvider
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from minio.minioadmin import MinioAdmin

Json = dict[str, Any]
BUCKET_ACTIONS = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
READ = ["s3:GetObject"]
WRITE = [*READ, "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]


def main() -> int:
    """Make everything as it should be."""
    endpoint, secure = os.environ["STORE_ENDPOINT"], os.environ["STORE_SECURE"] == "true"
    wanted = json.loads(Path(__file__).with_name("policies.json").read_text(encoding="utf-8"))
    secrets = Path(os.environ["STORE_SECRETS"])
    root = key_of(secrets / "minio-root")
    client = Minio(endpoint=endpoint, access_key=root[0], secret_key=root[1], secure=secure)
    for bucket, kept in wanted["buckets"].items():
        make_bucket(client, bucket, kept)
    admin = MinioAdmin(endpoint=endpoint, credentials=StaticProvider(*root), secure=secure)
    keys = {name: key_of(secrets / name) for name in wanted["users"]}
    for name, rights in wanted["users"].items():
        make_user(admin, name, keys[name], rights)
    remove_others(admin, set(wanted["users"]), {key for key, _ in keys.values()})
    return 0


def key_of(folder: Path) -> tuple[str, str]:
    """Access key and secret key."""
    return tuple((folder / name).read_text(encoding="utf-8").strip() for name in ("access-key", "secret-key"))  # type: ignore[return-value]


def make_bucket(client: Minio, name: str, kept: dict[str, int]) -> None:
    """With how many days things below a prefix are kept. MinIO itself removes unfinished uploads after a day."""
    if not client.bucket_exists(bucket_name=name):
        client.make_bucket(bucket_name=name)
    rules = [
        Rule(
            status=ENABLED,
            rule_id=f"keep-{number}",
            rule_filter=Filter(prefix=prefix),
            expiration=Expiration(days=days),
        )
        for number, (prefix, days) in enumerate(sorted(kept.items()))
    ]
    if rules:
        client.set_bucket_lifecycle(bucket_name=name, config=LifecycleConfig(rules=rules))
    else:
        client.delete_bucket_lifecycle(bucket_name=name)


def make_user(admin: MinioAdmin, name: str, key: tuple[str, str], rights: Json) -> None:
    """The user of a secret, with a policy of the same name and no other."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(policy(rights), file)
        file.flush()
        admin.policy_add(policy_name=name, policy_file=file.name)
    admin.user_add(access_key=key[0], secret_key=key[1])
    if json.loads(admin.user_info(access_key=key[0])).get("policyName") != name:
        admin.policy_set(policy_name=name, user=key[0])
    sys.stdout.write(f"user of secret {name} is as it should be\n")


def policy(rights: Json) -> Json:
    """Rights on buckets as S3 writes them: list by prefix, read, and for some to write, in parts too."""
    buckets = [*rights.get("read", []), *rights.get("write", [])]
    statements = [
        statement(BUCKET_ACTIONS, [f"arn:aws:s3:::{one}" for one in buckets]),
        statement(READ, [f"arn:aws:s3:::{one}/*" for one in buckets]),
        statement(WRITE, [f"arn:aws:s3:::{one}/*" for one in rights.get("write", [])]),
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def statement(actions: list[str], resources: list[str]) -> Json:
    """One that allows."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def remove_others(admin: MinioAdmin, names: set[str], keys: set[str]) -> None:
    """Users with a policy of ours whose key no secret holds: keys that were rotated away."""
    for user, told in json.loads(admin.user_list()).items():
        if told.get("policyName") in names and user not in keys:
            admin.user_remove(access_key=user)
            sys.stdout.write(f"an old key of {told['policyName']} is removed\n")


if __name__ == "__main__":
    sys.exit(main())
