"""The time, in one place."""

import datetime as dt


def now() -> dt.datetime:
    """Aware, UTC."""
    return dt.datetime.now(dt.UTC)
