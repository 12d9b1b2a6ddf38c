"""Training: `geocrop train --table` with its standard evaluation, on the samples of Southern Africa.

`python tests/bench/train.py` prints seconds of wall and of both cores' work, as JSON; the latter tell what the former
would be on a machine that does nothing else.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.accuracy import shared


def run() -> dict[str, float]:
    """Start of the command to registered model, imports included."""
    table = shared() / "deafrica_cropmask/southern.txt"
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "steps.cli", "train", "--table", str(table), "--name", "southern"]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"GEOCROP_HOME": home})
        wall = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "train_table_s": round(wall, 1),
        "train_table_cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "cores": len(os.sched_getaffinity(0)),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))  # noqa: T201
