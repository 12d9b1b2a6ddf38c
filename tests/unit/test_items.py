"""STAC items of every provider become scenes in one vocabulary."""

import contextlib
import copy
import datetime as dt
import json
import math
import os
from pathlib import Path

import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box, mapping, shape

from steps.errors import CatalogError
from steps.items import absolute_href, asset_names, newest, self_href, tile_of, to_candidate, to_scene, unsigned
from steps.model.scene import REFLECTANCE_BANDS, Scene
from steps.profiles import DE_AFRICA_C1, GENERIC, PLANETARY_COMPUTER, PROFILES, known_collections, profile_for

SHARED = Path(os.environ.get("GEOCROP_SHARED_DATA", Path(__file__).parents[2] / "../shared/data"))
ESA = {"blue": "B02", "red": "B04", "nir08": "B8A", "scl": "SCL"}
WEST, NORTH, EPSG = 499980.0, 5600040.0, 32631


def an_item(keys=("blue", "red", "nir08", "scl"), asset=None, **properties):
    """A Sentinel-2 item over UTM zone 31 with one asset per key, each with the fields of `asset`."""
    to_degrees = pyproj.Transformer.from_crs(EPSG, 4326, always_xy=True)
    footprint = mapping(box(*to_degrees.transform_bounds(WEST, NORTH - 109800, WEST + 109800, NORTH)))
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "S2B_31UES_20220601_0_L2A",
        "collection": "any-collection",
        "geometry": json.loads(json.dumps(footprint)),
        "properties": {"datetime": "2022-06-01T10:50:31Z", "proj:epsg": EPSG, "eo:cloud_cover": 12.5, **properties},
        "links": [{"rel": "self", "href": "https://example.com/items/a.json"}],
        "assets": {key: {"href": f"./{key}.tif", **(asset or {})} for key in keys},
    }


def with_transform(item, west=WEST, epsg=EPSG):
    for asset in item["assets"].values():
        asset |= {"proj:shape": [10980, 10980], "proj:transform": [10, 0, west, 0, -10, NORTH, 0, 0, 1]}
    item["properties"]["proj:epsg"] = epsg
    return item


def red(item, profile=GENERIC):
    return to_scene(item, profile).assets["red"]


def refusal(item) -> str:
    with pytest.raises(CatalogError) as caught:
        to_scene(item, GENERIC)
    assert caught.value.remedy
    return str(caught.value)


# -- real items ----------------------------------------------------------------------------------------------------


def shared_items():
    if not (SHARED / "stac_items").is_dir():
        pytest.skip("the shared real items are not on this machine")
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((SHARED / "stac_items").glob("*json"))]
    return [item for document in documents for item in document.get("features", [document])]


def test_all_real_items_become_scenes_with_every_band():
    """Items of three providers carry thirteen bands under canonical names, unsigned, with a place and a baseline."""
    items = shared_items()
    assert len(items) > 20
    for item in items:
        scene = to_scene(item, profile_for(item["collection"], self_href(item)))
        assert set(scene.assets) == {*REFLECTANCE_BANDS, "scl"}
        assert scene.baseline in ("02.12", "02.14")
        assert all(asset.offset == 0 and asset.epsg and "?" not in asset.href for asset in scene.assets.values())
        assert scene.assets["red"].shape == (10980, 10980)
        assert scene.assets["scl"].shape == (5490, 5490)
        assert len(tile_of(item)) == 5


def test_real_providers_are_told_apart():
    """The profile comes from the collection, and from the catalog's host where ids collide."""
    found = {profile_for(item["collection"], self_href(item)).name for item in shared_items()}
    assert found == {"earth-search-v0", "planetary-computer", "generic"}
    assert profile_for("sentinel-2-l2a", "https://earth-search.aws.element84.com/v1").name == "earth-search-v1"


def test_a_scene_across_the_date_line_keeps_its_local_day():
    """06VVN in Alaska is seen at 21:25 UTC, which is noon of the same day there."""
    item = next(item for item in shared_items() if "06VVN" in item["id"])
    assert to_scene(item, PLANETARY_COMPUTER).solar_day == dt.date(2019, 6, 29)


# -- offsets -------------------------------------------------------------------------------------------------------

RASTER = {"raster:bands": [{"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": -0.1}]}
NO_SHIFT = {"raster:bands": [{"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": 0}]}
FLAG = "earthsearch:boa_offset_applied"
BASELINE = "s2:processing_baseline"


@pytest.mark.parametrize(
    ("asset", "properties", "offset", "source"),
    [
        (RASTER, {FLAG: True, BASELINE: "05.09"}, 0.0, "applied"),
        (RASTER, {"sentinel:boa_offset_applied": True}, 0.0, "applied"),
        (RASTER, {FLAG: False, BASELINE: "05.09"}, -0.1, "stated"),
        (RASTER, {BASELINE: "05.09"}, -0.1, "stated"),
        (RASTER, {}, -0.1, "stated"),
        (NO_SHIFT, {FLAG: False, BASELINE: "02.14"}, 0.0, "stated"),
        (NO_SHIFT, {FLAG: False, BASELINE: "04.00"}, -0.1, "baseline"),
        (NO_SHIFT, {BASELINE: "05.09"}, 0.0, "stated"),
        ({}, {BASELINE: "04.00"}, -0.1, "baseline"),
        ({}, {BASELINE: "05.11"}, -0.1, "baseline"),
        ({}, {BASELINE: "5.11"}, -0.1, "baseline"),
        ({}, {BASELINE: "99.99"}, -0.1, "baseline"),
        ({}, {BASELINE: "03.01"}, 0.0, "baseline"),
        ({}, {"sentinel:processing_baseline": "04.00", "sentinel:boa_offset_applied": True}, 0.0, "applied"),
        ({}, {"processing:version": "05.11"}, -0.1, "baseline"),
        ({}, {"s2:product_uri": "S2B_MSIL2A_20220601T105031_N0400_R051_T31UES_20220601T1.SAFE"}, -0.1, "baseline"),
        ({}, {"sentinel:product_id": "S2B_MSIL2A_20200714T115221_N0214_R123_T28QCH_20200714T1"}, 0.0, "baseline"),
        ({}, {}, 0.0, "none"),
        ({"raster:scale": 0.0001, "raster:offset": -0.1}, {}, -0.1, "stated"),
        ({"bands": [{"name": "B04", "raster:scale": 0.0001, "raster:offset": -0.1}]}, {}, -0.1, "stated"),
        ({"raster:bands": [{"scale": 0.0001, "offset": -1000}]}, {}, -0.1, "stated"),
    ],
)
def test_offsets_are_resolved(asset, properties, offset, source):
    """Applied beats stated, stated beats the baseline, and the scene says which it was."""
    scene = to_scene(an_item(asset=asset, **properties), GENERIC)
    assert scene.assets["red"].offset == pytest.approx(offset)
    assert scene.assets["red"].scale == 0.0001
    assert scene.offset_source == source
    assert (scene.assets["scl"].scale, scene.assets["scl"].offset) == (1.0, 0.0)


def test_planetary_computer_states_no_offset():
    """Its items only have the baseline, and ESA's names."""
    item = an_item(("B02", "B04", "B8A", "SCL"), **{BASELINE: "05.10"})
    scene = to_scene(item, PLANETARY_COMPUTER)
    assert set(scene.assets) == set(ESA)
    assert {scene.assets[band].offset for band in ("blue", "red", "nir08")} == {-0.1}


@pytest.mark.parametrize("keys", [("B02", "B04", "B8A", "SCL"), ("blue", "red", "nir08", "scl")])
@pytest.mark.parametrize("asset", [RASTER, {}])
def test_de_africa_collection_1(keys, asset):
    """-0.1 reflectance whether or not the item repeats it, under either set of names, from a public bucket."""
    item = an_item(keys, asset)
    item["collection"] = "s2_l2a_c1"
    for key in keys:
        item["assets"][key]["href"] = f"s3://deafrica-sentinel-2-l2a-c1/31/U/{key}.tif"
    profile = profile_for(item["collection"], "https://explorer.digitalearth.africa/stac")
    assert profile is DE_AFRICA_C1
    assert red(item, profile).offset == pytest.approx(-0.1)
    assert red(item, profile).href == (
        f"https://deafrica-sentinel-2-l2a-c1.s3.af-south-1.amazonaws.com/31/U/{keys[1]}.tif"
    )


def test_defaults_written_out_are_no_scale():
    """Scale 1 and offset 0 on integers are the raster extension's defaults, not reflectance."""
    assert red(an_item(asset={"raster:bands": [{"data_type": "uint16", "scale": 1, "offset": 0}]})).scale == 1e-4
    assert red(an_item(asset={"raster:bands": [{"data_type": "float32", "scale": 1, "offset": 0}]})).scale == 1


# -- STAC versions -------------------------------------------------------------------------------------------------


def test_stac_1_1():
    """proj:code, bands with raster:scale and raster:offset, nodata on the asset, checksums."""
    asset = {
        "bands": [{"name": "B04", "eo:common_name": "red", "raster:scale": 0.0001, "raster:offset": -0.1}],
        "data_type": "uint16",
        "nodata": 0,
        "file:checksum": "1220abcd",
        "proj:shape": [5490, 5490],
        "proj:transform": [20, 0, WEST, 0, -20, NORTH],
    }
    item = an_item(asset=asset)
    item["stac_version"] = "1.1.0"
    item["properties"]["proj:code"] = f"EPSG:{item['properties'].pop('proj:epsg')}"
    found = red(item)
    assert (found.epsg, found.shape, found.version, found.nodata) == (EPSG, (5490, 5490), "1220abcd", 0)
    assert found.transform == (20, 0, WEST, 0, -20, NORTH)


def test_assets_state_their_own_projection():
    """What stands at the asset wins over what stands at the item."""
    item = with_transform(an_item())
    item["properties"] |= {"proj:shape": [1, 1], "proj:epsg": 4326}
    for asset in item["assets"].values():
        asset["proj:epsg"] = EPSG
    assert (red(item).epsg, red(item).shape) == (EPSG, (10980, 10980))


@pytest.mark.parametrize("code", [{"proj:epsg": None}, {"proj:code": "ESRI:102022", "proj:epsg": EPSG}])
def test_a_crs_without_epsg_is_left_to_the_file(code):
    """Null, or another authority's code: read it from the file."""
    item = an_item()
    del item["properties"]["proj:epsg"]
    item["properties"] |= code
    assert red(item).epsg is None


def test_assets_are_found_by_the_name_of_their_band():
    """An unknown key is resolved by eo:bands; previews with three bands are not."""
    item = an_item(())
    item["assets"] = {
        "visual": {"href": "v.tif", "eo:bands": [{"name": "B04"}, {"name": "B03"}, {"name": "B02"}]},
        "band4": {"href": "4.tif", "eo:bands": [{"name": "B04", "common_name": "red"}]},
        "blue-jp2": {"href": "2.jp2", "eo:bands": [{"name": "blue"}]},
    }
    assert asset_names(item, GENERIC) == ["red"]
    assert red(item).href == "https://example.com/items/4.tif"


def test_wanted_bands_only():
    """A scene holds the bands asked for and the classification."""
    assert set(to_scene(an_item(), GENERIC, bands=("red", "swir22")).assets) == {"red", "scl"}


def test_every_known_collection_has_one_profile_per_host():
    """Ids resolve, and every profile knows every band."""
    assert {"sentinel-s2-l2a-cogs", "sentinel-2-l2a", "s2_l2a", "s2_l2a_c1"} <= known_collections()
    assert all(set(profile.assets) == {*REFLECTANCE_BANDS, "scl"} for profile in PROFILES)


# -- when and where ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "west", "day"),
    [
        ("2022-06-01T10:50:31Z", 3, dt.date(2022, 6, 1)),
        ("2022-06-01T23:30:00Z", 150, dt.date(2022, 6, 2)),
        ("2022-06-01T00:30:00Z", -150, dt.date(2022, 5, 31)),
        ("2022-06-01T12:50:31+02:00", 3, dt.date(2022, 6, 1)),
        ("2022-06-01T22:40:00Z", 179.5, dt.date(2022, 6, 1)),
    ],
)
def test_solar_day(when, west, day):
    """The date is local solar time at the footprint's centre."""
    item = an_item()
    item["geometry"] = mapping(box(west, -18, west + 1, -17))
    item["properties"] |= {"datetime": when, "proj:epsg": None}
    scene = to_scene(item, GENERIC)
    assert scene.solar_day == day
    assert scene.datetime.utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    "geometry",
    [
        {
            "type": "MultiPolygon",
            "coordinates": [
                [list(box(179.5, -18, 180, -17).exterior.coords)],
                [list(box(-180, -18, -179.5, -17).exterior.coords)],
            ],
        },
        {"type": "Polygon", "coordinates": [[[179.5, -18], [-179.5, -18], [-179.5, -17], [179.5, -17], [179.5, -18]]]},
        None,
    ],
)
def test_footprints_over_the_antimeridian_run_on(geometry):
    """Split, unsplit and bbox-only footprints all span one degree."""
    item = an_item()
    item["properties"]["proj:epsg"] = None
    item |= {"geometry": geometry, "bbox": [179.5, -18, -179.5, -17]}
    assert shape(to_scene(item, GENERIC).footprint).bounds == (179.5, -18, 180.5, -17)


def test_a_crs_that_contradicts_the_footprint_is_named():
    """Zone 32 instead of 31 would silently map another place."""
    assert to_scene(with_transform(an_item()), GENERIC)
    message = refusal(with_transform(an_item(), epsg=32633))
    assert "S2B_31UES_20220601_0_L2A states EPSG:32633" in message
    assert "outside of its footprint" in message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": None}, "without a usable id"),
        ({"assets": []}, "has no assets"),
        ({"properties": None}, "has no properties"),
        ({"geometry": None}, "no usable footprint"),
        ({"geometry": {"type": "Point", "coordinates": [3, 50]}}, "no usable footprint"),
        (
            {"geometry": {"type": "Polygon", "coordinates": [[[math.nan, 1], [2, 2], [3, 1], [math.nan, 1]]]}},
            "footprint",
        ),
    ],
)
def test_broken_items_are_named(change, says):
    """Each fault is a CatalogError with the item's id."""
    assert says in refusal(an_item() | change)


@pytest.mark.parametrize(
    ("properties", "asset", "says"),
    [
        ({"datetime": "yesterday"}, {}, "has the datetime 'yesterday'"),
        ({"datetime": None}, {}, "has the datetime ''"),
        ({"proj:epsg": 999999}, {}, "EPSG:999999 for blue, which does not exist"),
        ({"proj:epsg": "32631"}, {}, "does not exist"),
        ({"proj:code": 32631}, {}, "states the CRS '32631'"),
        ({}, {"proj:transform": [1, 2, 3]}, "no list of 6 numbers"),
        ({}, {"proj:transform": [0, 0, 1, 0, 0, 1]}, "without pixels"),
        ({}, {"proj:shape": [10.5, 1]}, "is no size"),
        ({}, {"raster:scale": 0}, "states the scale 0"),
        ({}, {"raster:scale": "a"}, "states the scale a"),
        ({}, {"raster:offset": math.inf}, "states the offset inf"),
        ({}, {"href": None}, "unusable href"),
        ({}, {"href": "file:///etc/passwd"}, "a remote catalog may only refer to remote files"),
        ({}, {"href": "/vsizip//etc/a.zip"}, "a remote catalog may only refer to remote files"),
        ({}, {"href": "/vsicurl/file:///etc/passwd"}, "a remote catalog may only refer to remote files"),
        ({}, {"href": "ftp://example.com/a.tif"}, "a remote catalog may only refer to remote files"),
    ],
)
def test_broken_metadata_is_named(properties, asset, says):
    """Metadata that would give wrong pixels is refused, not guessed."""
    item = an_item(asset=asset)
    item["properties"] |= properties
    assert says in refusal(item)


# -- hrefs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("href", "base", "expected"),
    [
        ("./a.tif", "/data/cat/item/i.json", "/data/cat/item/a.tif"),
        ("../b/a.tif", "/data/cat/item/i.json", "/data/cat/b/a.tif"),
        ("/abs/a.tif", "/data/cat/i.json", "/abs/a.tif"),
        ("file:///abs/a%20b.tif", "/data/i.json", "/abs/a b.tif"),
        ("a.tif", "https://h.org/c/i.json", "https://h.org/c/a.tif"),
        ("/a.tif", "https://h.org/c/i.json", "https://h.org/a.tif"),
        ("../a.tif", "s3://bucket/c/i.json", "s3://bucket/a.tif"),
        ("s3://bucket/a.tif", "/data/i.json", "s3://bucket/a.tif"),
        ("/vsis3/bucket/a.tif", "/data/i.json", "s3://bucket/a.tif"),
        ("/vsicurl/https://h.org/a.tif", "https://h.org/i.json", "https://h.org/a.tif"),
        ("s3://sentinel-cogs/a/B04.tif", "", "https://sentinel-cogs.s3.us-west-2.amazonaws.com/a/B04.tif"),
        ("https://h.org/a.tif?sv=1&se=2&sp=r&sig=x", "", "https://h.org/a.tif"),
        ("T31UES_20220601T10:50.tif", "https://h.org/i.json", "https://h.org/T31UES_20220601T10:50.tif"),
    ],
)
def test_hrefs_become_absolute(href, base, expected):
    """One spelling for one file, whatever the catalog wrote."""
    assert absolute_href(href, base) == expected


@pytest.mark.parametrize(
    ("signed", "plain"),
    [
        ("https://a.org/x.tif?X-Amz-Signature=1&X-Amz-Date=2&versionId=7", "https://a.org/x.tif?versionId=7"),
        ("https://a.org/x.tif?AWSAccessKeyId=1&Signature=2&Expires=3", "https://a.org/x.tif"),
        ("https://a.org/x.tif?token=abc", "https://a.org/x.tif"),
        ("https://user:secret@a.org/x.tif", "https://a.org/x.tif"),
        ("https://a.org/x.tif?st=2&sp=3", "https://a.org/x.tif?st=2&sp=3"),
        ("https://a.org/x%20y.tif?a=b%2Fc", "https://a.org/x%20y.tif?a=b%2Fc"),
    ],
)
def test_signatures_are_stripped(signed, plain):
    """Only what signs is dropped; the rest of the query selects the file."""
    assert unsigned(signed) == plain


def test_a_relative_href_needs_a_base():
    """An item from nowhere with relative hrefs cannot be read."""
    item = an_item()
    item["links"] = []
    assert "relative to nothing" in refusal(item)


# -- reprocessing --------------------------------------------------------------------------------------------------


def reprocessed(name, baseline, updated="2022-06-02T00:00:00Z", **changes):
    item = an_item(**{BASELINE: baseline, "updated": updated, "s2:mgrs_tile": "31UES"})
    item["id"] = name
    return to_candidate(item | changes, GENERIC)


def test_the_newest_baseline_is_kept_then_the_newest_version():
    """Of one granule processed again only the last stays."""
    old, new = reprocessed("old", "03.01"), reprocessed("new", "05.00", updated="2021-01-01T00:00:00Z")
    newer = reprocessed("newer", "05.00")
    assert [scene.id for scene in newest([new, old, newer])] == ["newer"]


def test_other_granules_of_the_day_stay():
    """Another tile, another second and another part of the same tile are no duplicates."""
    west, east = mapping(box(2.9, 49, 3.5, 50)), mapping(box(3.4, 49, 4.1, 50))
    candidates = [
        reprocessed("west", "05.00", geometry=west),
        reprocessed("east", "05.00", geometry=east),
        reprocessed("later", "05.00", properties=an_item(datetime="2022-06-01T10:50:46Z")["properties"]),
    ]
    assert [scene.id for scene in newest(candidates)] == ["east", "later", "west"]


def test_the_same_id_twice_is_one_scene():
    """Two search boxes over the antimeridian may return one item twice."""
    assert len(newest([reprocessed("a", "05.00"), reprocessed("a", "05.00")])) == 1


def test_scenes_are_sorted_by_solar_day_then_id():
    """Whatever order the catalog has."""
    days = [("b", 2), ("a", 2), ("c", 1)]
    found = newest(
        to_candidate(an_item(datetime=f"2022-06-0{day}T10:50:31Z") | {"id": name}, GENERIC) for name, day in days
    )
    assert [scene.id for scene in found] == ["c", "a", "b"]


# -- fuzz ----------------------------------------------------------------------------------------------------------

BASE_ITEM = with_transform(an_item(asset=dict(RASTER), **{BASELINE: "05.09", FLAG: False, "s2:mgrs_tile": "31UES"}))
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["EPSG:32631", "https://a/b", "2022-06-01", [], {}, [[]], [1, 2, 3, 4, 5, 6], -0.1, "../x", "9999-12-31"]
    ),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(node, path=()):
    yield path
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(inner, (*path, key))


PLACES = [path for path in places(BASE_ITEM) if path]


@settings(deadline=None, max_examples=400)
@given(st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=3))
def test_mutated_items_give_a_scene_or_an_error_of_ours(changes):
    """Whatever stands anywhere in an item, nothing else is raised, and a scene can be hashed."""
    item = copy.deepcopy(BASE_ITEM)
    for path, value in changes:
        node = item
        with contextlib.suppress(KeyError, IndexError, TypeError):
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
    with contextlib.suppress(CatalogError):
        candidate = to_candidate(item, GENERIC)
        assert isinstance(candidate.scene, Scene)
        assert all(math.isfinite(asset.scale + asset.offset) for asset in candidate.scene.assets.values())
        assert newest([candidate]) == [candidate.scene]
