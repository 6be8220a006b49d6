"""What each command does: what is asked for goes to stdout, progress and errors to stderr."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hpmpi.api import folders, script
from hpmpi.cli import first_study
from hpmpi.cli.first_look import is_script, wants_ranks
from hpmpi.cli.parser import completion, meant, parsed
from hpmpi.errors import HpmpiError, OutputError, SettingsError, TransportError
from hpmpi.launch import launch
from hpmpi.launch.standby import stand_by
from hpmpi.leader import preview, run
from hpmpi.leader.stderr_log import log_to_stderr
from hpmpi.model.messages import Outcome
from hpmpi.storage.journal import collector_paused
from hpmpi.storage.repair import repair
from hpmpi.views import explain, export, layout, replay, show, show_json, story, trial_log, watch
from hpmpi.views.run_view import Summary, look
from hpmpi.views.stdout import hand_over, say, say_last
from hpmpi.worker import entry

DIFFERENT = 1
UNSAID = 1
INTERRUPTED = 128 + signal.SIGINT

Command = Callable[[argparse.Namespace], int]


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the exit code."""
    log_to_stderr()
    if len(arguments) == 3 and arguments[0] == "standby":  # noqa: PLR2004 - said by `launch`
        stand_by(Path(arguments[1]), arguments[2])
        return 0
    if is_script(arguments):
        return said(lambda: script.follow(arguments), None)
    try:
        options = parsed(meant(arguments))
    except SystemExit as left:
        if wants_ranks(arguments):
            run.dismiss()
        return int(left.code or 0)
    return said(lambda: DO[options.command](options), getattr(options, "launched", None))


def said(do: Callable[[], int], launched: int | None) -> int:
    """Do something, and say what is wrong with it; return the exit code.

    `launched`: how many ranks were started by `launch`, if it was that.
    """
    try:
        return do()
    except OutputError as error:
        print(f"hpmpi: {error}", file=sys.stderr)
        return UNSAID
    except HpmpiError as error:
        print(f"hpmpi: {layout.printable(str(error))}", file=sys.stderr)
        if error.may_pass:
            print("hpmpi: the same command goes on from here", file=sys.stderr)
            return run.TRY_AGAIN
        apart = isinstance(error, TransportError) and launched is not None
        return run.NO_WORLD if apart else entry.BAD_INPUT


def do_run(options: argparse.Namespace) -> int:
    """Run a study; print the leaderboard."""
    study = options.study or first_study.builtin()
    plan = partial(run.prepare, study, options.set, options.out, fresh=options.fresh)
    set_verbosity(options)
    summary = run.lead(plan, options.workers, options.launched, is_shown=True)
    if summary.outcome is Outcome.UNFIT:
        refusal = layout.printable(summary.history.refusal)
        print(f"hpmpi: no rank can work:\n{refusal}", file=sys.stderr)
    else:
        say_last(show.text(summary, top=10))
    return run.exit_code(summary)


def set_verbosity(options: argparse.Namespace) -> None:
    """Have as much logged as is asked for."""
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.getLogger("hpmpi").setLevel(logging.WARNING if options.quiet else level)


def do_launch(options: argparse.Namespace) -> int:
    """Start a study's ranks, and see it through."""
    set_verbosity(options)
    study = options.study or first_study.builtin()
    order = launch.Order(
        study=study,
        changes=options.set,
        out=options.out,
        fresh=options.fresh,
        ranks=options.ranks,
        hosts=tuple(options.hosts),
        launcher=options.launcher,
        verbosity=tuple(f"--{name}" for name in ("quiet", "verbose") if getattr(options, name)),
    )
    return launch.launch(order)


def do_check(options: argparse.Namespace) -> int:
    """Say what a study is, and what it will take."""
    machine = preview.Machine(options.ranks, options.nodes, options.time)
    for line in preview.check(options.study, options.set, machine, options.job_s):
        say(layout.printable(line))
    return 0


def do_try(options: argparse.Namespace) -> int:
    """Try a trial, here."""
    machine = preview.Machine(options.ranks, options.nodes, options.time)
    wanted = preview.Wanted(options.config, options.trial, options.out)
    return preview.rehearse(options.study, options.set, machine, wanted)


def do_show(options: argparse.Namespace) -> int:
    """Print how a run or a trial stands, once or until the end; of several runs, a line each."""
    several = folders.runs_in(options.folder)
    if several and not options.watch and options.trial is None:
        say(folders.as_json(several) if options.json else folders.text(several))
        return 0
    folder = folders.run_at(options.folder)
    if options.log:
        return show_log(folder, options)
    tell = teller(options)
    if not options.watch:
        say(tell(look(folder)))
        return 0
    try:
        if sys.stdout.isatty() and not options.json and options.trial is None:
            watch.watch_in_terminal(folder, options.top)
        else:
            watch.watch(folder, tell)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def do_explain(options: argparse.Namespace) -> int:
    """Print why a run, a trial or a rank stands where it does."""
    summary = look(folders.run_at(options.folder))
    if options.trial is not None:
        say(explain.of_trial(summary, options.trial))
    elif options.rank is not None:
        say(explain.of_rank(summary, options.rank))
    else:
        say(explain.of_run(summary))
    return 0


def show_log(folder: Path, options: argparse.Namespace) -> int:
    """Print what a trial printed."""
    if options.trial is None or options.watch or options.json:
        given = "and goes with neither --watch nor --json" if options.trial is not None else ""
        raise SettingsError([f"--log is of one trial, {given or 'which --trial N names'}"])
    text = trial_log.text(look(folder), options.trial, folder)
    is_read = sys.stdout.isatty()
    say(layout.printable(trial_log.for_terminal(text)) if is_read else text, end="")
    return 0


def teller(options: argparse.Namespace) -> Callable[[Summary], str]:
    """Choose what is told of a run, and how; where it is watched, what is JSON is a line."""
    indent = None if options.watch else 2
    if options.trial is not None:
        as_json = partial(story.as_json, trial=options.trial, indent=indent)
        return as_json if options.json else partial(story.text, trial=options.trial)
    if options.json:
        return partial(show_json.text, top=options.top, indent=indent)
    return partial(show.text, top=options.top)


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
    """Print a table of a run, its best configuration, or what another program reads of it."""
    summary = look(folders.run_at(options.folder))
    told = export.export(summary, options.format, options.what)
    if isinstance(told, bytes):
        hand_over(told)
    else:
        say(layout.printable(told) if sys.stdout.isatty() else told, end="")
    return 0


def do_plot(options: argparse.Namespace) -> int:
    """Draw figures; print the files."""
    from hpmpi.views import plot  # noqa: PLC0415 - matplotlib is not everywhere
    from hpmpi.views.figures import style  # noqa: PLC0415

    runs = [folders.run_at(folder) for folder in options.folders]
    paper = style.Paper(options.width, not options.no_title, options.dpi)
    wanted = plot.Wanted(options.only, options.format, options.out, paper)
    with collector_paused():  # all that there is lives to the end
        for file in plot.plot(runs, wanted, partial(print, "hpmpi:", file=sys.stderr)):
            say(layout.printable(str(file)))
    return 0


def do_report(options: argparse.Namespace) -> int:
    """Write a page; print which file it is."""
    from hpmpi.views.report import page  # noqa: PLC0415 - matplotlib is not everywhere

    runs = [folders.run_at(folder) for folder in options.folders]
    with collector_paused():  # as for figures
        say(layout.printable(str(page.write(runs, options.out))))
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


def do_init(options: argparse.Namespace) -> int:
    """Write a study and its objective; print the files, and what to do with them."""
    say(first_study.write(options.kind, options.folder))
    return 0


def do_doctor(options: argparse.Namespace) -> int:
    """Print what is found of this machine, as it is found, and what to do."""
    from hpmpi.doctor import doctor  # noqa: PLC0415 - no rank needs it

    return doctor.examine(options.folder, say)


def do_completion(options: argparse.Namespace) -> int:
    """Print what a shell completes our words by."""
    say(completion(options.shell))
    return 0


def alone(do: Command) -> Command:
    """End quietly where nobody reads, as in `... | head`."""

    def do_alone(options: argparse.Namespace) -> int:
        before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        try:
            return do(options)
        finally:  # who has called us may write to what is closed, and go on
            signal.signal(signal.SIGPIPE, before)

    return do_alone


DO: dict[str, Command] = {
    "run": do_run,
    "try": do_try,
    "doctor": do_doctor,  # it leaves nothing behind, whoever stops reading
    **{
        name: alone(do)
        for name, do in {
            "init": do_init,
            "launch": do_launch,
            "check": do_check,
            "show": do_show,
            "explain": do_explain,
            "export": do_export,
            "plot": do_plot,
            "report": do_report,
            "replay": do_replay,
            "repair": do_repair,
            "submit": do_submit,
            "completion": do_completion,
        }.items()
    },
}
"""Who does what a command asks for."""
