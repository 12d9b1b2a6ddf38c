"""Cloud-optimised GeoTIFFs from rows of pixels, in bounded memory.

Rows are appended to an uncompressed file beside the target; overviews are made from it as it grows; GDAL's COG driver
then lays both out as a COG. The same pixels give the same bytes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rasterio.windows import Window

from steps.model.card import ClassDef

BLOCK = 512
_CACHE_MB = 64
Transform = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterSpec:
    """What a COG is, but for its pixels, which are uint8."""

    epsg: int
    transform: Transform
    width: int
    height: int
    bands: int = 1
    nodata: int = 255
    overviews: Literal["mode", "nearest", "average"] = "nearest"
    classes: Sequence[ClassDef] = ()
    """Give a colour table and class names."""
    descriptions: Sequence[str] = ()
    """Names of the bands."""


@dataclass(slots=True)
class CogWriter:
    """Takes rows from top to bottom."""

    spec: RasterSpec
    target: rasterio.io.DatasetWriter
    row: int = field(default=0)

    def append(self, rows: np.ndarray) -> None:
        """uint8 (band, y, x), or (y, x) for one band."""
        block = rows if rows.ndim == 3 else rows[None]
        self.target.write(block, window=Window(0, self.row, self.spec.width, block.shape[1]))
        self.row += block.shape[1]


@contextmanager
def cog_writer(path: Path, spec: RasterSpec) -> Iterator[CogWriter]:
    """A writer; the COG is at `path` when the context ends without an error, and nothing is otherwise."""
    scratch = path.with_suffix(".rows.tif")
    try:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
            with rasterio.open(scratch, "w", **_profile(spec)) as target:
                _describe(target, spec)
                writer = CogWriter(spec, target)
                yield writer
            if writer.row != spec.height:
                raise ValueError(f"{path.name}: {writer.row} of {spec.height} rows were written")
            _lay_out(scratch, path, spec)
    finally:
        scratch.unlink(missing_ok=True)
        scratch.with_suffix(".tif.aux.xml").unlink(missing_ok=True)


def _profile(spec: RasterSpec) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": spec.bands,
        "width": spec.width,
        "height": spec.height,
        "crs": f"EPSG:{spec.epsg}",
        "transform": Affine(*spec.transform),
        "nodata": spec.nodata,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "photometric": "RGB" if spec.bands == 3 else "PALETTE" if spec.classes else "MINISBLACK",
        "interleave": "pixel" if spec.bands == 3 else "band",
        "bigtiff": "IF_SAFER",
    }


def _describe(target: rasterio.io.DatasetWriter, spec: RasterSpec) -> None:
    """Colours, class names and band names."""
    if spec.classes:
        target.write_colormap(1, colour_table(spec.classes))
        target.update_tags(1, **{f"CLASS_{entry.code}": entry.name for entry in spec.classes})
    elif spec.bands != 3:
        target.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (spec.bands - 1)]
    for band, name in enumerate(spec.descriptions, 1):
        target.set_band_description(band, name)


def colour_table(classes: Sequence[ClassDef]) -> dict[int, tuple[int, int, int, int]]:
    """Red, green, blue, alpha by class code."""
    return {entry.code: (*bytes.fromhex(entry.colour), 255) for entry in classes}


def _lay_out(scratch: Path, path: Path, spec: RasterSpec) -> None:
    rasterio.shutil.copy(
        scratch,
        path,
        driver="COG",
        compress="DEFLATE",
        level=6,
        predictor="STANDARD" if spec.bands == 3 else "NO",
        blocksize=BLOCK,
        num_threads="ALL_CPUS",
        overview_resampling=spec.overviews,
        bigtiff="IF_SAFER",
        statistics="NO",
    )
