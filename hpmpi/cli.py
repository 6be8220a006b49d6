"""The command line: what is asked for goes to stdout, progress and errors to stderr."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hpmpi import __version__, export, replay, run, show
from hpmpi.errors import HpmpiError
from hpmpi.messages import Outcome
from hpmpi.summary import look

DIFFERENT = 1
BAD_INPUT = 2
NO_SUCCESS = 3
EXIT_CODES = {
    Outcome.COMPLETE: 0,
    Outcome.UNFIT: BAD_INPUT,
    Outcome.DESERTED: 4,
    Outcome.DRAINED: run.TRY_AGAIN,
}

Command = Callable[[argparse.Namespace], int]

HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the exit code."""
    if run.serves():
        return run.serve()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    try:
        options = parser().parse_args(arguments if named(arguments) else ["run", *arguments])
    except SystemExit as left:
        run.dismiss()
        return int(left.code or 0)
    try:
        code: int = options.do(options)
    except HpmpiError as error:
        print(f"hpmpi: {show.printable(str(error))}", file=sys.stderr)
        if error.may_pass:
            print("hpmpi: the same command goes on from here", file=sys.stderr)
        return run.TRY_AGAIN if error.may_pass else BAD_INPUT
    return code


def named(arguments: list[str]) -> bool:
    """Tell whether a command is named; without one, `run` is meant."""
    if not arguments or arguments[0].endswith(".toml"):
        return False
    return not arguments[0].startswith("-") or arguments[0] in {"-h", "--help", "--version"}


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="hpmpi",
        description="Tune hyperparameters on a cluster with nothing but MPI.",
        epilog="Without a command, `run` is meant: mpirun -n 10 python -m hpmpi",
    )
    top.add_argument("--version", action="version", version=f"hpmpi {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    each = commands.add_parser("run", help="run a study, or go on with it")
    each.add_argument("study", nargs="?", type=Path, help="a TOML file; default: the digits")
    each.add_argument(
        "--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="change a setting"
    )
    each.add_argument("--out", type=Path, metavar="DIR", help="default: results/<study name>")
    each.add_argument("--fresh", action="store_true", help="move the run that is there aside")
    each.add_argument(
        "--workers", type=positive, metavar="N", help="N local processes instead of MPI ranks"
    )
    each.set_defaults(do=do_run)
    each = commands.add_parser("show", help="print the leaderboard of a run")
    each.add_argument("folder", type=Path, metavar="DIR")
    each.add_argument("--top", type=positive, default=10, metavar="N", help="default: 10")
    each.add_argument("--json", action="store_true", help="for programs")
    each.set_defaults(do=alone(do_show))
    each = commands.add_parser("export", help="write the trials, or the best configuration")
    each.add_argument("folder", type=Path, metavar="DIR")
    each.add_argument("--format", choices=list(export.FORMATS), required=True)
    each.set_defaults(do=alone(do_export))
    each = commands.add_parser("replay", help="derive every decision of a run again")
    each.add_argument("folder", type=Path, metavar="DIR")
    each.add_argument("--trust", action="store_true", help="run the code that the folder names")
    each.set_defaults(do=alone(do_replay))
    return top


def do_run(options: argparse.Namespace) -> int:
    """Run a study; print the leaderboard."""
    study = options.study or builtin_study()
    plan = partial(run.prepare, study, options.set, options.out, fresh=options.fresh)
    summary = run.lead(plan, options.workers)
    if summary.outcome is Outcome.UNFIT:
        refusal = show.printable(summary.refusal)
        print(f"hpmpi: no rank can load the objective:\n{refusal}", file=sys.stderr)
    else:
        print(show.text(summary, top=10))
    if summary.outcome is Outcome.COMPLETE and summary.board.incumbent is None:
        return NO_SUCCESS
    assert summary.outcome is not None, "a run that was led has ended"
    return EXIT_CODES[summary.outcome]


def do_show(options: argparse.Namespace) -> int:
    """Print a leaderboard."""
    summary = look(options.folder)
    print(show.as_json(summary, options.top) if options.json else show.text(summary, options.top))
    return 0


def do_replay(options: argparse.Namespace) -> int:
    """Print what came of deriving a run again."""
    verdict = replay.replay(options.folder, trust=options.trust)
    print(show.printable(replay.text(verdict)))
    return 0 if verdict.difference is None else DIFFERENT


def do_export(options: argparse.Namespace) -> int:
    """Print the trials or the best configuration."""
    text = export.FORMATS[options.format](look(options.folder))
    print(show.printable(text) if sys.stdout.isatty() else text, end="")
    return 0


def alone(do: Command) -> Command:
    """Do without ranks, under mpirun too; end quietly where nobody reads, as in `... | head`."""

    def do_alone(options: argparse.Namespace) -> int:
        run.dismiss()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        return do(options)

    return do_alone


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1 on")
    return int(text)


def builtin_study() -> Path:
    """Find the study that is run when none is named: in the wheel, or in the source tree."""
    inside = HERE / "spaces" / "digits.toml"
    return inside if inside.exists() else HERE.parent / "spaces" / "digits.toml"
