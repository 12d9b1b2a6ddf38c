"""From finished tiles to a published map: judge, mosaic, describe. The STAC item is written last."""

import contextlib
import csv
import datetime as dt
import io
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from steps import naming
from steps.aoi import geodesic_km2
from steps.areas import AreaRow, area_table
from steps.checksum import file_sha256
from steps.disagreement import Disagreement, disagreement
from steps.drift import Drift, properties
from steps.drift_files import DRIFT_CSV, map_drift, write_drift
from steps.drift_report import drift_warnings, render_drift
from steps.extras import Extras
from steps.footprint import Footprint
from steps.gate import judge
from steps.generalise import generalise
from steps.legend import DYNAMIC_WORLD, qml_style
from steps.model.card import ClassDef
from steps.model.grid import TileId
from steps.model.job import Coverage, Plan, Reason, TileEmpty, TileFailed, TileMapped, TileOutcome
from steps.mosaic import Mosaic, count_pixels, make_mosaic, strips
from steps.pictures import report_pictures
from steps.report import DataTable, ReportContext, SeamScore, render_report
from steps.seams import seam_score
from steps.stac import MapFacts, MapFile, MapRaster, map_item
from steps.store import Store
from steps.work import read_outcomes
from steps.zones import parcel_table, parcels_of, zone_table, zones_of

FACTS = "facts.json"
_OPTIONAL = ("zones.csv", "zones.gpkg", "parcels.csv", "parcels.gpkg", "drift.json", DRIFT_CSV)
"""Files that a map may have or not."""


class MosaicFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the mosaic found, for publishing; lies beside the plan."""

    layers: tuple[str, ...]
    classes: tuple[ClassDef, ...]
    raster: MapRaster
    areas: tuple[AreaRow, ...]
    disagreement: tuple[tuple[str | float, ...], ...] = ()
    disagreeing: float = 0.0
    """Share of the comparable area."""


def gate_job(plan: Plan, store: Store) -> Coverage:
    """How much of the AOI is mapped, pixel by pixel, and why the rest is not."""
    outcomes = read_outcomes(plan, store)
    pixels = count_pixels(strips(plan, outcomes, store, Footprint.of(plan.request.aoi, plan.grid), names=("reason",)))
    excluded = [fault for outcome in _done(outcomes) for fault in outcome.excluded]
    coverage = judge(pixels, dict(_unmapped(plan, outcomes)), excluded, plan.request.options)
    store.put_bytes(naming.coverage_key(plan.job), msgspec.json.encode(coverage))
    return coverage


def _done(outcomes: Mapping[TileId, TileOutcome]) -> Iterator[TileMapped | TileEmpty]:
    return (outcome for outcome in outcomes.values() if not isinstance(outcome, TileFailed))


def _unmapped(plan: Plan, outcomes: Mapping[TileId, TileOutcome]) -> Iterator[tuple[TileId, Reason]]:
    """Tiles without a mapped pixel, with the reason."""
    for entry in plan.tiles:
        outcome = outcomes.get(entry.tile)
        if isinstance(outcome, TileEmpty):
            yield entry.tile, outcome.reason
        elif not isinstance(outcome, TileMapped):
            yield entry.tile, Reason.WORKER_LOST


def mosaic_job(plan: Plan, store: Store, extras: Extras) -> None:
    """Put the map's rasters into the store. A map that was there is withdrawn first: it is whole or not there."""
    classes = extras.named(plan.card.classes)
    with tempfile.TemporaryDirectory(prefix="geocrop-mosaic-") as scratch:
        folder = Path(scratch)
        mosaic = make_mosaic(plan, read_outcomes(plan, store), store, folder, classes)
        paths, found = dict(mosaic.paths), None
        options = plan.request.options
        if options.min_unit_px:
            paths["generalised"] = folder / "generalised.tif"
            generalise(paths["map"], paths["generalised"], options.min_unit_px, classes)
        if options.baseline is not None:
            paths["disagreement"] = folder / "disagreement.tif"
            found = disagreement(paths["map"], options.baseline, classes, paths["disagreement"])
        store.delete(naming.item_key(plan.job))
        for name, path in paths.items():
            store.put_file(naming.map_key(plan.job, f"{name}.tif"), path)
    facts = _mosaic_facts(plan, mosaic, tuple(paths), classes, found)
    store.put_bytes(naming.map_key(plan.job, FACTS), msgspec.json.encode(facts))


def _mosaic_facts(
    plan: Plan, mosaic: Mosaic, layers: tuple[str, ...], classes: tuple[ClassDef, ...], found: Disagreement | None
) -> MosaicFacts:
    window = mosaic.footprint.window
    return MosaicFacts(
        layers=layers,
        classes=classes,
        raster=MapRaster(epsg=plan.grid.epsg, transform=window.transform, shape=(window.height, window.width)),
        areas=tuple(area_table(mosaic.areas, classes)),
        disagreement=tuple(found.rows()) if found else (),
        disagreeing=found.share if found else 0.0,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of a map when it is published."""

    coverage: Coverage
    outcomes: Mapping[TileId, TileOutcome]
    facts: MosaicFacts
    drift: Drift | None


def publish_job(plan: Plan, store: Store, coverage: Coverage, extras: Extras) -> str:
    """Areas, tables, style, drift and report, then the item; its address."""
    facts = msgspec.json.decode(store.get_bytes(naming.map_key(plan.job, FACTS)), type=MosaicFacts)
    outcomes = read_outcomes(plan, store)
    with contextlib.ExitStack() as stack:
        rasters = {
            name: stack.enter_context(store.local_path(naming.map_key(plan.job, f"{name}.tif")))
            for name in facts.layers
        }
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="geocrop-publish-")))
        found = _Found(coverage, outcomes, facts, map_drift(plan, outcomes, store, rasters["map"], facts.classes))
        tables = _write_tables(folder, rasters, facts, extras)
        _write_facts(folder, found)
        files = [_file(name, path) for name, path in rasters.items()]
        files += [_file(_asset_name(path), path) for path in sorted(folder.iterdir())]
        files += _model_files(plan, store)
        report = render_report(_context(plan, found, rasters, tables, files))
        (folder / "report.html").write_text(report, encoding="utf-8")
        files.append(_file("report", folder / "report.html"))
        _put_tables(plan.job, folder, store)
    return _put_item(plan, store, found, files)


def _put_tables(job: str, folder: Path, store: Store) -> None:
    """All files of a folder, in place of those of an earlier publishing."""
    for path in sorted(folder.iterdir()):
        store.put_file(naming.map_key(job, path.name), path)
    for name in _OPTIONAL:
        if not (folder / name).exists():
            store.delete(naming.map_key(job, name))


def _write_facts(folder: Path, found: _Found) -> None:
    (folder / "areas.csv").write_text(_areas_csv(found.facts.areas), encoding="utf-8")
    (folder / "map.qml").write_text(qml_style(found.facts.classes), encoding="utf-8")
    (folder / "coverage.json").write_bytes(msgspec.json.format(msgspec.json.encode(found.coverage)))
    if found.drift:
        write_drift(found.drift, folder)


def _put_item(plan: Plan, store: Store, found: _Found, files: Sequence[MapFile]) -> str:
    item = map_item(
        plan,
        MapFacts(
            coverage=found.coverage,
            outcomes=found.outcomes,
            files=files,
            raster=found.facts.raster,
            areas={row.code: row.hectares for row in found.facts.areas},
            classes=found.facts.classes,
            drift=properties(found.drift) if found.drift else {},
            created=dt.datetime.now(dt.UTC),
        ),
    )
    store.put_bytes(naming.item_key(plan.job), json.dumps(item, indent=1).encode())
    return store.href(naming.item_key(plan.job))


def _file(name: str, path: Path) -> MapFile:
    return MapFile(name=name, href=f"./{path.name}", size=path.stat().st_size, sha256=file_sha256(path))


def _model_files(plan: Plan, store: Store) -> Iterator[MapFile]:
    """The model and what it was compared by, where the store keeps them, so that the map can be made again."""
    key, reference = naming.model_key(plan.card.digest), plan.card.reference
    yield MapFile(name="model", href=f"../../{key}", size=store.size(key), sha256=plan.card.model_sha256)
    if reference and store.exists(key := naming.points_key(reference.points_sha256)):
        yield MapFile(name="points", href=f"../../{key}", size=store.size(key), sha256=reference.points_sha256)


def _asset_name(path: Path) -> str:
    """Asset key of a file: its stem; a style is `style`, a further format of a table has it in its key."""
    if path.suffix == ".qml":
        return "style"
    further = path.suffix == ".gpkg" or path.name == DRIFT_CSV
    return f"{path.stem}-{path.suffix[1:]}" if further else path.stem


def _areas_csv(rows: Sequence[AreaRow]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ("code", "name", "pixels", "hectares", "share"), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**asdict(row), "hectares": round(row.hectares, 4), "share": round(row.share, 6)} for row in rows)
    return text.getvalue()


def _write_tables(folder: Path, rasters: Mapping[str, Path], facts: MosaicFacts, extras: Extras) -> list[DataTable]:
    """Zones and parcels as files, and as tables of the report."""
    tables: list[DataTable] = []
    if extras.zones:
        tables.append(zone_table(zones_of(rasters["map"], extras.zones, facts.classes, folder), facts.classes))
    if extras.parcels:
        made = parcels_of(rasters["map"], rasters["confidence"], extras.parcels, facts.classes, folder)
        tables.append(parcel_table(made))
    return tables


def _context(
    plan: Plan, found: _Found, rasters: Mapping[str, Path], tables: Sequence[DataTable], files: Sequence[MapFile]
) -> ReportContext:
    facts, drift = found.facts, found.drift
    return ReportContext(
        plan=plan,
        coverage=found.coverage,
        outcomes=found.outcomes,
        areas={row.code: row.hectares for row in facts.areas},
        classes=facts.classes,
        pictures=report_pictures(rasters, facts.classes),
        raster=facts.raster,
        aoi_km2=geodesic_km2(plan.request.aoi),
        created=dt.datetime.now(dt.UTC),
        seams=_seams(rasters["map"], plan),
        disagreement=_disagreement_table(facts),
        tables=tables,
        files=files,
        fit=render_drift(drift, facts.classes) if drift else None,
        warnings=drift_warnings(drift),
    )


def _seams(path: Path, plan: Plan) -> SeamScore | None:
    return seam_score(path, plan.grid)


def _disagreement_table(facts: MosaicFacts) -> DataTable | None:
    if not facts.disagreement:
        return None
    return DataTable(
        title="Against the baseline, in hectares",
        columns=("class", "compared with", *(entry.name for entry in DYNAMIC_WORLD)),
        rows=facts.disagreement,
        note=f"{facts.disagreeing:.1%} of the comparable area disagrees.",
    )
