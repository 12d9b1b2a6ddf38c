"""Structured logging on standard error: an event name plus fields, never prose."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

from steps.settings import Settings

_SECRET_FIELDS = re.compile(r"secret|password|token|access_key|authorization|credential", re.IGNORECASE)
_SIGNATURE = re.compile(
    r"(?i)\b((?:sig|se|sp|sv|sr|st|ske|sks|skt|skv|skoid|sktid|x-amz-[a-z-]+|x-goog-[a-z-]+|awsaccesskeyid|signature"
    r"|expires|key-pair-id|policy|token|access_token|api_key|apikey|subscription-key)=)[^&\s'\"<>]+"
)
_USERINFO = re.compile(r"(\w://[^/\s:@]*:)[^/\s@]+(@)")
_HIDDEN = "***"
_CONSOLE_LEVEL, _JSON_LEVEL = logging.WARNING, logging.INFO


def configure(settings: Settings, default: Literal["console", "json"] = "console") -> None:
    """Console lines for people, from warnings on; JSON lines for machines, all of them.

    Secrets and signatures are blanked in both. What libraries log or warn of comes the same way, from warnings on. The
    default holds where the settings do not say.
    """
    as_json = (settings.log_format or default) == "json"
    renderers = _json() if as_json else _console()
    structlog.configure(
        processors=[structlog.processors.add_log_level, *_SHARED, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(_JSON_LEVEL if as_json else _CONSOLE_LEVEL),
        logger_factory=lambda *_names: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _take_over_libraries(renderers)


def is_json() -> bool:
    """Whether standard error is read by machines."""
    return isinstance(structlog.get_config()["processors"][-1], structlog.processors.JSONRenderer)


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank fields with secret names, and signed parts of URLs in all others, however deep."""
    return {name: _hidden(name, value) for name, value in event.items()}


def _hidden(name: str, value: Any) -> Any:
    if _SECRET_FIELDS.search(name):
        return _HIDDEN
    if isinstance(value, Mapping):
        return {key: _hidden(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden("", inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _USERINFO.sub(rf"\1{_HIDDEN}\2", _SIGNATURE.sub(rf"\1{_HIDDEN}", str(value)))


_SHARED: tuple[Any, ...] = (
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    hide_secrets,
)


def _console() -> tuple[Any, ...]:
    plain = structlog.dev.plain_traceback
    return (structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain),)


def _json() -> tuple[Any, ...]:
    return (structlog.processors.JSONRenderer(),)


def _take_over_libraries(renderers: tuple[Any, ...]) -> None:
    """Standard logging and Python's warnings become events, named after their logger."""
    before = (structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, *_SHARED)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers], foreign_pre_chain=before
    )
    handler = _StandardError()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler, *(one for one in root.handlers if not isinstance(one, _StandardError))]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # each retry, in prose


class _StandardError(logging.Handler):
    """Writes to what is standard error at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """One event."""
        sys.stderr.write(f"{self.format(record)}\n")
