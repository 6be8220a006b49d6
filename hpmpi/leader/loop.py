"""Rank 0's part of a run.

What was heard goes into the master; what it decides is written into the journal, and then what it
commands is performed, in order: so no order is sent that the journal does not know. Where the disk
takes no decision, nothing is done until it does, or for DISK_PATIENCE_S.
"""

import logging
import math
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path

import msgspec

from hpmpi import __version__
from hpmpi.data.scratch import rooms_of
from hpmpi.errors import DiskError, StoreError
from hpmpi.guard import guard
from hpmpi.leader.baseline import BaselineRun
from hpmpi.leader.event_log import EventLog
from hpmpi.leader.lock_keeper import LockKeeper
from hpmpi.leader.remote_searcher import RemoteSearcher
from hpmpi.leader.results_writer import ResultsWriter
from hpmpi.leader.stop_requests import StopRequests
from hpmpi.leader.welcome import welcome_to
from hpmpi.master.jobs import Jobs
from hpmpi.master.master import Master
from hpmpi.master.roster import Roster
from hpmpi.master.seeds import seed_of
from hpmpi.model.events import (
    Command,
    Discard,
    Drain,
    Due,
    Event,
    Heard,
    Interrupted,
    Record,
    Tell,
    Tick,
)
from hpmpi.model.messages import Beat, Goodbye, Order, Outcome, Report, Retire, Stop, Welcome
from hpmpi.model.records import Baseline, Deadline, Decision, Draining, Ended, Lost, Started
from hpmpi.storage.recovery import rules_of, trouble
from hpmpi.storage.run_folder import FORMAT, STATUS, UNWRITTEN
from hpmpi.study.settings import Settings
from hpmpi.transports import LEADER, Transport
from hpmpi.views.run_view import baseline_of, board_of
from hpmpi.worker.checkpoints import discard, discard_all_but, reached
from hpmpi.worker.ending import END_S

TICK_S = 0.1
"""How often silence and signals are looked at."""

START_S = 60.0
"""The least that a rank has for its first word: a file system may be slow to give it its files."""

GOODBYE_S = 1.0
"""How long the ranks may take to leave, once their children have ended."""

DISK_PATIENCE_S = 600.0
"""How long to wait for a disk that is full; the ranks go on with their jobs meanwhile."""

SILENT = "without isolation, a rank is silent while it works: is patience_s longer than a job?"

log = logging.getLogger("hpmpi")
decode = msgspec.msgpack.Decoder(Report).decode


class Leader:
    """Lead one start of a study, from what its journal says to the end."""

    def __init__(  # noqa: PLR0913 - all that rank 0 leads with
        self,
        study: Settings,
        origin: Path,
        jobs: Jobs,
        results_writer: ResultsWriter,
        transport: Transport,
        *,
        remote_searcher: RemoteSearcher | None = None,
    ) -> None:
        """Go on where the jobs and the run folder are; `origin` is the study file's folder.

        The `remote_searcher` is the searcher of the jobs, if that is in a process of its own.
        """
        self._study = study
        self._origin = origin
        self._store = store = results_writer.store
        self._lock_keeper = None if store.lock is None else LockKeeper(store.lock)
        self._thoughts = self._lock_keeper or nullcontext()
        self._results = results_writer
        self._searcher = remote_searcher
        self._transport = transport
        self._start = os.urandom(8).hex()
        self._ranks = [rank for rank in range(transport.size) if rank != LEADER]
        self._zero = time.monotonic() - (store.decisions[-1].at if store.decisions else 0.0)
        self._stop_requests = StopRequests(store.folder)
        self._why: str | None = None
        self._board = board_of(study, store.decisions, jobs.scheduler.rungs)
        self._baseline = baseline_of(store.decisions)
        self._event_log = EventLog(self._board)
        patience_s = study.limits.patience_s
        roster = Roster(self._ranks, patience_s, max(patience_s, START_S), self._now())
        self._master = Master(jobs, roster, rules_of(study), study.seed)

    def heed_launch(self) -> None:
        """Let `hpmpi launch` say when to drain."""
        self._stop_requests.heeds_launch = True

    def run(self) -> bool:
        """Lead until the end; tell whether the results were written.

        Raises StoreError where the run folder lets nobody go on, SearcherError where the study's
        own code has raised.
        """
        self._stop_requests.listen()
        try:
            written = self._lead()
        except StoreError:
            self._part_from_ranks()
            raise
        finally:
            self._results.close()
            if self._searcher is not None:
                self._searcher.close()
            if self._lock_keeper is not None:
                self._lock_keeper.close()
        if self._master.outcome is Outcome.UNFIT and self._master.jobs.scheduler.error is not None:
            raise trouble(self._master.jobs.scheduler.error)
        return written

    def _lead(self) -> bool:
        self._results.await_proof(self._hurries)
        self._patiently(lambda: self._store.status(self._start, "running"))
        guard.tell_guard(self._store.folder / STATUS, self._start)
        self._introduce()
        welcome = welcome_to(
            self._study, self._origin, self._store.folder, self._start, len(self._ranks)
        )
        for rank in self._ranks:
            self._send(rank, welcome)
        baseline = self._start_baseline(welcome)
        with ExitStack() as stack:
            # Last, so that the data go, too, where a rank of this node was hung until its end.
            stack.callback(rooms_of(self._study.data, self._start).leave)
            try:
                outcome = self._loop(baseline)
            finally:
                if baseline is not None:
                    baseline.close()
            return self._end(outcome)

    # -- the beginning -----------------------------------------------------------------------------

    def _introduce(self) -> None:
        started = Started(
            at=self._now(),
            version=__version__,
            settings=self._study.toml(),
            start=self._start,
            ranks=len(self._ranks),
            rungs=self._master.jobs.scheduler.rungs,
            format=FORMAT,
        )
        going_on = self._board.results
        self._record(started)
        self._master.jobs.redo(started)
        self._settle()
        name, folder = self._transport.name, self._store.folder
        self._event_log.introduce(self._study, started, f"({name}); results in {folder}", going_on)

    def _settle(self) -> None:
        """Find out how far the jobs had come that the last start had in work, and left no word."""
        trials = [key.trial for key in self._master.jobs.interrupted]
        if trials:
            folder = self._store.folder
            self._handle(Interrupted({trial: reached(folder, trial) for trial in trials}))

    def _start_baseline(self, welcome: Welcome) -> BaselineRun | None:
        if self._study.baseline is None or self._baseline is not None:
            return None
        top = self._master.jobs.scheduler.rungs[-1]
        return BaselineRun(self._study.baseline, welcome, top, seed_of(self._study.seed, 0))

    # -- the loop ----------------------------------------------------------------------------------

    def _loop(self, baseline: BaselineRun | None) -> Outcome:
        ticked_at = 0.0
        while self._master.outcome is None or self._awaits(baseline):
            came = self._transport.poll(
                TICK_S, self._searcher.descriptors() if self._searcher else ()
            )
            heard = [Heard(rank, decode(message)) for rank, message in came]
            if self._transport.underway:  # a part of a message is a sign of life
                heard += [Heard(rank, Beat()) for rank in self._transport.underway]
            self._handle(*heard)
            self._hear_searcher()
            if self._stop_requests.signals:
                self._handle(Drain(self._stop_requests.signals.popleft()))
            elif self._now() - ticked_at >= TICK_S:
                ticked_at = self._now()
                self._look_around()
                self._results.look()
                self._handle(Tick())
                if baseline is not None and self._awaits(baseline):
                    self._watch(baseline)
                self._patiently(self._store.sync)
        return self._master.outcome

    def _hear_searcher(self) -> None:
        """Go on with what the searcher has thought of; or end, in order, where it raised."""
        remote_searcher, scheduler = self._searcher, self._master.jobs.scheduler
        if remote_searcher is None or not remote_searcher.poll():
            return
        scheduler.error = scheduler.error or remote_searcher.error
        self._handle(Tick())

    def _look_around(self) -> None:
        """Find out what becomes of the allocation, and whether somebody wants the run to end."""
        deadline = self._master.jobs.time_left.deadline
        left_s = None if deadline is None else deadline.ends_at - self._now()
        epoch_s = self._stop_requests.look(left_s)
        if epoch_s is not None:
            self._handle(Due(self._now() + epoch_s - time.time(), epoch_s))

    def _handle(self, *events: Event) -> None:
        """Write all that is decided, at once, before any of it is done; then orders come first."""
        now = self._now()
        with self._thoughts:
            commands = [each for event in events for each in self._master.handle(event, now)]
        decisions: list[Decision] = []
        orders: list[Tell] = []
        others: list[Command] = []
        for command in commands:
            if isinstance(command, Record):  # a match takes longer, and each result pays for it
                decisions.append(command.decision)
            elif isinstance(command, Tell):
                orders.append(command)
            else:
                others.append(command)
        if decisions:
            self._patiently(lambda: self._store.append(*decisions))
        for order in orders:
            self._send(order.rank, order.order)
        for decision in decisions:
            self._tell(decision)
        for command in others:
            if isinstance(command, Discard) and self._study.run.keep == "incumbent":
                discard(self._store.folder, command.trial)

    def _record(self, decision: Decision) -> None:
        self._patiently(lambda: self._store.append(decision))
        self._tell(decision)

    def _tell(self, decision: Decision) -> None:
        self._event_log.tell(decision)
        match decision:
            case Lost(rank=rank):
                self._transport.forget(rank)
                if self._study.run.isolation == "none":
                    log.warning(SILENT)
            case Draining(why=why):
                self._why = why
                log.warning("%s: draining, for at most %g s", why, self._study.limits.grace_s)
            case Deadline(at=at, ends_at=ends_at, drains_at=drains_at) if drains_at <= at:
                said = "the allocation ends in %.0f s, and a drain takes %.0f s (grace_s + 10)"
                log.warning(said, ends_at - at, ends_at - drains_at)
            case _:
                pass

    def _patiently(self, write: Callable[[], object]) -> None:
        """Write; raises DiskError when the disk has not let us for long, or a signal comes."""
        gives_up_at = math.inf
        while True:
            try:
                write()
            except DiskError as error:
                if self._stop_requests.signals or time.monotonic() >= gives_up_at:
                    raise
                if gives_up_at == math.inf:
                    gives_up_at = time.monotonic() + DISK_PATIENCE_S
                    log.error("%s; waiting until it can", error)  # noqa: TRY400
            else:
                return
            for rank in self._present():
                self._send(rank, Beat())
            time.sleep(min(1.0, self._study.limits.patience_s / 5))

    def _send(self, rank: int, order: Order) -> None:
        self._transport.send(rank, msgspec.msgpack.encode(order))

    def _awaits(self, baseline: BaselineRun | None) -> bool:
        drained = self._master.outcome not in (None, Outcome.COMPLETE)
        return baseline is not None and not baseline.over and not drained and self._why is None

    def _watch(self, baseline: BaselineRun) -> None:
        baseline.poll(self._now())
        if baseline.metrics is not None:
            self._baseline = baseline.metrics
            self._record(Baseline(self._now(), baseline.metrics))
        if baseline.error is not None:
            log.warning("the baseline failed: %s", baseline.error)

    # -- the end -----------------------------------------------------------------------------------

    def _end(self, outcome: Outcome) -> bool:
        self._record(Ended(self._now(), outcome, self._why or outcome.value))
        for rank in self._present():
            self._send(rank, Retire())
        written = self._results.finish(outcome.value, self._hurries)
        if outcome is Outcome.COMPLETE and self._study.run.keep == "incumbent":
            kept = self._board.incumbent.trial if self._board.incumbent else None
            for _ in discard_all_but(self._store.folder, kept):
                self._patiently(self._store.sync)  # keeps the lock, too
        complete_but = outcome is Outcome.COMPLETE and not written
        state = UNWRITTEN if complete_but else outcome.value
        self._patiently(lambda: self._store.status(self._start, state))
        self._store.close()
        self._part_from_ranks()
        return written

    def _hurries(self) -> bool:
        """Keep the lock; tell whether somebody wants the end at once."""
        self._patiently(self._store.sync)
        return bool(self._stop_requests.signals)

    def _part_from_ranks(self) -> None:
        ranks = set(self._present())
        if len(ranks) < len(self._ranks):
            guard.tell_of_lost()
        for rank in ranks:
            self._send(rank, Stop())
        gives_up_at = time.monotonic() + END_S + GOODBYE_S
        while ranks and time.monotonic() < gives_up_at:
            for rank, message in self._transport.poll(TICK_S):
                if isinstance(decode(message), Goodbye):
                    ranks.discard(rank)
        self._transport.leave(GOODBYE_S)
        log.info("%s: %s", self._transport.name, self._transport.traffic)

    def _present(self) -> list[int]:
        workers = self._master.roster.workers
        return [rank for rank in self._ranks if not workers[rank].lost]

    def _now(self) -> float:
        return time.monotonic() - self._zero
