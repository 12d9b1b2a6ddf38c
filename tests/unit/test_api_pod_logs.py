"""Logs of works that run in pods."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.engines.pod_logs import archived, spoken
from steps import naming
from steps.store import MemoryStore

pytestmark = pytest.mark.anyio


async def test_pods_that_are_gone_are_read_from_the_archive() -> None:
    """Their JSON lines; not of pods that still speak for themselves, nor what is no log."""
    store, prefix = MemoryStore(), naming.workflow_logs("any-1")
    store.put_bytes(f"{prefix}gone/main.log", b'{"event": "tile.done", "tile": "r1c1"}\ntime="x" level=info\n')
    store.put_bytes(f"{prefix}there/main.log", b'{"event": "twice"}\n')
    store.put_bytes(f"{prefix}gone/job", b'{"event": "no log"}')
    found = [line async for line in archived(store, "any-1", {"there"})]
    assert [(line.event, line.tile) for line in found] == [("tile.done", "r1c1")]


async def test_pods_that_come_later_are_heard_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once: one that goes on and on keeps no other from being heard; it ends with the work."""
    monkeypatch.setattr("api.engines.pod_logs._AGAIN_SECONDS", 0.01)
    names, late = ["slow"], asyncio.Event()

    async def pods() -> list[str]:
        return list(names)

    async def lines(pod: str) -> AsyncIterator[str]:
        yield f'{{"event": "{pod}"}}'
        if pod == "slow":
            names.append("late")
            await late.wait()
            yield '{"event": "end"}'
        late.set()

    async def over() -> bool:
        return late.is_set()

    heard = [line.event async for line in spoken(pods, lines, over, follow=True)]
    assert heard == ["slow", "late", "end"]


async def test_without_following_it_ends_with_what_there_is() -> None:
    """Nothing is waited for."""

    async def pods() -> list[str]:
        return ["a"]

    async def lines(pod: str) -> AsyncIterator[str]:
        yield f'{{"event": "{pod}"}}'

    async def over() -> bool:
        return False

    assert [line.event async for line in spoken(pods, lines, over, follow=False)] == ["a"]
