"""Where a tile's pixels lie in a raster."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from steps.placement import Lattice, Rect, Sampled, Shifted, place

UTM = 32736
RASTER = Lattice(UTM, 10.0, 300_000.0, 8_000_000.0, 40, 50)


def any_pixels(lattice: Lattice, seed: int = 0) -> np.ndarray:
    """Numbers from 1 on, with a few holes of 0."""
    pixels = np.random.default_rng(seed).integers(1, 60_000, lattice.shape).astype(np.uint16)
    pixels[::7, ::5] = 0
    return pixels


def crop(pixels: np.ndarray, rect: Rect) -> np.ndarray:
    return pixels[rect.top : rect.bottom, rect.left : rect.right]


def naive_nearest(pixels: np.ndarray, source: Lattice, target: Lattice) -> np.ndarray:
    """One pixel at a time, by the definition."""
    to_source = Transformer.from_crs(target.epsg, source.epsg, always_xy=True)
    out = np.zeros(target.shape, pixels.dtype)
    for row in range(target.rows):
        for col in range(target.cols):
            x, y = target.left + (col + 0.5) * target.res, target.top - (row + 0.5) * target.res
            x, y = to_source.transform(x, y) if target.epsg != source.epsg else (x, y)
            i, j = int((source.top - y) // source.res), int((x - source.left) // source.res)
            if 0 <= i < source.rows and 0 <= j < source.cols:
                out[row, col] = pixels[i, j]
    return out


@settings(deadline=None, max_examples=60)
@given(
    row=st.integers(-60, 60),
    col=st.integers(-60, 60),
    rows=st.integers(1, 70),
    cols=st.integers(1, 70),
    off=st.sampled_from([0.0, 2.5, 5.0, 7.4218]),
    res=st.sampled_from([10.0, 20.0, 60.0]),
)
def test_nearest_is_the_pixel_that_holds_the_centre(
    row: int, col: int, rows: int, cols: int, off: float, res: float
) -> None:
    """Any window, on the grid or off it, over an edge or outside, equals the naive answer."""
    target = Lattice(UTM, res, RASTER.left + col * 10 + off, RASTER.top - row * 10 + off, rows, cols)
    pixels = any_pixels(RASTER)
    view = place(RASTER, target)
    np.testing.assert_array_equal(
        view.fill(crop(pixels, view.rect), 0), naive_nearest(pixels, RASTER, target), strict=True
    )


@pytest.mark.parametrize("epsg", [32735, 6933, 3035])
def test_another_crs_equals_the_exact_reprojection(epsg: int) -> None:
    """Interpolating between exact nodes moves no pixel."""
    source = Lattice(UTM, 10.0, 300_000.0, 8_000_000.0, 120, 120)
    if epsg == 3035:
        source = Lattice(32634, 10.0, 500_000.0, 5_000_000.0, 120, 120)
    x, y = Transformer.from_crs(source.epsg, epsg, always_xy=True).transform(source.left + 600, source.top - 600)
    target = Lattice(epsg, 10.0, x // 10 * 10 - 400, y // 10 * 10 + 400, 80, 80)
    pixels = any_pixels(source)
    view = place(source, target)
    same = view.fill(crop(pixels, view.rect), 0) == naive_nearest(pixels, source, target)
    assert same.mean() > 0.9995


def test_strips_agree_with_the_whole() -> None:
    """A row of a reprojected tile is the same in whatever strip it is read."""
    source = Lattice(32735, 10.0, 700_000.0, 8_000_000.0, 300, 300)
    x, y = Transformer.from_crs(32735, 6933, always_xy=True).transform(701_500, 7_998_500)
    whole = Lattice(6933, 10.0, x // 10 * 10 - 500, y // 10 * 10 + 500, 100, 100)
    pixels = any_pixels(source)

    def read(target: Lattice) -> np.ndarray:
        view = place(source, target, "bilinear")
        return view.fill(crop(pixels, view.rect), 0)

    strips = [read(whole._replace(top=whole.top - 10 * start, rows=26)) for start in (0, 26, 52)]
    np.testing.assert_array_equal(np.concatenate(strips), read(whole)[:78])


def test_bilinear_leaves_out_pixels_without_data() -> None:
    """Half a pixel off, a value is the mean of its neighbours with data; there is none where nearest has none."""
    source = Lattice(UTM, 10.0, 0.0, 0.0, 2, 3)
    pixels = np.array([[100, 200, 0], [300, 400, 0]], np.uint16)
    target = Lattice(UTM, 10.0, 5.0, -5.0, 1, 2)
    view = place(source, target, "bilinear")
    assert view.fill(crop(pixels, view.rect), 0).tolist() == [[250, 0]]


def test_bilinear_on_the_grid_is_the_pixel() -> None:
    """On the grid no resampling touches a value."""
    target = RASTER._replace(left=RASTER.left - 30, top=RASTER.top - 20, rows=10, cols=10)
    view = place(RASTER, target, "bilinear")
    pixels = any_pixels(RASTER)
    np.testing.assert_array_equal(view.fill(crop(pixels, view.rect), 0)[:, 3:], pixels[2:12, :7])


def test_only_rasters_off_the_grid_are_sampled() -> None:
    """Whole pixels off is on the grid; a fraction, another size or CRS is not."""
    assert isinstance(place(RASTER, RASTER._replace(left=RASTER.left + 70)), Shifted)
    for other in (RASTER._replace(left=RASTER.left + 1), RASTER._replace(res=20.0), RASTER._replace(epsg=32735)):
        assert isinstance(place(RASTER, other), Sampled)
