"""The command line: what is asked for goes to stdout, progress and errors to stderr."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hpmpi import folders
from hpmpi.command_line import meant, parsed
from hpmpi.commands import wants_ranks
from hpmpi.errors import HpmpiError, OutputError, TransportError
from hpmpi.launch import launch
from hpmpi.launch.standby import stand_by
from hpmpi.leader import run
from hpmpi.model.messages import Outcome
from hpmpi.storage.repair import repair
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
        code = DO[options.command](options)
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
    folder = folders.run_at(options.folder)
    verdict = replay.replay(folder, trust=options.trust, searcher=options.searcher)
    say(layout.printable(replay.text(verdict)))
    return 0 if verdict.difference is None else DIFFERENT


def do_repair(options: argparse.Namespace) -> int:
    """Mend a journal; print what was done."""
    done = repair(folders.run_at(options.folder))
    kept = f"; what was there is {done.kept.name}" if done.kept is not None else ""
    say(f"repair: {done.taken} of {done.lines} lines are from run.h5{kept}")
    return 0


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
    from hpmpi.launch import batch, submission  # noqa: PLC0415 - no rank needs it
    from hpmpi.slurm import sbatch  # noqa: PLC0415

    given = {name: getattr(options, name) for name in sbatch.Needs.__struct_fields__}
    asked = {name: value for name, value in given.items() if value is not None}
    request = submission.prepare(
        options.study, options.set, options.out, asked, fresh=options.fresh
    )
    if options.dry_run:
        say(request.script, end="")
        return 0
    number = batch.send(request)
    names = request.names(number)
    folders = ", ".join(str(request.folder_of(name)) for name in names)
    logs = ", ".join(str(request.log_of(name)) for name in names)
    print(f"hpmpi: the results will be in {folders}; the log in {logs}", file=sys.stderr)
    say(number)
    return submission.follow(request, number) if options.wait else 0


def alone(do: Command) -> Command:
    """End quietly where nobody reads, as in `... | head`."""

    def do_alone(options: argparse.Namespace) -> int:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        return do(options)

    return do_alone


def builtin_study() -> Path:
    """Find the study that is run when none is named: in the wheel, or in the source tree."""
    inside = HERE / "spaces" / "digits.toml"
    return inside if inside.exists() else HERE.parent / "spaces" / "digits.toml"


DO: dict[str, Command] = {
    "run": do_run,
    **{
        name: alone(do)
        for name, do in {
            "launch": do_launch,
            "show": do_show,
            "export": do_export,
            "plot": do_plot,
            "replay": do_replay,
            "repair": do_repair,
            "submit": do_submit,
        }.items()
    },
}
"""Who does what a command asks for."""
