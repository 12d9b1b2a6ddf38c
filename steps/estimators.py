"""Accuracy and area from a stratified random sample: the sample's size, its allocation, and the estimates. Pure.

Olofsson et al. 2014, Good practices for estimating area and assessing accuracy of land change, Remote Sensing of
Environment 148, 42-57; equations are numbered as there. Strata are the classes of the map. In a matrix rows are map
classes and columns reference classes, both in the order of the classes. What cannot be estimated is None.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from steps.naming import slug

Z = 1.96
"""Half the width of a 95 % interval in standard errors, as in the paper."""
LEAST = 2
"""Fewer units in a stratum have no variance."""


class Stratum(msgspec.Struct, frozen=True, kw_only=True):
    """A class of the map, as a sample is drawn from it."""

    code: int
    name: str
    pixels: int
    """Zero for a class that is in the legend and not on the map."""
    hectares: float
    """True area of these pixels."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its 95 % interval, cut to what is possible: 0 to 1, or 0 to the mapped area."""

    value: float | None
    standard_error: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, value: float, variance: float, scale: float = 1.0) -> "Estimate":
        """From a share and its variance; NaN is what cannot be estimated. `scale` is what a share of 1 is."""
        if math.isnan(value):
            return cls(value=None, standard_error=None, low=None, high=None)
        value = min(1.0, max(0.0, float(value)))  # sums of shares can be off in their last digit
        if math.isnan(variance):
            return cls(value=scale * value, standard_error=None, low=None, high=None)
        error = math.sqrt(float(variance))
        low, high = max(0.0, value - Z * error), min(1.0, value + Z * error)
        return cls(value=scale * value, standard_error=scale * error, low=scale * low, high=scale * high)


class ClassAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """One class, as the map and as the reference has it."""

    stratum: Stratum
    units: int
    """Labelled units that the map says are this class."""
    reference_units: int
    """Labelled units that the reference says are this class."""
    users: Estimate
    """Share of what is mapped as this class that is this class."""
    producers: Estimate
    """Share of this class that is mapped as this class."""
    share: Estimate
    """Of the mapped area."""
    hectares: Estimate


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """What a labelled sample says of a map."""

    overall: Estimate
    classes: tuple[ClassAccuracy, ...]
    counts: tuple[tuple[int, ...], ...]
    """Labelled units by map class and reference class."""
    proportions: tuple[tuple[float | None, ...], ...]
    """Share of the mapped area by map class and reference class."""
    hectares: float
    """The mapped area."""
    notes: tuple[str, ...] = ()
    """What cannot be estimated, or not well, and why; a sentence each."""

    @property
    def units(self) -> int:
        """Labelled units."""
        return sum(one.units for one in self.classes)


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """The file assessment.json, and `geocrop:assessment` of the map's item."""

    item: str
    """Id of the map."""
    map_sha256: str
    created: str
    """RFC 3339."""
    code_version: str
    design: str
    """Digest of the sample's design."""
    drawn: int
    """Units of the design."""
    unlabelled: tuple[int, ...]
    """Ids of units that are left out, because they have no label."""
    accuracy: Accuracy


# -- before: how many, and where -----------------------------------------------------------------------------------


def sample_size(strata: Sequence[Stratum], users: Mapping[int, float], standard_error: float) -> int:
    """Units for a standard error of overall accuracy; `users` is the expected user's accuracy by class code.

    Equation 13 for a map of many pixels, n = (sum W S / S(O))^2 with S^2 = U (1 - U); at most all pixels.
    """
    total = sum(one.hectares for one in strata)
    spread = sum(one.hectares / total * math.sqrt(users[one.code] * (1 - users[one.code])) for one in strata)
    wanted = (spread / standard_error) ** 2
    return min(math.ceil(round(wanted, 6)), sum(one.pixels for one in strata))


def allocate(total: int, strata: Sequence[Stratum], minimum: int) -> list[int]:
    """Units per stratum: in proportion to area, at least `minimum` and at most the stratum's pixels.

    The sum is `total`, or more where the minima need more, or all pixels.
    """
    pixels = np.array([one.pixels for one in strata])
    least = np.minimum(pixels, minimum)
    wanted = int(np.clip(total, least.sum(), pixels.sum()))
    weights = np.array([one.hectares for one in strata]) / sum(one.hectares for one in strata)
    return _rounded(_filled(wanted, weights, least, pixels), wanted, pixels)


def _filled(wanted: int, weights: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """float64 (strata,): proportional to the weights where the bounds let it, with the wanted sum; by bisection."""
    low, high = 0.0, float((most / weights).max())
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(middle * weights, least, most).sum() < wanted else (low, middle)
    return np.clip(high * weights, least, most)


def _rounded(shares: np.ndarray, wanted: int, most: np.ndarray) -> list[int]:
    """Integers with the wanted sum, by largest remainder."""
    units = np.floor(shares + 1e-9).astype(int)
    order = sorted(range(len(units)), key=lambda index: units[index] - shares[index])
    for index in [one for one in order if units[one] < most[one]][: max(0, wanted - int(units.sum()))]:
        units[index] += 1
    return [int(one) for one in units]


# -- after: the estimates ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Moments:
    """Shares and variances, all float64; NaN where a stratum has too few units."""

    weights: np.ndarray
    """(strata,): W, of the mapped area."""
    share: np.ndarray
    """(map, reference): n_ij / n_i, the share of a stratum; zero for a class that is not on the map."""
    variance: np.ndarray
    """(map, reference): of these shares."""

    @property
    def proportions(self) -> np.ndarray:
        """(map, reference): shares of the mapped area; equation 4."""
        return self.weights[:, None] * self.share

    @property
    def spread(self) -> np.ndarray:
        """(map, reference): variances of these proportions."""
        return self.weights[:, None] ** 2 * self.variance


def estimate(strata: Sequence[Stratum], counts: np.ndarray) -> Accuracy:
    """All estimates from labelled units, int (map, reference), and the strata that they were drawn from.

    The variance of a stratum of which every pixel is labelled is zero: nothing of it was left to chance.
    """
    moments = _moments(strata, counts)
    total = sum(one.hectares for one in strata)
    overall = Estimate.of(float(np.trace(moments.proportions)), float(np.trace(moments.spread)))  # equations 1 and 5
    return Accuracy(
        overall=overall,
        classes=tuple(_class(strata, counts, moments, index) for index in range(len(strata))),
        counts=tuple(tuple(int(one) for one in row) for row in counts),
        proportions=tuple(tuple(None if math.isnan(one) else float(one) for one in row) for row in moments.proportions),
        hectares=total,
        notes=tuple(_notes(strata, counts)),
    )


def _moments(strata: Sequence[Stratum], counts: np.ndarray) -> _Moments:
    pixels, area = np.array([one.pixels for one in strata]), np.array([one.hectares for one in strata])
    units = counts.sum(axis=1)
    mapped = pixels > 0
    blank = np.where(mapped, np.nan, 0.0)[:, None] * np.ones(counts.shape)
    share = np.divide(counts, units[:, None], out=blank.copy(), where=(units > 0)[:, None])
    variance = np.divide(share * (1 - share), (units - 1)[:, None], out=blank, where=(units >= LEAST)[:, None])
    variance[mapped & (units >= pixels)] = 0.0
    return _Moments(area / area.sum(), share, variance)


def _class(strata: Sequence[Stratum], counts: np.ndarray, moments: _Moments, index: int) -> ClassAccuracy:
    column, spread = moments.proportions[:, index], moments.spread[:, index]
    total = sum(one.hectares for one in strata)
    users, users_variance = moments.share[index, index], moments.variance[index, index]  # equations 2 and 6
    share, share_variance = float(column.sum()), float(spread.sum())  # equations 9 and 10
    return ClassAccuracy(
        stratum=strata[index],
        units=int(counts[index].sum()),
        reference_units=int(counts[:, index].sum()),
        users=Estimate.of(users if strata[index].pixels else math.nan, users_variance),
        producers=_producers(column, spread, index),
        share=Estimate.of(share, share_variance),
        hectares=Estimate.of(share, share_variance, scale=total),  # equation 11
    )


def _producers(column: np.ndarray, spread: np.ndarray, index: int) -> Estimate:
    """Equations 3 and 7; none where the reference never has the class."""
    total = float(column.sum())
    if not total > 0:
        return Estimate.of(math.nan, math.nan)
    value = float(column[index]) / total
    own, others = float(spread[index]), float(np.delete(spread, index).sum())
    return Estimate.of(value, ((1 - value) ** 2 * own + value**2 * others) / total**2)


def _notes(strata: Sequence[Stratum], counts: np.ndarray) -> Iterator[str]:
    units = [int(one) for one in counts.sum(axis=1)]
    for stratum, few in zip(strata, units, strict=True):
        if few < min(LEAST, stratum.pixels):
            yield _lack(stratum, few)
    right = np.diagonal(counts)
    flawless = [
        one.name for one, all_, good in zip(strata, units, right, strict=True) if LEAST <= all_ == good < one.pixels
    ]
    if flawless:
        yield (
            f"No error was found among the units of {', '.join(flawless)}: their share in standard errors is zero, "
            "which is likely less than the truth; more units may find some."
        )


def _lack(stratum: Stratum, units: int) -> str:
    least = min(LEAST, stratum.pixels)
    if units:
        return (
            f"One unit of {stratum.name} is labelled: no standard error of it, of overall accuracy or of areas can be "
            f"estimated; label at least {least}."
        )
    return (
        f"No unit of {stratum.name} is labelled: neither its accuracy nor that of the whole map, and no area, can be "
        f"estimated; label at least {least}."
    )


# -- for tracking --------------------------------------------------------------------------------------------------


def metrics_of(assessment: Assessment) -> dict[str, float]:
    """The estimates as metrics: `assess.overall`, `assess.area.<class>.ha`, each also with `.standard_error`.

    Classes are spelt in lower-case letters, digits and dashes. What cannot be estimated is left out.
    """
    accuracy = assessment.accuracy
    found = {"assess.units": float(accuracy.units), **_metric("assess.overall", accuracy.overall)}
    for name, one in zip(_metric_names(accuracy), accuracy.classes, strict=True):
        found |= _metric(f"assess.users.{name}", one.users)
        found |= _metric(f"assess.producers.{name}", one.producers)
        found |= _metric(f"assess.area.{name}.ha", one.hectares)
    return found


def _metric(name: str, one: Estimate) -> dict[str, float]:
    both = {name: one.value, f"{name}.standard_error": one.standard_error}
    return {key: value for key, value in both.items() if value is not None}


def _metric_names(accuracy: Accuracy) -> list[str]:
    strata = [one.stratum for one in accuracy.classes]
    names = [slug(one.name) if re.search("[A-Za-z0-9]", one.name) else f"class-{one.code}" for one in strata]
    often = Counter(names)
    return [f"{name}-{one.code}" if often[name] > 1 else name for name, one in zip(names, strata, strict=True)]
