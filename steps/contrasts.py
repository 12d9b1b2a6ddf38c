"""Further columns of a feature table: contrasts of bands, which say more than the bands themselves. Pure.

Trees split on one column at a time; a ratio of two is out of their reach. Of every pair of bands of one date there
follows their normalised difference, and of every column with a twin of another date its relative change.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

_BANDS = (
    r"coastal|blue|green|red_?edge_?[123]?|red|nir_?0?[89]|nir(_[12])?|swir_?(16|22|[123])|b(0?[1-9]|8a|1[0-2])|vv|vh"
)
_COLUMN = re.compile(rf"(?P<band>{_BANDS})(?P<date>[_.\-].+)?", re.IGNORECASE)
_DATED = re.compile(r"(?P<what>.+?)(?P<date>[_.\-][a-z]*\d+)", re.IGNORECASE)
_TINY = np.float32(1e-6)
Pair = tuple[str, int, int]
"""Name of a contrast, and the positions of its two columns."""


def contrast_pairs(names: Sequence[str]) -> list[Pair]:
    """The contrasts of a table's columns, in an order that only the names decide."""
    return [*_band_pairs(names), *_date_pairs(names)]


def with_contrasts(features: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """float32 (n, feature) with the contrasts after the columns, and the names of all.

    A contrast of a and b is (a - b) / (|a| + |b|), 0 where both are; NaN where one is.
    """
    pairs = contrast_pairs(names)
    made = [_contrast(features[:, one], features[:, other]) for _, one, other in pairs]
    columns = np.concatenate([features, np.stack(made, axis=1)], axis=1) if made else features
    return columns.astype(np.float32), (*names, *(name for name, _, _ in pairs))


def _contrast(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    found: np.ndarray = (one - other) / (np.abs(one) + np.abs(other) + _TINY)
    return found


def _band_pairs(names: Sequence[str]) -> Iterator[Pair]:
    """Every two bands of one date."""
    dates: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        if found := _COLUMN.fullmatch(name):
            dates[found["date"] or ""].append(position)
    for members in dates.values():
        for one, other in itertools.combinations(members, 2):
            yield f"{names[other]}:{names[one]}", other, one


def _date_pairs(names: Sequence[str]) -> Iterator[Pair]:
    """Each column and the next date of the same."""
    same: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        if found := _DATED.fullmatch(name):
            same[found["what"]].append(position)
    for members in same.values():
        for one, other in itertools.pairwise(members):
            yield f"{names[other]}:{names[one]}", other, one
