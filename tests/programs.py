"""Programs that may lie beside the project, packed: unpacked once, whichever test process asks first."""

import fcntl
import os
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("CLUSTER_FOLDER", ROOT.parent / "shared/cluster"))


def unpacked(name: str) -> Path | None:
    """A program; None where none lies beside the project."""
    if not (SHARED / f"bin/{name}.xz").exists():
        return None
    with one_at_a_time():
        done = subprocess.run([str(SHARED / "unpack.sh"), name], stdout=subprocess.PIPE, encoding="utf-8", check=True)
    return Path(done.stdout.strip().splitlines()[-1]) / name


class one_at_a_time:  # noqa: N801 - used as a statement
    """Holds off the other test processes of this machine: the scripts that unpack do not expect each other."""

    def __enter__(self) -> None:
        self._file = (Path(tempfile.gettempdir()) / "geocrop-unpack.lock").open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()
