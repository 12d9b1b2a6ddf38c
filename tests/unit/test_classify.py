import numpy as np
import pytest
import xarray as xr

from steps.classify import classify_block
from steps.errors import ModelError
from steps.features import Features
from steps.kernels import forest as kernels
from steps.testing import any_card


class ThreeClasses:
    """A forest of three classes whose margins are three features."""

    classes = 3
    features = 3

    def predict(self, values: np.ndarray, out: np.ndarray) -> None:
        """Softmax of the features."""
        assert values.flags.c_contiguous
        kernels.softmax(values, out)


def block(values: np.ndarray, clear: np.ndarray) -> Features:
    """Features (feature, y, x) and clear counts (y, x)."""
    return Features(
        values=xr.DataArray(values.astype(np.float32), dims=("feature", "y", "x")),
        clear=clear.astype(np.uint16),
        seen=np.ones(clear.shape, bool),
        rgb=np.zeros((3, *clear.shape), np.uint8),
    )


def softmax(margins: np.ndarray) -> np.ndarray:
    """Over the first axis, in double."""
    raised = np.exp(margins.astype(np.float64) - margins.max(axis=0))
    return raised / raised.sum(axis=0)


@pytest.fixture
def values() -> np.ndarray:
    """Margins (class, y, x) of an oblong block."""
    return np.random.default_rng(0).normal(scale=2, size=(3, 5, 7)).astype(np.float32)


def test_classes_are_codes_with_their_percents(values: np.ndarray) -> None:
    """The class is the code of the likeliest; confidence is its percent, margin the lead over the next."""
    found = classify_block(block(values, np.ones((5, 7))), ThreeClasses(), any_card())
    expected = softmax(values)
    ordered = np.sort(expected, axis=0)
    np.testing.assert_array_equal(found.classes, np.array([0, 1, 7])[expected.argmax(axis=0)])
    np.testing.assert_allclose(found.confidence, 100 * ordered[2], atol=0.501)
    np.testing.assert_allclose(found.margin, 100 * (ordered[2] - ordered[1]), atol=0.501)
    assert found.probabilities is None
    assert found.classes.dtype == found.confidence.dtype == found.margin.dtype == np.uint8


def test_probabilities_when_asked(values: np.ndarray) -> None:
    """One layer of percents per class, in the order of the card's classes."""
    found = classify_block(block(values, np.ones((5, 7))), ThreeClasses(), any_card(), probabilities=True)
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities, 100 * softmax(values), atol=0.501)


def test_what_was_never_seen_clear_is_nodata(values: np.ndarray) -> None:
    """Without a clear observation every layer is 255, and the other pixels are as if those were not there."""
    clear = np.random.default_rng(1).integers(0, 2, (5, 7))
    found = classify_block(block(values, clear), ThreeClasses(), any_card(), probabilities=True)
    full = classify_block(block(values, np.ones((5, 7))), ThreeClasses(), any_card(), probabilities=True)
    assert found.probabilities is not None
    assert full.probabilities is not None
    for layer, whole in (
        (found.classes, full.classes),
        (found.confidence, full.confidence),
        (found.margin, full.margin),
        *zip(found.probabilities, full.probabilities, strict=True),
    ):
        np.testing.assert_array_equal(layer, np.where(clear > 0, whole, 255))


def test_a_block_all_cloud(values: np.ndarray) -> None:
    """Nothing clear at all is all nodata."""
    found = classify_block(block(values, np.zeros((5, 7))), ThreeClasses(), any_card())
    assert (found.classes == 255).all()
    assert (found.confidence == 255).all()
    assert (found.margin == 255).all()


def test_a_card_of_other_classes_is_refused(values: np.ndarray) -> None:
    """A card with fewer classes than the forest is a ModelError, not a wrong map."""
    card = any_card(classes=any_card().classes[:2])
    with pytest.raises(ModelError, match="3 classes, its card 2"):
        classify_block(block(values, np.ones((5, 7))), ThreeClasses(), card)


def test_threads_do_not_matter() -> None:
    """The same block on one thread and on four."""
    values = np.random.default_rng(2).normal(size=(3, 200, 300)).astype(np.float32)
    clear = np.random.default_rng(3).integers(0, 3, (200, 300))
    one, four = (classify_block(block(values, clear), ThreeClasses(), any_card(), threads=n) for n in (1, 4))
    np.testing.assert_array_equal(one.classes, four.classes)
    np.testing.assert_array_equal(one.margin, four.margin)
