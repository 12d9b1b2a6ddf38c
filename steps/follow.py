"""Who follows a pod's tiles: Argo's progress file. What became of each tile is noted in the store as it is done."""

from pathlib import Path

import structlog

from steps.model.job import TileEmpty, TileFailed, TileOutcome
from steps.settings import Settings

_log = structlog.get_logger()


class Follower:
    """Tells how far a batch is. Nothing that goes wrong here is worth a tile."""

    def __init__(self, total: int, settings: Settings) -> None:
        self._total, self._done = total, 0
        self._progress = Path(settings.progress_file) if settings.progress_file else None
        self._report()

    def note(self) -> None:
        """One more tile is done, well or not."""
        self._done += 1
        self._report()

    def _report(self) -> None:
        """`done/total`, as Argo reads it about once a minute."""
        if self._progress is None:
            return
        try:
            self._progress.write_text(f"{self._done}/{self._total}", encoding="utf-8")
        except OSError as error:
            _log.warning("progress.failed", error=str(error))
            self._progress = None


def reason_of(outcome: TileOutcome) -> str:
    """Why a tile has nothing mapped; empty where it has."""
    if isinstance(outcome, TileFailed):
        return outcome.error
    return str(outcome.reason) if isinstance(outcome, TileEmpty) else ""
