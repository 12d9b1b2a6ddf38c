"""Compiles ahead what a pod would compile at its start: the loops of numba, and the bytecode of what is imported.

Maps a small landscape with every kind of model for it. Bytecode is kept for the modules of that process alone: of
everything it would be a third of the image. Run it with `-X no_debug_ranges`: without columns of the source, bytecode
is smaller, and sooner read.
"""

import os
import py_compile
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = "/opt/geocrop/numba"


def run(script: str, folder: str) -> str:
    """What a script beside this one says. `-P`: it finds what is installed, not the sources beside it."""
    environment = os.environ | {"GEOCROP_HOME": folder, "NUMBA_CACHE_DIR": CACHE, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", str(Path(__file__).with_name(script)), folder]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


with tempfile.TemporaryDirectory() as home:
    run("first_models.py", home)
    modules = run("first_map.py", home)
for file in modules.splitlines():
    if file.startswith(sys.prefix):
        py_compile.compile(file, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True)
