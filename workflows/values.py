"""`values.toml`, read once."""

import functools
import tomllib
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("values.toml")


@functools.cache
def _values() -> dict[str, dict[str, Any]]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def text(table: str, name: str) -> str:
    """A value as text. Raises KeyError for one that is not there."""
    return str(_values()[table][name])


def number(table: str, name: str) -> int:
    """A value that is a whole number."""
    return int(_values()[table][name])
