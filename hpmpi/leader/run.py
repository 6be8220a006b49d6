"""Start a run on rank 0: what is checked and prepared before its loop, and its exit code.

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
from hpmpi.history.history import History
from hpmpi.leader import earlier_runs, objective_file
from hpmpi.leader.kept_ranks import KeptRanks
from hpmpi.leader.lock_keeper import kept
from hpmpi.leader.loop import Leader
from hpmpi.leader.notices import tell_complete_since
from hpmpi.leader.remote_searcher import RemoteSearcher
from hpmpi.leader.results_writer import ResultsWriter
from hpmpi.master.jobs import Jobs
from hpmpi.model.events import Learnt
from hpmpi.model.messages import Outcome, Stop
from hpmpi.model.records import Assigned, Entry, Line
from hpmpi.storage import lock, results_file, run_folder
from hpmpi.storage.files import trouble
from hpmpi.storage.resume import jobs_of
from hpmpi.study import changes, checks, methods
from hpmpi.study.settings import Settings
from hpmpi.transports import Transport, launched, local
from hpmpi.views.run_view import Summary, sum_up
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


NO_OPEN_MPI = (
    'this is Open MPI; use `pip install "hpmpi[mpich]"` in an environment of its own, or '
    'run.world = "torch"'
)

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
    found: "Found"


class Found(NamedTuple):
    """What a run folder holds of a run, and what that says."""

    saved: run_folder.Saved
    history: History


def prepare(study: Path, changes: list[str], out: Path | None, *, fresh: bool) -> Plan:
    """Check everything that a run needs, and read what its folder holds; raises HpmpiError."""
    return plan_for(checks.read(study, changes), study.parent.absolute(), out, fresh=fresh)


def plan_for(study: Settings, origin: Path, out: Path | None, *, fresh: bool) -> Plan:
    """Do so for a study that is checked already; what it names is looked for from `origin`."""
    folder = out or folder_of(study)
    if fresh:
        move_aside(folder.absolute())
    seen = run_folder.look(folder)
    return Plan(study, origin, folder, seen, read(folder, study))


def folder_of(study: Settings) -> Path:
    """Name the run folder of a study for which none is named."""
    return RESULTS / study.name


def read(folder: Path, study: Settings) -> Found:
    """Read what a folder holds of a run that may be gone on with; raises HpmpiError for another."""
    saved = run_folder.read(folder)
    if not any(map(hands_out, saved.lines)):
        return Found(run_folder.NOTHING, History())  # a study that never began binds nobody
    history = History(saved.lines)
    differences = changes.differences(study, history.study)
    if differences:
        way_out = "use --fresh to move that run aside, or --out for another folder"
        raise SettingsError([f"{folder} has a run of another study; {way_out}:", *differences])
    for moved in changes.moves(study, history.study):
        log.warning("%s", moved)
    return Found(saved, history)


def hands_out(line: Line) -> bool:
    """Tell whether a job was handed out then."""
    return isinstance(line, Entry) and any(isinstance(it, Assigned) for it in line.decisions)


def lead(
    make_plan: Callable[[], Plan],
    workers: int | None,
    ranks: int | None = None,
    *,
    is_shown: bool = False,
) -> Summary:
    """Lead a run; raises HpmpiError, the other ranks having been sent away.

    With `workers`, or where no launcher has started other ranks, the ranks are local processes.
    `ranks`: how many have been started by `launch`, which they have to listen to. `is_shown`: in a
    terminal, if there is one.
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
            tell_complete(plan)
            return sum_up(plan.found.history, folder=plan.folder)
        is_mpi = seen is not None and seen.size > 1
        workers = seen.size - 1 if seen is not None and is_mpi else workers or local.cores()
        taken = take_over(plan, workers)
        del plan  # what it has read is in the jobs now
    except HpmpiError:
        dismiss()
        raise
    transport = join_mpi() if is_mpi else local.lead(workers)
    return taken.lead(transport, heeds_launch=ranks is not None, is_shown=is_shown)


def lead_next(make_plan: Callable[[], Plan], ranks: KeptRanks) -> Summary:
    """Lead a run on ranks that have met, and stay for others; raises HpmpiError."""
    plan = make_plan()
    if is_complete(plan):
        tell_complete(plan)
        return sum_up(plan.found.history, folder=plan.folder)
    taken = take_over(plan, ranks.size - 1)
    del plan
    ranks.begin()
    return taken.lead(ranks)


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
    """A study whose run folder is ours, its jobs, and the searcher's process, if it has one.

    `learnt`: what a study that begins has learnt from earlier runs.
    """

    study: Settings
    origin: Path
    jobs: Jobs
    history: History
    results_writer: ResultsWriter
    remote_searcher: RemoteSearcher | None
    learnt: Learnt | None

    def lead(
        self, transport: Transport, *, heeds_launch: bool = False, is_shown: bool = False
    ) -> Summary:
        """Lead a start of it to its end."""
        leader = Leader(transport=transport, **self._asdict())
        if is_shown:
            leader.show_live()
        if heeds_launch:
            leader.heed_launch()
        written = leader.run()
        folder = self.results_writer.store.folder
        return sum_up(self.history, unwritten=not written, folder=folder)


def take_over(plan: Plan, workers: int) -> Taken:
    """Take the run folder, and bring the jobs to where it ends; raises HpmpiError.

    `workers`: how many worker ranks this start has.
    """
    check_groups(plan.study, workers)
    held = lock.take(plan.folder)
    remote_searcher = None
    try:
        # What another run has written since the plan was made counts as well.
        same = run_folder.look(plan.folder) == plan.seen
        saved, history = plan.found if same else read(plan.folder, plan.study)
        if change := objective_file.change(plan.study, plan.origin, history):
            log.warning("%s: the results so far are of what it was", change)
        learnt = None if saved.lines else earlier_runs.learn(plan.study)
        remote_searcher = think_apart(plan, workers)
        with kept(held):
            searcher = remote_searcher or methods.build_searcher(plan.study, ranks=workers)
            jobs = jobs_of(plan.study, saved.lines, searcher)
        store = run_folder.Store(plan.folder, saved, held)
        results_writer = ResultsWriter(store, plan.study.run.checkpoint_s)
        results_writer.prove()
        return Taken(
            plan.study, plan.origin, jobs, history, results_writer, remote_searcher, learnt
        )
    except (HpmpiError, OSError) as error:
        if remote_searcher is not None:
            remote_searcher.close()
        held.release()
        if isinstance(error, OSError):
            raise trouble(plan.folder, error) from error
        raise


def check_groups(study: Settings, workers: int) -> None:
    """Raise SettingsError where a trial takes more ranks than there are, or a world can't be."""
    most = max(study.run.first_sizes)
    if most > workers:
        given = f"run.ranks_per_trial = {study.run.ranks_per_trial}"
        raise SettingsError([f"{given}, and there are {workers} worker ranks: start more, or less"])
    if study.run.world == "mpi" and is_open_mpi():
        raise SettingsError(
            [f'run.world = "mpi" is for MPICH and what speaks as it does: {NO_OPEN_MPI}']
        )


def is_open_mpi() -> bool:
    """Tell whether the objectives of this Python have Open MPI, if they have any MPI."""
    try:
        from hpmpi.transports import mpi  # noqa: PLC0415 - it loads MPI
    except ImportError:
        return False
    return mpi.library().startswith("Open MPI")


def think_apart(plan: Plan, workers: int) -> RemoteSearcher | None:
    """Start a process for a searcher that thinks, if its scheduler knows that it may take long."""
    study = plan.study
    if ":" in str(study.scheduler["method"]) or not methods.thinks(study, plan.origin):
        return None
    return RemoteSearcher(study, plan.origin, plan.folder, ranks=workers)


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
    if summary.outcome is Outcome.COMPLETE and summary.history.incumbent is None:
        return NO_SUCCESS
    if summary.unwritten:
        return NO_RESULTS
    return EXIT_CODES[summary.outcome]


def is_complete(plan: Plan) -> bool:
    """Tell whether the run that is there is complete by `[stop]` as it is now.

    The status is written last: one that was killed before that has more to do; and so has one
    whose results file is not there, or damaged.
    """
    history = plan.found.history
    return (
        history.outcome is Outcome.COMPLETE
        and run_folder.read_status(plan.folder).state == Outcome.COMPLETE.value
        and history.study.stop == plan.study.stop
        and results_file.is_whole(plan.folder / run_folder.RESULTS)  # last: it reads all of it
    )


def tell_complete(plan: Plan) -> None:
    """Log that nothing is run, as all was done, and whether that was done by another objective."""
    since = (plan.folder / run_folder.STATUS).stat().st_mtime
    tell_complete_since(since, plan.study, plan.found.history)
    if change := objective_file.change(plan.study, plan.origin, plan.found.history):
        log.warning("%s: --fresh runs the study with what it is now", change)
