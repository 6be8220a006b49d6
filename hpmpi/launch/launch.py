"""`hpmpi launch`: start a study's ranks, and see it through to its end.

    choose a launcher --> start --> they end --+--> complete, or bad input: leave with their code
        ^                                      +--> drained: have the allocation requeued
        |                                      +--> anything else, they were lost: find the
        +------------------------------------- nodes that answer

Rules:

- What a launcher says of the end means little: 0 was seen of one that had aborted, 137 of one whose
  ranks did well. What counts is the status in the run folder, of a start that was not there before.
- A launcher is ended that stays when its ranks have ended, or rank 0 is silent or never begins.
- Signals are not for the launcher, which may die of them: the ranks find word in the run folder.
- MOST_BARREN starts in a row that bring nothing new - a result, a checkpoint, a job that is given
  up - end it: one more than it takes to give up a job that takes each of them along. Those that
  have no rank 0 count, too, and so do those from before a requeue.
- The allocation is asked for once, here; what is requeued or cancelled is that one.
- Whoever cancels an allocation, or interrupts this program, wants no requeue.
"""

import contextlib
import logging
import os
import secrets
import signal
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from hpmpi import program
from hpmpi.guard import variables
from hpmpi.guard.process_tree import children_of
from hpmpi.launch import placement, signals
from hpmpi.launch.launchers import OF_A_RANK, Launcher, choose
from hpmpi.launch.placement import Team
from hpmpi.launch.standby import Standby
from hpmpi.launch.starts import Starts
from hpmpi.launch.watchdog import Vigil
from hpmpi.leader import run
from hpmpi.leader.run import NO_RESULTS, NO_SUCCESS, NO_WORLD, TRY_AGAIN, Plan
from hpmpi.master.blame import MAX_LOSSES
from hpmpi.model.messages import Outcome
from hpmpi.model.records import Decision
from hpmpi.slurm import allocation, step
from hpmpi.slurm.squeue import Allocation
from hpmpi.storage import run_folder
from hpmpi.storage.files import trouble
from hpmpi.storage.heartbeat_file import Lifeline
from hpmpi.study import checks
from hpmpi.views import show
from hpmpi.views.run_view import look, sum_up
from hpmpi.views.stdout import say_last
from hpmpi.worker.entry import BAD_INPUT

STUCK = 5
"""The exit code where starting again brings nothing."""

LOST = -1
"""Stands for the exit code of ranks that came to no end of their own."""

MOST_BARREN = MAX_LOSSES + 1

TICK_S = 0.5
"""How often to look."""

PAUSE_S = 2.0
"""How long to wait, for each start in a row that brought nothing, before the next."""

REQUEUE_S = 120.0
"""How long Slurm may take to end what it requeues."""

log = logging.getLogger("hpmpi")


class Order(NamedTuple):
    """What to launch; `launcher` is "srun" or "mpirun", or None for what loses least."""

    study: Path
    changes: list[str]
    out: Path | None
    fresh: bool
    ranks: int | None = None
    hosts: tuple[str, ...] = ()
    launcher: str | None = None


class Means(NamedTuple):
    """What ranks are started with: `team` is that of all nodes.

    `steps`: what the steps of Slurm are called that are this launch's: there may be another.
    """

    allocation: Allocation | None
    team: Team
    launchers: list[Launcher]
    steps: str


def launch(order: Order) -> int:
    """Have a study run to its end, or as far as it comes here; return the exit code.

    Raises HpmpiError for bad input, before anything is started.
    """
    heard = signals.hear()
    ours = find_allocation()
    order = for_array_task(order, None if ours is None else ours.task)
    fresh = order.fresh and (ours is None or ours.restarts == 0)
    plan = run.prepare(order.study, order.changes, order.out, fresh=fresh)
    if run.is_complete(plan):
        summary = sum_up(plan.study, plan.saved.decisions)
        say_last(show.text(summary, top=10))
        return run.exit_code(summary)
    means = find_means(order, ours)
    try:
        lifeline = Lifeline(plan.folder, "none" if ours is None else ours.name)
    except OSError as error:
        raise trouble(plan.folder, error) from error
    with closing(lifeline), closing(Standby(plan.folder, means.team, means.steps)) as standby:
        return Launch(order, plan, means, lifeline, standby).run(heard)


def find_allocation() -> Allocation | None:
    """Find the allocation that this process is in, and say what is not used."""
    ours = allocation.find()
    named, number = os.environ.get("SLURM_JOB_ID"), "none" if ours is None else ours.number
    if named is not None and named != number:
        said = "launch: the environment is that of allocation %s, but this process is in %s"
        log.warning(said, named, number)
    if ours is not None and (parts := allocation.components(ours)) > 1:
        said = "launch: of the %d parts of heterogeneous allocation %s only %s is used: this one"
        log.warning(said, parts, ours.group, ours.number)
    return ours


def find_means(order: Order, ours: Allocation | None) -> Means:
    """Find out where ranks can be, and what starts them there; raises SettingsError."""
    whole = placement.gather(ours, order.ranks, order.hosts)
    if whole.idle:
        log.warning("launch: %s", placement.advice(whole.idle))
    return Means(ours, whole, choose(whole, order.launcher), f"hpmpi-{secrets.token_hex(4)}")


def for_array_task(order: Order, task: int | None) -> Order:
    """Give a task of a job array its own seed and folder."""
    if task is None:
        return order
    study = checks.read(order.study, order.changes)
    folder = (order.out or run.folder_of(study)).absolute()  # `.` has no name
    changes = [*order.changes, f"seed={study.seed + task}"]
    return order._replace(changes=changes, out=folder_of_task(folder, str(task)))


def folder_of_task(folder: Path, task: str) -> Path:
    """Name the run folder of a task of a job array."""
    return folder.with_name(f"{folder.name}-{task}")


class Launch:
    """Start after start, until one comes to an end."""

    def __init__(
        self,
        order: Order,
        plan: Plan,
        means: Means,
        lifeline: Lifeline,
        standby: Standby,
    ) -> None:
        """Prepare; what is there already, `plan` has seen."""
        self._order = order
        self._folder = plan.folder
        self._patience_s = plan.study.limits.patience_s
        self._means = means
        self._launchers = deque(means.launchers)
        self._lifeline = lifeline
        self._standby = standby
        restarts = 0 if means.allocation is None else means.allocation.restarts
        self._starts = Starts(plan.folder, self._read(), restarts)
        self._signals: deque[signal.Signals] = deque()
        self._heeded: set[signal.Signals] = set()

    def run(self, heard: deque[signal.Signals]) -> int:
        """Start ranks until there is no reason to, heeding signals; return the exit code."""
        self._signals = heard
        if heard:  # nothing was started
            return TRY_AGAIN if signal.SIGINT in heard else requeue(self._means.allocation)
        now = self._means.team
        while True:
            code = self._start(now)
            if code in (0, BAD_INPUT, NO_SUCCESS, NO_RESULTS):
                return code
            if signal.SIGINT in self._heeded:
                return TRY_AGAIN
            if self._starts.barren >= MOST_BARREN or code == NO_WORLD:
                return self._give_up(code)
            if code == TRY_AGAIN or self._heeded:
                return requeue(self._means.allocation)
            log.warning("launch: the ranks were lost; looking for the nodes that answer")
            time.sleep(self._starts.barren * PAUSE_S)
            now = placement.living(self._means.team)

    def _start(self, now: Team) -> int:
        """Start the ranks once, and take note of what that brought; return what it comes to."""
        self._starts.begin()
        before = run_folder.read_status(self._folder)
        code = self._bring_together(now) if now.ranks else LOST
        if not now.ranks:
            log.warning("launch: no node answers")
        has_begun = run_folder.read_status(self._folder).start != before.start
        self._starts.end(self._read(), has_begun=has_begun)
        return code

    def _bring_together(self, now: Team) -> int:
        """Start the ranks by the first launcher that brings them together."""
        while True:
            launcher = self._launchers[0]
            ranks = f"{now.ranks} rank{'s' if now.ranks > 1 else ''}"
            log.info("launch: %s starts %s on %s", launcher.name, ranks, now.told)
            before = run_folder.read_status(self._folder)
            code = come_to(self._folder, before, self._oversee(launcher, now, before))
            if code == NO_WORLD and len(self._launchers) > 1:
                self._launchers.popleft()
                continue
            if run_folder.read_status(self._folder) == before:  # it may not be the right one
                self._launchers.rotate(-1)
            return code

    def _oversee(self, launcher: Launcher, now: Team, before: run_folder.Status) -> int:
        """Start the ranks and stay until their launcher has ended; return its exit code."""
        start = launcher.start(now, self._means.steps)
        with signals.held():  # it is not for the launcher to act on them
            process = subprocess.Popen(
                [*start.words, *program("hpmpi"), *self._words(now.ranks)],
                env=variables.with_ours(start.environment, environment(now)),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        vigil = Vigil(
            self._folder,
            before,
            self._patience_s,
            missing=lambda: placement.missing(now),
            is_alone=lambda: launcher.has_helpers and not children_of(process.pid),
        )
        try:
            while (code := ended(process, TICK_S)) is None:
                self._standby.check(time.monotonic())
                while self._signals:
                    self._pass_on(self._signals.popleft())
                    vigil.hurry()
                if why := vigil.judge(time.monotonic()):
                    log.warning("launch: %s: ending the launcher", why)
                    return LOST
        finally:
            end(process, now.allocation, self._means.steps)
        return code

    def _read(self) -> Sequence[Decision]:
        return run_folder.read(self._folder, needs_state=False).decisions

    def _words(self, ranks: int) -> list[str]:
        order = self._order
        changes = [word for change in order.changes for word in ("--set", change)]
        words = ["run", str(order.study), *changes, "--out", str(self._folder)]
        return [*words, "--ranks", str(ranks)]

    def _pass_on(self, number: signal.Signals) -> None:
        log.warning("launch: %s: the ranks are told to drain", number.name)
        self._heeded.add(number)
        self._lifeline.pass_on(number.name)

    def _give_up(self, code: int) -> int:
        if code == NO_WORLD:
            log.error("launch: no launcher here brings the ranks together; see slurm/README.md")
            return BAD_INPUT
        log.error(
            "launch: %d starts in a row brought neither a result nor a checkpoint; the log above "
            "and %s/logs say more. If jobs take longer than an allocation, have the objective save "
            "checkpoints (trial.should_save), or ask for more time. The same command goes on",
            MOST_BARREN,
            self._folder,
        )
        return code if code == run.DESERTED else STUCK


def come_to(folder: Path, before: run_folder.Status, code: int) -> int:
    """Tell what the ranks' end comes to, whatever code their launcher left with."""
    status = run_folder.read_status(folder)
    if status.start == before.start:  # no rank 0 came so far as to say
        return code if code in (BAD_INPUT, NO_WORLD) else LOST
    if status.state == "running":
        return code if code == TRY_AGAIN else LOST
    if status.state in (Outcome.COMPLETE.value, run_folder.UNWRITTEN):
        return run.exit_code(look(folder))
    return run.EXIT_CODES[Outcome(status.state)]


def environment(now: Team) -> dict[str, str]:
    """Return the environment of a launcher: ours, as far as it is about the team."""
    found = step.environment(now.allocation)
    return {name: value for name, value in found.items() if not name.startswith(OF_A_RANK)}


def requeue(ours: Allocation | None) -> int:
    """Have the allocation start anew, if that is possible and wanted; return the exit code."""
    found = allocation.look(ours) if ours is not None and ours.is_ours_to_requeue else None
    if ours is None or found is None:
        log.warning("launch: drained; the same command, without --fresh, goes on from here")
    elif found.is_ending or found.restarts > ours.restarts:
        log.warning("launch: Slurm ends allocation %s, and decides what becomes of it", ours.name)
    elif refused := allocation.requeue(ours.name):
        log.error("launch: Slurm does not requeue %s (%s): sbatch it again", ours.name, refused)
    else:
        log.info("launch: allocation %s is requeued, and will go on from here", ours.name)
        for number in signals.ENDINGS:
            signal.signal(number, signal.SIG_DFL)
        time.sleep(REQUEUE_S)  # Slurm ends this process
    return TRY_AGAIN


def ended(process: subprocess.Popen[bytes], limit_s: float) -> int | None:
    """Wait for the end of a process, for so long."""
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None


def end(process: subprocess.Popen[bytes], ours: Allocation | None, steps: str) -> None:
    """See to it that nothing is left of a launcher and what it has started."""
    if ours is not None:
        allocation.cancel_steps(ours, steps)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
