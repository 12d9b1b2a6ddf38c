"""What a user gives beside a request, for the publishing alone: names and colours of classes, zones, parcels.

It changes no pixel and so is no part of a request. It is kept beside the plan, so that a map that is published again
later is the same map.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from steps import naming
from steps.legend import Legend, read_legend
from steps.model.card import ClassDef
from steps.store import Store
from steps.zones import read_polygons

_POLYGONS = ("zones", "parcels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """Files are paths of this machine; empty: none."""

    classes: tuple[ClassDef, ...] = ()
    """Other names and colours for the model's classes, by code."""
    zones: str = ""
    parcels: str = ""

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Extras":
        """From `--legend`, `--zones` and `--parcels`; a file that cannot be used is refused before any work."""
        legend = read_legend(arguments.legend) if arguments.legend else Legend((), {})
        files = {name: getattr(arguments, name, "") for name in _POLYGONS}
        for path in filter(None, files.values()):
            read_polygons(path)
        return cls(classes=legend.classes, **files)

    def named(self, classes: Sequence[ClassDef]) -> tuple[ClassDef, ...]:
        """The model's classes, with the names and colours of the user's legend."""
        given = {entry.code: entry for entry in self.classes}
        return tuple(given.get(entry.code, entry) for entry in classes)


def keep_extras(extras: Extras, job: str, store: Store) -> None:
    """Put them beside the plan of a job, in place of those that are there."""
    store.put_bytes(naming.legend_key(job), msgspec.json.encode(extras.classes))
    for name in _POLYGONS:
        path, key = getattr(extras, name), naming.polygons_key(job, name)
        if path:
            _put_polygons(path, key, store)
        else:
            store.delete(key)


def _put_polygons(path: str, key: str, store: Store) -> None:
    with tempfile.TemporaryDirectory(prefix="geocrop-extras-") as folder:
        file = Path(folder) / "polygons.parquet"
        read_polygons(path).to_parquet(file)
        store.put_file(key, file)


@contextlib.contextmanager
def kept_extras(job: str, store: Store) -> Iterator[Extras]:
    """What `keep_extras` put there, as files of this machine for as long as they are needed."""
    key = naming.legend_key(job)
    classes = msgspec.json.decode(store.get_bytes(key), type=tuple[ClassDef, ...]) if store.exists(key) else ()
    keys = {name: naming.polygons_key(job, name) for name in _POLYGONS}
    with contextlib.ExitStack() as stack:
        files = {
            name: str(stack.enter_context(store.local_path(key))) for name, key in keys.items() if store.exists(key)
        }
        yield Extras(classes=classes, **files)
