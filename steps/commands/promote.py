"""`geocrop promote`: whether a challenger may replace the champion, and the file that says so."""

import argparse
import sys
from pathlib import Path

import msgspec

from steps.contest import Contender, compare
from steps.errors import DataError, ModelError, UsageError
from steps.model.promotion import Comparison, Promotion
from steps.model.registry import RegisteredModel
from steps.models import load_card
from steps.oof import OOF_FILE, load_oof
from steps.registry import CHALLENGER, CHAMPION, crown, fetch, find_version
from steps.settings import Settings, settings


def run(arguments: argparse.Namespace) -> int:
    """Compare, refuse what is worse, and pin what is not; `--check` and `--apply` do so for a file that pins."""
    path = arguments.check or arguments.apply
    if bool(path) == bool(arguments.name) or (arguments.check and arguments.apply):
        raise UsageError("NAME, --check and --apply", "give one of them")
    model, champion = _of_file(path) if path else _named(arguments.name, arguments.version)
    comparison = _contest(model, champion, settings())
    if path:
        return _settle(path, model, champion, apply=bool(arguments.apply))
    return _pin(Path(arguments.folder) / f"{model.name}.json", model, champion, comparison)


def _named(name: str, version: str) -> tuple[RegisteredModel, RegisteredModel | None]:
    """The version to promote, or the challenger, and the champion. Raises ModelError when there is no such version."""
    wanted = {"version": version} if version else {"alias": CHALLENGER}
    model = find_version(name, settings(), **wanted)
    if model is None:
        raise ModelError(f"model {name}/{version or CHALLENGER} is not registered", "see `geocrop models`")
    return model, find_version(name, settings(), alias=CHAMPION)


def _of_file(path: str) -> tuple[RegisteredModel, RegisteredModel | None]:
    """Raises ModelError when the registry has another model under the version that a file pins."""
    pin = _read(Path(path))
    model, champion = _named(pin.name, pin.version)
    if model.digest != pin.digest:
        raise ModelError(f"{path} pins digest {pin.digest}, the registry has {model.digest}", "promote it again")
    return model, champion


def _read(path: Path) -> Promotion:
    """A pin. Raises UsageError for a file that cannot be read, DataError for what it holds."""
    remedy = "give a file that `geocrop promote` wrote"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Promotion)
    except msgspec.DecodeError as error:
        raise DataError(f"{path} is no promotion: {error}", remedy) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', error)}", remedy) from error


def _contest(model: RegisteredModel, champion: RegisteredModel | None, settings: Settings) -> Comparison | None:
    """Say how they compare. Raises ModelError with the reasons when the model is worse, unless it was just replaced."""
    if champion is None or champion.version == model.version:
        return None
    if champion.former == model.version:
        sys.stdout.write(f"{model.name}/{model.version} was the champion before: going back is always allowed\n")
        return None
    challenger = _contender(model, settings)
    if not (fetch(champion, settings) / OOF_FILE).exists():
        sys.stdout.write(
            f"{champion.name}/{champion.version} was never measured on what it had not seen: any that was may follow\n"
        )
        return None
    found = compare(_contender(champion, settings), challenger)
    _say(found, champion, model)
    if found.reasons:
        raise ModelError(
            f"{model.name}/{model.version} does not replace {champion.name}/{champion.version}: "
            + "; ".join(found.reasons),
            "keep the champion, or train a better challenger on the same labels",
        )
    return found


def _contender(model: RegisteredModel, settings: Settings) -> Contender:
    folder = fetch(model, settings)
    return Contender(load_card(str(folder)), load_oof(folder / OOF_FILE))


def _say(found: Comparison, champion: RegisteredModel, model: RegisteredModel) -> None:
    write = sys.stdout.write
    moved = f"; {found.left_out} more, held out in others, are left out" if found.left_out else ""
    write(f"{model.name}/{model.version} against {champion.name}/{champion.version}: {found.samples} samples in "
          f"{found.units} units, identical folds ({found.split}){moved}\n")  # fmt: skip
    for one in found.differences:
        write(f"  {one.measure:<28} {one.challenger:.3f} against {one.champion:.3f}  {one.difference:+.3f}"
              f"  (95 %: {one.low:+.3f} to {one.high:+.3f})\n")  # fmt: skip


def _settle(path: str, model: RegisteredModel, champion: RegisteredModel | None, *, apply: bool) -> int:
    text = f"{model.name}/{model.version}"
    if champion is not None and champion.version == model.version:
        sys.stdout.write(f"{text} is the champion\n")
    elif apply:
        crown(model, champion, settings())
        sys.stdout.write(f"{text} is the champion now\n")
    else:
        sys.stdout.write(f"{text} may become the champion: merge {path}\n")
    return 0


def _pins(path: Path, model: RegisteredModel) -> bool:
    """Whether a file is there and says so."""
    pin = _read(path) if path.exists() else None
    return pin is not None and (pin.version, pin.digest) == (model.version, model.digest)


def _pin(path: Path, model: RegisteredModel, champion: RegisteredModel | None, comparison: Comparison | None) -> int:
    """Write the file; the same promotion gives the same bytes."""
    is_champion = champion is not None and champion.version == model.version
    over = model.former if is_champion or champion is None else champion.version
    if is_champion and _pins(path, model):
        sys.stdout.write(f"{path} pins the champion {model.name}/{model.version} already\n")
        return 0
    pin = Promotion(name=model.name, version=model.version, digest=model.digest, over=over, comparison=comparison)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(pin), indent=2) + b"\n")
    sys.stdout.write(f"{model.name}/{model.version} is pinned in {path}\n")
    if not is_champion:
        sys.stdout.write(f"  commit it; `geocrop promote --apply {path}` makes it {model.name}@{CHAMPION}\n")
    return 0
