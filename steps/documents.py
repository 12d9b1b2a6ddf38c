"""What a job has written into its store, read again."""

from typing import Any

import msgspec

from steps import naming
from steps.errors import DataError
from steps.model.job import Coverage, Plan
from steps.store import Store


def read_plan(store: Store, job: str) -> Plan:
    """Raises MissingObject when the store knows no such job, DataError for a damaged plan."""
    plan: Plan = decoded(store, naming.plan_key(job), Plan)
    return plan


def read_coverage(store: Store, job: str) -> Coverage:
    """The gate's last verdict on a job. Raises MissingObject when there is none, DataError for a damaged one."""
    coverage: Coverage = decoded(store, naming.coverage_key(job), Coverage)
    return coverage


def decoded(store: Store, key: str, kind: Any) -> Any:
    """A struct out of an object. Raises MissingObject when there is none, DataError for a damaged one."""
    try:
        return msgspec.json.decode(store.get_bytes(key), type=kind)
    except msgspec.DecodeError as error:
        raise DataError(f"{store.href(key)} is damaged: {error}", "delete it, then run the job again") from error
