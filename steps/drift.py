"""How far a mapped area has moved from the training samples, and whether the model should be trusted there. Pure.

The population stability index compares shares by bin. A map has other shares of classes than training samples, which
are picked by class; so each feature is compared with training samples whose classes are weighted as the map has them,
and which miss it no more often. What is left is how the same classes look, which is what a model relies on.
"""

import csv
import enum
import io
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from steps.model.card import ClassDef

BINS = 12
"""Columns of a table of counts: at most 11 bins, and the last for missing values."""
MISSING = BINS - 1
FLOOR = 1e-4
"""Least share of a bin: an index with an empty bin would be infinite."""
SLIGHT, LARGE = 0.1, 0.25
"""Customary borders of the population stability index (Siddiqi 2006, Credit Risk Scorecards)."""
BORDER = 100
"""What is stored for a dissimilarity of 1; above it lies outside the area of applicability."""
LEAST = 30
"""Fewer pixels of the lattice say nothing."""
_HALF = 0.5
"""Added to the count of every bin (Krichevsky & Trofimov 1981): ten samples that miss a bin do not prove it empty."""
_RARE = 0.01
"""A feature has moved only where chance alone would move it less often than this."""
CAUTION_OUTSIDE, DISTRUST_OUTSIDE = 0.2, 0.5
"""Shares of the area outside the area of applicability."""
CAUTION_MOVED, DISTRUST_MOVED = 0.2, 0.5
"""Shares of the features, by their importance, that have moved."""
_NAMED = 4
"""Features that the sentence names."""


class Verdict(enum.StrEnum):
    """Whether the model can be trusted in an area."""

    OK = "ok"
    CAUTION = "caution"
    DISTRUST = "do not trust"
    UNKNOWN = "not measured"


class FeatureDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One feature."""

    name: str
    psi: float
    """Population stability index against training samples with the map's class shares, and no more missing values."""
    limit: float
    """What chance explains: the index between halves of the training samples, and of a sample as small as this."""
    weight: float
    """Importance; over all features they sum to 1."""
    rise: float
    """Mean change in bins, which are tenths of the training samples; below 0 where values are lower than theirs."""
    missing: float
    """Share of pixels without a value."""
    missing_trained: float
    """The same of the training samples."""

    @property
    def moved(self) -> bool:
        """Whether it is large, and more than chance."""
        return self.psi >= max(LARGE, self.limit)


class ClassShare(msgspec.Struct, frozen=True, kw_only=True):
    """One class."""

    code: int
    name: str
    trained: float
    """Share of the training samples."""
    mapped: float
    """Share of the mapped pixels."""


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """The file `drift.json` of a map."""

    version: int = 1
    verdict: Verdict
    sentence: str
    pixels: int
    """Mapped pixels of the lattice inside the area: what all shares are of."""
    outside: float
    """Share outside the model's area of applicability."""
    outside_trained: float
    """The same of training samples, each measured to those of other groups."""
    dissimilarity: float
    """Median, 1 is the border of the area of applicability."""
    moved: float
    """Share of the features that have moved, by importance."""
    class_shift: float
    """Total variation distance between the class shares of training samples and map, 0 to 1. No part of the verdict."""
    features: tuple[FeatureDrift, ...]
    """Worst first."""
    classes: tuple[ClassShare, ...]
    """In the order of the model."""
    tiles: int
    """Mapped tiles that were measured."""
    tiles_unmeasured: int
    """Mapped tiles without a sample: made when the model had no reference, or with another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """Training samples by bin."""

    names: tuple[str, ...]
    edges: np.ndarray
    """float32 (feature, BINS - 2): rising, filled up with infinity."""
    codes: np.ndarray
    """uint8 (class): rising."""
    counts: np.ndarray
    """int64 (class, feature, BINS)."""
    usual: np.ndarray
    """float64 (feature): the largest index between halves of the training samples."""
    weights: np.ndarray
    """float64 (feature): importance, 0 or more."""
    outside: float
    """Share of samples beyond the border of the area of applicability."""

    @property
    def classes(self) -> np.ndarray:
        """int64 (class): samples."""
        found: np.ndarray = self.counts[:, 0].sum(axis=1)
        return found

    @property
    def used(self) -> np.ndarray:
        """bool (feature, BINS): bins that a feature has."""
        return used_bins(self.edges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A sample of the pixels of a map, counted. Tiles add up to a map, in any order, to the same numbers."""

    counts: np.ndarray
    """int64 (class, feature, BINS): in the order of `Trained.codes`."""
    far: np.ndarray
    """int64 (256): pixels by their dissimilarity, in hundredths of the border's."""
    tiles: int = 0
    tiles_unmeasured: int = 0

    def __add__(self, other: "Mapped") -> "Mapped":
        return Mapped(
            counts=self.counts + other.counts,
            far=self.far + other.far,
            tiles=self.tiles + other.tiles,
            tiles_unmeasured=self.tiles_unmeasured + other.tiles_unmeasured,
        )

    @property
    def classes(self) -> np.ndarray:
        """int64 (class): pixels."""
        found: np.ndarray = self.counts[:, 0].sum(axis=1)
        return found

    @property
    def pixels(self) -> int:
        """How many were sampled."""
        return int(self.far.sum())

    @property
    def outside(self) -> float:
        """Share of the pixels beyond the border."""
        return float(self.far[BORDER + 1 :].sum() / max(self.pixels, 1))

    @property
    def dissimilarity(self) -> float:
        """Their median; 1 is the border."""
        return float(np.searchsorted(self.far.cumsum(), self.pixels / 2) / BORDER)


def nothing_mapped(trained: Trained, *, unmeasured: int = 0) -> Mapped:
    """No pixels; of tiles that were mapped, so many without a sample."""
    return Mapped(
        counts=np.zeros(trained.counts.shape, np.int64), far=np.zeros(256, np.int64), tiles_unmeasured=unmeasured
    )


def count_tile(trained: Trained, bins: np.ndarray, codes: np.ndarray, far: np.ndarray) -> Mapped:
    """One tile: bin numbers uint8 (n, feature), class codes uint8 (n), dissimilarities uint8 (n) of its pixels.

    Pixels of classes that no training sample has are left out.
    """
    known = np.isin(codes, trained.codes)
    numbers = np.searchsorted(trained.codes, codes[known])
    return Mapped(
        counts=count_bins(bins[known], numbers, len(trained.codes)),
        far=np.bincount(far[known], minlength=256),
        tiles=1,
    )


# -- bins ----------------------------------------------------------------------------------------------------------


def make_edges(features: np.ndarray) -> np.ndarray:
    """float32 (feature, BINS - 2): inner deciles of samples (n, feature), each once, filled up with infinity.

    Where a tenth of the samples has the largest value, what exceeds it is a bin of its own, empty in training.
    """
    edges = np.full((features.shape[1], BINS - 2), np.inf, np.float32)
    for row, column in zip(edges, features.T, strict=True):
        known = column[np.isfinite(column)]
        if not known.size:
            continue
        found = np.unique(np.quantile(known, np.arange(1, 10) / 10, method="higher").astype(np.float32))
        if found[-1] >= known.max():
            found = np.append(found, np.nextafter(found[-1], np.float32(np.inf)))
        row[: len(found)] = found
    return edges


def used_bins(edges: np.ndarray) -> np.ndarray:
    """bool (feature, BINS): the bins that edges make, and the one for missing values."""
    used = np.ones((len(edges), BINS), bool)
    used[:, 1:MISSING] = np.isfinite(edges)
    return used


def bin_numbers(features: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """uint8 (n, feature): how many edges do not exceed a value of (n, feature); MISSING where there is none."""
    out = np.empty(features.shape, np.uint8)
    for index, row in enumerate(edges):
        column = features[:, index]
        out[:, index] = np.searchsorted(row[np.isfinite(row)], column, side="right")
        out[~np.isfinite(column), index] = MISSING
    return out


def count_bins(bins: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """int64 (class, feature, BINS): samples (n, feature) by bin and class; `classes` (n) number below `count`."""
    features = bins.shape[1]
    place = (classes[:, None].astype(np.int64) * features + np.arange(features)) * BINS + bins
    return np.bincount(place.ravel(), minlength=count * features * BINS).reshape(count, features, BINS)


# -- indices -------------------------------------------------------------------------------------------------------


def psi(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float64 (...): population stability index of two sets of shares (..., bin); a share below FLOOR counts as that.

    0 where they are equal, never below, the same both ways; bins where both are 0 add nothing.
    """
    first, second = np.maximum(one, FLOOR), np.maximum(other, FLOOR)
    return np.asarray(((first - second) * np.log(first / second)).sum(axis=-1))


def shares(counts: np.ndarray, used: np.ndarray) -> np.ndarray:
    """float64 (..., feature, BINS): counts as shares that sum to 1, half a sample added to each bin in use."""
    filled = counts + _HALF * used
    found: np.ndarray = filled / filled.sum(axis=-1, keepdims=True)
    return found


def expected(counts: np.ndarray, used: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """float64 (feature, BINS): shares of samples (class, feature, BINS) with class shares `mixture` (class)."""
    found: np.ndarray = np.tensordot(mixture, shares(counts, used), axes=1)
    return found


def as_missing(trained: np.ndarray, mapped: np.ndarray) -> np.ndarray:
    """float64 (feature, BINS): training shares with no more missing values than the map has.

    A model has seen a feature with its values as without; fewer gaps than in training are no drift.
    """
    gap = np.minimum(trained[:, MISSING], mapped[:, MISSING])
    found = trained * ((1 - gap) / (1 - trained[:, MISSING]))[:, None]
    found[:, MISSING] = gap
    return np.asarray(found)


def mixed_psi(mapped: np.ndarray, trained: np.ndarray, used: np.ndarray) -> np.ndarray:
    """float64 (feature): index of counts (class, feature, BINS) against others, as if these had what cannot be drift.

    That are the class shares of the first, and no more missing values. Classes without a sample in the second are
    left out: nothing is known of how they look.
    """
    sizes = mapped[:, 0].sum(axis=1) * (trained[:, 0].sum(axis=1) > 0)
    mixture = sizes / max(sizes.sum(), 1)
    now = shares(mapped[sizes > 0].sum(axis=0), used)
    return psi(now, as_missing(expected(trained, used, mixture), now))


def chance(samples: int, used: np.ndarray) -> np.ndarray:
    """float64 (feature): index that a fair sample exceeds once in a hundred times.

    It is chi-squared over the sample size (Yurdakul 2018, Statistical Properties of Population Stability Index), here
    by the approximation of Wilson & Hilferty 1931.
    """
    freedom = np.maximum(used.sum(axis=1) - 1, 1)
    z = statistics.NormalDist().inv_cdf(1 - _RARE)
    spread = 2 / (9 * freedom)
    return np.asarray(freedom * (1 - spread + z * np.sqrt(spread)) ** 3 / samples)


def total_variation(one: np.ndarray, other: np.ndarray) -> float:
    """Half the summed differences of shares: what part would have to change its class."""
    return float(np.abs(one - other).sum() / 2)


# -- verdict -------------------------------------------------------------------------------------------------------


def measure(trained: Trained, mapped: Mapped, classes: Sequence[ClassDef]) -> Drift:
    """Compare a map with its training samples; `classes` are as published."""
    by_class = _class_shares(trained, mapped, classes)
    if mapped.pixels < LEAST:
        return _unknown(trained, mapped, by_class)
    features = _features(trained, mapped)
    moved = sum(one.weight for one in features if one.moved)
    verdict = judge(mapped.outside, moved)
    return Drift(
        verdict=verdict,
        sentence=say(verdict, mapped.outside, trained.outside, features),
        pixels=mapped.pixels,
        outside=mapped.outside,
        outside_trained=trained.outside,
        dissimilarity=mapped.dissimilarity,
        moved=moved,
        class_shift=total_variation(*(np.array([getattr(one, side) for one in by_class]) for side in _SIDES)),
        features=features,
        classes=by_class,
        tiles=mapped.tiles,
        tiles_unmeasured=mapped.tiles_unmeasured,
    )


_SIDES = ("trained", "mapped")


def _unknown(trained: Trained, mapped: Mapped, classes: tuple[ClassShare, ...]) -> Drift:
    why = (
        f"{mapped.tiles_unmeasured} tiles were in the store before the model could be compared, map it into another one"
        if mapped.tiles_unmeasured
        else f"only {mapped.pixels} pixels were sampled, {LEAST} are needed"
    )
    return Drift(
        verdict=Verdict.UNKNOWN,
        sentence=f"Whether the model fits this area was not measured: {why}.",
        pixels=mapped.pixels,
        outside=0.0,
        outside_trained=trained.outside,
        dissimilarity=0.0,
        moved=0.0,
        class_shift=0.0,
        features=(),
        classes=classes,
        tiles=mapped.tiles,
        tiles_unmeasured=mapped.tiles_unmeasured,
    )


def _class_shares(trained: Trained, mapped: Mapped, classes: Sequence[ClassDef]) -> tuple[ClassShare, ...]:
    names = {entry.code: entry.name for entry in classes}
    sides = [sizes / max(sizes.sum(), 1) for sizes in (trained.classes, mapped.classes)]
    return tuple(
        ClassShare(code=int(code), name=names.get(int(code), str(code)), trained=float(before), mapped=float(now))
        for code, before, now in zip(trained.codes, *sides, strict=True)
    )


def _features(trained: Trained, mapped: Mapped) -> tuple[FeatureDrift, ...]:
    """Every feature, worst first."""
    used, counts, pixels = trained.used, mapped.counts, mapped.pixels
    now = shares(counts.sum(axis=0), used)
    before = as_missing(expected(trained.counts, used, mapped.classes / pixels), now)
    found, limit = psi(now, before), trained.usual + chance(pixels, used)
    weights = trained.weights / (trained.weights.sum() or 1.0)
    rise = _mean_bin(now) - _mean_bin(before)
    order = np.lexsort((np.arange(len(found)), -found))
    return tuple(
        FeatureDrift(
            name=trained.names[at],
            psi=float(found[at]),
            limit=float(limit[at]),
            weight=float(weights[at]),
            rise=float(rise[at]),
            missing=float(counts[:, at, MISSING].sum() / pixels),
            missing_trained=float(trained.counts[:, at, MISSING].sum() / trained.counts[:, at].sum()),
        )
        for at in order
    )


def _mean_bin(found: np.ndarray) -> np.ndarray:
    """float64 (feature): mean bin of the values that are there."""
    present = found[:, :MISSING]
    mean: np.ndarray = present @ np.arange(MISSING) / present.sum(axis=1)
    return mean


def judge(outside: float, moved: float) -> Verdict:
    """From the share of the area outside, and the share of features moved (both 0 to 1)."""
    if outside >= DISTRUST_OUTSIDE or moved >= DISTRUST_MOVED:
        return Verdict.DISTRUST
    return Verdict.CAUTION if outside >= CAUTION_OUTSIDE or moved >= CAUTION_MOVED else Verdict.OK


_BEGINNINGS = {
    Verdict.OK: "The area looks like what the model was trained on",
    Verdict.CAUTION: "Read this map with caution",
    Verdict.DISTRUST: "Do not trust this map",
}
_MOSTLY = "The area looks mostly like what the model was trained on"


def say(verdict: Verdict, outside: float, outside_trained: float, features: Sequence[FeatureDrift]) -> str:
    """The verdict as a sentence, with what moved."""
    moved = [one for one in features if one.moved]
    far = f"{outside:.0%} of it lies outside what the model knows (of its training samples {outside_trained:.0%} do)"
    if not moved:
        return f"{_BEGINNINGS[verdict]}: {far}, and no feature has moved."
    begun = (
        "The area looks mostly like what the model was trained on" if verdict is Verdict.OK else _BEGINNINGS[verdict]
    )
    most = ", ".join(f"{one.name} ({direction(one)})" for one in moved[:_NAMED])
    more = ", most of all " if len(moved) > _NAMED else ": "
    have = "has" if len(moved) == 1 else "have"
    return f"{begun}: {far}, and {len(moved)} of {len(features)} features {have} moved{more}{most}."


def direction(one: FeatureDrift) -> str:
    """In a word or two, where a feature moved to."""
    absent = one.missing - one.missing_trained
    if absent >= 0.1 and absent * MISSING > abs(one.rise):
        return "missing more often"
    return "other spread" if abs(one.rise) < 0.5 else "higher" if one.rise > 0 else "lower"


# -- numbers for others --------------------------------------------------------------------------------------------

_LEVELS = {Verdict.OK: 0.0, Verdict.CAUTION: 1.0, Verdict.DISTRUST: 2.0}


def metrics(drift: Drift) -> dict[str, float]:
    """Numbers by name, for a tracker of experiments; none where nothing was measured. Level 2 is `do not trust`."""
    if drift.verdict is Verdict.UNKNOWN:
        return {}
    found = {
        "drift.level": _LEVELS[drift.verdict],
        "drift.outside": drift.outside,
        "drift.dissimilarity": drift.dissimilarity,
        "drift.moved": drift.moved,
        "drift.class_shift": drift.class_shift,
        "drift.psi_median": statistics.median(one.psi for one in drift.features),
        "drift.psi_max": max(one.psi for one in drift.features),
        "drift.pixels": float(drift.pixels),
    }
    return found | {f"drift.psi.{one.name}": one.psi for one in drift.features}


def properties(drift: Drift) -> dict[str, Any]:
    """The fields of a STAC item; features are in the order of their index, worst first."""
    said: dict[str, Any] = {"geocrop:drift_verdict": str(drift.verdict), "geocrop:drift_sentence": drift.sentence}
    if drift.verdict is Verdict.UNKNOWN:
        return said
    return said | {
        "geocrop:drift_outside": _short(drift.outside),
        "geocrop:drift_moved": _short(drift.moved),
        "geocrop:drift_class_shift": _short(drift.class_shift),
        "geocrop:drift_psi_median": _short(statistics.median(one.psi for one in drift.features)),
        "geocrop:drift_psi_max": _short(max(one.psi for one in drift.features)),
        "geocrop:drift_features": {one.name: _short(one.psi) for one in drift.features},
        "geocrop:drift_features_moved": [one.name for one in drift.features if one.moved],
    }


def to_csv(drift: Drift) -> str:
    """All features as a table, worst first."""
    text = io.StringIO()
    columns = ("feature", "psi", "limit", "moved", "weight", "rise", "missing", "missing_trained")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for one in drift.features:
        numbers = (one.weight, one.rise, one.missing, one.missing_trained)
        writer.writerow(
            (one.name, _short(one.psi), _short(one.limit), int(one.moved), *(_short(value) for value in numbers))
        )
    return text.getvalue()


def _short(value: float) -> float:
    return round(value, 6) if math.isfinite(value) else 0.0
