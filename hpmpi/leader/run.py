"""A run, as rank 0 leads it.

A run is prepared, and everything in it checked, before the
ranks meet; where there is nothing to do for them, they are sent away.
"""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import msgspec

from hpmpi.errors import HpmpiError, SettingsError, StoreError, TransportError
from hpmpi.history.audit import audit
from hpmpi.leader.lock_keeper import kept
from hpmpi.leader.loop import Leader
from hpmpi.leader.remote_searcher import RemoteSearcher
from hpmpi.leader.results_writer import ResultsWriter
from hpmpi.master.jobs import Jobs
from hpmpi.model.messages import Outcome, Stop
from hpmpi.model.records import Assigned, Ended
from hpmpi.storage import lock, results_file, run_folder
from hpmpi.storage.files import trouble
from hpmpi.storage.journal import REPAIR
from hpmpi.storage.recovery import jobs_of
from hpmpi.study import changes, checks
from hpmpi.study.settings import Settings
from hpmpi.transports import launched, local
from hpmpi.views.run_view import Summary, stored_study, sum_up
from hpmpi.worker.entry import BAD_INPUT, SIGNALS, join_mpi

NO_SUCCESS = 3
DESERTED = 4
NO_WORLD = 69
NO_RESULTS = 73
TRY_AGAIN = 75
"""Exit codes; the last three are EX_UNAVAILABLE, EX_CANTCREAT and EX_TEMPFAIL in sysexits.h.

Of ranks that `launch` has started and that do not form one world; of a run that is complete, and
could not write its results file; and of one that the same command goes on with.
"""

EXIT_CODES = {
    Outcome.COMPLETE: 0,
    Outcome.UNFIT: BAD_INPUT,
    Outcome.DESERTED: DESERTED,
    Outcome.DRAINED: TRY_AGAIN,
    Outcome.FAILED: NO_SUCCESS,
}

log = logging.getLogger("hpmpi")


RESULTS = Path("results")
"""Where runs go for which no folder is named, by the names of their studies."""


class Plan(NamedTuple):
    """What to run: a checked study, the folder of its file, the run folder and what is in it.

    `seen` is what the files in it looked like before they were read.
    """

    study: Settings
    origin: Path
    folder: Path
    seen: run_folder.Seen
    saved: run_folder.Saved


def prepare(study: Path, changes: list[str], out: Path | None, *, fresh: bool) -> Plan:
    """Check everything that a run needs, and read what its folder holds; raises HpmpiError."""
    checked = checks.read(study, changes)
    folder = out or folder_of(checked)
    if fresh:
        move_aside(folder.absolute())
    seen = run_folder.look(folder)
    return Plan(checked, study.parent.absolute(), folder, seen, read(folder, checked))


def folder_of(study: Settings) -> Path:
    """Name the run folder of a study for which none is named."""
    return RESULTS / study.name


def read(folder: Path, study: Settings) -> run_folder.Saved:
    """Read what a folder holds of a run that may be gone on with; raises HpmpiError for another."""
    told = results_file.lines_told(folder / run_folder.RESULTS)
    saved = run_folder.read(folder)
    if len(saved.decisions) < told:
        here = f"{folder / run_folder.JOURNAL} has {len(saved.decisions)} lines"
        raise StoreError(f"{here}, and {run_folder.RESULTS} was made of {told}: {REPAIR}")
    if not any(isinstance(each, Assigned) for each in saved.decisions):
        return run_folder.NOTHING  # a study that never began binds nobody
    stored = stored_study(saved.decisions, folder)
    audit(saved.decisions, stored.goal.metric)
    differences = changes.differences(study, stored)
    if differences:
        way_out = "use --fresh to move that run aside, or --out for another folder"
        raise SettingsError([f"{folder} has a run of another study; {way_out}:", *differences])
    for moved in changes.moves(study, stored):
        log.warning("%s", moved)
    return saved


def lead(make_plan: Callable[[], Plan], workers: int | None, ranks: int | None = None) -> Summary:
    """Lead a run; raises HpmpiError, the other ranks having been sent away.

    With `workers`, or where no launcher has started other ranks, the ranks are local processes.
    `ranks`: how many have been started by `launch`, which they have to listen to.
    """
    for number in SIGNALS:
        signal.signal(number, leave_early)
    seen = launched()
    if workers is not None and seen is not None and seen.size > 1:  # the others are not waiting
        raise SettingsError(["--workers is for a run without mpirun: use one or the other"])
    try:
        if ranks is not None and ranks != (seen.size if seen is not None else 1):
            raise TransportError(f"{ranks} ranks were started, and they do not know of each other")
        plan = make_plan()
        if is_complete(plan):
            dismiss()
            return sum_up(plan.study, plan.saved.decisions)
        jobs, writer, remote_searcher = take_over(plan)
        study, origin = plan.study, plan.origin
        results_writer = ResultsWriter(writer, study.run.checkpoint_s)
        results_writer.prove()
        del plan  # what it has read is in the jobs now
    except HpmpiError:
        dismiss()
        raise
    if seen is not None and seen.size > 1:
        transport = join_mpi()
    else:
        transport = local.lead(workers or local.cores())
    leader = Leader(study, origin, jobs, results_writer, transport, remote_searcher=remote_searcher)
    if ranks is not None:
        leader.heed_launch()
    written = leader.run()
    return sum_up(study, writer.decisions, unwritten=not written)


def leave_early(_number: int, _frame: FrameType | None) -> None:
    """Leave, as nothing was begun: as a drain does, at once."""
    os._exit(TRY_AGAIN)


def dismiss() -> None:
    """Send away the ranks that a launcher has started: there is nothing for them to do."""
    seen = launched()
    if seen is None or seen.size == 1:
        return
    transport = join_mpi()
    for rank in range(1, transport.size):
        transport.send(rank, msgspec.msgpack.encode(Stop()))
    transport.leave(1.0)


class Taken(NamedTuple):
    """A run folder that is ours, its jobs, and the searcher's process, if it has one."""

    jobs: Jobs
    store: run_folder.Store
    remote_searcher: RemoteSearcher | None


def take_over(plan: Plan) -> Taken:
    """Take the run folder, and bring the jobs to where it ends; raises HpmpiError."""
    held = lock.take(plan.folder)
    remote_searcher = None
    try:
        # What another run has written since the plan was made counts as well.
        same = run_folder.look(plan.folder) == plan.seen
        saved = plan.saved if same else read(plan.folder, plan.study)
        remote_searcher = think_apart(plan)
        with kept(held):
            jobs = jobs_of(plan.study, saved.decisions, remote_searcher)
        return Taken(jobs, run_folder.Store(plan.folder, saved, held), remote_searcher)
    except (HpmpiError, OSError) as error:
        if remote_searcher is not None:
            remote_searcher.close()
        held.release()
        if isinstance(error, OSError):
            raise trouble(plan.folder, error) from error
        raise


def think_apart(plan: Plan) -> RemoteSearcher | None:
    """Start a process for a searcher of the user's, whose scheduler knows that it may take long."""
    study = plan.study
    own = [":" in str(table["method"]) for table in (study.searcher, study.scheduler)]
    return RemoteSearcher(study, plan.origin, plan.folder) if own == [True, False] else None


def move_aside(folder: Path) -> None:
    """Give a run folder another name, `NAME.1` or the next that is free; raises StoreError."""
    check_movable(folder)
    if not run_folder.holds_run(folder):
        return
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    held = lock.take(folder)
    try:
        folder.rename(aside)
    except OSError as error:
        raise StoreError(f"{folder} can't be moved to {aside}: {error.strerror}") from error
    finally:
        held.release()


def check_movable(folder: Path) -> None:
    """Raise StoreError for what is there, and no run."""
    if folder.exists() and not run_folder.holds_run(folder) and not run_folder.is_begun(folder):
        raise StoreError(f"{folder} is no run folder: --fresh moves nothing else aside")


def exit_code(summary: Summary) -> int:
    """Tell the exit code of a run that has ended."""
    assert summary.outcome is not None, "a run that was led has ended"
    if summary.outcome is Outcome.COMPLETE and summary.board.incumbent is None:
        return NO_SUCCESS
    if summary.unwritten:
        return NO_RESULTS
    return EXIT_CODES[summary.outcome]


def is_complete(plan: Plan) -> bool:
    """Tell whether the run that is there is complete by `[stop]` as it is now.

    The status is written last: one that was killed before that has more to do; and so has one
    whose results file is not there, or damaged.
    """
    decisions = plan.saved.decisions
    last = decisions[-1] if decisions else None
    return (
        isinstance(last, Ended)
        and last.outcome is Outcome.COMPLETE
        and run_folder.read_status(plan.folder).state == Outcome.COMPLETE.value
        and stored_study(decisions, plan.folder).stop == plan.study.stop
        and results_file.is_whole(plan.folder / run_folder.RESULTS)  # last: it reads all of it
    )
