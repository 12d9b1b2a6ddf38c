"""What the registry is told of a published map, and of its assessment. Neither fails because of it."""

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from steps import naming
from steps.drift import Drift, metrics
from steps.drift_files import DRIFT_FILE
from steps.errors import GeoCropError
from steps.estimators import Assessment, metrics_of
from steps.model.job import Coverage, ModelRef, Plan, TileMapped, TileOutcome
from steps.model.registry import MapNote
from steps.outbox import DRIFT, keep_note, log_map, note_of
from steps.settings import Settings
from steps.store import Store
from steps.work import read_outcomes

_log = structlog.get_logger()


def keep_map(plan: Plan, coverage: Coverage, store: Store, outbox: Store) -> None:
    """Note a map that lies in a store; the note is to be sent."""
    try:
        keep_note(map_note(plan, coverage, store), outbox)
    except GeoCropError as error:
        _log.warning("map.not_logged", job=plan.job, error=str(error))


def map_note(plan: Plan, coverage: Coverage, store: Store) -> MapNote:
    """Coverage, areas, drift and cost of a map that lies in a store."""
    facts = msgspec.json.decode(store.get_bytes(naming.item_key(plan.job)), type=dict[str, Any])
    drift = _drift(plan, store)
    found = {
        "coverage": coverage.share,
        **{f"pixels.{reason}": float(pixels) for reason, pixels in coverage.pixels.items()},
        **_areas(facts["properties"]),
        **_cost(list(read_outcomes(plan, store).values())),
        **(metrics(drift) if drift else {}),
    }
    tags = {
        "phase": str(coverage.phase),
        "aoi": plan.request.aoi.name,
        "season": str(plan.request.season),
        "code": plan.code_version,
        "item": store.href(naming.item_key(plan.job)),
        **({DRIFT: str(drift.verdict), "drift.sentence": drift.sentence} if drift else {}),
    }
    return note_of(plan.job, plan.request.model, found, tags, "map")


def tell_assessment(item: Mapping[str, Any], assessment: Assessment, outbox: Store, settings: Settings) -> None:
    """Log the estimates of an assessed map, now or later; nothing for an item that does not say its model."""
    plan = item["properties"].get("geocrop:plan", {})
    with contextlib.suppress(KeyError, msgspec.ValidationError):
        model = msgspec.convert(plan["request"]["model"], ModelRef)
        tags = {"assessed": assessment.created}
        log_map(note_of(plan["job"], model, metrics_of(assessment), tags, "assessment"), outbox, settings)


def _drift(plan: Plan, store: Store) -> Drift | None:
    key = naming.map_key(plan.job, DRIFT_FILE)
    return msgspec.json.decode(store.get_bytes(key), type=Drift) if store.exists(key) else None


def _areas(properties: Mapping[str, Any]) -> dict[str, float]:
    """Hectares by class, as the item has them."""
    names = {str(entry["code"]): entry["name"] for entry in properties["geocrop:classes"]}
    return {f"hectares.{names.get(code, code)}": area for code, area in properties["geocrop:areas_ha"].items()}


def _cost(outcomes: list[TileOutcome]) -> dict[str, float]:
    """What the tiles took, where they were made for this job or for an earlier one."""
    mapped = [outcome for outcome in outcomes if isinstance(outcome, TileMapped)]
    return {
        "tiles": float(len(outcomes)),
        "tiles.mapped": float(len(mapped)),
        "seconds": sum(outcome.seconds.get("total", 0.0) for outcome in mapped),
        "bytes_read": float(sum(outcome.bytes_read for outcome in mapped)),
        "peak_mb": max((outcome.peak_mb for outcome in mapped), default=0.0),
        "scenes_left_out": float(sum(len(outcome.excluded) for outcome in mapped)),
    }
