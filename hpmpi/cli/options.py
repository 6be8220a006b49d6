"""The options of each command: what may be said of it, as `--help` has it."""

import argparse
from pathlib import Path

from hpmpi.cli.first_study import KINDS
from hpmpi.cli.option_values import (
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
from hpmpi.history.tables import TABLES
from hpmpi.leader.run import RESULTS
from hpmpi.views import export


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
