"""The command line: one parser from the contract, one place that maps errors to exit codes."""

import argparse
import errno
import gc
import importlib
import io
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType, ModuleType
from typing import NoReturn

from steps.contract import COMMANDS, EXIT_CODES, STEPS, Command, Parameter
from steps.errors import DISK_FULL

_DESCRIPTION = """\
Turn an area of interest into a trusted land-use and crop map.

  geocrop demo                  see all of it on a made landscape
  geocrop train --labels ...    make a model from your own parcels
  geocrop quote AOI ...         what a map would cost
  geocrop run AOI ...           make the map
"""
_WRONG_PATH = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP),
    *(errno.EACCES, errno.EPERM, errno.EROFS),
}
_STEP_MODULES = "steps.commands.step_"
_PIPE_CLOSED = 141
"""128 + SIGPIPE: what a shell says of a command whose reader went away."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _stop)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name that the terminal cannot show does not end a run
    return _guarded(arguments)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is for those who ask."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2."""
        self.exit(_fail(f"{message}: see `{self.prog} --help`", 2))


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command and step."""
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())
    parser = _Parser(
        prog="geocrop",
        description=_DESCRIPTION,
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    groups: dict[str, _Commands[_Parser]] = {}
    for command in COMMANDS:
        _add(_group(commands, command, groups), command, f"{command.package}.commands.{module_name(command)}")
    steps = commands.add_parser("step", help="one step of the pipeline, as pods run it").add_subparsers(
        metavar="STEP", required=True
    )
    for step in STEPS:
        _add(steps, step, f"{_STEP_MODULES}{step.name}")
    return parser


def module_name(command: Command) -> str:
    """The module in `steps.commands` that runs a command: `baselines import` is `baselines_import`."""
    return command.name.replace(" ", "_").replace("-", "_")


_Commands = argparse._SubParsersAction


def _group(
    commands: "_Commands[_Parser]",
    command: Command,
    groups: "dict[str, _Commands[_Parser]]",
) -> "_Commands[_Parser]":
    """Where a command is added: `baselines import` becomes a command of a group `baselines`."""
    name, _, rest = command.name.partition(" ")
    if not rest:
        return commands
    if name not in groups:
        group = commands.add_parser(name, help=command.summary)
        groups[name] = group.add_subparsers(metavar="COMMAND", required=True)
    return groups[name]


def _add(commands: "_Commands[_Parser]", command: Command, module: str) -> None:
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
    elif parameter.kind == "switch":
        _add_switch(parser, parameter)
    elif parameter.kind == "list":
        parser.add_argument(
            f"--{parameter.name}", action="append", default=[], metavar=parameter.metavar, help=parameter.help
        )
    else:
        parser.add_argument(
            f"--{parameter.name}",
            type=str if parameter.kind == "text" else _number(parameter),
            default=parameter.default,
            required=parameter.required,
            choices=parameter.choices or None,
            metavar=parameter.metavar or None,
            help=parameter.help,
        )


def _add_switch(parser: argparse.ArgumentParser, parameter: Parameter) -> None:
    parser.add_argument(
        f"--{parameter.name}",
        type=lambda text: {"true": True, "false": False}.get(text.lower(), text),
        choices=(True, False),
        default=parameter.default == "true",
        metavar="true|false",
        help=parameter.help,
    )


def _number(parameter: Parameter) -> Callable[[str], float]:
    """Reads a number within the parameter's bounds."""
    whole = parameter.kind == "integer"
    least, most = parameter.least, parameter.most

    def read(text: str) -> float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is no {'whole ' if whole else ''}number")
        if not (least is None or value >= least) or not (most is None or value <= most):
            bounds = f"from {least} on" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{text[:40]} does not fit, give a number {bounds}")
        return value

    return read


def _add_positional(parser: argparse.ArgumentParser, parameter: Parameter) -> None:
    arity = "+" if parameter.kind == "list" else None if parameter.default is None else "?"
    parser.add_argument(
        parameter.name, nargs=arity, default=parameter.default, metavar=parameter.metavar or None, help=parameter.help
    )


def dispatch(argv: Sequence[str]) -> int:
    """Run one command from within another; errors are the caller's."""
    return _call(build_parser().parse_args(argv))


def _call(arguments: argparse.Namespace) -> int:
    module: str = arguments.module
    if getattr(arguments, "server", ""):  # the same command, carried out by a server
        module = module.replace("steps.", "geocrop.", 1)
    code: int = load(module).run(arguments)
    return code


def load(module: str) -> ModuleType:
    """A module with all that it imports. None of it is garbage: looking for some would be a fifth of the time."""
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        gc.freeze()
        gc.enable()


class _Stopped(SystemExit):
    """SIGTERM."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM unwinds the stack, so that temporary files go."""
    raise _Stopped(143)


def _guarded(arguments: argparse.Namespace) -> int:
    """Run the command; every expected error becomes one line and its exit code."""
    from steps.errors import GeoCropError  # noqa: PLC0415 - `--help` needs none of it
    from steps.log import configure  # noqa: PLC0415
    from steps.settings import settings  # noqa: PLC0415

    try:
        configure(settings(), "json" if arguments.module.startswith(_STEP_MODULES) else "console")
        code = _call(arguments)
        sys.stdout.flush()
    except GeoCropError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted: run it again to go on", 130)
    except _Stopped:
        return _fail("stopped by SIGTERM: run it again to go on", 143)
    except MemoryError:
        return _fail("the memory is full: give fewer workers or smaller tiles", 75)
    except OSError as error:
        return _refused(error)
    return code


def _refused(error: OSError) -> int:
    """What the operating system said, in one line; raises what it did not say."""
    if _output_is_lost() and isinstance(error, BrokenPipeError):
        return _PIPE_CLOSED
    if error.errno is None:
        raise error
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    if error.errno in DISK_FULL:
        return _fail(f"the disk is full: {what}: free some space there, then run again", 75)
    if error.errno in _WRONG_PATH and error.filename:
        return _fail(f"{what}: check the path and its permissions", 2)
    return _fail(f"{what}: run again later", 75)


def _output_is_lost() -> bool:
    """Whether nothing can be written to standard output; what still waits to be is then dropped."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _fail(message: str, code: int) -> int:
    """Say why, in one line, as people or machines read it."""
    line = " ".join(message.split())
    if _is_logged_as_json():
        import structlog  # noqa: PLC0415

        structlog.get_logger().error("failed", error=line, exit_code=code)
    else:
        sys.stderr.write(f"geocrop: {line}\n")
    return code


def _is_logged_as_json() -> bool:
    """Never while the command line is still being read."""
    if "structlog" not in sys.modules:
        return False
    from steps.log import is_json  # noqa: PLC0415

    return is_json()


if __name__ == "__main__":
    sys.exit(main())
