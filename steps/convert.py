"""Turns one uploaded vector file into an area: `python -m steps.convert FILE NAME MAX_VERTICES MAX_KM2`.

Answers on standard output as `steps.clerk` does. Runs in a process of its own, since the file may be made to do harm.
"""

import sys

import msgspec

from steps.aoi import area_facts
from steps.errors import AoiError, GeoCropError
from steps.naming import slug
from steps.vectors import read_aoi


def main() -> int:
    """One file, one answer."""
    path, name, max_vertices, max_km2 = sys.argv[1:5]
    try:
        done = {"done": convert(path, name, int(max_vertices), float(max_km2))}
    except GeoCropError as error:
        what = error.what.replace(path, name)
        done = {"refused": {"kind": "data", "what": what, "remedy": error.remedy}}
    except MemoryError:
        done = {"refused": {"kind": "data", "what": f"{name} takes too much memory", "remedy": "simplify it"}}
    sys.stdout.buffer.write(msgspec.json.encode(done))
    return 0


def convert(path: str, name: str, max_vertices: int, max_km2: float) -> dict[str, object]:
    """The area and what it amounts to; raises AoiError for one that is too large."""
    aoi = read_aoi(path)
    facts = area_facts(aoi)
    if facts["vertices"] > max_vertices:
        raise AoiError(f"{name} has {facts['vertices']:,} vertices", f"simplify it to {max_vertices:,}")
    if facts["area_km2"] > max_km2:
        raise AoiError(f"{name} has {facts['area_km2']:,.0f} km2", f"draw at most {max_km2:,.0f}")
    return {"name": slug(name), "geometry": aoi.geometry, **facts}


if __name__ == "__main__":
    sys.exit(main())
