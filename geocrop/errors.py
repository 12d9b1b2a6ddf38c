"""What a server refuses, as errors of the same tree as everywhere: they know their exit code.

GeoCropError
├── DataError
│   ├── RefusedError     the server refuses: `status`, and the fields that do not fit
│   └── JobError         a job that ended without a map
└── TryAgainError
    └── AwayError        the server does not answer, or not now
"""

from api.schemas import FieldError, JobView
from steps.errors import DataError, TryAgainError


class RefusedError(DataError):
    """Asked again in the same way, it is refused again."""

    def __init__(self, what: str, remedy: str = "", *, status: int = 0, fields: tuple[FieldError, ...] = ()) -> None:
        super().__init__(what, remedy)
        self.status, self.fields = status, fields


class JobError(DataError):
    """A job that failed or was cancelled."""

    def __init__(self, job: JobView) -> None:
        super().__init__(f"job {job.id} {job.phase}: {job.error or 'there is no map'}", "see its log, then retry it")
        self.job = job


class AwayError(TryAgainError):
    """Later it may work: after `seconds`, where the server says."""

    def __init__(self, what: str, remedy: str = "", *, seconds: float = 0.0) -> None:
        super().__init__(what, remedy)
        self.seconds = seconds
