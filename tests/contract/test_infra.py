"""The module that makes the place and starts Argo CD, as far as it can be looked at without a cluster."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import kustomize
from tests import platform_checks as checks
from tests.kustomize import ROOT, Json
from tests.programs import SHARED, one_at_a_time

MODULE = ROOT / "infra/platform"
IMAGES = ROOT / "infra/images"


def argocd_manifest() -> Path | None:
    """Argo CD's release: as told, or in Go's module cache."""
    if given := os.environ.get("E2E_ARGOCD_MANIFEST"):
        return Path(given)
    cache = Path(os.environ.get("GOMODCACHE", Path.home() / "go/pkg/mod"))
    found = cache / "github.com/argoproj/argo-cd/v3@v3.2.11/manifests/install.yaml"
    return found if found.exists() else None


@pytest.fixture(scope="module")
def argocd(tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """Argo CD as up.sh applies it."""
    manifest = argocd_manifest()
    if manifest is None or not kustomize.program():
        pytest.skip("ARGO CD'S MANIFEST NOT TESTED: set E2E_ARGOCD_MANIFEST to the release's install.yaml")
    folder = tmp_path_factory.mktemp("argocd") / "argocd"
    shutil.copytree(MODULE / "argocd", folder)
    shutil.copy(manifest, folder / "install.yaml")
    return kustomize.build(folder)


def test_argo_cd_keeps_the_rules(argocd: list[Json]) -> None:
    """Pinned, and bounded in memory; its temporary volumes have no size in the release."""
    assert checks.images(argocd) == []
    assert [wrong for wrong in checks.limits(argocd) if not wrong.endswith("has no size")] == []


def test_argo_cd_ranks_below_the_live_page(argocd: list[Json]) -> None:
    """Every pod of it has our rank."""
    ranks = {template["spec"].get("priorityClassName") for _, template in checks.pods(argocd)}
    assert ranks == {"geocrop-services"}


def test_argo_cd_brings_only_its_own_objects_of_the_cluster(argocd: list[Json]) -> None:
    """Its kinds and its roles; no class, no webhook, no issuer."""
    wide = {(thing["kind"], thing["metadata"]["name"]) for thing in argocd if "namespace" not in thing["metadata"]}
    assert {kind for kind, _ in wide} == {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    assert all(name.startswith("argocd-") or name.endswith(".argoproj.io") for _, name in wide)


def test_only_the_parts_in_use_run(argocd: list[Json]) -> None:
    """No notifications, no Dex, no generator of applications."""
    names = {thing["metadata"]["name"] for thing, _ in checks.pods(argocd)}
    assert names == {f"argocd-{part}" for part in ("application-controller", "redis", "repo-server", "server")}


@pytest.mark.parametrize("name", ["up.sh", "down.sh", "gitea.sh", "restore.sh"])
def test_scripts_have_no_syntax_error(name: str) -> None:
    """They can be executed, and bash reads them."""
    assert os.access(MODULE / name, os.X_OK)
    subprocess.run(["bash", "-n", str(MODULE / name)], check=True)


def test_the_module_is_valid(tmp_path: Path) -> None:
    """`tofu validate` agrees, and its format is the usual one."""
    tofu, env = tofu_of(tmp_path)
    copy = shutil.copytree(MODULE, tmp_path / "module", ignore=shutil.ignore_patterns(".terraform*"))
    for arguments in (["fmt", "-check", "-diff"], ["init", "-backend=false", "-input=false"], ["validate"]):
        command = [tofu, f"-chdir={copy}", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False)
        if arguments[0] == "init" and "TF_CLI_CONFIG_FILE" not in env and done.returncode:
            pytest.skip("MODULE NOT TESTED: the provider's registry is not reached")
        assert done.returncode == 0, done.stdout + done.stderr


def tofu_of(folder: Path) -> tuple[str, dict[str, str]]:
    """OpenTofu and its environment: with the provider that lies beside the project, or as it is installed."""
    env = os.environ | {"TF_DATA_DIR": str(folder / "data")}
    if (SHARED / "services/tofu-mirror.sh").exists():
        env |= {"TOFU_PROVIDER_HOST": "registry.opentofu.org", "TOFU_STATE": str(folder / "mirror")}
        with one_at_a_time():
            subprocess.run([str(SHARED / "services/tofu-mirror.sh")], env=env, check=True, stdout=subprocess.DEVNULL)
        env["TF_CLI_CONFIG_FILE"] = str(folder / "mirror/tofurc")
        return str(Path(os.environ.get("CLUSTER_BIN", "/tmp/cluster/bin")) / "tofu"), env  # noqa: S108
    if found := shutil.which("tofu") or shutil.which("terraform"):
        return found, env
    pytest.skip("MODULE NOT TESTED: neither tofu nor terraform is here")


def test_each_image_has_the_same_files() -> None:
    """A Dockerfile each; those of Python are locked by hash; none runs as root."""
    for name in ("worker", "api", "jupyter", "web"):
        text = (IMAGES / name / "Dockerfile").read_text(encoding="utf-8")
        assert "USER 65532:65532" in text
        assert "ARG BASE_IMAGE=" in text
        assert (IMAGES / name / "requirements.lock").exists() != (name == "web")
