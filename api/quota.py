"""What one owner's keys may have queued and running together: jobs, area, tiles; told in headers, kept by a 429."""

from collections.abc import Iterator

from litestar.datastructures import ResponseHeader

from api.context import Context
from api.database.driver import Connection
from api.database.jobs import Use, active_use, take_turn
from api.problems import ProblemError
from api.settings import ApiSettings

_RETRY_SECONDS = 60


async def quota_headers(context: Context, owner: str) -> dict[str, str]:
    """How much there may be of each, and how much of it is left."""
    async with context.database.read() as connection:
        return _headers(context.settings, await active_use(connection, owner))


async def check_quota(connection: Connection, settings: ApiSettings, owner: str, more: Use) -> None:
    """Raises a 429 where some more does not fit beside what is queued and running; others wait for this transaction."""
    await take_turn(connection, owner)
    use = await active_use(connection, owner)
    for name, limit, used, added in _quotas(settings, use, more):
        if used + added > limit:
            raise ProblemError(
                429,
                f"{used:,} {name} are queued or running; with {added:,} more they are over {limit:,}",
                "wait for a job to end, or cancel one",
                headers={"Retry-After": str(_RETRY_SECONDS), **_headers(settings, use)},
            )


def _quotas(settings: ApiSettings, use: Use, more: Use) -> Iterator[tuple[str, int, int, int]]:
    """Name, limit, used and added; areas in whole km2."""
    yield "jobs", settings.max_active_jobs, use.jobs, more.jobs
    yield "tiles", settings.max_active_tiles, use.tiles, more.tiles
    yield "km2", int(settings.max_active_km2), round(use.km2), round(more.km2)


def _headers(settings: ApiSettings, use: Use) -> dict[str, str]:
    told = {}
    for name, limit, used, _ in _quotas(settings, use, Use()):
        told[f"X-Quota-{name.capitalize()}-Limit"] = str(limit)
        told[f"X-Quota-{name.capitalize()}-Remaining"] = str(max(0, limit - used))
    return told


def _documented(name: str, description: str) -> ResponseHeader:
    return ResponseHeader(name=name, value="20", description=description, documentation_only=True)


RATE = [
    _documented("RateLimit-Limit", "Requests of one owner in a minute; on answers to whoever is known"),
    _documented("RateLimit-Remaining", "How many of them are left"),
    _documented("RateLimit-Reset", "Seconds until all of them are there again, at most"),
]
QUOTA = [
    one
    for name, what in (("Jobs", "Jobs"), ("Tiles", "Tiles"), ("Km2", "Square kilometres"))
    for one in (
        _documented(f"X-Quota-{name}-Limit", f"{what} that one owner may have queued and running together"),
        _documented(f"X-Quota-{name}-Remaining", "How many of them are left"),
    )
]
"""For OpenAPI."""
