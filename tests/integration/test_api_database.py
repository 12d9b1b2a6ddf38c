"""SQLite and PostGIS keep the same promises."""

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from psycopg import AsyncConnection

from api.database import access, aois, jobs, records, schema, tiles
from api.database.driver import Database, Placed, TakenError
from api.database.postgis import PostgisDatabase
from api.database.sqlite import SqliteDatabase
from api.keyring import Keyring
from api.problems import ProblemError
from api.quota import check_quota
from api.settings import ApiSettings
from steps.model.job import Phase
from tests.postgres_server import PostgresServer

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("postgres")]
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(params=["sqlite", "postgis"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database, its schema made."""
    made = _new(request, tmp_path)
    await made.open()
    yield made
    await made.close()


def _new(request: pytest.FixtureRequest, folder: Path) -> Database:
    if request.param == "sqlite":
        return SqliteDatabase(folder / "api.db")
    return PostgisDatabase(request.getfixturevalue("postgres").create(f"t{uuid.uuid4().hex[:8]}"), size=4)


def any_job(**changes: Any) -> jobs.JobRow:
    name = changes.pop("id", "any-job")
    fields: dict[str, Any] = {
        "id": name, "owner": "ann", "name": "any", "work": f"{name}-1", "created": NOW, "updated": NOW,
        "west": 30.0, "south": -18.0, "east": 30.1, "north": -17.9,
    }  # fmt: skip
    return jobs.JobRow(**(fields | changes))


async def _insert(database: Database, *rows: jobs.JobRow) -> None:
    async with database.write() as connection:
        for row in rows:
            await jobs.insert_job(connection, row, '{"any": 1}')


async def _listed(database: Database, **wanted: Any) -> list[str]:
    async with database.read() as connection:
        found = await jobs.list_jobs(connection, jobs.JobFilter(**({"owner": None} | wanted)))
    return [job.id for job in found]


async def test_a_job_comes_back_as_it_was_kept(database: Database) -> None:
    """Every field, times and absent ones among them."""
    row = any_job(submission="key", started=NOW, season_start="2020-01-01", area_km2=1.5)
    await _insert(database, row)
    async with database.read() as connection:
        found = await jobs.find_job(connection, row.id)
        body = await jobs.load_request(connection, row.id)
    assert found is not None
    assert (msgspec.structs.replace(found, n=0), body) == (row, '{"any": 1}')


async def test_two_submissions_of_one_key_are_one(database: Database) -> None:
    """The second is refused by the database itself, whatever replica it came through."""
    await _insert(database, any_job(submission="key"))
    with pytest.raises(TakenError):
        await _insert(database, any_job(id="other", submission="key"))
    await _insert(database, any_job(id="hers", submission="key", owner="bea"))
    assert await _listed(database) == ["hers", "any-job"]


async def test_submissions_at_once_stay_within_the_quota(database: Database) -> None:
    """Each sees what the one before has taken; what another owner has does not count."""

    async def submit(number: int) -> None:
        async with database.write() as connection:
            await check_quota(connection, ApiSettings(max_active_tiles=10), "ann", jobs.Use(jobs=1, tiles=4))
            await asyncio.sleep(0.01)
            await jobs.insert_job(connection, any_job(id=f"job{number}", ordered=4), "")

    await _insert(database, any_job(id="hers", owner="bea", ordered=9))
    ended = await asyncio.gather(*(submit(number) for number in range(4)), return_exceptions=True)
    refused = [one for one in ended if isinstance(one, ProblemError)]
    assert ([one.status for one in refused], len(ended)) == ([429] * 2, 4)
    assert refused[0].headers["X-Quota-Tiles-Remaining"] == "2"


async def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    """All statements count, or none."""

    async def fail() -> None:
        async with database.write() as connection:
            await jobs.insert_job(connection, any_job(), "")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await fail()
    assert await _listed(database) == []


async def test_writers_that_are_cancelled_leave_nothing(database: Database) -> None:
    """Wherever they were: the next one writes, and finds whole transactions only."""

    async def write(number: int) -> None:
        async with database.write() as connection:
            for half in "ab":
                await jobs.insert_job(connection, any_job(id=f"{half}{number}"), "")
                await asyncio.sleep(0)

    for number in range(12):
        task = asyncio.create_task(write(number))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await write(99)
    found = await _listed(database)
    assert {"a99", "b99"} <= set(found)
    assert {name[1:] for name in found if name[0] == "a"} == {name[1:] for name in found if name[0] == "b"}


async def test_filters_and_pages(database: Database) -> None:
    """By owner, phase and time; pages follow each other without a gap."""
    await _insert(
        database,
        any_job(id="a"),
        any_job(id="b", owner="bea"),
        any_job(id="c", phase=Phase.FAILED, created=NOW + dt.timedelta(days=1)),
    )
    assert await _listed(database) == ["c", "b", "a"]
    assert await _listed(database, owner="bea") == ["b"]
    assert await _listed(database, phase=Phase.FAILED) == ["c"]
    assert await _listed(database, since=NOW + dt.timedelta(hours=1)) == ["c"]
    assert await _listed(database, until=NOW + dt.timedelta(hours=1)) == ["b", "a"]
    async with database.read() as connection:
        first = await jobs.list_jobs(connection, jobs.JobFilter(owner=None, limit=2))
    assert await _listed(database, before=first[-1].n) == ["a"]


@pytest.mark.parametrize(
    ("box", "found"),
    [
        ((29.0, -19.0, 31.0, -17.0), ["home"]),
        ((40.0, -19.0, 41.0, -17.0), []),
        ((179.0, -19.0, -179.0, -17.0), ["fiji"]),
        ((-180.0, -19.0, -179.5, -17.0), ["fiji"]),
        ((-180.0, -90.0, 180.0, 90.0), ["fiji", "home"]),
    ],
)
async def test_boxes(database: Database, box: jobs.Box, found: list[str]) -> None:
    """Found by overlap, over the antimeridian too, however either is written."""
    await _insert(database, any_job(id="home"), any_job(id="fiji", west=179.9, east=180.6))
    assert await _listed(database, box=box) == found


async def test_phases_only_move_on(database: Database) -> None:
    """Whatever order replicas hear of them in, within an attempt; a new attempt begins anew."""
    job = any_job()
    await _insert(database, job)
    async with database.write() as connection:
        moved = [
            await jobs.move_on(connection, job, phase, NOW)
            for phase in (Phase.RUNNING, Phase.QUEUED, Phase.RUNNING, Phase.FAILED, Phase.RUNNING, Phase.SUCCEEDED)
        ]
        assert moved == [True, False, False, True, False, False]
        assert await jobs.begin_attempt(connection, job, "any-job-2", NOW)
        assert not await jobs.begin_attempt(connection, job, "any-job-2", NOW)
        assert not await jobs.move_on(connection, job, Phase.FAILED, NOW), "the old attempt has no say"
        fresh = await jobs.find_job(connection, job.id)
    assert fresh is not None
    assert (fresh.phase, fresh.attempt, fresh.finished) == (Phase.QUEUED, 2, None)


async def test_an_intent_to_delete_stays(database: Database) -> None:
    """A cancellation that comes late does not bring a deleted job back."""
    await _insert(database, any_job())
    async with database.write() as connection:
        await jobs.want(connection, "any-job", "delete", NOW)
        await jobs.want(connection, "any-job", "cancel", NOW)
    assert await _listed(database) == []
    async with database.read() as connection:
        assert [job.wanted for job in await jobs.unsettled_jobs(connection)] == ["delete"]


async def test_events_are_never_seen_out_of_order(database: Database) -> None:
    """Writers at once: a reader who has seen number n has seen all before it, at every moment."""
    await _insert(database, any_job())
    seen: list[int] = []

    async def write(number: int) -> None:
        for _ in range(5):
            async with database.write() as connection:
                await tiles.add_event(connection, "any-job", "tiles", b"{}", NOW)
                await asyncio.sleep(0.001 * number)

    async def read() -> None:
        while len(seen) < 15:
            async with database.read() as connection:
                seen.extend(one.seq for one in await tiles.events_after(connection, "any-job", len(seen)))
            await asyncio.sleep(0)

    await asyncio.wait_for(asyncio.gather(read(), *(write(number) for number in range(3))), 30)
    assert seen == list(range(1, 16))


async def test_tiles_are_counted(database: Database) -> None:
    """The job's numbers follow its tiles; an outline once known stays."""
    await _insert(database, any_job())
    async with database.write() as connection:
        await tiles.put_tiles(connection, "any-job", [_tile("a", outline="{}"), _tile("b", outline="{}")])
        await tiles.put_tiles(
            connection, "any-job", [_tile("a", phase="failed", reason="bad"), _tile("b", phase="succeeded")]
        )
        counted = await jobs.find_job(connection, "any-job")
        await tiles.reset_tiles(connection, "any-job", ["a"])
        found = await tiles.list_tiles(connection, "any-job")
    assert counted is not None
    assert (counted.total, counted.succeeded, counted.failed) == (2, 1, 1)
    assert [(one.tile, one.phase, one.outline) for one in found] == [("a", "queued", "{}"), ("b", "succeeded", "{}")]


def _tile(name: str, **changes: Any) -> tiles.TileRow:
    return tiles.TileRow(**({"tile": name, "phase": "queued"} | changes))


async def test_shared_objects_outlive_one_of_their_jobs(database: Database) -> None:
    """Only what no job holds on to may be removed."""
    await _insert(database, any_job(id="a"), any_job(id="b"))
    async with database.write() as connection:
        await records.hold_objects(connection, "a", ["shared", "mine"])
        await records.hold_objects(connection, "b", ["shared"])
        await records.orphan_objects(connection, "a")
        await jobs.erase_job(connection, "a")
        assert await records.take_orphans(connection, 10) == ["mine"]
        await records.hold_objects(connection, "b", ["mine"])
        assert await records.take_orphans(connection, 10) == []


async def test_one_replica_leads(database: Database) -> None:
    """Until it has not been heard of for a while."""
    later = NOW + dt.timedelta(seconds=30)
    async with database.write() as connection:
        held = [
            await records.hold_lease(connection, "any", holder, at, at + dt.timedelta(seconds=15))
            for holder, at in (("one", NOW), ("two", NOW), ("one", NOW), ("two", later), ("one", later))
        ]
    assert held == [True, False, True, True, False]


async def test_areas(database: Database) -> None:
    """Saved, found by box and owner, forgotten."""
    square = {"type": "Polygon", "coordinates": [[[30, -18], [31, -18], [31, -17], [30, -17], [30, -18]]]}
    row = aois.AoiRow(
        id="any", owner="ann", name="any", body=msgspec.json.encode(square).decode(), area_km2=1.0,
        west=30, south=-18, east=31, north=-17, created=NOW,
    )  # fmt: skip
    async with database.write() as connection:
        await aois.insert_aoi(connection, row)
        there = await aois.list_aois(connection, "ann", (30.5, -17.5, 32, -17), None, 10)
        assert [one.id for one in there] == ["any"]
        assert not await aois.list_aois(connection, "ann", (40, 0, 41, 1), None, 10)
        assert not await aois.list_aois(connection, "bea", None, None, 10)
        await aois.erase_aoi(connection, "any")
        assert await aois.find_aoi(connection, "any") is None


async def test_a_revoked_key_holds_for_a_second_at_most(database: Database) -> None:
    """It is looked up once a second, however often it is sent; who is not known is looked up each time."""
    clock = 10.0
    keyring = Keyring(lambda: clock)
    row = access.KeyRow(id="k", owner="ann", name="", scopes="read", hash="h", created=NOW)
    assert await keyring.find(database, "k") is None
    async with database.write() as connection:
        await access.insert_key(connection, row)
    assert await keyring.find(database, "k") == row
    async with database.write() as connection:
        assert await access.revoke_key(connection, "k", NOW)
    clock = 10.9
    assert await keyring.find(database, "k") == row
    clock = 11.0
    assert await keyring.find(database, "k") is None


async def test_keys_sessions_and_links_end(database: Database) -> None:
    """A revoked key, a session that is over and a revoked link are not found."""
    await _insert(database, any_job())
    hour = dt.timedelta(hours=1)
    key = access.KeyRow(id="k", owner="ann", name="", scopes="read", hash="h", created=NOW)
    session = access.SessionRow(hash="s", owner="ann", scopes="read", csrf="c", created=NOW, expires=NOW + hour)
    link = access.LinkRow(id="l", job="any-job", owner="ann", hash="x", created=NOW, expires=NOW + hour)
    async with database.write() as connection:
        await access.insert_key(connection, key)
        await access.insert_session(connection, session)
        await access.insert_link(connection, link)
    assert await access.find_key(database, "k") == key
    assert await access.find_session(database, "s", NOW) == session
    assert await access.find_session(database, "s", NOW + 2 * hour) is None
    assert await access.find_link(database, "x", NOW) == link
    async with database.write() as connection:
        assert await access.revoke_key(connection, "k", NOW)
        assert await access.erase_link(connection, "any-job", "l")
        assert await access.erase_session(connection, "s")
        assert not await access.list_sessions(connection, NOW)
    assert await access.find_key(database, "k") is None
    assert await access.find_session(database, "s", NOW) is None
    assert await access.find_link(database, "x", NOW) is None


async def test_a_job_is_read_as_it_is_when_asked(database: Database) -> None:
    """By many at once, while it changes: nobody is told of a state that was over before the question."""
    await _insert(database, *(any_job(id=f"j{number}") for number in range(4)))
    written = 0

    async def watch(number: int) -> None:
        for _ in range(25):
            known = written
            job = await jobs.read_job(database, f"j{number % 4}")
            assert job is not None
            assert (job.id, job.total >= known) == (f"j{number % 4}", True)

    async def change() -> None:
        nonlocal written
        for count in range(1, 20):
            async with database.write() as connection:
                await connection.run("update jobs set total = :count", count=count)
            written = count
            await asyncio.sleep(0)

    await asyncio.gather(change(), *map(watch, range(12)))


@pytest.mark.parametrize("key", ["none", "any\0job", "\ud800", ""])
async def test_keys_that_no_row_has_spoil_no_other_answer(database: Database, key: str) -> None:
    """Whatever is in them, and whoever asks at the same time."""
    await _insert(database, any_job())
    none, there = await asyncio.gather(jobs.read_job(database, key), jobs.read_job(database, "any-job"))
    assert (none, there and there.id) == (None, "any-job")


async def test_attempts_to_sign_in(database: Database) -> None:
    """The newest first; those of long ago are forgotten."""
    async with database.write() as connection:
        for number in range(1002):
            await access.insert_sign_in(connection, access.SignInRow(made=NOW, owner=f"{number}"))
        kept = await access.list_sign_ins(connection, 2000)
    assert (len(kept), kept[0].owner, kept[-1].owner) == (1000, "1001", "2")


async def test_items_are_searched(database: Database) -> None:
    """By owner, season, box and id; those of deleted jobs are gone."""
    await _insert(database, any_job(season_start="2020-01-01", season_end="2020-12-31"), any_job(id="b"))
    async with database.write() as connection:
        await records.put_item(connection, "any-job", '{"id": "any-job"}', NOW)
        for wanted, count in (
            ({}, 1), ({"owner": "bea"}, 0), ({"start": "2021-01-01"}, 0), ({"end": "2020-06-01"}, 1),
            ({"ids": ("b",)}, 0), ({"box": (30.05, -18, 31, -17)}, 1), ({"box": (50, 0, 51, 1)}, 0),
        ):  # fmt: skip
            fields: dict[str, Any] = {"owner": None} | wanted
            assert len(await records.search_items(connection, records.ItemFilter(**fields))) == count, wanted
        await jobs.want(connection, "any-job", "delete", NOW)
        assert not await records.search_items(connection, records.ItemFilter(owner=None))


@pytest.mark.parametrize("database", ["sqlite", "postgis"], indirect=True)
async def test_opening_twice(database: Database) -> None:
    """A schema that is up to date is left alone, with all that it holds."""
    await _insert(database, any_job())
    await database.open() if isinstance(database, SqliteDatabase) else await database.ping()
    assert await _listed(database) == ["any-job"]


@pytest.mark.parametrize("kind", ["sqlite", "postgis"])
async def test_migration_from_the_previous_version(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the last version but one kept is kept."""
    whole = schema.migrations
    module = f"api.database.{kind}.migrations"
    monkeypatch.setattr(module, lambda dialect: whole(dialect)[:-1])
    url = request.getfixturevalue("postgres").create("before") if kind == "postgis" else ""
    make = (lambda: PostgisDatabase(url, size=2)) if url else (lambda: SqliteDatabase(tmp_path / "api.db"))
    before = make()
    await before.open()
    old = {name: value for name, value in msgspec.structs.asdict(any_job()).items() if name not in {"n", "ordered"}}
    async with before.write() as connection:
        sql = f"insert into jobs ({', '.join(old)}) values ({', '.join(f':{name}' for name in old)})"  # noqa: S608
        await connection.run(sql, **old | {"phase": "queued"})
    await before.close()
    monkeypatch.setattr(module, whole)
    after = make()
    await after.open()
    async with after.write() as connection:
        assert await jobs.active_use(connection, "ann") == jobs.Use(jobs=1)
    assert await _listed(after) == ["any-job"]
    await after.close()


async def test_connections_that_the_server_ended_are_not_used(postgres: PostgresServer) -> None:
    """After a restart of the server the first to ask is answered."""
    database = PostgisDatabase(postgres.create("ended"), size=4)
    await database.open()
    try:
        await asyncio.gather(*(database.ping() for _ in range(4)))
        async with await AsyncConnection.connect(postgres.uri("postgres"), autocommit=True) as other:
            await other.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'ended'")
        await asyncio.sleep(0.1)
        await asyncio.gather(*(database.ping() for _ in range(4)))
    finally:
        await database.close()


@pytest.mark.parametrize("table", ["jobs", "aois"])
async def test_boxes_are_found_by_the_spatial_index(database: Database, table: Placed) -> None:
    """Not by looking at every row, on either database."""
    await _insert(database, *(any_job(id=f"j{n}", west=n / 10, east=n / 10 + 0.01) for n in range(400)))
    async with database.write() as connection:
        for number in range(400):
            aoi = aois.AoiRow(
                id=f"a{number}", owner="ann", name="any", area_km2=1.0, created=NOW, west=number / 10, south=-18.0,
                east=number / 10 + 0.01, north=-17.9, body=_square(number / 10),
            )  # fmt: skip
            await aois.insert_aoi(connection, aoi)
        await connection.run("analyze")
        condition, values = connection.overlaps(table, (0.0, -18.0, 0.05, -17.0))
        explain = "explain query plan" if isinstance(database, SqliteDatabase) else "explain"
        plan = str(await connection.all(f"{explain} select id from {table} where {condition}", **values))  # noqa: S608
    assert f"{table}_box" in plan or f"{table}_by_shape" in plan
    assert f"SCAN {table} " not in plan
    assert f"Seq Scan on {table}" not in plan


def _square(west: float) -> str:
    ring = [[west, -18.0], [west + 0.01, -18.0], [west + 0.01, -17.9], [west, -18.0]]
    return msgspec.json.encode({"type": "Polygon", "coordinates": [ring]}).decode()
