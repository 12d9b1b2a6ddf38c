"""`python -m tests.bench [NAME ...]`: each bench in a process of its own, one after the other, as JSON lines."""

import subprocess
import sys
from pathlib import Path

NAMES = ("start", "load", "features", "predict", "train", "cog", "mosaic_memory", "tile_memory", "drift", "job", "api")
_RUN = """import importlib, json, sys
print(json.dumps({"bench": sys.argv[1]} | importlib.import_module(sys.argv[2]).run()))"""


def main(names: list[str]) -> int:
    """Run the named benches, or all; the worst exit code."""
    root, worst = Path(__file__).parents[2], 0
    for name in names or NAMES:
        done = subprocess.run([sys.executable, "-c", _RUN, name, f"tests.bench.{name}"], cwd=root, check=False)
        worst = max(worst, done.returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
