"""Feature specs as files that people write: JSON or TOML, whole or in part."""

import json
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from steps.errors import DataError, UsageError
from steps.model.spec import FeatureSpec, standard_spec

_CARD = "card.json"
_SEE = "see docs/reference/feature-spec.md"


def read_fields(path: str) -> Mapping[str, Any]:
    """The fields that a spec file gives; of a model's folder or card, those of its spec.

    Raises UsageError for a file that cannot be read, DataError for one that is no JSON or TOML, or has a field that a
    spec does not have.
    """
    file = Path(path) / _CARD if Path(path).is_dir() else Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"feature spec {path} cannot be read: {error}", "give a JSON or TOML file") from None
    fields = _parsed(text, file)
    fields = fields["spec"] if isinstance(fields.get("spec"), dict) else fields
    if unknown := sorted({*fields} - {*FeatureSpec.__struct_fields__}):
        raise DataError(f"feature spec {path} has no field {unknown[0]}", _SEE)
    return fields


def _parsed(text: str, file: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(text) if file.suffix.lower() == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"feature spec {file} is not what its name says: {error}", "give JSON or TOML") from None
    if not isinstance(found, dict):
        raise DataError(f"feature spec {file} holds no fields", _SEE)
    return found


def spec_with(fields: Mapping[str, Any], bands: Collection[str], season_days: int, path: str = "") -> FeatureSpec:
    """The standard spec of some bands with the fields given in place of its own. Raises DataError when they misfit."""
    try:
        return msgspec.convert({**_standard(bands), "season_days": season_days, **fields}, FeatureSpec)
    except msgspec.ValidationError as error:
        raise DataError(f"feature spec {path} does not fit: {error}", _SEE) from None


def _standard(bands: Collection[str]) -> dict[str, Any]:
    """The fields of the standard spec; of bands that it has no use for, none."""
    try:
        found: dict[str, Any] = msgspec.to_builtins(standard_spec(bands))
    except (ValueError, TypeError):
        return {}
    return found
