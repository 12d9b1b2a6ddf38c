"""One question for all that ask at once."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from api.database.driver import Row, is_text

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Finder:
    """Rows by key, of any select: see Database. Those who ask for the same kind at once are answered by one query."""

    def __init__(self, look: Callable[[str, str, list[str]], Awaitable[dict[str, Row]]]) -> None:
        """`look`: by select, column and keys; must not fail because of any of the keys."""
        self._look = look
        self._kinds: dict[str, Together[str, Row]] = {}

    async def find(self, select: str, column: str, key: str) -> Row | None:
        """See Database."""
        if not is_text(key):
            return None
        kind = self._kinds.get(select)
        if kind is None:
            kind = self._kinds[select] = Together(functools.partial(self._look, select, column))
        return await kind.find(key)


class Together(Generic[K, T]):
    """Answers by key, found by looks for many keys.

    Who asks while a look is under way is answered by the next one, so that no answer is older than its question.
    """

    def __init__(self, look: Callable[[list[K]], Awaitable[dict[K, T]]]) -> None:
        self._look = look
        self._asked: dict[K, asyncio.Future[T | None]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def find(self, key: K) -> T | None:
        """What was found for a key; raises what the look raises."""
        answer = self._asked.get(key)
        if answer is None:
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._go_on())
        return await asyncio.shield(answer)

    async def _go_on(self) -> None:
        """As long as somebody waits."""
        while self._asked:
            asked, self._asked = self._asked, {}
            try:
                found = await self._look(list(asked))
            except Exception as error:
                for answer in asked.values():
                    answer.set_exception(error)
                    answer.exception()  # whoever asked may be gone
            except BaseException:
                for answer in asked.values():
                    answer.cancel()
                raise
            else:
                for key, answer in asked.items():
                    answer.set_result(found.get(key))
