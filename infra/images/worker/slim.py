"""Takes out of the image what no step uses: the libraries' own tests, pip, and headers."""

import shutil
import sysconfig
from pathlib import Path

SITE = Path(sysconfig.get_path("purelib"))
UNUSED = ("*/tests", "*/*/tests", "*/*/*/tests", "pip", "pip-*", "setuptools", "setuptools-*", "numpy/_core/include")
KEPT = {"numba", "steps"}
"""numba imports from its tests."""

for pattern in UNUSED:
    for path in SITE.glob(pattern):
        if path.is_dir() and path.relative_to(SITE).parts[0] not in KEPT:
            shutil.rmtree(path)
