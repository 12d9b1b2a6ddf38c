"""Colours for all kinds of colour vision: the same in tiles and on the page; and thumbnails."""

import json
import re
import time
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from starlette.testclient import TestClient

from api.secrets import signature
from steps import naming
from steps.counterparts import safe_colours
from steps.palette import SAFE_DYNAMIC_WORLD, SAFE_OTHERS, rgb
from steps.settings import Settings
from tests.tiles import SECRET, tiler_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),  # in rio-tiler
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),  # a PNG has no place
]
JOB = "any-job"
EDGE = 20037508.342789244
CODE = 4
PAGE = Path(__file__).parents[2] / "ui/src/legend/dynamicWorld.ts"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """A map and a baseline that are of one class everywhere."""
    folder = tmp_path_factory.mktemp("tiles")
    for key in (naming.map_key(JOB, "map.tif"), naming.baseline_key(2021)):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path, "w", driver="GTiff", dtype="uint8", count=1, width=256, height=256, nodata=255, crs=3857,
            transform=Affine(EDGE / 512, 0, -EDGE / 2, 0, -EDGE / 512, EDGE / 2),
        ) as target:  # fmt: skip
            target.write(np.full((1, 256, 256), CODE, np.uint8))
            target.write_colormap(1, {CODE: (1, 2, 3, 255)})
    item = {"properties": {"geocrop:classes": [{"code": CODE, "name": "lake", "colour": "010203"}]}}
    (folder / naming.item_key(JOB)).write_text(json.dumps(item))
    return tiler_of(str(folder), Settings(home=folder))


def signed(**more: str) -> str:
    path, until = f"maps/{JOB}/map/v1", str(int(time.time()) + 60)
    return urlencode({"expires": until, "signature": signature(SECRET, path, until), **more})


def colour(body: bytes) -> tuple[int, ...]:
    with MemoryFile(body) as file, file.open() as picture:
        return tuple(int(band) for band in picture.read()[:3, picture.height // 2, picture.width // 2])


@pytest.mark.parametrize(("palette", "expected"), [("official", (1, 2, 3)), ("safe", rgb(SAFE_DYNAMIC_WORLD[0]))])
def test_a_map_is_drawn_in_the_palette_asked_for(client, palette, expected):
    """The file's own colours, or those that follow from its class's name: here a lake."""
    answer = client.get(f"/maps/{JOB}/map/v1/tiles/WebMercatorQuad/2/1/1.png?{signed(palette=palette)}")
    assert colour(answer.content) == expected


def test_a_baseline_is_drawn_in_safe_colours(client):
    """Dynamic World's classes by code."""
    answer = client.get("/baselines/2021/any/tiles/WebMercatorQuad/2/1/1.png?palette=safe")
    assert colour(answer.content) == rgb(SAFE_DYNAMIC_WORLD[CODE])


def test_an_unknown_palette_is_refused(client):
    """With a 4xx, not with other colours."""
    assert client.get("/baselines/2021/any/tiles/WebMercatorQuad/2/1/1.png?palette=none").status_code == 422


def test_a_thumbnail_is_small_and_says_how_small(client):
    """A preview without a size, or with a large one, is refused."""
    root = f"/maps/{JOB}/map/v1/preview.png"
    with MemoryFile(client.get(f"{root}?{signed(max_size='64')}").content) as file, file.open() as picture:
        assert max(picture.width, picture.height) == 64
    assert client.get(f"{root}?{signed()}").status_code == 400
    assert client.get(f"{root}?{signed(max_size='4096')}").status_code == 400


def test_the_page_has_the_same_colours_of_dynamic_world():
    """Whether the browser or TiTiler draws a tile makes no difference."""
    assert tuple(re.findall(r'safe_colour: "([0-9a-f]{6})"', PAGE.read_text(encoding="utf-8"))) == SAFE_DYNAMIC_WORLD


def test_a_class_alone_of_its_cover_has_the_colour_of_the_baseline():
    """Crops, classes that share a cover, and those of none have colours of their own."""
    found = safe_colours({1: "maize", 2: "soya", 3: "forest", 4: "water", 5: "dense forest", 6: "town", 7: "any"})
    assert (found[4], found[6]) == (SAFE_DYNAMIC_WORLD[0], SAFE_DYNAMIC_WORLD[6])
    assert [found[code] for code in (1, 2, 3, 5, 7)] == list(SAFE_OTHERS[:5])
