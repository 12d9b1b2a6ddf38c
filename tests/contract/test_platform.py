"""The platform's manifests as Argo CD would apply them. Every check is shown to fail."""

import copy
import functools
import json
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.settings import ApiSettings
from tests import kustomize
from tests import platform_checks as checks
from tests.kustomize import GITOPS, Json

pytestmark = [
    pytest.mark.skipif(not kustomize.program(), reason="MANIFESTS NOT TESTED: neither kustomize nor kubectl is here"),
    pytest.mark.xdist_group("kustomize"),
]
FROM_UPSTREAM = {"gitops/apps/argo-workflows"}
"""Built on a release's own manifest, which is fetched: tests/e2e has it where it is there."""
ADOPTING = {"apps/minio": "apps/minio/overlays/adopt"}
Change = Callable[[Any], object]
ISSUER = "cert-manager.io/cluster-issuer"


@functools.cache
def built() -> dict[str, list[Json]]:
    """The objects of each application, the root's too."""
    root = kustomize.build(GITOPS / "root")
    paths = [thing["spec"]["source"]["path"] for thing in root if thing["kind"] == "Application"]
    folders = [kustomize.ROOT / path for path in paths if path not in FROM_UPSTREAM]
    overlays = [GITOPS / overlay for overlay in ADOPTING.values()]
    return {"root": root} | kustomize.build_all([*folders, *overlays])


def place(*, adopting: bool = False) -> list[Json]:
    """Everything of one installation."""
    left_out = set(ADOPTING) if adopting else set(ADOPTING.values())
    return [thing for name, objects in built().items() if name not in left_out for thing in copy.deepcopy(objects)]


@functools.cache
def made_secrets() -> frozenset[str]:
    """Names of secrets that jobs make in the cluster."""
    programs = (GITOPS / "apps/access/make_secrets.py", GITOPS / "apps/gitea/setup.py")
    return frozenset(
        name for path in programs for name in checks.MADE_IN_THE_CLUSTER.findall(path.read_text(encoding="utf-8"))
    )


def references(objects: checks.Objects) -> list[str]:
    """With the secrets that are made in the cluster; the runner's is in its own namespace, and can be had anew."""
    return checks.references(objects, made_secrets() | {"runner"})


ALL = [references if one is checks.references else one for one in checks.CHECKS]


@pytest.mark.parametrize("adopting", [False, True], ids=["bare", "adopting"])
@pytest.mark.parametrize("one", ALL, ids=lambda one: one.__name__)
def test_the_manifests_pass(one: checks.Check, adopting: bool) -> None:
    """Nothing is wrong, on a bare node and beside a store that is there already."""
    assert one(place(adopting=adopting)) == []


def test_every_folder_is_an_application() -> None:
    """Nothing lies in gitops/apps that Argo CD does not follow."""
    named = {thing["spec"]["source"]["path"] for thing in built()["root"] if thing["kind"] == "Application"}
    there = {f"gitops/apps/{path.name}" for path in (GITOPS / "apps").iterdir()}
    assert there - named == {"gitops/apps/workflow-templates"}  # `workflows` gives it the place's image
    assert named <= there


def test_no_object_is_in_two_applications() -> None:
    """Two applications would undo each other's changes."""
    keys = [
        (thing["kind"], thing["metadata"].get("namespace", "geocrop"), thing["metadata"]["name"]) for thing in place()
    ]
    assert sorted(key for key in keys if keys.count(key) > 1) == []


def test_the_project_allows_what_is_there_and_no_more() -> None:
    """Argo CD itself refuses what the policies refuse: other namespaces, other kinds of the cluster, secrets."""
    (project,) = (thing["spec"] for thing in built()["root"] if thing["kind"] == "AppProject")
    assert {one["namespace"] for one in project["destinations"]} == checks.OUR_NAMESPACES
    allowed = {one["kind"] for one in project["clusterResourceWhitelist"]}
    assert allowed == checks.CLUSTER_KINDS | {"CustomResourceDefinition"}  # of Argo Workflows
    assert {"group": "", "kind": "Secret"} in project["namespaceResourceBlacklist"]


def test_one_file_says_where_the_place_is(tmp_path: Path) -> None:
    """Another domain changes every host, and there is no other file that knows it."""
    copied = shutil.copytree(GITOPS, tmp_path / "gitops")
    path = copied / "place/place.yaml"
    path.write_text(path.read_text().replace("techarvest.co.zw", "maps.example.org"), encoding="utf-8")
    for name in ("web", "gitea", "sign-in", "access"):
        text = yaml.safe_dump_all(kustomize.build(copied / "apps" / name))
        assert "techarvest" not in text
        assert "maps.example.org" in text
    others = [one for one in GITOPS.rglob("*") if one.is_file() and "techarvest" in one.read_text(encoding="utf-8")]
    assert others == [GITOPS / "place/place.yaml"]


def test_argo_workflows_is_built_on_its_release(tmp_path: Path) -> None:
    """With what our patches change: settings, archive, ranks and bounds are ours, and its own rank goes."""
    folder = shutil.copytree(GITOPS, tmp_path / "gitops") / "apps/argo-workflows"
    (folder / "release.yaml").write_text(yaml.safe_dump_all(release()), encoding="utf-8")
    path = folder / "kustomization.yaml"
    text, count = re.subn(r"- https://\S+/namespace-install\.yaml", "- release.yaml", path.read_text(encoding="utf-8"))
    assert count == 1
    path.write_text(text, encoding="utf-8")
    objects = kustomize.build(folder)
    assert {thing["kind"] for thing in objects} == {"Deployment", "ConfigMap", "CustomResourceDefinition"}
    for thing in objects:
        if thing["kind"] == "CustomResourceDefinition":
            assert thing["metadata"]["labels"]["app.kubernetes.io/part-of"] == "geocrop"  # infra/platform/down.sh asks
            fields = thing["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
            assert all("properties" not in field for field in fields.values()), thing["metadata"]["name"]
    (settings,) = (thing["data"] for thing in objects if thing["kind"] == "ConfigMap")
    assert yaml.safe_load(settings["workflowRestrictions"]) == {"templateReferencing": "Strict"}
    assert yaml.safe_load(settings["persistence"])["archive"] is True
    for thing, template in checks.pods(objects):
        assert template["spec"]["priorityClassName"] == checks.SERVICES_CLASS, thing
        assert template["spec"]["containers"][0]["resources"]["limits"]["memory"]


def release() -> list[Json]:
    """Of a release's manifest, what is changed: as little of it as Kustomize needs."""
    deployments = [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"template": {"spec": {"containers": [{"name": name, "image": "quay.io/argoproj/any:v4.1.2"}]}}},
        }
        for name in ("workflow-controller", "argo-server")
    ]
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "workflow-controller-configmap"}}
    rank = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "workflow-controller"}}
    return [*deployments, settings, rank | {"value": 1000000}, *kinds()]


def kinds() -> Iterator[Json]:
    """With as much of their schemas as there is to be left out; templates have no status."""
    anything = {"type": "object", "properties": {"any": {"type": "string"}}}
    for name in ("workflows", "cronworkflows", "workflowtemplates", "clusterworkflowtemplates"):
        fields = {"spec": anything} | ({} if name.endswith("templates") else {"status": anything})
        schema = {"type": "object", "properties": fields}
        spec = {"group": "argoproj.io", "versions": [{"name": "v1alpha1", "schema": {"openAPIV3Schema": schema}}]}
        meta = {"name": f"{name}.argoproj.io"}
        yield {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec
        }  # fmt: skip


def test_quotes_reckon_with_as_many_pods_as_a_job_has() -> None:
    """What the API takes by default is what the templates allow."""
    values = tomllib.loads((kustomize.ROOT / "workflows/values.toml").read_text(encoding="utf-8"))
    assert ApiSettings().argo_pods == values["slots"]["pods"]


def test_the_store_s_users_are_those_of_the_secrets() -> None:
    """Each user of policies.json has a secret that is made and mounted."""
    users = json.loads((GITOPS / "apps/minio/users/policies.json").read_text(encoding="utf-8"))["users"]
    job = next(thing for thing in place() if thing["metadata"]["name"] == "store-users" and thing["kind"] == "CronJob")
    sources = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"][-1]["projected"]["sources"]
    mounted = {one["secret"]["name"] for one in sources}
    assert mounted == set(users) | {"minio-root"}
    assert mounted <= made_secrets()


def test_the_backup_has_every_secret() -> None:
    """What is made in the cluster comes back from a backup, but the key that opens it."""
    names = next(thing for thing in place() if thing["metadata"]["name"] == "backup-places")["data"]["names"].split()
    role = next(thing for thing in place() if thing["kind"] == "Role" and thing["metadata"]["name"] == "backup")
    assert set(names) == made_secrets() - {"backup-key"}
    assert sorted(role["rules"][0]["resourceNames"]) == sorted(names)


# -- each check can fail -------------------------------------------------------------------------------------------


def one(objects: list[Json], kind: str, name: str) -> Json:
    """An object, to be spoilt."""
    return next(thing for thing in objects if thing["kind"] == kind and thing["metadata"]["name"] == name)


def api(objects: list[Json]) -> Json:
    """The API's deployment."""
    return one(objects, "Deployment", "api")


def pod(objects: list[Json]) -> Json:
    """Its pod."""
    found: Json = api(objects)["spec"]["template"]["spec"]
    return found


def box(objects: list[Json]) -> Json:
    """Its container."""
    found: Json = pod(objects)["containers"][0]
    return found


def builds(objects: list[Json]) -> Json:
    """The pod that builds images."""
    found: Json = one(objects, "StatefulSet", "runner")["spec"]["template"]["spec"]
    return found


def builder(objects: list[Json]) -> Json:
    """Its container."""
    found: Json = builds(objects)["containers"][0]
    return found


def rights(objects: list[Json]) -> Json:
    """Its capabilities."""
    found: Json = builder(objects)["securityContext"]["capabilities"]
    return found


def app(objects: list[Json]) -> Json:
    """The page's ingress."""
    return one(objects, "Ingress", "app")


def rule(objects: list[Json]) -> Json:
    """Its rule."""
    found: Json = app(objects)["spec"]["rules"][0]
    return found


def thing(kind: str, name: str, **more: Any) -> Json:
    """One that nobody should add."""
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "geocrop"}, **more}


def creator(objects: list[Json]) -> Json:
    """What the account that makes secrets may do."""
    found: Json = one(objects, "Role", "make-secrets")["rules"][0]
    return found


def policy(objects: list[Json], name: str) -> Json:
    """What a network policy says."""
    found: Json = one(objects, "NetworkPolicy", name)["spec"]
    return found


def labels(objects: list[Json]) -> Json:
    """Of the API's pod."""
    found: Json = api(objects)["spec"]["template"]["metadata"]["labels"]
    return found


def variable(name: str, **more: Any) -> Json:
    """Of an environment."""
    return {"name": name, **more}


def without(objects: list[Json], kind: str, name: str) -> None:
    """Take an object away."""
    objects.remove(one(objects, kind, name))


MUTATIONS: list[tuple[str, checks.Check, Change]] = [
    ("misspelt field", checks.schema, lambda all_: box(all_).update(readynessProbe={})),
    ("misspelt field of Argo CD", checks.schema, lambda all_: one(all_, "Application", "api")["spec"].update(sorce={})),
    ("live host", checks.live_page, lambda all_: rule(all_).update(host=checks.LIVE_HOST)),
    ("every host", checks.live_page, lambda all_: rule(all_).pop("host")),
    ("wildcard", checks.live_page, lambda all_: rule(all_).update(host="*.techarvest.co.zw")),
    ("default backend", checks.live_page, lambda all_: app(all_)["spec"].update(defaultBackend={})),
    ("live certificate", checks.live_page, lambda all_: app(all_)["spec"]["tls"][0].update(hosts=[checks.LIVE_HOST])),
    ("another's certificate", checks.live_page, lambda all_: app(all_)["spec"]["tls"][0].update(secretName="site-tls")),
    ("live namespace", checks.live_page, lambda all_: app(all_)["metadata"].update(namespace="portfolio")),
    ("ingress class", checks.live_page, lambda all_: all_.append(thing("IngressClass", "traefik"))),
    ("issuer", checks.live_page, lambda all_: all_.append(thing("ClusterIssuer", "letsencrypt"))),
    ("role of the cluster", checks.live_page, lambda all_: all_.append(thing("ClusterRole", "geocrop-all"))),
    ("settings of Traefik", checks.live_page, lambda all_: all_.append(thing("HelmChartConfig", "traefik"))),
    ("TLS of all", checks.live_page, lambda all_: all_.append(thing("TLSStore", "default"))),
    ("a class by a common name", checks.live_page, lambda all_: all_.append(thing("PriorityClass", "low", value=-1))),
    ("node port", checks.live_page, lambda all_: one(all_, "Service", "api")["spec"].update(type="NodePort")),
    ("load balancer", checks.live_page, lambda all_: one(all_, "Service", "api")["spec"].update(type="LoadBalancer")),
    ("host port", checks.live_page, lambda all_: box(all_)["ports"][0].update(hostPort=443)),
    ("host network", checks.live_page, lambda all_: pod(all_).update(hostNetwork=True)),
    ("host path", checks.live_page, lambda all_: pod(all_)["volumes"].append({"name": "x", "hostPath": {"path": "/"}})),
    ("positive rank", checks.ranks, lambda all_: one(all_, "PriorityClass", "geocrop-services").update(value=1)),
    ("zero rank", checks.ranks, lambda all_: one(all_, "PriorityClass", "geocrop-tiles").update(value=0)),
    ("pushes out", checks.ranks, lambda all_: one(all_, "PriorityClass", "geocrop-services").pop("preemptionPolicy")),
    ("rank of all", checks.ranks, lambda all_: one(all_, "PriorityClass", "geocrop-steps").update(globalDefault=True)),
    ("no rank", checks.ranks, lambda all_: pod(all_).pop("priorityClassName")),
    ("another's rank", checks.ranks, lambda all_: pod(all_).update(priorityClassName="system-node-critical")),
    ("no limit", checks.limits, lambda all_: box(all_)["resources"].pop("limits")),
    ("limit of CPU", checks.limits, lambda all_: box(all_)["resources"]["limits"].update(cpu="1")),
    ("no request", checks.limits, lambda all_: box(all_)["resources"]["requests"].pop("memory")),
    ("boundless disk", checks.limits, lambda all_: pod(all_)["volumes"][0].update(emptyDir={})),
    ("over the quota", checks.budget, lambda all_: box(all_)["resources"]["limits"].update(memory="16Gi")),
    ("many replicas", checks.budget, lambda all_: api(all_)["spec"].update(replicas=40)),
    ("no quota", checks.budget, lambda all_: without(all_, "ResourceQuota", "geocrop-services")),
    ("root", checks.security, lambda all_: pod(all_)["securityContext"].pop("runAsNonRoot")),
    ("no seccomp", checks.security, lambda all_: pod(all_)["securityContext"].pop("seccompProfile")),
    ("capabilities", checks.security, lambda all_: box(all_)["securityContext"].update(capabilities={"add": ["X"]})),
    ("writable root", checks.security, lambda all_: box(all_)["securityContext"].pop("readOnlyRootFilesystem")),
    ("privileged", checks.security, lambda all_: box(all_)["securityContext"].update(privileged=True)),
    ("builder is privileged", checks.security, lambda all_: builder(all_)["securityContext"].update(privileged=True)),
    ("builder may mount", checks.security, lambda all_: rights(all_)["add"].append("SYS_ADMIN")),
    ("builder has all rights", checks.security, lambda all_: rights(all_).pop("drop")),
    ("builder's token", checks.security, lambda all_: builds(all_).pop("automountServiceAccountToken")),
    ("builder on the node", checks.live_page, lambda all_: builds(all_).update(hostPID=True)),
    ("default token", checks.security, lambda all_: pod(all_).pop("serviceAccountName")),
    ("secret in git", checks.secrets, lambda all_: all_.append(thing("Secret", "x"))),
    ("secret in clear", checks.secrets, lambda all_: box(all_)["env"].append(variable("DB_PASSWORD", value="hunter2"))),
    ("reads all secrets", checks.secrets, lambda all_: one(all_, "Role", "backup")["rules"][0].pop("resourceNames")),
    ("lists secrets", checks.secrets, lambda all_: creator(all_)["verbs"].append("list")),
    ("open namespace", checks.network, lambda all_: without(all_, "NetworkPolicy", "default-deny")),
    ("lets all out", checks.network, lambda all_: policy(all_, "default-deny").update(egress=[{}])),
    ("no way there", checks.network, lambda all_: without(all_, "NetworkPolicy", "reach-s3")),
    ("lets all in", checks.network, lambda all_: policy(all_, "serve-s3").update(ingress=[{}])),
    ("latest", checks.images, lambda all_: box(all_).update(image="docker.io/frankchine/geocrop-api:latest")),
    ("no version", checks.images, lambda all_: box(all_).update(image="docker.io/frankchine/geocrop-api")),
    ("no registry", checks.images, lambda all_: box(all_).update(image="geocrop-api")),
    ("half a digest", checks.images, lambda all_: box(all_).update(image="docker.io/frankchine/api@sha256:12ab")),
    ("no such settings", references, lambda all_: box(all_)["envFrom"][0]["configMapRef"].update(name="x")),
    ("no such key", references, lambda all_: box(all_)["env"][0]["valueFrom"]["configMapKeyRef"].update(key="x")),
    ("no such secret", references, lambda all_: box(all_)["env"][5]["valueFrom"]["secretKeyRef"].update(name="x")),
    ("no such account", references, lambda all_: pod(all_).update(serviceAccountName="x")),
    ("no such pods", references, lambda all_: one(all_, "Service", "api")["spec"].update(selector={"a": "b"})),
    ("no such port", references, lambda all_: one(all_, "Service", "api")["spec"]["ports"][0].update(targetPort="x")),
    ("no such service", references, lambda all_: without(all_, "Service", "web")),
    ("not exposed", references, lambda all_: labels(all_).pop("geocrop.io/exposed")),
    ("protects nothing", references, lambda all_: without(all_, "Deployment", "tiler")),
    ("not ready", checks.uninterrupted, lambda all_: box(all_).pop("readinessProbe")),
    ("ends at once", checks.uninterrupted, lambda all_: box(all_).pop("lifecycle")),
    ("none for a while", checks.uninterrupted, lambda all_: api(all_)["spec"].pop("strategy")),
    ("no host of the place", checks.hosts, lambda all_: rule(all_).update(host="app.portfolio.domain")),
    ("no TLS", checks.hosts, lambda all_: app(all_)["spec"].pop("tls")),
    ("no issuer", checks.hosts, lambda all_: app(all_)["metadata"]["annotations"].pop(ISSUER)),
    ("in clear", checks.hosts, lambda all_: app(all_)["metadata"].update(annotations={ISSUER: "x"})),
]  # fmt: skip


@pytest.mark.parametrize(("check", "change"), [pytest.param(*rest, id=name) for name, *rest in MUTATIONS])
def test_a_mistake_is_found(check: checks.Check, change: Change) -> None:
    """The check for it fails on manifests with the mistake, and for that alone."""
    objects = relevant()
    if check is not checks.budget:
        assert check(objects) == []
    change(objects)
    assert check(objects) != []


def relevant() -> list[Json]:
    """A whole place; the workflows' large templates, which other tests have, are left out."""
    return [one for one in place() if one["kind"] not in {"WorkflowTemplate", "CronWorkflow"}]


def test_every_check_has_a_mistake() -> None:
    """No check is without a test that it can fail."""
    assert {check for _, check, _ in MUTATIONS} == set(ALL)


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        ("quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z", True),
        ("docker.io/frankchine/geocrop-api@sha256:" + "0" * 64, True),
        ("docker.io/frankchine/geocrop-api:latest", False),
        ("minio/minio:1", False),
    ],
)
def test_pinned_images_are_told_apart(image: str, pinned: bool) -> None:
    """A version or a digest, of a registry that is named."""
    assert checks.is_pinned(image) == pinned


def waves() -> Iterator[tuple[str, int]]:
    """Applications with their waves."""
    for thing in built()["root"]:
        if thing["kind"] == "Application":
            yield thing["metadata"]["name"], int(thing["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("access", "postgis"),
        ("postgis", "mlflow"),
        ("minio", "mlflow"),
        ("gitea", "sign-in"),
        ("mlflow", "api"),
        ("api", "web"),
        ("gitea", "runner"),
    ],
)
def test_what_is_needed_comes_first(first: str, then: str) -> None:
    """An application's wave comes after those of what it needs."""
    order = dict(waves())
    assert order[first] < order[then]


def test_generated_settings_restart_their_pods() -> None:
    """A change of a generated file gives it another name, which replaces the pods that read it."""
    names = [thing["metadata"]["name"] for thing in place() if thing["kind"] == "ConfigMap"]
    hashed = {re.sub(r"-[a-z0-9]{10}$", "", name) for name in names if re.search(r"-[a-z0-9]{10}$", name)}
    assert {"postgis", "api-settings", "gitea", "jupyter", "prometheus"} <= hashed
