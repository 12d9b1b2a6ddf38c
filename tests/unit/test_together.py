"""One question for all that ask at once."""

import asyncio

import pytest

from api.database.driver import Row
from api.database.together import Together

pytestmark = pytest.mark.anyio


class Looks:
    """Looks that take until they are let go."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def look(self, keys: list[str]) -> dict[str, Row]:
        """All keys but `none` are there."""
        self.asked.append(keys)
        await self.go.wait()
        if self.error:
            raise self.error
        return {key: {"id": key, "look": len(self.asked)} for key in keys if key != "none"}


async def test_who_asks_during_a_look_is_answered_by_the_next() -> None:
    """All of them by one, each with its own row; a key that several want is looked for once."""
    looks = Looks()
    together = Together(looks.look)
    first = asyncio.create_task(together.find("a"))
    await asyncio.sleep(0.01)
    later = [asyncio.create_task(together.find(key)) for key in ("a", "b", "b", "none")]
    await asyncio.sleep(0.01)
    looks.go.set()
    assert await first == {"id": "a", "look": 1}
    assert await asyncio.gather(*later) == [{"id": key, "look": 2} for key in ("a", "b", "b")] + [None]
    assert looks.asked == [["a"], ["a", "b", "none"]]


async def test_one_that_goes_away_takes_no_answer_along() -> None:
    """Nor does a look that fails keep the next one from being made."""
    looks = Looks()
    together = Together(looks.look)
    gone, stays = (asyncio.create_task(together.find("a")) for _ in range(2))
    await asyncio.sleep(0.01)
    gone.cancel()
    looks.error = ValueError("any")
    looks.go.set()
    with pytest.raises(ValueError, match="any"):
        await stays
    looks.error = None
    assert await together.find("a") == {"id": "a", "look": 2}
