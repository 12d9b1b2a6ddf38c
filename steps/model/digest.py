"""Content digests: the same value has the same digest on every machine."""

import hashlib
import json
import math
from typing import Any

import msgspec


def _canonical(value: Any) -> Any:
    """Builtins with floats spelt exactly, so that no formatter or locale can change a digest."""
    if isinstance(value, float):
        return _canonical_float(value)
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value


def _canonical_float(value: float) -> str | int:
    if not math.isfinite(value):
        raise ValueError(f"{value} has no canonical form: only finite numbers can be part of a key")
    return int(value) if value.is_integer() else value.hex()


def canonical_json(value: Any) -> bytes:
    """One spelling per value: keys sorted, floats as hexadecimal, whole floats as integers, ASCII only."""
    builtins = _canonical(msgspec.to_builtins(value))
    return json.dumps(builtins, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def digest(value: Any, length: int = 32) -> str:
    """Hex SHA-256 of the canonical JSON of a struct or of builtins, cut to `length` characters."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:length]
