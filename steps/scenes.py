"""Scenes of a season over an AOI, from a STAC API, a static catalog or an item collection file.

The one adapter of pystac and pystac-client. A catalog may be given as a folder, a file or a URL; which of the kinds a
URL is shows in what it answers. Documents come from elsewhere and are only trusted to be text.
"""

import datetime as dt
import functools
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import msgspec
import pystac
import requests
import shapely
import structlog
from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from requests.adapters import HTTPAdapter
from shapely.affinity import translate
from shapely.geometry import shape
from urllib3.exceptions import MaxRetryError
from urllib3.util.retry import Retry

from steps.errors import CatalogError, TryAgainError, UsageError
from steps.items import absolute_href, asset_names, is_remote, newest, self_href, to_candidate
from steps.model.aoi import BBox, Season
from steps.model.scene import SCL, Asset, Scene
from steps.profiles import SIGNED_HOSTS, Profile, known_collections, profile_for
from steps.remote import is_web

MAX_DOCUMENT = 200_000_000
"""Bytes of the largest catalog document that is read."""
MAX_ITEMS = 200_000
"""Items looked at; a catalog with more has to be searched through an API."""
_TIMEOUT_S = (10.0, 60.0)
"""To connect, and between two answers."""
_RETRIES = 5
_RETRY_STATUS = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_WAIT_S = 60
_PAGE = 200
_READERS = 8
_FILES = ("catalog.json", "collection.json")

Json = dict[str, Any]
_T = TypeVar("_T")
_log = structlog.get_logger()
logging.getLogger("pystac_client").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneQuery:
    """Which scenes are wanted."""

    catalog: str
    """Absolute path or URL, from `absolute_catalog`."""
    collection: str = ""
    """Empty: the only one that fits."""
    boxes: tuple[BBox, ...]
    """west, south, east, north within -180..180, together around the AOI."""
    aoi_geometry: Json
    """GeoJSON, lon/lat, running on past 180 over the antimeridian."""
    season: Season
    bands: tuple[str, ...]
    """Canonical names of the reflectance bands needed."""
    max_cloud: float = 100.0
    """Percent by the items' metadata; items that do not say are kept."""
    every_band: bool = False
    """Whether scenes keep the bands that were not asked for."""


def find_scenes(query: SceneQuery) -> list[Scene]:
    """The season's scenes over the AOI, sorted by (solar_day, id), the newest of each reprocessed granule.

    Raises UsageError for a catalog that is not there, CatalogError for one that cannot be used or lacks the bands,
    TryAgainError when the network fails.
    """
    source = _open(query.catalog)
    collection = _choose(source, query)
    profile = profile_for(collection, query.catalog)
    found = [one for one in source.items(collection, query) if _may_matter(one.item, query.season)]
    bands = () if query.every_band else query.bands
    candidates = [to_candidate(one.item, profile, base=one.base, bands=bands) for one in found]
    wanted = _Filter(query)
    inside = [(one.item, each) for one, each in zip(found, candidates, strict=True) if wanted.keeps(each.scene)]
    complete = [each for _, each in inside if _has_bands(each.scene, query.bands)]
    if inside and not complete:
        _refuse_bands(query, collection, [item for item, _ in inside], profile)
    for scene in (each.scene for _, each in inside if not _has_bands(each.scene, query.bands)):
        _log.warning("scene.incomplete", scene=scene.id, bands=sorted(scene.assets))
    scenes = [_with_versions(scene) for scene in newest(complete)]
    _log.info("scenes.found", catalog=query.catalog, collection=collection, items=len(found), scenes=len(scenes))
    return scenes


def absolute_catalog(text: str) -> str:
    """A catalog as the plan pins it: a URL as it stands, a path absolute. Raises UsageError for a path to nothing."""
    text = text.strip()
    if is_web(text.lower()):
        return text
    if "://" in text and not text.startswith("file://"):
        raise UsageError(f"catalog {text[:100]!r} cannot be opened", "give a folder, a file or an http(s) URL")
    path = Path(text.removeprefix("file://"))
    try:
        if path.is_dir():
            path = _root_of(path)
        elif not path.is_file():
            raise UsageError(f"there is no catalog {text[:200]}", "give a folder, a file or an http(s) URL")
        return str(path.resolve())
    except (OSError, ValueError) as error:
        raise UsageError(f"catalog {text[:200]!r} cannot be opened: {error}", "check path and permissions") from None


def read_document(href: str) -> Json:
    """A JSON object by path or URL, bounded in size. Raises CatalogError, or TryAgainError when the network fails."""
    return _Documents().read(href)


def sign(href: str) -> str:
    """An href as it can be opened now: with a token for the Planetary Computer's storage, else unchanged."""
    if not href.startswith("https://") or urlsplit(href).netloc not in SIGNED_HOSTS:
        return href
    try:
        return _signer()(href)
    except (requests.RequestException, ValueError) as error:
        raise TryAgainError(f"{urlsplit(href).netloc} gave no token: {error}", "try again later") from None


@functools.cache
def _signer() -> Callable[[str], str]:
    """The package's function, which keeps tokens while they last; slow to import, and seldom needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is written for an older pydantic
        from planetary_computer import sign_url  # noqa: PLC0415
    return lambda href: str(sign_url(href))


# -- filters -------------------------------------------------------------------------------------------------------


def _may_matter(item: Json, season: Season) -> bool:
    """Whether an item is of the season or does not say; a static catalog's other items need not be sound."""
    properties = item.get("properties")
    text = properties.get("datetime") if isinstance(properties, dict) else None
    try:
        day = dt.date.fromisoformat(text[:10] if isinstance(text, str) else "").toordinal()
    except ValueError:
        return True
    return season.start.toordinal() - 2 <= day <= season.end.toordinal() + 2


class _Filter:
    """Season, cloud and place, with the AOI prepared once."""

    def __init__(self, query: SceneQuery) -> None:
        self.query = query
        aoi = shape(query.aoi_geometry)
        self.turned = [translate(aoi, turn) for turn in (-360.0, 0.0, 360.0)]
        for one in self.turned:
            shapely.prepare(one)

    def keeps(self, scene: Scene) -> bool:
        """Whether a scene is wanted, whatever bands it has."""
        season, limit = self.query.season, self.query.max_cloud
        if not season.start <= scene.solar_day <= season.end:
            return False
        if scene.cloud_cover is not None and scene.cloud_cover > limit:
            return False
        footprint = shape(scene.footprint)
        return any(one.intersects(footprint) for one in self.turned)


def _has_bands(scene: Scene, bands: Iterable[str]) -> bool:
    return all(band in scene.assets for band in (*bands, SCL))


def _refuse_bands(query: SceneQuery, collection: str, items: list[Json], profile: Profile) -> NoReturn:
    there = sorted({name for item in items for name in asset_names(item, profile)})
    missing = [band for band in (*query.bands, SCL) if band not in there] or list(query.bands)
    what = f"collection {collection!r} of {query.catalog} has no {', '.join(missing)}"
    raise CatalogError(what, f"it has {', '.join(there) or 'no assets'}: give another collection or a model for these")


def _with_versions(scene: Scene) -> Scene:
    return msgspec.structs.replace(scene, assets={band: _versioned(asset) for band, asset in scene.assets.items()})


def _versioned(asset: Asset) -> Asset:
    """A local file's size and time stand for its content: what changes them makes another key."""
    if asset.version or not asset.href.startswith("/"):
        return asset
    try:
        found = os.stat(asset.href)  # noqa: PTH116 - thousands of them
    except OSError:
        return asset  # reading it will say what is wrong
    return msgspec.structs.replace(asset, version=f"{found.st_size}-{found.st_mtime_ns}")


# -- sources -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """An item as it was found."""

    item: Json
    base: str
    """Where its relative hrefs start from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A catalog of some kind, opened."""

    collections: dict[str, Json]
    """Id to the collection's document, or nothing where there is none."""
    items: Callable[[str, SceneQuery], Iterable[_Found]]
    """Of a collection; more than the query asks for, where the source cannot search."""


def _open(catalog: str) -> _Source:
    path = Path(catalog)
    href = str(_root_of(path)) if not is_remote(catalog) and path.is_dir() else catalog
    document = _Documents().read(href)
    kind = document.get("type")
    if _is_api(document):
        return _api(_api_root(document, href))
    if kind in ("FeatureCollection", "Feature"):
        return _item_file(document, href)
    if kind in ("Catalog", "Collection") or ("links" in document and "stac_version" in document):
        return _static(document, href)
    raise CatalogError(f"{catalog} is no STAC catalog, but {str(kind)[:40]!r}", "give a catalog, collection or API")


def _root_of(folder: Path) -> Path:
    for name in _FILES:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"folder {folder} holds no catalog.json", "give the folder of a static STAC catalog")


def _links(document: Json, rel: str) -> list[Json]:
    links = document.get("links")
    found = [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    return [link for link in found if link.get("rel") == rel and isinstance(link.get("href"), str)]


def _is_api(document: Json) -> bool:
    conforms = document.get("conformsTo")
    searches = isinstance(conforms, list) and any("item-search" in str(one) for one in conforms)
    return searches or bool(_links(document, "search")) or bool(_links(document, "items"))


def _api_root(document: Json, href: str) -> str:
    """The landing page of the API that a document is of: a collection of an API names it as its root."""
    root = _links(document, "root")
    return absolute_href(root[0]["href"], href) if document.get("type") == "Collection" and root else href


def _choose(source: _Source, query: SceneQuery) -> str:
    """The collection asked for, or the only one that fits. Raises CatalogError that lists what there is."""
    ids = sorted(source.collections)
    listed = ", ".join(ids[:30]) or "none"
    if query.collection:
        if query.collection not in source.collections:
            what = f"{query.catalog} has no collection {query.collection!r}"
            raise CatalogError(what, f"there are: {listed}")
        return query.collection
    fitting = [one for one in ids if one in known_collections()] or [
        one for one in ids if len(ids) == 1 or _announces(source.collections[one], query.bands, query.catalog)
    ]
    if len(fitting) == 1:
        return fitting[0]
    what = f"{query.catalog} has {len(fitting) or 'no'} collections that fit"
    raise CatalogError(what, f"name one with --collection; there are: {', '.join(fitting) or listed}")


def _announces(document: Json, bands: Iterable[str], catalog: str) -> bool:
    """Whether a collection says of its items that they have the bands."""
    assets = document.get("item_assets")
    names = asset_names({"assets": assets}, profile_for(str(document.get("id")), catalog))
    return all(band in names for band in (*bands, SCL))


# -- documents -----------------------------------------------------------------------------------------------------


def _retry() -> Retry:
    return Retry(
        total=_RETRIES,
        connect=2,
        backoff_factor=0.5,
        backoff_max=_LONGEST_WAIT_S,
        status_forcelist=_RETRY_STATUS,
        allowed_methods=None,
        respect_retry_after_header=True,
        retry_after_max=_LONGEST_WAIT_S,
        raise_on_status=False,
    )


class _Documents(pystac.StacIO):
    """Reads JSON documents from files and over HTTP; a remote document is never resolved to a local file."""

    def __init__(self) -> None:
        super().__init__()
        self.session = requests.Session()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(max_retries=_retry(), pool_maxsize=_READERS))

    def read(self, href: str) -> Json:
        """A JSON object. Raises CatalogError for anything else, TryAgainError when the network fails."""
        text = self._fetched(href) if is_remote(href) else self._file(href)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CatalogError(f"{href} is not JSON: {str(error)[:100]}", "check that it is a STAC document") from None
        if not isinstance(document, dict):
            raise CatalogError(f"{href} is not a JSON object", "check that it is a STAC document")
        return document

    def _file(self, href: str) -> str:
        try:
            if os.stat(href).st_size > MAX_DOCUMENT:  # noqa: PTH116
                raise CatalogError(f"{href} is larger than {MAX_DOCUMENT // 1_000_000} MB", "split it")
            return Path(href).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise CatalogError(f"{href} is not text in UTF-8", "check that it is a STAC document") from None
        except (OSError, ValueError) as error:
            cause = getattr(error, "strerror", None) or error
            raise CatalogError(f"{href} cannot be read: {cause}", "check the catalog's links and permissions") from None

    def _fetched(self, href: str) -> str:
        try:
            with self.session.get(href, timeout=_TIMEOUT_S, stream=True) as answer:
                _check_status(answer.status_code, href)
                return _bounded(answer, href).decode("utf-8-sig")
        except requests.exceptions.InvalidSchema:
            raise CatalogError(f"{href} cannot be opened", "static catalogs are read by path or http(s)") from None
        except requests.exceptions.TooManyRedirects:
            raise CatalogError(f"{href} redirects for ever", "check the URL") from None
        except (requests.RequestException, OSError) as error:
            raise TryAgainError(
                f"{href} does not answer: {_short(error)}", "check the network, then run again"
            ) from None
        except ValueError as error:
            raise CatalogError(f"{href} cannot be read: {_short(error)}", "check that it is a STAC document") from None

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:  # noqa: ARG002 - pystac's signature
        """For pystac: the document as text."""
        return json.dumps(self.read(str(source)))

    def write_text(self, dest: Any, txt: str, *args: Any, **kwargs: Any) -> None:
        """Nothing is ever written through here."""
        raise NotImplementedError


def _bounded(answer: requests.Response, href: str) -> bytes:
    body = bytearray()
    for block in answer.iter_content(1 << 18):
        body += block
        if len(body) > MAX_DOCUMENT:
            raise CatalogError(f"{href} is larger than {MAX_DOCUMENT // 1_000_000} MB", "split it")
    return bytes(body)


def _check_status(status: int, href: str) -> None:
    if status in _RETRY_STATUS or status >= 500:
        raise TryAgainError(f"{href} answers {status}", "the service is overloaded or down: run again later")
    if status in (401, 403):
        raise CatalogError(f"{href} answers {status}", "it needs access that GeoCrop does not have")
    if status >= 400:
        raise CatalogError(f"{href} answers {status}", "check the URL")


def _short(error: Exception) -> str:
    """The cause in a line: of what requests and urllib3 wrap, the innermost."""
    wrapped = error.args[0] if error.args else None
    if isinstance(wrapped, MaxRetryError) and isinstance(wrapped.reason, Exception):
        error = wrapped.reason
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


# -- item collection files -----------------------------------------------------------------------------------------


def _item_file(document: Json, href: str) -> _Source:
    features = document.get("features") if document["type"] == "FeatureCollection" else [document]
    if not isinstance(features, list) or not all(isinstance(one, dict) and "assets" in one for one in features):
        raise CatalogError(f"{href} holds features that are no STAC items", "give a STAC catalog or item collection")
    return _Source(
        collections={_collection_of(item): {} for item in features},
        items=lambda collection, _: (
            _Found(item, self_href(item) or href) for item in features if _collection_of(item) == collection
        ),
    )


def _collection_of(item: Json) -> str:
    found = item.get("collection")
    return found if isinstance(found, str) and found else "items"


# -- static catalogs -----------------------------------------------------------------------------------------------


def _static(document: Json, href: str) -> _Source:
    """A tree of files: collections are found at once, items only of the one that is chosen."""
    documents = _Documents()
    nodes = list(_walk(_node(document, href, documents), documents))

    def items(collection: str, _: SceneQuery) -> Iterable[_Found]:
        hrefs = [target for node in nodes if node.collection == collection for target in node.items]
        if len(hrefs) > MAX_ITEMS:
            raise CatalogError(f"{href} has {len(hrefs):,} items", "search such a catalog through a STAC API")
        return map(_Found, _read_all(documents, hrefs), hrefs)

    return _Source(
        collections={node.collection: node.document for node in nodes if node.items or node.is_collection}, items=items
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """A catalog or collection document of a static catalog; hrefs absolute."""

    collection: str
    """Its own id, or that of the collection above it."""
    is_collection: bool
    document: Json
    children: tuple[str, ...]
    items: tuple[str, ...]


def _node(document: Json, href: str, documents: _Documents, above: str = "") -> _Node:
    """Let pystac read a catalog or collection, old versions included."""
    try:
        found = pystac.read_dict(dict(document), href=href, stac_io=documents)
    except (pystac.STACError, pystac.STACTypeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CatalogError(f"{href} is no STAC catalog: {_short(error)}", "check it with a STAC validator") from None
    if not isinstance(found, pystac.Catalog):
        raise CatalogError(f"{href} is a {type(found).__name__}, not a catalog", "check the links to it")
    is_collection = isinstance(found, pystac.Collection)
    return _Node(
        collection=found.id if is_collection or not above else above,
        is_collection=is_collection,
        document=document,
        children=tuple(absolute_href(str(link.get_href(False)), href) for link in found.get_child_links()),
        items=tuple(absolute_href(str(link.get_href(False)), href) for link in found.get_item_links()),
    )


def _walk(root: _Node, documents: _Documents) -> Iterator[_Node]:
    """The tree below a node, itself first; a link back to where one has been is not followed."""
    seen: set[str] = set()
    waiting = [(root, root.collection if root.is_collection else "")]
    while waiting:
        node, above = waiting.pop(0)
        yield node
        for href in node.children:
            if href in seen:
                continue
            seen.add(href)
            if len(seen) > MAX_ITEMS:
                raise CatalogError(f"the catalog of {root.collection} never ends", "give one of its collections")
            child = _node(documents.read(href), href, documents, above)
            waiting.append((child, child.collection if child.is_collection else above))


def _read_all(documents: _Documents, hrefs: list[str]) -> list[Json]:
    """Documents in order; over HTTP several at a time."""
    if not hrefs or not is_remote(hrefs[0]):
        return [documents.read(href) for href in hrefs]
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(documents.read, hrefs))


# -- APIs ----------------------------------------------------------------------------------------------------------


def _api(href: str) -> _Source:
    client = _calm(lambda: _client(href), href)
    collections = _calm(lambda: {one.id: one.to_dict(False, False) for one in client.get_collections()}, href)
    return _Source(
        collections=collections,
        items=lambda collection, query: (
            _Found(item, self_href(item) or href) for item in _search(client, collection, query)
        ),
    )


class _ApiIO(StacApiIO):
    """Follows links over HTTP only; pystac-client's own would open a local file that an API names."""

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        """For pystac-client: the document as text. Raises CatalogError for a link that is not http(s)."""
        href = str(source.get_href() if isinstance(source, pystac.Link) else source)
        if not is_web(href):
            raise CatalogError(f"the API refers to {href[:100]}", "a remote catalog may only refer to remote files")
        return super().read_text(source, *args, **kwargs)


def _client(href: str) -> Client:
    client = Client.open(href, stac_io=_ApiIO(timeout=_TIMEOUT_S, max_retries=_retry()))
    for conformance in ("ITEM_SEARCH", "COLLECTIONS"):  # some leave it out; asking shows
        client.add_conforms_to(conformance)
    return client


def _search(client: Client, collection: str, query: SceneQuery) -> list[Json]:
    """Items by box and time, a day more on both sides: the season counts solar days, the API UTC."""
    start = dt.date.fromordinal(max(query.season.start.toordinal() - 1, 1))
    end = min(query.season.end, dt.date(9998, 12, 31)) + dt.timedelta(days=1)
    posts = any(link.get("method") == "POST" for link in _links(client.to_dict(False, False), "search"))
    found: dict[str, Json] = {}
    for box in query.boxes:
        search = functools.partial(
            client.search,
            method="POST" if posts else "GET",
            collections=[collection],
            bbox=list(box),
            datetime=f"{start.isoformat()}T00:00:00Z/{end.isoformat()}T23:59:59Z",
            limit=_PAGE,
        )
        found |= _all_pages(_calm(search, query.catalog).pages_as_dicts(), query.catalog)
    return [item for item in found.values() if _collection_of(item) == collection]


def _all_pages(pages: Iterator[Json], catalog: str) -> dict[str, Json]:
    """The items of every page, by id."""
    found: dict[str, Json] = {}
    while (page := _calm(lambda: next(pages, None), catalog)) is not None:
        _take(page, found, catalog)
    return found


def _take(page: Json, found: dict[str, Json], catalog: str) -> None:
    """Add a page's items; a page that brings nothing new would be followed by itself for ever."""
    features = page.get("features")
    before = len(found)
    for item in features if isinstance(features, list) else ():
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            raise CatalogError(f"{catalog} answers with items without an id", "report it to the provider")
        found.setdefault(item["id"], item)
    if len(found) > MAX_ITEMS:
        raise CatalogError(f"{catalog} finds more than {MAX_ITEMS:,} items", "give a smaller AOI or season")
    if len(found) == before and features and _links(page, "next"):
        raise CatalogError(f"{catalog} repeats a page of its answer", "report it to the provider")


def _calm(call: Callable[[], _T], href: str) -> _T:
    """Do something with pystac-client, its warnings silenced and its errors in our words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except APIError as error:
        _refuse_api(error, href)
    except (pystac.STACError, KeyError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise CatalogError(f"{href} does not answer as a STAC API: {_short(error)}", "check the URL") from None


def _refuse_api(error: APIError, href: str) -> NoReturn:
    if error.status_code is None:
        raise TryAgainError(f"{href} does not answer: {_short(error)}", "check the network, then run again") from None
    _check_status(error.status_code, href)
    raise CatalogError(f"{href} does not answer as a STAC API: {_short(error)}", "check the URL") from None
