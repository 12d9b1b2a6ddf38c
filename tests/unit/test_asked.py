"""From a workflow's parameters to a request."""

import datetime as dt
import json
from pathlib import Path

import msgspec
import pytest

from steps import naming
from steps.asked import job_of, read_aoi_file, season_text
from steps.errors import AoiError, UsageError
from steps.model.job import MapRequest
from steps.settings import Settings
from steps.store import MemoryStore
from steps.testing import any_aoi, any_request


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (dt.date(2024, 3, 5), "2023-03-01/2024-02-29"),
        (dt.date(2025, 3, 31), "2024-03-01/2025-02-28"),
        (dt.date(2025, 1, 1), "2024-01-01/2024-12-31"),
    ],
)
def test_latest_is_the_year_up_to_last_month(today: dt.date, expected: str) -> None:
    """Whole months, twelve of them."""
    assert season_text("latest", today) == expected


def test_other_seasons_stay() -> None:
    """They are read where all seasons are."""
    assert season_text("2018-09-01/2019-08-31", dt.date(2020, 1, 1)) == "2018-09-01/2019-08-31"


def test_an_inline_area_is_itself(tmp_path: Path) -> None:
    """GeoJSON is taken as it is."""
    (tmp_path / "aoi").write_text(json.dumps({"type": "Polygon", "coordinates": []}), encoding="utf-8")
    found = read_aoi_file(str(tmp_path / "aoi"), Settings(home=tmp_path), tmp_path)
    assert found.read_bytes() == (tmp_path / "aoi").read_bytes()


@pytest.mark.parametrize("text", ["", "some words", "../../etc/passwd", "[1, 2]"])
def test_what_is_neither_geojson_nor_an_address_is_refused(tmp_path: Path, text: str) -> None:
    """With what to give instead."""
    (tmp_path / "aoi").write_text(text, encoding="utf-8")
    with pytest.raises(AoiError, match="give GeoJSON"):
        read_aoi_file(str(tmp_path / "aoi"), Settings(home=tmp_path), tmp_path)


def test_an_address_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    """Also for areas."""
    (tmp_path / "aoi").write_text("https://elsewhere.example/aoi.geojson\n", encoding="utf-8")
    with pytest.raises(UsageError, match="elsewhere"):
        read_aoi_file(str(tmp_path / "aoi"), Settings(home=tmp_path, sources="a.example"), tmp_path)


def test_a_job_has_the_id_that_was_asked_for() -> None:
    """Its request's own where none was."""
    assert job_of("farm-2-xk5c9", any_request(), MemoryStore()) == "farm-2-xk5c9"
    assert job_of("", any_request(), MemoryStore()) == naming.job_id(any_request())


@pytest.mark.parametrize("text", ["../x", "a/b", "..", "A", "-a", "a" * 64])
def test_what_is_no_id_is_refused(text: str) -> None:
    """An id is a part of keys and of labels."""
    with pytest.raises(UsageError, match="is no job id"):
        job_of(text, any_request(), MemoryStore())


def published(request: MapRequest) -> MemoryStore:
    """A store with the map of a request under the id `any-job`."""
    store = MemoryStore()
    store.put_bytes(naming.request_key("any-job"), msgspec.json.encode(request))
    store.put_bytes(naming.item_key("any-job"), b"{}")
    return store


def test_no_map_is_lost_to_another_request() -> None:
    """An id under which something else was published is refused; the same request may be mapped again."""
    store = published(any_request())
    assert job_of("any-job", any_request(), store) == "any-job"
    with pytest.raises(UsageError, match="another request"):
        job_of("any-job", any_request(aoi=any_aoi("another")), store)
