"""The API keeps its OpenAPI document, whatever is sent: no server error, no status, type or body it does not name."""

import asyncio
import datetime as dt
import json
import subprocess
import sys
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pystac_client
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from pystac_client.conformance import ConformanceClasses
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from stac_pydantic.api import Collections, Conformance, Item, ItemCollection, LandingPage

from api.context import Context
from api.database import access, jobs, records
from api.database.aois import AoiRow, insert_aoi
from api.database.postgis import PostgisDatabase
from api.database.sqlite import SqliteDatabase
from api.secrets import digest_of
from steps.model import job as model
from tests.api_server import any_context, live_api
from tests.published_map import any_map, publish_map
from tests.s3_server import free_ports

pytestmark = pytest.mark.xdist_group("postgres")
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
EXAMPLES = 8
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
KEY = {"Authorization": "Bearer gck_any_secret"}
ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "api/openapi.json"


def _plain(node: Any) -> Any:
    """Pairs and boxes as arrays of so many numbers: schemathesis 4.32 turns `prefixItems` into what it then refuses."""
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    if "prefixItems" in node:
        parts = node["prefixItems"]
        return {"type": "array", "items": _plain(parts[0]), "minItems": len(parts), "maxItems": len(parts)}
    return {name: _plain(value) for name, value in node.items()}


schema = schemathesis.openapi.from_dict(_plain(json.loads(DOCUMENT.read_text(encoding="utf-8"))))
schema.config.phases.update(phases=["examples", "fuzzing"])


@dataclass(frozen=True)
class Live:
    """A server, and what it was filled with."""

    url: str
    context: Context
    ids: dict[str, str]


@pytest.fixture(scope="module", params=["sqlite", "postgis"])
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """With a key that may do everything, and limits that are not met."""
    home = tmp_path_factory.mktemp("live")
    url = request.getfixturevalue("postgres").create(f"s{uuid.uuid4().hex[:8]}") if request.param == "postgis" else ""
    unlimited = {"requests_per_minute": 10**9, "submissions_per_minute": 10**9, "max_active_jobs": 10**6}
    unlimited |= {"max_active_tiles": 10**9, "max_active_km2": 10**9}
    (port,) = free_ports(1)
    public = f"http://127.0.0.1:{port}"
    context = any_context(home, auth="on", public_url=public, database=_database(url, home), **unlimited)
    real = json.loads(publish_map(home / "store", any_map()).read_text(encoding="utf-8"))
    asyncio.run(_fill(_database(url, home), real))
    with live_api(context, port) as address:
        ids = {"job": "any-job", "aoi": "any-aoi", "quote": "any-quote", "collection": "maps", "item": "any-job"}
        yield Live(address, context, ids)


def _database(url: str, home: Path) -> Any:
    return PostgisDatabase(url, size=4) if url else SqliteDatabase(home / "api.db")


async def _fill(database: Any, real: dict[str, Any]) -> None:
    """One of each, so that answers have something in them; the newest map is a real one."""
    await database.open()
    async with database.write() as connection:
        key = access.KeyRow(
            id="any", owner="ann", name="", scopes="read submit admin", hash=digest_of("secret"), created=NOW
        )
        await access.insert_key(connection, key)
        for name in ("any-job", *(f"job-{number}" for number in range(3))):
            await jobs.insert_job(connection, _job(name), "")
            await records.put_item(connection, name, msgspec.json.encode(_item(name)).decode(), NOW)
        await jobs.insert_job(connection, _job(real["id"], real["bbox"]), "")
        await records.put_item(connection, real["id"], msgspec.json.encode(real).decode(), NOW)
        box = {"west": 30.0, "south": -18.0, "east": 30.1, "north": -17.9}
        aoi = AoiRow(id="any-aoi", owner="ann", name="any", body=_SQUARE, area_km2=1.0, created=NOW, **box)
        await insert_aoi(connection, aoi)
    await database.close()


_SQUARE = '{"type":"Polygon","coordinates":[[[30,-18],[30.1,-18],[30.1,-17.9],[30,-18]]]}'


def _job(name: str, box: Sequence[float] = (30.0, -18.0, 30.1, -17.9)) -> jobs.JobRow:
    west, south, east, north = box
    return jobs.JobRow(
        id=name, owner="ann", name="any", work=f"{name}-1", created=NOW, updated=NOW, started=NOW, finished=NOW,
        phase=model.Phase.SUCCEEDED, west=west, south=south, east=east, north=north, uid="any",
        season_start="2021-10-01", season_end="2022-09-30", model_name="any", model_version="1",
    )  # fmt: skip


def _item(name: str) -> dict[str, Any]:
    return {
        "type": "Feature", "stac_version": "1.1.0", "stac_extensions": [], "id": name, "links": [],
        "bbox": [30.0, -18.0, 30.1, -17.9], "geometry": msgspec.json.decode(_SQUARE),
        "assets": {"map": {"href": "./map.tif", "title": "Map", "type": "image/tiff"}},
        "properties": {
            "datetime": None, "start_datetime": "2021-10-01T00:00:00Z", "end_datetime": "2022-09-30T23:59:59Z",
        },
    }  # fmt: skip


def _kept(case: Any, live: Live) -> None:
    for name in case.path_parameters or {}:
        if name in live.ids and zlib.crc32(repr(case.path_parameters).encode()) % 2 and case.method != "DELETE":
            case.path_parameters[name] = live.ids[name]
    answer = case.call(base_url=live.url, headers=KEY, timeout=60)
    case.validate_response(answer, checks=CHECKS)


def _few(examples: int) -> Any:
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.explicit, Phase.generate],
    )


@schema.exclude(operation_id=["convert_aoi"]).parametrize()
@_few(EXAMPLES)
def test_the_document_is_kept(case: Any, live: Live) -> None:
    """By every operation, on both databases; half of the paths lead to what is there."""
    _kept(case, live)


@schema.include(operation_id=["convert_aoi"]).parametrize()
@_few(2)
def test_uploads_keep_it(case: Any, live: Live) -> None:
    """Each is read by a process of its own, which takes a second."""
    _kept(case, live)


def test_the_document_is_the_one_that_is_served(live: Live) -> None:
    """Whoever reads it from the server reads the same operations."""
    served = httpx.get(f"{live.url}/api/v1/schema/openapi.json", trust_env=False).json()
    assert set(served["paths"]) == set(schema.raw_schema["paths"])


def test_a_stac_client_finds_the_maps(live: Live) -> None:
    """pystac-client walks it as any STAC API: conformance, collections, pages, search by box, time, geometry and id."""
    client = pystac_client.Client.open(f"{live.url}/api/v1", headers=KEY)
    for wanted in (ConformanceClasses.CORE, ConformanceClasses.ITEM_SEARCH, ConformanceClasses.FEATURES):
        assert client.conforms_to(wanted)
    assert [one.id for one in client.get_collections()] == ["maps"]
    everything = list(client.search(limit=1).items())
    assert len({item.id for item in everything}) == len(everything) >= 3
    inside, beside = ({"type": "Point", "coordinates": one} for one in ([30.08, -17.95], [30.02, -17.92]))
    for asked, found in (
        ({"bbox": [29, -19, 31, -17]}, True), ({"bbox": [0, 0, 1, 1]}, False), ({"intersects": inside}, True),
        ({"intersects": beside}, False),
        ({"datetime": "2022-01-01/2022-02-01"}, True), ({"datetime": "../2019-01-01"}, False),
        ({"ids": ["any-job"]}, True), ({"ids": ["none"]}, False), ({"collections": ["none"]}, False),
    ):  # fmt: skip
        for method in ("GET", "POST"):
            assert any(client.search(method=method, **asked).items()) == found, (method, asked)
    collection = client.get_collection("maps")
    assert collection is not None
    assert any(item.id == "any-job" for item in collection.get_items())


def test_stac_documents_are_valid(live: Live) -> None:
    """Landing page, conformance, collections, items and searches, by the models of the specifications."""

    def read(path: str) -> Any:
        answer = httpx.get(f"{live.url}/api/v1{path}", headers=KEY, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    landing = LandingPage.model_validate(read("/"))
    assert {"self", "root", "conformance", "data", "search", "service-desc"} <= {one.rel for one in landing.links.root}
    Conformance.model_validate(read("/conformance"))
    Collections.model_validate(read("/collections"))
    page = ItemCollection.model_validate(read("/collections/maps/items?limit=2"))
    assert len(page.features) == 2
    for path in ("/search?limit=1", "/search?bbox=29,-19,31,-17", "/search?ids=none"):
        ItemCollection.model_validate(read(path))
    Item.model_validate(read("/collections/maps/items/any-job"))


def test_a_stac_api_validator_has_nothing_to_say(live: Live) -> None:
    """`stac-api-validator` over all that we claim to keep: core, collections, features, item search, their pages."""
    asked = ["--root-url", f"{live.url}/api/v1/", "--collection", "maps"]
    asked += [f"--conformance={one}" for one in ("core", "collections", "features", "item-search")]
    asked += ["--geometry", _SQUARE, "--validate-pagination", "--headers", "Authorization: Bearer gck_any_secret"]
    command = [sys.executable, "-m", "tests.stac_api_validator", *asked]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert (said.returncode, "Errors: none" in said.stdout) == (0, True), said.stdout + said.stderr
