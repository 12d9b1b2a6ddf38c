"""Room for maps: what a disk has left, or what an S3 store may still take, less what active jobs have yet to write."""

import asyncio
import shutil
import time
from pathlib import Path

from api.problems import ProblemError
from api.settings import ApiSettings
from steps.store import Store

_KEEP_SECONDS = 600.0
"""S3 is counted by listing it: now and then."""
MB_PER_KM2 = 0.05
"""Tiles and their share of a map: 10,000 pixels of about 5 bytes, compressed."""


class Budget:
    """Of one store."""

    def __init__(self, store: Store, store_url: str, settings: ApiSettings) -> None:
        self._store, self._url = store, store_url
        self._reserve_mb, self._budget_mb = settings.disk_reserve_mb, settings.store_budget_mb
        self._turn = asyncio.Lock()
        self._used_mb, self._counted = 0.0, -_KEEP_SECONDS

    async def check(self, needed_mb: float, promised_mb: float) -> None:
        """Raises a 409 where a map does not fit beside what is promised to active jobs."""
        free = await self._free_mb()
        if free is not None and needed_mb + promised_mb > free:
            raise ProblemError(
                409,
                f"the map takes about {needed_mb:,.0f} MB; {max(0.0, free):,.0f} MB are free, "
                f"{promised_mb:,.0f} MB of them for active jobs",
                "delete maps, wait, or draw a smaller area",
            )

    async def _free_mb(self) -> float | None:
        """None where nobody has set a bound."""
        if not self._url.startswith("s3://"):
            return await asyncio.to_thread(_disk_free_mb, Path(self._url)) - self._reserve_mb
        if not self._budget_mb:
            return None
        async with self._turn:
            if time.monotonic() - self._counted > _KEEP_SECONDS:
                self._used_mb = await asyncio.to_thread(self._store.total, "") / 1e6
                self._counted = time.monotonic()
        return self._budget_mb - self._used_mb


def _disk_free_mb(folder: Path) -> float:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e6
