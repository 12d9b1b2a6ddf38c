"""A whole installation on the cluster: the live page's stand-in, the module of infra/platform, and what Argo CD brings.

What a cluster cannot have is left out of the copy that is installed: images come from provisions.py, and applications
without their image are not followed.
"""

import base64
import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.e2e.kube import Json, Kube, wait_for
from tests.e2e.provisions import Provisions
from tests.programs import ROOT

DOMAIN = "e2e.test"
LIVE = "portfolio.techarvest.co.zw"
MODULE = ROOT / "infra/platform"
NEEDS: dict[str, tuple[str, ...]] = {
    "access": ("python",),
    "workflow-access": (),
    "workflows": (),
    "postgis": ("postgis",),
    "minio": ("minio", "geocrop-api"),
    "gitea": ("gitea", "python"),
    "mlflow": ("geocrop-jupyter",),
    "api": ("geocrop-api",),
    "tiler": ("geocrop-api",),
    "web": ("geocrop-web",),
    "jupyter": ("geocrop-jupyter",),
    "sign-in": ("oauth2-proxy",),
    "argocd": (),
    "backups": ("postgis", "geocrop-api"),
    "runner": ("geocrop-runner",),
    "monitoring": ("prometheus", "kube-state-metrics"),
    "argo-workflows": ("argo",),
}
"""Images of each application."""


@dataclass
class Installation:
    """What is installed, and how to change it."""

    kube: Kube
    traefik: str
    """The address that answers for every host."""
    folder: Path
    provisions: Provisions
    applications: list[str] = field(default_factory=list)
    before: set[str] = field(default_factory=set)
    """Objects of the cluster itself that were there."""
    seconds: int = 0
    """That the first apply took."""
    kept: dict[str, str] = field(default_factory=dict)
    """What was there when the backup was made."""

    @property
    def argocd(self) -> Kube:
        """Argo CD's namespace."""
        return Kube(self.kube.kubeconfig, self.kube.kubectl, "argocd")

    def tofu(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """OpenTofu with this place's values; its state is in our folder."""
        variables = {
            "kubeconfig": self.kube.kubeconfig,
            "domain": DOMAIN,
            "source_repository": str(self.folder / "source"),
            "argocd_manifest": self.provisions.argocd,
        }
        env = (
            self.kube.env | self.provisions.environment | {f"TF_VAR_{name}": value for name, value in variables.items()}
        )
        env |= {"TF_DATA_DIR": str(self.folder / "tofu"), "PATH": f"{Path(self.kube.kubectl).parent}:{env['PATH']}"}
        command = [self.provisions.tofu, f"-chdir={MODULE}", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False, timeout=1200)
        assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def state(self) -> str:
        """The option that says where the state is."""
        return f"-state={self.folder / 'terraform.tfstate'}"

    def application(self, name: str) -> Json:
        """Its status."""
        return dict(self.argocd.get("application", name).get("status", {}))

    def is_healthy(self, name: str, revision: str = "") -> bool:
        """Whether an application is as committed, and well."""
        status = self.application(name)
        sync, health = status.get("sync", {}), status.get("health", {})
        fits = not revision or sync.get("revision") == revision
        return bool(sync.get("status") == "Synced" and health.get("status") == "Healthy" and fits)

    def wait(self, names: Sequence[str], seconds: float, revision: str = "") -> None:
        """Until applications are there, as committed, and well."""
        for name in names:
            wait_for(
                f"application {name}",
                lambda name=name: self.argocd.there("application", name) and self.is_healthy(name, revision),
                seconds,
                2.0,
            )

    def wait_revision(self, name: str, seconds: float) -> None:
        """Until an application has the commit that was pushed last, well or not."""
        self.refresh(name)
        wanted = self.revision()
        wait_for(
            f"{name} at {wanted[:8]}",
            lambda: self.application(name).get("operationState", {}).get("syncResult", {}).get("revision") == wanted,
            seconds,
            1.0,
        )

    def rolled_out(self, name: str) -> None:
        """Wait until a deployment has all of its pods, in their newest form."""
        self.kube.run("rollout", "status", f"deployment/{name}", "--timeout=300s", timeout=310)

    def secret(self, name: str, key: str) -> str:
        """A value of a secret."""
        return base64.b64decode(self.kube.get("secret", name)["data"][key]).decode()

    def restore(self) -> str:
        """Bring the backup of the second place; what was said."""
        path = f"{Path(self.kube.kubectl).parent}:{os.environ['PATH']}"
        command = [str(MODULE / "restore.sh")]
        env = self.kube.env | {"PATH": path}
        done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False, timeout=1200)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def housekeeping(self, cronjob: str, seconds: float = 120) -> str:
        """Run a job now; what it said."""
        name = f"{cronjob}-now"
        self.kube.run("delete", "job", name, "--ignore-not-found")
        self.kube.run("create", "job", name, f"--from=cronjob/{cronjob}")

        def ended() -> str:
            status = self.kube.get("job", name).get("status", {})
            return next((one["type"] for one in status.get("conditions", []) if one["status"] == "True"), "")

        how = wait_for(f"job {name}", ended, seconds, 1.0)
        said = self.kube.run("logs", f"job/{name}", "--all-containers", "--tail=40", check=False)
        assert "Complete" in how or "SuccessCriteriaMet" in how, said
        return said

    @contextlib.contextmanager
    def checkout(self) -> Iterator[Path]:
        """The repository in Gitea as a work tree; pushed when left."""
        tree = self.folder / "checkout"
        with self.kube.forwarded("service/gitea", 3000) as port:
            env = self.kube.env | {"GITEA_PASSWORD": self.secret("gitea", "admin-password")}
            helper = "credential.helper=!f() { echo username=frankchine; echo password=$GITEA_PASSWORD; }; f"
            address = f"http://127.0.0.1:{port}/frankchine/geocrop.git"
            if not tree.exists():
                self._git(env, "-c", "credential.helper=", "-c", helper, "clone", "-q", address, str(tree))
            self._git(env, "-C", str(tree), "remote", "set-url", "origin", address)
            self._git(env, "-C", str(tree), "-c", "credential.helper=", "-c", helper, "pull", "-q", "--rebase")
            yield tree
            who = ("-c", "user.name=e2e", "-c", "user.email=e2e@localhost")
            self._git(env, "-C", str(tree), "add", "-A")
            self._git(env, "-C", str(tree), *who, "commit", "-qm", "chore: a change")
            self._git(env, "-C", str(tree), "-c", "credential.helper=", "-c", helper, "push", "-q")

    def revision(self) -> str:
        """The commit that was pushed last."""
        return self._git(self.kube.env, "-C", str(self.folder / "checkout"), "rev-parse", "HEAD").strip()

    def refresh(self, *names: str) -> None:
        """Have Argo CD look now."""
        for name in names:
            note = "argocd.argoproj.io/refresh=hard"
            self.argocd.run("annotate", "application", name, note, "--overwrite")

    @staticmethod
    def _git(env: dict[str, str], *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], env=env, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def source(folder: Path, provisions: Provisions) -> list[str]:
    """A copy of this repository with another place's images; the applications that can run with them."""
    tree = folder / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tree)], check=True)
    subprocess.run(["git", "-C", str(tree), "checkout", "-q", "-B", "main"], check=True)
    put_images(tree / "gitops/place/images/kustomization.yaml", provisions.images)
    put_catalog(tree / "gitops/apps")
    shutil.rmtree(tree / ".gitea/workflows")  # else the first push would be built as soon as there is a runner
    have = provisions.images.keys() | ({"argo"} if provisions.argo else set())
    chosen = [name for name, needed in NEEDS.items() if set(needed) <= have]
    keep_applications(tree / "gitops/root/applications.yaml", chosen)
    if provisions.argo:
        put_argo(tree / "gitops/apps/argo-workflows", provisions.argo)
    who = ("-c", "user.name=e2e", "-c", "user.email=e2e@localhost")
    subprocess.run(["git", "-C", str(tree), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(tree), *who, "commit", "-qm", "chore: images of this place"], check=True)
    return chosen


def put_images(path: Path, images: dict[str, str]) -> None:
    """Other names and tags in the list of images."""
    text = path.read_text(encoding="utf-8")
    for name, image in images.items():
        new, _, tag = image.rpartition(":")
        pattern = rf"\{{name: ((?:localhost/)?{re.escape(name)}), newName: [^,]+, newTag: [^}}]+\}}"
        text = re.sub(pattern, rf"{{name: \1, newName: {new}, newTag: '{tag}'}}", text)
    path.write_text(text, encoding="utf-8")


def keep_applications(path: Path, names: Sequence[str]) -> None:
    """Leave the others out of the root."""
    things = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one["metadata"]["name"] in names]
    path.write_text(yaml.safe_dump_all(things), encoding="utf-8")


def put_catalog(apps: Path) -> None:
    """A catalog of this place's: no other is reached."""
    path = apps / "api/settings.env"
    ours = "GEOCROP_API_CATALOGS=demo=http://minio:9000/geocrop-datasets/landscape/catalog/catalog.json"
    text = re.sub(r"GEOCROP_API_CATALOGS=.*", ours, path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    path = apps / "workflow-access/settings.yaml"
    text = path.read_text(encoding="utf-8").replace("  sources: ", "  sources: minio,")
    path.write_text(text, encoding="utf-8")


def put_argo(folder: Path, manifests: str) -> None:
    """Argo Workflows' manifests as a file of the repository, in place of the address of its release."""
    (folder / "release.yaml").write_text(manifests, encoding="utf-8")
    path = folder / "kustomization.yaml"
    text, count = re.subn(r"- https://\S+/namespace-install\.yaml", "- release.yaml", path.read_text(encoding="utf-8"))
    assert count == 1
    path.write_text(text, encoding="utf-8")


def live_page(kube: Kube, image: str) -> None:
    """A stand-in for the page that is there already, as its owner would run it."""
    command = "mkdir -p /tmp/www && echo the live page >/tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"
    labels = {"app": "portfolio"}
    box = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", command],
        "resources": {"requests": {"cpu": "100m", "memory": "32Mi"}},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": labels}}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [box], "terminationGracePeriodSeconds": 1}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "portfolio", "port": {"number": 80}}}}
    rules = [{"host": LIVE, "http": {"paths": [path]}}]
    meta = {"name": "portfolio", "namespace": kube.namespace}
    kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kube.namespace}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec | {"template": pod}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": meta,
            "spec": {"ingressClassName": "traefik", "rules": rules},
        },
    )
    kube.run("rollout", "status", "deployment/portfolio", "--timeout=120s", timeout=130)
