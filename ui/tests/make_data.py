"""Baselines of a made landscape, a COG a year, for the tests of the page: `python ui/tests/make_data.py FOLDER`."""

import sys
import tempfile
from pathlib import Path

from steps.baselines import import_baselines
from steps.landscape import make_landscape
from steps.settings import settings
from steps.store import open_store

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        land = make_landscape(Path(scratch), size_px=1536, dates=1, years=tuple(range(2015, 2026)))
        import_baselines([str(path) for path in land.baselines.values()], open_store(sys.argv[1], settings()))
