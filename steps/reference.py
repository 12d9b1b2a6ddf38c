"""`docs/reference/commands.md`, from the contract. `python -m steps.reference [--check]`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from steps.contract import COMMANDS, EXIT_CODES, STEPS, Command, Parameter

PAGE = Path("docs/reference/commands.md")


def render() -> str:
    """The whole page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Commands"
    yield ""
    yield "Made from `steps/contract.py` by `./task docs`."
    for command in COMMANDS:
        yield from _command(f"geocrop {command.name}", command)
    yield ""
    yield "# Steps"
    yield ""
    yield "What pods run. Files and flags only; SIGTERM is honoured. The log is JSON lines, failures too, unless"
    yield "`GEOCROP_LOG_FORMAT=console`."
    for step in STEPS:
        yield from _command(f"geocrop step {step.name}", step)
    yield ""
    yield "# Exit codes"
    yield ""
    yield from _table(("code", "meaning"), ((str(code), meaning) for code, meaning in EXIT_CODES.items()))


def _command(title: str, command: Command) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    yield f"{command.summary[0].upper()}{command.summary[1:]}."
    yield ""
    if command.parameters:
        yield from _table(("argument", "default", "meaning"), (_parameter(p) for p in command.parameters))
    if command.example:
        yield ""
        yield f"```\n{command.example}\n```"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _parameter(parameter: Parameter) -> tuple[str, str, str]:
    name = parameter.metavar if parameter.positional else f"--{parameter.name} {parameter.metavar}".strip()
    if parameter.required or (parameter.positional and parameter.default is None):
        default = "required"
    elif parameter.kind == "flag":
        default = "off"
    else:
        default = "" if parameter.default in {None, ""} else f"`{parameter.default}`"
    return f"`{name}`", default, parameter.help


def main(arguments: list[str]) -> int:
    """Write the page; with `--check`, only say whether it is up to date."""
    if "--check" not in arguments:
        PAGE.write_text(render(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == render():
        return 0
    sys.stderr.write(f"{PAGE} is out of date: run ./task docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
