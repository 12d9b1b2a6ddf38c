"""The layout of GeoTIFFs: what rasterio says, and nothing worse than a refusal for damaged ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine

from steps.placement import Rect
from steps.tiff import BrokenTiff, Fetch, UnsupportedTiff, read_layout


def write(path: Path, **changes: Any) -> Path:
    facts = {
        "driver": "GTiff",
        "dtype": "uint16",
        "count": 1,
        "width": 70,
        "height": 50,
        "crs": "EPSG:32736",
        "nodata": 0,
        "transform": Affine(20, 0, 300_000, 0, -20, 8_000_000),
        "tiled": True,
        "blockxsize": 32,
        "blockysize": 16,
        "compress": "deflate",
        "predictor": 2,
    } | changes
    pixels = np.arange(facts["count"] * facts["width"] * facts["height"]) % 251
    with rasterio.open(path, "w", **facts) as raster:
        raster.write(pixels.reshape(facts["count"], facts["height"], facts["width"]).astype(facts["dtype"]))
    return path


def fetch_from(content: bytes) -> Fetch:
    return lambda start, length: content[start : start + length]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"bigtiff": "yes"},
        {"dtype": "uint8"},
        {"dtype": "int16", "nodata": -32768},
        {"compress": None, "predictor": 1},
        {"tiled": False, "blockysize": 7},
        {"nodata": None},
        {"width": 1000, "height": 900},
    ],
)
def test_the_layout_is_what_gdal_says(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Size, place, type, blocks and where they lie."""
    path = write(tmp_path / "a.tif", **changes)
    layout = read_layout(fetch_from(path.read_bytes()))
    with rasterio.open(path) as raster:
        step = raster.transform
        assert layout.lattice == (raster.crs.to_epsg(), step.a, step.c, step.f, raster.height, raster.width)
        assert (layout.dtype.name, layout.nodata, layout.block) == (
            raster.dtypes[0],
            raster.nodata,
            raster.block_shapes[0],
        )
        for number in layout.blocks(Rect(0, raster.height, 0, raster.width)):
            row, col = divmod(number, layout.across)
            offset = raster.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1)
            assert layout.offsets[number] == int(offset)


@pytest.mark.parametrize(
    "changes",
    [
        {"compress": "lzw"},
        {"dtype": "float32", "predictor": 1},
        {"count": 3},
        {"endianness": "big"},
        {"transform": Affine(20, 0, 0, 0, -10, 0)},
        {"transform": Affine(20, 1, 0, 1, -20, 0)},
    ],
)
def test_other_files_are_left_to_gdal(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Refused, with a reason, rather than misread."""
    content = write(tmp_path / "a.tif", **changes).read_bytes()
    with pytest.raises(UnsupportedTiff, match="it"):
        read_layout(fetch_from(content))


@pytest.mark.parametrize("content", [b"", b"II", b"II*\0", b"<html>not found</html>", b"\0" * 20_000])
def test_what_is_no_tiff_is_refused(content: bytes) -> None:
    """Whatever a server sends instead."""
    with pytest.raises((UnsupportedTiff, BrokenTiff)):
        read_layout(fetch_from(content))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("tiff") / "a.tif").read_bytes()


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_damage_is_never_worse_than_a_refusal(sound: bytes, data: st.DataObject) -> None:
    """Any bytes changed or cut off: a layout or one of two errors, in no time."""
    content = bytearray(sound[: data.draw(st.integers(0, len(sound)))])
    for _ in range(data.draw(st.integers(0, 6))):
        if content:
            content[data.draw(st.integers(0, min(len(content), 700) - 1))] = data.draw(st.integers(0, 255))
    try:
        layout = read_layout(fetch_from(bytes(content)))
    except (UnsupportedTiff, BrokenTiff):
        return
    assert min(layout.block) > 0
