"""Digests that a build writes back to the list of images."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "infra/images/write_digests.py"
LIST = ROOT / "gitops/place/images/kustomization.yaml"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def write(folder: Path, digests: dict[str, str], **environment: str) -> tuple[int, str, str]:
    """Exit code, what was said, and the list afterwards."""
    path, told = folder / "images.yaml", folder / "digests"
    path.write_text(LIST.read_text(encoding="utf-8"), encoding="utf-8")
    told.mkdir()
    for name, digest in digests.items():
        (told / name).write_text(digest, encoding="ascii")
    env = os.environ | environment
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(path), str(told)],
        env=env,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stderr, path.read_text(encoding="utf-8")


def test_images_are_pinned_by_their_digests(tmp_path: Path) -> None:
    """Those that were built, in the registry that they were pushed to; all others stay."""
    code, said, text = write(tmp_path, {"api": DIGEST, "worker": DIGEST}, REGISTRY="any.example", OWNER="anybody")
    assert (code, said) == (0, "")
    before = {one["name"]: one for one in yaml.safe_load(LIST.read_text(encoding="utf-8"))["images"]}
    after = {one["name"]: one for one in yaml.safe_load(text)["images"]}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"geocrop-api", "localhost/geocrop-worker"}
    assert after["geocrop-api"]["newName"] == "any.example/anybody/geocrop-api"
    assert after["geocrop-api"]["digest"] == DIGEST
    assert "newTag" not in after["geocrop-api"]
    assert text.count("#") == LIST.read_text(encoding="utf-8").count("#")


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    """A digest replaces a digest."""
    _, _, once = write(tmp_path, {"api": DIGEST})
    (tmp_path / "images.yaml").write_text(once, encoding="utf-8")
    subprocess.run([sys.executable, str(PROGRAM), str(tmp_path / "images.yaml"), str(tmp_path / "digests")], check=True)
    assert (tmp_path / "images.yaml").read_text(encoding="utf-8") == once


@pytest.mark.parametrize(
    ("digests", "named"), [({"api": "latest"}, "is no digest"), ({"other": DIGEST}, "no geocrop-other")]
)
def test_what_does_not_fit_is_refused(tmp_path: Path, digests: dict[str, str], named: str) -> None:
    """And nothing is written."""
    code, said, text = write(tmp_path, digests)
    assert code != 0
    assert named in said
    assert text == LIST.read_text(encoding="utf-8")
