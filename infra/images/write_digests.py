"""Puts digests into the list of images: `write_digests.py LIST FOLDER`, a file `NAME` with the digest of geocrop-NAME.

The list stays as it is written, comments and all; an image that it does not have is an error. Standard library only.
"""

import os
import re
import sys
from pathlib import Path

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def main(arguments: list[str]) -> int:
    """Change the list."""
    path, folder = Path(arguments[0]), Path(arguments[1])
    text = path.read_text(encoding="utf-8")
    for file in sorted(folder.iterdir()):
        text = pinned(text, f"geocrop-{file.name}", file.read_text(encoding="ascii").strip(), place_of(file.name))
    path.write_text(text, encoding="utf-8")
    return 0


def place_of(name: str) -> str:
    """Registry, owner and name of an image that was pushed."""
    registry, owner = os.environ.get("REGISTRY", "docker.io"), os.environ.get("OWNER", "frankchine")
    return f"{registry}/{owner}/geocrop-{name}"


def pinned(text: str, name: str, digest: str, place: str) -> str:
    """The list with an image by its digest; raises SystemExit when it has no such image, or that is no digest."""
    if not DIGEST.fullmatch(digest):
        raise SystemExit(f"{name}: {digest!r} is no digest")
    line = re.compile(rf"\{{name: ((?:localhost/)?{re.escape(name)}), [^}}]*\}}")
    if not line.search(text):
        raise SystemExit(f"the list of images has no {name}")
    return line.sub(lambda found: f"{{name: {found[1]}, newName: {place}, digest: {digest}}}", text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
