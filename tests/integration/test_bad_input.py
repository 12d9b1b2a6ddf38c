"""Bad input on the command line: one line that names the item and the remedy, the right exit code, nothing left."""

import hashlib
import json
import os
import re
import resource
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import xgboost

from steps import cli
from steps.landscape import Landscape, make_landscape
from steps.model.card import ModelCard
from steps.model.spec import standard_spec
from steps.models import save_model
from steps.settings import settings
from tests.range_server import serving
from tests.s3_server import S3Server

_PROGRESS = re.compile(r"[a-z]+: \d+/\d+")
_EVENT = re.compile(r"\S+Z \[(warning|error) *\] (scene\.|tile\.|vectors\.)")
"""What the log tells of single scenes and tiles; a line each, and no prose."""


@dataclass(frozen=True)
class Place:
    """A landscape with a model that knows its bands."""

    land: Landscape
    model: Path


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


class User:
    """Types commands in a folder of their own."""

    def __init__(self, place: Place, folder: Path, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.place, self.folder, self.home, self._capfd = place, folder, home, capfd

    def types(self, *arguments: str) -> Said:
        """Run a command in this process; all that reaches the file descriptors is heard."""
        self._capfd.readouterr()
        try:
            code = cli.main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = self._capfd.readouterr()
        return Said(code, said.out, said.err)

    def command(self, name: str, changes: dict[str, str]) -> list[str]:
        """A sound `run` or `quote`, but for some changes; `aoi` is the one without dashes."""
        given = {
            "aoi": str(self.place.land.aoi),
            "--season": str(self.place.land.season),
            "--catalog": str(self.place.land.catalog),
            "--model": str(self.place.model),
            "--out": str(self.folder / "store"),
        } | changes
        aoi = given.pop("aoi")
        return [name, aoi, *(word for option, value in given.items() for word in (option, value))]

    def file(self, name: str, content: str | bytes) -> str:
        """A file beside the store."""
        path = self.folder / "given" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def refused(self, code: int, words: str, *arguments: str) -> None:
        """The command ends with a code and one line that has some words; nothing but what was given is there."""
        before = self._everything()
        said = self.types(*arguments)
        check_refusal(said, code, words)
        assert self._everything() == before

    def _everything(self) -> set[Path]:
        """All files and folders but records and logs of the home folder."""
        here = {path for path in self.folder.rglob("*") if path.is_relative_to(self.folder)}
        return here | {*Path.cwd().glob("*")} | {*(self.home / "models").rglob("*")}


def check_refusal(said: Said, code: int, words: str) -> None:
    """One line of ours, at the end, with some words; besides it only progress and events."""
    lines = said.err.splitlines()
    assert said.code == code, said.err
    assert lines, "nothing was said"
    assert lines[-1].startswith("geocrop"), said.err
    assert re.search(words, lines[-1]), lines[-1]
    others = [line for line in lines[:-1] if not (_PROGRESS.match(line) or _EVENT.match(line))]
    assert not others, said.err


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Small: some six days over two kilometres; the model's trees are grown on noise."""
    folder = tmp_path_factory.mktemp("bad-input")
    land = make_landscape(folder / "land", size_px=192, dates=6, years=(2022,))
    make_model(folder / "model", land)
    return Place(land, folder / "model")


def make_model(folder: Path, land: Landscape, bands: tuple[str, ...] = ("red", "nir"), **changes: Any) -> None:
    """A model of the landscape's classes."""
    spec = msgspec.structs.replace(standard_spec(bands), season_days=land.season.days)
    rng = np.random.default_rng(0)
    samples = xgboost.DMatrix(
        rng.uniform(0, 1, (200, len(spec.feature_names))), rng.integers(0, len(land.classes), 200), nthread=1
    )
    parameters = {"objective": "multi:softprob", "num_class": len(land.classes), "max_depth": 3, "nthread": 1}
    learner = bytes(xgboost.train(parameters | {"verbosity": 0}, samples, 4).save_raw("json"))
    fields: dict[str, Any] = {"name": "noise", "spec": spec, "classes": land.classes} | changes
    save_model(folder, ModelCard(model_sha256=hashlib.sha256(learner).hexdigest(), **fields), learner)


@pytest.fixture
def user(
    place: Place,
    tmp_path: Path,
    home: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[User]:
    """Works in an empty folder; signal handlers are put back."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    handler = signal.getsignal(signal.SIGTERM)
    yield User(place, tmp_path, home, capfd)
    signal.signal(signal.SIGTERM, handler)


# -- areas of interest ---------------------------------------------------------------------------------------------

X, Y, D = 31.0, -17.8, 0.005
SQUARE = [[X, Y], [X + D, Y], [X + D, Y + D], [X, Y + D], [X, Y]]


def polygon(ring: list[Any], **more: Any) -> str:
    return json.dumps({"type": "Polygon", "coordinates": [ring]} | more)


AREAS: dict[str, tuple[str | bytes, int, str]] = {
    "unclosed": (polygon(SQUARE[:-1]), 65, "not closed"),
    "self-intersecting": (polygon([SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3], SQUARE[0]]), 65, "self-intersection"),
    "no polygons": ('{"type": "FeatureCollection", "features": []}', 65, "empty"),
    "no rings": ('{"type": "Polygon", "coordinates": []}', 65, "empty"),
    "null geometry": ('{"type": "Feature", "geometry": null, "properties": {}}', 65, "without geometry"),
    "whole world": (polygon([[-179, -80], [179, -80], [179, 80], [-179, 80], [-179, -80]]), 65, "km"),
    "swapped": (polygon([[y, x * 3] for x, y in SQUARE]), 65, "swapped"),
    "metres without CRS": (polygon([[300000 + 1e5 * x, 8e6 + 1e5 * y] for x, y in SQUARE]), 65, "no degrees"),
    "NaN": ('{"type": "Polygon", "coordinates": [[[NaN, 1], [1, 1], [1, 2], [NaN, 1]]]}', 65, "NaN"),
    "Infinity": ('{"type": "Polygon", "coordinates": [[[Infinity, 1], [1, 1], [1, 2]]]}', 65, "Infinity"),
    "1e999": ('{"type": "Polygon", "coordinates": [[[1e999, 1], [1, 1], [1, 2], [1e999, 1]]]}', 65, "inf"),
    "text as numbers": (polygon([[str(x), str(y)] for x, y in SQUARE]), 65, "coordinate"),
    "binary garbage": (bytes(range(256)) * 64, 65, "aoi"),
    "zeros": (bytes(4096), 65, "aoi"),
    "an empty file": (b"", 65, "not JSON|aoi"),
    "half a document": (polygon(SQUARE)[:40], 65, "not JSON"),
    "60 MB": (b"[" + b" " * 60_000_000 + b"]", 65, "MB"),
    "deep nesting": ("[" * 100_000 + "]" * 100_000, 65, "nested|not a GeoJSON"),
    "deep collections": (
        '{"type":"GeometryCollection","geometries":[' * 400 + polygon(SQUARE) + "]}" * 400, 65, "nested"
    ),
    "points and lines": (
        json.dumps({"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [X, Y]}]}),
        65,
        "Point",
    ),
    "no area": (polygon([[X, Y], [X + D, Y], [X + D, Y], [X, Y]]), 65, "area|valid"),
    "a sliver": (polygon([[X, Y], [X + 1e-9, Y], [X + 1e-9, Y + 1e-9], [X, Y]]), 65, "100 m2"),
    "unknown CRS": (polygon(SQUARE, crs={"type": "name", "properties": {"name": "EPSG:1"}}), 65, "CRS"),
    "a JSON list": ("[1, 2, 3]", 65, "not a GeoJSON object"),
}  # fmt: skip


@pytest.mark.parametrize("case", AREAS)
def test_a_bad_area_is_refused(user: User, case: str) -> None:
    """Whatever is wrong with an AOI's file, it is named before any work."""
    content, code, words = AREAS[case]
    given = user.file("aoi.geojson", content)
    user.refused(code, words, *user.command("run", {"aoi": given}))


@pytest.mark.parametrize("name", ["missing.geojson", "given", "a\x00b.geojson", ""])
def test_a_path_to_no_area_is_refused(user: User, name: str) -> None:
    """A missing file, a folder and a path that cannot be are usage errors."""
    user.file("any", b"")
    aoi = str(user.folder / name) if name else ""
    user.refused(2, "check the path|give a vector file", *user.command("run", {"aoi": aoi}))


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "zip", "kml", "tif"])
def test_garbage_with_any_suffix_is_no_area(user: User, suffix: str) -> None:
    """What no vector driver opens is refused in one line, without GDAL's own words on the terminal."""
    given = user.file(f"aoi.{suffix}", bytes(range(256)) * 8)
    user.refused(65, f"aoi.{suffix}", *user.command("quote", {"aoi": given}))


def test_a_collection_of_polygons_is_an_area(user: User) -> None:
    """A GeometryCollection of polygons is one."""
    square = json.loads(user.place.land.aoi.read_text(encoding="utf-8"))
    geometry = square["features"][0]["geometry"] if "features" in square else square.get("geometry", square)
    given = user.file("aoi.geojson", json.dumps({"type": "GeometryCollection", "geometries": [geometry]}))
    assert user.types(*user.command("run", {"aoi": given})).code == 0


# -- seasons, models, options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"--season": "2022-09-30/2021-10-01"}, 2, "backwards"),
        ({"--season": "2090-01-01/2090-12-31"}, 2, "future"),
        ({"--season": "2021-10-01/2022-03-01"}, 65, "152 days"),
        ({"--season": "last summer"}, 2, "START/END"),
        ({"--season": "2021-02-30/2021-03-01"}, 2, "no date"),
        ({"--season": ""}, 2, "START/END"),
        ({"--crs": "EPSG:99999"}, 2, "99999"),
        ({"--crs": "EPSG:4326"}, 2, "metres"),
        ({"--crs": "mars"}, 2, "mars"),
        ({"--crs": "²"}, 2, "EPSG code"),
        ({"--crs": "9" * 400}, 2, "EPSG"),
        ({"--tile-size": "0"}, 2, "--tile-size"),
        ({"--tile-size": "7"}, 2, "--tile-size"),
        ({"--tile-size": "1000000000"}, 2, "--tile-size"),
        ({"--tile-size": "1e9"}, 2, "--tile-size"),
        ({"--min-coverage": "2"}, 2, "--min-coverage"),
        ({"--min-coverage": "nan"}, 2, "--min-coverage"),
        ({"--min-unit": "-3"}, 2, "--min-unit"),
        ({"--max-cloud": "-1"}, 2, "--max-cloud"),
        ({"--max-cloud": "nan"}, 2, "--max-cloud"),
        ({"--workers": "-1"}, 2, "--workers"),
        ({"--workers": "many"}, 2, "--workers"),
        ({"--aoi-layer": "fields"}, 2, "no layer 'fields'"),
        ({"--layer": "dem"}, 2, "NAME=RASTER"),
        ({"--layer": "dem=/nowhere/dem.tif"}, 2, "/nowhere/dem.tif"),
        ({"--mask": "/nowhere/mask.tif"}, 2, "/nowhere/mask.tif"),
        ({"--mask": "/proc"}, 2, "/proc"),
        ({"--baseline": "/nowhere/dw.tif"}, 2, "/nowhere/dw.tif"),
        ({"--zones": "/nowhere/zones.gpkg"}, 2, "/nowhere/zones.gpkg"),
        ({"--parcels": "/nowhere/parcels.gpkg"}, 2, "/nowhere/parcels.gpkg"),
        ({"--legend": "/nowhere/legend.csv"}, 2, "/nowhere/legend.csv"),
        ({"--model": "no-such-model"}, 65, "no-such-model"),
        ({"--model": "/nowhere/model"}, 65, "/nowhere/model"),
        ({"--model": ""}, 65, "model"),
        ({"--model": "noise@nobody"}, 65, "noise@nobody"),
        ({"--model": "noise/7"}, 65, "noise/7"),
        ({"--collection": "landsat"}, 65, "landsat"),
        ({"--catalog": "/nowhere/catalog.json"}, 2, "/nowhere/catalog.json"),
        ({"--catalog": "ftp://nowhere/catalog.json"}, 2, "ftp://nowhere"),
        ({"--catalog": ""}, 2, "catalog"),
        ({"--out": ""}, 2, "store"),
        ({"--out": "gs://bucket/maps"}, 2, "gs://bucket/maps"),
        ({"--out": "s3://bucket/maps"}, 2, "GEOCROP_S3_ENDPOINT"),
        ({"--out": "s3://"}, 2, "bucket"),
        ({"--out": "/proc/nowhere/maps"}, 2, "/proc/nowhere"),
        ({"--no-such-option": "x"}, 2, "--no-such-option"),
    ],
)
def test_a_bad_value_is_refused(user: User, changes: dict[str, str], code: int, words: str) -> None:
    """Every option says what is wrong with its value before any work."""
    user.refused(code, words, *user.command("run", changes))


@pytest.mark.parametrize("option", ["--zones", "--parcels", "--legend", "--mask", "--baseline"])
def test_a_file_of_garbage_is_refused_before_any_work(user: User, option: str) -> None:
    """Files that are only needed at the end are read at the start."""
    given = user.file("given.bin", bytes(range(256)) * 8)
    user.refused(65, "given.bin", *user.command("run", {option: given}))


def test_zones_of_points_are_refused(user: User) -> None:
    """Zones have an area."""
    given = user.file("points.geojson", json.dumps({"type": "Point", "coordinates": [X, Y]}))
    user.refused(2, "polygon", *user.command("run", {"--zones": given}))


def test_a_folder_without_a_card_is_no_model(user: User) -> None:
    """A folder without card.json is named as what it is not."""
    user.refused(65, "card.json", *user.command("run", {"--model": str(user.place.land.folder)}))


def broken_model(user: User, **changes: Any) -> Path:
    folder = user.folder / "model"
    shutil.copytree(user.place.model, folder)
    for name, content in changes.items():
        (folder / f"{name}.json").write_bytes(content)
    return folder


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[]", b'{"name": 3}', b"null"])
def test_a_damaged_card_is_refused(user: User, content: bytes) -> None:
    """A card that is no card is refused by name."""
    folder = broken_model(user, card=content)
    user.refused(65, "card.json", *user.command("run", {"--model": str(folder)}))


def test_a_damaged_model_is_refused(user: User) -> None:
    """A learner with other bytes than its card says is refused before any work."""
    folder = broken_model(user, model=b"{}")
    user.refused(65, "model.json", *user.command("run", {"--model": str(folder)}))


@pytest.mark.parametrize("learner", [b"{}", b"garbage", b'{"learner": {}}'])
def test_a_learner_that_is_none_is_refused(user: User, learner: bytes) -> None:
    """A learner that its card vouches for, but that is no model, makes no map."""
    folder = broken_model(user, model=learner)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["model_sha256"] = hashlib.sha256(learner).hexdigest()
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    said = user.types(*user.command("run", {"--model": str(folder)}))
    check_refusal(said, 65, "failed.*model")
    assert not list((user.folder / "store").glob("maps/*"))


# -- catalogs and scenes -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Catalog:
    """A copy of the landscape's catalog, to be spoilt."""

    folder: Path

    @property
    def items(self) -> list[Path]:
        """The files of its items."""
        return sorted(self.folder.glob("*/*/*.json"))

    def change(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change every item."""
        for path in self.items:
            item = json.loads(path.read_text(encoding="utf-8"))
            change(item)
            path.write_text(json.dumps(item), encoding="utf-8")


@pytest.fixture
def catalog(user: User) -> Catalog:
    """Beside the store, as what is given."""
    return Catalog(shutil.copytree(user.place.land.folder, user.folder / "land"))


def in_crs(code: int) -> Callable[[dict[str, Any]], object]:
    return lambda item: item["properties"].update({"proj:epsg": code})


def without_asset(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda item: item["assets"].pop(name)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_asset("scl"), "has no scl"),
        (without_asset("nir"), "has no nir"),
        (lambda item: item["assets"].clear(), "no assets"),
        (lambda item: item.pop("assets"), "S2.*assets"),
        (lambda item: item["properties"].update(datetime="yesterday"), "S2.*datetime"),
        (in_crs(999_999), "S2.*999999"),
        (in_crs(32601), "S2.*EPSG:32601"),
    ],
)
def test_items_that_cannot_be_used_are_refused(
    user: User, catalog: Catalog, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    """A catalog without the wanted assets, or with items that say what cannot be, makes no map."""
    catalog.change(change)
    said = user.types(*user.command("run", {"--catalog": str(catalog.folder)}))
    check_refusal(said, 65, words)
    assert not list((user.folder / "store").glob("maps/*"))


def test_a_model_of_other_bands_is_refused(user: User, catalog: Catalog) -> None:
    """Bands that the collection has not are named, with those that it has."""
    catalog.change(without_asset("rededge2"))
    make_model(user.folder / "model", user.place.land, bands=("red", "nir", "rededge2"))
    command = user.command("run", {"--model": str(user.folder / "model"), "--catalog": str(catalog.folder)})
    user.refused(65, "has no rededge2: it has .*rededge1", *command)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"type": "Catalog"}', b"<html></html>"])
def test_what_is_no_catalog_is_refused(user: User, catalog: Catalog, content: bytes) -> None:
    """A catalog that is no catalog is refused by name."""
    (catalog.folder / "catalog.json").write_bytes(content)
    user.refused(65, "catalog", *user.command("run", {"--catalog": str(catalog.folder)}))


def test_a_truncated_raster_fails_a_strict_run(user: User, catalog: Catalog) -> None:
    """Where no scene may be left out, the one that cannot be read is named with its file; nothing is published."""
    victim = min(catalog.folder.rglob("red.tif"))
    victim.write_bytes(victim.read_bytes()[:2000])
    command = user.command("run", {"--catalog": str(catalog.folder)})
    check_refusal(user.types(*command, "--strict-scenes", "--no-probe"), 65, f"{victim}.*run it again")
    assert not list((user.folder / "store").glob("maps/*"))


def test_nothing_but_truncated_rasters_is_bad_data(user: User, catalog: Catalog) -> None:
    """It would fail the same way again; of the job nothing stays but what a store is, an empty folder or two."""
    for victim in catalog.folder.rglob("red.tif"):
        victim.write_bytes(victim.read_bytes()[:2000])
    command = user.command("run", {"--catalog": str(catalog.folder)})
    check_refusal(user.types(*command, "--no-probe"), 65, r"red\.tif.*replace that file")
    assert not [path for path in (user.folder / "store").rglob("*") if path.is_file()]


def test_an_area_without_scenes_is_refused(user: User) -> None:
    """Before anything is stored."""
    ring = [[33.0, -18.0], [33.01, -18.0], [33.01, -17.99], [33.0, -17.99], [33.0, -18.0]]
    aoi = user.file("a.geojson", polygon(ring))
    user.refused(65, "no scene of .*another season", *user.command("run", {"aoi": aoi}))


def test_swapped_axes_are_noticed_by_where_the_scenes_are(user: User) -> None:
    """Latitude before longitude is a place, too; where only the other order has scenes, that is said."""
    ring = [[y, x] for x, y in SQUARE]
    user.refused(65, "swapped: write lon, lat", *user.command("quote", {"aoi": user.file("a.geojson", polygon(ring))}))


# -- what may pass: network, S3, disk --------------------------------------------------------------------------------


def test_no_network_may_pass(user: User) -> None:
    """A server that nobody listens at may listen later."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/catalog.json"
        user.refused(75, url, *user.command("run", {"--catalog": url}))


@pytest.mark.parametrize(("fault", "code"), [("404", 65), ("403", 65), ("truncate", 75)])
def test_a_server_that_refuses_the_catalog(user: User, fault: str, code: int) -> None:
    """What is not there or not allowed is bad data; a broken answer may pass."""
    with serving(user.place.land.folder) as server:
        server.faults["catalog.json"] = [fault] * 20
        user.refused(code, server.url, *user.command("run", {"--catalog": f"{server.url}/catalog.json"}))


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The environment leads to the server."""
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    return s3


@pytest.mark.parametrize(
    ("name", "value", "code", "words"),
    [
        ("SECRET_KEY", "wrong", 2, "GEOCROP_S3_SECRET_KEY"),
        ("ACCESS_KEY", "nobody", 2, "GEOCROP_S3_ACCESS_KEY"),
        ("ENDPOINT", "127.0.0.1:9", 75, "port=9"),
        ("ENDPOINT", "http://", 2, "GEOCROP_S3_ENDPOINT"),
        ("SECURE", "perhaps", 2, "GEOCROP_S3_SECURE"),
    ],
)
def test_a_store_that_does_not_let_us_in(
    user: User, bucket: S3Server, monkeypatch: pytest.MonkeyPatch, name: str, value: str, code: int, words: str
) -> None:
    """A wrong setting is named, a server that is away may come back; the secret is never shown."""
    monkeypatch.setenv(f"GEOCROP_S3_{name}", value)
    settings.cache_clear()
    user.refused(code, words, *user.command("run", {"--out": f"s3://{bucket.bucket}/refused"}))


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_missing(user: User) -> None:
    """It is named before any work."""
    user.refused(2, "s3://nowhere.*create the bucket", *user.command("run", {"--out": "s3://nowhere/maps"}))


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """No file can grow beyond some bytes; the system says EFBIG where a full disk says ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [5_000, 20_000, 60_000])
def test_a_full_disk_may_be_emptied(user: User, size: int) -> None:
    """Wherever room runs out, nothing is published; with room again the same command makes the map."""
    command = user.command("run", {})
    with small_disk(size):
        said = user.types(*command)
    check_refusal(said, 75, "(?i)disk|space|large")
    assert not list((user.folder / "store").glob("maps/*/item.json"))
    assert user.types(*command).code == 0


# -- no permission ---------------------------------------------------------------------------------------------------


_NOBODY = 65534


@contextmanager
def as_nobody(home: Path, *others: Path) -> Iterator[None]:
    """Root may do everything: step down meanwhile. Whoever is not root stays what they are."""
    if os.getuid():
        yield
        return
    for folder in {parent for path in (home, *others) for parent in path.parents}:
        if folder.stat().st_mode & 0o777 == 0o700:
            folder.chmod(0o711)
    for path in (home, *home.rglob("*")):
        os.chown(path, _NOBODY, -1)
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_what_may_not_be_opened_is_refused(user: User, catalog: Catalog) -> None:
    """No permission is the user's to get: the path is named."""
    assert user.types(*user.command("run", {})).code == 0  # all modules are imported, which nobody may not
    places = {
        "aoi": catalog.folder / "aoi.geojson",
        "--catalog": catalog.folder,
        "--legend": catalog.folder / "legend.csv",
        "--zones": catalog.folder / "districts.geojson",
        "--out": user.folder / "closed",
    }
    places["--out"].mkdir()
    for option, path in places.items():
        mode = path.stat().st_mode
        path.chmod(0)
        with as_nobody(user.home, user.folder / "x", user.place.model):
            said = user.types(*user.command("run", {option: str(path)}))
        path.chmod(mode)
        check_refusal(said, 2, re.escape(str(path)))
