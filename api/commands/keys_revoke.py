"""`geocrop keys revoke`: an API key opens nothing any more."""

import argparse
import asyncio

from api.clock import now
from api.context import open_database
from api.database.access import revoke_key
from api.settings import both_settings
from steps.errors import UsageError


def run(arguments: argparse.Namespace) -> int:
    """By its id, as `geocrop keys list` has it."""
    if not asyncio.run(_revoke(arguments.key)):
        raise UsageError(f"there is no key {arguments.key} that holds", "see `geocrop keys list`")
    return 0


async def _revoke(key: str) -> bool:
    database = open_database(*both_settings())
    await database.open()
    try:
        async with database.write() as connection:
            return await revoke_key(connection, key, now())
    finally:
        await database.close()
