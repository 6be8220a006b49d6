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
- MOST_BARREN starts in a row that bring nothing new, neither result nor checkpoint, end it: one
  more than it takes to give up a job that takes each of them along.
- Whoever cancels an allocation, or interrupts this program, wants no requeue.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from hpmpi import allocation, program, run, settings, show, store, team, variables
from hpmpi.blame import MAX_LOSSES
from hpmpi.decisions import Decision, Result, Started, Suspension
from hpmpi.files import trouble
from hpmpi.launchers import STEPS, Launcher, choose
from hpmpi.lifeline import Lifeline
from hpmpi.messages import Outcome
from hpmpi.run import NO_RESULTS, NO_SUCCESS, NO_WORLD, TRY_AGAIN, Plan
from hpmpi.service import BAD_INPUT, SIGNALS
from hpmpi.standby import Standby
from hpmpi.summary import look, sum_up
from hpmpi.team import Team
from hpmpi.vigil import Vigil

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

ENDINGS = (*SIGNALS, signal.SIGHUP)

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


def launch(order: Order) -> int:
    """Have a study run to its end, or as far as it comes here; return the exit code.

    Raises HpmpiError for bad input, before anything is started.
    """
    signals = hear_signals()
    order = for_array_task(order)
    fresh = order.fresh and allocation.restarts() == 0
    plan = run.prepare(order.study, order.changes, order.out, fresh=fresh)
    if run.is_complete(plan):
        summary = sum_up(plan.study, plan.saved.decisions)
        sys.stdout.write(f"{show.text(summary, top=10)}\n")
        return run.exit_code(summary)
    whole = team.gather(order.ranks, order.hosts)
    launchers = choose(whole, order.launcher)
    try:
        lifeline = Lifeline(plan.folder, allocation.here() or "none")
    except OSError as error:
        raise trouble(plan.folder, error) from error
    with closing(lifeline), closing(Standby(plan.folder, whole)) as standby:
        return Launch(order, plan, whole, launchers, lifeline).run(signals, standby)


def for_array_task(order: Order) -> Order:
    """Give a task of a job array its own seed and folder."""
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    if task is None:
        return order
    study = settings.read(order.study, order.changes)
    folder = (order.out or run.folder_of(study)).absolute()  # `.` has no name
    changes = [*order.changes, f"seed={study.seed + int(task)}"]
    return order._replace(changes=changes, out=folder_of_task(folder, task))


def folder_of_task(folder: Path, task: str) -> Path:
    """Name the run folder of a task of a job array."""
    return folder.with_name(f"{folder.name}-{task}")


class Launch:
    """Start after start, until one comes to an end."""

    def __init__(
        self,
        order: Order,
        plan: Plan,
        whole: Team,
        launchers: list[Launcher],
        lifeline: Lifeline,
    ) -> None:
        """Prepare; `whole` is the team when all nodes are there."""
        self._order = order
        self._folder = plan.folder
        self._patience_s = plan.study.limits.patience_s
        self._whole = whole
        self._launchers = deque(launchers)
        self._lifeline = lifeline
        self._signals: deque[signal.Signals] = deque()
        self._heeded: set[signal.Signals] = set()

    def run(self, signals: deque[signal.Signals], standby: Standby) -> int:
        """Start ranks until there is no reason to, heeding signals; return the exit code."""
        self._signals, self._standby = signals, standby
        if signals:  # nothing was started
            return TRY_AGAIN if signal.SIGINT in signals else requeue()
        now, decisions = self._whole, self._read()
        gained, barren = gains(decisions), min(allocation.restarts(), barren_starts(decisions))
        while True:
            code = self._start(now)
            if code in (0, BAD_INPUT, NO_SUCCESS, NO_RESULTS):
                return code
            before, gained = gained, gains(self._read())
            barren = 0 if gained > before else barren + 1
            if signal.SIGINT in self._heeded:
                return TRY_AGAIN
            if barren >= MOST_BARREN or code == NO_WORLD:
                return self._give_up(code)
            if code == TRY_AGAIN or self._heeded:
                return requeue()
            log.warning("launch: the ranks were lost; looking for the nodes that answer")
            time.sleep(barren * PAUSE_S)
            now = team.living(self._whole)

    def _start(self, now: Team) -> int:
        """Start the ranks once, by the first launcher that brings them together."""
        while True:
            launcher = self._launchers[0]
            ranks = f"{now.ranks} rank{'s' if now.ranks > 1 else ''}"
            log.info("launch: %s starts %s on %s", launcher.name, ranks, now.told)
            before = store.read_status(self._folder)
            code = come_to(self._folder, before, self._oversee(launcher, now, before))
            if code == NO_WORLD and len(self._launchers) > 1:
                self._launchers.popleft()
                continue
            if store.read_status(self._folder) == before:  # it may not be the right one
                self._launchers.rotate(-1)
            return code

    def _oversee(self, launcher: Launcher, now: Team, before: store.Status) -> int:
        """Start the ranks and stay until their launcher has ended; return its exit code."""
        start = launcher.start(now)
        with held_signals():  # it is not for the launcher to act on them
            process = subprocess.Popen(
                [*start.words, *program("hpmpi"), *self._words(now.ranks)],
                env=variables.with_ours(start.environment),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        vigil = Vigil(self._folder, before, self._patience_s, lambda: team.missing(now))
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
            end(process, in_slurm=now.in_slurm)
        return code

    def _read(self) -> Sequence[Decision]:
        return store.read(self._folder, needs_state=False).decisions

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


def come_to(folder: Path, before: store.Status, code: int) -> int:
    """Tell what the ranks' end comes to, whatever code their launcher left with."""
    status = store.read_status(folder)
    if status.start == before.start:  # no rank 0 came so far as to say
        return code if code in (BAD_INPUT, NO_WORLD) else LOST
    if status.state == "running":
        return code if code == TRY_AGAIN else LOST
    if status.state in (Outcome.COMPLETE.value, store.UNWRITTEN):
        return run.exit_code(look(folder))
    return run.EXIT_CODES[Outcome(status.state)]


def gains(decisions: Sequence[Decision]) -> int:
    """Count what a study has come to: results, and checkpoints to go on from."""
    return sum(isinstance(each, Result | Suspension) for each in decisions)


def barren_starts(decisions: Sequence[Decision]) -> int:
    """Count the newest starts of a study that brought nothing."""
    count = 0
    for each in reversed(decisions):
        if isinstance(each, Result | Suspension):
            break
        count += isinstance(each, Started)
    return count


def requeue() -> int:
    """Have the allocation start anew, if that is possible and wanted; return the exit code."""
    job = allocation.here()
    found = None if job is None else allocation.look(job)
    if job is None or found is None or not found.is_batch:
        log.warning("launch: drained; the same command, without --fresh, goes on from here")
    elif found.is_ending or found.restarts > allocation.restarts():
        log.warning("launch: Slurm ends allocation %s, and decides what becomes of it", job)
    elif refused := allocation.requeue(job):
        log.error("launch: Slurm does not requeue %s (%s): sbatch it again", job, refused)
    else:
        log.info("launch: allocation %s is requeued, and will go on from here", job)
        for number in ENDINGS:
            signal.signal(number, signal.SIG_DFL)
        time.sleep(REQUEUE_S)  # Slurm ends this process
    return TRY_AGAIN


def hear_signals() -> deque[signal.Signals]:
    """Have signals put into a queue from now on, instead of ending this process."""
    signals: deque[signal.Signals] = deque()

    def hear(number: int, _frame: FrameType | None) -> None:
        signals.append(signal.Signals(number))

    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # Ctrl-C ends `| tee log` as well, and first
    for number in ENDINGS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # by nohup
            signal.signal(number, hear)
    return signals


@contextlib.contextmanager
def held_signals() -> Iterator[None]:
    """Hold signals back: a process that is started meanwhile holds them back for good."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def ended(process: subprocess.Popen[bytes], limit_s: float) -> int | None:
    """Wait for the end of a process, for so long."""
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None


def end(process: subprocess.Popen[bytes], *, in_slurm: bool) -> None:
    """See to it that nothing is left of a launcher and what it has started."""
    if in_slurm:
        allocation.cancel_steps(STEPS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
