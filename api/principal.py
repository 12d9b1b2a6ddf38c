"""Who asks, and what they may see."""

from dataclasses import dataclass
from typing import Literal

from api.database.jobs import JobRow
from api.problems import ProblemError, not_found

Method = Literal["off", "key", "token", "session", "link"]
NOBODY = "local"
"""The owner of everything where authentication is off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who may do something."""

    owner: str
    scopes: frozenset[str]
    method: Method
    csrf: str = ""
    job: str = ""
    """The one job that a link opens."""

    @property
    def is_admin(self) -> bool:
        """Whether everyone's jobs are theirs to see."""
        return "admin" in self.scopes

    @property
    def sees(self) -> str | None:
        """Whose things to list; None: everyone's."""
        return None if self.is_admin else self.owner

    def need(self, scope: str) -> None:
        """Raises a 403 without the scope; admin has all of them."""
        if scope not in self.scopes and not self.is_admin:
            raise ProblemError(403, f"this needs the scope {scope}", "use a key that has it")

    def check_sees(self, job: JobRow | None, name: str) -> JobRow:
        """The job, if it is this one's to see; raises a 404 otherwise, the same as for one that is not there."""
        if job is None or job.wanted == "delete":
            raise not_found(f"job {name}")
        if self.method == "link":
            if self.job != job.id:
                raise not_found(f"job {name}")
        elif not self.is_admin and job.owner != self.owner:
            raise not_found(f"job {name}")
        return job
