"""Compiles ahead what a pod would compile at its start: the loops of numba, and the bytecode of what is imported.

Bytecode is kept for those modules alone: of everything it would be a third of the image.
"""

import os
import py_compile
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path("/opt/geocrop/numba")

with tempfile.TemporaryDirectory() as home:
    environment = os.environ | {"GEOCROP_HOME": home, "NUMBA_CACHE_DIR": str(CACHE), "PYTHONDONTWRITEBYTECODE": "1"}
    script = str(Path(__file__).with_name("first_map.py"))
    command = [sys.executable, "-P", script, home]  # -P: what is installed, not the sources beside the script
    listed = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
for file in listed.stdout.split():
    if file.startswith(sys.prefix):
        py_compile.compile(file, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True)
