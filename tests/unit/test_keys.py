import json
import locale
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.items import unsigned
from steps.model.card import Reference
from steps.model.digest import canonical_json, digest
from steps.model.grid import TileId
from steps.model.job import RasterRef, TileJob
from steps.model.scene import SCL, Scene
from steps.model.spec import FeatureSpec, Index, Layer, Percentiles
from steps.testing import ANY_INDEX, any_asset, any_card, any_classes, any_plan, any_scene, any_season, scenes

replace = msgspec.structs.replace
numbers = st.floats(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | st.integers() | numbers | st.text()


@pytest.fixture
def job() -> TileJob:
    """A tile with two scenes."""
    plan = any_plan(scenes=2)
    return plan.tile_job(plan.tiles[0])


def with_scene(job: TileJob, **changes: Any) -> TileJob:
    """The job with its second scene changed."""
    return replace(job, scenes=(job.scenes[0], replace(job.scenes[1], **changes)))


def with_asset(job: TileJob, band: str, **changes: Any) -> TileJob:
    """The job with an asset of its second scene changed."""
    assets = job.scenes[1].assets
    return with_scene(job, assets={**assets, band: replace(assets[band], **changes)})


def with_spec(job: TileJob, **changes: Any) -> TileJob:
    """The job with another feature spec."""
    return replace(job, card=replace(job.card, spec=replace(job.card.spec, **changes)))


def other_hemisphere(job: TileJob) -> TileJob:
    """The job in the northern zone."""
    return replace(job, grid=replace(job.grid, epsg=32636))


JOB_CHANGES: dict[str, Callable[[TileJob], TileJob]] = {
    "epsg": other_hemisphere,
    "tile size": lambda job: replace(job, grid=replace(job.grid, size=128)),
    "resolution": lambda job: replace(job, grid=replace(job.grid, resolution=20.0)),
    "tile row": lambda job: replace(job, tile=TileId(row=job.tile.row + 1, col=job.tile.col)),
    "tile column": lambda job: replace(job, tile=TileId(row=job.tile.row, col=job.tile.col + 1)),
    "tile transposed": lambda job: replace(job, tile=TileId(row=job.tile.col, col=job.tile.row)),
    "season start": lambda job: replace(job, season=any_season(job.season.start.replace(day=2), 364)),
    "season end": lambda job: replace(job, season=any_season(job.season.start, 364)),
    "a scene less": lambda job: replace(job, scenes=job.scenes[:1]),
    "scenes in another order": lambda job: replace(job, scenes=job.scenes[::-1]),
    "no scenes": lambda job: replace(job, scenes=()),
    "halo": lambda job: replace(job, halo=job.halo + 2),
    "pixel version": lambda job: replace(job, pixel_version="other"),
    "probabilities": lambda job: replace(job, probabilities=True),
    "layers": lambda job: replace(job, layers={"dem": RasterRef(href="/dem.tif", version="1")}),
    "layer content": lambda job: replace(job, layers={"dem": RasterRef(href="/dem.tif", version="2")}),
    "model bytes": lambda job: replace(job, card=any_card(model_sha256="cd" * 32)),
    "learner": lambda job: replace(job, card=any_card(learner="forest")),
    "class codes": lambda job: replace(
        job, card=any_card(classes=tuple(replace(entry, code=entry.code + 1) for entry in any_classes()))
    ),
    "calibration": lambda job: replace(job, card=any_card(temperature=1.5)),
    "class order": lambda job: replace(job, card=any_card(classes=any_classes()[::-1])),
}
SCENE_CHANGES: dict[str, Callable[[TileJob], TileJob]] = {
    "scene id": lambda job: with_scene(job, id="other"),
    "scene collection": lambda job: with_scene(job, collection="other"),
    "scene day": lambda job: with_scene(job, solar_day=job.season.end),
    "scene baseline": lambda job: with_scene(job, baseline="05.09"),
    "scene version": lambda job: with_scene(job, version="2024-01-01"),
    "a band more": lambda job: with_scene(job, assets={**job.scenes[1].assets, "blue": any_asset("blue")}),
    "asset offset": lambda job: with_asset(job, "red", offset=-0.1),
    "asset scale": lambda job: with_asset(job, "red", scale=1e-3),
    "asset nodata": lambda job: with_asset(job, "red", nodata=None),
    "asset version": lambda job: with_asset(job, "nir", version="other"),
    "asset href": lambda job: with_asset(job, "red", href="/elsewhere/red.tif"),
    "asset epsg": lambda job: with_asset(job, "red", epsg=32735),
    "asset transform": lambda job: with_asset(job, "red", transform=(10.0, 0.0, 300_010.0, 0.0, -10.0, 8_020_000.0)),
    "asset shape": lambda job: with_asset(job, "red", shape=(1, 1)),
    "scl version": lambda job: with_asset(job, SCL, version="other"),
    "bands exchanged": lambda job: with_scene(
        job, assets={**job.scenes[1].assets, "red": job.scenes[1].assets["nir"], "nir": job.scenes[1].assets["red"]}
    ),
}
SPEC_CHANGES: dict[str, dict[str, Any]] = {
    "bands": {"bands": ("red", "nir", "green")},
    "band order": {"bands": ("nir", "red")},
    "resolution": {"resolution": 20.0},
    "season_days": {"season_days": 366},
    "periods": {"periods": 6},
    "clear_classes": {"clear_classes": (2, 4, 5, 6, 7)},
    "dilate_classes": {"dilate_classes": (8, 9)},
    "dilation_m": {"dilation_m": 40.0},
    "resampling": {"resampling": "bilinear"},
    "gap_limit": {"gap_limit": 2},
    "indices": {"indices": (replace(ANY_INDEX, gain=2.0),)},
    "composites": {"composites": ("red",)},
    "composite order": {"composites": ("ndvi", "red")},
    "counts": {"counts": True},
    "percentiles": {"percentiles": (Percentiles(of="red", percents=(10,)),)},
    "amplitudes": {"amplitudes": ("ndvi",)},
    "phenology": {"phenology": ("ndvi",)},
    "layers": {"layers": (Layer(name="dem"),)},
}


@pytest.mark.parametrize("name", [*JOB_CHANGES, *SCENE_CHANGES])
def test_what_changes_pixels_changes_the_key(job: TileJob, name: str):
    """Every part of a job and its scenes that pixels depend on is in the key."""
    assert (JOB_CHANGES | SCENE_CHANGES)[name](job).key != job.key


@pytest.mark.parametrize("name", SPEC_CHANGES)
def test_a_feature_spec_is_in_the_key(job: TileJob, name: str):
    """Every field of a feature spec changes the key, also where it looks like a matter of taste."""
    assert with_spec(job, **SPEC_CHANGES[name]).key != job.key


def test_no_field_is_forgotten():
    """A field that is added to a job, scene, asset or spec must be put on one side or the other in this file."""
    said = {
        TileJob: {"grid", "tile", "season", "scenes", "card", "halo", "pixel_version", "probabilities", "layers"}
        | {"exclude_bad_scenes"},
        Scene: {"id", "collection", "datetime", "solar_day", "footprint", "assets", "cloud_cover", "baseline"}
        | {"version", "offset_source"},
        type(any_asset()): {"href", "epsg", "transform", "shape", "nodata", "scale", "offset", "version"},
        FeatureSpec: {*SPEC_CHANGES} - {"band order", "composite order"} | {"version"},
        Index: {"name", "numerator", "denominator", "numerator_const", "denominator_const", "gain"},
    }
    for struct, fields in said.items():
        assert {field.name for field in msgspec.structs.fields(struct)} == fields


def test_every_change_has_a_key_of_its_own(job: TileJob):
    """No two of the changes above fall on one key."""
    keys = [change(job).key for change in (JOB_CHANGES | SCENE_CHANGES).values()]
    keys += [with_spec(job, **change).key for change in SPEC_CHANGES.values()]
    assert len({*keys}) == len(keys)


@pytest.mark.parametrize(
    "same",
    [
        lambda job: with_scene(job, cloud_cover=99.0),
        lambda job: with_scene(job, cloud_cover=None),
        lambda job: with_scene(job, offset_source="probe"),
        lambda job: with_scene(job, assets=dict(reversed(job.scenes[1].assets.items()))),
        lambda job: replace(job, exclude_bad_scenes=False),
        lambda job: replace(job, card=any_card(name="renamed", version="4", trained={"a": 1}, scores={"b": 2})),
        lambda job: replace(
            job, card=any_card(classes=tuple(replace(c, name=c.name.upper(), colour="000000") for c in any_classes()))
        ),
        lambda job: replace(job, card=any_card(reference=Reference(edges={}, shares={}, classes={0: 1.0}))),
        lambda job: with_spec(job, resolution=10),
        lambda job: msgspec.json.decode(msgspec.json.encode(job), type=TileJob),
    ],
    ids=[
        "clouds",
        "no clouds",
        "offset source",
        "asset order",
        "policy",
        "model name",
        "colours",
        "reference",
        "int",
        "json",
    ],
)
def test_what_changes_no_pixel_keeps_the_key(job: TileJob, same: Callable[[TileJob], TileJob]):
    """Clouds, an offset's source, names, colours, reference, dict order, the way through JSON: none is in the key."""
    assert same(job).key == job.key


@settings(deadline=None, max_examples=30)
@given(scenes(), scenes())
def test_scenes_with_one_digest_have_the_same_pixels(first: Scene, second: Scene):
    """Two scenes share a digest exactly when they agree in all but cloud cover and the offset's source."""
    fields = ("id", "collection", "solar_day", "baseline", "version", "assets")
    same = all(getattr(first, name) == getattr(second, name) for name in fields)
    assert (first.pixels == second.pixels) == same


def test_a_replaced_scene_forgets_its_digest():
    """A scene's digest is kept with it, but never goes over to a changed copy."""
    scene = any_scene()
    before = scene.pixels
    assert replace(scene, version="other").pixels != before
    assert replace(any_card(), model_sha256="0").digest != any_card().digest


def test_signatures_are_not_in_the_key(job: TileJob):
    """An href has the same key whatever token it was signed with, since the token is taken off before."""
    urls = [f"https://host/red.tif?se=2024-01-0{day}&sp=r&sv=2023&sr=c&sig=abc{day}" for day in (1, 2)]
    keys = {with_asset(job, "red", href=unsigned(url)).key for url in urls}
    assert len(keys) == 1
    assert keys != {with_asset(job, "red", href=unsigned("https://host/other.tif")).key}


def test_the_locale_is_not_in_the_key(job: TileJob):
    """A decimal comma changes nothing, and neither do another process and its hash seed."""
    available = [name for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8", "C") if _set(name)]
    expected = job.key
    for name in available:
        locale.setlocale(locale.LC_ALL, name)
        assert with_scene(job, cloud_cover=1.5).key == expected
    locale.setlocale(locale.LC_ALL, "C")
    code = (
        "from steps.testing import any_plan; p = any_plan(scenes=2); "
        "print(p.tile_job(p.tiles[0]).key, p.card.digest, p.job)"
    )
    environment = {"PYTHONHASHSEED": "7", "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "1"}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, env=environment
    )
    plan = any_plan(scenes=2)
    assert out.stdout.split() == [expected, plan.card.digest, plan.job]


def _set(name: str) -> bool:
    try:
        locale.setlocale(locale.LC_ALL, name)
    except locale.Error:
        return False
    return True


@settings(deadline=None)
@given(st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12))
def test_canonical_json_is_ascii_json(value: Any):
    """Whatever the value, its canonical form is ASCII that any JSON reader takes."""
    json.loads(canonical_json(value).decode("ascii"))


@settings(deadline=None)
@given(st.dictionaries(st.text(), numbers))
def test_dict_order_has_no_digest(value: dict[str, float]):
    """Two dicts that are equal have one digest."""
    assert digest(dict(reversed(value.items()))) == digest(value)


@settings(deadline=None)
@given(numbers, numbers)
def test_floats_differ_to_the_last_bit(one: float, other: float):
    """Two floats share a digest only when they are equal."""
    assert (digest(one) == digest(other)) == (one == other)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_has_no_key(value: float):
    """NaN and infinity are refused in a key: they would compare equal to nothing, or to everything."""
    with pytest.raises(ValueError, match="no canonical form"):
        digest({"scale": value})


def test_keys_of_many_tiles_are_cheap():
    """A tile's key does not cost its scenes' digests again: 500 tiles with 140 scenes take less than two seconds."""
    import time

    plan = any_plan(tiles=500, scenes=140)
    start = time.perf_counter()
    keys = {job.key for job in plan.tile_jobs()}
    assert len(keys) == 500
    assert time.perf_counter() - start < 2
