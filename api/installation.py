"""What may be wrong with an installation, found in what Kubernetes says of it. No I/O.

Lists are `kubectl get KIND -o json`; a finding says what is wrong and what to do.
"""

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

Json = dict[str, Any]
BACKUP_HOURS = 36
CERTIFICATE_DAYS = 14
_UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "Ki": 2.0**10, "M": 1e6, "Mi": 2.0**20, "G": 1e9, "Gi": 2.0**30, "Ti": 2.0**40}
_NEARLY = 0.9
_JOBS = ("make-secrets", "postgis-roles", "store-users", "gitea-setup", "backup")


class Finding(msgspec.Struct, frozen=True):
    """Something that is wrong."""

    what: str
    remedy: str


def find_wrong(lists: Mapping[str, list[Json]], now: dt.datetime) -> list[Finding]:
    """Everything, the most general first; `lists` holds objects by kind, as `kubectl` names kinds."""
    return [
        *_nodes(lists.get("nodes", [])),
        *_applications(lists.get("applications", [])),
        *_pods(lists.get("pods", [])),
        *_quotas(lists.get("resourcequotas", [])),
        *_volumes(lists.get("persistentvolumeclaims", [])),
        *_housekeeping(lists.get("cronjobs", []), now),
        *_ranks(lists.get("priorityclasses", [])),
    ]


def _nodes(nodes: list[Json]) -> Iterator[Finding]:
    for node in nodes:
        for condition in node["status"]["conditions"]:
            wanted = "True" if condition["type"] == "Ready" else "False"
            if condition["status"] != wanted:
                yield Finding(
                    f"node {node['metadata']['name']}: {condition['type']} is {condition['status']}",
                    condition.get("message") or "kubectl describe node",
                )


def _applications(applications: list[Json]) -> Iterator[Finding]:
    if not applications:
        yield Finding("Argo CD has no applications", "tofu apply in infra/platform")
    for one in applications:
        status = one.get("status", {})
        sync, health = status.get("sync", {}).get("status", "?"), status.get("health", {}).get("status", "?")
        if (sync, health) != ("Synced", "Healthy"):
            told = status.get("operationState", {}).get("message") or status.get("health", {}).get("message") or ""
            name = one["metadata"]["name"]
            yield Finding(
                f"application {name} is {sync} and {health}",
                told[:200] or f"kubectl -n argocd describe application {name}",
            )


def _pods(pods: list[Json]) -> Iterator[Finding]:
    for pod in pods:
        status, name = pod["status"], pod["metadata"]["name"]
        for box in status.get("containerStatuses", []):
            waiting = box.get("state", {}).get("waiting", {}).get("reason", "")
            last = box.get("lastState", {}).get("terminated", {}).get("reason", "")
            if waiting not in {"", "ContainerCreating", "PodInitializing"}:
                yield Finding(f"pod {name}: {waiting}", f"kubectl -n geocrop logs {name} --previous")
            elif last == "OOMKilled" and status["phase"] == "Running":
                yield Finding(f"pod {name} was killed for its memory", "docs/operations.md, memory")
        if status["phase"] == "Pending" and not status.get("containerStatuses"):
            told = next((one.get("message", "") for one in status.get("conditions", [])), "")
            yield Finding(f"pod {name} has no place", told or f"kubectl -n geocrop describe pod {name}")


def _quotas(quotas: list[Json]) -> Iterator[Finding]:
    for quota in quotas:
        if quota["metadata"]["name"] in {"geocrop-tiles", "geocrop-steps"}:
            continue  # jobs fill theirs and wait
        hard, used = quota["status"].get("hard", {}), quota["status"].get("used", {})
        for field, most in hard.items():
            if quantity(most) and quantity(used.get(field, "0")) > _NEARLY * quantity(most):
                yield Finding(
                    f"quota {quota['metadata']['name']}: {used[field]} of {most} {field}",
                    "raise it with the memory of the node, or lower limits (docs/platform.md)",
                )


def _volumes(claims: list[Json]) -> Iterator[Finding]:
    for claim in claims:
        if claim["status"]["phase"] != "Bound":
            yield Finding(
                f"volume {claim['metadata']['name']} is {claim['status']['phase']}",
                "is there a default StorageClass, and space? kubectl -n geocrop describe pvc",
            )


def _housekeeping(cronjobs: list[Json], now: dt.datetime) -> Iterator[Finding]:
    there = {one["metadata"]["name"]: one for one in cronjobs}
    for name in _JOBS:
        if name not in there:
            yield Finding(f"there is no job {name}", "is its application synced?")
            continue
        last = there[name].get("status", {}).get("lastSuccessfulTime")
        age = now - (dt.datetime.fromisoformat(last) if last else dt.datetime.min.replace(tzinfo=dt.UTC))
        if name == "backup" and age > dt.timedelta(hours=BACKUP_HOURS):
            told = f"is of {last}" if last else "has never been made"
            yield Finding(f"the newest backup {told}", "kubectl -n geocrop create job backup-now --from=cronjob/backup")
        elif not last and there[name].get("status", {}).get("lastScheduleTime"):
            yield Finding(
                f"job {name} has never ended well", f"kubectl -n geocrop logs -l app.kubernetes.io/name={name}"
            )


def _ranks(classes: list[Json]) -> Iterator[Finding]:
    for one in classes:
        if one["metadata"]["name"].startswith("geocrop-") and (
            one["value"] >= 0 or one.get("preemptionPolicy") != "Never"
        ):
            yield Finding(f"class {one['metadata']['name']} could push the live page out", "sync application access")


def quantity(text: str) -> float:
    """What a quantity of Kubernetes means."""
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text)
    return float(found[1]) * _UNITS.get(found[2], 1.0) if found else 0.0


def certificate(host: str, ends: dt.datetime, now: dt.datetime) -> list[Finding]:
    """Whether a certificate ends soon."""
    left = ends - now
    if left > dt.timedelta(days=CERTIFICATE_DAYS):
        return []
    return [Finding(f"{host}: the certificate ends in {max(left.days, 0)} days", "kubectl describe certificate")]


def items_of(text: str) -> list[Json]:
    """The objects in what `kubectl get -o json` printed."""
    return list(json.loads(text)["items"])
