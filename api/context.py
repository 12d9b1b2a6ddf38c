"""All that handlers and background tasks share, made once per process."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from api.budget import Budget
from api.clerk import Clerk
from api.database.driver import Database
from api.database.sqlite import SqliteDatabase
from api.engines.protocol import Engine
from api.hub import Hub
from api.keyring import Keyring
from api.limits import Limiter
from api.oidc import Oidc
from api.secrets import new_secret
from api.settings import ApiSettings
from steps.settings import Settings
from steps.store import Store, open_store


@dataclass(slots=True, kw_only=True)
class Context:
    """What one process of the API works with."""

    settings: ApiSettings
    shared: Settings
    database: Database
    engine: Engine
    store: Store
    store_url: str
    budget: Budget
    hub: Hub
    limiter: Limiter
    oidc: Oidc | None
    tiler_secret: str
    keyring: Keyring = field(default_factory=Keyring)
    desk: Clerk = field(default_factory=Clerk)
    """Answers what is quick, in little memory."""
    planner: Clerk = field(default_factory=lambda: Clerk(patience=600.0, idle_seconds=60.0))
    """Knows models and makes quotes, which may take minutes; the one process of the API that is large."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the reconciler has something to do at once."""


def make_context(settings: ApiSettings, shared: Settings) -> Context:
    """As the settings say; opens nothing."""
    database = open_database(settings, shared)
    store_url = settings.store_url(shared.home)
    store = open_store(store_url, shared)
    return Context(
        settings=settings,
        shared=shared,
        database=database,
        engine=open_engine(settings, shared),
        store=store,
        store_url=store_url,
        budget=Budget(store, store_url, settings),
        hub=Hub(database),
        limiter=Limiter(settings),
        oidc=Oidc(settings) if settings.oidc_issuer else None,
        tiler_secret=settings.tiler_secret or new_secret(),
    )


def open_database(settings: ApiSettings, shared: Settings) -> Database:
    """PostGIS where an address is given, else a file under the home folder."""
    if settings.database:
        from api.database.postgis import PostgisDatabase  # noqa: PLC0415 - the embedded default needs no psycopg

        return PostgisDatabase(settings.database)
    return SqliteDatabase(shared.home / "api.db")


def open_engine(settings: ApiSettings, shared: Settings) -> Engine:
    """Argo, or this machine."""
    if settings.engine == "argo":
        from api.engines.argo import ArgoEngine  # noqa: PLC0415 - the embedded default needs no Kubernetes

        store = settings.store_url(shared.home)
        return ArgoEngine(settings.argo_namespace, settings.argo_template, shared, store_url=store)
    from api.engines.local import LocalEngine  # noqa: PLC0415

    return LocalEngine(Path(shared.home) / "engine", settings.local_jobs)
