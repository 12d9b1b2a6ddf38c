"""Structured logging on standard error: an event name plus fields, never prose."""

import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from steps.settings import Settings

_SECRET_FIELDS = re.compile(r"secret|password|token|access_key|authorization", re.IGNORECASE)
_SIGNATURE = re.compile(r"([?&](?:sig|se|sp|sv|sr|st|skoid|X-Amz-[A-Za-z-]+|AWSAccessKeyId|Signature)=)[^&\s'\"]+")
_HIDDEN = "***"


def configure(settings: Settings) -> None:
    """Console lines for people, JSON lines for machines; secrets and signatures are blanked in both."""
    renderer: Any = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    if settings.log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            hide_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20 if settings.log_format == "json" else 30),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank fields with secret names, and signed parts of URLs in all others."""
    return {name: _HIDDEN if _SECRET_FIELDS.search(name) else _unsigned(value) for name, value in event.items()}


def _unsigned(value: Any) -> Any:
    return _SIGNATURE.sub(rf"\1{_HIDDEN}", value) if isinstance(value, str) else value
