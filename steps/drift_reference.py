"""What a model remembers of its training samples: made when it is trained, read where it maps. Pure.

The card holds what people read (`Reference`); `points.npz` beside it holds what the comparison needs.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steps.applicability import Scaling, applicable_until, dissimilarity, held_out_dissimilarity, mean_distance
from steps.drift import Trained, bin_numbers, count_bins, make_edges, mixed_psi, used_bins
from steps.errors import ModelError
from steps.model.card import Reference

POINTS_FILE = "points.npz"
_POINTS, _JUDGED = 1000, 4000
"""Most points that distances are measured to, and samples that the border is found with."""
_HALVINGS = 10
_SCALING = ("centre", "scale", "fill", "weights")
_REMEDY = "train or fetch the model again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the model was trained on, ready to be compared with."""

    sha256: str
    trained: Trained
    scaling: Scaling
    points: np.ndarray
    """float32 (point, feature), scaled."""
    mean: float
    """Mean distance between the points."""
    threshold: float
    """Dissimilarity at the border of the area of applicability."""

    def relative_dissimilarity(self, features: np.ndarray) -> np.ndarray:
        """float32 (n): dissimilarity of features (n, feature); above 1 the model knows nothing like it."""
        return dissimilarity(self.scaling.apply(features), self.points, self.mean) / np.float32(self.threshold)


def make_reference(
    features: np.ndarray,
    names: Sequence[str],
    codes: np.ndarray,
    groups: np.ndarray,
    weights: np.ndarray | None = None,
) -> tuple[Reference, bytes]:
    """The card's reference and the bytes of `points.npz`, from the training samples. Same samples, same bytes.

    `features` are float32 (n, feature) with NaN where missing, `codes` (n) class codes, `groups` (n) whose samples
    resemble each other, as those of one parcel; `weights` (feature) the importance of features, if it is known.
    """
    features = np.ascontiguousarray(features, np.float32)
    trained = _count(features, tuple(names), codes, groups, weights)
    arrays, threshold = _place(features, codes, groups, weights)
    data = _encode(trained, arrays)
    reference = Reference(
        edges={name: _plain(row[np.isfinite(row)]) for name, row in zip(trained.names, trained.edges, strict=True)},
        shares=_overall(trained),
        classes={int(code): float(share) for code, share in zip(trained.codes, _class_shares(trained), strict=True)},
        points_sha256=hashlib.sha256(data).hexdigest(),
        threshold=threshold,
    )
    return reference, data


def read_known(data: bytes, reference: Reference, names: Sequence[str], where: str) -> Known:
    """What `points.npz` holds, checked. Raises ModelError when the file is not the one that the card names."""
    sha256 = check_points(data, reference, where)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        known = _known(found, sha256, reference.threshold)
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{where} cannot be read: {error}", _REMEDY) from error
    if known.trained.names != tuple(names):
        raise ModelError(f"{where} has other features than the model's card", _REMEDY)
    return known


def check_points(data: bytes, reference: Reference, where: str) -> str:
    """The digest of a points file; raises ModelError when it is not the one that the card names."""
    found = hashlib.sha256(data).hexdigest()
    if found != reference.points_sha256:
        raise ModelError(f"{where} has digest {found[:12]}, the card says {reference.points_sha256[:12]}", _REMEDY)
    return found


# -- counting ------------------------------------------------------------------------------------------------------


def _count(
    features: np.ndarray, names: tuple[str, ...], codes: np.ndarray, groups: np.ndarray, weights: np.ndarray | None
) -> Trained:
    edges = make_edges(features)
    bins, (present, numbers) = bin_numbers(features, edges), np.unique(codes, return_inverse=True)
    return Trained(
        names=names,
        edges=edges,
        codes=present.astype(np.uint8),
        counts=count_bins(bins, numbers, len(present)),
        usual=_usual(bins, numbers, groups, used_bins(edges)),
        weights=np.ones(len(names)) if weights is None else np.maximum(np.asarray(weights, np.float64), 0),
        outside=0.0,
    )


def _usual(bins: np.ndarray, numbers: np.ndarray, groups: np.ndarray, used: np.ndarray) -> np.ndarray:
    """float64 (feature): the largest index between halves of the groups, over some ways to halve them."""
    rng = np.random.default_rng(0)
    _, place = np.unique(groups, return_inverse=True)
    usual, count = np.zeros(bins.shape[1]), int(numbers.max()) + 1
    for _ in range(_HALVINGS):
        side = _halved(place, numbers, rng)
        one, other = (count_bins(bins[side == half], numbers[side == half], count) for half in (0, 1))
        usual = np.maximum(usual, mixed_psi(one, other, used))
    return usual


def _halved(place: np.ndarray, numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """int64 (n): 0 or 1, the same for a group's samples; the groups of each class are shared out evenly."""
    first = np.unique(place, return_index=True)[1]
    order = np.lexsort((rng.random(len(first)), numbers[first]))
    side = np.empty(len(first), np.int64)
    side[order] = np.arange(len(first)) % 2
    return side[place]


def _class_shares(trained: Trained) -> np.ndarray:
    found: np.ndarray = trained.classes / trained.classes.sum()
    return found


def _overall(trained: Trained) -> dict[str, tuple[float, ...]]:
    """Shares by bin of all samples, as they are."""
    total = trained.counts.sum(axis=0)
    found = total / total.sum(axis=1, keepdims=True)
    return {
        name: tuple(round(float(share), 6) for share in row[mask])
        for name, row, mask in zip(trained.names, found, trained.used, strict=True)
    }


def _plain(edges: np.ndarray) -> tuple[float, ...]:
    """The shortest decimals that are these float32."""
    return tuple(float(str(edge)) for edge in edges)


# -- placing -------------------------------------------------------------------------------------------------------


def _place(
    features: np.ndarray, codes: np.ndarray, groups: np.ndarray, weights: np.ndarray | None
) -> tuple[dict[str, np.ndarray], float]:
    """The points with their scaling, and the threshold."""
    scaling = Scaling.of(features, weights)
    groups = groups if len(np.unique(groups)) > 1 else np.arange(len(groups))
    order = _spread(codes, groups)
    kept, judged = order[:_POINTS], order[:_JUDGED]
    points = scaling.apply(features[kept])
    mean = mean_distance(points)
    values = held_out_dissimilarity(scaling.apply(features[judged]), groups[judged], points, groups[kept], mean)
    threshold = float(f"{max(applicable_until(values) if len(values) else 1.0, 1e-6):.4g}")
    outside = float((values > threshold).mean()) if len(values) else 0.0
    scaled = {name: getattr(scaling, name) for name in _SCALING}
    facts = {"mean": np.float64(f"{mean:.6g}"), "outside": np.float64(f"{outside:.4g}")}
    return {**scaled, "points": points, **{name: np.asarray(value) for name, value in facts.items()}}, threshold


def _spread(codes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """int64 (n): samples in an order whose beginning is spread over groups, and these over classes."""
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(len(codes))
    in_group = _turns(groups[shuffled])
    first = in_group == 0
    turn_of_group = dict(zip(groups[shuffled][first].tolist(), _turns(codes[shuffled][first]).tolist(), strict=True))
    group_turns = np.array([turn_of_group[group] for group in groups[shuffled].tolist()])
    found: np.ndarray = shuffled[np.lexsort((codes[shuffled], group_turns, in_group))]
    return found


def _turns(keys: np.ndarray) -> np.ndarray:
    """int64 (n): how many equal keys come before each."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    turns = np.empty(len(keys), np.int64)
    turns[order] = np.arange(len(keys)) - np.repeat(starts, np.diff(np.r_[starts, len(keys)]))
    return turns


# -- the file ------------------------------------------------------------------------------------------------------


def _encode(trained: Trained, arrays: dict[str, np.ndarray]) -> bytes:
    """The same arrays have the same bytes: members of a zip file made here have no time."""
    table = {
        "names": np.array(trained.names),
        "edges": trained.edges,
        "codes": trained.codes,
        "counts": trained.counts.astype(np.int32),
        "usual": trained.usual,
        "importance": trained.weights,
    }
    file = io.BytesIO()
    np.savez(file, **table, **arrays)  # type: ignore[arg-type]  # its stub takes names for its own flag
    return file.getvalue()


def _known(arrays: dict[str, np.ndarray], sha256: str, threshold: float) -> Known:
    return Known(
        sha256=sha256,
        trained=Trained(
            names=tuple(str(name) for name in arrays["names"]),
            edges=arrays["edges"],
            codes=arrays["codes"],
            counts=arrays["counts"].astype(np.int64),
            usual=arrays["usual"],
            weights=arrays["importance"],
            outside=float(arrays["outside"]),
        ),
        scaling=Scaling(**{name: arrays[name] for name in _SCALING}),
        points=arrays["points"],
        mean=float(arrays["mean"]),
        threshold=threshold,
    )
