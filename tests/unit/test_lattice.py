"""The sparse sample of a tile: whoever maps it, however it is cut into strips."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.drift import MISSING
from steps.drift_reference import Known, make_reference, read_known
from steps.lattice import FIRST, STEP, UNKNOWN, Lattice, LatticeSample, decode_sample, encode_sample

SIZE = 128
NAMES = ("one", "two", "three")


def any_known(seed: int = 0) -> Known:
    rng = np.random.default_rng(seed)
    features, groups = rng.normal(size=(300, len(NAMES))).astype(np.float32), np.arange(300) // 10
    reference, data = make_reference(features, NAMES, groups % 3, groups)
    return read_known(data, reference, NAMES, "points.npz")


KNOWN = any_known()
VALUES = np.random.default_rng(1).normal(size=(len(NAMES), SIZE, SIZE)).astype(np.float32)
CLEAR = (np.random.default_rng(2).random((SIZE, SIZE)) > 0.3).astype(np.uint16)


def sampled(cuts: list[int], clear: np.ndarray = CLEAR) -> LatticeSample:
    lattice = Lattice(SIZE, KNOWN)
    for start, stop in zip([0, *cuts], [*cuts, SIZE], strict=True):
        lattice.add(slice(start, stop), VALUES[:, start:stop], clear[start:stop])
    return lattice.sample()


@given(st.sets(st.integers(1, SIZE - 1), max_size=8).map(sorted))
@settings(max_examples=30, deadline=None)
def test_strips_do_not_matter(cuts: list[int]) -> None:
    """A tile has one sample, to the byte, whatever strips it was made in."""
    assert encode_sample(sampled(cuts)) == encode_sample(sampled([]))


def test_the_lattice_is_every_eighth_pixel() -> None:
    """What is stored is what the reference says of the pixels there."""
    found, rows = sampled([]), VALUES[:, FIRST::STEP, FIRST::STEP].reshape(len(NAMES), -1).T
    assert found.bins.shape == (len(NAMES), SIZE // STEP, SIZE // STEP)
    far = np.ceil(KNOWN.relative_dissimilarity(rows) * 100).reshape(found.dissimilarity.shape)
    mapped = CLEAR[FIRST::STEP, FIRST::STEP] > 0
    assert found.dissimilarity[mapped] == pytest.approx(np.minimum(far, 254)[mapped], abs=1)


def test_unmapped_pixels_are_not_measured() -> None:
    """Where nothing was seen clear, there is neither bin nor dissimilarity."""
    found = sampled([], np.zeros_like(CLEAR))
    assert (found.dissimilarity == UNKNOWN).all()
    assert (found.bins == MISSING).all()


def test_a_sidecar_is_what_was_put_into_it() -> None:
    """Bins, dissimilarities and the reference that they are of."""
    one = sampled([])
    other = decode_sample(encode_sample(one))
    assert np.array_equal(one.bins, other.bins)
    assert np.array_equal(one.dissimilarity, other.dissimilarity)
    assert other.points_sha256 == KNOWN.sha256


@pytest.mark.parametrize("data", [b"", b"no zip", encode_sample(sampled([]))[:80]])
def test_a_damaged_sidecar_is_refused(data: bytes) -> None:
    """ValueError, whatever is wrong with it."""
    with pytest.raises(ValueError, match="no lattice sample"):
        decode_sample(data)
