"""Images for the shared cluster, which pulls from no registry: of Debian's packages, Go modules and our Dockerfiles.

An image's tag is a digest of what goes into it. What the cluster has is not imported again, and what buildah has is not
built again; of each image buildah keeps the newest.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.programs import ROOT, SHARED, unpacked

PROGRAMS = Path(os.environ.get("CLUSTER_BIN", "/tmp/cluster/bin"))
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
WORKER_PACKAGES = ("libexpat1", "libgomp1")
"""Beside Python, all that the worker's image needs of Debian; what is more would make it larger."""
SERVICE_PACKAGES = (*WORKER_PACKAGES, "git", "nginx-light")
"""The same of the others: one base serves them all."""
_BUILD_HOST = {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
_USER = 65532


def program(name: str) -> Path:
    """A program that lies beside the project, unpacked."""
    found = unpacked(name)
    assert found, f"there is no {name} in {SHARED}"
    return found


def there() -> list[str]:
    """The images that the cluster has."""
    return _said(str(SHARED / "image.sh"), "list").split()


def digest(*inputs: str | Path) -> str:
    """Of words, and of files below paths of the project as Git sees them."""
    sha = hashlib.sha256()
    words = [one for one in inputs if isinstance(one, str)]
    paths = [str(one) for one in inputs if isinstance(one, Path)]
    sha.update("\0".join(words).encode())
    listed = _said("git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard", "--", *paths) if paths else ""
    for name in sorted(filter(None, set(listed.split("\0")))):
        if (ROOT / name).is_file():
            sha.update(f"{name}\0".encode() + (ROOT / name).read_bytes())
    return sha.hexdigest()[:12]


def base(*packages: str) -> str:
    """Debian's Python with packages; for buildah alone."""
    name = f"localhost/platform-base:{digest(*packages)}"
    if not _is_built(name):
        env = {"BASE_NAME": name}
        subprocess.run([str(SHARED / "base-image.sh"), *packages], env=_env(env), check=True, stdout=subprocess.DEVNULL)
    return name


def of_dockerfile(name: str, inputs: Sequence[str], arguments: Mapping[str, str]) -> str:
    """The image of infra/images/NAME; the machine's certificates are lent to the build, and do not stay in it."""
    folder = f"infra/images/{name}"
    tag = digest(*(Path(one) for one in (*inputs, folder)), *sorted(arguments.values()))
    full = f"localhost/geocrop-{name}:{tag}"
    if full not in there():
        options = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        build(full, str(ROOT), "--file", str(ROOT / folder / "Dockerfile"), *options)
        bring(full)
    return full


def of_text(name: str, dockerfile: str, files: Mapping[str, Path]) -> str:
    """An image of a few lines and of files of this machine, by their names in it; for buildah alone."""
    stamps = [f"{key} {path.stat().st_size}" for key, path in sorted(files.items())]
    full = f"localhost/{name}:{digest(dockerfile, *stamps)}"
    if not _is_built(full):
        with tempfile.TemporaryDirectory() as folder:
            for key, path in files.items():
                copy = shutil.copytree if path.is_dir() else shutil.copy2
                copy(path, Path(folder) / key)
            (Path(folder) / "Dockerfile").write_text(dockerfile, encoding="utf-8")
            build(full, folder)
    return full


def of_module(name: str, module: str, version: str, package: str = "", tags: str = "") -> str:
    """One program of a Go module in /bin, without a system around it."""
    full = f"localhost/{name}:{digest(module, version, package, tags)}"
    if full not in there():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "root"
            _compile(Path(folder), root / "bin" / name, f"{module}@{version}", package or module, tags)
            pack(full, root, f"/bin/{name}")
    return full


def pack(name: str, root: Path, entry: str, user: int = _USER) -> None:
    """Give the cluster an image of a folder and of what a program needs besides."""
    (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
    shutil.copy(CERTIFICATES, root / "etc/ssl/certs")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    root.chmod(0o755)
    _said(str(SHARED / "image.sh"), "pack", name, str(root), entry, env={"USER_ID": str(user)})


def pack_program(name: str, program: Path) -> None:
    """Give the cluster an image of one static program."""
    _said(str(SHARED / "image.sh"), "pack", name, str(program))


def _compile(folder: Path, to: Path, module: str, package: str, tags: str) -> None:
    env = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    for command in (
        ("go", "mod", "init", "localhost/program"),
        ("go", "get", module),
        ("go", "build", "-p", "1", "-trimpath", "-ldflags=-s", f"-tags={tags}", "-o", str(to), package),
    ):
        subprocess.run(command, cwd=folder, env=os.environ | env, check=True, capture_output=True)


def build(name: str, context: str, *options: str) -> None:
    """Have buildah build an image, where it has none of that name; older ones of its kind go."""
    if _is_built(name):
        return
    lent = ["--network=host", f"--volume={CERTIFICATES}:{CERTIFICATES}:ro"]
    lent += [f"--build-arg={key}={CERTIFICATES}" for key in ("PIP_CERT", "NPM_CERT")]
    kind = name.rpartition(":")[0]
    known = _said("buildah", "images", "--format={{.Name}}:{{.Tag}}").split()
    older = [one for one in known if re.fullmatch(rf"{re.escape(kind)}:[0-9a-f]{{12}}", one)]
    command = ["buildah", "build", "--quiet", *lent, *options, "--tag", name, context]
    subprocess.run(command, env=_env(), check=True, stdout=subprocess.DEVNULL)
    if older:
        subprocess.run(["buildah", "rmi", "--force", *older], env=_env(), check=False, stdout=subprocess.DEVNULL)


def bring(name: str) -> str:
    """Give the cluster an image of buildah's; its name."""
    if name not in there():
        with tempfile.TemporaryDirectory() as folder:
            archive = f"{folder}/image.tar"
            _said("buildah", "push", "--quiet", name, f"docker-archive:{archive}:{name}")
            _said(str(SHARED / "image.sh"), "import", archive)
    return name


def _is_built(name: str) -> bool:
    if shutil.which("buildah") is None:
        return False
    command = ["buildah", "inspect", "--type", "image", name]
    return subprocess.run(command, env=_env(), capture_output=True, check=False).returncode == 0


def _env(more: Mapping[str, str] | None = None) -> dict[str, str]:
    return os.environ | _BUILD_HOST | dict(more or {})


def _said(*command: str, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, env=_env(env), stdout=subprocess.PIPE, encoding="utf-8", check=True)
    return done.stdout
