"""`hpmpi launch`: start a study's ranks, and see it through to its end.

    choose a launcher --> start --> they end --+--> complete, or bad input: leave with their code
        ^                                      +--> drained: have the allocation requeued
        |                                      +--> anything else, they were lost: find the
        +------------------------------------- nodes that answer

Rules:

- What an end means, and what follows, judgement.py says; here it is done.
- A launcher is ended that stays when its ranks have ended, or rank 0 is silent or never begins.
- Signals are not for the launcher, which may die of them: the ranks find word in the run folder.
- MOST_BARREN starts in a row that bring nothing new end it, those from before a requeue included.
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
from hpmpi.launch import judgement, placement, signals
from hpmpi.launch.judgement import MOST_BARREN, Ending, Judgement
from hpmpi.launch.launchers import OF_A_RANK, Launcher, choose
from hpmpi.launch.placement import Placement
from hpmpi.launch.requeue import requeue
from hpmpi.launch.standby import Standby
from hpmpi.launch.starts import Starts
from hpmpi.launch.terminal import Terminal
from hpmpi.launch.watchdog import Watchdog
from hpmpi.leader import run
from hpmpi.leader.run import NO_SUCCESS, TRY_AGAIN, Plan
from hpmpi.model.records import Line
from hpmpi.slurm import allocation, step
from hpmpi.slurm.squeue import Allocation
from hpmpi.storage import run_folder
from hpmpi.storage.files import trouble
from hpmpi.storage.heartbeat_file import Heartbeat
from hpmpi.storage.run_folder import RunStatus
from hpmpi.study import checks
from hpmpi.views import show
from hpmpi.views.layout import count_of
from hpmpi.views.run_view import look, sum_up
from hpmpi.views.stdout import say_last
from hpmpi.worker.entry import BAD_INPUT

STUCK = 5
"""The exit code where starting again brings nothing."""

TICK_S = 0.5
"""How often to look."""

PAUSE_S = 2.0
"""How long to wait, for each start in a row that brought nothing, before the next."""

log = logging.getLogger("hpmpi")


class Order(NamedTuple):
    """What to launch; `launcher` is "srun" or "mpirun", or None for what loses least.

    `verbosity`: the options that say how much the ranks log.
    """

    study: Path
    changes: list[str]
    out: Path | None
    fresh: bool
    ranks: int | None = None
    hosts: tuple[str, ...] = ()
    launcher: str | None = None
    verbosity: tuple[str, ...] = ()


class Means(NamedTuple):
    """What ranks are started with: `team` is that of all nodes.

    `steps`: what the steps of Slurm are called that are this launch's: there may be another.
    """

    allocation: Allocation | None
    team: Placement
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
        run.tell_complete(plan)
        summary = sum_up(plan.found.history, folder=plan.folder)
        say_last(show.text(summary, top=10))
        return run.exit_code(summary)
    means = find_means(order, ours)
    try:
        heartbeat = Heartbeat(plan.folder, "none" if ours is None else ours.name)
    except OSError as error:
        raise trouble(plan.folder, error) from error
    standby = Standby(plan.folder, means.team, means.steps)
    with closing(heartbeat), closing(standby), closing(Terminal(plan.folder)) as terminal:
        return Launch(order, plan, means, heartbeat, standby=standby, terminal=terminal).run(heard)


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

    def __init__(  # noqa: PLR0913 - all that is started once, and closed
        self,
        order: Order,
        plan: Plan,
        means: Means,
        heartbeat: Heartbeat,
        *,
        standby: Standby,
        terminal: Terminal,
    ) -> None:
        """Prepare; what is there already, `plan` has seen."""
        self._order = order
        self._folder = plan.folder
        self._patience_s = plan.study.limits.patience_s
        self._means = means
        self._launchers = deque(means.launchers)
        self._heartbeat = heartbeat
        self._standby = standby
        self._terminal = terminal
        restarts = 0 if means.allocation is None else means.allocation.restarts
        self._starts = Starts(heartbeat, self._read(), restarts)

    def run(self, heard: deque[signal.Signals]) -> int:
        """Start ranks until there is no reason to, heeding signals; return the exit code."""
        self._signals = heard
        self._heeded = set(heard)
        team = self._means.team
        ending = Ending.DRAINED if heard else self._start(team)
        while (verdict := self._judge(ending)) is Judgement.START_AGAIN:
            log.warning("launch: the ranks were lost; looking for the nodes that answer")
            time.sleep(self._starts.barren * PAUSE_S)
            ending = self._start(placement.living(team))
        match verdict:
            case Judgement.DONE if ending is Ending.COMPLETE:
                return run.exit_code(look(self._folder))
            case Judgement.DONE:
                return NO_SUCCESS if ending is Ending.FAILED else BAD_INPUT
            case Judgement.REQUEUE:
                return requeue(self._means.team, self._folder)
            case Judgement.GIVE_UP:
                return self._give_up(ending)
        return TRY_AGAIN

    def _judge(self, ending: Ending) -> Judgement:
        return judgement.verdict(ending, self._heeded, self._starts.barren)

    def _start(self, team: Placement) -> Ending:
        """Start the ranks once, and take note of what that brought."""
        self._standby.check(time.monotonic())
        self._starts.begin()
        ending = self._bring_together(team)
        self._starts.end(self._read())
        return ending

    def _bring_together(self, team: Placement) -> Ending:
        """Start the ranks by the first launcher that brings them together."""
        if not team.ranks:
            log.warning("launch: no node answers")
            return Ending.LOST
        before = run_folder.read_status(self._folder)
        while True:
            launcher = self._launchers[0]
            ranks = count_of(team.ranks, "rank")
            log.info("launch: %s starts %s on %s", launcher.name, ranks, team.told)
            code = self._oversee(launcher, team, before)
            after = run_folder.read_status(self._folder)
            ending = judgement.ending(before, after, code)
            if after.start == before.start:  # it may not be the right one
                self._launchers.rotate(-1)
            if ending is not Ending.APART or len(self._launchers) == 1:
                return ending
            self._launchers.pop()  # it is not

    def _oversee(self, launcher: Launcher, team: Placement, before: RunStatus) -> int | None:
        """Start the ranks and stay until their launcher has ended; return its exit code.

        None where it stayed for no reason, and was ended.
        """
        process = self._spawn(launcher, team)
        watchdog = Watchdog(
            self._folder,
            before,
            self._patience_s,
            missing=lambda: placement.missing(team),
            is_alone=lambda: launcher.has_helpers and not children_of(process.pid),
        )
        try:
            while (code := ended(process, TICK_S)) is None:
                self._terminal.look()
                if why := self._look_after(watchdog):
                    log.warning("launch: %s: ending the launcher", why)
                    break
        finally:
            end(process, team.allocation, self._means.steps)
        return code

    def _spawn(self, launcher: Launcher, team: Placement) -> subprocess.Popen[bytes]:
        start = launcher.start(team, self._means.steps)
        with signals.held():  # it is not for the launcher to act on them
            process = subprocess.Popen(
                [*start.words, *program("hpmpi"), *self._words(team.ranks)],
                env=variables.with_ours(start.environment, environment(team)),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                stdout=self._terminal.pipe("stdout"),
                stderr=self._terminal.pipe("stderr"),
            )
        self._terminal.follow(process)
        return process

    def _words(self, ranks: int) -> list[str]:
        order = self._order
        changes = [word for change in order.changes for word in ("--set", change)]
        words = ["run", str(order.study), *changes, "--out", str(self._folder)]
        return [*words, *order.verbosity, "--ranks", str(ranks)]

    def _look_after(self, watchdog: Watchdog) -> str | None:
        """Pass signals on, have a standby; tell why a launcher has to be ended, if it has."""
        self._standby.check(time.monotonic())
        while self._signals:
            number = self._signals.popleft()
            log.warning("launch: %s: the ranks are told to drain", number.name)
            self._heeded.add(number)
            self._heartbeat.pass_on(number.name)
            watchdog.hurry()
        return watchdog.judge(time.monotonic())

    def _read(self) -> Sequence[Line]:
        return run_folder.read(self._folder).lines

    def _give_up(self, ending: Ending) -> int:
        if ending is Ending.APART:
            log.error("launch: no launcher here brings the ranks together; see slurm/README.md")
            return BAD_INPUT
        log.error(
            "launch: %d starts in a row brought neither a result nor a checkpoint; the log above "
            "and %s/logs say more. If jobs take longer than an allocation, have the objective save "
            "checkpoints (trial.should_save), or ask for more time. The same command goes on",
            MOST_BARREN,
            self._folder,
        )
        return run.DESERTED if ending is Ending.DESERTED else STUCK


def environment(team: Placement) -> dict[str, str]:
    """Return the environment of a launcher: ours, as far as it is about the team."""
    found = step.environment(team.allocation)
    return {name: value for name, value in found.items() if not name.startswith(OF_A_RANK)}


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
