"""Progress: for people a bar on a terminal and a line now and then elsewhere, for machines an event."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from steps.log import is_json

_LINES = 10
"""Lines printed for a whole stage where there is no terminal."""
_log = structlog.get_logger()


class Advance(Protocol):
    """Tells a stage's bar that something more is done."""

    def __call__(self, steps: int = 1, note: str = "") -> None:
        """Count `steps` more as done; `note` is shown beside the bar."""
        ...


def console() -> Console:
    """Where progress goes: standard error, so that results can be piped."""
    return Console(stderr=True, highlight=False)


@contextmanager
def stage(title: str, total: int) -> Iterator[Advance]:
    """A stage of `total` steps; on a terminal with a bar and the time left."""
    if sys.stderr.isatty() and not is_json():
        with _bar(title, total) as advance:
            yield advance
    else:
        yield _Lines(title, total)


@contextmanager
def _bar(title: str, total: int) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console()) as progress:
        task = progress.add_task(title, total=total, note="")
        yield lambda steps=1, note="": progress.update(task, advance=steps, note=note)


class _Lines:
    """A line at the start, at each tenth and at the end."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done = title, total, 0
        self._say("")

    def __call__(self, steps: int = 1, note: str = "") -> None:
        before = self._tenth()
        self._done += steps
        if self._tenth() > before:
            self._say(note)

    def _say(self, note: str) -> None:
        if is_json():
            _log.info("stage", stage=self._title, done=self._done, total=self._total, note=note)
        else:
            console().print(f"{self._title}: {self._done}/{self._total} {note}".rstrip())

    def _tenth(self) -> int:
        return self._done * _LINES // max(self._total, 1)
