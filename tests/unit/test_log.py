"""The log is made of events with fields, and carries no secret."""

import json
import logging
import warnings
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.cli import main
from steps.log import configure, hide_secrets
from steps.progress import stage
from steps.settings import Settings

SECRET = "s3cr3t-signature"  # noqa: S105 - what must not be seen


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What was logged to standard error as JSON lines, and nothing to standard output."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


@pytest.fixture
def as_json(tmp_path: Path) -> None:
    """The log of a pod."""
    configure(Settings(home=tmp_path, log_format="json"))


@pytest.mark.usefixtures("as_json")
def test_events_are_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """An event is one line with its name, level, time and fields, as they are."""
    structlog.get_logger().info("tile.done", tile="r1c2", seconds=1.5, scenes=["a", "b"])
    (line,) = lines(capsys)
    assert line.pop("timestamp")
    assert line == {"event": "tile.done", "level": "info", "tile": "r1c2", "seconds": 1.5, "scenes": ["a", "b"]}


def test_people_see_warnings_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """On a console, what goes as it should is not shown."""
    configure(Settings(home=tmp_path))
    structlog.get_logger().info("tile.done", tile="r1c2")
    structlog.get_logger().warning("scene.excluded", scene="any-scene")
    shown = capsys.readouterr().err
    assert "scene.excluded" in shown
    assert "any-scene" in shown
    assert "tile.done" not in shown


@pytest.mark.parametrize(
    "url",
    [
        f"https://any.example/a.tif?se=2022-01-01&sp=rl&sig={SECRET}",
        f"https://any.example/a.tif?X-Amz-Credential=any&X-Amz-Signature={SECRET}&x=1",
        f"https://any.example/a.tif?Expires=1&Signature={SECRET}",
        f"https://any.example/a.tif?x-goog-signature={SECRET}",
        f"https://any.example/a.tif?a=1&access_token={SECRET}",
        f"https://user:{SECRET}@any.example/a.tif",
    ],
)
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_signed_urls_are_blanked(capsys: pytest.CaptureFixture[str], tmp_path: Path, url: str, log_format: str) -> None:
    """Signatures leave neither a field, nor prose, nor a nested value, nor a traceback, nor a library's log."""
    configure(Settings(home=tmp_path, log_format=log_format))
    log = structlog.get_logger()
    try:
        raise ValueError(f"{url} is not readable")
    except ValueError as error:
        log.exception("read.failed", error=str(error), cause=error, href=url, tried=[{"href": url}, (url,)])
    logging.getLogger("any.library").warning("Retrying %s", url)
    shown = capsys.readouterr().err
    assert shown.count("any.example/a.tif") == 7
    assert "***" in shown
    assert SECRET not in shown


@pytest.mark.parametrize("name", ["s3_secret_key", "s3_access_key", "password", "Authorization", "token"])
def test_secret_fields_are_blanked(name: str) -> None:
    """A field whose name says that it is secret is not shown, at any depth."""
    assert SECRET not in str(hide_secrets(None, "", {name: SECRET, "deep": [{"er": {name: SECRET}}]}))


@settings(deadline=None, max_examples=60)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_what_is_not_secret_stays(value: object) -> None:
    """Plain values pass as they are."""
    plain = "=" not in str(value) and "@" not in str(value)
    hidden = hide_secrets(None, "", {"field": value})["field"]
    assert not plain or repr(hidden) == repr(value)


@pytest.mark.usefixtures("as_json")
def test_libraries_speak_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """A library's log lines and Python's warnings are JSON lines, too; its chatter is not shown."""
    logging.getLogger("any.library").warning("careful with %s", "that")
    logging.getLogger("any.library").info("chatter")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("deprecated", stacklevel=1)
    first, second = lines(capsys)
    assert (first["event"], first["logger"], first["level"]) == ("careful with that", "any.library", "warning")
    assert second["logger"] == "py.warnings"
    assert "deprecated" in str(second["event"])


@pytest.mark.usefixtures("as_json")
def test_configured_twice_logs_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each command configures the log; a library's line still comes once."""
    configure(Settings(home=tmp_path, log_format="json"))
    logging.getLogger("any.library").warning("once")
    assert len(lines(capsys)) == 1


def test_steps_log_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line of a step is JSON, its failure too, without any setting; the setting overrides that."""
    command = ["step", "clean", "--store", "ftp://any.example", "--days", "1"]
    assert main(command) == 2
    found = lines(capsys)
    assert found[-1]["event"] == "failed"
    assert found[-1]["exit_code"] == 2
    assert "ftp://any.example" in str(found[-1]["error"])


def test_commands_log_for_people(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Other commands say what failed in one line of prose; so does a step that is told to."""
    command = ["clean", "--store", "ftp://any.example"]
    monkeypatch.setenv("GEOCROP_LOG_FORMAT", "console")
    assert main(["step", *command]) == 2
    assert capsys.readouterr().err.startswith("geocrop: ")


def test_stages_are_events_for_machines(capsys: pytest.CaptureFixture[str], as_json: None) -> None:  # noqa: ARG001
    """What people see as a bar is an event with its counts."""
    with stage("tiles", 2) as advance:
        advance(2, "r1c2")
    first, last = lines(capsys)
    assert (first["stage"], first["done"], first["total"]) == ("tiles", 0, 2)
    assert (last["event"], last["done"], last["note"]) == ("stage", 2, "r1c2")
