from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.transform import Affine

from steps import seams
from steps.report import SeamScore
from steps.seams import seam_score
from steps.testing import ANY_EPSG, any_grid

GRID = any_grid(16)
X0, Y0 = GRID.bounds(GRID.tile_at(300_000.0, 8_020_000.0))[0], GRID.bounds(GRID.tile_at(300_000.0, 8_020_000.0))[3]
maps = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40).flatmap(
    lambda shape: hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 255]))
)


def write(path: Path, codes: np.ndarray, place: tuple[int, int] = (0, 0)) -> Path:
    """A class map that begins some rows and columns south and east of a tile's corner."""
    row, col = place
    transform = Affine(10, 0, X0 + 10 * col, 0, -10, Y0 - 10 * row)
    profile = {"count": 1, "dtype": "uint8", "height": codes.shape[0], "width": codes.shape[1], "nodata": 255}
    with rasterio.open(path, "w", driver="GTiff", crs=f"EPSG:{ANY_EPSG}", transform=transform, **profile) as target:
        target.write(codes, 1)
    return path


def naive(codes: np.ndarray, place: tuple[int, int]) -> SeamScore | None:
    """Pair by pair."""
    pairs, changes = {True: 0, False: 0}, {True: 0, False: 0}
    height, width = codes.shape
    for y in range(height):
        for x in range(width):
            for dy, dx in ((0, 1), (1, 0)):
                if y + dy < height and x + dx < width and 255 not in (codes[y, x], codes[y + dy, x + dx]):
                    tiles = [((y + j + place[0]) // 16, (x + i + place[1]) // 16) for j, i in ((0, 0), (dy, dx))]
                    border = tiles[0] != tiles[1]
                    pairs[border] += 1
                    changes[border] += int(codes[y, x] != codes[y + dy, x + dx])
    if not all(pairs.values()):
        return None
    return SeamScore(borders=changes[True] / pairs[True], inside=changes[False] / pairs[False])


@settings(deadline=None, max_examples=40)
@given(codes=maps, place=st.tuples(st.integers(-20, 20), st.integers(-20, 20)), rows=st.sampled_from((1, 7, 2**20)))
def test_pairs_are_counted_once(
    tmp_path_factory: pytest.TempPathFactory, codes: np.ndarray, place: tuple[int, int], rows: int
):
    """The score is that of a plain loop over pairs of neighbours, wherever the map begins and however it is read."""
    path = write(tmp_path_factory.mktemp("seams") / "map.tif", codes, place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seams, "_STRIP_PIXELS", rows)
        assert seam_score(path, GRID) == naive(codes, place)


def test_a_step_at_the_borders_shows(tmp_path: Path):
    """Tiles that disagree with each other score high; the same pattern off the borders does not."""
    rng = np.random.default_rng(0)
    noise = (rng.random((64, 64)) < 0.05).astype(np.uint8)
    tiles = np.kron(np.indices((4, 4)).sum(0) % 2, np.ones((16, 16))).astype(np.uint8)
    seamed = seam_score(write(tmp_path / "seamed.tif", noise ^ tiles), GRID)
    smooth = seam_score(write(tmp_path / "smooth.tif", noise), GRID)
    moved = seam_score(write(tmp_path / "moved.tif", noise ^ tiles, (8, 8)), GRID)
    assert seamed is not None
    assert smooth is not None
    assert moved is not None
    assert seamed.borders > 0.8 > 5 * seamed.inside
    assert smooth.borders == pytest.approx(smooth.inside, abs=0.05)
    assert moved.borders < moved.inside


def test_one_tile_has_no_seam(tmp_path: Path):
    """A map within one tile has no score, rather than a perfect one."""
    assert seam_score(write(tmp_path / "one.tif", np.zeros((16, 16), np.uint8)), GRID) is None


def test_unmapped_borders_have_no_score(tmp_path: Path):
    """Where no border has mapped pixels on both sides nothing can be said."""
    codes = np.zeros((16, 40), np.uint8)
    codes[:, 10:20] = 255
    codes[:, 30:] = 255
    assert seam_score(write(tmp_path / "gap.tif", codes), GRID) is None
