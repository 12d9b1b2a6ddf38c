"""Judging coverage. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from steps.errors import DataError, GeoCropError, TryAgainError
from steps.model.grid import TileId
from steps.model.job import Coverage, MapOptions, Phase, Reason, SceneFault, TileFailed, TileOutcome


def judge(
    pixels: Mapping[Reason, int],
    tiles: Mapping[TileId, Reason],
    excluded: Iterable[SceneFault],
    options: MapOptions,
) -> Coverage:
    """The verdict on a map: AOI pixels by reason, tiles without a mapped pixel, scenes left out.

    Masked pixels were never asked for and do not count. A map with no mapped pixel has failed, whatever the options.
    """
    asked = sum(count for reason, count in pixels.items() if reason is not Reason.MASKED)
    share = pixels.get(Reason.MAPPED, 0) / asked if asked else 0.0
    return Coverage(
        phase=_phase(share, options),
        share=share,
        pixels={reason: count for reason, count in pixels.items() if count},
        tiles={str(tile): reason for tile, reason in tiles.items()},
        excluded=_distinct(excluded),
    )


def failure(job: str, coverage: Coverage, outcomes: Mapping[TileId, TileOutcome]) -> GeoCropError:
    """Why a job failed, and whether another try may help: it does not where all that failed was bad data."""
    failed = [outcome for outcome in outcomes.values() if isinstance(outcome, TileFailed)]
    reasons = ", ".join(reason for reason in coverage.pixels if reason is not Reason.MAPPED)
    lost = sum(reason is Reason.WORKER_LOST for reason in coverage.tiles.values())
    what = f"job {job} failed, {coverage.share:.1%} of the AOI mapped"
    if failed:
        what += f", {lost} tiles failed, {failed[0].tile} of them: {failed[0].error}"
    elif coverage.excluded:
        what += f", {reasons}: {coverage.excluded[0].error}"
    else:
        what += f": {reasons}"
    if lost > len(failed) or any(one.exit_code == TryAgainError.exit_code for one in failed):
        return TryAgainError(what, f"try again with: geocrop retry {job}")
    if failed:
        return DataError(what, "correct that, then run it again")
    if coverage.excluded and left_out(coverage.excluded) is Reason.BAD_SCENE:
        return DataError(what, "replace that file, or take its item out of the catalog, then run it again")
    if Reason.READ_ERROR in coverage.pixels:
        return TryAgainError(what, f"try again with: geocrop retry {job}")
    return DataError(what, "choose another season, area or catalog")


def left_out(faults: Sequence[SceneFault]) -> Reason:
    """Why what only these scenes could have seen is not mapped; of several causes, the one that may pass."""
    return Reason.BAD_SCENE if all(fault.lasting for fault in faults) else Reason.READ_ERROR


def _phase(share: float, options: MapOptions) -> Phase:
    if share == 0:
        return Phase.FAILED
    if share >= options.min_coverage:
        return Phase.SUCCEEDED
    return Phase.PARTIAL if share > options.publish_above else Phase.FAILED


def _distinct(faults: Iterable[SceneFault]) -> tuple[SceneFault, ...]:
    """One fault per scene, however many tiles it was missing from; by scene, so that no order of work shows."""
    found: dict[str, SceneFault] = {}
    for fault in sorted(faults, key=lambda fault: (fault.scene, fault.href, fault.error)):
        found.setdefault(fault.scene, fault)
    return tuple(found.values())
