"""The STAC item of a map, and the way back to its plan."""

import datetime as dt
import functools
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pystac
import pytest
import referencing
import shapely
from hypothesis import given, settings
from shapely.geometry import shape

from steps.errors import CatalogError
from steps.model.aoi import Aoi
from steps.model.card import ClassDef, Reference
from steps.model.job import Coverage, Phase, Plan, Reason, SceneFault, TileEmpty, TileFailed, TileMapped, TileOutcome
from steps.naming import MAP_LAYERS
from steps.stac import (
    EXTENSIONS,
    MapFacts,
    MapFile,
    MapRaster,
    item_geometry,
    map_item,
    replay_classes,
    replay_plan,
    with_assessment,
)
from steps.testing import any_card, any_plan, any_request, aois
from steps.versions import pixel_version

SCHEMAS = Path(__file__).parent.parent / "schemas"
CORE = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"
ANY_TIME = dt.datetime(2022, 10, 3, 12, tzinfo=dt.UTC)
OTHER_FILES = {
    "areas": "areas.csv",
    "report": "report.html",
    "style": "map.qml",
    "zones": "zones.gpkg",
    "model": "model.ubj",
}


@functools.cache
def _registry() -> referencing.Registry:
    """The schemas kept with the tests, by the addresses that they refer to each other with. Nothing is fetched."""
    registry: referencing.Registry = referencing.Registry()
    for path in SCHEMAS.glob("*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        resource = referencing.Resource.from_contents(schema)
        address = schema["$id"].rstrip("#").replace("commonjson", "common.json")
        registry = registry.with_resource(address, resource)
    return registry


def _complaints(item: Mapping[str, Any], address: str) -> list[str]:
    schema = _registry()[address].contents
    validator = jsonschema.Draft7Validator(schema, registry=_registry())
    return [error.message for error in validator.iter_errors(json.loads(json.dumps(item)))]


def _outcomes(plan: Plan) -> dict[Any, TileOutcome]:
    outcomes: dict[Any, TileOutcome] = {}
    for entry in plan.tiles:
        key = plan.tile_job(entry).key
        outcomes[entry.tile] = TileMapped(
            tile=entry.tile, planned_key=key, key=key, pixels={Reason.MAPPED: 4096}, scenes=len(entry.scenes)
        )
    return outcomes


def any_facts(plan: Plan, **changes: Any) -> MapFacts:
    """What became of a plan that went well."""
    names = {**{layer: f"{layer}.tif" for layer in MAP_LAYERS}, **OTHER_FILES}
    fields: dict[str, Any] = {
        "coverage": Coverage(phase=Phase.SUCCEEDED, share=1.0, pixels={Reason.MAPPED: 4096}, tiles={}),
        "outcomes": _outcomes(plan),
        "files": [MapFile(name=name, href=f"./{href}", size=12, sha256="ef" * 32) for name, href in names.items()],
        "raster": MapRaster(epsg=32736, transform=(10.0, 0.0, 3e5, 0.0, -10.0, 8.02e6), shape=(64, 128)),
        "areas": {0: 30.0, 1: 10.0},
        "created": ANY_TIME,
    }
    return MapFacts(**(fields | changes))


@pytest.mark.parametrize("address", [CORE, *EXTENSIONS])
def test_the_item_fits_the_schemas(address: str) -> None:
    """An item with every asset is valid against the core and each extension."""
    plan = any_plan()
    assert _complaints(map_item(plan, any_facts(plan)), address) == []


@pytest.mark.parametrize("address", [CORE, *EXTENSIONS])
def test_an_assessed_item_fits_the_schemas(address: str) -> None:
    """With an accuracy assessment an item stays valid, and replays to the same plan."""
    plan = any_plan(pixel_version=pixel_version())
    names = {"assessment": "assessment.json", "assessment-csv": "assessment.csv", "report": "report.html"}
    files = [MapFile(name=name, href=f"./{href}", size=9, sha256="ab" * 32) for name, href in names.items()]
    overall = {"overall": {"value": 0.9, "standard_error": None}}
    item = with_assessment(map_item(plan, any_facts(plan)), overall, files, ANY_TIME)
    assert _complaints(item, address) == []
    assert set(names) <= set(item["assets"])
    assert item["assets"]["report"]["file:checksum"] == f"1220{'ab' * 32}"
    assert item["properties"]["geocrop:assessment"] == overall
    assert replay_plan(json.loads(json.dumps(item))) == plan


@pytest.mark.parametrize("address", [CORE, *EXTENSIONS])
def test_an_item_with_drift_fits_the_schemas(address: str) -> None:
    """With what drift says, under names of our own, an item stays valid, and replays to the same plan."""
    shares = {"red": (0.2, 0.8, 0.0)}
    reference = Reference(edges={"red": (0.1,)}, shares=shares, classes={0: 0.25, 7: 0.75}, points_sha256="ab" * 32)
    plan = any_plan(card=any_card(reference=reference), pixel_version=pixel_version())
    said = {"geocrop:drift_verdict": "do not trust", "geocrop:drift_outside": 0.6, "geocrop:drift_features": {"a": 0.5}}
    item = map_item(plan, any_facts(plan, drift=said))
    assert _complaints(item, address) == []
    assert said.items() <= item["properties"].items()
    assert replay_plan(json.loads(json.dumps(item))) == plan


@pytest.mark.parametrize(
    ("break_it", "address"),
    [
        (lambda item: item.pop("bbox"), CORE),
        (lambda item: item["properties"].pop("end_datetime"), CORE),
        (lambda item: item["assets"]["map"].update({"file:checksum": "XYZ"}), EXTENSIONS[4]),
        (lambda item: item["properties"].update({"proj:shape": [1.5, 2]}), EXTENSIONS[0]),
        (
            lambda item: item["assets"]["map"]["classification:classes"][0].update({"color_hint": "#e3a72f"}),
            EXTENSIONS[1],
        ),
        (lambda item: item["assets"]["map"]["raster:bands"][0].update({"data_type": "byte"}), EXTENSIONS[2]),
        (lambda item: item["properties"].update({"processing:level": 4}), EXTENSIONS[3]),
    ],
)
def test_the_schemas_can_say_no(break_it: Any, address: str) -> None:
    """The validation of these tests finds what is wrong: each schema refuses a broken item."""
    plan = any_plan()
    item = map_item(plan, any_facts(plan))
    break_it(item)
    assert _complaints(item, address)


def test_pystac_opens_it(tmp_path: Path) -> None:
    """Pystac reads the written item without a complaint, and finds assets and times."""
    plan = any_plan()
    (tmp_path / "item.json").write_text(json.dumps(map_item(plan, any_facts(plan))), encoding="utf-8")
    item = pystac.Item.from_file(str(tmp_path / "item.json"))
    assert item.id == plan.job
    assert set(item.assets) == {*MAP_LAYERS, *OTHER_FILES}
    assert item.common_metadata.start_datetime == dt.datetime(2021, 10, 1, tzinfo=dt.UTC)
    assert item.assets["map"].media_type == pystac.MediaType.COG
    assert item.assets["areas"].media_type == "text/csv"
    assert item.assets["map"].get_absolute_href() == str(tmp_path / "map.tif")


def test_the_map_lists_its_classes_with_colours() -> None:
    """The map's classes are the model's, with colours and shares of the area; 255 is nodata, 0 is a class."""
    plan = any_plan()
    classes = map_item(plan, any_facts(plan))["assets"]["map"]["classification:classes"]
    assert [(one["value"], one.get("color_hint")) for one in classes] == [
        (0, "e3a72f"), (1, "b5c334"), (7, "397d49"), (255, None),
    ]  # fmt: skip
    assert [one.get("percentage") for one in classes] == [75.0, 25.0, None, None]
    assert classes[-1]["nodata"] is True


def test_a_class_named_in_another_script_has_a_valid_name() -> None:
    """A class whose name has no ASCII letter keeps it as title, and gets its code as machine name."""
    plan = any_plan()
    facts = any_facts(plan, classes=[ClassDef(code=4, name="玉米", colour="e3a72f")])
    item = map_item(plan, facts)
    assert item["assets"]["map"]["classification:classes"][0]["name"] == "class-4"
    assert item["assets"]["map"]["classification:classes"][0]["title"] == "玉米"
    assert _complaints(item, EXTENSIONS[1]) == []
    assert replay_classes(json.loads(json.dumps(item))) == tuple(facts.classes)


def test_bounds_follow_from_the_transform() -> None:
    """proj:bbox is left, bottom, right, top of the pixels' outer edges."""
    plan = any_plan()
    assert map_item(plan, any_facts(plan))["properties"]["proj:bbox"] == [3e5, 8_019_360.0, 301_280.0, 8.02e6]


def test_provenance_is_whole() -> None:
    """Request, scenes with their offsets, model digest, spec, versions and tile keys are in the item."""
    plan = any_plan()
    properties = map_item(plan, any_facts(plan))["properties"]
    assert properties["geocrop:model"]["digest"] == plan.card.digest
    assert properties["geocrop:plan"]["request"]["season"] == {"start": "2021-10-01", "end": "2022-09-30"}
    assert properties["geocrop:offsets"] == {scene.id: [0.0, "stated"] for scene in plan.scenes}
    assert properties["geocrop:tiles"] == {str(entry.tile): plan.tile_job(entry).key for entry in plan.tiles}
    versions = {"geocrop": "any-code", "geocrop-pixels": "any-pixels", "zlib": zlib.ZLIB_RUNTIME_VERSION}
    assert properties["processing:software"] == versions


def test_replay_gives_the_plan_back() -> None:
    """After a round trip through JSON text, the plan is equal to the one that made the map."""
    plan = any_plan(pixel_version=pixel_version())
    assert replay_plan(json.loads(json.dumps(map_item(plan, any_facts(plan))))) == plan


def _with_integers(value: Any) -> Any:
    """As JavaScript writes numbers: 10.0 becomes 10."""
    if isinstance(value, dict):
        return {key: _with_integers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_integers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def test_replay_survives_other_spellings_of_numbers() -> None:
    """An item that went through a tool which writes 10.0 as 10, and sorts keys, replays to the same tile keys."""
    plan = any_plan(pixel_version=pixel_version())
    item = _with_integers(json.loads(json.dumps(map_item(plan, any_facts(plan)), sort_keys=True)))
    assert [job.key for job in replay_plan(item).tile_jobs()] == [job.key for job in plan.tile_jobs()]


def test_replay_leaves_out_what_could_not_be_read() -> None:
    """A tile that lost a scene replays under the key that it was published under, and the others as planned."""
    plan = any_plan(pixel_version=pixel_version())
    first, second = plan.tiles
    reduced = msgspec.structs.replace(first, scenes=(0, 2))
    fault = SceneFault(scene=plan.scenes[1].id, href="/nowhere/red.tif", error="truncated")
    outcomes = _outcomes(plan)
    outcomes[first.tile] = TileEmpty(
        tile=first.tile,
        planned_key=plan.tile_job(first).key,
        key=plan.tile_job(reduced).key,
        reason=Reason.ALL_CLOUD,
        pixels={Reason.ALL_CLOUD: 4096},
        excluded=(fault,),
    )
    again = replay_plan(json.loads(json.dumps(map_item(plan, any_facts(plan, outcomes=outcomes)))))
    assert again.tiles == (reduced, second)


def test_lost_tiles_are_planned_again() -> None:
    """A tile that failed has no key in the item, and is in the replayed plan as it was in the first."""
    plan = any_plan(pixel_version=pixel_version())
    lost = plan.tiles[0].tile
    outcomes = {**_outcomes(plan), lost: TileFailed(tile=lost, planned_key="x", error="worker lost", exit_code=75)}
    item = map_item(plan, any_facts(plan, outcomes=outcomes))
    assert str(lost) not in item["properties"]["geocrop:tiles"]
    assert replay_plan(item) == plan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda properties: properties.pop("geocrop:plan"), "has no geocrop:plan"),
        (lambda properties: properties["geocrop:plan"].pop("scenes"), "cannot be read"),
        (lambda properties: properties["geocrop:plan"].update(halo=6), "was changed"),
        (lambda properties: properties["geocrop:plan"]["grid"].update(size=-1), "cannot be read"),
        (
            lambda properties: properties["geocrop:tiles"].update(dict.fromkeys(properties["geocrop:tiles"], "0")),
            "another key",
        ),
    ],
)
def test_changed_items_are_refused(change: Any, message: str) -> None:
    """An item that is not ours, or that somebody edited, is refused with what is wrong."""
    plan = any_plan(pixel_version=pixel_version())
    item = map_item(plan, any_facts(plan))
    change(item["properties"])
    with pytest.raises(CatalogError, match=message):
        replay_plan(item)


def test_another_version_of_pixels_is_refused() -> None:
    """A map made with other libraries is not rebuilt under its old keys; the message names both versions."""
    plan = any_plan(pixel_version="geocrop-pixels=0")
    with pytest.raises(CatalogError, match=f"geocrop-pixels=0.*{pixel_version()}"):
        replay_plan(map_item(plan, any_facts(plan)))


@pytest.mark.parametrize("item", [{}, {"properties": None}, {"properties": []}, {"id": "x", "properties": {}}])
def test_other_documents_are_refused(item: dict[str, Any]) -> None:
    """Any JSON object that is no item of ours is a CatalogError, never another exception."""
    with pytest.raises(CatalogError):
        replay_plan(item)
    with pytest.raises(CatalogError):
        replay_classes(item)


@given(aoi=aois())
@settings(deadline=None, max_examples=30)
def test_geometry_is_the_aoi(aoi: Aoi) -> None:
    """Away from the antimeridian the item's geometry is the AOI's, the bbox its bounds."""
    geometry, bbox = item_geometry(aoi)
    assert shape(geometry).equals(shape(aoi.geometry))
    assert tuple(bbox) == shape(aoi.geometry).bounds


@given(aoi=aois(antimeridian=True))
@settings(deadline=None, max_examples=30)
def test_geometry_is_split_at_the_antimeridian(aoi: Aoi) -> None:
    """Over the antimeridian both parts lie within 180 degrees, keep the area, and the bbox's west exceeds its east."""
    geometry, bbox = item_geometry(aoi)
    parts = shape(geometry)
    assert parts.is_valid
    west, south, east, north = parts.bounds
    assert (west, east) == (-180, 180)
    assert parts.area == pytest.approx(shape(aoi.geometry).area)
    assert bbox[0] > 0 > bbox[2]
    assert (bbox[1], bbox[3]) == (south, north)
    assert all(shapely.is_ccw(part.exterior) for part in parts.geoms)
    plan = any_plan(request=any_request(aoi=aoi))
    assert _complaints(map_item(plan, any_facts(plan)), CORE) == []
