"""Tests of `api.tasks`."""

import asyncio
import contextlib

import pytest

from api.tasks import end

pytestmark = pytest.mark.anyio


async def _deaf(times: int) -> None:
    """A task that misses that many cancellations."""
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
    await asyncio.sleep(60)


async def test_a_task_that_misses_a_cancellation_ends() -> None:
    """One lost call of cancel keeps no server from stopping."""
    tasks = [asyncio.create_task(_deaf(times)) for times in (0, 1)]
    await asyncio.sleep(0)
    await end(*tasks)
    assert all(task.cancelled() for task in tasks)


async def test_what_failed_before_is_not_raised_at_the_end() -> None:
    """An end tidies up; whoever waits for the task hears of its failure."""

    async def fail() -> None:
        raise ValueError

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await end(task)
    assert task.done()
