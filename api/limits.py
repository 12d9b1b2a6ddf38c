"""What one owner or address may take: requests by token buckets, and bodies by a look before they are parsed."""

import time
from collections import OrderedDict
from dataclasses import dataclass

from api.problems import ProblemError
from api.settings import ApiSettings

_MOST_BUCKETS = 10_000
_DEEPEST = 64
"""Deepest nesting of JSON; an AOI within a Feature within a collection has about ten levels."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled: float


class Limiter:
    """Token buckets; the state is told in headers."""

    def __init__(self, settings: ApiSettings) -> None:
        self._rates = {
            "request": settings.requests_per_minute,
            "submission": settings.submissions_per_minute,
            "sign-in": settings.sign_ins_per_minute,
        }
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def take(self, kind: str, who: str) -> dict[str, str]:
        """Take one; returns headers for the answer. Raises a 429 when there is none left."""
        rate = self._rates[kind]
        bucket, clock = self._bucket(kind, who, rate), time.monotonic()
        bucket.tokens = min(rate, bucket.tokens + (clock - bucket.filled) * rate / 60)
        bucket.filled = clock
        if bucket.tokens < 1:
            wait = max(1, round((1 - bucket.tokens) * 60 / rate))
            raise ProblemError(
                429, f"more than {rate} {kind}s in a minute", "slow down", headers={"Retry-After": str(wait)}
            )
        bucket.tokens -= 1
        return {"RateLimit-Limit": str(rate), "RateLimit-Remaining": str(int(bucket.tokens)), "RateLimit-Reset": "60"}

    def _bucket(self, kind: str, who: str, rate: int) -> _Bucket:
        bucket = self._buckets.setdefault((kind, who), _Bucket(float(rate), time.monotonic()))
        self._buckets.move_to_end((kind, who))
        while len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket


def check_body(body: bytes, max_vertices: int) -> None:
    """Refuse what cannot be an area before it is parsed: too many positions, too deep. Raises a 413.

    Every position is an array. Nesting is counted without minding strings, so that brackets within names count too.
    """
    if body.count(b"[") > 2 * max_vertices:
        raise ProblemError(413, f"more than {max_vertices:,} vertices", "simplify the area")
    depth = deepest = 0
    for byte in body.translate(None, _ALL_BUT_BRACKETS)[: 8 * max_vertices]:
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
        if deepest > _DEEPEST:
            raise ProblemError(413, f"JSON nested more than {_DEEPEST} deep", "give plain GeoJSON")


_ALL_BUT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
