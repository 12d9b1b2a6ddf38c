import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.gate import failure, judge
from steps.model.grid import TileId
from steps.model.job import Coverage, MapOptions, Phase, Reason, SceneFault

ANY_TILE = TileId(row=7, col=3)
counts = st.dictionaries(st.sampled_from(list(Reason)), st.integers(0, 10**9))
shares = st.floats(0, 1)


def verdict(pixels: dict[Reason, int], **options: float) -> Coverage:
    """The verdict on pixels alone."""
    return judge(pixels, {}, (), MapOptions(**options))


@pytest.mark.parametrize(
    ("mapped", "phase"), [(0, "failed"), (1, "partial"), (94, "partial"), (95, "succeeded"), (100, "succeeded")]
)
def test_the_default_policy(mapped: int, phase: str):
    """95 % of the AOI mapped succeeds, anything mapped is partial, nothing mapped failed."""
    assert verdict({Reason.MAPPED: mapped, Reason.ALL_CLOUD: 100 - mapped}).phase == phase


def test_partial_maps_may_be_held_to_a_share():
    """A map at or below `publish_above` failed, though something of it is mapped."""
    half = {Reason.MAPPED: 50, Reason.NO_SCENES: 50}
    assert verdict(half, publish_above=0.5).phase is Phase.FAILED
    assert verdict(half, publish_above=0.49).phase is Phase.PARTIAL


def test_masked_pixels_do_not_count():
    """What the user's mask leaves out was never asked for, neither as mapped nor as missing."""
    found = verdict({Reason.MAPPED: 95, Reason.READ_ERROR: 5, Reason.MASKED: 10_000})
    assert (found.phase, found.share) == (Phase.SUCCEEDED, 0.95)
    assert found.pixels[Reason.MASKED] == 10_000


@pytest.mark.parametrize("pixels", [{}, {Reason.MASKED: 9}, {Reason.WORKER_LOST: 9}, {Reason.MAPPED: 0}])
@pytest.mark.parametrize("options", [{}, {"min_coverage": 0.0}, {"min_coverage": 0.0, "publish_above": -1.0}])
def test_nothing_mapped_is_a_failure(pixels: dict[Reason, int], options: dict[str, float]):
    """An empty map is never published, however lenient the policy."""
    assert verdict(pixels, **options).phase is Phase.FAILED


@given(counts, shares, shares)
def test_pixels_are_accounted_for(pixels: dict[Reason, int], least: float, above: float):
    """No pixel is lost between what was counted and the verdict, and the phase follows the share alone."""
    found = verdict(pixels, min_coverage=least, publish_above=above)
    assert sum(found.pixels.values()) == sum(pixels.values())
    asked = sum(pixels.values()) - pixels.get(Reason.MASKED, 0)
    assert found.share == (pixels.get(Reason.MAPPED, 0) / asked if asked else 0)
    succeeded = found.share > 0 and found.share >= least
    expected = Phase.SUCCEEDED if succeeded else Phase.PARTIAL if found.share > above else Phase.FAILED
    assert found.phase is expected


@given(counts, shares, st.integers(1, 1000))
def test_more_mapped_is_never_worse(pixels: dict[Reason, int], least: float, more: int):
    """Mapping further pixels never lowers the verdict."""
    order = [Phase.FAILED, Phase.PARTIAL, Phase.SUCCEEDED]
    better = {**pixels, Reason.MAPPED: pixels.get(Reason.MAPPED, 0) + more}
    before, after = (order.index(verdict(each, min_coverage=least).phase) for each in (pixels, better))
    assert after >= before


@pytest.mark.parametrize(("reason", "code"), [(Reason.READ_ERROR, 75), (Reason.BAD_SCENE, 65), (Reason.NO_SCENES, 65)])
def test_only_what_may_pass_is_tried_again(reason: Reason, code: int):
    """A job without a map is worth another try where scenes could not be reached, not where they are broken."""
    assert failure("any-job", verdict({reason: 9}), {}).exit_code == code


def test_every_unmapped_tile_has_its_reason():
    """Tiles without a mapped pixel stand in the verdict by name, with why."""
    found = judge({Reason.MAPPED: 1}, {ANY_TILE: Reason.ALL_CLOUD}, (), MapOptions())
    assert found.tiles == {"r00007c00003": Reason.ALL_CLOUD}


def test_a_scene_is_named_once():
    """A scene that many tiles had to leave out is one fault, and the order of work does not show."""
    faults = [
        SceneFault(scene=scene, href=f"/{scene}/{band}.tif", error="truncated")
        for scene in ("b", "a")
        for band in ("red", "nir")
    ]
    found = judge({}, {}, faults, MapOptions()).excluded
    assert [(fault.scene, fault.href) for fault in found] == [("a", "/a/nir.tif"), ("b", "/b/nir.tif")]
    assert judge({}, {}, faults[::-1], MapOptions()).excluded == found


def test_a_verdict_is_data():
    """A verdict comes back whole from JSON, as the next step reads it."""
    found = judge({Reason.MAPPED: 1}, {ANY_TILE: Reason.NO_SCENES}, (), MapOptions())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Coverage) == found


@pytest.mark.parametrize(("lasting", "code"), [((True, True), 65), ((True, False), 75)])
def test_bad_files_fail_the_same_way_again(lasting: tuple[bool, ...], code: int):
    """Where all scenes left out hold bad data another try does not help; where one could not be read, it may."""
    faults = [SceneFault(scene=f"s{n}", href="", error="bad", lasting=each) for n, each in enumerate(lasting)]
    found = judge({Reason.READ_ERROR: 9}, {ANY_TILE: Reason.READ_ERROR}, faults, MapOptions())
    assert failure("any-job", found, {}).exit_code == code
