"""Files that were made to do harm are refused early, and cost the API little memory."""

import io
import re
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.api_server import ApiServer, api_server

pytestmark = pytest.mark.anyio
MB = 1_000_000
_MOST_MB = 300
"""More than before, at the peak: a body of 50 MB is held more than once while it is received and written."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with api_server(tmp_path) as one:
        yield one


def ring(vertices: int) -> bytes:
    """GeoJSON of a polygon that goes to and fro along a line of latitude."""
    steps = ",".join(f"[{31 + number / vertices:.7f},{-18 + (number % 2) / 1e5:.6f}]" for number in range(vertices))
    return f'{{"type":"Polygon","coordinates":[[[31,-18.1],{steps},[32,-18.1],[31,-18.1]]]}}'.encode()


def bomb() -> bytes:
    """A shapefile of 1 GB of nothing, in 5 MB."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("a.shp", "w") as file:
            for _ in range(64):
                file.write(bytes(16 * 2**20))
        archive.writestr("a.shx", b"")
        archive.writestr("a.dbf", b"")
    return packed.getvalue()


def laughs() -> bytes:
    """KML whose name expands to gigabytes."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    return f"<!DOCTYPE kml [{entities}]><kml><Document><name>&e9;</name></Document></kml>".encode()


CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "50 MB": ("a.geojson", lambda: (ring(1_600_000) + b" " * 50 * MB)[: 50 * MB]),
    "100,000 vertices": ("a.geojson", lambda: ring(100_000)),
    "zip bomb": ("a.zip", bomb),
    "deep nesting": ("a.geojson", lambda: b'{"type":"Feature","properties":' + b'{"a":' * 10**6 + b"1" + b"}" * 10**6),
    "entities": ("a.kml", laughs),
    "nothing": ("a.gpkg", lambda: b"SQLite format 3\0" + bytes(1000)),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_harmful_file_is_refused(server: ApiServer, case: str) -> None:
    """With a word on what to do, and memory that is bounded."""
    name, make = CASES[case]
    data = make()
    before = _peak_mb()
    answer = await server.client.post("/api/v1/aois/convert", params={"filename": name}, content=data)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
    assert answer.json()["detail"]
    assert "geocrop-upload" not in answer.text
    assert _peak_mb(reset=False) - before < _MOST_MB


def _peak_mb(*, reset: bool = True) -> float:
    """Of this process; from now on when it is reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1000


async def test_more_than_allowed_is_not_even_read(server: ApiServer) -> None:
    """413 for an upload over 50 MB, and for an order over 8 MB or of 100,000 vertices."""
    query = {"filename": "a.geojson"}
    answer = await server.client.post("/api/v1/aois/convert", params=query, content=b" " * (50 * MB + 1))
    assert answer.status_code == 413
    headers = {"Content-Type": "application/json"}
    for body in (b" " * (8 * MB + 1), b'{"order": {"aoi": ' + ring(100_001) + b"}}"):
        answer = await server.client.post("/api/v1/jobs", content=body, headers=headers)
        assert answer.status_code == 413, answer.text[:300]


async def test_a_sound_file_becomes_an_area(server: ApiServer) -> None:
    """Its vertices counted, its name from the file's."""
    query = {"filename": "North Farm.geojson"}
    answer = await server.client.post("/api/v1/aois/convert", params=query, content=ring(50))
    assert answer.status_code == 200, answer.text
    assert answer.json()["vertices"] > 40
