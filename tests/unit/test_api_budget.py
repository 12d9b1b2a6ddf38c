"""Jobs that will not fit are refused before they begin."""

from pathlib import Path

import pytest

from api.budget import Budget
from api.problems import ProblemError
from api.settings import ApiSettings
from steps.store import FolderStore, MemoryStore
from tests.api_server import ANY_ORDER, api_server

pytestmark = pytest.mark.anyio


async def test_an_s3_store_has_the_budget_that_it_is_given() -> None:
    """What lies in it and what is promised to active jobs is taken off; without a budget there is no bound."""
    store = MemoryStore()
    store.put_bytes("tiles/any", bytes(3_000_000))
    budget = Budget(store, "s3://maps", ApiSettings(store_budget_mb=10))
    await budget.check(7.0, 0.0)
    with pytest.raises(ProblemError, match="7 MB are free, 2 MB of them for active jobs"):
        await budget.check(6.0, 2.0)
    await Budget(store, "s3://maps", ApiSettings()).check(1e12, 0.0)


async def test_it_is_not_listed_for_every_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting takes a while: it is done now and then."""
    store, counted = MemoryStore(), []
    monkeypatch.setattr(store, "total", lambda prefix: counted.append(prefix) or 0)
    budget = Budget(store, "s3://maps", ApiSettings(store_budget_mb=10))
    for _ in range(3):
        await budget.check(1.0, 0.0)
    assert counted == [""]


async def test_a_disk_keeps_its_reserve(tmp_path: Path) -> None:
    """What the operator keeps free is not there for jobs; a folder that is yet to be made lies on some disk."""
    url = str(tmp_path / "yet/to/be/made")
    await Budget(FolderStore(Path(url)), url, ApiSettings(disk_reserve_mb=0)).check(1.0, 0.0)
    with pytest.raises(ProblemError, match="MB are free"):
        await Budget(FolderStore(Path(url)), url, ApiSettings(disk_reserve_mb=10**9)).check(1.0, 0.0)


async def test_active_jobs_are_counted(tmp_path: Path) -> None:
    """A second job that would fit alone is refused while the first has yet to write its tiles."""
    store = MemoryStore()
    async with api_server(tmp_path, store_budget_mb=10) as server:
        server.context.budget = Budget(store, "s3://maps", server.context.settings)
        first = await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER})
        second = await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER})
        assert (first.status_code, second.status_code) == (202, 409)
        assert "for active jobs" in second.json()["detail"]
        await server.client.post(f"/api/v1/jobs/{first.json()['id']}/cancel")
        await server.settle()
        assert (await server.client.post("/api/v1/jobs", json={"order": ANY_ORDER})).status_code == 202
