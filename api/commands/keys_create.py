"""`geocrop keys create`: an API key, told once."""

import argparse
import asyncio
import sys

from api.clock import now
from api.context import open_database
from api.database.access import KeyRow, insert_key
from api.secrets import KEY_PREFIX, digest_of, new_id, new_secret
from api.settings import both_settings
from steps.errors import UsageError

_SCOPES = ("read", "submit", "admin")


def run(arguments: argparse.Namespace) -> int:
    """Only a hash of it is kept."""
    scopes = tuple(arguments.scopes.split(","))
    if unknown := set(scopes) - set(_SCOPES):
        raise UsageError(f"there is no scope {min(unknown)!r}", f"scopes are {', '.join(_SCOPES)}")
    sys.stdout.write(asyncio.run(create(arguments.owner, arguments.name, scopes)) + "\n")
    return 0


async def create(owner: str, name: str, scopes: tuple[str, ...]) -> str:
    """The key, as its owner will send it."""
    database = open_database(*both_settings())
    secret, key = new_secret(), new_id()
    row = KeyRow(id=key, owner=owner, name=name, scopes=" ".join(scopes), hash=digest_of(secret), created=now())
    await database.open()
    try:
        async with database.write() as connection:
            await insert_key(connection, row)
    finally:
        await database.close()
    return f"{KEY_PREFIX}_{key}_{secret}"
