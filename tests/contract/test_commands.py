"""The contract, the commands and the reference agree."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from steps import reference
from steps.cli import build_parser, main, module_name
from steps.contract import COMMANDS, STEPS

ROOT = Path(__file__).parents[2]
MODULES = [f"{command.package}.commands.{module_name(command)}" for command in COMMANDS]
MODULES += [f"steps.commands.step_{step.name}" for step in STEPS]


@pytest.mark.parametrize("module", MODULES)
def test_every_command_of_the_contract_can_be_run(module: str) -> None:
    """Each command is a module with `run`."""
    assert callable(importlib.import_module(module).run)


def test_every_module_is_in_the_contract() -> None:
    """No command module is left over: a module with `run` is in the contract."""
    found = {
        f"{package}.commands.{path.stem}"
        for package in ("steps", "api")
        for path in (ROOT / package / "commands").glob("*.py")
        if "def run(" in path.read_text()
    }
    assert found == set(MODULES)


def test_a_server_carries_out_commands_that_take_one() -> None:
    """Each command with `--server` has a module of the same name in `geocrop.commands`, and no other is there."""
    found = {path.stem for path in (ROOT / "geocrop/commands").glob("*.py") if "def run(" in path.read_text()}
    assert found == {
        module_name(one) for one in COMMANDS if any(parameter.name == "server" for parameter in one.parameters)
    }


def test_reference_is_up_to_date() -> None:
    """The page is what the contract renders."""
    assert (ROOT / reference.PAGE).read_text(encoding="utf-8") == reference.render()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`geocrop --help` lists what there is and exits with 0."""
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(command.name.split()[0] in shown for command in COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    """The command line starts without numpy, msgspec or any library of the field."""
    code = "import sys, steps.cli; steps.cli.build_parser(); print(sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, cwd=ROOT
    ).stdout
    assert not any(f"'{name}'" in loaded for name in ("numpy", "msgspec", "rasterio", "structlog", "rich", "shapely"))


def test_unknown_option_is_a_usage_error() -> None:
    """A misspelt option exits with 2."""
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["status", "--jsn"])
    assert stop.value.code == 2
