"""Random secrets, what is kept of them, and signed addresses. Standard library only."""

import base64
import hashlib
import hmac
import secrets

KEY_PREFIX = "gck"


def new_secret(size: int = 32) -> str:
    """Random, safe in URLs."""
    return secrets.token_urlsafe(size)


def new_id(size: int = 6) -> str:
    """Random hex digits, twice as many as `size`."""
    return secrets.token_hex(size)


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def signature(secret: str, *parts: str) -> str:
    """Over some parts, in order."""
    made = hmac.digest(secret.encode(), "\n".join(parts).encode(), "sha256")
    return base64.urlsafe_b64encode(made[:24]).decode()


def split_key(text: str) -> tuple[str, str] | None:
    """Id and secret of an API key as its owner has it; None where it is none."""
    prefix, _, rest = text.partition("_")
    name, _, secret = rest.partition("_")
    return (name, secret) if prefix == KEY_PREFIX and name and secret else None
