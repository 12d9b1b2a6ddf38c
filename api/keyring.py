"""API keys, each looked up once in a moment however often it is sent."""

import time
from collections.abc import Callable

from api.database.access import KeyRow, find_key
from api.database.driver import Database

SECONDS = 1.0
"""For so long a key may hold after it was revoked."""
_MOST = 1000


class Keyring:
    """Remembers keys that hold, and none that does not: whoever guesses fills nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, KeyRow]] = {}

    async def find(self, database: Database, key: str) -> KeyRow | None:
        """A key that is not revoked, or was not a moment ago."""
        asked = self._clock()
        kept = self._kept.get(key)
        if kept is not None and asked - kept[0] < SECONDS:
            return kept[1]
        row = await find_key(database, key)
        if row is None:
            self._kept.pop(key, None)
        else:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[key] = asked, row
        return row
