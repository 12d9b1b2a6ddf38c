"""The command line: one parser from the contract, one place that maps errors to exit codes."""

import argparse
import errno
import importlib
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from steps.contract import COMMANDS, EXIT_CODES, STEPS, Command, Parameter

_DESCRIPTION = """\
Turn an area of interest into a trusted land-use and crop map.

  geocrop demo                  see all of it on a made landscape
  geocrop train --labels ...    make a model from your own parcels
  geocrop quote AOI ...         what a map would cost
  geocrop run AOI ...           make the map
"""
_TYPES = {"text": str, "integer": int, "number": float}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _stop)
    return _guarded(arguments)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command and step."""
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())
    parser = argparse.ArgumentParser(
        prog="geocrop",
        description=_DESCRIPTION,
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    groups: dict[str, _Commands[argparse.ArgumentParser]] = {}
    for command in COMMANDS:
        _add(_group(commands, command, groups), command, f"{command.package}.commands.{module_name(command)}")
    steps = commands.add_parser("step", help="one step of the pipeline, as pods run it").add_subparsers(
        metavar="STEP", required=True
    )
    for step in STEPS:
        _add(steps, step, f"steps.commands.step_{step.name}")
    return parser


def module_name(command: Command) -> str:
    """The module in `steps.commands` that runs a command: `baselines import` is `baselines_import`."""
    return command.name.replace(" ", "_").replace("-", "_")


_Commands = argparse._SubParsersAction


def _group(
    commands: "_Commands[argparse.ArgumentParser]",
    command: Command,
    groups: "dict[str, _Commands[argparse.ArgumentParser]]",
) -> "_Commands[argparse.ArgumentParser]":
    """Where a command is added: `baselines import` becomes a command of a group `baselines`."""
    name, _, rest = command.name.partition(" ")
    if not rest:
        return commands
    if name not in groups:
        group = commands.add_parser(name, help=command.summary)
        groups[name] = group.add_subparsers(metavar="COMMAND", required=True)
    return groups[name]


def _add(commands: "_Commands[argparse.ArgumentParser]", command: Command, module: str) -> None:
    epilog = f"example:\n  {command.example}" if command.example else None
    parser = commands.add_parser(
        command.name.split()[-1],
        help=command.summary,
        description=command.summary,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(module=module)
    for parameter in command.parameters:
        _add_argument(parser, parameter)


def _add_argument(parser: argparse.ArgumentParser, parameter: Parameter) -> None:
    if parameter.positional:
        _add_positional(parser, parameter)
    elif parameter.kind == "flag":
        parser.add_argument(f"--{parameter.name}", action="store_true", help=parameter.help)
    elif parameter.kind == "list":
        parser.add_argument(
            f"--{parameter.name}", action="append", default=[], metavar=parameter.metavar, help=parameter.help
        )
    else:
        parser.add_argument(
            f"--{parameter.name}",
            type=_TYPES[parameter.kind],
            default=parameter.default,
            required=parameter.required,
            choices=parameter.choices or None,
            metavar=parameter.metavar or None,
            help=parameter.help,
        )


def _add_positional(parser: argparse.ArgumentParser, parameter: Parameter) -> None:
    arity = "+" if parameter.kind == "list" else None if parameter.default is None else "?"
    parser.add_argument(
        parameter.name, nargs=arity, default=parameter.default, metavar=parameter.metavar or None, help=parameter.help
    )


def dispatch(argv: Sequence[str]) -> int:
    """Run one command from within another; errors are the caller's."""
    return _call(build_parser().parse_args(argv))


def _call(arguments: argparse.Namespace) -> int:
    code: int = importlib.import_module(arguments.module).run(arguments)
    return code


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM unwinds the stack, so that temporary files go."""
    raise SystemExit(143)


def _guarded(arguments: argparse.Namespace) -> int:
    """Run the command; every expected error becomes one line and its exit code."""
    from steps.errors import GeoCropError  # noqa: PLC0415 - `--help` needs none of it
    from steps.log import configure  # noqa: PLC0415
    from steps.settings import settings  # noqa: PLC0415

    try:
        configure(settings())
        code = _call(arguments)
    except GeoCropError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return _fail(f"the disk is full: {error.filename or error}", 75)
        raise
    return code


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    sys.stderr.write(f"geocrop: {line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
