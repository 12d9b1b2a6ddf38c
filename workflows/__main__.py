"""`python -m workflows render [--check]`."""

import argparse
import sys
from pathlib import Path

from workflows.manifests import manifests

FOLDER = Path(__file__).parents[1] / "gitops/apps/workflow-templates"


def main(argv: list[str]) -> int:
    """Write the manifests; with `--check`, only say which are out of date."""
    parser = argparse.ArgumentParser(prog="workflows", description="Argo workflows of GeoCrop")
    render = parser.add_subparsers(required=True, metavar="COMMAND").add_parser("render", help="write the manifests")
    render.add_argument("--check", action="store_true", help="only say what is out of date")
    if parser.parse_args(argv).check:
        return check(FOLDER)
    write(FOLDER)
    return 0


def write(folder: Path) -> None:
    """Write every manifest and remove what is not one any more."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = manifests()
    for path in set(folder.glob("*.yaml")) - {folder / name for name in wanted}:
        path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")


def check(folder: Path) -> int:
    """0 when the files are what would be written, else 1 with their names."""
    wanted = manifests()
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")}
    stale = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    for name in stale:
        sys.stderr.write(f"{folder / name} is out of date: run ./task render\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
