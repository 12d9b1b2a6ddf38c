from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from rio_cogeo import cog_validate

import steps.generalise
from steps.cog import RasterSpec, cog_writer
from steps.generalise import dissolve, generalise
from steps.testing import any_classes

Codes = NDArray[np.uint8]
Pixel = tuple[int, int]


def neighbours(codes: Codes, pixel: Pixel) -> list[Pixel]:
    y, x = pixel
    around = [(y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)]
    return [(i, j) for i, j in around if 0 <= i < codes.shape[0] and 0 <= j < codes.shape[1] and codes[i, j] != 255]


def patches(codes: Codes) -> list[set[Pixel]]:
    """4-connected sets of pixels of one class."""
    rest = {(int(y), int(x)) for y, x in np.argwhere(codes != 255)}
    found = []
    while rest:
        patch, edge = set(), [rest.pop()]
        while edge:
            pixel = edge.pop()
            patch.add(pixel)
            same = [one for one in neighbours(codes, pixel) if one in rest and codes[one] == codes[pixel]]
            rest -= set(same)
            edge += same
        found.append(patch)
    return found


def naive(codes: Codes, least: int, reach: int) -> Codes:
    """The rule, pixel by pixel."""
    out = codes.copy()
    loose = {pixel for patch in patches(codes) if len(patch) < least for pixel in patch}
    for _ in range(reach):
        taken = {}
        for pixel in loose:
            counts = Counter(int(out[one]) for one in neighbours(out, pixel) if one not in loose)
            if counts:
                taken[pixel] = min(counts, key=lambda code: (-counts[code], code))
        for pixel, code in taken.items():
            out[pixel] = code
        loose -= set(taken)
    return out


def write(path: Path, codes: Codes) -> Path:
    spec = RasterSpec(epsg=32736, transform=(10, 0, 300_000, 0, -10, 8e6), width=codes.shape[1], height=codes.shape[0])
    with cog_writer(path, spec) as writer:
        writer.append(codes)
    return path


def generalised(folder: Path, codes: Codes, least: int) -> Codes:
    generalise(write(folder / "map.tif", codes), folder / "generalised.tif", least, any_classes())
    with rasterio.open(folder / "generalised.tif") as source:
        return np.asarray(source.read(1))


def maps(height: int = 40) -> st.SearchStrategy[Codes]:
    shapes = st.tuples(st.integers(1, height), st.integers(1, 12))
    return arrays(np.uint8, shapes, elements=st.sampled_from((0, 0, 0, 1, 1, 7, 255)))


@settings(max_examples=60, deadline=None)
@given(codes=maps(), least=st.integers(0, 9), reach=st.sampled_from((1, 2, 64)))
def test_the_kernel_follows_the_rule(codes: Codes, least: int, reach: int) -> None:
    """The compiled loops do what the rule says, pixel by pixel."""
    found = codes.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps.generalise, "REACH", reach)
        dissolve(found, least)
    np.testing.assert_array_equal(found, naive(codes, least, reach))


@settings(max_examples=25, deadline=None)
@given(codes=maps(60), least=st.integers(1, 9), rows=st.integers(1, 9), reach=st.sampled_from((1, 3)))
def test_strips_of_any_height_give_the_same_map(
    tmp_path_factory: pytest.TempPathFactory, codes: Codes, least: int, rows: int, reach: int
) -> None:
    """Cut into strips, the map is the one made in one piece."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps.generalise, "REACH", reach)
        patch.setattr(steps.generalise, "_LEAST_ROWS", rows)
        patch.setattr(steps.generalise, "_WINDOW_PIXELS", 0)
        found = generalised(tmp_path_factory.mktemp("map"), codes, least)
    np.testing.assert_array_equal(found, naive(codes, least, reach))


@settings(max_examples=40, deadline=None)
@given(codes=maps(), least=st.integers(1, 9))
def test_no_small_patch_is_left(codes: Codes, least: int) -> None:
    """Every patch below the unit is gone, unless there was nothing around to take it; nodata stays where it was."""
    found = codes.copy()
    dissolve(found, least)
    np.testing.assert_array_equal(found == 255, codes == 255)
    for patch in patches(found):
        if len(patch) < least:
            assert all(found[one] == codes[one] for one in patch)


@pytest.mark.parametrize(
    ("before", "least", "after"),
    [
        (["000", "010", "000"], 2, ["000", "000", "000"]),
        (["000", "010", "000"], 1, ["000", "010", "000"]),
        (["0000", "0110", "0000"], 2, ["0000", "0110", "0000"]),
        (["00x", "x1x", "xxx"], 2, ["00x", "x0x", "xxx"]),
        (["00x", "xx1", "xxx"], 2, ["00x", "xx1", "xxx"]),
        (["0002777", "0002777", "0003777"], 3, ["0000777", "0000777", "0000777"]),
        (["00023777", "00023777"], 3, ["00007777", "00007777"]),
        (["11111", "0x22x", "00x2x"], 4, ["11111", "1x11x", "11x1x"]),
    ],
)
def test_examples(before: list[str], least: int, after: list[str]) -> None:
    """What lies inside goes, islands stay, what lies between two is shared; ties go to the lowest code."""
    codes, expected = (
        np.array([[255 if c == "x" else int(c) for c in row] for row in rows]) for rows in (before, after)
    )
    found = codes.astype(np.uint8)
    dissolve(found, least)
    np.testing.assert_array_equal(found, expected)


def test_the_generalised_map_is_a_cog_like_the_raw_one(tmp_path: Path) -> None:
    """Place, colours and names are those of the map; the raw map's bytes are not touched."""
    codes = np.random.default_rng(0).choice(np.array([0, 1, 7], np.uint8), (600, 700))
    raw = write(tmp_path / "map.tif", codes).read_bytes()
    generalised(tmp_path, codes, 5)
    assert (tmp_path / "map.tif").read_bytes() == raw
    assert cog_validate(tmp_path / "generalised.tif", strict=True, quiet=True)[0]
    facts: list[Any] = []
    for name in ("map", "generalised"):
        with rasterio.open(tmp_path / f"{name}.tif") as source:
            facts.append((source.crs, source.transform, source.shape, source.nodata))
    assert facts[0] == facts[1]
    with rasterio.open(tmp_path / "generalised.tif") as source:
        assert source.colormap(1)[7][:3] == (0x39, 0x7D, 0x49)
        assert source.tags(1)["CLASS_7"] == "forest"
