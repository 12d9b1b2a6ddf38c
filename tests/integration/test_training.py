"""`geocrop train` on the command line: what it makes, what it says, what it refuses and then leaves behind."""

import csv
import datetime as dt
import json
import re
from collections.abc import Sequence
from pathlib import Path

import geopandas
import msgspec
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from steps import cli
from steps.labels import read_labels
from steps.landscape import Landscape, make_landscape
from steps.layers import pin_raster, read_window
from steps.local import Crew
from steps.model.grid import TileId
from steps.model.job import Plan, TilePlan
from steps.models import load_card
from steps.oof import OOF_FILE, load_oof
from steps.registry import fetch, list_models
from steps.samples import collect_samples, labelled_tiles
from steps.settings import Settings, settings
from steps.testing import ANY_CORNER, ANY_DAY, ANY_EPSG, any_card, any_grid, any_plan, any_spec, tiny_scene


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Landscape:
    """A small landscape with few dates."""
    return make_landscape(tmp_path_factory.mktemp("land") / "land", size_px=192, dates=4, years=(2022,))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where samples and models are kept."""
    monkeypatch.setenv("GEOCROP_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    return tmp_path / "home"


def with_scenes(land: Landscape, labels: Path, *more: str) -> list[str]:
    """A sound command but for the labels."""
    return [
        *("train", "--labels", str(labels), "--season", str(land.season), "--catalog", str(land.catalog)),
        *("--name", "any", *more),
    ]


def table(path: Path, rows: int = 80) -> Path:
    """A ready-made table of two classes, with coordinates."""
    rng = np.random.default_rng(0)
    label = np.arange(rows) % 2
    frame = {
        "class": np.where(label, "maize", "soya"),
        "ndvi": label + rng.normal(0, 0.6, rows),
        "rain": rng.random(rows),
    }
    lon, lat = 30 + 0.05 * (np.arange(rows) // 9), -18 + 0.05 * (np.arange(rows) % 9)
    pd.DataFrame({**frame, "lon": lon, "lat": lat}).to_csv(path, index=False)
    return path


def test_a_table_becomes_a_registered_model(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its scores, the honest one first, and all files of its evaluation; it says that it makes no maps."""
    out = tmp_path / "model"
    command = ["train", "--table", str(table(tmp_path / "a.csv")), "--name", "any", "--out", str(out)]
    assert cli.main([*command, "--search-seconds", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("model any version 1: 2 classes, 2 features")
    assert "blocks of" in said.splitlines()[1]
    assert "(optimistic)" in said.splitlines()[2]
    assert "note: no map can be made with it" in said
    (found,) = list_models(Settings(home=home))
    assert (found.name, found.version) == ("any", "1")
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"model.json", "card.json", "oof.npz", "points.npz", "evaluation/suspects.csv"} <= names
    assert json.loads((out / "card.json").read_text(encoding="utf-8"))["trained"]["table"] == "a.csv"


def test_labels_become_a_registered_model(
    land: Landscape, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Points of a CSV; rows outside of the scenes are named, the samples kept for the next run."""
    parcels = geopandas.read_file(land.labels)
    parcels = parcels[parcels["class"].isin(parcels["class"].value_counts().index[:2])]
    points = parcels.geometry.to_crs(4326).sample_points(5, rng=1).explode()
    rows = [(parcels["class"].loc[place], point.x, point.y) for place, point in points.items()]
    with (tmp_path / "points.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "class", "lon", "lat"), (700, rows[0][0], 10.0, 50.0)])
        csv.writer(file).writerows((number, *row) for number, row in enumerate(rows))
    command = with_scenes(
        land, tmp_path / "points.csv", "--crs", f"EPSG:{land.epsg}", "--legend", str(land.legend), "--quick"
    )
    assert cli.main(command) == 0
    assert re.search(r"note: \d+ labels gave no sample: row 1 \(id 700\)", capsys.readouterr().out)
    (found,) = list_models(Settings(home=home))
    assert (found.name, found.aliases) == ("any", ("champion",))
    assert len(list((home / "samples").glob("*.npz"))) == 1


@pytest.mark.usefixtures("home")
def test_labels_that_are_added_leave_the_folds_as_they_are(
    land: Landscape, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A challenger of the champion's labels and more is compared with it on identical folds, with nothing left out."""
    parcels = geopandas.read_file(land.labels).to_crs(land.epsg)
    one, other = parcels.sindex.query(parcels.buffer(-0.5), predicate="intersects")
    parcels = parcels[np.bincount(one[one != other], minlength=len(parcels)) == 0]
    parcels.to_file(tmp_path / "all.gpkg")
    parcels[np.arange(len(parcels)) % 4 > 0].to_file(tmp_path / "few.gpkg")
    for name in ("few", "all"):
        assert cli.main(with_scenes(land, tmp_path / f"{name}.gpkg", "--legend", str(land.legend), "--quick")) == 0
    assert "note: measured on the folds of the champion any/1" in capsys.readouterr().out
    before, after = (load_oof(fetch(one, settings()) / OOF_FILE) for one in list_models(settings()))
    assert len(after.ids) > len(before.ids)
    cli.main(["promote", "any", "--folder", str(tmp_path / "pins")])
    said = capsys.readouterr()
    assert f"any/2 against any/1: {len(before.ids)} samples in {len(np.unique(before.groups))} units" in said.out
    assert "identical folds (blocks of" in said.out
    assert "held out in others" not in said.out
    assert "folds" not in said.err


def test_a_registry_that_goes_away_costs_no_training(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model stays in a folder that the message names, and is registered from there later."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def away(*_args: object, **_named: object) -> None:
        raise MlflowException("Connection reset by peer")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", away)
        assert cli.main(["train", "--table", str(table(tmp_path / "a.csv")), "--name", "any", "--quick"]) == 75
    (folder,) = (home / "trained").iterdir()
    assert f"`geocrop register {folder}`" in capsys.readouterr().err
    assert list_models(settings()) == []
    assert cli.main(["register", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder} is any/1\n"
    (found,) = list_models(settings())
    assert (found.name, found.aliases) == ("any", ("champion",))


def refused(home: Path, capsys: pytest.CaptureFixture[str], command: Sequence[str], code: int, words: str) -> None:
    """One line with the words, the exit code, and no trace of a model."""
    capsys.readouterr()
    try:
        found = cli.main(list(command))
    except SystemExit as stop:
        found = int(stop.code or 0)
    last = capsys.readouterr().err.splitlines()[-1]
    assert (found, last.startswith("geocrop")) == (code, True), last
    assert words in last
    assert not (home / "mlflow.db").exists()
    assert not (home / "models").exists()


def fields(
    path: Path, land: Landscape, labels: Sequence[str], *, corner: tuple[int, int] = (40, 40), step: int = 14
) -> Path:
    """Square fields of 12 pixels in the landscape, a step of pixels from each other."""
    with rasterio.open(land.truth) as truth:
        west, north = truth.transform.c, truth.transform.f
    left = [west + 10 * (corner[0] + step * number) for number in range(len(labels))]
    top = north - 10 * corner[1]
    shapes = [shapely.box(x, top - 120, x + 120, top) for x in left]
    geopandas.GeoDataFrame({"class": list(labels)}, geometry=shapes, crs=land.epsg).to_file(path)
    return path


def test_bad_labels_are_refused(
    land: Landscape, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By rows and remedy, with exit code 65; nothing is registered."""
    good = fields(tmp_path / "good.gpkg", land, "abab")
    legend = tmp_path / "legend.csv"
    legend.write_text("label,code\na,1\n", encoding="utf-8")
    away = fields(tmp_path / "away.gpkg", land, "abab", corner=(3000, 3000))
    clash = fields(tmp_path / "clash.gpkg", land, "abab", step=6)
    dot = geopandas.GeoDataFrame(
        {"class": ["b"]}, geometry=geopandas.read_file(good).centroid[[1]].values, crs=land.epsg
    )
    both = pd.concat([geopandas.read_file(good).iloc[[0, 2]], dot])
    both.to_file(tmp_path / "few.gpkg")
    cases = [
        (with_scenes(land, away), 65, "no label lies where there are scenes"),
        (with_scenes(land, clash), 65, "rows 1 (a) and 2 (b)"),
        (with_scenes(land, fields(tmp_path / "one.gpkg", land, "aa")), 65, "only the class a has samples"),
        (with_scenes(land, tmp_path / "few.gpkg"), 65, "class b has 1 clear samples (row 3), at least 10"),
        (with_scenes(land, good, "--label-column", "crop"), 65, "has no column crop: it has class"),
        (with_scenes(land, good, "--legend", str(legend)), 65, "label 'b' of row 2 and 1 more"),
        (with_scenes(land, tmp_path / "none.gpkg"), 2, "none.gpkg"),
    ]
    for command, code, words in cases:
        refused(home, capsys, command, code, words)


def test_bad_commands_are_refused(
    land: Landscape, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What does not go together is said before anything is read."""
    good, ready = fields(tmp_path / "good.gpkg", land, "abab"), table(tmp_path / "a.csv")
    cases = [
        (["train", "--name", "any"], 2, "give either --labels, or --table"),
        (with_scenes(land, good, "--table", str(ready)), 2, "give either --labels, or --table"),
        (["train", "--labels", str(good), "--name", "any"], 2, "give --season and --catalog"),
        (["train", "--table", str(ready), "--name", "No Name"], 2, "use a-z, 0-9 and dashes"),
        (["train", "--table", str(ready), "--name", "any", "--search-seconds", "-1"], 2, "--search-seconds"),
        (["train", "--table", str(tmp_path / "none.csv"), "--name", "any"], 65, "none.csv cannot be read"),
        (["train", "--table", str(ready), "--label-column", "rain", "--name", "any"], 65, "clear samples"),
    ]
    for command, code, words in cases:
        refused(home, capsys, command, code, words)


@pytest.mark.usefixtures("home")
def test_workers_make_the_samples_that_one_process_makes(tmp_path: Path) -> None:
    """Areas that are far apart go to worker processes of the local engine; the table is the same."""
    grid = any_grid()
    first = grid.tile_at(ANY_CORNER[0] + 1, ANY_CORNER[1] - 1)
    tiles = [TileId(row=first.row, col=first.col + 40 * number) for number in range(2)]
    rng, scenes, shapes = np.random.default_rng(0), [], []
    for number, tile in enumerate(tiles):
        west, _, _, north = grid.bounds(tile)
        bands = {band: rng.integers(100, 6000, (64, 64)) for band in ("red", "nir")}
        day = ANY_DAY + dt.timedelta(days=number)
        scenes.append(tiny_scene(tmp_path, bands, day=day, corner=(west, north)))
        shapes += [
            shapely.box(west, north - 200, west + 200, north),
            shapely.box(west + 300, north - 200, west + 500, north),
        ]
    geopandas.GeoDataFrame({"class": list("abab")}, geometry=shapes, crs=ANY_EPSG).to_file(tmp_path / "labels.gpkg")
    labels = read_labels(str(tmp_path / "labels.gpkg"), "class", None, "")
    plan: Plan = msgspec.structs.replace(
        any_plan(tiles=1, halo=0, card=any_card(spec=any_spec(bands=("red", "nir"), dilation_m=0.0))),
        scenes=tuple(scenes),
        tiles=tuple(TilePlan(tile=tile, scenes=(number,)) for number, tile in enumerate(tiles)),
    )
    found = [
        collect_samples(plan, labels, labelled_tiles(plan, labels), tmp_path / f"{workers}", crew, lambda *_: None)
        for workers in (1, 2)
        for crew in [Crew(workers=workers, threads=1, memory_mb=2000)]
    ]
    assert found[0].digest == found[1].digest
    assert len(found[0]) == 200


def elevation(land: Landscape, path: Path, width: int | None = None) -> Path:
    """A layer that knows the truth: a model which sees it cannot be wrong; of its western columns only."""
    with rasterio.open(land.truth) as truth:
        values, profile = truth.read(1)[:, :width], truth.profile
    profile |= {"dtype": "float32", "width": values.shape[1], "nodata": -1}
    with rasterio.open(path, "w", **profile) as target:
        target.write(values.astype("float32"), 1)
    return path


def points_of(land: Landscape, path: Path, codes: Sequence[int], *, east: bool) -> Path:
    """Forty points of each of some classes as the truth has them, in one half of the landscape."""
    rng, names = np.random.default_rng(3), {entry.code: entry.name for entry in land.classes}
    with rasterio.open(land.truth) as truth:
        half = np.arange(truth.width) >= truth.width // 2
        found = [np.argwhere((truth.read(1) == code) & (half == east)) for code in codes]
        chosen = [(code, *rng.choice(places)) for code, places in zip(codes, found, strict=True) for _ in range(40)]
        points = shapely.points([truth.xy(row, col) for _, row, col in chosen])
    frame = {"class": [names[code] for code, _, _ in chosen]}
    geopandas.GeoDataFrame(frame, geometry=points, crs=land.epsg).to_file(path)
    return path


def test_a_model_may_have_a_layer_and_clear_classes_of_its_own(
    land: Landscape, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A spec in TOML is trained, mapped and evaluated with its raster; without it, or with half of it, all refuse."""
    spec, model = tmp_path / "spec.toml", tmp_path / "model"
    spec.write_text('clear_classes = [2, 4, 5, 6, 7]\n[[layers]]\nname = "dem"\n', encoding="utf-8")
    dem, half = elevation(land, tmp_path / "dem.tif"), elevation(land, tmp_path / "half.tif", 60)
    with rasterio.open(land.truth) as source:
        codes = np.bincount(source.read(1).ravel()).argsort()[-2:].tolist()
    west = points_of(land, tmp_path / "west.gpkg", codes, east=False)
    train = with_scenes(land, west, "--legend", str(land.legend), "--spec", str(spec), "--quick", "--no-probe")
    refused(home, capsys, train, 65, "needs the layer dem: give it with --layer dem=RASTER")
    refused(home, capsys, [*train, "--layer", f"dem={half}"], 65, "half.tif) does not reach over all of")
    assert cli.main([*train, "--layer", f"dem={dem}", "--out", str(model)]) == 0
    card = load_card(str(model))
    assert card.spec.clear_classes == (2, 4, 5, 6, 7)
    assert card.spec.feature_names[-1] == "dem.value"
    assert card.trained["layers"] == {"dem": pin_raster(str(dem)).version}

    place = [str(land.aoi), "--season", str(land.season), "--catalog", str(land.catalog), "--model", str(model)]
    run = ["run", *place, "--out", str(tmp_path / "store"), "--tile-size", "256", "--workers", "1", "--no-probe"]
    assert cli.main(run) == 65
    assert "needs the layer dem" in capsys.readouterr().err
    assert cli.main([*run, "--layer", f"dem={half}"]) == 65
    assert "does not reach over all of AOI" in capsys.readouterr().err
    assert cli.main([*run, "--layer", f"dem={dem}"]) == 0
    (path,) = (tmp_path / "store").glob("maps/*/map.tif")
    with rasterio.open(path) as source:
        mapped, transform = source.read(1), tuple(source.transform)[:6]
    truth = read_window(pin_raster(str(land.truth)), land.epsg, transform, mapped.shape)[0].data
    assert (mapped == truth)[(mapped != 255) & np.isin(truth, codes)].mean() > 0.95

    east = points_of(land, tmp_path / "east.gpkg", codes, east=True)
    evaluate = ["evaluate", str(model), *with_scenes(land, east)[1:-2], "--no-probe"]
    capsys.readouterr()
    assert cli.main(evaluate) == 65
    assert "needs the layer dem" in capsys.readouterr().err
    assert cli.main([*evaluate, "--layer", f"dem={dem}"]) == 0
    assert float(re.search(r"overall accuracy (\S+)", capsys.readouterr().out)[1]) > 0.95
