"""A sparse sample of a tile's features, taken while it is mapped: what drift is measured on. Pure.

Every eighth pixel in both directions, by its place in the tile, so that a tile has one sample whoever maps it.
"""

import io
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from steps.drift import BORDER, MISSING, bin_numbers
from steps.drift_reference import Known

STEP, FIRST = 8, 4
"""Pixels between those that are taken, and the first of them in a row or column of a tile."""
UNKNOWN = 255
"""Dissimilarity of a pixel that is not mapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatticeSample:
    """What a tile's sidecar holds."""

    bins: np.ndarray
    """uint8 (feature, y, x): bin numbers of the model's reference."""
    dissimilarity: np.ndarray
    """uint8 (y, x): hundredths of the border's, rounded up, 254 at most; UNKNOWN where nothing is mapped."""
    points_sha256: str
    """The reference that both are of."""


class Lattice:
    """Collects the sample of one tile, strip by strip."""

    def __init__(self, size: int, known: Known) -> None:
        self._known = known
        self._places = np.arange(FIRST, size, STEP)
        side = len(self._places)
        self._features = np.full((side, side, len(known.trained.names)), np.nan, np.float32)
        self._is_mapped = np.zeros((side, side), bool)

    def add(self, rows: slice, values: np.ndarray, clear: np.ndarray) -> None:
        """Take what falls on the lattice from features (feature, y, x) and clear counts (y, x) of some of its rows."""
        chosen = (self._places >= rows.start) & (self._places < rows.stop)
        at = np.ix_(self._places[chosen] - rows.start, self._places)
        self._features[chosen] = np.moveaxis(values[:, at[0], at[1]], 0, -1)
        self._is_mapped[chosen] = clear[at] > 0

    def sample(self) -> LatticeSample:
        """Bins and dissimilarities of what was added."""
        side, _, count = self._features.shape
        rows, mapped = self._features.reshape(-1, count), self._is_mapped.ravel()
        bins = np.full((side * side, count), MISSING, np.uint8)
        bins[mapped] = bin_numbers(rows[mapped], self._known.trained.edges)
        far = np.full(side * side, UNKNOWN, np.uint8)
        relative = self._known.relative_dissimilarity(rows[mapped])
        far[mapped] = np.minimum(np.ceil(relative * BORDER), UNKNOWN - 1).astype(np.uint8)
        return LatticeSample(
            bins=np.ascontiguousarray(bins.T).reshape(count, side, side),
            dissimilarity=far.reshape(side, side),
            points_sha256=self._known.sha256,
        )


def encode_sample(sample: LatticeSample) -> bytes:
    """A sidecar's bytes."""
    file = io.BytesIO()
    np.savez_compressed(
        file,
        bins=sample.bins,
        dissimilarity=sample.dissimilarity,
        points_sha256=np.array(sample.points_sha256),
    )
    return file.getvalue()


def decode_sample(data: bytes) -> LatticeSample:
    """A sidecar's content; raises ValueError for what is none."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return LatticeSample(
                bins=arrays["bins"],
                dissimilarity=arrays["dissimilarity"],
                points_sha256=str(arrays["points_sha256"]),
            )
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"no lattice sample: {error}") from error
