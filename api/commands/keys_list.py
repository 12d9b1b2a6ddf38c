"""`geocrop keys list`: all API keys, without their secrets."""

import argparse
import asyncio
import sys

from api.context import open_database
from api.database.access import KeyRow, list_keys
from api.settings import both_settings


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001
    """One line each."""
    for key in asyncio.run(_all()):
        state = "revoked" if key.revoked else "holds"
        fields = (key.id, key.owner, key.scopes, f"{key.created:%Y-%m-%d}", state, key.name)
        sys.stdout.write("  ".join(fields).rstrip() + "\n")
    return 0


async def _all() -> list[KeyRow]:
    database = open_database(*both_settings())
    await database.open()
    try:
        async with database.read() as connection:
            return await list_keys(connection)
    finally:
        await database.close()
