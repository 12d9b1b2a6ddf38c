"""What `run`, `retry` and `replay` share: the workshop they work in and what they say at the end."""

import sys

from steps import naming
from steps.gate import failure
from steps.jobs import Workshop
from steps.local import crew_of
from steps.model.job import Coverage, Phase, Plan, Reason
from steps.records import open_records
from steps.settings import Settings
from steps.store import open_store
from steps.work import read_outcomes

_FILES = ("map.tif", "confidence.tif", "areas.csv", "report.html", "item.json")


def workshop(store_url: str, configured: Settings, workers: int) -> Workshop:
    """The store, the records and the workers of this machine."""
    store = open_store(store_url, configured)
    return Workshop(configured, store, store.href(""), open_records(configured), crew_of(configured, workers))


def say_coverage(plan: Plan, coverage: Coverage, shop: Workshop) -> int:
    """Say what came out and where it lies; the exit code of the command. Raises why the job failed, if it did."""
    write = sys.stdout.write
    write(f"{coverage.phase}: {coverage.share:.1%} of the AOI mapped (job {plan.job})\n")
    for reason, pixels in sorted(coverage.pixels.items()):
        if reason is not Reason.MAPPED and pixels:
            write(f"  not mapped, {reason}: {pixels} pixels\n")
    for fault in coverage.excluded[:5]:
        write(f"  left out scene {fault.scene}: {fault.error}\n")
    if coverage.phase is Phase.FAILED:
        raise failure(plan.job, coverage, read_outcomes(plan, shop.store))
    for name in _FILES:
        key = naming.map_key(plan.job, name)
        if shop.store.exists(key):
            write(f"  {name:<15} {shop.store.href(key)}\n")
    return 0
