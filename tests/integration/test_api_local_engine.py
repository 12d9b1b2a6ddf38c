"""The local engine: works are folders with processes of their own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.engines.local import LocalEngine
from api.engines.protocol import Sighting, Synced, Work
from steps.model.job import Phase
from steps.testing import any_request

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[LocalEngine]:
    one = LocalEngine(tmp_path / "engine", places=1)
    await one.open()
    yield one
    for work in ("a-1", "b-1"):
        await one.remove(work)
    await one.close()


def any_work(name: str, folder: Path) -> Work:
    return Work(name=name, job=name[:-2], attempt=1, request=any_request(), store=str(folder / "store"))


async def _until(engine: LocalEngine, name: str, phase: Phase) -> Sighting:
    async with asyncio.timeout(120):
        async for said in engine.sightings():
            if not isinstance(said, Synced) and (said.name, said.phase) == (name, phase):
                return said
    raise AssertionError


async def test_a_work_ends_with_its_reason(engine: LocalEngine, tmp_path: Path) -> None:
    """Started twice it is one; what its process could not do is told, and its log is there."""
    first = await engine.start(any_work("a-1", tmp_path))
    assert await engine.start(any_work("a-1", tmp_path)) == first
    seen = await _until(engine, "a-1", Phase.FAILED)
    assert (seen.uid, seen.job) == (first, "a")
    assert "any-model" in seen.error
    events = [line.event async for line in engine.logs("a-1", "", follow=False)]
    assert "job.failed" in events


async def test_cancelled_and_forgotten(engine: LocalEngine, tmp_path: Path) -> None:
    """A work that waits or runs is cancelled; one that was removed is gone, and may be started anew."""
    await engine.start(any_work("a-1", tmp_path))
    uid = await engine.start(any_work("b-1", tmp_path))
    await engine.cancel("b-1")
    await _until(engine, "b-1", Phase.CANCELLED)
    await engine.remove("b-1")
    assert not (tmp_path / "engine" / "b-1").exists()
    assert await engine.start(any_work("b-1", tmp_path)) != uid
