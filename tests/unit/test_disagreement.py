from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.transform import Affine
from rio_cogeo import cog_validate

import steps.disagreement
from steps.areas import pixel_areas
from steps.cog import RasterSpec, cog_writer
from steps.counterparts import counterpart
from steps.disagreement import Disagreement, disagreement
from steps.errors import DataError
from steps.legend import DYNAMIC_WORLD
from steps.model.card import ClassDef
from steps.model.job import RasterRef

Codes = NDArray[np.uint8]
PLACE = (10.0, 0.0, 300_000.0, 0.0, -10.0, 8_020_000.0)
WATER, TREES, GRASS, CROPS = 0, 1, 2, 4
CLASSES = (
    ClassDef(code=3, name="maize", colour="e3a72f"),
    ClassDef(code=0, name="forest", colour="397d49"),
    ClassDef(code=9, name="other", colour="888888"),
)
"""Crops, trees, and a class that Dynamic World does not know; neither sorted nor without gaps."""


def write_map(folder: Path, codes: Codes) -> Path:
    spec = RasterSpec(epsg=32736, transform=PLACE, width=codes.shape[1], height=codes.shape[0])
    with cog_writer(folder / "map.tif", spec) as writer:
        writer.append(codes)
    return folder / "map.tif"


def write_baseline(folder: Path, labels: NDArray[Any], **changes: Any) -> RasterRef:
    profile: dict[str, Any] = {
        "driver": "GTiff", "dtype": labels.dtype.name, "count": 1, "height": labels.shape[0], "width": labels.shape[1],
        "crs": "EPSG:32736", "transform": Affine(*PLACE), "nodata": 255,
    }  # fmt: skip
    with rasterio.open(folder / "baseline.tif", "w", **(profile | changes)) as target:
        target.write(labels, 1)
    return RasterRef(href=str(folder / "baseline.tif"), version="any")


def compared(folder: Path, codes: Codes, baseline: RasterRef, **options: Any) -> tuple[Disagreement, Codes]:
    found = disagreement(write_map(folder, codes), baseline, CLASSES, folder / "layer.tif", **options)
    with rasterio.open(folder / "layer.tif") as source:
        return found, np.asarray(source.read(1))


def naive(codes: Codes, labels: Codes) -> tuple[Codes, NDArray[np.float64]]:
    """Layer and hectares, pixel by pixel."""
    areas = pixel_areas(32736, PLACE, codes.shape)
    layer, hectares = np.full(codes.shape, 255, np.uint8), np.zeros((3, 9))
    expected = {3: CROPS, 0: TREES, 9: None}
    for place in np.ndindex(*codes.shape):
        ours, theirs = int(codes[place]), int(labels[place])
        if ours == 255 or theirs > 8:
            continue
        hectares[[3, 0, 9].index(ours), theirs] += areas[place] / 10_000
        if expected[ours] is not None:
            layer[place] = int(expected[ours] != theirs)
    return layer, hectares


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 30), seed=st.integers(0, 2**32))
def test_layer_and_table_are_the_naive_ones(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, seed: int
) -> None:
    """Both are what a loop over pixels finds, whatever strips the map is cut into."""
    folder, random = tmp_path_factory.mktemp("any"), np.random.default_rng(seed)
    codes = random.choice(np.array([0, 3, 9, 255], np.uint8), (height, width))
    labels = random.integers(0, 12, (height, width)).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps.disagreement, "_STRIP_PIXELS", 0)
        found, layer = compared(folder, codes, write_baseline(folder, labels))
    expected_layer, hectares = naive(codes, labels)
    np.testing.assert_array_equal(layer, expected_layer)
    np.testing.assert_allclose(found.hectares, hectares, rtol=1e-7, atol=1e-12)


def test_the_share_counts_what_can_be_compared(tmp_path: Path) -> None:
    """A third of the comparable area disagrees; a class without counterpart does not count."""
    codes = np.array([[3, 3, 3, 9, 255]], np.uint8)
    labels = np.array([[CROPS, CROPS, GRASS, WATER, CROPS]], np.uint8)
    found, layer = compared(tmp_path, codes, write_baseline(tmp_path, labels))
    assert layer.tolist() == [[0, 0, 1, 255, 255]]
    assert found.share == pytest.approx(1 / 3, rel=1e-5)
    assert found.comparable == (CROPS, TREES, None)


def test_nothing_to_compare_is_no_disagreement(tmp_path: Path) -> None:
    """A baseline that does not cover the map gives an empty layer and a share of 0."""
    codes, far = np.full((5, 5), 3, np.uint8), Affine(10, 0, 500_000, 0, -10, 8_020_000)
    found, layer = compared(tmp_path, codes, write_baseline(tmp_path, codes, transform=far))
    assert (layer == 255).all()
    assert (found.share, found.hectares.sum()) == (0, 0)


def test_the_table_has_a_row_for_each_class(tmp_path: Path) -> None:
    """Each of our classes has its name, its counterpart and hectares by Dynamic World class."""
    codes = np.array([[3, 9]], np.uint8)
    found, _ = compared(tmp_path, codes, write_baseline(tmp_path, np.array([[CROPS, WATER]], np.uint8)))
    rows = list(found.rows())
    assert [row[:2] for row in rows] == [("maize", "crops"), ("forest", "trees"), ("other", "not comparable")]
    assert all(len(row) == 2 + len(DYNAMIC_WORLD) for row in rows)
    assert (rows[0][2 + CROPS], rows[2][2 + WATER], rows[1][2 + TREES]) == (0.01, 0.01, 0)


def test_counterparts_can_be_given(tmp_path: Path) -> None:
    """What is said of a class's counterpart overrules its name, also that it has none."""
    codes = np.array([[3, 0, 9]], np.uint8)
    baseline = write_baseline(tmp_path, np.array([[CROPS, TREES, WATER]], np.uint8))
    found, layer = compared(tmp_path, codes, baseline, counterparts={9: WATER, 0: None})
    assert found.comparable == (CROPS, None, WATER)
    assert layer.tolist() == [[0, 255, 0]]


def test_a_baseline_lies_on_any_grid(tmp_path: Path) -> None:
    """A baseline in degrees is compared at the places of the map's pixels."""
    x, y = Transformer.from_crs(32736, 4326, always_xy=True).transform(300_000, 8_020_000)
    labels = np.full((100, 100), CROPS, np.uint8)
    labels[:, :50] = TREES
    place = Affine(4e-5, 0, x - 0.001, 0, -4e-5, y + 0.001)
    codes = np.full((20, 20), 3, np.uint8)
    _, layer = compared(tmp_path, codes, write_baseline(tmp_path, labels, crs="EPSG:4326", transform=place))
    lon, _ = Transformer.from_crs(32736, 4326, always_xy=True).transform(
        300_000 + 10 * (np.arange(20) + 0.5), np.full(20, 8_019_995.0)
    )
    np.testing.assert_array_equal(layer[0], (lon < x + 0.001).astype(np.uint8))


def test_the_layer_is_a_cog_with_colours(tmp_path: Path) -> None:
    """The layer passes the strict validation and says what its values mean."""
    codes = np.full((600, 700), 3, np.uint8)
    compared(tmp_path, codes, write_baseline(tmp_path, codes))
    assert cog_validate(tmp_path / "layer.tif", strict=True, quiet=True)[0]
    with rasterio.open(tmp_path / "layer.tif") as source:
        assert (source.nodata, tuple(source.transform)[:6]) == (255, PLACE)
        assert source.tags(1) == {"CLASS_0": "agrees", "CLASS_1": "disagrees"}
        assert all(source_of in source.tags()["TIFFTAG_COPYRIGHT"] for source_of in ("Copernicus", "CC BY 4.0"))


def test_a_baseline_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing baseline is a data error, and no layer is left behind."""
    with pytest.raises(DataError, match="nowhere"):
        compared(tmp_path, np.zeros((5, 5), np.uint8), RasterRef(href="/nowhere/2019.tif", version="any"))
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *((entry.name.upper(), entry.name) for entry in DYNAMIC_WORLD),
        *(
            (name, "crops")
            for name in ("Maize", "winter wheat", "Sugar-cane", "cropland", "oats", "soya", "fallow land")
        ),
        *((name, "trees") for name in ("broadleaved forest", "Tree cover", "woodland", "orchards")),
        *((name, "grass") for name in ("grassland", "permanent pasture", "meadows")),
        *((name, "flooded vegetation") for name in ("rice", "paddies", "flooded grass", "wetlands", "mangroves")),
        *((name, "built") for name in ("built-up", "town", "buildings", "roads", "urban area")),
        *((name, "bare") for name in ("bare ground", "sandy soils", "rocks")),
        *((name, "water") for name in ("rivers", "sea", "dam", "open water")),
        *((name, "shrub and scrub") for name in ("shrubland", "bushes", "savannah")),
    ],
)
def test_names_tell_their_counterpart(name: str, meant: str) -> None:
    """Common names of classes are understood, in any case, singular and plural."""
    assert counterpart(name) == [entry.name for entry in DYNAMIC_WORLD].index(meant)


@pytest.mark.parametrize(
    "name",
    ["", "1", "other", "non-crop", "not forest", "wooded grassland", "grass or crops", "driver", "research", "goat",
     "price", "scream", "Forêt", "adamant", "vineyard"],
)  # fmt: skip
def test_names_that_do_not_tell_are_not_comparable(name: str) -> None:
    """Unknown names, names of two classes, negations and words that only contain a known one have no counterpart."""
    assert counterpart(name) is None
