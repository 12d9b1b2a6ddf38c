"""What of Gitea's files goes into a backup."""

import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "gitops/apps/backups/keep.py"
CODE = f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); import keep; keep.pack_git()"


def packed(folder: Path) -> set[str]:
    """Names in the archive of a Gitea that has something of everything."""
    git, work = folder / "gitea", folder / "work"
    for name in ("data/tmp/index1", "log/gitea.log", "repositories/any.git/refs/heads/tmp/new", "conf/app.ini"):
        (git / name).parent.mkdir(parents=True, exist_ok=True)
        (git / name).write_text("any", encoding="utf-8")
    sqlite3.connect(git / "gitea.db").close()
    work.mkdir()
    subprocess.run([sys.executable, "-B", "-c", CODE], env={"GIT": str(git), "WORK": str(work)}, check=True)
    with tarfile.open(work / "gitea.tar") as tar:
        return set(tar.getnames())


def test_a_branch_may_have_any_name(tmp_path: Path) -> None:
    """Files are kept but for those that Gitea makes again, which are told by where they lie."""
    names = packed(tmp_path)
    assert {"gitea/gitea.db", "gitea/conf/app.ini", "gitea/repositories/any.git/refs/heads/tmp/new"} <= names
    assert not {name for name in names if name.startswith(("gitea/log", "gitea/data/tmp"))}
