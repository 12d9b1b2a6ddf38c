"""Finding scenes: static catalogs on disk and over HTTP, item files, and a STAC API that behaves like real ones."""

import datetime as dt
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from shapely.geometry import box, mapping

from steps.aoi import parse_aoi, search_boxes
from steps.errors import CatalogError, TryAgainError, UsageError
from steps.model.aoi import Season
from steps.scenes import SceneQuery, absolute_catalog, find_scenes, read_document, sign

SHARED = Path(os.environ.get("GEOCROP_SHARED_DATA", Path(__file__).parents[2] / "../shared/data"))
PLACE = (4.0, 50.0, 4.5, 50.5)
KEYS = ("blue", "red", "scl")


def an_item(name="a", day="2022-06-01", place=PLACE, keys=KEYS, collection="sentinel-2-l2a", **properties):
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": name,
        "collection": collection,
        "geometry": json.loads(json.dumps(mapping(box(*place)))),
        "bbox": list(place),
        "properties": {"datetime": f"{day}T10:50:00Z", "eo:cloud_cover": 10, **properties},
        "links": [],
        "assets": {key: {"href": f"./{name}-{key}.tif"} for key in keys},
    }


def a_collection(name="sentinel-2-l2a", **more):
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
    head = {"type": "Collection", "stac_version": "1.0.0", "id": name, "description": "any", "license": "other"}
    return {**head, "extent": extent, "links": [], **more}


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def a_catalog(folder, items, collections=("sentinel-2-l2a",)):
    """A static catalog on disk: one folder per collection, one file per item; returns its catalog.json."""
    for name in collections:
        mine = [item for item in items if item["collection"] == name]
        links = [{"rel": "item", "href": f"./{item['id']}.json"} for item in mine]
        write(folder / name / "collection.json", a_collection(name, links=links))
        for item in mine:
            write(folder / name / f"{item['id']}.json", item)
            for key in item["assets"]:
                (folder / name / f"{item['id']}-{key}.tif").write_bytes(b"any bytes")
    children = [{"rel": "child", "href": f"./{name}/collection.json"} for name in collections]
    head = {"type": "Catalog", "stac_version": "1.0.0", "id": "any", "description": "any"}
    return write(folder / "catalog.json", {**head, "links": children})


def a_query(catalog, **changes):
    aoi = parse_aoi(changes.pop("aoi", mapping(box(4.1, 50.1, 4.2, 50.2))))
    season = Season(start=dt.date(2022, 1, 1), end=dt.date(2022, 12, 31))
    fields = {"season": season, "bands": ("blue", "red"), "boxes": tuple(search_boxes(aoi))} | changes
    return SceneQuery(catalog=absolute_catalog(str(catalog)), aoi_geometry=aoi.geometry, **fields)


def ids(query):
    return [scene.id for scene in find_scenes(query)]


def refusal(query, kind=CatalogError) -> str:
    with pytest.raises(kind) as caught:
        find_scenes(query)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- static catalogs -----------------------------------------------------------------------------------------------


def test_a_catalog_is_given_in_any_way(tmp_path):
    """Its folder, its catalog.json, the collection's folder and file find the same scenes with absolute hrefs."""
    a_catalog(tmp_path, [an_item("b"), an_item("a", "2022-05-01")])
    spellings = [tmp_path, tmp_path / "catalog.json", tmp_path / "sentinel-2-l2a"]
    found = [find_scenes(a_query(one)) for one in [*spellings, tmp_path / "sentinel-2-l2a/collection.json"]]
    assert [scene.id for scene in found[0]] == ["a", "b"]
    assert all(one == found[0] for one in found)
    assert found[0][0].assets["red"].href == str(tmp_path / "sentinel-2-l2a/a-red.tif")


def test_a_relative_path_is_pinned_absolute(tmp_path, monkeypatch):
    """The plan must not depend on the working directory."""
    catalog = a_catalog(tmp_path, [])
    monkeypatch.chdir(tmp_path)
    assert absolute_catalog(".") == absolute_catalog("./catalog.json") == str(catalog)
    assert absolute_catalog(f"file://{catalog}") == str(catalog)


def test_a_local_file_has_a_version(tmp_path):
    """The same path with other content is another asset."""
    a_catalog(tmp_path, [an_item("a")])
    path = tmp_path / "sentinel-2-l2a/a-red.tif"
    os.utime(path, ns=(5, 7))
    assert find_scenes(a_query(tmp_path))[0].assets["red"].version == "9-7"
    path.write_bytes(b"other")
    assert find_scenes(a_query(tmp_path))[0].assets["red"].version.startswith("5-")


def test_item_collection_files(tmp_path):
    """A FeatureCollection and a single item are catalogs too."""
    items = [an_item("a"), an_item("b", "2022-06-11")]
    path = write(tmp_path / "items.json", {"type": "FeatureCollection", "features": items})
    assert ids(a_query(path)) == ["a", "b"]
    assert ids(a_query(write(tmp_path / "one.json", items[1]))) == ["b"]


def test_filters(tmp_path):
    """Season by solar day, footprint by intersection, cloud by metadata; unknown cloud is kept."""
    items = [
        an_item("in"),
        an_item("early", "2021-12-31"),
        an_item("late", "2023-01-01"),
        an_item("elsewhere", place=(5, 50, 6, 51)),
        an_item("cloudy", **{"eo:cloud_cover": 80}),
        an_item("unknown", **{"eo:cloud_cover": None}),
    ]
    a_catalog(tmp_path, items)
    assert ids(a_query(tmp_path, max_cloud=50)) == ["in", "unknown"]


def test_a_season_counts_solar_days(tmp_path):
    """On the far side of the globe an evening in UTC is the next day's morning."""
    place = (150, -30, 151, -29)
    item = an_item("a", place=place, datetime="2021-12-31T23:50:00Z")
    a_catalog(tmp_path, [item, an_item("b", place=place, datetime="2022-12-31T23:50:00Z")])
    assert ids(a_query(tmp_path, aoi=mapping(box(150.1, -29.9, 150.2, -29.8)))) == ["a"]


@pytest.mark.parametrize("place", [(179.5, -18, 180.5, -17), (-180.5, -18, -179.5, -17), (-180, -18, -179.5, -17)])
def test_over_the_antimeridian(tmp_path, place):
    """An AOI that runs past 180 meets footprints on either side."""
    a_catalog(tmp_path, [an_item("a", "2022-05-01", place=place), an_item("far", place=(0, -18, 1, -17))])
    assert ids(a_query(tmp_path, aoi=mapping(box(179.8, -17.8, 180.2, -17.2)))) == ["a"]


def test_reprocessed_granules_are_found_once(tmp_path):
    """The newest baseline stays."""
    both = [an_item(f"b{v}", **{"s2:mgrs_tile": "31UES", "s2:processing_baseline": v}) for v in ("02.12", "05.00")]
    a_catalog(tmp_path, both)
    assert ids(a_query(tmp_path)) == ["b05.00"]


def test_missing_bands_are_named(tmp_path):
    """The message says what is missing and what there is."""
    a_catalog(tmp_path, [an_item("a")])
    message = refusal(a_query(tmp_path, bands=("red", "swir22")))
    assert "has no swir22" in message
    assert "it has blue, red, scl" in message


def test_a_scene_that_lacks_a_band_is_left_out(tmp_path):
    """One incomplete item does not spoil the rest."""
    a_catalog(tmp_path, [an_item("a"), an_item("b", "2022-06-11", keys=("red", "scl"))])
    assert ids(a_query(tmp_path)) == ["a"]


def test_a_scene_holds_the_wanted_bands_only(tmp_path):
    """Other assets would change keys without changing pixels."""
    a_catalog(tmp_path, [an_item("a", keys=(*KEYS, "nir", "visual"))])
    assert set(find_scenes(a_query(tmp_path))[0].assets) == set(KEYS)


def test_no_scene_in_the_season_is_no_error(tmp_path):
    """The map will say so tile by tile."""
    a_catalog(tmp_path, [an_item("a", "2018-01-01")])
    assert ids(a_query(tmp_path)) == []


def test_the_collection_that_fits_is_picked(tmp_path):
    """A known id is preferred; one that announces the bands is taken; two that fit must be named."""
    items = [an_item("a"), an_item("d", collection="dem", keys=("dem",))]
    a_catalog(tmp_path / "one", items, ("dem", "sentinel-2-l2a"))
    assert ids(a_query(tmp_path / "one")) == ["a"]
    a_catalog(tmp_path / "two", items, ("sentinel-2-l2a", "sentinel-2-c1-l2a"))
    assert "sentinel-2-c1-l2a, sentinel-2-l2a" in refusal(a_query(tmp_path / "two"))
    assert ids(a_query(tmp_path / "two", collection="sentinel-2-l2a")) == ["a"]
    assert "there are: sentinel-2-c1-l2a, sentinel-2-l2a" in refusal(a_query(tmp_path / "two", collection="none"))


def test_nested_catalogs_and_loops(tmp_path):
    """Items below a catalog below a collection belong to the collection; a link back is not followed for ever."""
    a_catalog(tmp_path, [an_item("a")])
    deep = tmp_path / "sentinel-2-l2a/2022/catalog.json"
    links = [{"rel": "item", "href": "./b.json"}, {"rel": "child", "href": "../collection.json"}]
    write(deep, {"type": "Catalog", "stac_version": "1.0.0", "id": "2022", "description": "any", "links": links})
    write(deep.parent / "b.json", an_item("b", "2022-07-01"))
    path = tmp_path / "sentinel-2-l2a/collection.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["links"].append({"rel": "child", "href": "./2022/catalog.json"})
    write(path, document)
    assert ids(a_query(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "is no STAC catalog"),
        ('{"type": "Polygon"}', "is no STAC catalog, but 'Polygon'"),
        ('{"type": "Catalog", "stac_version": "1.0.0"}', "is no STAC catalog"),
        ('{"type": "FeatureCollection", "features": [{"type": "Feature"}]}', "no STAC items"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_what_is_no_catalog_is_refused(tmp_path, content, says):
    """Other JSON is named for what it is."""
    (tmp_path / "catalog.json").write_text(content, encoding="utf-8")
    assert says in refusal(a_query(tmp_path))


def test_broken_links_and_items_are_named(tmp_path):
    """A missing file and an item with a wrong CRS are named."""
    a_catalog(tmp_path, [an_item("a")])
    write(tmp_path / "sentinel-2-l2a/a.json", an_item("a", **{"proj:epsg": 999999}))
    assert "item a states the CRS EPSG:999999" in refusal(a_query(tmp_path))
    (tmp_path / "sentinel-2-l2a/a.json").unlink()
    assert "a.json cannot be read: No such file" in refusal(a_query(tmp_path))


@pytest.mark.parametrize("text", ["/no/such/catalog", "ftp://example.com/catalog.json", "a\0b", ""])
def test_paths_to_nothing_are_usage_errors(text, tmp_path, monkeypatch):
    """A catalog that is not there is the command line's fault."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        absolute_catalog(text)


@pytest.mark.parametrize(("name", "year", "count"), [("flanders", 2019, 48), ("romania", 2019, 32)])
def test_real_catalogs(name, year, count):
    """The two real catalogs are found whole, harmonised, without reprocessed duplicates."""
    if not (SHARED / "catalogs" / name).is_dir():
        pytest.skip("the shared real catalogs are not on this machine")
    place = {"flanders": (4.06, 50.744, 4.066, 50.748), "romania": (22.147, 45.202, 22.155, 45.208)}[name]
    season = Season(start=dt.date(year, 1, 1), end=dt.date(year, 12, 31))
    scenes = find_scenes(a_query(SHARED / "catalogs" / name, aoi=mapping(box(*place)), season=season))
    assert len(scenes) == count
    assert {scene.offset_source for scene in scenes} == {"applied"}
    assert all(asset.version for scene in scenes for asset in scene.assets.values())


# -- over HTTP -----------------------------------------------------------------------------------------------------


class Server:
    """A small STAC API on loopback, with paging; `fail` holds answers to be given first, as (status, headers)."""

    def __init__(self, items, collections=("sentinel-2-l2a",), page=2):
        self.items, self.collections, self.page = items, collections, page
        self.fail, self.searches, self.files, self.repeat = [], [], {}, False
        self.links, self.get_only = {}, False
        handler = type("Handler", (_Handler,), {"api": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, path, query, body):
        """Status and document for a request."""
        if path in self.files:
            return 200, self.files[path]
        if path in ("", "/"):
            return 200, self.landing()
        if path == "/collections":
            return 200, {"collections": [a_collection(name) for name in self.collections], "links": []}
        if path == "/search":
            return 200, self.search(body or query)
        return 404, {"code": "NotFound"}

    def landing(self):
        """The API's first page."""
        search = {
            "rel": "search",
            "href": self.links.get("search", f"{self.url}/search"),
            "type": "application/geo+json",
        }
        search |= {} if self.get_only else {"method": "POST"}
        data = {"rel": "data", "href": self.links.get("data", f"{self.url}/collections"), "type": "application/json"}
        root = {"rel": "root", "href": self.url, "type": "application/json"}
        core = "https://api.stacspec.org/v1.0.0/"
        conforms = [core + "core", core + "collections", core + "item-search"]
        head = {"type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "any"}
        if self.get_only:
            return {**head, "links": [root, data, search]}
        return {**head, "conformsTo": conforms, "links": [root, data, search]}

    def search(self, body):
        """One page of items by box."""
        self.searches.append(body)
        start = int(body.get("token", 0))
        bbox = body["bbox"].split(",") if isinstance(body["bbox"], str) else body["bbox"]
        west, south, east, north = map(float, bbox)
        area = box(west, south, east, north)
        hits = [item for item in self.items if area.intersects(box(*item["bbox"]))]
        document = {"type": "FeatureCollection", "features": hits[start : start + self.page], "links": []}
        if start + self.page < len(hits):
            token = start if self.repeat else start + self.page
            following = {
                "rel": "next",
                "href": self.links.get("next", f"{self.url}/search"),
                "method": "POST",
                "body": {**body, "token": token},
            }
            if self.get_only:
                query = urlencode({**body, "token": token})
                following = {"rel": "next", "href": f"{self.url}/search?{query}", "type": "application/geo+json"}
            document["links"].append(following)
        return document


class _Handler(BaseHTTPRequestHandler):
    api: Server

    def do_GET(self):
        self.reply(None)

    def do_POST(self):
        self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def reply(self, body):
        parts = urlsplit(self.path)
        status, headers, document = 200, {}, {}
        if self.api.fail:
            status, headers = self.api.fail.pop(0)
        else:
            query = {key: value[0] for key, value in parse_qs(parts.query).items()}
            status, document = self.api.answer(parts.path, query, body)
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Stay silent."""


@pytest.fixture
def serve():
    servers = []

    def start(*args, **options):
        servers.append(Server(*args, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def remote(item, href="https://example.com/{name}-{key}.tif"):
    for key, asset in item["assets"].items():
        asset["href"] = href.format(name=item["id"], key=key)
    return item


def test_an_api_is_searched_page_by_page(serve):
    """All pages are read, the box and the season are sent, hrefs come out unsigned."""
    signed = "https://example.com/{name}-{key}.tif?sig=secret&se=1"
    server = serve([remote(an_item(f"i{n}", f"2022-06-0{n}"), signed) for n in range(1, 6)])
    scenes = find_scenes(a_query(server.url))
    assert [scene.id for scene in scenes] == ["i1", "i2", "i3", "i4", "i5"]
    assert scenes[0].assets["red"].href == "https://example.com/i1-red.tif"
    assert len(server.searches) == 3
    assert server.searches[0]["bbox"] == [4.1, 50.1, 4.2, 50.2]
    assert server.searches[0]["datetime"] == "2021-12-31T00:00:00Z/2023-01-01T23:59:59Z"


def test_a_plain_api_is_searched_by_get(serve):
    """One that states no conformance and offers no POST is searched as well."""
    server = serve([remote(an_item(f"i{n}", f"2022-06-0{n}")) for n in range(1, 6)])
    server.get_only = True
    assert ids(a_query(server.url)) == ["i1", "i2", "i3", "i4", "i5"]


def test_the_url_of_an_apis_collection_will_do(serve):
    """It leads to the API; a season may end in the year 9999."""
    server = serve([remote(an_item("a"))])
    links = [{"rel": "root", "href": server.url}, {"rel": "items", "href": f"{server.url}/any"}]
    server.files["/collections/s2"] = a_collection(links=links)
    season = Season(start=dt.date(2022, 1, 1), end=dt.date.max)
    assert ids(a_query(f"{server.url}/collections/s2", season=season)) == ["a"]


def test_a_document_is_read_by_path_or_url(serve, tmp_path):
    """As `geocrop replay` reads a published item."""
    server = serve([])
    server.files["/item.json"] = an_item("a")
    path = write(tmp_path / "item.json", an_item("a"))
    assert read_document(f"{server.url}/item.json") == read_document(str(path)) == an_item("a")


def test_an_api_is_asked_on_both_sides_of_the_antimeridian(serve):
    """Two boxes, and an item that is in both is one scene."""
    place = (-180, -18, 180, -17)
    item = remote(an_item("a", place=(179.5, -18, 180.5, -17))) | {"bbox": list(place)}
    server = serve([item])
    assert ids(a_query(server.url, aoi=mapping(box(179.8, -17.8, 180.2, -17.2)))) == ["a"]
    assert len(server.searches) == 2


def test_a_busy_api_is_asked_again(serve):
    """429 with Retry-After and 503 are waited for, on every kind of request."""
    server = serve([remote(an_item("a"))])
    server.fail = [(503, {}), (429, {"Retry-After": "1"})]
    assert ids(a_query(server.url)) == ["a"]


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_an_api_that_stays_down_is_to_be_tried_again(serve, status, monkeypatch):
    """After some retries the error says to run again later."""
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda *_: None)
    server = serve([])
    server.fail = [(status, {})] * 50
    assert str(status) in refusal(a_query(server.url), TryAgainError)


@pytest.mark.parametrize(("status", "says"), [(404, "check the URL"), (403, "needs access"), (400, "check the URL")])
def test_an_api_that_refuses_is_not_tried_again(serve, status, says):
    """Other errors are the catalog's."""
    server = serve([])
    server.fail = [(status, {})] * 5
    assert says in refusal(a_query(server.url))


def test_no_network_is_to_be_tried_again(serve):
    """A port where nobody listens is TryAgainError, not a traceback."""
    server = serve([])
    url = server.url
    server.http.server_close()
    assert "does not answer" in refusal(a_query(url), TryAgainError)


def test_a_missing_collection_lists_what_there_is(serve):
    """The user sees the names to choose from."""
    server = serve([], collections=("landsat", "sentinel-2-l2a"))
    assert "there are: landsat, sentinel-2-l2a" in refusal(a_query(server.url, collection="nope"))
    assert ids(a_query(server.url)) == []


def test_an_api_that_repeats_a_page_is_left(serve):
    """A next link to the same page would go on for ever."""
    server = serve([remote(an_item(f"i{n}")) for n in range(5)])
    server.repeat = True
    assert "repeats a page" in refusal(a_query(server.url))


@pytest.mark.parametrize("href", ["file:///etc/passwd", "/vsicurl/file:///etc/passwd", "/vsitar//etc/x.tar"])
def test_a_remote_catalog_cannot_point_to_local_files(serve, href):
    """Neither assets nor links of a remote catalog lead into this machine."""
    server = serve([remote(an_item("a"), href)])
    assert "remote files" in refusal(a_query(server.url))
    head = {"type": "Catalog", "stac_version": "1.0.0", "id": "any", "description": "any"}
    server.files["/catalog.json"] = {**head, "links": [{"rel": "child", "href": href}]}
    assert "remote files" in refusal(a_query(f"{server.url}/catalog.json"))


@pytest.mark.parametrize("rel", ["data", "search", "next"])
def test_an_api_cannot_send_us_to_local_files(serve, rel, tmp_path):
    """Its own links are only followed over HTTP."""
    server = serve([remote(an_item(f"i{n}")) for n in range(5)])
    secret = write(tmp_path / "secret.json", {"collections": [a_collection()], "features": [an_item("secret")]})
    server.links[rel] = f"file://{secret}"
    assert "secret" not in refusal(a_query(server.url, collection="sentinel-2-l2a")).replace("secret.json", "")
    server.links[rel] = str(secret)
    with pytest.raises((CatalogError, TryAgainError)):
        find_scenes(a_query(server.url, collection="sentinel-2-l2a"))


def test_a_static_catalog_over_http(serve):
    """The same files behind a web server, with relative links."""
    server = serve([])
    links = [{"rel": "item", "href": f"./{name}.json"} for name in "ab"]
    head = {"type": "Catalog", "stac_version": "1.0.0", "id": "any", "description": "any"}
    server.files = {
        "/cat/catalog.json": {**head, "links": [{"rel": "child", "href": "./s2/collection.json"}]},
        "/cat/s2/collection.json": a_collection(links=links),
        "/cat/s2/a.json": an_item("a"),
        "/cat/s2/b.json": an_item("b", "2022-07-01"),
    }
    scenes = find_scenes(a_query(f"{server.url}/cat/catalog.json"))
    assert [scene.id for scene in scenes] == ["a", "b"]
    assert scenes[0].assets["red"].href == f"{server.url}/cat/s2/a-red.tif"


@pytest.mark.parametrize("content", [b"<html>", b"\xff\xfe", b"{}"])
def test_a_url_that_is_no_catalog(serve, content):
    """A web page is named as such."""
    server = serve([])
    server.files = {"/page": content}
    assert "/page" in refusal(a_query(f"{server.url}/page"))


# -- signing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "href",
    ["/data/a.tif", "s3://bucket/a.tif", "https://example.com/a.tif", "https://other.blob.core.windows.net/c/a.tif"],
)
def test_only_the_planetary_computers_storage_is_signed(href):
    """Everything else stays as it is, without asking anybody."""
    assert sign(href) == href


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_planetary_computer_href_gets_a_token(serve, monkeypatch):
    """The planetary_computer package fetches it when the file is opened."""
    import planetary_computer.sas

    server = serve([])
    expiry = "2999-01-01T00:00:00Z"
    server.files = {"/sentinel2l2a01/sentinel2-l2": {"msft:expiry": expiry, "token": "sig=x"}}
    monkeypatch.setenv("PC_SDK_SAS_URL", server.url)
    planetary_computer.sas.Settings.get.cache_clear()
    planetary_computer.sas.TOKEN_CACHE.clear()
    href = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/a.tif"
    assert sign(href) == f"{href}?sig=x"
    planetary_computer.sas.Settings.get.cache_clear()
