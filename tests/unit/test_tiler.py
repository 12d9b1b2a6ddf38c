"""Tiles: the colours of every layer, what is refused, how long answers hold."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from starlette.testclient import TestClient

from api.secrets import signature
from steps import naming
from steps.dynamic_world import Baseline, note_baseline
from steps.model.job import REASON_CODES
from steps.palette import CLEAR_RAMP, CONFIDENCE_RAMP, DISAGREEMENT_COLOURS, REASON_COLOURS, ramp_colour, rgb
from steps.settings import Settings
from steps.store import Store, open_store
from tests.tiles import SECRET, any_hrefs
from tiler.app import make_tiler

pytestmark = [
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),  # in rio-tiler
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),  # a PNG has no place
]
YEAR_2100 = "4102444800"
JOB = "any-job"
EDGE = 20037508.342789244
LEGEND = {0: (227, 167, 47, 255), 3: (181, 195, 52, 255), 255: (0, 0, 0, 0)}
VALUES = {
    "map": (0, 3), "generalised": (0, 3), "confidence": (0, 50, 100), "margin": (7, 100), "clear": (0, 12, 40, 200),
    "reason": tuple(sorted(REASON_CODES.values())), "disagreement": (0, 1),
}  # fmt: skip


def write_raster(path: Path, bands: np.ndarray[Any, Any], colours: dict[int, tuple[int, ...]] | None = None) -> None:
    """A raster that is exactly the tile 2/1/1: (band, row, column), 255 for nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, rows, columns = bands.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=count, width=columns, height=rows, nodata=255, crs=3857,
        transform=Affine(EDGE / 2 / columns, 0, -EDGE / 2, 0, -EDGE / 2 / rows, EDGE / 2), tiled=True,
    ) as target:  # fmt: skip
        target.write(bands)
        if colours:
            target.write_colormap(1, colours)


def striped(values: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """A stripe of each value, and one of nothing."""
    stripes = np.repeat(np.array([*values, 255], np.uint8), 256 // (len(values) + 1) + 1)[:256]
    return np.tile(stripes, (1, 256, 1))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A map with all layers, and a baseline."""
    folder = tmp_path_factory.mktemp("tiles")
    for layer, values in VALUES.items():
        colours = LEGEND if layer in {"map", "generalised"} else None
        write_raster(folder / naming.map_key(JOB, f"{layer}.tif"), striped(values), colours)
    picture = np.broadcast_to(np.array([10, 20, 30], np.uint8)[:, None, None], (3, 256, 256))
    write_raster(folder / naming.map_key(JOB, "composite.tif"), picture)
    write_raster(folder / naming.map_key(JOB, "probabilities.tif"), np.full((6, 256, 256), 9, np.uint8))
    write_raster(folder / naming.baseline_key(2021), striped((0, 3)), LEGEND)
    (folder / naming.map_key(JOB, "broken.tif")).write_bytes(b"none")
    store = open_store(str(folder), Settings(home=folder))
    note_baseline(store, Baseline(year=2021, bounds=(30.0, -18.0, 31.0, -17.0), bytes=1))
    return store


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(make_tiler(store, any_hrefs()), raise_server_exceptions=False) as one:
        yield one


def signed(path: str, *, until: str = YEAR_2100, secret: str = SECRET, **more: str) -> str:
    """An address as the API makes it."""
    return urlencode({"expires": until, "signature": signature(secret, path, until), **more})


def tile(layer: str, *, job: str = JOB, version: str = "any", **more: str) -> str:
    path = f"maps/{job}/{layer}/{version}"
    return f"/{path}/tiles/WebMercatorQuad/2/1/1.png?{signed(path, **more)}"


def pixels(png: bytes) -> np.ndarray[Any, Any]:
    """Red, green, blue, opaque of the middle row: (column, 4)."""
    with rasterio.MemoryFile(png) as memory, memory.open() as source:
        found: np.ndarray[Any, Any] = source.read()[:, 128].T
    return found


def colour_of(layer: str, value: int) -> tuple[int, ...]:
    """As the palette has it."""
    reasons = {REASON_CODES[reason]: colour for reason, colour in REASON_COLOURS.items()}
    return {
        "map": lambda: LEGEND[value][:3],
        "generalised": lambda: LEGEND[value][:3],
        "confidence": lambda: ramp_colour(CONFIDENCE_RAMP, value / 100),
        "margin": lambda: ramp_colour(CONFIDENCE_RAMP, value / 100),
        "clear": lambda: ramp_colour(CLEAR_RAMP, value / 40),
        "reason": lambda: rgb(reasons[value]),
        "disagreement": lambda: rgb(DISAGREEMENT_COLOURS[value]),
    }[layer]()


@pytest.mark.parametrize("layer", VALUES)
def test_the_colours_of_a_layer(client: TestClient, layer: str) -> None:
    """Each value has its colour of the palette or of the legend; where there is nothing, nothing is drawn."""
    answer = client.get(tile(layer))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), answer.text
    drawn = pixels(answer.content)
    for value, pixel in zip(striped(VALUES[layer])[0, 0], drawn, strict=True):
        wanted = (0,) if value == 255 else (*colour_of(layer, int(value)), 255)
        assert tuple(pixel[-len(wanted) :]) == wanted, value


def test_a_picture_is_drawn_as_it_is(client: TestClient) -> None:
    """Three bands are red, green and blue."""
    assert tuple(pixels(client.get(tile("composite")).content)[0]) == (10, 20, 30, 255)


def test_baselines_are_for_everybody(client: TestClient) -> None:
    """No signature; the file's own colours."""
    answer = client.get("/baselines/2021/any/tiles/WebMercatorQuad/2/1/1.png")
    assert tuple(pixels(answer.content)[0]) == LEGEND[0]


def test_what_is_addressed_by_its_content_holds_for_ever(client: TestClient) -> None:
    """Tiles of a map, of its confidence, of where it disagrees and of baselines are immutable, errors are not kept."""
    tiles = [tile(layer) for layer in ("map", "confidence", "disagreement")]
    for url in (*tiles, "/baselines/2021/any/tiles/WebMercatorQuad/2/1/1.png"):
        assert client.get(url).headers["cache-control"] == "public, max-age=31536000, immutable", url
    assert client.get(tile("map", job="none")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "url",
    [
        tile("map", job="none"),
        tile("shadow"),
        "/baselines/1999/any/tiles/WebMercatorQuad/2/1/1.png",
        "/baselines/1999/any/tilejson.json",
        tile("map").replace("/2/1/1.png", "/2/3/3.png"),
        "/nowhere",
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, url: str) -> None:
    """404 with a word, whatever part of it is missing: the object, the layer, the year, the tile."""
    answer = client.get(url)
    assert (answer.status_code, "detail" in answer.json()) == (404, True), answer.text


@pytest.mark.parametrize(
    "url",
    [
        tile("map").partition("?")[0],
        tile("map", until="1600000000"),
        tile("map", secret=SECRET[:-1]),
        tile("map").replace("/map/", "/confidence/"),
        tile("map").replace("/any/tiles", "/other/tiles"),
        tile("map").replace(JOB, "another-job"),
        tile("map").replace("expires=", "expires=9"),
        tile("map", signature="ä"),
        f"/maps/{JOB}/map/any/info?expires=x",
        "/files/maps/any-job/map.tif",
        f"/files/maps/any-job/map.tif?{signed('files/maps/other-job/map.tif')}",
    ],
)
def test_what_the_api_did_not_sign_is_not_opened(client: TestClient, url: str) -> None:
    """No signature, an old one, one of another secret, layer, content, job or file: 403."""
    assert client.get(url).status_code == 403


@pytest.mark.parametrize(
    "more",
    [
        {"url": "http://169.254.169.254/"}, {"tilesize": "8192"}, {"tilesize": "x"}, {"tilesize": "0"}, {"bidx": "1"},
        {"expression": "b1*2"}, {"resampling": "cubic"}, {"reproject": "lanczos"}, {"rescale": "0,1"}, {"buffer": "64"},
        {"unscale": "true"}, {"colormap": "{}"}, {"algorithm": "hillshade"},
    ],
)  # fmt: skip
def test_what_would_cost_more_than_a_tile_is_refused(client: TestClient, more: dict[str, str]) -> None:
    """Every parameter that is not ours, and tiles of another size than a tile's."""
    for url in (tile("map", **more), f"/baselines/2021/any/tiles/WebMercatorQuad/2/1/1.png?{urlencode(more)}"):
        assert client.get(url).status_code == 400


def test_a_raster_of_many_bands_is_no_picture(client: TestClient) -> None:
    """Probabilities are a download; their tile is refused, and it is the address that is wrong."""
    assert client.get(tile("probabilities")).status_code in {400, 404}


def test_files_in_parts(client: TestClient, store: Store) -> None:
    """GET, HEAD and ranges, as GDAL and browsers ask; what lies outside of the store is not reached."""
    key = naming.map_key(JOB, "map.tif")
    whole, url = store.get_bytes(key), f"/files/{key}?{signed(f'files/{key}')}"
    assert client.get(url).content == whole
    head = client.head(url)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(whole)), b"")
    part = client.get(url, headers={"Range": "bytes=8-11"})
    assert (part.status_code, part.content) == (206, whole[8:12])
    assert part.headers["content-range"] == f"bytes 8-11/{len(whole)}"
    assert client.get(url, headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
    for outside in ("../../etc/passwd", "/etc/passwd", "maps/%2e%2e/%2e%2e/secret"):
        assert client.get(f"/files/{outside}?{signed(f'files/{outside}')}").status_code in {403, 404}


def test_pages_of_other_sites_may_draw(client: TestClient) -> None:
    """Signed addresses are enough; ranges are allowed, and their headers shown."""
    answer = client.get(tile("map"), headers={"Origin": "https://page.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "GET"}
    allowed = client.options("/files/x", headers=asked | {"Access-Control-Request-Headers": "Range"})
    assert allowed.status_code == 200
    assert "Content-Range" in answer.headers["access-control-expose-headers"]


def test_tilejson_leads_to_the_tiles(client: TestClient) -> None:
    """With the bounds of the raster, and the signature that was sent."""
    path = f"maps/{JOB}/map/any"
    answer = client.get(f"/{path}/WebMercatorQuad/tilejson.json?{signed(path)}")
    assert answer.status_code == 200
    assert answer.json()["bounds"] == pytest.approx([-90, 0, 0, 66.51326], abs=1e-4)
    (template,) = answer.json()["tiles"]
    url = template.format(z=2, x=1, y=1).replace("{z}", "2")
    assert client.get(url.removeprefix("http://testserver")).status_code == 200


def test_a_baseline_imported_again_has_other_addresses() -> None:
    """The content is part of the address; a year whose content was never noted has an address too."""
    any_year: dict[str, Any] = {"year": 2021, "bounds": (30.0, -18.0, 31.0, -17.0), "bytes": 1}
    made = [any_hrefs().of_baseline_tiles(Baseline(**any_year, sha256=one)) for one in ("ab" * 32, "cd" * 32, "")]
    assert len(set(made)) == 3
    assert made[0].startswith("https://tiles/baselines/2021/abababababababab/tiles/")


def test_the_page_is_told_of_baselines_without_the_api(client: TestClient) -> None:
    """Each year has its tiles and an address that opens the raster itself; the same address as long as it holds."""
    first, again = (client.get("/baselines.json").json()["baselines"] for _ in range(2))
    assert first == again
    assert [(one["year"], one["bounds"]) for one in first] == [(2021, [30.0, -18.0, 31.0, -17.0])]
    assert client.get(first[0]["cog"].removeprefix("https://tiles"), headers={"Range": "bytes=0-3"}).status_code == 206
    assert client.get(first[0]["tiles"][0].removeprefix("https://tiles").format(z=2, x=1, y=1)).status_code == 200
