"""Numbers for Prometheus."""

import time

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from api.context import Context
from api.database.jobs import count_by_phase

_registry = CollectorRegistry()
ProcessCollector(registry=_registry)
_requests = Counter("geocrop_requests", "Requests answered", ("method", "status"), registry=_registry)
_seconds = Histogram("geocrop_request_seconds", "Time to the answer's first byte", registry=_registry)
_jobs = Gauge("geocrop_jobs", "Jobs by phase", ("phase",), registry=_registry)
_streams = Gauge("geocrop_event_streams", "Open event streams", registry=_registry)
events_sent = Counter("geocrop_events", "Events of jobs written", registry=_registry)


async def render(context: Context) -> tuple[bytes, str]:
    """The text and its media type."""
    async with context.database.read() as connection:
        found = await count_by_phase(connection)
    _jobs.clear()
    for phase, count in found.items():
        _jobs.labels(phase).set(count)
    _streams.set(context.hub.listening)
    return generate_latest(_registry), CONTENT_TYPE_LATEST


def counted(app: ASGIApp) -> ASGIApp:
    """Middleware: counts every answer."""

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                _seconds.observe(time.perf_counter() - start)
                _requests.labels(scope.get("method", ""), str(message["status"])).inc()
            await send(message)

        await app(scope, receive, sent if scope["type"] is ScopeType.HTTP else send)

    return count
