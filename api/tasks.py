"""Tasks in the background that really end."""

import asyncio

_AGAIN_SECONDS = 0.5


async def end(*tasks: "asyncio.Task[None]") -> None:
    """Cancel until they have ended.

    One call of `cancel` can be lost: before Python 3.12 `asyncio.wait_for`, which the pool of psycopg uses too, returns
    as if nothing had happened when what it waits for is done in the same moment.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
