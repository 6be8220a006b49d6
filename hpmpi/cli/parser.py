"""What is meant by a command line; bad ones are answered with one message."""

import argparse
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from hpmpi import __version__
from hpmpi.cli.commands import COMMANDS
from hpmpi.cli.option_values import folder
from hpmpi.views import layout

BAD_INPUT = 2
"""The exit code."""


def meant(arguments: list[str]) -> list[str]:
    """Say what is meant with a command first; leave, as argparse does, where there is none."""
    if not arguments or arguments[0].endswith(".toml"):
        return ["run", *arguments]
    word, *rest = arguments
    if word == "help":
        return meant([*rest[:1], "--help"]) if rest else ["--help"]
    if word.startswith("-"):
        return arguments if word in {"-h", "--help", "--version"} else ["run", *arguments]
    if word not in COMMANDS:
        close = get_close_matches(word, [*COMMANDS, *map(str, Path().glob("*.toml"))], n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        there_is = f"{', '.join(COMMANDS)}; and a study file ends in .toml"
        leave(f"{word!r} is no command; {hint}there is: {there_is}")
    return arguments


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Read the options of a command; leave where there is no such one."""
    options, unknown = parser().parse_known_args(arguments)
    if unknown:
        names = [f"--{name.replace('_', '-')}" for name in vars(options)]
        close = get_close_matches(unknown[0].partition("=")[0], names, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        command = arguments[0]
        leave(
            f"{unknown[0]!r} is one word too many; {hint}`hpmpi help {command}` says what it takes"
        )
    return options


def leave(said: str) -> NoReturn:
    """Leave as argparse does."""
    print(f"hpmpi: {layout.printable(said)}", file=sys.stderr)
    raise SystemExit(BAD_INPUT)


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="hpmpi",
        description="Tune hyperparameters on a cluster with nothing but MPI.",
        epilog="Without a command, `run` is meant: mpirun -n 10 python -m hpmpi; and SCRIPT.py is "
        "a program of yours, for whose runs the ranks work.",
    )
    top.add_argument("--version", action="version", version=f"hpmpi {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        each = commands.add_parser(
            name,
            help=command.said,
            description=f"{command.said[0].upper()}{command.said[1:]}.",
            epilog="\n    ".join(["for example:", *command.examples]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        each.set_defaults(command=name)
        command.add(each)
    return top


def completion(shell: str) -> str:
    """Write what a shell completes the command line by."""
    import shtab  # noqa: PLC0415 - nothing else needs it

    top = parser()
    (commands,) = (it.choices for it in top._actions if isinstance(it.choices, dict))  # noqa: SLF001
    for each in commands.values():
        for action in each._actions:  # noqa: SLF001 - shtab wants files to be marked so
            if action.type in (Path, folder):
                action.complete = shtab.FILE
    return str(shtab.complete(top, shell))
