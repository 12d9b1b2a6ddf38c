"""Kustomize over the project's manifests, with whichever of its programs is here."""

import functools
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tests.programs import unpacked

Json = dict[str, Any]
ROOT = Path(__file__).parents[1]
GITOPS = ROOT / "gitops"


@functools.cache
def program() -> tuple[str, ...]:
    """The command; empty where there is none."""
    if found := shutil.which("kustomize"):
        return (found, "build")
    if found := shutil.which("kubectl"):
        return (found, "kustomize")
    found_beside = unpacked("kustomize")
    return (str(found_beside), "build") if found_beside else ()


def build(folder: Path) -> list[Json]:
    """The objects of a folder."""
    done = subprocess.run([*program(), str(folder)], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, f"{folder}: {done.stderr[-2000:]}"
    return [thing for thing in yaml.load_all(done.stdout, yaml.CSafeLoader) if thing]


def build_all(folders: Sequence[Path]) -> dict[str, list[Json]]:
    """The objects of folders, by the folder's name below gitops/."""
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(build, folders))
    return {path.relative_to(GITOPS).as_posix(): objects for path, objects in zip(folders, found, strict=True)}
