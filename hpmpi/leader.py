"""Rank 0's part of a run.

What was heard goes into the master; what it decides is written into the journal, and then what it
commands is performed, in order: so no order is sent that the journal does not know. Where the disk
takes no decision, nothing is done until it does, or for DISK_PATIENCE_S. Signals only leave a word:
the loop makes it an event.
"""

import logging
import math
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType

import msgspec

from hpmpi import __version__, allocation, guard, lifeline
from hpmpi.baseline import BaselineRun
from hpmpi.checkpoints import discard, discard_all_but
from hpmpi.decisions import Baseline, Deadline, Decision, Draining, Ended, Lost, Started
from hpmpi.ending import END_S
from hpmpi.errors import DiskError, StoreError
from hpmpi.events import Command, Discard, Drain, Due, Event, Heard, Leave, Record, Tell, Tick
from hpmpi.jobs import Jobs
from hpmpi.master import Master
from hpmpi.messages import Beat, Goodbye, Order, Outcome, Report, Retire, Stop, Welcome
from hpmpi.narrator import Narrator
from hpmpi.resume import rules_of
from hpmpi.roster import Roster, beat_s
from hpmpi.scribe import Scribe
from hpmpi.service import SIGNALS
from hpmpi.settings import Settings, make_space
from hpmpi.store import FORMAT, STATUS, UNWRITTEN
from hpmpi.summary import baseline_of, board_of
from hpmpi.supply import supplied
from hpmpi.transports import LEADER, Transport
from hpmpi.trial import seed_of

TICK_S = 0.1
"""How often silence and signals are looked at."""

LOOK_S = 0.5
"""How often it is looked for what launch has to say: a file server may have to be asked."""

START_S = 60.0
"""The least that a rank has for its first word: a file system may be slow to give it its files."""

GOODBYE_S = 1.0
"""How long the ranks may take to leave, once their children have ended."""

DISK_PATIENCE_S = 600.0
"""How long to wait for a disk that is full; the ranks go on with their jobs meanwhile."""

ECHO_S = 1.0
PASSING_ON_S = 5.0
"""A signal that follows another so soon is the same, by another way: mpirun's, and the shell's; or
launch's, which takes longer."""

SILENT = "without isolation, a rank is silent while it works: is patience_s longer than a job?"

NOTICE = "SIGUSR1"
NOTICE_S = 150.0
"""What slurm/tune.sh has Slurm send before the end of the allocation; at most so long before."""

log = logging.getLogger("hpmpi")
decode = msgspec.msgpack.Decoder(Report).decode


class Leader:
    """Lead one start of a study, from what its journal says to the end."""

    def __init__(
        self, study: Settings, origin: Path, jobs: Jobs, scribe: Scribe, transport: Transport
    ) -> None:
        """Go on where `jobs` and the scribe's store are; `origin` is the study file's folder."""
        self._study = study
        self._settings = study.toml()
        self._origin = origin
        self._store = store = scribe.store
        self._scribe = scribe
        self._transport = transport
        self._start = os.urandom(8).hex()
        self._ranks = [rank for rank in range(transport.size) if rank != LEADER]
        self._zero = time.monotonic() - (store.decisions[-1].at if store.decisions else 0.0)
        self._signals: deque[str] = deque()
        self._signalled_at = -math.inf
        self._why: str | None = None
        self._is_launched = False
        self._passed_on = 0
        self._looked_at = -math.inf
        self._allocation = allocation.Deadline(allocation.here())
        self._board = board_of(study, store.decisions, jobs.scheduler.rungs)
        self._baseline = baseline_of(store.decisions)
        self._narrator = Narrator(self._board)
        patience_s = study.limits.patience_s
        roster = Roster(self._ranks, patience_s, max(patience_s, START_S), self._now())
        self._master = Master(jobs, roster, rules_of(study), study.seed)

    def heed_launch(self) -> None:
        """Let `hpmpi launch` say when to drain."""
        self._is_launched = True

    def run(self) -> bool:
        """Lead until the end; tell whether the results were written.

        Raises StoreError where the run folder lets nobody go on.
        """
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        try:
            return self._lead()
        except StoreError:
            self._part_from_ranks()
            raise
        finally:
            self._scribe.close()

    def _lead(self) -> bool:
        self._scribe.await_proof(self._hurries)
        self._patiently(lambda: self._store.status(self._start, "running"))
        guard.tell_guard(self._store.folder / STATUS, self._start)
        self._introduce()
        self._transport, welcome = supplied(self._transport, self._study.data, self._welcome())
        for rank in self._ranks:
            self._send(rank, welcome)
        baseline = self._start_baseline(welcome)
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
            settings=self._settings,
            start=self._start,
            ranks=len(self._ranks),
            rungs=self._master.jobs.scheduler.rungs,
            format=FORMAT,
        )
        going_on = self._board.results
        self._record(started)
        self._master.jobs.redo(started)
        log.info(
            "study %s: %d worker rank%s (%s); results in %s%s",
            self._study.name,
            len(self._ranks),
            "s" if len(self._ranks) > 1 else "",
            self._transport.name,
            self._store.folder,
            f"; going on after {going_on} results" if going_on else "",
        )
        if (most := self._study.stop.max_trials) is not None:
            log.info("%s: up to %d trials", self._study.searcher["method"], most)

    def _welcome(self) -> Welcome:
        limits = self._study.limits
        return Welcome(
            objective=self._study.objective,
            origin=str(self._origin),
            metric=self._study.metric,
            folder=str(self._store.folder.absolute()),
            args=self._study.objective_args,
            start=self._start,
            patience_s=limits.patience_s,
            beat_s=beat_s(len(self._ranks), limits.patience_s),
            keep_all=self._study.run.keep == "all",
            time_s=limits.trial_time_s,
            memory_mb=limits.trial_memory_mb,
            gpus_per_trial=self._study.run.gpus_per_trial,
            isolated=self._study.run.isolation == "process",
            own_folder=self._study.run.folder == "own",
            examples=space.examples() if (space := make_space(self._study.space, [])) else (),
        )

    def _start_baseline(self, welcome: Welcome) -> BaselineRun | None:
        if self._study.baseline is None or self._baseline is not None:
            return None
        top = self._master.jobs.scheduler.rungs[-1]
        return BaselineRun(self._study.baseline, welcome, top, seed_of(self._study.seed, 0))

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if time.monotonic() - self._signalled_at >= ECHO_S:
            self._signalled_at = time.monotonic()
            self._signals.append(signal.Signals(number).name)

    # -- the loop ----------------------------------------------------------------------------------

    def _loop(self, baseline: BaselineRun | None) -> Outcome:
        ticked_at = 0.0
        while self._master.outcome is None or self._awaits(baseline):
            heard = [Heard(rank, decode(message)) for rank, message in self._transport.poll(TICK_S)]
            self._handle(*heard, *(Heard(rank, Beat()) for rank in self._transport.underway))
            if self._signals:
                self._handle(Drain(self._signals.popleft()))
            elif self._now() - ticked_at >= TICK_S:
                ticked_at = self._now()
                self._look_around()
                self._scribe.look()
                self._handle(Tick())
                if baseline is not None and self._awaits(baseline):
                    self._watch(baseline)
            self._patiently(self._store.sync)
        return self._master.outcome

    def _look_around(self) -> None:
        """Find out what becomes of the allocation, and whether somebody wants the run to end."""
        if self._is_launched and self._now() - self._looked_at >= LOOK_S:
            self._looked_at = self._now()
            passed_on = lifeline.signals(self._store.folder)
            new = passed_on[self._passed_on :]
            self._signals.extend(each for each in new if not self._is_known(each))
            self._passed_on = len(passed_on)
        epoch_s = self._allocation.poll(time.monotonic())
        if epoch_s is not None:
            self._handle(Due(self._now() + epoch_s - time.time(), epoch_s))

    def _is_known(self, passed_on: str) -> bool:
        """Tell whether rank 0 got a signal itself, or it is Slurm's notice of an end it knows."""
        deadline = self._master.jobs.pace.deadline
        echo = time.monotonic() - self._signalled_at < PASSING_ON_S
        noticed = deadline is not None and deadline.ends_at - self._now() < NOTICE_S
        return echo or (passed_on == NOTICE and noticed)

    def _handle(self, *events: Event) -> None:
        """Write all that is decided, at once, before any of it is done; then orders come first."""
        now = self._now()
        commands = [each for event in events for each in self._master.handle(event, now)]
        decisions = [each.decision for each in commands if isinstance(each, Record)]
        if decisions:
            self._patiently(lambda: self._store.append(*decisions))
        for command in sorted(commands, key=lambda each: not isinstance(each, Tell)):
            self._perform(command)

    def _perform(self, command: Command) -> None:
        match command:
            case Record(decision):
                self._tell(decision)
            case Tell(rank, order):
                self._send(rank, order)
            case Discard(trial):
                if self._study.run.keep == "incumbent":
                    discard(self._store.folder, trial)
            case Leave():
                pass

    def _record(self, decision: Decision) -> None:
        self._patiently(lambda: self._store.append(decision))
        self._tell(decision)

    def _tell(self, decision: Decision) -> None:
        self._narrator.tell(decision)
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
        gives_up_at = time.monotonic() + DISK_PATIENCE_S
        for tried in count():
            try:
                write()
            except DiskError as error:
                if self._signals or time.monotonic() >= gives_up_at:
                    raise
                if tried == 0:
                    log.error("%s; waiting until it can", error)  # noqa: TRY400
            else:
                break
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
        written = self._scribe.finish(outcome.value, self._hurries)
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
        return bool(self._signals)

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
