"""What may be said on the command line, and what is meant by it; cli.py does it."""

import argparse
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple, NoReturn

from hpmpi import __version__
from hpmpi.first_study import KINDS
from hpmpi.history.tables import TABLES
from hpmpi.leader.run import RESULTS
from hpmpi.option_values import (
    dots,
    duration,
    folder,
    formats,
    from_zero,
    hosts,
    inches,
    names,
    positive,
    seconds,
)
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


def add_run(each: argparse.ArgumentParser) -> None:
    """Name what may be said of a run."""
    each.add_argument("study", nargs="?", type=Path, help="a TOML file; default: the digits")
    add_study_options(each)
    each.add_argument(
        "--workers", type=positive, metavar="N", help="N local processes instead of MPI ranks"
    )
    add_verbosity(each)
    # Said by `launch`:
    each.add_argument("--ranks", dest="launched", type=positive, help=argparse.SUPPRESS)


def add_study_options(each: argparse.ArgumentParser) -> None:
    """Name what `run`, `launch` and `submit` may be told of a study."""
    add_set(each)
    each.add_argument("--out", type=folder, metavar="DIR", help="default: results/<study name>")
    each.add_argument("--fresh", action="store_true", help="move the run that is there aside")


def add_verbosity(each: argparse.ArgumentParser) -> None:
    """Name how much is said while a run goes on."""
    much = each.add_mutually_exclusive_group()
    much.add_argument("-q", "--quiet", action="store_true", help="warnings only, and no live view")
    much.add_argument("-v", "--verbose", action="store_true", help="each job that begins, too")


def add_set(each: argparse.ArgumentParser) -> None:
    """Name how a study is changed."""
    each.add_argument(
        "--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="change a setting"
    )


def add_launch(each: argparse.ArgumentParser) -> None:
    """Name what may be said of a launch."""
    each.add_argument("study", nargs="?", type=Path, help="a TOML file; default: the digits")
    add_study_options(each)
    each.add_argument("-n", "--ranks", type=positive, help="default: Slurm's tasks, or cores + 1")
    each.add_argument("--hosts", type=hosts, default=(), metavar="A,B,C", help="over ssh")
    add_verbosity(each)
    each.add_argument("--launcher", choices=["srun", "mpirun"], help="default: what loses least")


def add_check(each: argparse.ArgumentParser) -> None:
    """Name what may be said of a check."""
    each.add_argument("study", type=Path, help="a TOML file")
    add_set(each)
    add_machine(each)
    each.add_argument(
        "--job-s", type=seconds, metavar="S", help="how long a job of the lowest rung takes"
    )


def add_try(each: argparse.ArgumentParser) -> None:
    """Name what may be said of a trial that is tried."""
    each.add_argument("study", type=Path, help="a TOML file")
    add_set(each)
    which = each.add_mutually_exclusive_group()
    which.add_argument(
        "--trial", type=from_zero, metavar="N", help="that of the run, if it has it; default: 0"
    )
    which.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a hyperparameter; the rest is drawn",
    )
    each.add_argument("--out", type=folder, metavar="DIR", help="the run that --trial is of")
    add_machine(each)


def add_machine(each: argparse.ArgumentParser) -> None:
    """Name what may be said of where a study is to be run."""
    each.add_argument("--ranks", type=positive, metavar="N", help="as of mpirun -n N")
    each.add_argument("--nodes", type=positive, default=1, metavar="N", help="default: 1")
    each.add_argument("--time", type=duration, metavar="HH:MM:SS", help="when it must be over")


def add_show(each: argparse.ArgumentParser) -> None:
    """Name what may be said of how a run stands."""
    each.add_argument("folder", type=Path, metavar="DIR", help="of a run, or of several")
    each.add_argument("--top", type=positive, default=10, metavar="N", help="default: 10")
    each.add_argument("--json", action="store_true", help="for programs")
    each.add_argument("--watch", action="store_true", help="again when it changes, until its end")
    each.add_argument("--trial", type=from_zero, metavar="N", help="what became of one trial")
    each.add_argument("--log", action="store_true", help="what that trial printed, on any rank")


def add_explain(each: argparse.ArgumentParser) -> None:
    """Name what may be asked about."""
    each.add_argument("folder", type=Path, metavar="DIR")
    which = each.add_mutually_exclusive_group()
    which.add_argument("--trial", type=from_zero, metavar="N", help="why it does not go on")
    which.add_argument("--rank", type=from_zero, metavar="R", help="why it has no work")


def add_export(each: argparse.ArgumentParser) -> None:
    """Name what may be said of an export."""
    each.add_argument("folder", type=Path, metavar="DIR")
    each.add_argument(
        "--format",
        choices=export.FORMATS,
        default="csv",
        help="default: csv; toml: the best configuration; optuna: a journal for optuna-dashboard",
    )
    each.add_argument(
        "--what", choices=[*TABLES], default=export.TRIALS, help="default: trials, best first"
    )


def add_init(each: argparse.ArgumentParser) -> None:
    """Name what may be said of a first study."""
    each.add_argument("folder", type=folder, nargs="?", default=Path(), metavar="DIR")
    which = each.add_mutually_exclusive_group()
    each.set_defaults(kind=next(iter(KINDS)))
    for kind, said in KINDS.items():
        which.add_argument(f"--{kind}", dest="kind", action="store_const", const=kind, help=said)


def add_doctor(each: argparse.ArgumentParser) -> None:
    """Name what may be said of an examination."""
    said = "where runs are to go; default: results"
    each.add_argument("folder", type=folder, nargs="?", default=RESULTS, metavar="DIR", help=said)


def add_completion(each: argparse.ArgumentParser) -> None:
    """Name the shells."""
    each.add_argument("shell", choices=["bash", "zsh", "tcsh"])


def add_plot(each: argparse.ArgumentParser) -> None:
    """Name what may be said of figures."""
    each.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="several are compared")
    each.add_argument("--out", type=Path, metavar="FOLDER", help="default: DIR/plots")
    each.add_argument(
        "--format", type=formats, default="png,svg", metavar="png,svg,pdf", help="default: png,svg"
    )
    each.add_argument(
        "--only", type=names, action="extend", default=[], metavar="NAME", help="such as curves"
    )
    each.add_argument("--no-title", action="store_true", help="as a caption will say it")
    each.add_argument("--width", type=inches, metavar="INCHES", help="such as 3.5 for a column")
    each.add_argument("--dpi", type=dots, default=200, metavar="N", help="default: 200")


def add_report(each: argparse.ArgumentParser) -> None:
    """Name what may be said of a page."""
    each.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="several are compared")
    each.add_argument("--out", type=Path, metavar="FILE", help="default: DIR/report.html")


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


class Command(NamedTuple):
    """What a command may be told; what it does, and examples, for people."""

    add: Callable[[argparse.ArgumentParser], None]
    said: str
    examples: tuple[str, ...]


COMMANDS: dict[str, Command] = {
    "init": Command(
        add_init,
        "write a first study, and what it tunes",
        ("hpmpi init", "hpmpi init --torch mine"),
    ),
    "doctor": Command(
        add_doctor,
        "say what works on this machine, and what to do about the rest",
        ("hpmpi doctor", "salloc -N 2 -n 2 hpmpi doctor /scratch/me/results"),
    ),
    "run": Command(
        add_run,
        "run a study, or go on with it",
        ("hpmpi run study.toml --workers 4", "mpirun -n 10 python -m hpmpi run study.toml"),
    ),
    "launch": Command(
        add_launch,
        "start the ranks of a study, and see it through",
        ("hpmpi launch study.toml -n 10", "hpmpi launch study.toml --hosts node1,node2"),
    ),
    "check": Command(
        add_check,
        "check a study, and say what it will take",
        ("hpmpi check study.toml --ranks 65 --nodes 2 --job-s 60 --time 8:00:00",),
    ),
    "try": Command(
        add_try,
        "try a trial in this process, debugger and all",
        ("hpmpi try study.toml", "hpmpi try study.toml --config lr=0.1"),
    ),
    "show": Command(
        add_show,
        "print how a run stands, and its leaderboard",
        ("hpmpi show results/study --watch", "hpmpi show results/study --trial 5 --log"),
    ),
    "explain": Command(
        add_explain,
        "say why a run, a trial or a rank does not go on",
        ("hpmpi explain results/study", "hpmpi explain results/study --trial 5"),
    ),
    "export": Command(
        add_export,
        "write what came of a run, for other programs",
        (
            "hpmpi export results/study --format toml > best.toml",
            "hpmpi export results/study --what curves --format parquet > curves.parquet",
            "hpmpi export results/study --format optuna > study.log",
        ),
    ),
    "plot": Command(
        add_plot,
        "draw the figures of runs, as files",
        (
            "hpmpi plot results/study",
            "hpmpi plot results/one results/other --format svg",
            "hpmpi plot results/study --only curves --no-title --width 3.5 --format pdf",
        ),
    ),
    "report": Command(
        add_report,
        "write one page that tells all of runs, as HTML",
        ("hpmpi report results/study", "hpmpi report results/one results/other --out both.html"),
    ),
    "replay": Command(
        add_replay, "derive every decision of a run again", ("hpmpi replay results/study",)
    ),
    "repair": Command(
        add_repair,
        "mend a damaged journal from the copy in run.h5",
        ("hpmpi repair results/study",),
    ),
    "submit": Command(
        add_submit,
        "have Slurm run a study",
        ("hpmpi submit study.toml --nodes 2 --ntasks-per-node 16 --time 8:00:00",),
    ),
    "completion": Command(
        add_completion,
        "print what has a shell complete our words",
        ('eval "$(hpmpi completion bash)"    # in ~/.bashrc',),
    ),
}
