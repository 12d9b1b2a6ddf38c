"""The log of a work whose parts run in pods: first what is archived of pods that are gone, then what pods say."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from api.engines.log_lines import log_line
from api.schemas import LogLine
from api.tasks import end
from steps import naming
from steps.errors import TryAgainError
from steps.store import MissingObject, Store

Pods = Callable[[], Awaitable[list[str]]]
"""Names of the pods that are there."""
Lines = Callable[[str], AsyncIterator[str]]
"""What a pod says, until it ends where it is followed."""
Over = Callable[[], Awaitable[bool]]
Queue = asyncio.Queue[LogLine | None]
_AGAIN_SECONDS = 2.0
_MOST_WAITING = 1000


async def archived(store: Store, work: str, but: set[str]) -> AsyncIterator[LogLine]:
    """Of pods that are gone, as Argo keeps them in the store; nothing while the store is away."""
    prefix = naming.workflow_logs(work)
    try:
        keys = await asyncio.to_thread(lambda: list(store.list(prefix)))
        for key in keys:
            pod, _, file = key.removeprefix(prefix).partition("/")
            if file == "main.log" and pod not in but:
                text = await asyncio.to_thread(store.get_bytes, key)
                for line in filter(None, map(log_line, text.decode(errors="replace").splitlines())):
                    yield line
    except (TryAgainError, MissingObject):
        return


async def spoken(pods: Pods, lines: Lines, over: Over, *, follow: bool) -> AsyncIterator[LogLine]:
    """Of all pods at once, as they speak; with `follow` also of those that come later, until the work is over."""
    queue: Queue = asyncio.Queue(_MOST_WAITING)
    listening = asyncio.create_task(_listen(queue, pods, lines, over, follow=follow))
    try:
        while (line := await queue.get()) is not None:
            yield line
    finally:
        await end(listening)


async def _listen(
    queue: "asyncio.Queue[LogLine | None]", pods: Pods, lines: Lines, over: Over, *, follow: bool
) -> None:
    known: set[str] = set()
    try:
        async with asyncio.TaskGroup() as tasks:
            while True:
                ended = await over()
                for pod in await pods():
                    if pod not in known:
                        known.add(pod)
                        tasks.create_task(_hear(queue, lines(pod)))
                if ended or not follow:
                    break
                await asyncio.sleep(_AGAIN_SECONDS)
    finally:
        await queue.put(None)


async def _hear(queue: Queue, said: AsyncIterator[str]) -> None:
    async for text in said:
        if (line := log_line(text)) is not None:
            await queue.put(line)
