import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from steps import versions
from steps.versions import PIXEL_VERSION, code_version, pixel_version


def git(folder: Path, *arguments: str) -> str:
    """What git says, in a repository that nobody's configuration touches."""
    identity = ("-c", "user.name=any", "-c", "user.email=any@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a commit."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "any")
    return folder


def test_the_pixel_version_names_what_makes_pixels():
    """Our own number, the libraries that compute or resample, and the kind of CPU are in every key."""
    said = dict(part.split("=") for part in pixel_version().split(";") if "=" in part)
    assert said["geocrop-pixels"] == str(PIXEL_VERSION)
    for name in ("rasterio", "numpy", "numba", "xgboost-cpu", "pyproj", "stackstac"):
        assert said[name] == version(name)
    assert said["cpu"]


def test_the_pixel_version_names_the_wheels_gdal():
    """Two builds of one rasterio carry two GDALs: the library's own name, with its digest, tells them apart."""
    import rasterio

    bundled = [part for part in pixel_version().split(";") if part.startswith("libgdal")]
    folder = Path(rasterio.__file__).parents[1] / "rasterio.libs"
    expected = sorted(path.name for path in folder.glob("libgdal*")) if folder.exists() else []
    assert bundled == expected


def test_our_own_number_is_in_the_key(monkeypatch: pytest.MonkeyPatch):
    """Raising `PIXEL_VERSION` makes every tile anew."""
    before = pixel_version()
    monkeypatch.setattr(versions, "PIXEL_VERSION", PIXEL_VERSION + 1)
    assert pixel_version.__wrapped__() != before


def test_versions_import_nothing_of_what_they_name():
    """The API asks for versions and must not load rasters for it; nor is a process started."""
    code = (
        "import sys; from steps.versions import pixel_version, code_version; pixel_version(); code_version(); "
        "heavy = {'rasterio', 'numpy', 'numba', 'xgboost', 'pyproj', 'subprocess'}; "
        "print(sorted(heavy & {*sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert out.stdout.strip() == "[]"


def test_a_checkout_says_its_commit(checkout: Path):
    """On a branch, with packed references, detached, and in a further work tree: what git itself says."""
    commit = git(checkout, "rev-parse", "HEAD")
    assert versions._commit(checkout / ".git") == commit
    git(checkout, "pack-refs", "--all")
    assert versions._commit(checkout / ".git") == commit
    git(checkout, "worktree", "add", "-q", "-b", "other", str(checkout.parent / "second"))
    git(checkout.parent / "second", "commit", "-q", "--allow-empty", "-m", "second")
    second = git(checkout.parent / "second", "rev-parse", "HEAD")
    assert second != commit
    assert versions._commit(checkout.parent / "second" / ".git") == second
    git(checkout, "checkout", "-q", "--detach")
    assert versions._commit(checkout / ".git") == commit


def test_without_a_repository_there_is_no_commit(tmp_path: Path):
    """An installed package, a repository without a commit and a broken one say only the package's version."""
    assert versions._commit(tmp_path / ".git") == ""
    git(tmp_path, "init", "-q", "-b", "main")
    assert versions._commit(tmp_path / ".git") == ""
    (tmp_path / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    assert versions._commit(tmp_path / ".git") == ""


def test_the_code_version_starts_with_the_packages():
    """What a plan says of the code is the package's version, with a commit when there is one."""
    assert code_version().split("+")[0] == version("geocrop")
