"""The export from Earth Engine, with a stand-in that notes what is asked: the service itself wants an account."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest

PROGRAM = Path(__file__).parents[2] / "infra/earth-engine/export_dynamic_world.py"
AREA = {"type": "Polygon", "coordinates": [[[31, -18], [32, -18], [32, -17], [31, -18]]]}


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("export_dynamic_world", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("longitude", "latitude", "zone"),
    [(31.05, -17.8, "EPSG:32736"), (4.35, 50.85, "EPSG:32631"), (-180, 10, "EPSG:32601"), (179.9, 10, "EPSG:32660")],
)
def test_the_zone_is_that_of_the_place(program: ModuleType, longitude: float, latitude: float, zone: str) -> None:
    """Each 6 degrees wide, north and south."""
    assert program.utm_of(longitude, latitude) == zone


def test_geometries_are_found_in_any_document(program: ModuleType) -> None:
    """A geometry, a feature, or several."""
    feature = {"type": "Feature", "geometry": AREA, "properties": {}}
    assert program.geometry_of(AREA) == AREA
    assert program.geometry_of(feature) == AREA
    several = program.geometry_of({"type": "FeatureCollection", "features": [feature, feature]})
    assert several == {"type": "GeometryCollection", "geometries": [AREA, AREA]}


def test_a_task_is_started_for_each_year(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the place that was named, as bytes at 10 m in the area's zone."""
    earth = MagicMock()
    earth.Geometry.return_value.centroid.return_value.coordinates.return_value.getInfo.return_value = [31.5, -17.5]
    monkeypatch.setitem(sys.modules, "ee", earth)
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps(AREA), encoding="utf-8")
    arguments = [str(path), "--years", "2019", "2021", "--project", "any", "--drive", "folder"]
    assert program.main(arguments) == 0
    asked = [one.kwargs for one in earth.batch.Export.image.toDrive.call_args_list]
    assert [one["fileNamePrefix"] for one in asked] == [f"dynamic-world-{year}" for year in (2019, 2020, 2021)]
    assert {(one["folder"], one["scale"], one["crs"]) for one in asked} == {("folder", 10, "EPSG:32736")}
    assert capsys.readouterr().out.count("task") == 6


@pytest.mark.parametrize("years", [["2014"], []])
def test_years_without_data_are_refused(program: ModuleType, years: list[str]) -> None:
    """It begins in 2015."""
    with pytest.raises(SystemExit) as stop:
        program.parse(["any", "--years", *years, "--project", "any", "--drive", "any"])
    assert stop.value.code == 2
    assert isinstance(program.parse(["a", "--years", "2015", "--project", "b", "--bucket", "c"]), argparse.Namespace)
