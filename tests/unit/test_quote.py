import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as configured
from hypothesis import strategies as st

from steps import calibration
from steps.calibration import Calibration, learn, learn_of_pods, load, measure, of_pods
from steps.features import period_of
from steps.model.grid import TileId
from steps.model.job import MapOptions, Plan, Reason, TileEmpty, TileMapped, TilePlan
from steps.model.scene import SCL, Scene
from steps.quote import quote
from steps.settings import Settings
from steps.store import MemoryStore
from steps.testing import ANY_DAY, any_asset, any_card, any_plan, any_request, any_scene, any_spec
from steps.trial import Trial
from steps.workload import works

replace = msgspec.structs.replace
ANY = Calibration(
    read_mb_s=100.0,
    feature_mpx_s=50.0,
    predict_mpx_s=0.5,
    tile_seconds=0.1,
    worker_mb=700.0,
    compression=0.6,
    start_seconds=6.0,
    mosaic_mpx_s=4.0,
)


@pytest.fixture
def home_settings(tmp_path: Path) -> Settings:
    """Settings of a home that does not exist yet."""
    return Settings(home=tmp_path / "new" / "home")


def keep(known: Calibration, settings: Settings) -> None:
    """Make a calibration the one of this machine."""
    settings.home.mkdir(parents=True)
    (settings.home / "calibration.json").write_bytes(msgspec.json.encode(known))


def plan_of(scenes: list[Scene], tiles: int = 1, **changes: Any) -> Plan:
    """Some tiles with these scenes each."""
    plan = any_plan(tiles=tiles, scenes=0, **changes)
    return replace(
        plan,
        scenes=tuple(scenes),
        tiles=tuple(replace(entry, scenes=tuple(range(len(scenes)))) for entry in plan.tiles),
    )


def cloudy(day: int, cloud: float | None, name: str = "") -> Scene:
    """A scene some days after the season's start."""
    date = any_request().season.start + dt.timedelta(days=day)
    return any_scene(id=f"s{day}{name}", day=date, cloud_cover=cloud)


def mapped(plan: Plan, index: int = 0, **changes: Any) -> TileMapped:
    """A tile of a plan that took 10 seconds."""
    facts: dict[str, Any] = {
        "tile": plan.tiles[index].tile,
        "planned_key": "k",
        "key": "k",
        "pixels": {Reason.MAPPED: 1},
        "scenes": 1,
        "seconds": {"load": 4.0, "features": 2.0, "predict": 3.0, "write": 0.5, "total": 10.0},
        "bytes_read": 1000,
        "peak_mb": 500.0,
    }
    return TileMapped(**(facts | changes))


# -- how much there is to do ---------------------------------------------------------------------------------------


def test_windows_are_counted_in_their_own_pixels():
    """10 m bands have four times the pixels of 20 m ones, reflectance two bytes and classes one."""
    plan = any_plan(tiles=1, scenes=1, size=64, card=any_card(spec=any_spec(bands=("red", "nir", "swir16"))))
    (work,) = works(replace(plan, halo=0), plan.tiles)
    inside = 64 * 64 / 1e6  # the scene is larger than the tile, whose corner is not the scene's
    assert work.read_mb <= inside * (2 * 2 + 2 / 4 + 1 / 4)
    middle = TilePlan(tile=TileId(row=plan.tiles[0].tile.row + 3, col=plan.tiles[0].tile.col + 3), scenes=(0,))
    (whole,) = works(replace(plan, halo=0), [middle])
    assert whole.read_mb == pytest.approx(inside * (2 * 2 + 2 / 4 + 1 / 4))
    assert whole.feature_mpx == pytest.approx(inside * 3)
    assert whole.mpx == pytest.approx(inside)


def test_small_scenes_are_not_counted_as_large_as_tiles():
    """A scene of 640 m in a tile of 10 km is read once, not two hundred times."""
    small = {
        band: replace(asset, shape=(32, 32) if band == SCL else (64, 64)) for band, asset in any_scene().assets.items()
    }
    plan = plan_of([any_scene(assets=small)], size=1024)
    (work,) = works(plan, plan.tiles)
    assert work.read_mb == pytest.approx((2 * 64 * 64 * 2 + 32 * 32) / 1e6)


def test_a_scene_beside_the_tile_is_no_work():
    """Where footprint and files disagree the files count."""
    far = {
        band: replace(asset, transform=(10.0, 0.0, 500_000.0, 0.0, -10.0, 8e6))
        for band, asset in any_scene().assets.items()
    }
    plan = plan_of([any_scene(assets=far)])
    (work,) = works(plan, plan.tiles)
    assert (work.read_mb, work.feature_mpx) == (0, 0)
    assert ANY.seconds(work) == ANY.tile_seconds


@pytest.mark.parametrize("changes", [{"epsg": 3035}, {"transform": None}, {"shape": None}])
def test_files_that_lie_elsewhere_count_by_their_window(changes: dict[str, Any]):
    """A file in another CRS, or one that does not say where it lies, is counted as if it lay under the tile."""
    assets = {band: replace(any_asset(band), **changes) for band in ("red", "nir", SCL)}
    plan = plan_of([any_scene(assets=assets)])
    (work,) = works(replace(plan, halo=0), plan.tiles)
    scl = 0.25 if changes.get("transform", 1) else 1
    assert work.read_mb == pytest.approx(64 * 64 * (4 + scl) / 1e6)


def test_granules_of_a_day_are_one_observation():
    """Two granules of a solar day are read twice but computed once."""
    one, two = plan_of([cloudy(3, 0)]), plan_of([cloudy(3, 0), cloudy(3, 0, "b")])
    (single,), (double,) = works(one, one.tiles), works(two, two.tiles)
    assert double.read_mb == 2 * single.read_mb
    assert double.feature_mpx == single.feature_mpx


# -- the quote -----------------------------------------------------------------------------------------------------


def test_stored_tiles_cost_nothing():
    """What is in the store is neither read nor computed again; what is left costs its share."""
    plan = any_plan(tiles=4)
    names = [str(entry.tile) for entry in plan.tiles]
    quotes = [quote(plan, ANY, names[:stored], 1) for stored in range(5)]
    assert [one.stored for one in quotes] == [0, 1, 2, 3, 4]
    reads = [one.read_mb for one in quotes]
    assert reads == sorted(reads, reverse=True)
    assert (quotes[4].read_mb, quotes[4].store_mb) == (0, 0)
    assert quotes[4].seconds < quotes[0].seconds
    assert quote(plan, ANY, ["r00001c00001"], 1).stored == 0


@given(st.integers(1, 40), st.integers(1, 16))
def test_workers_share_the_tiles(tiles: int, workers: int):
    """Time falls with workers, but not below the longest tile's; memory grows with those that have work."""
    plan = any_plan(tiles=tiles)
    found, alone = quote(plan, ANY, (), workers), quote(plan, ANY, (), 1)
    assert found.workers == min(workers, tiles)
    assert found.seconds <= alone.seconds
    assert found.memory_mb == ANY.worker_mb * found.workers
    longest = max(ANY.seconds(work) for work in works(plan, plan.tiles))
    assert found.seconds >= round(longest + ANY.start_seconds, 1)


def test_the_time_follows_the_calibration():
    """The seconds are those of the stages' work by this machine's rates."""
    plan = any_plan(tiles=3, size=1024)
    slow = replace(ANY, read_mb_s=ANY.read_mb_s / 10)
    more = sum(work.read_mb for work in works(plan, plan.tiles)) * (1 / slow.read_mb_s - 1 / ANY.read_mb_s)
    assert quote(plan, slow, (), 1).seconds - quote(plan, ANY, (), 1).seconds == pytest.approx(more, abs=0.2)


def test_the_cloud_free_share_is_one_of_days():
    """Granules of a day are averaged first; scenes that do not say are not counted, and no day twice."""
    plan = plan_of([cloudy(0, 100), cloudy(0, 0, "b"), cloudy(5, 0), cloudy(9, None), cloudy(9, 50, "b")])
    found = quote(plan, ANY, (), 1)
    assert (found.days, found.scenes) == (3, 5)
    assert found.cloud_free == pytest.approx((0.5 + 1.0 + 0.5) / 3, abs=1e-4)
    assert quote(plan_of([cloudy(0, None)]), ANY, (), 1).cloud_free is None


@given(st.sets(st.integers(0, 365), min_size=1, max_size=30))
def test_days_are_counted_by_the_specs_periods(days: set[int]):
    """A day stands in the period in which its features will use it, counted from the season's start."""
    plan = plan_of([cloudy(day, 25) for day in sorted(days)])
    found = quote(plan, ANY, (), 1)
    expected = [0] * plan.card.spec.periods
    for day in days:
        expected[period_of(day, plan.card.spec)] += 1
    assert list(found.days_by_period) == expected
    assert list(found.clear_by_period) == pytest.approx([count * 0.75 for count in expected], abs=0.06)


def test_a_season_without_scenes_has_a_quote():
    """Nothing to read, nothing known of clouds, and every tile bare."""
    found = quote(any_plan(tiles=3, scenes=0), ANY, (), 2)
    assert (found.bare, found.scenes, found.days, found.cloud_free, found.read_mb) == (3, 0, 0, None, 0)
    assert "3 without any scene" in str(found)


def test_the_output_is_that_of_the_aoi():
    """A small AOI in a large tile makes a small map; probabilities make it larger."""
    small = quote(any_plan(tiles=1, size=1024), ANY, (), 1)
    assert small.output_mb < 0.1 < small.store_mb
    options = MapOptions(probabilities=True)
    more = quote(any_plan(tiles=1, size=1024, request=any_request(options=options)), ANY, (), 1)
    assert more.store_mb > small.store_mb


def test_a_quote_reads_well():
    """The text says all that the issue of costs is about, and where the numbers come from."""
    text = str(quote(any_plan(tiles=3), ANY, (), 2))
    for part in ("tiles           3, of which 0", "scenes          3 on 3 days", "88% of the season, by scene metadata",
                 "2 workers (a short measurement", "1400 MB", "EPSG:32736", "km2", "to read"):  # fmt: skip
        assert part in text


# -- the calibration -----------------------------------------------------------------------------------------------


def test_a_measurement_is_kept(home_settings: Settings):
    """The machine is measured once, through the real reader, features and forest, and then remembered."""
    found = measure(home_settings)
    assert (home_settings.home / "calibration.json").exists()
    assert load(home_settings) == found
    assert min(found.read_mb_s, found.feature_mpx_s, found.predict_mpx_s) > 0
    assert [path.name for path in home_settings.home.iterdir()] == ["calibration.json"]


@pytest.mark.parametrize(
    "text", ["", "no json", "{}", '{"read_mb_s": 0, "feature_mpx_s": 1, "predict_mpx_s": 1}', '{"read_mb_s": -1}']
)
def test_a_damaged_calibration_is_made_again(home_settings: Settings, text: str, monkeypatch: pytest.MonkeyPatch):
    """A file that is no calibration, or would divide by zero, is replaced and stops nobody."""
    monkeypatch.setattr(calibration, "_measured", lambda *_: ANY)
    home_settings.home.mkdir(parents=True)
    (home_settings.home / "calibration.json").write_text(text, encoding="utf-8")
    assert load(home_settings) == ANY


def test_runs_teach(home_settings: Settings):
    """After some runs the quote for the same tiles is what they took, whatever was believed before."""
    plan = any_plan(tiles=1, size=1024)
    keep(ANY, home_settings)
    for _ in range(25):
        learn(plan, [mapped(plan)], home_settings)
    found = load(home_settings)
    assert found.runs == 25
    assert found.source == "25 runs on this machine"
    assert (found.start_seconds, found.mosaic_mpx_s) == (ANY.start_seconds, ANY.mosaic_mpx_s)
    for work in works(plan, plan.tiles):
        assert found.seconds(work) == pytest.approx(10.0, rel=0.02)


def test_a_run_is_blended_with_what_was_known(home_settings: Settings):
    """One odd run moves the calibration, but does not rule it; a larger memory counts at once."""
    plan = any_plan(tiles=2, size=1024)
    first = learn(plan, [mapped(plan, 0), mapped(plan, 1)], home_settings)
    slow = {"load": 40.0, "features": 2.0, "predict": 3.0, "total": 45.5}
    second = learn(plan, [mapped(plan, index, seconds=slow, peak_mb=900.0) for index in (0, 1)], home_settings)
    assert first is not None
    assert second is not None
    assert first.read_mb_s > second.read_mb_s > first.read_mb_s / 2
    assert second.worker_mb == 900
    third = learn(plan, [mapped(plan, 0), mapped(plan, 1)], home_settings)
    assert third is not None
    assert 500 < third.worker_mb < 900


def test_one_slow_tile_does_not_count(home_settings: Settings):
    """The tile in which the kernels were compiled is an outlier, not a rate."""
    plan = any_plan(tiles=5, size=1024)
    cold = mapped(plan, 0, seconds={"load": 4.0, "features": 60.0, "predict": 30.0, "total": 95.0})
    found = learn(plan, [cold, *(mapped(plan, index) for index in range(1, 5))], home_settings)
    plain = learn(
        plan, [mapped(plan, index) for index in range(5)], replace(home_settings, home=home_settings.home / "b")
    )
    assert found is not None
    assert plain is not None
    assert found.feature_mpx_s == pytest.approx(plain.feature_mpx_s, rel=0.5)


def test_small_runs_teach_nothing(home_settings: Settings):
    """A run that mapped nothing, or next to nothing, leaves no calibration behind and starts no measurement."""
    plan = any_plan(tiles=2)
    quick = mapped(plan, seconds={"load": 0.2, "features": 0.1, "predict": 0.1, "total": 0.5})
    empty = TileEmpty(tile=plan.tiles[1].tile, planned_key="k", key="k", reason=Reason.NO_SCENES, pixels={})
    for outcomes in ([], [quick], [empty]):
        assert learn(plan, outcomes, home_settings) is None
    assert not home_settings.home.exists()


def test_a_home_that_cannot_be_written_stops_no_job(tmp_path: Path):
    """Where the home folder cannot be made a run goes on, and leaves no part of a file."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    plan = any_plan(tiles=1, size=1024)
    assert learn(plan, [mapped(plan)], Settings(home=tmp_path / "file" / "home")) is not None
    (tmp_path / "home" / "calibration.json").mkdir(parents=True)
    assert learn(plan, [mapped(plan)], Settings(home=tmp_path / "home")) is not None
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["calibration.json"]


def test_cached_reads_say_nothing_of_files(home_settings: Settings):
    """A run whose blocks all came from the cache leaves the compression as it was known."""
    plan = any_plan(tiles=1, size=1024)
    keep(ANY, home_settings)
    found = learn(plan, [mapped(plan, bytes_read=0)], home_settings)
    assert found is not None
    assert found.compression == pytest.approx(ANY.compression)


def test_a_trial_completes_what_runs_have_taught(home_settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """What no run can tell is measured when a quote needs it, and nothing else is changed by that."""
    plan = any_plan(tiles=1, size=1024)
    taught = learn(plan, [mapped(plan)], home_settings)
    trial = Trial(plan, mapped(plan, seconds={"load": 99.0, "total": 99.0}), mosaic_mpx_s=3.0, start_seconds=5.0)
    monkeypatch.setattr("steps.trial.try_machine", lambda: trial)
    assert taught is not None
    assert load(home_settings) == replace(taught, mosaic_mpx_s=3.0, start_seconds=5.0)


@configured(deadline=None, max_examples=30)
@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100), st.floats(0, 1000), st.integers(0, 10**10))
def test_whatever_a_run_took_the_rates_stay_sound(
    tmp_path_factory: pytest.TempPathFactory, load_s: float, features: float, predict: float, peak: float, size: int
):
    """Times of zero, cached reads and clocks that jump give a calibration that can be read back."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    plan = any_plan(tiles=1)
    seconds = {"load": load_s + 1e-4, "features": features, "predict": predict, "total": 50.0}
    found = learn(plan, [mapped(plan, seconds=seconds, peak_mb=peak, bytes_read=size)], settings)
    assert msgspec.json.decode((settings.home / "calibration.json").read_bytes(), type=Calibration) == found


def test_scenes_on_one_day_are_one_day():
    """The day's number of granules does not change the days."""
    assert any_scene().solar_day == ANY_DAY
    assert quote(plan_of([any_scene(id="a"), any_scene(id="b")]), ANY, (), 1).days == 1


def test_pods_are_not_measured_but_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a cluster that has mapped nothing yet there is a guess, and the machine that asks is not tried."""
    monkeypatch.setattr("steps.trial.try_machine", lambda: pytest.fail("the machine was tried"))
    store = MemoryStore()
    guess = of_pods(store)
    assert (guess.runs, guess.source) == (0, "what is usual for a small server; runs will refine it")
    plan = any_plan()
    learn_of_pods(plan, [mapped(plan)], store)
    assert of_pods(store).source == "1 run on pods of this cluster"
