"""Maps what first_models.py made, in small tiles and large ones, and prints the modules that were imported for it.

What this compiles (loops of numba, in NUMBA_CACHE_DIR) and imports is what warm.py keeps for the pods: a loop that is
missing costs each pod a second, an import some hundredths.
"""

import contextlib
import importlib
import os
import sys
from pathlib import Path

from steps import cli, contract


def main(folder: Path) -> None:
    """As a user would, in this process."""
    land = folder / "land"
    where = [str(land / "aoi.geojson"), "--season", "2021-10-01/2022-09-30", "--catalog", str(land / "catalog.json")]
    for number, model in enumerate(sorted((folder / "models").iterdir())):
        size, out = ("64", "256")[number % 2], str(folder / f"store-{number}")
        if code := cli.main(
            ["run", *where, "--model", str(model), "--tile-size", size, "--out", out, "--workers", "0"]
        ):
            raise SystemExit(code)


if __name__ == "__main__":
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        main(Path(sys.argv[1]))
    for step in contract.STEPS:
        importlib.import_module("steps.commands.step_" + step.name.replace("-", "_"))
    for name in ("steps.publish", "steps.prepare", "minio", "urllib3.contrib", "csv"):
        importlib.import_module(name)
    files = (getattr(module, "__file__", None) or "" for module in list(sys.modules.values()))
    sys.stdout.write("\n".join(file for file in files if file.endswith(".py")))
