"""What the code, its locks and its files may contain. The arrows between modules are in pyproject.toml."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-task.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RASTER_LIBRARIES = {"dask", "distributed", "isal", "numba", "rasterio", "rio_cogeo", "stackstac", "xarray"}
API_MODULES = (
    "model", "contract", "naming", "plan", "stac", "store", "s3", "records", "models", "registry", "errors", "settings",
)  # fmt: skip
HOSTS = ("pypi", "pythonhosted", "npmjs", "crates", "golang", "debian", "maven", "anaconda")
MACHINE_PATHS = re.compile(r"(?<![\w.~/-])/(?:work|root|home/[a-z]+|Users/[A-Z]\w+|opt/wheels)/[\w.]")
REGISTRIES = re.compile(rf"\b(?:{'|'.join(HOSTS)})\.(?:org|io|com)\b")
EXCEPTED = {"LICENSE"}


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    """Who imports whom."""
    return grimp.build_graph("steps", include_external_packages=True, cache_dir=None)


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """The project's own text files."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if listed.returncode:
        pytest.skip("not a git work tree of ours")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_arrows_hold() -> None:
    """import-linter's contracts in pyproject.toml are kept."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert found.returncode == 0, found.stdout[-4000:]


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("steps.contract", set()),
        ("steps.errors", set()),
        ("steps.model", {"steps.model", "msgspec"}),
        ("steps.naming", {"steps.model"}),
    ],
)
def test_foundations_import_little(imports: grimp.ImportGraph, module: str, allowed: set[str]) -> None:
    """These import the standard library and what is listed, nothing else of ours or of others."""
    inside = {module, *imports.find_descendants(module)}
    found = {one for name in inside for one in imports.find_modules_directly_imported_by(name)}
    outside = {one for one in found if one.split(".")[0] not in sys.stdlib_module_names}
    assert not {one for one in outside if not any(f"{one}.".startswith(f"{base}.") for base in allowed)} - inside


def test_what_an_api_imports_loads_no_raster_library() -> None:
    """Not even through the libraries that those modules import."""
    code = f"import sys\nfor name in {API_MODULES}: __import__('steps.' + name)\nprint(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, cwd=ROOT
    ).stdout
    assert "steps.records" in loaded.split()
    assert not RASTER_LIBRARIES & {name.split(".")[0] for name in loaded.split()}


def test_the_environment_is_read_in_one_module() -> None:
    """`os.environ` is read by steps/settings.py; others may only set defaults for a library."""
    readers = {
        path.name
        for path in (ROOT / "steps").rglob("*.py")
        if re.search(r"os\.(environ(?!\.setdefault)|getenv)", path.read_text(encoding="utf-8"))
    }
    assert readers == {"settings.py"}


def test_no_vague_module_names() -> None:
    """A module is named for what is in it."""
    names = {path.stem for path in (ROOT / "steps").rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}


def test_tests_can_live_side_by_side() -> None:
    """Test files have names of their own and no packages around them: `steps` stays the program's name."""
    files = [path.name for path in (ROOT / "tests").rglob("*.py")]
    counted = Counter(name for name in files if name.startswith("test_"))
    assert [name for name, count in counted.items() if count > 1] == []
    assert "__init__.py" not in files


def test_every_test_says_its_claim() -> None:
    """Each test has a docstring that is a sentence."""
    silent = [f"{path.name}:{name}" for path, name, text in _tests() if not (text and text.split("\n")[0][-1] in ".:;")]
    assert silent == []


def _tests() -> Iterator[tuple[Path, str, str | None]]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield path, node.name, ast.get_docstring(node)


def test_files_name_no_machine_and_no_registry(tracked: list[Path]) -> None:
    """Nothing tracked holds a path of somebody's machine or the host of a package registry."""
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked
        if path.name not in EXCEPTED
        for pattern in (MACHINE_PATHS, REGISTRIES)
        for match in pattern.finditer(path.read_text(encoding="utf-8", errors="ignore"))
    ]
    assert found == []


def test_the_search_for_hosts_finds_some() -> None:
    """The patterns of the test above match what they are for."""
    assert REGISTRIES.search("see https://files." + "pythonhosted" + ".org/packages")
    assert MACHINE_PATHS.search('open("/' + 'home/any/file")')
    assert not MACHINE_PATHS.search("https://any.example" + f"/{'root'}/x and /workspace and a/work/b")


def locked(name: str) -> dict[str, list[tuple[Version, str]]]:
    """A lock's versions with their markers, by package."""
    found: dict[str, list[tuple[Version, str]]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and not line[0].isspace():
            requirement = Requirement(line.removesuffix(" \\"))
            (pin,) = requirement.specifier
            assert pin.operator == "==", line
            found.setdefault(requirement.name, []).append((Version(pin.version), str(requirement.marker or "")))
    return found


def canonical(name: str) -> str:
    """A package's name as locks spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_versions_and_hashes_only(lock: str) -> None:
    """Every package is pinned and hashed, and no download address is written down."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", PROJECT["project"]["dependencies"]),
        ("requirements-dev.lock", PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]),
        ("requirements-task.lock", PROJECT["dependency-groups"]["task"]),
    ],
    ids=LOCKS,
)
def test_locks_fit_the_project(lock: str, wanted: list[str]) -> None:
    """What pyproject.toml asks for is locked, in a version that it allows: otherwise run ./task lock."""
    pins = locked(lock)
    for requirement in map(Requirement, wanted):
        versions = pins.get(canonical(requirement.name), [])
        assert versions, requirement
        assert all(requirement.specifier.contains(version) for version, _ in versions), requirement


def test_users_and_developers_have_the_same_versions() -> None:
    """The development lock holds the other one."""
    development = locked("requirements-dev.lock")
    assert {name: development.get(name) for name in locked("requirements.lock")} == locked("requirements.lock")


def test_scripts_are_sound() -> None:
    """`task` is POSIX sh and `.ci/run` bash, both executable, without a syntax error."""
    for name, shell in (("task", "sh"), (".ci/run", "bash")):
        assert os.access(ROOT / name, os.X_OK)
        assert (ROOT / name).read_text(encoding="utf-8").startswith(("#!/bin/sh\n", "#!/usr/bin/env bash\n"))
        subprocess.run([shell, "-n", ROOT / name], check=True)
