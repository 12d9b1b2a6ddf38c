"""A published map without a run: a class map of chosen codes with its item and report, as publishing leaves them."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

from steps import naming
from steps.model.grid import TileId
from steps.model.job import Coverage, Phase, Plan, Reason, TileMapped, TileOutcome
from steps.report import ReportContext, render_report
from steps.stac import MapFacts, MapFile, MapRaster, map_item
from steps.store import FolderStore, Store
from steps.testing import ANY_CORNER, ANY_EPSG, any_plan
from steps.versions import pixel_version

ANY_TIME = dt.datetime(2022, 10, 3, 12, tzinfo=dt.UTC)
TRANSFORM = (10.0, 0.0, ANY_CORNER[0], 0.0, -10.0, ANY_CORNER[1])


def any_map(rows: int = 90, cols: int = 120, seed: int = 0) -> np.ndarray:
    """uint8 (y, x): much forest (7), less soya (1), a little maize (0), and a border that is not mapped."""
    classes = np.random.default_rng(seed).choice([7, 1, 0], size=(rows, cols), p=[0.7, 0.27, 0.03]).astype(np.uint8)
    classes[:3], classes[:, -5:] = 255, 255
    return classes


def write_map(path: Path, classes: np.ndarray, epsg: int = ANY_EPSG) -> Path:
    """Write a class map, uint8 (y, x), as a GeoTIFF in blocks."""
    rows, cols = classes.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=cols, height=rows, count=1, dtype="uint8", nodata=255, crs=f"EPSG:{epsg}",
        transform=Affine(*TRANSFORM), tiled=True, compress="deflate",
    ) as target:  # fmt: skip
        target.write(classes, 1)
    return path


def publish_map(root: Path, classes: np.ndarray) -> Path:
    """Put a map into a folder store; the path of its item."""
    plan = any_plan(pixel_version=pixel_version())
    folder = root / naming.map_key(plan.job, "")
    folder.mkdir(parents=True)
    facts = _facts(plan, {"map": write_map(folder / "map.tif", classes)}, classes.shape)
    (folder / "report.html").write_text(render_report(_context(plan, facts)), encoding="utf-8")
    facts = _facts(plan, {"map": folder / "map.tif", "report": folder / "report.html"}, classes.shape)
    path = folder / "item.json"
    path.write_text(json.dumps(map_item(plan, facts), indent=1), encoding="utf-8")
    return path


def copy_map(item: Path, store: Store) -> None:
    """Put the files of a published map into another store, under the same keys."""
    source = FolderStore(item.parents[2])
    for key in source.list("maps/"):
        store.put_bytes(key, source.get_bytes(key))


def _facts(plan: Plan, paths: Mapping[str, Path], shape: tuple[int, ...]) -> MapFacts:
    outcomes: dict[TileId, TileOutcome] = {
        entry.tile: TileMapped(
            tile=entry.tile,
            planned_key=plan.tile_job(entry).key,
            key=plan.tile_job(entry).key,
            pixels={Reason.MAPPED: 4096},
            scenes=3,
        )
        for entry in plan.tiles
    }
    return MapFacts(
        coverage=Coverage(phase=Phase.SUCCEEDED, share=1.0, pixels={Reason.MAPPED: 8192}, tiles={}),
        outcomes=outcomes,
        files=[_file(name, path) for name, path in paths.items()],
        raster=MapRaster(epsg=ANY_EPSG, transform=TRANSFORM, shape=(shape[0], shape[1])),
        areas={0: 3.0, 1: 27.0, 7: 70.0},
        created=ANY_TIME,
    )


def _file(name: str, path: Path) -> MapFile:
    content = path.read_bytes()
    return MapFile(name=name, href=f"./{path.name}", size=len(content), sha256=hashlib.sha256(content).hexdigest())


def _context(plan: Plan, facts: MapFacts) -> ReportContext:
    return ReportContext(
        plan=plan,
        coverage=facts.coverage,
        outcomes=facts.outcomes,
        areas=facts.areas,
        classes=plan.card.classes,
        pictures={},
        raster=facts.raster,
        aoi_km2=1.0,
        created=ANY_TIME,
        files=facts.files,
    )
