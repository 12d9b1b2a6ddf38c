"""The registry: names, versions and aliases of models, in MLflow.

A version is made last, when its files are there: there is none without them. What is downloaded is kept in
`models/DIGEST/NAME-VERSION` of the home, and used only when it has the digests that the registry has for it. No pickle
is ever loaded: a model's file is JSON, its arrays are plain NumPy.
"""

import contextlib
import datetime as dt
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from steps.card_page import summary
from steps.errors import ModelError
from steps.mlflow_client import absent_is_fine, connect, is_unmade
from steps.model.card import ModelCard
from steps.model.job import ModelRef
from steps.model.registry import RegisteredModel
from steps.models import CARD_FILE, folder_digest, load_card, load_evaluation, load_model
from steps.outbox import DRIFT, flush_outbox
from steps.settings import Settings
from steps.tracking import headline_of, logged_run, provenance, training_facts

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_PATH = "model"
"""Where the files of a model lie among those of its run."""
_NAME = re.compile(r"(models:/)?(?P<name>[a-z0-9-]+)(@(?P<alias>[\w-]+)|/(?P<version>\d+))?", re.IGNORECASE)
_PAGE = 200


def log_and_register(folder: Path, settings: Settings, *, alias: str | None = CHALLENGER) -> ModelRef:
    """Log a model's training and give its folder the next version of its name, under an alias.

    The first model of a name is its champion instead. A folder whose very files are registered under the name keeps
    its version: what was interrupted is finished by doing it again. Raises ModelError when the folder does not hold
    what its card says, TryAgainError when the registry is away: then there is no new version, and the run, if any,
    says FAILED.
    """
    card = load_card(str(folder))
    load_model(str(folder), card)
    files = folder_digest(folder)
    with connect(settings) as client:
        ref = _same_files(client, card.name, files)
        if ref is None:
            ref = _add(client, card, folder, files, settings, alias)
        else:
            _set_alias(client, card.name, ref.version, alias)
    flush_outbox(settings)
    return ref


def _same_files(client: Any, name: str, files: str) -> ModelRef | None:
    """The newest version of a name that was made of a folder's very files."""
    return next((one.ref for one in reversed(_versions(client, name)) if one.files == files), None)


def _add(client: Any, card: ModelCard, folder: Path, files: str, settings: Settings, alias: str | None) -> ModelRef:
    """Its alias is part of a version: without it, there is none."""
    facts = training_facts(card, load_evaluation(folder).get("choice", {}))
    with logged_run(client, facts, settings) as run:
        client.log_artifacts(run.info.run_id, str(folder), MODEL_PATH)
        with _taken_back(client, card.name, run):
            made = _add_version(client, card, run, files)
            _set_alias(client, card.name, str(made.version), alias)
    return _registered(made, ()).ref


@contextlib.contextmanager
def _taken_back(client: Any, name: str, run: Any) -> Iterator[None]:
    """What fails within leaves no version of a run, nor a name without versions, unless the registry went away."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            for one in _versions(client, name):
                if one.run == run.info.run_id:
                    client.delete_model_version(name, one.version)
            if not _versions(client, name):
                client.delete_registered_model(name)
        raise


def _add_version(client: Any, card: ModelCard, run: Any, files: str) -> Any:
    with absent_is_fine("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(card.name)
    source, tags = f"{run.info.artifact_uri}/{MODEL_PATH}", {**_version_tags(card), "files": files}
    return client.create_model_version(card.name, source, run.info.run_id, tags, description=summary(card))


def _version_tags(card: ModelCard) -> dict[str, str]:
    split, headline = headline_of(card)
    scores = {"overall": headline.get("overall accuracy"), "balanced": headline.get("balanced accuracy")}
    found = {**provenance(card), "split": split, **{name: str(score) for name, score in scores.items() if score}}
    return {name: value for name, value in found.items() if value}


def _set_alias(client: Any, name: str, version: str, alias: str | None) -> None:
    wanted = alias if CHAMPION in client.get_registered_model(name).aliases else CHAMPION
    if wanted:
        client.set_registered_model_alias(name, wanted, version)


def list_models(settings: Settings) -> list[RegisteredModel]:
    """Every version of every model: by name, the oldest first."""
    with connect(settings) as client:
        names = _paged(lambda token: client.search_registered_models(max_results=_PAGE, page_token=token))
        found = [one for model in names for one in _versions(client, model.name)]
    flush_outbox(settings)
    return found


def _paged(search: Callable[[str | None], Any]) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = search(token)
        yield from page
        if not (token := page.token):
            return


def _versions(client: Any, name: str) -> list[RegisteredModel]:
    """The oldest first."""
    wanted = f"name = '{name}'"
    found = _paged(lambda token: client.search_model_versions(wanted, max_results=_PAGE, page_token=token))
    aliases = _aliases(client, name)
    return sorted((_registered(one, aliases) for one in found), key=lambda one: int(one.version))


def _version(client: Any, name: str, number: str | None) -> list[RegisteredModel]:
    """One, or none."""
    found: list[RegisteredModel] = []
    if number is not None:
        with absent_is_fine("INVALID_PARAMETER_VALUE"):  # a number that no database holds
            found.append(_registered(client.get_model_version(name, number), _aliases(client, name)))
    return found


def _aliases(client: Any, name: str) -> tuple[tuple[str, str], ...]:
    """Alias and version; none for a name that is not registered."""
    found: dict[str, Any] = {}
    with absent_is_fine():
        found = client.get_registered_model(name).aliases
    return tuple(sorted((alias, str(number)) for alias, number in found.items()))


def _registered(found: Any, aliases: tuple[tuple[str, str], ...]) -> RegisteredModel:
    tags, number = found.tags, str(found.version)
    day = dt.datetime.fromtimestamp(found.creation_timestamp / 1000, dt.UTC).date()
    return RegisteredModel(
        name=found.name,
        version=number,
        digest=tags.get("digest", ""),
        files=tags.get("files", ""),
        aliases=tuple(alias for alias, version in aliases if version == number),
        overall=_number(tags.get("overall")),
        balanced=_number(tags.get("balanced")),
        split=tags.get("split", ""),
        when=day.isoformat(),
        drift=tags.get(DRIFT, ""),
        former=tags.get("former", ""),
        run=found.run_id or "",
    )


def _number(text: str | None) -> float | None:
    with contextlib.suppress(TypeError, ValueError):
        return float(text or "")
    return None


def resolve(text: str, settings: Settings) -> tuple[ModelRef, ModelCard]:
    """A model as a user names it, pinned: a folder, or NAME (the newest), NAME@alias or NAME/version of the registry.

    `models:/` may stand before a name; a folder of that name comes first when it does not. Raises ModelError when there
    is no such model, TryAgainError when the registry is away.
    """
    if (Path(text) / CARD_FILE).exists():
        card = load_card(text)
        return ModelRef(name=card.name, version=card.version, digest=card.digest, href=str(Path(text).resolve())), card
    name = _NAME.fullmatch(text)
    if name is None or Path(text).is_dir():
        raise ModelError(f"{text} is no model", f"give a folder with a {CARD_FILE}, or NAME, NAME/version, NAME@alias")
    found = find_version(name["name"], settings, version=name["version"], alias=name["alias"])
    if found is None:
        raise ModelError(f"model {text} is neither a folder nor registered", "see `geocrop models`")
    card = msgspec.structs.replace(load_card(str(fetch(found, settings))), version=found.version)
    flush_outbox(settings)
    return found.ref, card


def find_version(
    name: str, settings: Settings, *, version: str | None = None, alias: str | None = None
) -> RegisteredModel | None:
    """A version by its number or an alias, or the newest of the name; None when there is none."""
    with connect(settings) as client:
        if version is None and alias is None:
            found = _versions(client, name)
        else:
            found = _version(client, name, version or dict(_aliases(client, name)).get(alias or ""))
    return next(reversed(found), None)


def find_champion(name: str, settings: Settings) -> tuple[RegisteredModel, Path] | None:
    """The champion of a name and its files; None where there is none, or none that GeoCrop can use.

    Raises TryAgainError when the registry is away.
    """
    if is_unmade(settings):
        return None
    with contextlib.suppress(ModelError):
        if found := find_version(name, settings, alias=CHAMPION):
            return found, fetch(found, settings)
    return None


@dataclass(frozen=True, slots=True)
class PinnedModel:
    """A model whose bytes are the ones that were pinned."""

    card: ModelCard
    model_bytes: bytes
    folder: Path
    """On this machine."""


def pinned(ref: ModelRef, settings: Settings) -> PinnedModel:
    """A pinned model, from its folder or the registry.

    Raises ModelError when it is another one than was pinned, TryAgainError when the registry is away.
    """
    folder = model_folder(ref, settings)
    card = msgspec.structs.replace(load_card(str(folder)), version=ref.version)
    if card.digest != ref.digest:
        raise ModelError(f"model {ref.href} has digest {card.digest}, not {ref.digest}", "ask for the map again")
    return PinnedModel(card, load_model(str(folder), card), folder)


def model_folder(ref: ModelRef, settings: Settings) -> Path:
    """Where a pinned model's files are on this machine; downloaded when they are not yet."""
    name = _NAME.fullmatch(ref.href)
    if name is None or not ref.href.startswith("models:/"):
        return Path(ref.href)
    kept = _cached(ref, settings)
    if _is_whole(kept, ref.digest):
        return kept
    found = find_version(ref.name, settings, version=ref.version)
    if found is None:
        raise ModelError(f"model {ref.href} is not registered", "see `geocrop models`")
    return fetch(found, settings)


def fetch(model: RegisteredModel, settings: Settings) -> Path:
    """The folder of a version on this machine. Raises ModelError when its files have not the digests that it has."""
    kept = _cached(model.ref, settings)
    if not (model.digest and model.run):
        raise ModelError(f"{model.ref.href} was not registered by GeoCrop", "use `geocrop train`")
    if not _is_whole(kept, model.digest, model.files):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".geocrop-model-", dir=kept.parent) as scratch:
            _keep(_download(model, Path(scratch), settings), kept)
    return kept


def _cached(ref: ModelRef, settings: Settings) -> Path:
    return settings.home / "models" / (ref.digest or "unknown") / f"{ref.name}-{ref.version}"


def _is_whole(folder: Path, model_digest: str, files: str = "") -> bool:
    """Whether a folder holds a model of this digest and its very bytes; with `files`, all its files as registered."""
    try:
        card = load_card(str(folder))
        load_model(str(folder), card)
        return card.digest == model_digest and files in {"", folder_digest(folder)}
    except ModelError:
        return False


def _download(model: RegisteredModel, scratch: Path, settings: Settings) -> Path:
    with connect(settings) as client:
        folder = Path(client.download_artifacts(model.run, MODEL_PATH, str(scratch)))
    if not _is_whole(folder, model.digest, model.files):
        load_card(str(folder))  # what this code cannot use says so itself
        raise ModelError(f"the files of {model.ref.href} are not the ones registered", "train the model again")
    return folder


def _keep(folder: Path, kept: Path) -> None:
    """Move a whole folder to its place. Another process may have been faster; what was damaged is replaced."""
    if kept.exists():
        shutil.rmtree(kept)
    with contextlib.suppress(FileExistsError):
        folder.rename(kept)


def crown(model: RegisteredModel, former: RegisteredModel | None, settings: Settings) -> None:
    """Make a version its name's champion; it remembers over whom."""
    with connect(settings) as client:
        if former is not None:
            client.set_model_version_tag(model.name, model.version, "former", former.version)
        client.set_registered_model_alias(model.name, CHAMPION, model.version)
