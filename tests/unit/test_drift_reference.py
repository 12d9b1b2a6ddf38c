"""What a model remembers of its training samples: made once, read everywhere, checked by digest."""

import hashlib

import msgspec
import numpy as np
import pytest

from steps.drift_reference import Known, make_reference, read_known
from steps.errors import ModelError
from steps.model.card import Reference

NAMES = ("one", "two", "three", "four")


def any_training(count: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, 4), codes and parcels of ten samples each, which resemble each other."""
    rng = np.random.default_rng(seed)
    groups = np.arange(count) // 10
    codes = np.array([3, 7])[groups % 2]
    parcels = rng.normal(size=(groups.max() + 1, len(NAMES)))[groups]
    features = parcels + rng.normal(scale=0.3, size=(count, len(NAMES))) + 4 * (codes == 7)[:, None]
    return features.astype(np.float32), codes, groups


def any_reference(seed: int = 0) -> tuple[Reference, bytes]:
    features, codes, groups = any_training(seed=seed)
    return make_reference(features, NAMES, codes, groups)


def known_of(reference: Reference, data: bytes) -> Known:
    return read_known(data, reference, NAMES, "points.npz")


def test_same_samples_same_bytes() -> None:
    """The file can be named by its digest."""
    assert any_reference() == any_reference()


def test_the_card_tells_the_distribution() -> None:
    """Edges rise; shares, one more for missing values, sum to 1; classes have theirs."""
    reference, _ = any_reference()
    for name in NAMES:
        assert list(reference.edges[name]) == sorted(set(reference.edges[name]))
        assert len(reference.shares[name]) == len(reference.edges[name]) + 2
        assert sum(reference.shares[name]) == pytest.approx(1, abs=1e-4)
    assert reference.classes == {3: 0.5, 7: 0.5}
    assert msgspec.json.decode(msgspec.json.encode(reference), type=Reference) == reference


def test_edges_of_the_card_are_those_of_the_file() -> None:
    """The numbers that people read are the very float32 that are compared with."""
    reference, data = any_reference()
    edges = known_of(reference, data).trained.edges
    for row, name in zip(edges, NAMES, strict=True):
        assert np.array_equal(np.array(reference.edges[name], np.float32), row[np.isfinite(row)])


def test_what_is_read_is_what_was_made() -> None:
    """Counts of all samples, a border above 0, and few samples beyond it."""
    known = known_of(*any_reference())
    assert known.trained.counts.sum() == 600 * len(NAMES)
    assert known.threshold > 0
    assert 0 <= known.trained.outside < 0.1


def test_training_samples_lie_inside_and_strange_ones_outside() -> None:
    """Other parcels of the same kind are known land; ten standard deviations away is not."""
    known = known_of(*any_reference())
    others, _, _ = any_training(seed=5)
    assert (known.relative_dissimilarity(others) > 1).mean() < 0.15
    assert (known.relative_dissimilarity(others + 10) > 1).all()


def test_the_file_stays_small() -> None:
    """However many samples there are, a thousand points are kept."""
    features, codes, groups = any_training(30_000)
    reference, data = make_reference(features, NAMES, codes, groups)
    assert len(known_of(reference, data).points) == 1000
    assert len(data) < 100_000


def test_points_are_spread_over_classes_and_parcels() -> None:
    """A rare class in one small parcel is among the points."""
    features, codes, groups = any_training(30_000)
    codes[:10], features[:10] = 9, 100.0
    known = known_of(*make_reference(features, NAMES, codes, groups))
    assert known.points.max() > 10


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_samples_do(count: int) -> None:
    """A handful of samples, of one class and one parcel, still make a reference."""
    features = any_training()[0][:count]
    reference, data = make_reference(features, NAMES, np.full(count, 3), np.zeros(count, int))
    assert known_of(reference, data).threshold > 0


def test_a_feature_that_is_always_missing_does() -> None:
    """It has one bin, that of missing values."""
    features, codes, groups = any_training()
    features[:, 2] = np.nan
    reference, data = make_reference(features, NAMES, codes, groups)
    assert reference.edges["three"] == ()
    assert reference.shares["three"] == (0.0, 1.0)
    assert np.isfinite(known_of(reference, data).relative_dissimilarity(features)).all()


def test_another_file_is_refused() -> None:
    """The message names the file and both digests."""
    reference, data = any_reference()
    with pytest.raises(ModelError, match=r"points\.npz has digest"):
        known_of(reference, data + b" ")


def test_a_file_of_other_features_is_refused() -> None:
    """The card says which features the model has, in order."""
    reference, data = any_reference()
    with pytest.raises(ModelError, match="other features"):
        read_known(data, reference, NAMES[::-1], "points.npz")


def test_a_file_that_holds_something_else_is_refused() -> None:
    """Even when its digest is right."""
    reference, _ = any_reference()
    junk = b"no zip"
    claimed = msgspec.structs.replace(reference, points_sha256=hashlib.sha256(junk).hexdigest())
    with pytest.raises(ModelError, match="cannot be read"):
        known_of(claimed, junk)


def test_halves_of_the_parcels_set_the_usual_spread() -> None:
    """Parcels that differ much from each other make an index usual that would be large elsewhere."""
    features, codes, groups = any_training(200)
    alike = known_of(*make_reference(features, NAMES, codes, np.arange(len(groups))))
    differing = known_of(*make_reference(features, NAMES, codes, groups))
    assert (differing.trained.usual > alike.trained.usual).all()
