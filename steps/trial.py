"""A small job of made-up scenes, done by the very code that maps, to see how fast this machine is."""

import datetime as dt
import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from pyproj import Transformer
from rasterio.transform import Affine

from steps import naming
from steps.landscape import write_cog
from steps.model.aoi import Aoi, Season
from steps.model.card import ClassDef, ModelCard
from steps.model.grid import TileGrid
from steps.model.job import MapOptions, MapRequest, ModelRef, Plan, TileMapped
from steps.model.scene import SCL, Asset, Scene
from steps.model.spec import standard_spec
from steps.mosaic import make_mosaic
from steps.plan import plan_map
from steps.settings import Settings
from steps.store import Store, open_store
from steps.tile import TileMapper

_EPSG = 32631
_SIZE = 512
_HALO = 32
"""Pixels of the scenes beyond the tile: more than its halo."""
_TILE = TileGrid(epsg=_EPSG, size=_SIZE).tile_at(500_000.0, 5_600_000.0)
_SEASON = Season(start=dt.date(2021, 1, 1), end=dt.date(2021, 12, 31))
_FINE, _COARSE = ("blue", "green", "red", "nir"), ("rededge1", "swir16")
_FILES = 3
"""Acquisitions that are written; others of the season are the same files."""
_DAYS = 60
_CLASSES, _ROUNDS = 9, 80
"""Of a model such as training makes."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What the trial took."""

    plan: Plan
    outcome: TileMapped
    mosaic_mpx_s: float
    start_seconds: float


def try_machine() -> Trial:
    """Map a tile, make its mosaic, and start an interpreter; compiled code is loaded before the clock runs."""
    with tempfile.TemporaryDirectory(prefix="geocrop-trial-") as scratch:
        folder = Path(scratch)
        model = _model_bytes()
        scenes = list(_scenes(folder))
        store = open_store(str(folder / "store"), Settings(home=folder))
        _map(_plan(scenes[:_FILES], model), model, store)
        plan = _plan(scenes, model)
        outcome = _map(plan, model, store)
        seconds = min(_mosaic_seconds(plan, outcome, store, folder / name) for name in ("first", "second"))
    return Trial(plan, outcome, _SIZE**2 / 1e6 / seconds, _start_seconds())


def _map(plan: Plan, model: bytes, store: Store) -> TileMapped:
    store.put_bytes(naming.model_key(plan.card.digest), model)
    result = TileMapper(store).map(plan.tile_job(plan.tiles[0]))
    assert isinstance(result, TileMapped)  # noqa: S101 - every scene is clear
    return result


def _mosaic_seconds(plan: Plan, outcome: TileMapped, store: Store, folder: Path) -> float:
    folder.mkdir()
    start = time.perf_counter()
    make_mosaic(plan, {outcome.tile: outcome}, store, folder, plan.card.classes)
    return time.perf_counter() - start


def _start_seconds() -> float:
    """The command and, after it, the workers side by side load the same libraries."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import steps.work, distributed"], check=True)
    return 2 * (time.perf_counter() - start)


# -- what is made up -----------------------------------------------------------------------------------------------


def _scenes(folder: Path) -> Iterator[Scene]:
    """A season of clear days."""
    rng = np.random.default_rng(0)
    files = [_assets(folder, number, rng) for number in range(_FILES)]
    for number in range(_DAYS):
        day = _SEASON.start + dt.timedelta(days=number * 6)
        yield Scene(
            id=f"trial-{number:03}",
            collection="trial",
            datetime=dt.datetime(day.year, day.month, day.day, 11, tzinfo=dt.UTC),
            solar_day=day,
            footprint=_square(_HALO),
            assets=files[number % _FILES],
        )


def _assets(folder: Path, number: int, rng: np.random.Generator) -> dict[str, Asset]:
    steps = {**dict.fromkeys(_FINE, 10), **dict.fromkeys((*_COARSE, SCL), 20)}
    return {band: _asset(folder / f"{number}-{band}.tif", band, step, rng) for band, step in steps.items()}


def _asset(path: Path, band: str, step: int, rng: np.random.Generator) -> Asset:
    """Fields with some noise, which pack about as well as real ones."""
    left, _, _, top = TileGrid(epsg=_EPSG, size=_SIZE).bounds(_TILE, _HALO)
    side = (_SIZE + 2 * _HALO) * 10 // step
    fields = np.repeat(np.repeat(rng.integers(300, 4000, (18, 18)), -(-side // 18), 0), -(-side // 18), 1)[:side, :side]
    plane = fields + rng.normal(0, 60, (side, side))
    pixels = np.full((side, side), 4, np.uint8) if band == SCL else plane.clip(1).astype(np.uint16)
    write_cog(path, pixels, Affine(step, 0, left, 0, -step, top), nodata=0, epsg=_EPSG)
    transform = (float(step), 0.0, left, 0.0, -float(step), top)
    return Asset(href=str(path), epsg=_EPSG, transform=transform, shape=(side, side))


def _square(grow: int) -> dict[str, Any]:
    """The tile, grown by some pixels, as GeoJSON in lon/lat."""
    left, bottom, right, top = TileGrid(epsg=_EPSG, size=_SIZE).bounds(_TILE, grow)
    ring = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    to_degrees = Transformer.from_crs(_EPSG, 4326, always_xy=True)
    return {"type": "Polygon", "coordinates": [[[*to_degrees.transform(x, y)] for x, y in ring]]}


def _model_bytes() -> bytes:
    rng = np.random.default_rng(0)
    features = len(standard_spec((*_FINE, *_COARSE)).feature_names)
    samples = xgboost.DMatrix(rng.uniform(0, 1, (1000, features)), rng.integers(0, _CLASSES, 1000), nthread=1)
    parameters = {"objective": "multi:softprob", "num_class": _CLASSES, "max_depth": 5, "nthread": 1, "verbosity": 0}
    return bytes(xgboost.train(parameters, samples, _ROUNDS).save_raw("json"))


def _plan(scenes: list[Scene], model: bytes) -> Plan:
    card = ModelCard(
        name="trial",
        model_sha256=hashlib.sha256(model).hexdigest(),
        spec=standard_spec((*_FINE, *_COARSE)),
        classes=tuple(ClassDef(code=code, name=f"class {code}", colour="808080") for code in range(_CLASSES)),
    )
    request = MapRequest(
        aoi=Aoi(name="trial", geometry=_square(-1)),
        season=_SEASON,
        model=ModelRef(name=card.name, version="", digest=card.digest, href=""),
        catalog="",
        collection="trial",
        options=MapOptions(epsg=_EPSG, tile_size=_SIZE),
    )
    return plan_map(request, card, scenes)
