"""Features agree with the plain reference, whatever the weather."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from steps import features
from steps.features import compute_features, period_of, sorting_network
from steps.model.aoi import Season
from steps.model.spec import KNOWN_INDICES, FeatureSpec, Index, Layer, Percentiles, standard_spec
from tests.reference_features import reference

SEASON = Season(start=dt.date(2021, 10, 1), end=dt.date(2022, 9, 30))
FINE, COARSE = ["red", "nir"], ["swir16"]


@dataclass
class ArrayCube:
    """A cube of arrays, as `steps.cube.load_cube` gives it."""

    fine: xr.DataArray
    coarse: xr.DataArray
    scl: xr.DataArray


def cube_of(fine: np.ndarray, coarse: np.ndarray, scl: np.ndarray, days: np.ndarray, names=(FINE, COARSE)) -> Any:
    time = np.datetime64(SEASON.start) + days.astype("timedelta64[D]")
    return ArrayCube(
        xr.DataArray(fine, dims=("time", "band", "y", "x"), coords={"time": time, "band": names[0]}),
        xr.DataArray(coarse, dims=("time", "band", "y", "x"), coords={"time": time, "band": names[1]}),
        xr.DataArray(scl, dims=("time", "y", "x"), coords={"time": time}),
    )


def spec_of(**changes: Any) -> FeatureSpec:
    fields: dict[str, Any] = {
        "bands": ("red", "nir", "swir16"),
        "periods": 5,
        "indices": (KNOWN_INDICES[0], KNOWN_INDICES[2]),
        "composites": ("ndvi", "swir16", "ndmi"),
        "counts": True,
        "percentiles": (
            Percentiles(of="red", percents=(0, 10, 50, 100)),
            Percentiles(of="swir16", percents=(25,)),
            Percentiles(of="ndmi", percents=(10, 90)),
        ),
        "amplitudes": ("ndvi", "red"),
        "phenology": ("ndvi",),
        "gap_limit": 1,
    }
    return FeatureSpec(**(fields | changes))


@st.composite
def cubes(draw: st.DrawFn) -> tuple[Any, tuple[np.ndarray, ...], np.ndarray, int]:
    """Small cubes with cloud, nodata, ties and values of the whole uint16 range."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    times, halo = draw(st.integers(1, 9)), draw(st.sampled_from([0, 2, 4]))
    height, width = draw(st.sampled_from([2, 4, 6])), draw(st.sampled_from([2, 4, 8]))
    h, w = height + 2 * halo, width + 2 * halo
    low, high = draw(st.sampled_from([(0, 3), (0, 65535), (200, 5000), (30000, 65535), (7, 8)]))
    fine = rng.integers(low, high, (times, 2, h, w)).astype(np.uint16)
    coarse = rng.integers(low, high, (times, 1, h // 2, w // 2)).astype(np.uint16)
    classes = draw(st.sampled_from([[4], [4, 5, 0], [4, 8], [8, 9], [4, 5, 6, 3, 11, 2]]))
    scl = rng.choice(classes, (times, h // 2, w // 2))
    days = np.sort(rng.choice(365, times, replace=False))
    arrays = (fine, coarse, scl.astype(np.uint8))
    return cube_of(*arrays, days), arrays, days, halo


@settings(max_examples=60, deadline=None)
@given(cubes(), st.integers(0, 3), st.sampled_from([0.0, 20.0, 45.0]), st.sampled_from([1, 5, 12, 365]))
def test_features_equal_the_reference(made: Any, gap_limit: int, dilation_m: float, periods: int) -> None:
    """Every feature of every pixel is the reference's, to 1e-4, and missing where that is."""
    cube, arrays, days, halo = made
    spec = spec_of(gap_limit=gap_limit, dilation_m=dilation_m, periods=periods)
    found = compute_features(cube, spec, SEASON, halo).values.values
    expected = reference(*arrays, (FINE, COARSE), spec, SEASON, days, halo)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_an_index_with_a_pole_equals_the_reference(seed: int) -> None:
    """EVI is 0 near its pole, and clipped, exactly where the reference has it."""
    rng = np.random.default_rng(seed)
    names = (["blue", "red", "nir"], [])
    fine = rng.integers(1, 65535, (4, 3, 4, 4)).astype(np.uint16)
    coarse, scl = np.empty((4, 0, 2, 2), np.uint16), np.full((4, 2, 2), 4, np.uint8)
    days = np.array([3, 100, 200, 300])
    evi = next(index for index in KNOWN_INDICES if index.name == "evi")
    spec = FeatureSpec(
        bands=("blue", "red", "nir"), periods=2, indices=(evi,), composites=("evi",),
        percentiles=(Percentiles(of="evi", percents=(10, 90)),),
    )  # fmt: skip
    found = compute_features(cube_of(fine, coarse, scl, days, names), spec, SEASON, 0).values.values
    np.testing.assert_allclose(found, reference(fine, coarse, scl, names, spec, SEASON, days, 0), atol=1e-4)


@given(st.integers(0, 64), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_a_network_sorts(n: int, seed: int) -> None:
    """The comparisons for n inputs sort any n inputs."""
    values = np.random.default_rng(seed).integers(0, 5, n)
    for low, high in sorting_network(n):
        values[[low, high]] = np.sort(values[[low, high]])
    assert (np.diff(values) >= 0).all()


def any_arrays(times: int = 6, size: int = 36) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    fine = rng.integers(1, 9000, (times, 2, size, size)).astype(np.uint16)
    coarse = rng.integers(1, 9000, (times, 1, size // 2, size // 2)).astype(np.uint16)
    return fine, coarse, rng.choice([4, 5, 9], (times, size // 2, size // 2)).astype(np.uint8)


ANY_DAYS = np.array([0, 40, 90, 150, 300, 364])


def test_threads_do_not_change_a_byte() -> None:
    """One thread and four make the same features."""
    cube = cube_of(*any_arrays(), ANY_DAYS)
    one = compute_features(cube, spec_of(), SEASON, 2, threads=1)
    four = compute_features(cube, spec_of(), SEASON, 2, threads=4)
    assert one.values.values.tobytes() == four.values.values.tobytes()
    assert one.rgb.tobytes() == four.rgb.tobytes()


def test_strips_do_not_change_a_byte() -> None:
    """A cube cut into strips, each with its halo, gives the features of the whole."""
    fine, coarse, scl = any_arrays()
    whole = compute_features(cube_of(fine, coarse, scl, ANY_DAYS), spec_of(), SEASON, 2).values.values
    strip = compute_features(
        cube_of(fine[:, :, 8:28], coarse[:, :, 4:14], scl[:, 4:14], ANY_DAYS), spec_of(), SEASON, 2
    ).values.values
    assert strip.tobytes() == np.ascontiguousarray(whole[:, 8:24]).tobytes()


def test_a_median_of_whole_numbers_is_exact() -> None:
    """The middle of an even count is half-way, also above 32767."""
    fine = np.array([40001, 65534], np.uint16).reshape(2, 1, 1, 1) * np.ones((1, 2, 2, 2), np.uint16)
    arrays = (fine.astype(np.uint16), np.full((2, 1, 1, 1), 1, np.uint16), np.full((2, 1, 1), 4, np.uint8))
    nothing = {"indices": (), "percentiles": (), "amplitudes": (), "phenology": (), "counts": False}
    spec = spec_of(periods=1, composites=("red",), **nothing)
    found = compute_features(cube_of(*arrays, np.array([1, 2])), spec, SEASON, 0)
    assert (found.values.values == np.float32(52767.5) * np.float32(1e-4)).all()


def test_clear_and_seen_count_observations() -> None:
    """`clear` counts usable observations; `seen` is true where there was only cloud, false where there was nothing."""
    fine = np.full((3, 2, 4, 2), 500, np.uint16)
    coarse = np.full((3, 1, 2, 1), 500, np.uint16)
    scl = np.array([[[4], [0]], [[9], [0]], [[4], [0]]], np.uint8)
    found = compute_features(cube_of(fine, coarse, scl, np.array([1, 2, 3])), spec_of(dilation_m=0.0), SEASON, 0)
    assert found.clear[:, 0].tolist() == [2, 2, 0, 0]
    assert found.seen[:, 0].tolist() == [True, True, False, False]


def test_layers_are_features() -> None:
    """A layer's bands come last, as they are."""
    spec = spec_of(layers=(Layer(name="dem"),))
    dem = np.arange(32 * 32, dtype=np.float32).reshape(1, 32, 32)
    found = compute_features(cube_of(*any_arrays(), ANY_DAYS), spec, SEASON, 2, {"dem": dem})
    assert found.values.feature.values[-1] == "dem.value"
    np.testing.assert_array_equal(found.values.values[-1], dem[0])


@pytest.mark.parametrize(("day", "period"), [(0, 0), (30, 0), (31, 1), (364, 11), (365, 11)])
def test_periods_count_from_the_season_start(day: int, period: int) -> None:
    """Twelve parts of 365 days; a leap year's 366th day is in the last."""
    assert period_of(day, spec_of(periods=12)) == period


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"composites": ("ndxi",)}, "ndxi"),
        ({"periods": 0}, "periods"),
        ({"version": 99}, "version 99"),
        ({"clear_classes": (0, 4)}, "clear_classes"),
        ({"resampling": "cubic"}, "cubic"),
        ({"indices": (Index(name="x", numerator={"green": 1}, denominator={"red": 1}),)}, "green"),
    ],
)
def test_a_bad_spec_names_the_field(changes: dict[str, Any], said: str) -> None:
    """A spec that cannot be computed is refused when it is made."""
    with pytest.raises(ValueError, match=said):
        spec_of(**changes)


def test_the_standard_spec_uses_the_bands_there_are() -> None:
    """Without red edge there is no red-edge feature; names are unique."""
    names = standard_spec(["blue", "green", "red", "nir", "swir16"]).feature_names
    assert not any("rededge" in name or "ndre" in name for name in names)
    assert len(set(names)) == len(names)


def test_dilation_reaches_as_far_as_it_says() -> None:
    """A cloud of one cell clears its four neighbours at 20 m, all eight at 30 m."""
    scl = np.full((1, 5, 5), 4, np.uint8)
    scl[0, 2, 2] = 9
    assert (~features.clear_cells(scl, spec_of(dilation_m=20.0))).sum() == 5
    assert (~features.clear_cells(scl, spec_of(dilation_m=30.0))).sum() == 9
