"""The environment is read once, and nothing in it is guessed."""

import re
from pathlib import Path

import pytest

from api.settings import ApiSettings
from steps.errors import UsageError
from steps.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]


def test_an_empty_environment_has_defaults() -> None:
    """Everything but credentials has a value that works on a laptop."""
    assert read_settings({"HOME": "/any"}) == Settings(home=Path("/any/.local/share/geocrop"))


def test_variables_are_read_as_their_types() -> None:
    """Numbers, switches and paths come typed."""
    read = read_settings({"GEOCROP_HOME": "/any", "GEOCROP_WORKERS": "3", "GEOCROP_S3_SECURE": "false"})
    assert (read.home, read.workers, read.s3_secure) == (Path("/any"), 3, False)


@pytest.mark.parametrize("name", ["GEOCROP_S3_ENDPONT", "GEOCROP_WORKER", "GEOCROP_"])
def test_an_unknown_variable_is_refused(name: str) -> None:
    """A misspelt setting does not silently become its default."""
    with pytest.raises(UsageError, match=rf"unknown variable {name}: known are .*GEOCROP_S3_ENDPOINT"):
        read_settings({name: "any"})


@pytest.mark.parametrize("name", ["GEOCROP_SHARED_DATA", "GEOCROP_BENCH"])
def test_what_tests_and_bench_read_is_allowed(name: str) -> None:
    """Variables of the tests do not stand in the way of the program."""
    assert read_settings({name: "/any", "HOME": "/any"}) == read_settings({"HOME": "/any"})


def test_other_programs_variables_are_none_of_ours() -> None:
    """Only GEOCROP_ variables are judged."""
    assert read_settings({"PATH": "/any", "AWS_ACCESS_KEY_ID": "any", "HOME": "/any"}).s3_access_key == ""


@pytest.mark.parametrize(
    ("name", "value"), [("GEOCROP_WORKERS", "many"), ("GEOCROP_S3_SECURE", "maybe"), ("GEOCROP_CACHE_MB", "1.5 GB")]
)
def test_a_malformed_value_is_refused(name: str, value: str) -> None:
    """A value that does not fit is said before anything is done."""
    with pytest.raises(UsageError, match=r"the environment does not fit: .*docs/reference/settings\.md"):
        read_settings({name: value})


def test_secrets_are_not_shown() -> None:
    """Settings may be logged or shown in an error."""
    configured = Settings(home=Path("/any"), s3_access_key="any-key", s3_secret_key="any-secret")  # noqa: S106
    assert not re.search("any-key|any-secret", f"{configured} {configured!r}")


def test_every_variable_is_in_the_reference() -> None:
    """docs/reference/settings.md lists what is read, and nothing else; the API has a part of its own."""
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    steps, api = (set(re.findall(r"`((?:GEOCROP|MLFLOW)_[A-Z0-9_]+)`", part)) for part in page.split("## The API"))
    with pytest.raises(UsageError) as caught:
        read_settings({"GEOCROP_UNKNOWN": "any"})
    known = set(re.findall(r"GEOCROP_[A-Z0-9_]+", caught.value.remedy))
    mlflow = {f"MLFLOW_TRACKING_{name}" for name in ("URI", "USERNAME", "PASSWORD")}
    assert steps == known - {"GEOCROP_BENCH", "GEOCROP_SHARED_DATA"} | mlflow
    assert api - {"GEOCROP_HOME", "GEOCROP_API_"} == {
        f"GEOCROP_API_{name.upper()}" for name in ApiSettings.__struct_fields__
    }
