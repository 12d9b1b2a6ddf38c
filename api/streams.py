"""Open-ended answers: server-sent events and live logs."""

from collections.abc import AsyncIterator

import msgspec

from api.context import Context
from api.database.jobs import JobRow
from api.database.tiles import EventRow, events_after
from api.schemas import PhaseEvent
from steps.model.job import Phase

_RETRY_MS = 2000
_ACTIVE = (Phase.QUEUED, Phase.RUNNING)


async def has_more(context: Context, job: JobRow, after: int) -> bool:
    """Whether a stream has anything to say: a finished job whose last event was heard has not."""
    if not job.is_final:
        return True
    async with context.database.read() as connection:
        return bool(await events_after(connection, job.id, after, limit=1))


async def event_stream(context: Context, job: JobRow, after: int) -> AsyncIterator[bytes]:
    """Events after a number, then as they come, until the job has ended; comments keep the connection alive."""
    yield f"retry: {_RETRY_MS}\n\n".encode()
    async for event in context.hub.follow(job.id, after):
        if event is None:
            yield b": still here\n\n"
            continue
        yield encode_event(event)
        if _ends(event, job):
            return


def _ends(event: EventRow, job: JobRow) -> bool:
    """The last event of this attempt, or of a later one, ends the stream."""
    if event.kind != "phase":
        return job.is_final and event.seq >= job.seq
    told = msgspec.json.decode(event.body, type=PhaseEvent)
    return told.phase not in _ACTIVE and told.attempt >= job.attempt


def encode_event(event: EventRow) -> bytes:
    """One event as it goes over the wire; its body is JSON without line breaks."""
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {event.body}\n\n".encode()


async def log_stream(context: Context, job: JobRow, tile: str, *, follow: bool) -> AsyncIterator[bytes]:
    """One JSON object a line."""
    async for line in context.engine.logs(job.work, tile, follow=follow):
        yield msgspec.json.encode(line) + b"\n"
