"""What of a store can go: shared objects that no job refers to, and what workflows left behind."""

import datetime as dt
from collections.abc import Collection, Iterator

import msgspec

from steps import naming
from steps.model.card import ModelCard
from steps.store import MissingObject, Store

WORKFLOWS = "workflows/"
"""Where workflows keep their own files: parts of plans, logs."""


def removable(store: Store, before: dt.datetime) -> Iterator[str]:
    """Keys of tiles and of workflows' files that were written before a time, and of tiles only those not `held`.

    Maps, plans, models and baselines always stay.
    """
    old = [entry.key for entry in store.entries("tiles/") if entry.modified < before]
    kept = held(store, old)
    yield from (key for key in old if key not in kept)
    yield from (entry.key for entry in store.entries(WORKFLOWS) if entry.modified < before)


def held(store: Store, keys: Collection[str]) -> set[str]:
    """Those of these shared objects that a job of the store refers to, running or kept, whoever started it.

    A job notes each tile that it uses, also those that it finds in the store. While somebody works on a tile, all that
    lies in its place is held.
    """
    tiles = [key for key in keys if key.startswith("tiles/")]
    models = [key for key in keys if key.startswith("models/")]
    notes, plans = _of_jobs(store, {_place(key) for key in tiles}) if tiles or models else ([], [])
    noted = _noted(store, notes)
    planned = _planned(store, plans, models) if models else set[str]()
    return planned | {key for key in tiles if not noted.isdisjoint((_place(key), _made(key)))}


def _of_jobs(store: Store, places: Collection[str]) -> tuple[list[str], list[str]]:
    """Keys of the notes on tiles in some places, and of all plans."""
    notes, plans = [], []
    for key in store.list(naming.PLANS):
        _, job, *rest = key.split("/")
        if rest[0] == "tiles" and _noted_place(key) in places:
            notes.append(key)
        elif key == naming.plan_key(job):
            plans.append(key)
    return notes, plans


def _noted_place(note: str) -> str:
    return note.rpartition("/")[2].partition(".")[0]


def _place(key: str) -> str:
    """The tile's name in `tiles/{grid}/{name}/...`."""
    return key.split("/")[2]


def _made(key: str) -> str:
    """The tile's name, and the key of its content."""
    name, file = key.split("/")[2:4]
    return f"{name}/{file.partition('.')[0]}"


class _Note(msgspec.Struct, frozen=True):
    """Of what became of a tile; a failed one has no key."""

    key: str = ""


def _noted(store: Store, notes: Collection[str]) -> set[str]:
    """What notes are of: names of tiles that somebody works on, and `name/key` of what is done."""
    begun, done = set[tuple[str, str]](), dict[tuple[str, str], str]()
    for note in notes:
        tile = note.split("/")[1], _noted_place(note)
        if note.endswith(naming.BEGUN):
            begun.add(tile)
        else:
            done[tile] = note
    made = {_noted_content(store, name, note) for (_, name), note in done.items()}
    return made | {name for _, name in begun - done.keys()}


def _noted_content(store: Store, name: str, note: str) -> str:
    """A note that cannot be read may be of anything in its place."""
    try:
        return f"{name}/{msgspec.json.decode(store.get_bytes(note), type=_Note).key}"
    except (MissingObject, msgspec.DecodeError):
        return name


class _Plan(msgspec.Struct, frozen=True):
    """The part of a plan that is needed here."""

    card: ModelCard


def _planned(store: Store, plans: Collection[str], models: Collection[str]) -> set[str]:
    """Of some models and what they were trained on, those that a plan names; all where a plan cannot be read."""
    found = set[str]()
    for key in plans:
        try:
            card = msgspec.json.decode(store.get_bytes(key), type=_Plan).card
        except msgspec.DecodeError:
            return set(models)
        found.add(naming.model_key(card.digest))
        if card.reference is not None:
            found.add(naming.points_key(card.reference.points_sha256))
    return found.intersection(models)
