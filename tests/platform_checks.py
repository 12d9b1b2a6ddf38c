"""What must hold of the platform's manifests, whatever place they are for. Each check returns what is wrong.

The live page is served by the same node and is not ours: `live_page` is what keeps us away from it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.manifest_checks import schema

Json = dict[str, Any]
Objects = Sequence[Json]
Check = Callable[[Objects], list[str]]

LIVE_HOST = "portfolio.techarvest.co.zw"
OUR_NAMESPACES = {"geocrop", "geocrop-builds", "argocd"}
CLUSTER_KINDS = {"PriorityClass"}
"""Of the cluster's own kinds, those of which objects of ours may be."""
NAMESPACED_KINDS = {
    "Application", "AppProject", "ConfigMap", "CronJob", "CronWorkflow", "Deployment", "Ingress", "Job", "LimitRange",
    "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget", "ResourceQuota", "Role", "RoleBinding", "Service",
    "ServiceAccount", "StatefulSet", "WorkflowTemplate",
}  # fmt: skip
SERVICES_CLASS = "geocrop-services"
EXCEPTED_NAMESPACE = "geocrop-builds"
"""Where images are built."""
BUILDERS_CAPABILITIES = {
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETFCAP", "SETGID", "SETUID", "SYS_CHROOT",
}  # fmt: skip
"""What maps users and unpacks files; none of them says anything outside the container."""
MADE_IN_THE_CLUSTER = re.compile(r'^    "([a-z0-9-]+)": (?:lambda|\[)', re.MULTILINE)
_UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
_SECRET_NAMES = re.compile(r"secret|password|token|access.?key|credential", re.IGNORECASE)
_PINNED = re.compile(r"^[a-z0-9.-]+\.[a-z]+/[\w./-]+(?::(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$")


def bytes_of(quantity: str) -> int:
    """What a quantity of memory means."""
    found = re.fullmatch(r"(\d+)(Ki|Mi|Gi|)", quantity)
    assert found, quantity
    return int(found[1]) * _UNITS[found[2]]


def name_of(thing: Json) -> str:
    """Kind and name, for messages."""
    return f"{thing['kind']} {thing['metadata']['name']}"


def pods(objects: Objects) -> Iterator[tuple[Json, Json]]:
    """Everything that makes pods, with the pod's template."""
    for thing in objects:
        if thing["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield thing, thing["spec"]["template"]
        elif thing["kind"] == "CronJob":
            yield thing, thing["spec"]["jobTemplate"]["spec"]["template"]


def containers(objects: Objects) -> Iterator[tuple[str, Json]]:
    """Every container, those that go first too."""
    for thing, template in pods(objects):
        for one in (*template["spec"].get("initContainers", ()), *template["spec"]["containers"]):
            yield f"{name_of(thing)}, container {one['name']}", one


def labels_of(template: Json) -> dict[str, str]:
    """Of a pod."""
    return dict(template["metadata"].get("labels", {}))


# -- the live page -------------------------------------------------------------------------------------------------


def live_page(objects: Objects) -> list[str]:
    """Nothing of ours has the live page's host, its namespace, its certificate, or an object of the whole cluster."""
    return [
        *_wrong_places(objects),
        *(wrong for thing in objects if thing["kind"] == "Ingress" for wrong in _wrong_hosts(thing)),
        *(wrong for thing in objects if thing["kind"] == "Service" for wrong in _wrong_service(thing)),
        *(wrong for thing, template in pods(objects) for wrong in _node_wide(name_of(thing), template["spec"])),
    ]


def _wrong_places(objects: Objects) -> Iterator[str]:
    for thing in objects:
        kind, meta = thing["kind"], thing["metadata"]
        if kind in CLUSTER_KINDS:
            if not meta["name"].startswith("geocrop-"):
                yield f"{name_of(thing)}: an object of the whole cluster under a name that may be another's"
        elif kind not in NAMESPACED_KINDS:
            yield f"{name_of(thing)}: objects of this kind are not ours to make"
        elif meta.get("namespace", "geocrop") not in OUR_NAMESPACES:
            yield f"{name_of(thing)}: namespace {meta['namespace']} is not ours"


def _wrong_hosts(ingress: Json) -> Iterator[str]:
    where, spec = name_of(ingress), ingress["spec"]
    if "defaultBackend" in spec:
        yield f"{where}: would take requests for hosts of others"
    for rule in spec.get("rules", []):
        host = rule.get("host", "")
        if not host or "*" in host:
            yield f"{where}: takes every host"
        if host == LIVE_HOST:
            yield f"{where}: {host} is the live page's"
    for entry in spec.get("tls", []):
        if LIVE_HOST in entry.get("hosts", []) or any("*" in host for host in entry.get("hosts", [])):
            yield f"{where}: asks for the live page's certificate"
        if entry.get("secretName") != f"tls-{_tls_name(ingress)}":
            yield f"{where}: certificate {entry.get('secretName')} may be another's"


def _tls_name(ingress: Json) -> str:
    """The first label of its host but for the page and the tiles, which have their own name."""
    name = str(ingress["metadata"]["name"])
    return name.removeprefix("sign-in-")


def _wrong_service(service: Json) -> Iterator[str]:
    spec = service["spec"]
    if spec.get("type", "ClusterIP") not in {"ClusterIP", "ExternalName"} or spec.get("externalIPs"):
        yield f"{name_of(service)}: takes a port of the node, which the live page's entry may need"


def _node_wide(where: str, spec: Json) -> Iterator[str]:
    if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
        yield f"{where}: shares the node's network or processes"
    if any("hostPath" in volume for volume in spec.get("volumes", [])):
        yield f"{where}: mounts the node's disk"
    for one in (*spec.get("initContainers", ()), *spec["containers"]):
        if any("hostPort" in port for port in one.get("ports", [])):
            yield f"{where}: takes a port of the node"


def ranks(objects: Objects) -> list[str]:
    """Our pods come after all others: every class is negative and pushes nothing out, and every pod has one."""
    classes = {thing["metadata"]["name"]: thing for thing in objects if thing["kind"] == "PriorityClass"}
    wrong = [
        f"{name_of(one)} does not rank below what is not ours"
        for one in classes.values()
        if one["value"] >= 0 or one.get("preemptionPolicy") != "Never" or one.get("globalDefault")
    ]
    wrong += [
        f"{name_of(thing)} has no rank of ours"
        for thing, template in pods(objects)
        if template["spec"].get("priorityClassName") not in classes
    ]
    return wrong


# -- budgets -------------------------------------------------------------------------------------------------------


def limits(objects: Objects) -> list[str]:
    """Every container has requests and a memory limit and none of CPU; every temporary disk has a size."""
    wrong = []
    for where, one in containers(objects):
        asked, most = one.get("resources", {}).get("requests", {}), one.get("resources", {}).get("limits", {})
        if not {"cpu", "memory"} <= asked.keys() or set(most) != {"memory"}:
            wrong.append(f"{where}: has no bounds, or one of CPU")
        elif bytes_of(asked["memory"]) > bytes_of(most["memory"]):
            wrong.append(f"{where}: asks for more than it may have")
    return wrong + [
        f"{name_of(thing)}: volume {volume['name']} has no size"
        for thing, template in pods(objects)
        for volume in template["spec"].get("volumes", [])
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]
    ]


def memory(objects: Objects, field: str) -> int:
    """What the services may take, or ask for, all together and while each is being replaced, in bytes."""
    total = 0
    for thing, template in pods(objects):
        if template["spec"].get("priorityClassName") == SERVICES_CLASS:
            total += _at_once(thing) * _pod_memory(template["spec"], field)
    return total


def _at_once(thing: Json) -> int:
    """Pods that may be there at once."""
    spec = thing["spec"]
    surge = spec.get("strategy", {}).get("rollingUpdate", {}).get("maxSurge", 0)
    return int(spec.get("replicas", 1)) + int(surge)


def _pod_memory(spec: Json, field: str) -> int:
    """Of a pod: all containers together, or the largest that goes first."""

    def of(one: Json) -> int:
        return bytes_of(one["resources"][field]["memory"])

    return max([sum(map(of, spec["containers"])), *map(of, spec.get("initContainers", ()))])


def budget(objects: Objects) -> list[str]:
    """The sum of all services fits their quota, so that none of them is refused its pod during an update."""
    quotas = [thing for thing in objects if thing["kind"] == "ResourceQuota"]
    found = [thing for thing in quotas if thing["metadata"]["name"] == SERVICES_CLASS]
    if not found:
        return ["there is no quota for the services"]
    hard = found[0]["spec"]["hard"]
    return [
        f"{field} of all services is {memory(objects, field) >> 20} Mi, the quota {hard[f'{field}.memory']}"
        for field in ("requests", "limits")
        if memory(objects, field) > bytes_of(hard[f"{field}.memory"])
    ]


# -- security ------------------------------------------------------------------------------------------------------


def security(objects: Objects) -> list[str]:
    """Every pod is as the restricted standard asks, with a root that cannot be written, and without idle tokens."""
    wrong = []
    for thing, template in pods(objects):
        spec = template["spec"]
        if thing["metadata"].get("namespace") == EXCEPTED_NAMESPACE:
            wrong += _builder(name_of(thing), spec)
            continue
        context = spec.get("securityContext", {})
        if not (context.get("runAsNonRoot") and context.get("runAsUser")):
            wrong.append(f"{name_of(thing)}: may run as root")
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            wrong.append(f"{name_of(thing)}: no seccomp profile")
        if spec.get("automountServiceAccountToken", True) and spec.get("serviceAccountName", "default") == "default":
            wrong.append(f"{name_of(thing)}: holds the default account's token")
        for one in (*spec.get("initContainers", ()), *spec["containers"]):
            own = one.get("securityContext", {})
            if (
                own.get("allowPrivilegeEscalation") is not False
                or own.get("capabilities") != {"drop": ["ALL"]}
                or not own.get("readOnlyRootFilesystem")
                or own.get("privileged")
            ):
                wrong.append(f"{name_of(thing)}, container {one['name']}: is not restricted")
    return wrong


def _builder(where: str, spec: Json) -> Iterator[str]:
    """It may be root in its own container, and no more than that."""
    if spec.get("automountServiceAccountToken", True) or "serviceAccountName" in spec:
        yield f"{where}: holds a token of the cluster's"
    for one in (*spec.get("initContainers", ()), *spec["containers"]):
        own = one.get("securityContext", {})
        given = own.get("capabilities", {})
        if own.get("privileged") or given.get("drop") != ["ALL"] or set(given.get("add", ())) - BUILDERS_CAPABILITIES:
            yield f"{where}, container {one['name']}: has more rights than building takes"


def secrets(objects: Objects) -> list[str]:
    """No secret is written down, and no account may read secrets but those that are named."""
    wrong = [f"{name_of(thing)} is in git" for thing in objects if thing["kind"] == "Secret"]
    for where, one in containers(objects):
        wrong += [
            f"{where}: {variable['name']} has a value"
            for variable in one.get("env", [])
            if _SECRET_NAMES.search(variable["name"]) and variable.get("value") and variable["name"] != "STORE_SECRETS"
        ]
    for thing in objects:
        if thing["kind"] == "Role":
            wrong += [f"{name_of(thing)}: may read all secrets" for rule in thing["rules"] if _reads_secrets(rule)]
    return wrong


def _reads_secrets(rule: Json) -> bool:
    covers = {"secrets", "*"} & set(rule["resources"])
    return bool(covers) and not rule.get("resourceNames") and set(rule["verbs"]) != {"create"}


def network(objects: Objects) -> list[str]:
    """Nothing goes in or out by default, and whatever a pod says that it uses has a policy of both sides."""
    policies = {
        (thing["metadata"].get("namespace"), thing["metadata"]["name"]): thing["spec"]
        for thing in objects
        if thing["kind"] == "NetworkPolicy"
    }
    wrong = [
        f"namespace {space}: what no policy names is let through"
        for space in sorted({thing["metadata"].get("namespace", "geocrop") for thing, _ in pods(objects)})
        if not _denies_all(policies.get((space, "default-deny")))
    ]
    reached = {name for _, name in policies}
    for thing, template in pods(objects):
        for label in labels_of(template):
            used = label.removeprefix("uses.geocrop.io/")
            if used != label and f"reach-{used}" not in reached:
                wrong.append(f"{name_of(thing)}: uses {used}, which no policy lets it reach")
    for (_, name), spec in policies.items():
        wide = any(not peer for rule in spec.get("ingress", []) for peer in rule.get("from", [{}]))
        if wide and name != "serve-challenge":
            wrong.append(f"NetworkPolicy {name}: lets everybody in")
    return wrong


def _denies_all(spec: Json | None) -> bool:
    return bool(
        spec
        and spec["podSelector"] == {}
        and set(spec["policyTypes"]) == {"Ingress", "Egress"}
        and not spec.get("ingress")
        and not spec.get("egress")
    )


# -- what belongs together -----------------------------------------------------------------------------------------


def images(objects: Objects) -> list[str]:
    """Every image has a registry and a version that is never moved, or a digest."""
    return [
        f"{where}: image {one['image']} is not pinned"
        for where, one in containers(objects)
        if not is_pinned(one["image"])
    ]


def is_pinned(image: str) -> bool:
    """Whether it is a full name with a version or a digest."""
    return bool(_PINNED.match(image))


def references(objects: Objects, made: frozenset[str] = frozenset()) -> list[str]:
    """What is named is there: settings, secrets, accounts, volumes, services with their pods, ports and hosts."""
    there = {(thing["kind"], thing["metadata"]["name"]) for thing in objects} | {("Secret", name) for name in made}
    for thing in objects:
        for claim in thing["spec"].get("volumeClaimTemplates", []) if thing["kind"] == "StatefulSet" else ():
            name = f"{claim['metadata']['name']}-{thing['metadata']['name']}-0"
            there.add(("PersistentVolumeClaim", name))
    wrong = [
        f"{name_of(thing)}: there is no {kind} {name}"
        for thing, template in pods(objects)
        for kind, name in _named(template["spec"])
        if (kind, name) not in there
    ]
    return [*wrong, *_dangling_keys(objects), *_dangling_services(objects)]


_FIELDS = {
    "configMapKeyRef": ("ConfigMap", "name"), "configMapRef": ("ConfigMap", "name"), "configMap": ("ConfigMap", "name"),
    "secretKeyRef": ("Secret", "name"), "secret": ("Secret", "name"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}  # fmt: skip


def _named(value: Any) -> Iterator[tuple[str, str]]:
    """Objects that a pod names; those that may be missing are left out."""
    if isinstance(value, list):
        for one in value:
            yield from _named(one)
    if not isinstance(value, dict):
        return
    if "serviceAccountName" in value:
        yield "ServiceAccount", value["serviceAccountName"]
    for field, inner in value.items():
        if field in _FIELDS and isinstance(inner, dict) and not inner.get("optional"):
            kind, key = _FIELDS[field]
            yield kind, str(inner.get(key) or inner.get("secretName"))
        else:
            yield from _named(inner)


def _dangling_keys(objects: Objects) -> Iterator[str]:
    keys = {thing["metadata"]["name"]: set(thing.get("data", {})) for thing in objects if thing["kind"] == "ConfigMap"}
    for where, one in containers(objects):
        for variable in one.get("env", []):
            named = variable.get("valueFrom", {}).get("configMapKeyRef")
            if named and named["name"] in keys and named["key"] not in keys[named["name"]]:
                yield f"{where}: ConfigMap {named['name']} has no key {named['key']}"
        mounted = {mount["name"] for mount in one.get("volumeMounts", [])}
        if len(mounted) != len(one.get("volumeMounts", [])):
            yield f"{where}: mounts a volume twice"


def _dangling_services(objects: Objects) -> Iterator[str]:
    served = {thing["metadata"]["name"]: thing["spec"] for thing in objects if thing["kind"] == "Service"}
    templates = [template for _, template in pods(objects)]
    for name, spec in served.items():
        if spec.get("type") != "ExternalName":
            yield from _dangling_selector(name, spec, templates)
    for thing in objects:
        if thing["kind"] == "Ingress":
            yield from _dangling_ingress(thing, served, templates)
        elif thing["kind"] == "StatefulSet" and thing["spec"]["serviceName"] not in served:
            yield f"{name_of(thing)}: there is no Service {thing['spec']['serviceName']}"
        elif thing["kind"] == "PodDisruptionBudget" and not _behind(
            thing["spec"]["selector"]["matchLabels"], templates
        ):
            yield f"{name_of(thing)}: protects no pod"


def _behind(selector: Json, templates: list[Json]) -> list[Json]:
    """The pods that a selector takes."""
    return [one for one in templates if selector.items() <= labels_of(one).items()]


def _dangling_selector(name: str, spec: Json, templates: list[Json]) -> Iterator[str]:
    behind = _behind(spec["selector"], templates)
    ports = {port["name"] for one in behind for box in one["spec"]["containers"] for port in box.get("ports", [])}
    if not behind:
        yield f"Service {name}: no pod is behind it"
    elif {port["targetPort"] for port in spec["ports"]} - ports:
        yield f"Service {name}: its pods have no such port"


def _dangling_ingress(ingress: Json, served: dict[str, Json], templates: list[Json]) -> Iterator[str]:
    if ingress["metadata"].get("namespace") == "argocd":
        return
    for rule in ingress["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            target = path["backend"]["service"]
            spec = served.get(target["name"])
            if spec is None or target["port"].get("name") not in {port["name"] for port in spec["ports"]}:
                yield f"{name_of(ingress)}: there is no such port of Service {target['name']}"
            elif "selector" in spec and not all(
                "geocrop.io/exposed" in labels_of(one) for one in _behind(spec["selector"], templates)
            ):
                yield f"{name_of(ingress)}: no policy lets Traefik reach {target['name']}"


def uninterrupted(objects: Objects) -> list[str]:
    """What is reached from outside says when it is ready, and outlives the moment in which Traefik still asks it."""
    wrong = []
    for thing, template in pods(objects):
        if thing["kind"] != "Deployment" or "geocrop.io/exposed" not in labels_of(template):
            continue
        (box,) = template["spec"]["containers"]
        if "readinessProbe" not in box or "preStop" not in box.get("lifecycle", {}):
            wrong.append(f"{name_of(thing)}: requests are lost when it is replaced")
        if thing["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxUnavailable") != 0:
            wrong.append(f"{name_of(thing)}: may have no pod while it is replaced")
    return wrong


def hosts(objects: Objects) -> list[str]:
    """Every host is of this place and served over TLS alone, with a certificate that cert-manager makes."""
    wrong = []
    for thing in objects:
        if thing["kind"] != "Ingress":
            continue
        meta, spec = thing["metadata"], thing["spec"]
        named = [rule.get("host", "") for rule in spec.get("rules", [])]
        if any(host.split(".")[-1] == "domain" for host in named):
            wrong.append(f"{name_of(thing)}: {named[0]} is no host of this place")
        covered = [host for entry in spec.get("tls", []) for host in entry["hosts"]]
        if sorted(covered) != sorted(named):
            wrong.append(f"{name_of(thing)}: not all hosts have a certificate")
        if not meta.get("annotations", {}).get("cert-manager.io/cluster-issuer"):
            wrong.append(f"{name_of(thing)}: nobody makes its certificate")
        if meta["annotations"].get("traefik.ingress.kubernetes.io/router.entrypoints") != "websecure":
            wrong.append(f"{name_of(thing)}: is served in clear, too")
    return wrong


CHECKS: tuple[Check, ...] = (
    schema, live_page, ranks, limits, budget, security, secrets, network, images, references, uninterrupted, hosts,
)  # fmt: skip
