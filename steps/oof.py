"""Out-of-fold predictions: what a recipe said of samples that it had not seen.

Kept with every model, so that two models can be compared on identical folds, sample by sample.
"""

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steps.errors import ModelError

OOF_FILE = "oof.npz"


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """One prediction per sample, by a learner whose training held none of the sample's group."""

    ids: np.ndarray
    """uint64 (n): the sample's pixel (of a table: its features), hashed; the same in every model trained on it."""
    folds: np.ndarray
    """int16 (n): the fold that the sample was held out in."""
    groups: np.ndarray
    """int64 (n): what was held out whole; samples of one group are not independent."""
    truth: np.ndarray
    """int16 (n): class code of the label."""
    codes: np.ndarray
    """int16 (class): the class code of each column of `probabilities`."""
    probabilities: np.ndarray
    """float32 (n, class): calibrated; zero for a class that the training part of the fold lacked."""
    side: np.ndarray
    """float64 (): metres of the blocks that `groups` numbers; 0 where they are parcels or single samples."""

    @property
    def predicted(self) -> np.ndarray:
        """int16 (n): the likeliest class's code, the first of equals."""
        found: np.ndarray = self.codes[self.probabilities.argmax(axis=1)]
        return found


_FIELDS = OutOfFold.__dataclass_fields__


def encode_oof(oof: OutOfFold) -> bytes:
    """The file of a model's out-of-fold predictions, compressed."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **{name: getattr(oof, name) for name in _FIELDS})
    return packed.getvalue()


def load_oof(path: Path) -> OutOfFold:
    """Raises ModelError when the file is not there, or is none."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            return OutOfFold(**{name: kept[name] for name in _FIELDS})
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{path} holds no out-of-fold predictions", "train the model again") from error
