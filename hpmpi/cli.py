"""The command line: what is asked for goes to stdout, progress and errors to stderr."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import NoReturn

from hpmpi import __version__, folders
from hpmpi.commands import wants_ranks
from hpmpi.errors import HpmpiError, OutputError, TransportError
from hpmpi.launch import launch
from hpmpi.launch.standby import stand_by
from hpmpi.leader import run
from hpmpi.model.messages import Outcome
from hpmpi.views import export, layout, replay, show, show_json, watch
from hpmpi.views.run_view import look
from hpmpi.views.stdout import say, say_last
from hpmpi.worker import entry

DIFFERENT = 1
UNSAID = 1
INTERRUPTED = 128 + signal.SIGINT

Command = Callable[[argparse.Namespace], int]

HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the exit code."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    if len(arguments) == 3 and arguments[0] == "standby":  # noqa: PLR2004 - said by `launch`
        stand_by(Path(arguments[1]), arguments[2])
        return 0
    try:
        options = parsed(meant(arguments))
    except SystemExit as left:
        if wants_ranks(arguments):
            run.dismiss()
        return int(left.code or 0)
    try:
        code: int = options.do(options)
    except OutputError as error:
        print(f"hpmpi: {error}", file=sys.stderr)
        return UNSAID
    except HpmpiError as error:
        print(f"hpmpi: {layout.printable(str(error))}", file=sys.stderr)
        if error.may_pass:
            print("hpmpi: the same command goes on from here", file=sys.stderr)
            return run.TRY_AGAIN
        apart = isinstance(error, TransportError) and getattr(options, "launched", None) is not None
        return run.NO_WORLD if apart else entry.BAD_INPUT
    return code


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
    raise SystemExit(entry.BAD_INPUT)


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
        add(commands.add_parser(name, help=said, description=about, allow_abbrev=False))
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
    each.set_defaults(do=do_run)


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
    each.set_defaults(do=alone(do_launch))


def add_show(each: argparse.ArgumentParser) -> None:
    """Name what may be said of how a run stands."""
    each.add_argument("folder", type=Path, metavar="DIR", help="of a run, or of several")
    each.add_argument("--top", type=positive, default=10, metavar="N", help="default: 10")
    each.add_argument("--json", action="store_true", help="for programs")
    each.add_argument("--watch", action="store_true", help="again when it changes, until its end")
    each.set_defaults(do=alone(do_show))


def add_export(each: argparse.ArgumentParser) -> None:
    """Name what may be said of an export."""
    each.add_argument("folder", type=Path, metavar="DIR")
    each.add_argument(
        "--format", choices=list(export.FORMATS), default="csv", help="default: csv; toml: the best"
    )
    each.set_defaults(do=alone(do_export))


def add_plot(each: argparse.ArgumentParser) -> None:
    """Name what may be said of figures."""
    each.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="several are compared")
    each.add_argument("--out", type=Path, metavar="FOLDER", help="default: DIR/plots")
    each.add_argument(
        "--format", type=formats, default="png,svg", metavar="png,svg", help="default: both"
    )
    each.set_defaults(do=alone(do_plot))


def add_replay(each: argparse.ArgumentParser) -> None:
    """Name what may be said of a replay."""
    each.add_argument("folder", type=Path, metavar="DIR")
    each.add_argument("--trust", action="store_true", help="run the code that the folder names")
    each.set_defaults(do=alone(do_replay))


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
    each.set_defaults(do=alone(do_submit))


COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]] = {
    "run": (add_run, "run a study, or go on with it"),
    "launch": (add_launch, "start the ranks of a study, and see it through"),
    "show": (add_show, "print how a run stands, and its leaderboard"),
    "export": (add_export, "write the trials, or the best configuration"),
    "plot": (add_plot, "draw the figures of runs, as files"),
    "replay": (add_replay, "derive every decision of a run again"),
    "submit": (add_submit, "have Slurm run a study, through submitit"),
}
"""What each command may be told, and what it does."""


def do_run(options: argparse.Namespace) -> int:
    """Run a study; print the leaderboard."""
    study = options.study or builtin_study()
    plan = partial(run.prepare, study, options.set, options.out, fresh=options.fresh)
    summary = run.lead(plan, options.workers, options.launched)
    if summary.outcome is Outcome.UNFIT:
        refusal = layout.printable(summary.refusal)
        print(f"hpmpi: no rank can work:\n{refusal}", file=sys.stderr)
    else:
        say_last(show.text(summary, top=10))
    return run.exit_code(summary)


def do_launch(options: argparse.Namespace) -> int:
    """Start a study's ranks, and see it through."""
    study = options.study or builtin_study()
    order = launch.Order(
        study=study,
        changes=options.set,
        out=options.out,
        fresh=options.fresh,
        ranks=options.ranks,
        hosts=tuple(options.hosts),
        launcher=options.launcher,
    )
    return launch.launch(order)


def do_show(options: argparse.Namespace) -> int:
    """Print how a run stands, once or until it has ended; of several, a line each."""
    several = folders.runs_in(options.folder)
    if several and not options.watch:
        say(folders.as_json(several) if options.json else folders.text(several))
        return 0
    folder = folders.run_at(options.folder)
    if not options.watch:
        tell = show_json.text if options.json else show.text
        say(tell(look(folder), options.top))
        return 0
    again = partial(show_json.text, indent=None) if options.json else watch.page
    try:
        watch.watch(folder, lambda summary: again(summary, options.top))
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def do_replay(options: argparse.Namespace) -> int:
    """Print what came of deriving a run again."""
    verdict = replay.replay(folders.run_at(options.folder), trust=options.trust)
    say(layout.printable(replay.text(verdict)))
    return 0 if verdict.difference is None else DIFFERENT


def do_export(options: argparse.Namespace) -> int:
    """Print the trials or the best configuration."""
    text = export.FORMATS[options.format](look(folders.run_at(options.folder)))
    say(layout.printable(text) if sys.stdout.isatty() else text, end="")
    return 0


def do_plot(options: argparse.Namespace) -> int:
    """Draw figures; print the files."""
    from hpmpi.views import plot  # noqa: PLC0415 - matplotlib is not everywhere

    runs = [folders.run_at(folder) for folder in options.folders]
    report = partial(print, "hpmpi:", file=sys.stderr)
    for file in plot.plot(runs, options.out, options.format, report):
        say(layout.printable(str(file)))
    return 0


def do_submit(options: argparse.Namespace) -> int:
    """Submit a study; print the id that Slurm gives it."""
    from hpmpi.launch import batch, submission  # noqa: PLC0415 - submitit is not everywhere
    from hpmpi.slurm import sbatch_options  # noqa: PLC0415

    given = {name: getattr(options, name) for name in sbatch_options.Needs.__struct_fields__}
    asked = {name: value for name, value in given.items() if value is not None}
    request = submission.prepare(
        options.study, options.set, options.out, asked, fresh=options.fresh
    )
    if options.dry_run:
        say(batch.Batch(request).script(), end="")
        return 0
    jobs = batch.send(request)
    number = jobs[0].job_id.partition("_")[0]
    log = str(request.log).replace("%j", number).replace("%A", number)
    folders = ", ".join(str(request.folder_of(job.job_id)) for job in jobs)
    print(f"hpmpi: the results will be in {folders}; the log in {log}", file=sys.stderr)
    say(number)
    return submission.follow(request, jobs) if options.wait else 0


def alone(do: Command) -> Command:
    """End quietly where nobody reads, as in `... | head`."""

    def do_alone(options: argparse.Namespace) -> int:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        return do(options)

    return do_alone


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


def builtin_study() -> Path:
    """Find the study that is run when none is named: in the wheel, or in the source tree."""
    inside = HERE / "spaces" / "digits.toml"
    return inside if inside.exists() else HERE.parent / "spaces" / "digits.toml"
