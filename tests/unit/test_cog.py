import struct
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rio_cogeo import cog_validate

from steps.cog import BLOCK, RasterSpec, cog_writer
from steps.cog_layout import Level, file_head, framed, read_tags
from steps.model.card import ClassDef
from tests.range_server import serving

Pixels = NDArray[np.uint8]
CLASSES = (
    ClassDef(code=0, name="maize", colour="e3a72f"),
    ClassDef(code=3, name="forêt & <bois>", colour="397d49"),
    ClassDef(code=254, name="other", colour="010203"),
)


def any_raster(**changes: Any) -> RasterSpec:
    fields: dict[str, Any] = {
        "epsg": 32736,
        "transform": (10.0, 0.0, 600_010.0, 0.0, -10.0, 8_000_030.0),
        "width": 700,
        "height": 600,
    }
    return RasterSpec(**(fields | changes))


def any_pixels(spec: RasterSpec, seed: int = 0) -> Pixels:
    """Patches of 0 to 4 and nodata, with single pixels among them; uint8 (band, y, x)."""
    random = np.random.default_rng(seed)
    shape = (spec.bands, spec.height, spec.width)
    patches = random.integers(0, 5, (spec.bands, -(-spec.height // 7), -(-spec.width // 7)), np.uint8)
    pixels = patches.repeat(7, axis=1).repeat(7, axis=2)[:, : spec.height, : spec.width]
    pixels = np.where(random.random(shape) < 0.2, random.integers(0, 5, shape, np.uint8), pixels)
    return np.where(random.random(shape) < 0.3, np.uint8(spec.nodata), pixels)


def write(path: Path, spec: RasterSpec, pixels: Pixels, *, rows: int = 100, threads: int = 2) -> Path:
    with cog_writer(path, spec, threads=threads) as writer:
        for top in range(0, spec.height, rows):
            writer.append(pixels[:, top : top + rows])
    return path


def overviews(path: Path) -> list[Pixels]:
    with rasterio.open(path) as source:
        count = len(source.overviews(1))
    levels = []
    for level in range(count):
        with rasterio.open(path, overview_level=level) as source:
            levels.append(source.read())
    return levels


def naive_pairs(source: int) -> list[tuple[int, int]]:
    """For each pixel of half the size, the two source pixels whose common edge is nearest to its centre."""
    halved = -(-source // 2)
    centres = [Fraction((2 * index + 1) * source, 2 * halved) for index in range(halved)]
    edges = [min(range(1, source), key=lambda edge, centre=centre: (abs(edge - centre), -edge)) for centre in centres]
    return [(edge - 1, edge) for edge in edges]


def naive_halved(pixels: Pixels, how: str, nodata: int) -> Pixels:
    rows, cols = naive_pairs(pixels.shape[1]), naive_pairs(pixels.shape[2])
    out = np.empty((len(pixels), len(rows), len(cols)), np.uint8)
    for band, plane in enumerate(pixels):
        for y, (top, bottom) in enumerate(rows):
            for x, (left, right) in enumerate(cols):
                four = [int(plane[row, col]) for row in (top, bottom) for col in (left, right)]
                out[band, y, x] = naive_value(four, how, nodata)
    return out


def naive_value(four: list[int], how: str, nodata: int) -> int:
    valid = sorted(value for value in four if value != nodata)
    if how == "nearest":
        return four[0]
    if not valid:
        return nodata
    return max(valid, key=valid.count) if how == "mode" else int(sum(valid) / len(valid) + 0.5)


@pytest.mark.parametrize("size", [(1, 1), (1, 1300), (600, 2), (511, 512), (513, 20), (1024, 1024), (700, 1537)])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_every_size_is_a_strict_cog(tmp_path: Path, size: tuple[int, int], bands: int) -> None:
    """Files of any size and number of bands pass the strict validation and hold the pixels they were given."""
    spec = any_raster(height=size[0], width=size[1], bands=bands, overviews="average", nodata=0)
    pixels = any_pixels(spec)
    path = write(tmp_path / "any.tif", spec, pixels)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(path) as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.block_shapes == [(BLOCK, BLOCK)] * bands
        np.testing.assert_array_equal(source.read(), pixels)


@settings(max_examples=10, deadline=None)
@given(
    size=st.tuples(st.integers(2, 40), st.integers(513, 560)),
    is_upright=st.booleans(),
    how=st.sampled_from(("mode", "nearest", "average")),
    nodata=st.sampled_from((0, 255)),
    seed=st.integers(0, 2**32),
)
def test_an_overview_is_the_naive_one(
    tmp_path_factory: pytest.TempPathFactory, size: tuple[int, int], is_upright: bool, how: Any, nodata: int, seed: int
) -> None:
    """Mode, nearest and mean of 2 x 2 pixels, odd sizes too, are what a loop over pixels finds."""
    height, width = size[::-1] if is_upright else size
    spec = any_raster(height=height, width=width, overviews=how, nodata=nodata)
    pixels = any_pixels(spec, seed)
    path = write(tmp_path_factory.mktemp("cog") / "any.tif", spec, pixels, rows=1 + seed % 300)
    np.testing.assert_array_equal(overviews(path)[0], naive_halved(pixels, how, nodata))


def test_overviews_build_on_one_another(tmp_path: Path) -> None:
    """Every overview is made from the one before, until one fits into a tile."""
    spec = any_raster(height=1100, width=2300, overviews="mode")
    path = write(tmp_path / "any.tif", spec, any_pixels(spec), rows=333)
    levels = overviews(path)
    assert [level.shape[1:] for level in levels] == [(550, 1150), (275, 575), (138, 288)]
    np.testing.assert_array_equal(levels[1], naive_halved(levels[0], "mode", 255))
    np.testing.assert_array_equal(levels[2], naive_halved(levels[1], "mode", 255))


def test_an_overview_lies_where_the_raster_lies(tmp_path: Path) -> None:
    """An edge in a raster of odd width is at the same place in its overviews, to half a pixel of theirs."""
    spec = any_raster(height=3, width=2041, overviews="average")
    for edge in (3, 1001, 1500, 2030):
        pixels = np.full((1, 3, 2041), 200, np.uint8)
        pixels[:, :, edge:] = 0
        for level in overviews(write(tmp_path / "any.tif", spec, pixels)):
            ratio = spec.width / level.shape[2]
            assert abs(level[0, 0].sum() / 200 * ratio - edge) <= 0.5 * ratio


def test_a_checkerboard_averages_to_grey(tmp_path: Path) -> None:
    """Overviews of a one-pixel checkerboard are even: no 2 x 2 window is shifted."""
    spec = any_raster(height=1024, width=1024, overviews="average")
    pixels = (np.indices((1024, 1024)).sum(axis=0) % 2 * 100).astype(np.uint8)[None]
    assert all(np.all(level == 50) for level in overviews(write(tmp_path / "any.tif", spec, pixels)))


def test_confidence_averages_valid_pixels_only(tmp_path: Path) -> None:
    """Nodata does not take part in a mean, and is all that is left where nothing else is."""
    spec = any_raster(height=2, width=1024, overviews="average")
    pixels = np.full((1, 2, 1024), 255, np.uint8)
    pixels[0, 0, :4] = 80, 255, 90, 91
    assert overviews(write(tmp_path / "any.tif", spec, pixels))[0][0, 0, :3].tolist() == [80, 91, 255]


def test_a_tie_goes_to_the_lowest_code(tmp_path: Path) -> None:
    """Of equally common classes the lowest is kept, wherever it stands."""
    spec = any_raster(height=2, width=1024, overviews="mode")
    pixels = np.full((1, 2, 1024), 255, np.uint8)
    pixels[0, :, :8] = [[7, 2, 2, 7, 9, 255, 4, 3], [2, 7, 7, 2, 8, 255, 1, 2]]
    assert overviews(write(tmp_path / "any.tif", spec, pixels))[0][0, 0, :5].tolist() == [2, 2, 8, 1, 255]


def test_colours_and_names_survive(tmp_path: Path) -> None:
    """The colour table is in the file and in every overview; class names are in the file."""
    spec = any_raster(height=1100, width=1100, overviews="mode", classes=CLASSES, tags={"YEAR": "2019"})
    path = write(tmp_path / "any.tif", spec, any_pixels(spec))
    for options in ({}, {"overview_level": 0}, {"overview_level": 1}):
        with rasterio.open(path, **options) as source:
            colours = source.colormap(1)
            assert [colours[code][:3] for code in (0, 3, 254)] == [(0xE3, 0xA7, 0x2F), (0x39, 0x7D, 0x49), (1, 2, 3)]
            assert (source.nodata, source.colorinterp) == (255, (ColorInterp.palette,))
    with rasterio.open(path) as source:
        assert source.tags(1) == {"CLASS_0": "maize", "CLASS_3": "forêt & <bois>", "CLASS_254": "other"}
        assert source.tags()["YEAR"] == "2019"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["any.tif"]


@pytest.mark.parametrize("epsg", [32736, 6933, 3035, 4326])
def test_the_place_is_exact(tmp_path: Path, epsg: int) -> None:
    """CRS and bounds are those given, to the last bit, in projected and geographic CRSs."""
    step = 0.1 / 1113 if epsg == 4326 else 10.0
    spec = any_raster(epsg=epsg, transform=(step, 0.0, 21.3, 0.0, -step, 51.7), width=600, height=30)
    path = write(tmp_path / "any.tif", spec, any_pixels(spec))
    for options in ({}, {"overview_level": 0}):
        with rasterio.open(path, **options) as source:
            assert source.crs.to_epsg() == epsg
            assert source.bounds.left == 21.3
            assert source.bounds.top == 51.7
            assert source.bounds.right == pytest.approx(21.3 + step * 600, rel=1e-15)
    with rasterio.open(path) as source:
        assert tuple(source.transform)[:6] == spec.transform


def test_bands_keep_their_names(tmp_path: Path) -> None:
    """Descriptions of bands are kept, and three bands are red, green and blue."""
    spec = any_raster(bands=3, nodata=0, overviews="average", descriptions=("red", "green", "blue"))
    with rasterio.open(write(tmp_path / "any.tif", spec, any_pixels(spec))) as source:
        assert source.descriptions == ("red", "green", "blue")
        assert source.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert source.profile["interleave"] == "pixel"


def test_the_same_pixels_give_the_same_bytes(tmp_path: Path) -> None:
    """Neither the strips that pixels came in nor the number of threads changes a byte."""
    spec = any_raster(height=1300, width=1100, bands=3, overviews="average", nodata=0)
    pixels = any_pixels(spec)
    ways = [(1300, 1), (1300, 2), (1, 3), (511, 2), (777, 1)]
    files = [write(tmp_path / "any.tif", spec, pixels, rows=rows, threads=n).read_bytes() for rows, n in ways]
    assert len(set(files)) == 1


def test_another_reader_understands_it(tmp_path: Path) -> None:
    """A reader that is not GDAL finds the same pixels and overviews, deflated, in tiles."""
    spec = any_raster(height=600, width=1100, bands=3, overviews="average", nodata=0)
    pixels = any_pixels(spec)
    with tifffile.TiffFile(write(tmp_path / "any.tif", spec, pixels)) as tiff:
        assert [(page.shape, page.is_tiled, page.compression.name) for page in tiff.pages] == [
            ((600, 1100, 3), True, "ADOBE_DEFLATE"),
            ((300, 550, 3), True, "ADOBE_DEFLATE"),
            ((150, 275, 3), True, "ADOBE_DEFLATE"),
        ]
        np.testing.assert_array_equal(tiff.pages[0].asarray(), pixels.transpose(1, 2, 0))


def test_tiles_stand_between_leader_and_trailer(tmp_path: Path) -> None:
    """What the file's structural metadata promises of its tiles is true of each of them."""
    spec = any_raster(height=1100, width=1100)
    path = write(tmp_path / "any.tif", spec, any_pixels(spec))
    data, end = path.read_bytes(), 0
    assert data[8:51] == b"GDAL_STRUCTURAL_METADATA_SIZE=000140 bytes\n"
    with tifffile.TiffFile(path) as tiff:
        for page in reversed(tiff.pages):
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                assert struct.unpack_from("<I", data, offset - 4) == (count,)
                assert data[offset + count : offset + count + 4] == data[offset + count - 4 : offset + count]
                assert end in {0, offset - 4}
                end = offset + count + 4
    assert end == len(data)


def test_a_tile_is_read_over_http_by_few_ranges(tmp_path: Path) -> None:
    """GDAL, trusting leaders and trailers, finds tiles and overviews of a remote file and asks for little else."""
    spec = any_raster(height=3000, width=3000)
    pixels = np.random.default_rng(0).integers(0, 255, (1, 3000, 3000), np.uint8)
    size = write(tmp_path / "any.tif", spec, pixels).stat().st_size
    options = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "CPL_VSIL_CURL_USE_HEAD": "NO"}
    with serving(tmp_path) as server, rasterio.Env(**options):
        server.faults["any.tif"].append("whole")  # GDAL asks for the size, and hangs up
        url = f"/vsicurl/{server.url}/any.tif"
        with rasterio.open(url) as source:
            window = rasterio.windows.Window(1024, 512, BLOCK, BLOCK)
            np.testing.assert_array_equal(source.read(1, window=window), pixels[0, 512:1024, 1024:1536])
        with rasterio.open(url, overview_level=2) as source:
            np.testing.assert_array_equal(source.read(), overviews(tmp_path / "any.tif")[2])
        ranges = [asked.removeprefix("bytes=").split("-") for _, asked in server.asked if asked]
        assert sum(int(last) - int(first) + 1 for first, last in ranges) < size / 10


def test_beyond_4_gib_it_is_a_bigtiff(tmp_path: Path) -> None:
    """A file of more than 4 GiB has 64-bit places, and GDAL finds its last tile by them."""
    spec = any_raster(height=BLOCK, width=BLOCK)
    small = write(tmp_path / "small.tif", spec, any_pixels(spec)).read_bytes()
    (offset,), (count,) = (struct.unpack("<I", read_tags(small)[tag][2]) for tag in (324, 325))
    tile = small[offset : offset + count]
    levels = [Level(8 * BLOCK, BLOCK, [*[2**29 + 5] * 7, len(tile)]), Level(4 * BLOCK, BLOCK // 2, [2**30] * 4)]
    head = file_head(levels, read_tags(small))
    size = len(head) + sum(n + 8 for level in levels for n in level.counts)
    with (tmp_path / "big.tif").open("wb") as file:
        file.write(head)
        file.seek(size - len(framed(tile)))
        file.write(framed(tile))
    with rasterio.open(tmp_path / "big.tif") as source, rasterio.open(tmp_path / "small.tif") as original:
        last = rasterio.windows.Window(7 * BLOCK, 0, BLOCK, BLOCK)
        np.testing.assert_array_equal(source.read(1, window=last), original.read(1))
        assert source.overviews(1) == [2]


def test_just_below_4_gib_it_is_a_classic_tiff() -> None:
    """The larger form is taken only where it is needed."""
    tags = {256: (4, 1, b""), 42113: (2, 4, b"255\0")}
    head = file_head([Level(BLOCK, BLOCK, [2**32 - 1000])], tags)
    assert head[:4] == b"II*\0"
    assert file_head([Level(BLOCK, BLOCK, [2**32 - 100])], tags)[:4] == b"II+\0"


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    """When writing stops, there is neither a file nor a part of one, and what was there before stays."""
    spec = any_raster()
    before = write(tmp_path / "any.tif", spec, any_pixels(spec)).read_bytes()

    def half() -> Iterator[Pixels]:
        yield any_pixels(spec, 1)[:, :550]
        raise RuntimeError

    with pytest.raises(RuntimeError), cog_writer(tmp_path / "any.tif", spec) as writer:
        list(map(writer.append, half()))
    assert [file.name for file in tmp_path.iterdir()] == ["any.tif"]
    assert (tmp_path / "any.tif").read_bytes() == before


def test_missing_rows_are_an_error(tmp_path: Path) -> None:
    """A raster that is not complete is not written."""
    spec = any_raster()
    with pytest.raises(ValueError, match="550 of 600 rows"), cog_writer(tmp_path / "any.tif", spec) as writer:
        writer.append(any_pixels(spec)[:, :550])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "rows", [np.zeros((601, 700), np.uint8), np.zeros((1, 699), np.uint8), np.zeros((1, 700), np.int16)]
)
def test_rows_that_do_not_fit_are_refused(tmp_path: Path, rows: NDArray[Any]) -> None:
    """Too many rows, rows of another width and rows of another type are errors of the caller."""
    with pytest.raises(ValueError, match="do not fit"), cog_writer(tmp_path / "any.tif", any_raster()) as writer:
        writer.append(rows)


def test_memory_is_bounded_by_rows_not_by_the_raster(tmp_path: Path) -> None:
    """A raster of 320 MB is written with less than 100 MB more than before."""
    script = f"""
import resource, sys
import numpy as np
from pathlib import Path
from steps.cog import RasterSpec, cog_writer
def write(height):
    spec = RasterSpec(epsg=32736, transform=(10, 0, 0, 0, -10, 0), width=8000, height=height, overviews="mode")
    with cog_writer(Path({str(tmp_path)!r}) / "any.tif", spec, threads=2) as writer:
        for top in range(0, height, 500):
            writer.append(np.full((500, 8000), top % 250, np.uint8))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
first = write(500)
sys.exit(write(40_000) - first > 100 * 1024)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=Path(__file__).parents[2]).returncode == 0
