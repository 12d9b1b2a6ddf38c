"""A published map as it lies in a store or on a web server: its item, and the files beside it."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from steps.checksum import file_sha256
from steps.errors import CatalogError, DataError, SceneError, UsageError
from steps.model.card import ClassDef
from steps.remote import RangeReader, is_web
from steps.scenes import read_document
from steps.settings import settings
from steps.stac import replay_classes
from steps.store import MissingObject, Store, open_store

_MULTIHASH = "1220"
"""What `file:checksum` begins with for SHA-256."""
_PIECE_BYTES = 16 * 2**20
_GIVE = "give the item.json of a map that GeoCrop published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One map."""

    href: str
    """Of the item, as the user gave it."""
    item: Mapping[str, Any]
    classes: tuple[ClassDef, ...]
    store: Store | None
    """The item's folder, whose keys are file names; None on a web server."""

    @property
    def name(self) -> str:
        """The item's id, for people."""
        return str(self.item.get("id", self.href))

    @property
    def key(self) -> str:
        """The item's own file name."""
        return self.href.rpartition("/")[2]

    @property
    def map_sha256(self) -> str:
        """Of map.tif, as the item states it; raises CatalogError."""
        return str(self.asset("map")["file:checksum"]).removeprefix(_MULTIHASH)

    def asset(self, name: str) -> Mapping[str, Any]:
        """An asset with its href and checksum; raises CatalogError."""
        found = self.item.get("assets", {}).get(name, {})
        if not isinstance(found, Mapping) or not {"href", "file:checksum"} <= set(found):
            raise CatalogError(f"{self.href} has no asset {name} with a checksum", _GIVE)
        return found

    def beside(self, name: str) -> str:
        """Key of an asset's file in the item's folder; raises CatalogError for one that lies elsewhere."""
        href = str(self.asset(name)["href"]).removeprefix("./")
        if "/" in href:
            raise CatalogError(f"asset {name} of {self.href} does not lie beside it", "give the item as published")
        return href

    @contextlib.contextmanager
    def open_map(self) -> Iterator[Path]:
        """The map as a file, downloaded where it is not one. Raises DataError when it is not the one of the item."""
        with contextlib.ExitStack() as stack:
            if self.store is not None:
                path = stack.enter_context(self.store.local_path(self.beside("map")))
            else:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="geocrop-published-"))
                path = _download(urljoin(self.href, str(self.asset("map")["href"])), Path(folder) / "map.tif")
            if file_sha256(path) != self.map_sha256:
                raise DataError(f"the map of {self.href} is not the one that it describes", "publish it again")
            yield path


def open_published(href: str) -> Published:
    """The map of an item: a path, an s3:// or a web address. Raises UsageError or CatalogError."""
    href = absolute(href)
    item = read_item(href)
    store = None if is_web(href) else open_store(href.rpartition("/")[0], settings())
    return Published(href=href, item=item, classes=replay_classes(item), store=store)


def absolute(href: str) -> str:
    """A path made absolute; s3:// and web addresses as they are."""
    return href if "://" in href else Path(href).absolute().as_posix()


def read_item(href: str) -> Mapping[str, Any]:
    """The STAC item at an absolute path, an s3:// or a web address. Raises UsageError or CatalogError."""
    if is_web(href):
        item: Any = read_document(href)
    else:
        item = _stored_item(href, open_store(href.rpartition("/")[0] or "/", settings()))
    if not isinstance(item, dict) or not isinstance(item.get("assets"), dict):
        raise CatalogError(f"{href} is no STAC item", _GIVE)
    return item


@contextlib.contextmanager
def as_file(href: str) -> Iterator[Path]:
    """A file at a path, an s3:// or a web address, as long as the context lasts. Raises DataError, or ReadError."""
    if href.startswith("s3://"):
        folder, _, name = href.rpartition("/")
        with open_store(folder, settings()).local_path(name) as path:
            yield path
    elif is_web(href):
        with tempfile.TemporaryDirectory(prefix="geocrop-published-") as scratch:
            yield _download(href, Path(scratch) / "map.tif")
    else:
        yield Path(href)


def _stored_item(href: str, store: Store) -> Any:
    try:
        return json.loads(store.get_bytes(href.rpartition("/")[2]))
    except (ValueError, MissingObject) as error:
        raise UsageError(f"item {href} cannot be read: {error}", _GIVE) from error


def _download(href: str, path: Path) -> Path:
    """A remote file, piece by piece. Raises DataError when it is not there, ReadError when it may come later."""
    reader, size, done = RangeReader(), 1, 0
    with path.open("wb") as file:
        while done < size:
            try:
                piece = reader.read(href, done, _PIECE_BYTES)
            except SceneError as error:
                raise DataError(error.what, "check the item's map") from error
            size, done = piece.size, done + file.write(piece.data)
    return path
