"""What an installation needs from outside: images, Argo CD's release, OpenTofu; made here for the shared cluster.

For another cluster (KUBECONFIG) they are given: E2E_PLATFORM_IMAGES is a JSON file of image names by the names in
gitops/place/images, E2E_ARGOCD_MANIFEST the release's install.yaml, E2E_TOFU the program. Argo Workflows is in no
package registry: E2E_ARGO_MANIFESTS names its manifests (the folder with `namespace-install`, or one file), and
E2E_ARGO_PROGRAMS a folder of its static programs.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e import images
from tests.e2e.images import PROGRAMS
from tests.e2e.stage import worker_image
from tests.programs import ROOT, SHARED

PLACE = ROOT / "gitops/place/images/kustomization.yaml"
ARGO_VERSION = "v4.1.2"
_PACKAGE = {"api": ("steps", "api", "tiler"), "jupyter": ("steps", "api", "tiler", "geocrop")}
_EVERY = ("pyproject.toml", "README.md", "LICENSE", "infra/images/worker")
_SERVICES = "FROM {base}\nCOPY minio gitea /usr/local/bin/\nRUN chmod 755 /usr/local/bin/*\n"
_NODE = """FROM {base}
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s /usr/local/lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ENV npm_config_registry={registry}
"""


@dataclass(frozen=True)
class Provisions:
    """What `tofu apply` and Argo CD take."""

    images: dict[str, str]
    """By their names in gitops/place/images; `node`, `nginx` and `base` are what others are built from."""
    argocd: str
    """The release's manifest."""
    tofu: str
    environment: dict[str, str] = field(default_factory=dict)
    """Of OpenTofu."""
    argo: str = ""
    """All of Argo Workflows' manifests; empty without it."""


def provisions(kubectl: str, *, shared: bool) -> Provisions:
    """Raises LookupError where something is missing that cannot be made here."""
    if shared:
        return Provisions(_made_images(), _argocd(), *_tofu(), _argo(kubectl, shared=True))
    given = {name: os.environ.get(name, "") for name in ("E2E_PLATFORM_IMAGES", "E2E_ARGOCD_MANIFEST", "E2E_TOFU")}
    if missing := [name for name, value in given.items() if not value]:
        raise LookupError(f"the cluster is not the shared one, and {', '.join(missing)} is not set")
    found = dict(json.loads(Path(given["E2E_PLATFORM_IMAGES"]).read_text(encoding="utf-8")))
    return Provisions(found, given["E2E_ARGOCD_MANIFEST"], given["E2E_TOFU"], {}, _argo(kubectl, shared=False))


def version(name: str) -> str:
    """The tag that gitops/place/images has for an image."""
    found = re.search(
        rf"\{{name: {re.escape(name)}, newName: [^,]+, newTag: ([^}}]+)\}}", PLACE.read_text(encoding="utf-8")
    )
    assert found, f"gitops/place/images has no {name}"
    return found[1].strip("'\"")


def _made_images() -> dict[str, str]:
    if missing := [name for name in ("go", "node", "npm") if shutil.which(name) is None]:
        raise LookupError(f"the images cannot be made without {', '.join(missing)}")
    base = images.base(*images.SERVICE_PACKAGES)
    node = of_node(base)
    services = of_services(base)
    made = {"base": base, "nginx": base, "node": node, "python": services, "minio": services, "gitea": services}
    made["postgis"] = of_postgis()
    for name, folders in _PACKAGE.items():
        made[f"geocrop-{name}"] = images.of_dockerfile(name, (*folders, *_EVERY), {"BASE_IMAGE": base})
    made["geocrop-web"] = images.of_dockerfile("web", ("ui",), {"BASE_IMAGE": base, "BUILD_IMAGE": node})
    made["geocrop-worker"] = worker_image(shared=True)
    made["geocrop-runner"] = of_runner()
    return made | _programs()


def of_services(base: str) -> str:
    """MinIO and Gitea beside Debian's Python."""
    files = {name: images.program(name) for name in ("minio", "gitea")}
    return images.bring(images.of_text("platform-services", _SERVICES.format(base=base), files))


def of_postgis() -> str:
    """Debian's PostGIS; its user has the number that upstream's image gives it."""
    base = images.base(*images.SERVICE_PACKAGES, "postgresql-15", "postgresql-15-postgis-3")
    text = f"FROM {base}\nRUN echo postgres:x:999:999::/var/lib/postgresql:/bin/sh >>/etc/passwd\n"
    return images.bring(images.of_text("platform-postgis", text, {}))


def of_runner() -> str:
    """Our image of what builds images, on Debian's packages."""
    base = images.base("buildah", "ca-certificates", "git", "uidmap")
    name = "gitea-runner"
    text = f"FROM scratch\nCOPY {name} /usr/local/bin/{name}\n"
    runner = images.of_text("platform-runner", text, {name: images.program(name)})
    return images.of_dockerfile("runner", (), {"BASE_IMAGE": base, "RUNNER_IMAGE": runner})


def of_node(base: str) -> str:
    """Node of this machine, for building the page."""
    registry = subprocess.run(
        ["npm", "config", "get", "registry"], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    ).stdout
    node, npm = (Path(str(shutil.which(name))).resolve() for name in ("node", "npm"))
    text = _NODE.format(base=base, registry=registry.strip())
    return images.of_text("platform-node", text, {"node": node, "npm": npm.parents[1]})


def _programs() -> dict[str, str]:
    """Of Go modules. Prometheus 3.13.5 is version 0.313.5 of its module; Debian's knows nothing of Kubernetes."""
    major, minor, patch = version("prometheus").removeprefix("v").split(".")
    prometheus = "github.com/prometheus/prometheus"
    tags = "remove_all_sd,enable_kubernetes_sd"
    return {
        "oauth2-proxy": images.of_module(
            "oauth2-proxy", "github.com/oauth2-proxy/oauth2-proxy/v7", version("oauth2-proxy")
        ),
        "kube-state-metrics": images.of_module(
            "kube-state-metrics", "k8s.io/kube-state-metrics/v2", version("kube-state-metrics")
        ),
        "prometheus": images.of_module(
            "prometheus", prometheus, f"v0.{major}{int(minor):02d}.{patch}", f"{prometheus}/cmd/prometheus", tags
        ),
    }


def _argocd() -> str:
    """The release's manifest out of the module that the shared cluster's Argo CD is built from; its images go there."""
    script = 'source "$here/release.sh" && echo "$RELEASE"'
    env = os.environ | {"here": str(SHARED / "argocd")}
    said = subprocess.run(["bash", "-c", script], env=env, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    manifest = Path(said.strip().splitlines()[-1]) / "manifests/install.yaml"
    wanted = set(re.findall(r"image: (\S+/(?:argocd|redis):\S+)", manifest.read_text(encoding="utf-8")))
    if not wanted <= set(images.there()):
        subprocess.run([str(SHARED / "argocd/images.sh")], check=True, stdout=subprocess.DEVNULL)
    return str(manifest)


def _tofu() -> tuple[str, dict[str, str]]:
    """OpenTofu, and the configuration that has it take the provider from this machine."""
    state = Path(tempfile.gettempdir()) / "cluster/services/platform-tofu"
    env = os.environ | {"TOFU_PROVIDER_HOST": "registry.opentofu.org", "TOFU_STATE": str(state)}
    said = subprocess.run(
        [str(SHARED / "services/tofu-mirror.sh")], env=env, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    name, _, value = said.stdout.strip().removeprefix("export ").partition("=")
    return str(PROGRAMS / "tofu"), {name: value}


def _argo(kubectl: str, *, shared: bool) -> str:
    """The manifests of an installation in one namespace, with the version's images."""
    path = os.environ.get("E2E_ARGO_MANIFESTS")
    if not path:
        return ""
    if shared:
        _pack_argo()
    command = [kubectl, "kustomize", f"{path}/namespace-install"]
    text = (
        Path(path).read_text(encoding="utf-8")
        if Path(path).is_file()
        else subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    )
    text = re.sub(r"(quay\.io/argoproj/[a-z-]+):latest", rf"\1:{ARGO_VERSION}", text)
    # A program that was not built as a release does not know the image of its executor.
    executor = f"--executor-image=quay.io/argoproj/argoexec:{ARGO_VERSION}"
    return re.sub(r"args:\n( *- )--namespaced\n", rf"args:\n\1--namespaced\n\1{executor}\n", text)


def _pack_argo() -> None:
    """Give the cluster Argo's images where it has them not."""
    names = {"workflow-controller": "workflow-controller", "argoexec": "argoexec", "argocli": "argo"}
    for image, program in names.items():
        full = f"quay.io/argoproj/{image}:{ARGO_VERSION}"
        if full not in images.there():
            if not (folder := os.environ.get("E2E_ARGO_PROGRAMS")):
                raise LookupError(f"the cluster has no {full}, and E2E_ARGO_PROGRAMS is not set")
            with tempfile.TemporaryDirectory() as root:
                (Path(root) / "bin").mkdir()
                shutil.copy2(Path(folder) / program, Path(root) / "bin" / program)
                images.pack(full, Path(root), f"/bin/{program}", 8737)
