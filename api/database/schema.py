"""The schema, as one list of statements per version, for both databases.

`{number}` is a key that counts, `{time}` a point in time. A released version never changes: add another.
"""

from typing import Literal

Dialect = Literal["sqlite", "postgis"]
_TYPES = {
    "sqlite": {"number": "integer primary key autoincrement", "time": "text", "real": "real"},
    "postgis": {
        "number": "bigint generated always as identity primary key",
        "time": "timestamptz",
        "real": "double precision",
    },
}

_JOBS = """create table jobs (
    n {number}, id text not null unique, owner text not null, name text not null, phase text not null,
    wanted text not null, origin text not null, attempt integer not null, work text not null unique,
    uid text not null, season_start text, season_end text, model_name text not null, model_version text not null,
    model_digest text not null, catalog text not null, collection text not null, area_km2 {real} not null,
    west {real}, south {real}, east {real}, north {real},
    total integer not null, running integer not null, succeeded integer not null, failed integer not null,
    href text not null, error text not null, submission text, fingerprint text not null, seq integer not null,
    created {time} not null, started {time}, finished {time}, updated {time} not null
)"""
_FIRST = (
    _JOBS,
    "create unique index jobs_by_submission on jobs (owner, submission)",
    "create index jobs_by_owner on jobs (owner, n)",
    "create index jobs_by_phase on jobs (phase, n)",
    "create table requests (job text primary key references jobs (id) on delete cascade, body text not null)",
    """create table tiles (
        job text not null references jobs (id) on delete cascade, tile text not null, phase text not null,
        reason text not null, seconds {real} not null, outline text not null, primary key (job, tile)
    )""",
    """create table events (
        job text not null references jobs (id) on delete cascade, seq integer not null, kind text not null,
        body text not null, made {time} not null, primary key (job, seq)
    )""",
    """create table quotes (
        id text primary key, owner text not null, request text not null, body text not null,
        created {time} not null, expires {time} not null
    )""",
    """create table aois (
        n {number}, id text not null unique, owner text not null, name text not null, body text not null,
        area_km2 {real} not null, west {real} not null, south {real} not null, east {real} not null,
        north {real} not null, created {time} not null
    )""",
    "create index aois_by_owner on aois (owner, n)",
    """create table keys (
        id text primary key, owner text not null, name text not null, scopes text not null, hash text not null,
        created {time} not null, revoked {time}
    )""",
    """create table sessions (
        hash text primary key, owner text not null, scopes text not null, csrf text not null,
        created {time} not null, expires {time} not null
    )""",
    "create table leases (name text primary key, holder text not null, until {time} not null)",
)
_SECOND = (
    """create table links (
        id text primary key, job text not null references jobs (id) on delete cascade, owner text not null,
        hash text not null unique, created {time} not null, expires {time} not null
    )""",
    "create index links_by_job on links (job)",
    """create table items (
        job text primary key references jobs (id) on delete cascade, body text not null, published {time} not null
    )""",
    """create table objects (
        job text not null references jobs (id) on delete cascade, key text not null, primary key (key, job)
    )""",
    "create index objects_by_job on objects (job)",
    "create table orphans (key text primary key)",
)
_THIRD = ("create index jobs_by_wanted on jobs (wanted) where wanted <> 'run'",)
_FOURTH = (
    """create table sign_ins (
        n {number}, made {time} not null, owner text not null, address text not null, error text not null
    )""",
)
_FIFTH = (
    "alter table jobs add column ordered integer not null default 0",
    "create table owners (owner text primary key)",
)
_VERSIONS = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH)
_PLACES: dict[str, tuple[tuple[str, ...], ...]] = {
    "sqlite": (
        (
            "create virtual table jobs_box using rtree (n, west, east, south, north)",
            "create virtual table aois_box using rtree (n, west, east, south, north)",
            "create trigger jobs_unplaced after delete on jobs begin delete from jobs_box where n = old.n; end",
            "create trigger aois_unplaced after delete on aois begin delete from aois_box where n = old.n; end",
        ),
        (),
        (),
        (),
        (),
    ),
    "postgis": (
        (
            "alter table jobs add column shape geometry (Geometry, 4326)",
            "alter table aois add column shape geometry (Geometry, 4326)",
            "create index jobs_by_shape on jobs using gist (shape)",
            "create index aois_by_shape on aois using gist (shape)",
        ),
        (),
        (),
        (),
        (),
    ),
}


def migrations(dialect: Dialect) -> list[tuple[str, ...]]:
    """Statements by version, the first version first."""
    common = [tuple(text.format_map(_TYPES[dialect]) for text in version) for version in _VERSIONS]
    return [mine + theirs for mine, theirs in zip(common, _PLACES[dialect], strict=True)]
