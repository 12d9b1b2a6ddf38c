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
NEEDED = (
    "import pathlib, sys\n"
    "from steps import cli, contract\n"
    "import importlib\n"
    "for step in contract.STEPS: importlib.import_module('steps.commands.step_' + step.name.replace('-', '_'))\n"
    "import steps.tile, steps.publish, steps.prepare, steps.forest, minio, rasterio, xarray, urllib3.contrib, csv\n"
    "files = (getattr(module, '__file__', None) or '' for module in list(sys.modules.values()))\n"
    "print('\\n'.join(file for file in files if file.endswith('.py')))"
)

with tempfile.TemporaryDirectory() as home:
    environment = os.environ | {"GEOCROP_HOME": home, "NUMBA_CACHE_DIR": str(CACHE), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-m", "steps.cli", "calibrate"], env=environment, check=True)
    listed = subprocess.run([sys.executable, "-c", NEEDED], env=environment, check=True, capture_output=True, text=True)
for file in listed.stdout.split():
    if file.startswith(sys.prefix):
        py_compile.compile(file, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True)
