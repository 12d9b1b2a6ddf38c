"""Lines of the log that steps write."""

from typing import Any

import msgspec

from api.schemas import LogLine


def log_line(text: str | bytes) -> LogLine | None:
    """What a JSON line says; None for any other, as executors have."""
    try:
        fields = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return None
    return LogLine(
        time=str(fields.pop("timestamp", "")),
        level=str(fields.pop("level", "info")),
        event=str(fields.pop("event", "")),
        tile=str(fields.pop("tile", "")),
        fields=fields,
    )
