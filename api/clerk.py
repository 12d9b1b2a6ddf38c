"""Asks `steps.clerk`, a process of its own that knows rasters; it is started when needed and ended when idle."""

import asyncio
import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import structlog

from api.problems import ProblemError
from steps.errors import AoiError, StoreError

_ANSWER_BYTES = 256 * 2**20
_log = structlog.get_logger()


class Clerk:
    """One question at a time. A process that dies or takes too long is ended, and the next question starts another."""

    def __init__(self, *, patience: float = 120.0, idle_seconds: float = 300.0, memory_mb: int = 2048) -> None:
        self._patience, self._idle_seconds, self._memory_mb = patience, idle_seconds, memory_mb
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._used = time.monotonic()

    async def ask(self, do: str, **asked: object) -> Any:
        """The answer; raises a 422 for what is refused, StoreError for what may work later."""
        async with self._turn:
            reply = await self._exchange(msgspec.json.encode({"do": do, **asked}) + b"\n", do)
        return _opened(reply)

    async def _exchange(self, line: bytes, do: str) -> bytes:
        process = await self._running()
        try:
            async with asyncio.timeout(self._patience):
                assert process.stdin is not None  # noqa: S101 - a pipe
                assert process.stdout is not None  # noqa: S101
                process.stdin.write(line)
                await process.stdin.drain()
                reply = await process.stdout.readline()
        except (TimeoutError, OSError, ValueError) as error:
            await self._end()
            raise StoreError(f"the question {do!r} took too long", "try again, with a smaller area") from error
        except BaseException:
            await self._end()  # whoever asked is gone; an answer that comes later would be another's
            raise
        self._used = time.monotonic()
        if not reply:
            await self._end()
            raise StoreError(f"the question {do!r} could not be answered", "try again, with a smaller area")
        return reply

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "steps.clerk",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_ANSWER_BYTES,
                start_new_session=True,
                preexec_fn=_bounded(self._memory_mb, None),
            )
            _log.info("clerk.started", pid=self._process.pid)
        return self._process

    async def end_idle(self) -> None:
        """End the process if nobody has asked for a while."""
        if not self._turn.locked() and time.monotonic() - self._used > self._idle_seconds:
            await self._end()

    async def close(self) -> None:
        """End the process."""
        await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _opened(reply: bytes) -> Any:
    document = msgspec.json.decode(reply)
    refused = document.get("refused")
    if refused is None:
        return document["done"]
    if refused["kind"] == "later":
        raise StoreError(refused["what"], refused["remedy"])
    raise ProblemError(422, refused["what"], refused["remedy"])


def _bounded(memory_mb: int, seconds: int | None) -> Any:
    """Limits of a child: its own memory, and its time."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * 2**20, memory_mb * 2**20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if seconds is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    return limit


_CONVERSION_SECONDS = 30
_CONVERSION_MB = 768


async def convert_upload(chunks: AsyncIterator[bytes], name: str, *, max_vertices: int, max_km2: float) -> Any:
    """The area in an uploaded vector file, by a process that ends with it. Raises a 422 for what it cannot be.

    The file goes to disk as it comes.
    """
    suffix = Path(name).suffix.lower()[:12]
    with tempfile.TemporaryDirectory(prefix="geocrop-upload-") as folder:
        path = Path(folder) / f"upload{suffix if suffix.isascii() else ''}"
        with path.open("wb") as file:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
        if not path.stat().st_size:
            raise ProblemError(400, "the file is empty", "send its bytes as the body")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "steps.convert", str(path), Path(name).stem[:80], str(max_vertices), str(max_km2)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "TMPDIR": folder},
            preexec_fn=_bounded(_CONVERSION_MB, _CONVERSION_SECONDS),
        )
        try:
            async with asyncio.timeout(2 * _CONVERSION_SECONDS):
                reply, _ = await process.communicate()
        except TimeoutError:
            reply = b""
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
    if not reply:
        error = AoiError(f"{name[:80]} took more memory or time than an area may", "simplify it, or convert it first")
        raise ProblemError(422, error.what, error.remedy)
    return _opened(reply)
