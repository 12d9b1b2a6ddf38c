"""How a job's workflow ended, for whoever looks at the job afterwards."""

import datetime as dt

import msgspec

from steps import naming
from steps.model.job import Coverage, Phase
from steps.store import Store


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """The last workflow of a job."""

    workflow: str
    phase: Phase
    href: str = ""
    """The published item; empty where there is none."""
    error: str = ""
    when: dt.datetime


def note_ending(job: str, workflow: str, status: str, store: Store) -> Ending:
    """Write what became of a job beside its plan. A map that was published before stays what it is."""
    published = store.exists(naming.item_key(job))
    ending = Ending(
        workflow=workflow,
        phase=_phase(job, store) if status == "Succeeded" else Phase.FAILED,
        href=store.href(naming.item_key(job)) if published else "",
        error="" if status == "Succeeded" else f"workflow {workflow} ended as {status}: see its steps",
        when=dt.datetime.now(dt.UTC),
    )
    store.put_bytes(naming.workflow_key(job), msgspec.json.encode(ending))
    return ending


def _phase(job: str, store: Store) -> Phase:
    """As the gate judged."""
    return msgspec.json.decode(store.get_bytes(naming.coverage_key(job)), type=Coverage).phase
