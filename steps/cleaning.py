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
    noted = _noted(store, {_place(key) for key in tiles}) if tiles else set[str]()
    planned = _planned(store, models) if models else set[str]()
    return planned | {key for key in tiles if not noted.isdisjoint((_place(key), _made(key)))}


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


def _noted(store: Store, places: Collection[str]) -> set[str]:
    """Of tiles in some places: names where somebody works, and `name/key` of what is done."""
    begun, done = set[tuple[str, str]](), dict[tuple[str, str], str]()
    for key in store.list(naming.PLANS):
        _, job, *rest = key.split("/")
        name = rest[-1].partition(".")[0]
        if rest[0] == "tiles" and name in places:
            if key.endswith(naming.BEGUN):
                begun.add((job, name))
            else:
                done[job, name] = key
    made = {_noted_content(store, name, key) for (_, name), key in done.items()}
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


def _planned(store: Store, models: Collection[str]) -> set[str]:
    """Of some models and what they were trained on, those that a plan names; all where a plan cannot be read."""
    found = set[str]()
    for key in store.list(naming.PLANS):
        if key == naming.plan_key(key.split("/")[1]):
            try:
                card = msgspec.json.decode(store.get_bytes(key), type=_Plan).card
            except msgspec.DecodeError:
                return set(models)
            found.add(naming.model_key(card.digest))
            if card.reference is not None:
                found.add(naming.points_key(card.reference.points_sha256))
    return found.intersection(models)
