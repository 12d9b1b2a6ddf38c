"""A store of somebody else's: the second place for backups, or the one that an installation is to take as it is."""

import contextlib
from collections.abc import Iterator

from tests.e2e.installation import Installation
from tests.e2e.kube import Json, Kube, wait_for
from tests.e2e.stage import ACCESS_KEY, SECRET_KEY, client_of, holds, s3_server

NAMESPACE = "elsewhere"
BUCKET = "kept"


@contextlib.contextmanager
def elsewhere(place: Installation, namespace: str = NAMESPACE) -> Iterator[Kube]:
    """The store, for as long as it is needed; where it is."""
    kube = Kube(place.kube.kubeconfig, place.kube.kubectl, namespace)
    keys = {"access-key": ACCESS_KEY, "secret-key": SECRET_KEY}
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    kube.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "geocrop-s3"}, "stringData": keys},
        *s3_server("minio", place.provisions.images["minio"], ["minio"]),
    )
    kube.run("rollout", "status", "deployment/minio", "--timeout=300s", timeout=310)
    with kube.forwarded("service/minio", 9000) as port:
        wait_for("the store", lambda: holds(client_of(port), BUCKET), 60)
    try:
        yield kube
    finally:
        kube.run("delete", "namespace", namespace, "--wait=false", check=False)


def name_target(place: Installation) -> None:
    """Tell an installation of the second place, and let its backups reach it: it lies in a private network."""
    told = {"endpoint": f"minio.{NAMESPACE}.svc:9000", "secure": "false", "bucket": BUCKET}
    told |= {"access-key": ACCESS_KEY, "secret-key": SECRET_KEY}
    place.kube.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "backup-target"}, "stringData": told}, _way()
    )


def _way() -> Json:
    jobs = {"matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "In", "values": ["backup", "restore"]}]}
    to = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}]
    spec = {"podSelector": jobs, "policyTypes": ["Egress"], "egress": [{"to": to}]}
    meta = {"name": "reach-backup-target"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}
