"""How long `geocrop --help` takes, the process as a whole, against Python itself doing nothing."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

_REPEATS = 9


def run() -> dict[str, float]:
    """Medians in seconds."""
    geocrop = Path(sys.executable).parent / "geocrop"
    return {
        "help_s": round(_median([str(geocrop), "--help"]), 3),
        "python_s": round(_median([sys.executable, "-c", "pass"]), 3),
    }


def _median(command: list[str]) -> float:
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
