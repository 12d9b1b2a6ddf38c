"""The machine itself as an engine: each work is a folder, and a process of its own that outlives the API.

What a work's folder holds is said in `steps.engine`. A work waits until there is a place, goes on when the API is
restarted, and begins again when its process was lost: finished tiles come from the store.
"""

import asyncio
import contextlib
import datetime as dt
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import structlog

from api.engines.log_lines import log_line
from api.engines.protocol import Sighting, Synced, Work
from api.schemas import LogLine
from api.tasks import end
from steps.errors import StoreError
from steps.model.job import MapRequest, Phase

_WORK, _LOCK, _OUTCOME, _LOG, _CANCELLED = "work.json", "lock", "outcome.json", "log.jsonl", "cancelled"
_LOOK_SECONDS = 0.2
_MERCY_SECONDS = 10.0
"""Between asking a process to end and ending it."""
_MOST_STARTS = 4
"""Of a process that is lost each time."""
_FINAL = {Phase.SUCCEEDED, Phase.PARTIAL, Phase.FAILED, Phase.CANCELLED}
_log = structlog.get_logger()


class _LocalWork(msgspec.Struct, frozen=True, kw_only=True):
    """As `steps.engine` reads it."""

    job: str
    request: MapRequest
    store: str
    probe: bool
    resume: bool


class _Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """As `steps.engine` writes it."""

    phase: Phase
    href: str = ""
    error: str = ""


class LocalEngine:
    """See Engine."""

    def __init__(self, folder: Path, places: int) -> None:
        self._folder, self._places = folder, places
        self._told: dict[str, Sighting] = {}
        self._listeners: set[asyncio.Queue[Sighting]] = set()
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._starts: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """See Engine."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be made: {error.strerror}", "set GEOCROP_HOME") from error
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """See Engine."""
        if self._task is not None:
            await end(self._task)

    async def ping(self) -> None:
        """See Engine."""
        if self._task is None or self._task.done():
            raise StoreError("the local engine does not run", "start the server again")

    async def start(self, work: Work) -> str:
        """See Engine. The folder appears whole or not at all."""
        folder = self._folder / work.name
        if not folder.exists():
            part = self._folder / f".{work.name}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            local = _LocalWork(
                job=work.job,
                request=work.request,
                store=work.store,
                probe=work.probe,
                resume=work.attempt > 1,
            )
            (part / _WORK).write_bytes(msgspec.json.encode(local))
            part.rename(folder)
            self._tell(_sighting(folder))
        return _uid(folder)

    async def cancel(self, name: str) -> None:
        """See Engine."""
        folder = self._folder / name
        if folder.exists() and not (folder / _OUTCOME).exists():
            (folder / _CANCELLED).touch()
            _ask_to_end(folder, signal.SIGTERM)

    async def remove(self, name: str) -> None:
        """See Engine."""
        folder = self._folder / name
        if not folder.exists():
            return
        (folder / _CANCELLED).touch()
        await self._end(folder)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        told = self._told.pop(name, None)
        if told is not None:
            self._spread(msgspec.structs.replace(told, gone=True))

    async def _end(self, folder: Path) -> None:
        """End the process of a work, whoever started it; one of ours may not hold the work's lock yet."""
        child = self._children.pop(folder.name, None)
        if child is not None:
            await _ended(child)
        _ask_to_end(folder, signal.SIGTERM)
        for _ in range(int(_MERCY_SECONDS / _LOOK_SECONDS)):
            if not _is_held(folder):
                return
            await asyncio.sleep(_LOOK_SECONDS)
        _ask_to_end(folder, signal.SIGKILL)

    async def sightings(self) -> AsyncIterator[Sighting | Synced]:
        """See Engine."""
        queue: asyncio.Queue[Sighting] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            for sighting in list(self._told.values()):
                yield sighting
            yield Synced(names=frozenset(self._told))
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    async def logs(self, name: str, tile: str, *, follow: bool) -> AsyncIterator[LogLine]:
        """See Engine."""
        path, position, rest = self._folder / name / _LOG, 0, b""
        while True:
            over = (path.parent / _OUTCOME).exists() or not path.parent.exists()
            data = await asyncio.to_thread(_read_from, path, position)
            position += len(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in filter(None, lines):
                parsed = _log_line(line)
                if not tile or parsed.tile == tile:
                    yield parsed
            if not data and (over or not follow):
                return
            if not data:
                await asyncio.sleep(_LOOK_SECONDS)

    # -- the works -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Look at the folders, for ever."""
        while True:
            try:
                await self._look()
            except OSError as error:
                _log.warning("local.look_failed", error=str(error))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        self._reap()
        active = []
        folders = [one for one in sorted(self._folder.iterdir(), key=_age) if not one.name.startswith(".")]
        self._miss({folder.name for folder in folders})
        for folder in folders:
            if self._is_over(folder.name):
                continue
            self._tell(_advanced(folder))
            if self._told[folder.name].phase not in _FINAL:
                active.append(folder)
        for folder in active[: self._places]:
            if not _is_held(folder) and folder.name not in self._children:
                await self._spawn(folder)

    def _miss(self, there: set[str]) -> None:
        """Tell of works whose folders somebody else has removed."""
        for name in set(self._told) - there:
            self._spread(msgspec.structs.replace(self._told.pop(name), gone=True))

    def _is_over(self, name: str) -> bool:
        told = self._told.get(name)
        return told is not None and told.phase in _FINAL

    def _reap(self) -> None:
        """Processes that have ended are nobody's child any more."""
        for name, child in list(self._children.items()):
            if child.returncode is not None:
                del self._children[name]
                self._check_lost(self._folder / name, child.returncode)

    def _check_lost(self, folder: Path, code: int) -> None:
        """A process that ended without an outcome is started again, but not for ever."""
        if (folder / _OUTCOME).exists() or (folder / _CANCELLED).exists():
            return
        _log.warning("local.process_lost", work=folder.name, code=code)
        if code > 0 or self._starts.get(folder.name, 0) >= _MOST_STARTS:
            error = f"its process ended with {code}: the log says why, and retrying does only what is missing"
            _write_outcome(folder, _Outcome(phase=Phase.FAILED, error=error))

    async def _spawn(self, folder: Path) -> None:
        with (folder / _LOG).open("ab") as log:
            self._children[folder.name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "steps.engine", str(folder)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**_without_secrets(os.environ), "GEOCROP_LOG_FORMAT": "json"},
            )
        self._starts[folder.name] = self._starts.get(folder.name, 0) + 1
        _log.info("local.started", work=folder.name, pid=self._children[folder.name].pid)

    def _tell(self, sighting: Sighting) -> None:
        if self._told.get(sighting.name) != sighting:
            self._told[sighting.name] = sighting
            self._spread(sighting)

    def _spread(self, sighting: Sighting) -> None:
        for queue in self._listeners:
            queue.put_nowait(sighting)


def _advanced(folder: Path) -> Sighting:
    """Where a work stands, after what its folder asks for was done."""
    if (folder / _CANCELLED).exists() and not (folder / _OUTCOME).exists() and not _is_held(folder):
        _write_outcome(folder, _Outcome(phase=Phase.CANCELLED))
    return _sighting(folder)


async def _ended(child: asyncio.subprocess.Process) -> None:
    """Ask a process and all that it started to end, and insist after a while."""
    for what in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, what)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MERCY_SECONDS):
                await child.wait()
            return


def _without_secrets(environ: Any) -> dict[str, str]:
    """The API's own secrets are no business of the steps."""
    return {name: value for name, value in environ.items() if not name.startswith("GEOCROP_API_")}


def _sighting(folder: Path) -> Sighting:
    work = msgspec.json.decode((folder / _WORK).read_bytes(), type=_JobName)
    outcome = _outcome(folder)
    phase = outcome.phase if outcome else Phase.RUNNING if _is_held(folder) else Phase.QUEUED
    return Sighting(
        name=folder.name,
        uid=_uid(folder),
        phase=phase,
        error=outcome.error if outcome else "",
        job=work.job,
        created=dt.datetime.fromtimestamp(_age(folder), dt.UTC),
    )


class _JobName(msgspec.Struct, frozen=True, kw_only=True):
    job: str


def _uid(folder: Path) -> str:
    """Of this folder, and not of one of the same name that is gone."""
    facts = (folder / _WORK).stat()
    return f"{facts.st_ino:x}-{facts.st_mtime_ns:x}"


def _age(folder: Path) -> float:
    try:
        return (folder / _WORK).stat().st_mtime
    except OSError:
        return 0.0


def _outcome(folder: Path) -> _Outcome | None:
    try:
        return msgspec.json.decode((folder / _OUTCOME).read_bytes(), type=_Outcome)
    except FileNotFoundError:
        return None


def _write_outcome(folder: Path, outcome: _Outcome) -> None:
    part = folder / f".{_OUTCOME}.part"
    part.write_bytes(msgspec.json.encode(outcome))
    part.replace(folder / _OUTCOME)


def _is_held(folder: Path) -> bool:
    """Whether a process works on it, whoever started it."""
    try:
        with (folder / _LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _ask_to_end(folder: Path, what: signal.Signals) -> None:
    """Signal the process that holds the lock, and all that it started."""
    if not _is_held(folder):
        return
    text = (folder / _LOCK).read_text(encoding="ascii")
    if text.isdecimal():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(text), what)


def _read_from(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read(1 << 20)
    except FileNotFoundError:
        return b""


def _log_line(line: bytes) -> LogLine:
    """A JSON line of the steps' log; anything else is a line of its own."""
    return log_line(line) or LogLine(event=line.decode(errors="replace")[:2000])
