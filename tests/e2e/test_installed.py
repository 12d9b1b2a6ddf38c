"""The whole platform on a real cluster: installed, changed, broken, healed, backed up and removed, beside a live page.

Asks for E2E_PLATFORM_IMAGES (see installation.py), E2E_ARGOCD_MANIFEST and OpenTofu (E2E_TOFU); the tests are in the
order of the story.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.actions import CERTIFICATES, Actions, actions
from tests.e2e.installation import DOMAIN, LIVE, Installation, images_here, live_page, source
from tests.e2e.kube import Kube, kubectl_of, wait_for
from tests.e2e.stage import ROOT, SHARED, find_cluster
from tests.e2e.steady import SteadyReader, ask

pytestmark = pytest.mark.enable_socket  # the ingress answers on an address of the cluster
PAGE = f"app.portfolio.{DOMAIN}"
KINDS = Path(__file__).with_name("fixtures") / "workflow-kinds.yaml"
SERVICES = ("access", "workflow-access", "postgis", "minio", "gitea", "api", "tiler", "web", "backups")


@pytest.fixture(scope="module")
def cluster() -> tuple[Kube, dict[str, str]]:
    """A cluster with Traefik and the images; skips where there is none."""
    try:
        images = images_here()
        kubeconfig, _ = find_cluster()
    except LookupError as error:
        pytest.skip(f"PLATFORM NOT TESTED: {error}")
    return Kube(kubeconfig, kubectl_of(SHARED), "geocrop"), images


@pytest.fixture(scope="module")
def traefik(cluster: tuple[Kube, dict[str, str]]) -> str:
    """The address of the ingress."""
    env = cluster[0].env
    done = subprocess.run([str(SHARED / "ingress/up.sh")], env=env, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def live(cluster: tuple[Kube, dict[str, str]], traefik: str) -> Iterator[SteadyReader]:
    """A reader of the live page, from before anything of ours is there until after it has gone."""
    kube = Kube(cluster[0].kubeconfig, cluster[0].kubectl, "portfolio")
    live_page(kube, "localhost/busybox:1")
    wait_for("the live page", lambda: answers(traefik, LIVE, "the live page"), 60)
    with SteadyReader(traefik, LIVE, wanted="the live page") as reader:
        yield reader
    kube.run("delete", "namespace", "portfolio", "--wait=false")


@pytest.fixture(scope="module")
def place(
    cluster: tuple[Kube, dict[str, str]], traefik: str, live: SteadyReader, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Installed by `tofu apply`."""
    assert live.failures == []
    made = Installation(cluster[0], traefik, tmp_path_factory.mktemp("place"), cluster[1])
    made.kube.run("apply", "--server-side", "-f", str(KINDS))
    made.before = wide_objects(made.kube)
    made.applications = source(made.folder, made.images)
    made.tofu("init", "-input=false")
    start = time.monotonic()
    made.tofu("apply", "-input=false", "-auto-approve", made.state())
    made.seconds = round(time.monotonic() - start)
    yield made
    if not os.environ.get("E2E_KEEP"):
        made.tofu("destroy", "-input=false", "-auto-approve", made.state(), check=False)


def answers(address: str, host: str, wanted: str, path: str = "/") -> bool:
    """Whether a page is as wanted, now."""
    try:
        status, text = ask(address, host, path)
    except OSError:
        return False
    return status == 200 and wanted in text


def test_everything_comes_up_from_git(place: Installation) -> None:
    """All applications are synced and healthy in less than a quarter of an hour."""
    start = time.monotonic()
    place.wait(place.applications, 900)
    print(json.dumps({"apply": place.seconds, "sync": round(time.monotonic() - start)}))  # noqa: T201
    assert place.seconds + time.monotonic() - start < 900
    assert set(SERVICES) <= set(place.applications)


def test_applying_again_changes_nothing(place: Installation) -> None:
    """A plan after the apply has no change, and a second apply makes none."""
    assert place.tofu("plan", "-input=false", "-detailed-exitcode", place.state(), check=False).returncode == 0
    said = place.tofu("apply", "-input=false", "-auto-approve", place.state()).stdout
    assert "0 added, 0 changed, 0 destroyed" in said


def test_no_secret_is_in_the_state(place: Installation) -> None:
    """Nor in the repository."""
    state = (place.folder / "terraform.tfstate").read_text(encoding="utf-8")
    for name, key in (("postgis-api", "password"), ("minio-root", "secret-key"), ("gitea", "admin-password")):
        assert place.secret(name, key) not in state


def test_the_page_and_the_api_answer(place: Installation) -> None:
    """Through Traefik, on the host of the page; the API on PostGIS."""
    assert answers(place.traefik, PAGE, "<!doctype html", "/") or answers(place.traefik, PAGE, "<!DOCTYPE html", "/")
    status, text = ask(place.traefik, PAGE, "/api/v1/health/ready")
    assert (status, json.loads(text)["status"]) == (200, "ok")
    assert ask(place.traefik, PAGE, "/api/v1/jobs")[0] == 401
    status, text = ask(place.traefik, PAGE, "/baselines.json")  # by TiTiler: the page needs no API for it
    assert (status, list(json.loads(text))) == (200, ["baselines"])
    assert ask(place.traefik, f"tiles.portfolio.{DOMAIN}", "/healthz")[0] == 200


def test_the_store_is_reached_from_outside(place: Installation) -> None:
    """A range of an object is not given without a signature, and other sites' pages may ask."""
    headers = {"Origin": "https://any.example", "Range": "bytes=0-9"}
    status, text = ask(place.traefik, f"s3.{DOMAIN}", "/geocrop-results/any", headers)
    assert status == 403
    assert "AccessDenied" in text


def test_what_is_changed_by_hand_is_healed(place: Installation) -> None:
    """Argo CD puts it back, and what was deleted comes again."""
    place.kube.run("scale", "deployment/web", "--replicas=0")
    place.kube.run("delete", "service", "tiler")
    wait_for("the page's pods", lambda: place.kube.get("deployment", "web")["spec"]["replicas"] == 2, 120, 1.0)
    wait_for("the tiles' service", lambda: place.kube.there("service", "tiler"), 120, 1.0)
    place.kube.run("rollout", "status", "deployment/web", "--timeout=120s", timeout=130)


@pytest.mark.parametrize(
    ("host", "port", "reached"),
    [("postgis", 5433, False), ("minio", 9000, False), ("gitea", 3000, False), ("kubernetes.default", 443, False)],
)
def test_a_pod_that_says_nothing_reaches_nothing(place: Installation, host: str, port: int, reached: bool) -> None:
    """By default no pod of the namespace reaches a service."""
    script = f"timeout 5 nc -z -w 3 {host} {port} && echo reached || echo not; true"
    box = {
        "name": "main",
        "image": "localhost/busybox:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", f"sleep 2; {script}"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {"restartPolicy": "Never", "containers": [box], "priorityClassName": "geocrop-services"}
    name = place.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "any-"}, "spec": spec})
    phases = ("Succeeded", "Failed")
    wait_for("the pod", lambda: place.kube.get("pod", name)["status"]["phase"] in phases, 60)
    said = place.kube.run("logs", name).strip().splitlines()[-1]
    place.kube.run("delete", "pod", name, "--wait=false")
    assert (said == "reached") == reached


def test_a_secret_is_rotated(place: Installation) -> None:
    """Deleted, made anew, carried to PostGIS and the store, and used after a restart; the old one opens nothing."""
    before = place.secret("postgis-api", "password"), place.secret("s3-api", "access-key")
    place.kube.run("delete", "secret", "postgis-api", "s3-api")
    place.housekeeping("make-secrets")
    assert "geocrop is as its secret says" in place.housekeeping("postgis-roles")
    assert "an old key of s3-api is removed" in place.housekeeping("store-users")
    assert (place.secret("postgis-api", "password"), place.secret("s3-api", "access-key")) != before
    with SteadyReader(place.traefik, PAGE, "/api/v1/health/live") as reader:
        place.kube.run("rollout", "restart", "deployment/api", "deployment/tiler")
        place.kube.run("rollout", "status", "deployment/api", "--timeout=300s", timeout=310)
    assert ask(place.traefik, PAGE, "/api/v1/health/ready")[0] == 200
    assert reader.failures == []


def test_a_backup_comes_back(place: Installation) -> None:
    """What was in the databases, the secrets and Gitea is in the backup; a lost table comes back from it."""
    sql(place, "geocrop", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
    said = place.housekeeping("backup", 300)
    assert "first:" in said
    sql(place, "geocrop", "DROP TABLE kept")
    said = place.housekeeping("restore", 300)
    assert "database geocrop is as it was" in said
    assert sql(place, "geocrop", "SELECT n FROM kept").strip() == "42"
    wait_for("the API", lambda: ask(place.traefik, PAGE, "/api/v1/health/ready")[0] == 200, 60)


def sql(place: Installation, database: str, statement: str) -> str:
    """What PostGIS answers to its administrator, from inside its pod."""
    command = f'$(echo /usr/lib/postgresql/*/bin)/psql -h /tmp -p 5433 -U postgres -d {database} -tAc "{statement}"'
    return place.kube.run("exec", "postgis-0", "--", "sh", "-c", command)


def test_nobody_notices_an_update_that_fails(place: Installation, live: SteadyReader) -> None:
    """A version that does not start is committed and taken back, with every slot busy: no request is lost."""
    burn(place)
    with SteadyReader(place.traefik, PAGE) as page, SteadyReader(place.traefik, PAGE, "/api/v1/health/live") as api:
        with place.checkout() as tree:
            path = tree / "gitops/apps/web/workload.yaml"
            good = path.read_text(encoding="utf-8")
            path.write_text(good.replace("image: geocrop-web", "image: geocrop-web\n          command: ['false']"))
        place.wait_revision("web", 240)
        time.sleep(20)
        ready = place.kube.get("deployment", "web")["status"]
        assert ready["readyReplicas"] == 2
        assert ready.get("unavailableReplicas")
        with place.checkout() as tree:
            (tree / "gitops/apps/web/workload.yaml").write_text(good, encoding="utf-8")
        place.refresh("web")
        place.wait(["web"], 240, place.revision())
        place.kube.run("rollout", "restart", "deployment/web", "deployment/api")
        place.kube.run("rollout", "status", "deployment/web", "--timeout=300s", timeout=310)
        place.kube.run("rollout", "status", "deployment/api", "--timeout=300s", timeout=310)
    place.kube.run("delete", "pod", "-l", "burns=yes", "--grace-period=1")
    print(json.dumps({"page": page.asked, "api": api.asked, "live": live.asked, "slowest": live.slowest}))  # noqa: T201
    assert page.asked > 100
    assert (page.failures, api.failures, live.failures) == ([], [], [])


def burn(place: Installation) -> None:
    """All worker slots, as busy as they can be."""
    context = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    for number in range(4):
        box = {
            "name": "main",
            "image": "localhost/busybox:1",
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", "while :; do :; done"],
            "resources": {"requests": {"cpu": "250m", "memory": "2Gi"}, "limits": {"memory": "2Gi"}},
            "securityContext": own,
        }
        spec = {"containers": [box], "priorityClassName": "geocrop-tiles", "securityContext": context}
        meta = {"name": f"burn-{number}", "labels": {"burns": "yes"}}
        place.kube.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec | {"restartPolicy": "Never"}}
        )
    place.kube.run("wait", "pod", "-l", "burns=yes", "--for=condition=Ready", "--timeout=120s", timeout=130)


def test_a_push_becomes_a_running_version(place: Installation) -> None:
    """Images built and pushed, digests committed without another build, Argo CD synced, the page is new."""
    if "node" not in place.images:
        pytest.skip("ACTIONS NOT TESTED: the images name no node to build with")
    with actions(place) as gitea:
        gitea.set(
            REGISTRY=gitea.registry, OWNER="team", IMAGES="web", INSECURE="true", TESTS="true", GITEA_URL=gitea.gitea,
            NODE_IMAGE=place.images["node"], WEB_BASE_IMAGE=place.images["nginx"], CERTIFICATES=CERTIFICATES,
        )  # fmt: skip
        words = f"version {time.time():.0f}"
        with place.checkout() as tree:
            shutil.copytree(ROOT / ".gitea/workflows", tree / ".gitea/workflows", ignore=only_build_push)
            (tree / "ui/index.html").write_text(
                (tree / "ui/index.html").read_text(encoding="utf-8").replace("</head>", f"<!-- {words} --></head>"),
                encoding="utf-8",
            )
        pushed = place.revision()
        start = time.monotonic()
        run = wait_for("the run", lambda: ended(gitea, pushed), 900, 2.0)
        assert run["conclusion"] == "success", gitea.log()
        built = round(time.monotonic() - start)
        with SteadyReader(place.traefik, PAGE) as reader:
            place.refresh("web")
            wait_for("the new page", lambda: answers(place.traefik, PAGE, words), 300, 1.0)
        image = place.kube.get("deployment", "web")["spec"]["template"]["spec"]["containers"][0]["image"]
        assert image.startswith(f"{gitea.registry}/team/geocrop-web@sha256:")
        assert reader.failures == []
        print(json.dumps({"built": built, "answers": round(time.monotonic() - start)}))  # noqa: T201
        time.sleep(10)
        assert len(gitea.runs("build-push.yaml")) == 1


def only_build_push(_folder: str, names: list[str]) -> list[str]:
    """The other workflows want actions from elsewhere."""
    return [name for name in names if name != "build-push.yaml"]


def ended(gitea: Actions, commit: str) -> dict[str, Any] | None:
    """The run of a commit, when it has ended."""
    found = [run for run in gitea.runs("build-push.yaml") if run["head_sha"] == commit]
    return found[0] if found and found[0]["status"] == "completed" else None


def test_a_drain_waits_for_a_pod_that_is_ready(place: Installation) -> None:
    """With one node: an eviction of one of two pods is taken, that of the second is refused until another is ready."""
    pods = [one["metadata"]["name"] for one in place.kube.get("pods", "", "-l", "app.kubernetes.io/name=api")["items"]]
    evict(place, pods[0])
    assert "disruption budget" in evict(place, pods[1])
    place.kube.run("rollout", "status", "deployment/api", "--timeout=300s", timeout=310)


def evict(place: Installation, pod: str) -> str:
    """Ask for an eviction as a drain does; what was said against it."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": place.kube.namespace}}
    path = f"/api/v1/namespaces/{place.kube.namespace}/pods/{pod}/eviction"
    command = [place.kube.kubectl, "create", "--raw", path, "-f", "-"]
    done = subprocess.run(
        command, input=json.dumps(body), env=place.kube.env, capture_output=True, text=True, check=False
    )
    return done.stderr


def wide_objects(kube: Kube) -> set[str]:
    """Objects of the cluster itself."""
    kinds = (
        "namespace",
        "priorityclass",
        "clusterrole",
        "clusterrolebinding",
        "crd",
        "persistentvolume",
        "ingressclass",
    )
    return set(kube.run("get", ",".join(kinds), "-o", "name").split())


def test_nothing_is_left(place: Installation, live: SteadyReader) -> None:
    """After `tofu destroy` no namespace, class, role or kind of ours is there, and the live page never noticed us."""
    if os.environ.get("E2E_KEEP"):
        pytest.skip("E2E_KEEP is set")
    place.tofu("destroy", "-input=false", "-auto-approve", place.state())
    assert wide_objects(place.kube) - place.before == set()
    assert live.asked > 1000
    assert live.failures == []
