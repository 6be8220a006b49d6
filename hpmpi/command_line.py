"""What may be said on the command line, and what is meant by it; cli.py does it."""

import argparse
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from hpmpi import __version__
from hpmpi.views import export, layout

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
        epilog="Without a command, `run` is meant: mpirun -n 10 python -m hpmpi",
    )
    top.add_argument("--version", action="version", version=f"hpmpi {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for name, (add, said) in COMMANDS.items():
        about = f"{said[0].upper()}{said[1:]}."
        each = commands.add_parser(name, help=said, description=about, allow_abbrev=False)
        each.set_defaults(command=name)
        add(each)
    return top


def add_run(each: argparse.ArgumentParser) -> None:
    """Name what may be said of a run."""
    each.add_argument("study", nargs="?", type=Path, help="a TOML file; default: the digits")
    add_study_options(each)
    each.add_argument(
        "--workers", type=positive, metavar="N", help="N local processes instead of MPI ranks"
    )
    # Said by `launch`:
    each.add_argument("--ranks", dest="launched", type=positive, help=argparse.SUPPRESS)


def add_study_options(each: argparse.ArgumentParser) -> None:
    """Name what `run`, `launch` and `submit` may be told of a study."""
    each.add_argument(
        "--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="change a setting"
    )
    each.add_argument("--out", type=folder, metavar="DIR", help="default: results/<study name>")
    each.add_argument("--fresh", action="store_true", help="move the run that is there aside")


def add_launch(each: argparse.ArgumentParser) -> None:
    """Name what may be said of a launch."""
    each.add_argument("study", nargs="?", type=Path, help="a TOML file; default: the digits")
    add_study_options(each)
    each.add_argument("-n", "--ranks", type=positive, help="default: Slurm's tasks, or cores + 1")
    each.add_argument("--hosts", type=hosts, default=(), metavar="A,B,C", help="over ssh")
    each.add_argument("--launcher", choices=["srun", "mpirun"], help="default: what loses least")


def add_show(each: argparse.ArgumentParser) -> None:
    """Name what may be said of how a run stands."""
    each.add_argument("folder", type=Path, metavar="DIR", help="of a run, or of several")
    each.add_argument("--top", type=positive, default=10, metavar="N", help="default: 10")
    each.add_argument("--json", action="store_true", help="for programs")
    each.add_argument("--watch", action="store_true", help="again when it changes, until its end")


def add_export(each: argparse.ArgumentParser) -> None:
    """Name what may be said of an export."""
    each.add_argument("folder", type=Path, metavar="DIR")
    each.add_argument(
        "--format", choices=list(export.FORMATS), default="csv", help="default: csv; toml: the best"
    )


def add_plot(each: argparse.ArgumentParser) -> None:
    """Name what may be said of figures."""
    each.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="several are compared")
    each.add_argument("--out", type=Path, metavar="FOLDER", help="default: DIR/plots")
    each.add_argument(
        "--format", type=formats, default="png,svg", metavar="png,svg", help="default: both"
    )


def add_replay(each: argparse.ArgumentParser) -> None:
    """Name what may be said of a replay."""
    each.add_argument("folder", type=Path, metavar="DIR")
    each.add_argument("--trust", action="store_true", help="run the code that the folder names")
    each.add_argument("--searcher", action="store_true", help="ask the searcher again, too")


def add_repair(each: argparse.ArgumentParser) -> None:
    """Name what may be said of a repair."""
    each.add_argument("folder", type=Path, metavar="DIR")


def add_submit(each: argparse.ArgumentParser) -> None:
    """Name what may be asked of Slurm, as sbatch does."""
    each.add_argument("study", type=Path, help="a TOML file")
    add_study_options(each)
    for size in ("--nodes", "--ntasks-per-node"):
        each.add_argument(size, type=positive, metavar="N", required=True)
    each.add_argument("--time", metavar="HH:MM:SS", required=True, help="or minutes, or D-HH:MM:SS")
    each.add_argument("--cpus-per-task", type=positive, metavar="N")
    for name in ("gpus-per-task", "gpus-per-node", "mem", "partition", "account", "qos"):
        each.add_argument(f"--{name}", help="as sbatch has it")
    each.add_argument("--constraint", help="as sbatch has it")
    each.add_argument("--job-name", metavar="NAME", help="default: the study's name")
    each.add_argument("--array", metavar="0-3%2", help="a run for each, with a seed of its own")
    each.add_argument("--after", metavar="JOBID", help="start when that one is over")
    each.add_argument(
        "--setup", action="append", default=[], metavar="LINE", help="of shell, to come first"
    )
    each.add_argument(
        "--sbatch", action="append", default=[], metavar="KEY=VALUE", help="any other option"
    )
    each.add_argument("--dry-run", action="store_true", help="print the script, and write nothing")
    each.add_argument("--wait", action="store_true", help="follow it, and exit as the run does")


COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]] = {
    "run": (add_run, "run a study, or go on with it"),
    "launch": (add_launch, "start the ranks of a study, and see it through"),
    "show": (add_show, "print how a run stands, and its leaderboard"),
    "export": (add_export, "write the trials, or the best configuration"),
    "plot": (add_plot, "draw the figures of runs, as files"),
    "replay": (add_replay, "derive every decision of a run again"),
    "repair": (add_repair, "mend a damaged journal from the copy in run.h5"),
    "submit": (add_submit, "have Slurm run a study"),
}
"""What each command may be told, and what it does, for people."""


def folder(text: str) -> Path:
    """Read the name of a folder that there may not be yet."""
    if not text or Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is no run folder{' but a file' * bool(text)}")
    return Path(text)


def hosts(text: str) -> tuple[str, ...]:
    """Read names of hosts."""
    names = tuple(name for name in text.split(",") if name)
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} must be names of hosts, with commas between")
    return names


def formats(text: str) -> tuple[str, ...]:
    """Read which formats figures are wanted in."""
    names = tuple(dict.fromkeys(name for name in text.split(",") if name))
    if not names or not {"png", "svg"}.issuperset(names):
        raise argparse.ArgumentTypeError(f"{text!r} must be png, svg, or both with a comma between")
    return names


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1 on")
    return int(text)
