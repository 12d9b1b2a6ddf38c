"""Scenes of make_data.py's landscape that cannot be read at one place: `harm.py FOLDER LON LAT`.

The block of every scene's red band there is overwritten, so that a map of more than this place is made in part. What
was there before lies in FOLDER/mending until `harm.py FOLDER` puts it back.
"""

import os
import shutil
import sys
from pathlib import Path


def harm(folder: Path, lon: float, lat: float) -> int:
    """How many files are damaged now."""
    import rasterio  # noqa: PLC0415 - not needed for mending
    from rasterio.warp import transform  # noqa: PLC0415

    harmed = 0
    for path in sorted((folder / "land").rglob("red.tif")):
        with rasterio.open(path) as source:
            (x,), (y,) = transform("EPSG:4326", source.crs, [lon], [lat])
            row, column = source.index(x, y)
            height, width = source.block_shapes[0]
            place = f"{column // width}_{row // height}"
            offset = source.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=1)
            size = source.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=1)
        if offset is None or size is None:
            continue
        kept = folder / "mending" / path.relative_to(folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, kept)
        with path.open("r+b") as file:
            file.seek(int(offset))
            file.write(b"\xff" * int(size))
        harmed += 1
    return harmed


def mend(folder: Path) -> None:
    """Put everything back; the files are newer than they were, as a provider's would be."""
    for kept in sorted((folder / "mending").rglob("*.tif")):
        path = folder / kept.relative_to(folder / "mending")
        shutil.move(kept, path)
        os.utime(path)
    shutil.rmtree(folder / "mending", ignore_errors=True)


if __name__ == "__main__":
    at = Path(sys.argv[1]).resolve()
    if len(sys.argv) > 2:
        sys.exit(0 if harm(at, float(sys.argv[2]), float(sys.argv[3])) else "no scene is there")
    mend(at)
