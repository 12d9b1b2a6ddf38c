"""The whole platform on a real cluster: installed, changed, broken, healed, backed up and removed, beside a live page.

On the shared cluster all that it needs is made first (provisions.py); the tests are in the order of the story.
"""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from minio import Minio
from minio.error import S3Error

from steps.landscape import Landscape, make_landscape
from tests.e2e.actions import HOST, Actions, actions, repository
from tests.e2e.elsewhere import BUCKET, elsewhere, name_target
from tests.e2e.elsewhere import NAMESPACE as SECOND
from tests.e2e.images import CERTIFICATES
from tests.e2e.installation import DOMAIN, LIVE, Installation, live_page, source
from tests.e2e.kube import Kube, kubectl_of, wait_for
from tests.e2e.lab import DATASETS, NOTEBOOK, keys_of, put_dataset, run_notebook, save_work, store
from tests.e2e.provisions import Provisions, provisions
from tests.e2e.stage import ACCESS_KEY, SECRET_KEY, client_of
from tests.e2e.stage import cluster as running_cluster
from tests.e2e.steady import SteadyReader, ask
from tests.e2e.story import RESULTS, browse, missing, put_world, run_of, tell, without_api
from tests.e2e.visitor import Visitor
from tests.programs import ROOT, SHARED
from workflows import values

pytestmark = pytest.mark.enable_socket  # the ingress answers on an address of the cluster
PAGE = f"app.portfolio.{DOMAIN}"
PROBE = Path(__file__).with_name("fixtures") / "probe.yaml"
KINDS = Path(__file__).with_name("fixtures") / "workflow-kinds.yaml"
SERVICES = ("access", "workflow-access", "postgis", "minio", "gitea", "api", "tiler", "web", "backups")


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[Kube, Provisions]]:
    """A cluster without an Argo CD, and what an installation takes; skips where that cannot be."""
    with contextlib.ExitStack() as stack:
        try:
            kubeconfig, shared = stack.enter_context(running_cluster())
            kube = Kube(kubeconfig, kubectl_of(SHARED), "geocrop")
            if kube.there("namespace", "argocd"):
                raise LookupError("the cluster has an Argo CD already: remove it (namespace and kinds) first")
            made = provisions(kube.kubectl, shared=shared)
        except LookupError as error:
            pytest.skip(f"PLATFORM NOT TESTED: {error}")
        yield kube, made


@pytest.fixture(scope="module")
def traefik(cluster: tuple[Kube, Provisions]) -> str:
    """The address of the ingress."""
    if given := os.environ.get("E2E_INGRESS"):
        return given
    env = cluster[0].env
    done = subprocess.run(
        [str(SHARED / "ingress/up.sh")], env=env, stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def live(cluster: tuple[Kube, Provisions], traefik: str) -> Iterator[SteadyReader]:
    """A reader of the live page, from before anything of ours is there until after it has gone."""
    kube = Kube(cluster[0].kubeconfig, cluster[0].kubectl, "portfolio")
    live_page(kube, "localhost/busybox:1")
    wait_for("the live page", lambda: answers(traefik, LIVE, "the live page"), 60)
    with SteadyReader(traefik, LIVE, wanted="the live page") as reader:
        yield reader
    kube.run("delete", "namespace", "portfolio", "--wait=false")


@pytest.fixture(scope="module")
def place(
    cluster: tuple[Kube, Provisions], traefik: str, live: SteadyReader, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Installed by `tofu apply`."""
    assert live.failures == []
    made = Installation(cluster[0], traefik, tmp_path_factory.mktemp("place"), cluster[1])
    if not made.provisions.argo:
        made.kube.run("apply", "--server-side", "-f", str(KINDS))
    made.before = wide_objects(made.kube)
    made.applications = source(made.folder, made.provisions)
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


def needs(place: Installation, *names: str) -> None:
    """Skip where the images of applications could not be made."""
    if missing := set(names) - set(place.applications):
        pytest.skip(f"NOT TESTED, as it is not installed: {', '.join(sorted(missing))}")


def test_nobody_sees_models_or_notebooks_without_an_account(place: Installation) -> None:
    """`ml.` and `lab.` lead to Gitea's door; a wrong password opens neither."""
    needs(place, "mlflow", "jupyter", "sign-in")
    for host in (f"ml.{DOMAIN}", f"lab.{DOMAIN}"):
        visitor = Visitor(place.traefik)
        assert visitor.open(f"https://{host}/").host == f"git.{DOMAIN}"
        page = visitor.sign_in(f"https://{host}/", "frankchine", "any-guess")
        assert page.host == f"git.{DOMAIN}"
        assert "__Host-geocrop" not in visitor.cookies[host]


def test_people_sign_in_with_gitea(place: Installation) -> None:
    """By code flow, with a cookie for each host: MLflow's page, Jupyter's, and a session of the API."""
    needs(place, "mlflow", "jupyter", "sign-in")
    visitor, password = Visitor(place.traefik), place.secret("gitea", "admin-password")
    page = visitor.sign_in(f"https://ml.{DOMAIN}/", "frankchine", password)
    assert (page.host, page.status) == (f"ml.{DOMAIN}", 200)
    assert "MLflow" in page.text
    assert "__Host-geocrop" in visitor.cookies[f"ml.{DOMAIN}"]
    assert visitor.sign_in(f"https://lab.{DOMAIN}/api/status", "frankchine", password).host == f"lab.{DOMAIN}"
    assert "kernels" in visitor.open(f"https://lab.{DOMAIN}/api/status").text
    visitor.sign_in(f"https://{PAGE}/api/v1/auth/login?back=/", "frankchine", password)
    session = json.loads(visitor.open(f"https://{PAGE}/api/v1/auth/session").text)
    assert (session["method"], "submit" in session["scopes"]) == ("session", True)


def test_a_notebook_runs_in_the_lab(place: Installation, land: Landscape) -> None:
    """From `geocrop-datasets` to a model that MLflow knows, in Jupyter's pod; the work is in Git afterwards."""
    needs(place, "mlflow", "jupyter")
    with place.kube.forwarded("service/minio", 9000) as port:
        put_dataset(store(place, port, "s3-jupyter"), land)
    start = time.monotonic()
    text = run_notebook(place, str(land.season))
    print(json.dumps({"notebook": round(time.monotonic() - start)}))  # noqa: T201
    assert "# Model crops" in text
    assert "labels that it was not trained on" in text
    assert NOTEBOOK.name in save_work(place)
    if "sign-in" in place.applications:
        visitor = Visitor(place.traefik)
        visitor.sign_in(f"https://ml.{DOMAIN}/", "frankchine", place.secret("gitea", "admin-password"))
        models = visitor.open(f"https://ml.{DOMAIN}/api/2.0/mlflow/registered-models/search").text
        assert [one["name"] for one in json.loads(models)["registered_models"]] == ["crops"]


def test_the_story_in_the_browser(place: Installation, land: Landscape, tmp_path: Path) -> None:
    """An area drawn, quoted and ordered; pods of Argo map it; the COG is in the bucket, the run in MLflow."""
    needs(place, "mlflow", "jupyter", "sign-in", "argo-workflows")
    if reason := missing():
        pytest.skip(f"STORY NOT TESTED: {reason}")
    put_world(place, land, tmp_path)
    change_template(place)
    start = time.monotonic()
    job = tell(place, land, PAGE)
    print(json.dumps({"story": round(time.monotonic() - start)}))  # noqa: T201
    with place.kube.forwarded("service/minio", 9000) as port:
        found = store(place, port, "minio-root").list_objects(bucket_name=RESULTS, prefix="maps/", recursive=True)
        assert [one for one in found if str(one.object_name).endswith(f"{job}/map.tif")]
    assert run_of(place, job)["data"]["metrics"]
    (workflow,) = (one for one in place.kube.get("workflows")["items"] if one["metadata"]["name"].startswith(job))
    assert workflow["status"]["phase"] == "Succeeded"
    assert workflow["metadata"]["labels"]["e2e"] == "committed"
    nodes = argo_says(place, workflow["metadata"]["name"])["status"]["nodes"].values()
    assert "classify" in {node["templateName"] for node in nodes if node["type"] == "Pod"}
    assert "tile.done" in logs_of(place, job)


def test_baselines_need_no_api(place: Installation, land: Landscape) -> None:
    """In the browser, while no pod of the API is there."""
    needs(place, "mlflow", "jupyter", "sign-in", "argo-workflows")
    if reason := missing():
        pytest.skip(f"STORY NOT TESTED: {reason}")
    with without_api(place):
        browse(place, land, PAGE, "away")
    place.rolled_out("api")
    wait_for("the API", lambda: answers(place.traefik, PAGE, "ok", "/api/v1/health/ready"), 60, 1.0)


def change_template(place: Installation) -> None:
    """A commit that has every later workflow carry a label."""
    with place.checkout() as tree:
        path = tree / "gitops/apps/workflow-templates/map-aoi.yaml"
        template = yaml.safe_load(path.read_text(encoding="utf-8"))
        template["spec"].setdefault("workflowMetadata", {}).setdefault("labels", {})["e2e"] = "committed"
        path.write_text(yaml.safe_dump(template), encoding="utf-8")
    place.refresh("workflows")
    place.wait(["workflows"], 240, place.revision())


def argo_says(place: Installation, name: str) -> dict[str, Any]:
    """A workflow, as Argo's server has it for whoever brings a token."""
    token = place.kube.run("create", "token", "geocrop-submitter").strip()
    with place.kube.forwarded("service/argo-server", 2746) as port:
        url = f"http://127.0.0.1:{port}/api/v1/workflows/geocrop/{name}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return dict(json.load(answer))


def logs_of(place: Installation, job: str) -> str:
    """What its pods said, as the page's users read it."""
    return signed_in(place).open(f"https://{PAGE}/api/v1/jobs/{job}/logs").text


def signed_in(place: Installation) -> Visitor:
    """Somebody with a session of the API."""
    visitor = Visitor(place.traefik)
    visitor.sign_in(f"https://{PAGE}/api/v1/auth/login?back=/", "frankchine", place.secret("gitea", "admin-password"))
    return visitor


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Landscape:
    """A made landscape with all years' baselines."""
    return make_landscape(tmp_path_factory.mktemp("land"), size_px=576, dates=8, years=tuple(range(2015, 2026)))


def doctor(place: Installation) -> str:
    """What it says."""
    env = place.kube.env | {"PATH": f"{Path(place.kube.kubectl).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "steps.cli", "doctor", "--namespace", "geocrop"]
    return subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False).stdout


def test_prometheus_finds_what_runs(place: Installation) -> None:
    """Pods that say so, the store, and the state of our objects: all of them are up."""
    needs(place, "monitoring")
    with place.kube.forwarded("service/prometheus", 9090) as port:
        wanted = {"api", "gitea", "minio", "buckets", "objects"}
        wait_for("Prometheus", lambda: wanted <= targets_up(port), 180, 3.0)


def targets_up(port: int) -> set[str]:
    """Applications of pods, and names of other jobs, that Prometheus reads."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/api/v1/targets?state=active", timeout=30) as answer:
        found = json.load(answer)["data"]["activeTargets"]
    return {one["labels"].get("app", one["labels"]["job"]) for one in found if one["health"] == "up"}


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
    password, keys = place.secret("postgis-api", "password"), keys_of(place, "s3-api")
    assert opens_database(place, password)
    assert opens_store(place, keys)
    place.kube.run("delete", "secret", "postgis-api", "s3-api")
    place.housekeeping("make-secrets")
    place.housekeeping("postgis-roles")
    place.housekeeping("store-users")
    with SteadyReader(place.traefik, PAGE, "/api/v1/health/live") as reader:
        place.kube.run("rollout", "restart", "deployment/api", "deployment/tiler")
        place.rolled_out("api")
    assert not opens_database(place, password)
    assert not opens_store(place, keys)
    assert opens_database(place, place.secret("postgis-api", "password"))
    assert opens_store(place, keys_of(place, "s3-api"))
    assert ask(place.traefik, PAGE, "/api/v1/health/ready")[0] == 200
    assert reader.failures == []


def opens_database(place: Installation, password: str) -> bool:
    """Whether the API's role gets in with a password."""
    script = "read -r PGPASSWORD; export PGPASSWORD; PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; "
    script += 'psql -h "$(hostname -i)" -p 5433 -U geocrop -d geocrop -tAc "SELECT 1" 2>&1 || true'
    said = place.kube.run("exec", "-i", "postgis-0", "--", "sh", "-c", script, stdin=f"{password}\n")
    assert said.strip() == "1" or "authentication failed" in said, said
    return said.strip() == "1"


def opens_store(place: Installation, keys: tuple[str, str]) -> bool:
    """Whether the store lists the results for a user."""
    with place.kube.forwarded("service/minio", 9000) as port:
        client = Minio(endpoint=f"127.0.0.1:{port}", access_key=keys[0], secret_key=keys[1], secure=False)
        try:
            return bool(client.bucket_exists(bucket_name=RESULTS))
        except S3Error as error:
            if error.code not in {"InvalidAccessKeyId", "AccessDenied"}:
                raise
            return False


@pytest.fixture(scope="module")
def second_place(place: Installation) -> Iterator[None]:
    """A store that is not of the installation."""
    with elsewhere(place):
        yield


@pytest.mark.usefixtures("second_place")
def test_a_backup_comes_back(place: Installation) -> None:
    """What was in the databases, the secrets and Gitea is in both places; a lost table comes back."""
    name_target(place)
    sql(place, "geocrop", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
    with place.checkout() as tree:
        (tree / "docs/kept.txt").write_text("kept in Git\n", encoding="utf-8")
    place.kept = {"key": place.secret("backup-key", "key"), "revision": place.revision()}
    place.kept["password"] = place.secret("gitea", "admin-password")
    said = place.housekeeping("backup", 300)
    assert "first:" in said
    assert "second:" in said
    sql(place, "geocrop", "DROP TABLE kept")
    said = place.housekeeping("restore", 300)
    assert "database geocrop is as it was" in said
    assert sql(place, "geocrop", "SELECT n FROM kept").strip() == "42"
    wait_for("the API", lambda: ask(place.traefik, PAGE, "/api/v1/health/ready")[0] == 200, 60)


def test_the_doctor_finds_nothing(place: Installation) -> None:
    """`geocrop doctor` looks at the installation, a backup and all, and is content."""
    assert doctor(place).strip() == "nothing is wrong"


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
        assert "pod web-" in doctor(place)
        with place.checkout() as tree:
            (tree / "gitops/apps/web/workload.yaml").write_text(good, encoding="utf-8")
        place.refresh("web")
        place.wait(["web"], 240, place.revision())
        place.kube.run("rollout", "restart", "deployment/web", "deployment/api")
        place.rolled_out("web")
        place.rolled_out("api")
    place.kube.run("delete", "pod", "-l", "burns=yes", "--grace-period=1")
    print(json.dumps({"page": page.asked, "api": api.asked, "live": live.asked, "slowest": live.slowest}))  # noqa: T201
    assert page.asked > 100
    assert (page.failures, api.failures, live.failures) == ([], [], [])


def burn(place: Installation) -> None:
    """All worker slots, as busy as they can be."""
    context = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    cpu, memory = values.text("cpu", "tile"), values.text("memory", "tile")
    for number in range(values.number("slots", "pods")):
        box = {
            "name": "main",
            "image": "localhost/busybox:1",
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", "while :; do :; done"],
            "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}},
            "securityContext": own,
        }
        spec = {"containers": [box], "priorityClassName": "geocrop-tiles", "securityContext": context}
        meta = {"name": f"burn-{number}", "labels": {"burns": "yes"}}
        place.kube.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec | {"restartPolicy": "Never"}}
        )
    wait_for("busy slots", lambda: all(is_settled(one) for one in burning(place)), 120, 1.0)
    busy = [one for one in burning(place) if one["status"]["phase"] == "Running"]
    print(json.dumps({"busy slots": len(busy)}))  # noqa: T201
    assert busy


def burning(place: Installation) -> list[dict[str, Any]]:
    """The pods that keep slots busy."""
    return list(place.kube.get("pods", "", "-l", "burns=yes")["items"])


def is_settled(pod: dict[str, Any]) -> bool:
    """Whether it runs, or waits since the node is full."""
    reasons = {one.get("reason") for one in pod["status"].get("conditions", [])}
    return pod["status"]["phase"] == "Running" or "Unschedulable" in reasons


def test_the_runner_in_the_cluster_builds_images(place: Installation) -> None:
    """A job of a push, in a pod with few rights: an image with a program that is run in it."""
    needs(place, "runner")
    with place.checkout() as tree:
        (tree / ".gitea/workflows").mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROBE, tree / ".gitea/workflows")
    gitea, pushed = repository(place), place.revision()
    run = wait_for("the run", lambda: ended(gitea, pushed, PROBE.name), 300, 2.0)
    assert run["conclusion"] == "success", gitea.log()
    assert "gitea-runner version" in gitea.log()


def test_a_push_becomes_a_running_version(place: Installation) -> None:
    """Images built and pushed, digests committed without another build, Argo CD synced, the page is new."""
    images = place.provisions.images
    if "node" not in images or shutil.which("buildah") is None:
        pytest.skip("ACTIONS NOT TESTED: there is no buildah, or the images name no node to build with")
    with actions(place) as gitea:
        gitea.set(
            RUNNER=HOST, REGISTRY=gitea.registry, OWNER="team", IMAGES="web", INSECURE="true", TESTS="true",
            SOURCE_URL=gitea.gitea, NODE_IMAGE=images["node"], WEB_BASE_IMAGE=images["nginx"],
            CERTIFICATES=CERTIFICATES,
        )  # fmt: skip
        words = f"version {time.time():.0f}"
        with place.checkout() as tree:
            shutil.copytree(
                ROOT / ".gitea/workflows", tree / ".gitea/workflows", ignore=only_build_push, dirs_exist_ok=True
            )
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


def ended(gitea: Actions, commit: str, workflow: str = "build-push.yaml") -> dict[str, Any] | None:
    """The run of a commit, when it has ended."""
    found = [run for run in gitea.runs(workflow) if run["head_sha"] == commit]
    return found[0] if found and found[0]["status"] == "completed" else None


def test_a_drain_waits_for_a_pod_that_is_ready(place: Installation) -> None:
    """With one node: an eviction of one of two pods is taken, that of the second is refused until another is ready."""
    pods = [one["metadata"]["name"] for one in place.kube.get("pods", "", "-l", "app.kubernetes.io/name=api")["items"]]
    evict(place, pods[0])
    assert "disruption budget" in evict(place, pods[1])
    place.rolled_out("api")


def evict(place: Installation, pod: str) -> str:
    """Ask for an eviction as a drain does; what was said against it."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": place.kube.namespace}}
    path = f"/api/v1/namespaces/{place.kube.namespace}/pods/{pod}/eviction"
    command = [place.kube.kubectl, "create", "--raw", path, "-f", "-"]
    done = subprocess.run(
        command, input=json.dumps(body), env=place.kube.env, capture_output=True, encoding="utf-8", check=False
    )
    return done.stderr


def test_a_store_that_is_there_already_is_adopted(place: Installation) -> None:
    """By the overlay and its administrator's key: our buckets are made on it, its own stay, and no server is ours."""
    with elsewhere(place, "minio") as theirs:
        with theirs.forwarded("service/minio", 9000) as port:
            client_of(port).put_object(bucket_name=BUCKET, object_name="own", data=io.BytesIO(b"own"), length=3)
        keys = {"access-key": ACCESS_KEY, "secret-key": SECRET_KEY}
        meta = {"name": "minio-root"}
        place.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": keys})
        with place.checkout() as tree:
            path = tree / "gitops/root/applications.yaml"
            text = path.read_text(encoding="utf-8")
            path.write_text(
                re.sub(r"gitops/apps/minio(?=[}\n])", "gitops/apps/minio/overlays/adopt", text), encoding="utf-8"
            )
        place.refresh("root")
        wait_for("the change", lambda: not place.kube.there("statefulset", "minio"), 240, 1.0)
        place.wait(["minio"], 240, place.revision())
        place.housekeeping("store-users")
        with theirs.forwarded("service/minio", 9000) as port:
            assert {RESULTS, DATASETS, "mlflow", BUCKET} <= {one.name for one in client_of(port).list_buckets()}
            assert client_of(port).get_object(bucket_name=BUCKET, object_name="own").read() == b"own"
        place.kube.run("rollout", "restart", "deployment/api")
        place.rolled_out("api")
        status = json.loads(signed_in(place).open(f"https://{PAGE}/api/v1/health/status").text)
        assert status["dependencies"]["store"]["status"] == "ok", status


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
    assert wide_objects(place.kube) - place.before <= {f"namespace/{SECOND}"}  # the second place outlives it
    assert live.asked > 1000
    assert live.failures == []


@pytest.mark.usefixtures("second_place")
def test_an_empty_cluster_becomes_what_was_backed_up(place: Installation, live: SteadyReader) -> None:
    """Installed anew, then restored from the second place: accounts, commits, tables; nobody outside notices."""
    if os.environ.get("E2E_KEEP") or not place.kept:
        pytest.skip("nothing was removed, or nothing was kept")
    place.tofu("apply", "-input=false", "-auto-approve", place.state())
    place.wait(place.applications, 900)
    assert place.secret("gitea", "admin-password") != place.kept["password"]
    name_target(place)
    meta = {"name": "backup-key"}
    key = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"key": place.kept["key"]}}
    place.kube.apply(key)
    start = time.monotonic()
    assert "done" in place.restore()
    assert place.secret("gitea", "admin-password") == place.kept["password"]
    assert sql(place, "geocrop", "SELECT n FROM kept").strip() == "42"
    place.refresh(*place.applications)
    place.wait(place.applications, 600, place.kept["revision"])
    wait_for("the API", lambda: ask(place.traefik, PAGE, "/api/v1/health/ready")[0] == 200, 120)
    print(json.dumps({"restored": round(time.monotonic() - start)}))  # noqa: T201
    assert live.failures == []
