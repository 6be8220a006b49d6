"""Rank 0's event loop: hear, decide, write down, send.

What was heard goes into the master; what it decides is written into the journal, and then what it
commands is performed, in order: so no order is sent that the journal does not know. Where the disk
takes no decision, nothing is done until it does, or it was waited for long enough. People are told
after it, a few times a second.
"""

import logging
import os
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path

import msgspec

from hpmpi import __version__
from hpmpi.data.scratch import rooms_of
from hpmpi.errors import StoreError
from hpmpi.guard import guard
from hpmpi.history.history import History
from hpmpi.history.overview import Overview, overview
from hpmpi.leader import objective_file
from hpmpi.leader.disk_patience import DiskPatience
from hpmpi.leader.event_log import EventLog
from hpmpi.leader.garbage import seldom_collected
from hpmpi.leader.lock_keeper import LockKeeper
from hpmpi.leader.remote_searcher import RemoteSearcher
from hpmpi.leader.results_writer import ResultsWriter
from hpmpi.leader.stop_requests import StopRequests
from hpmpi.leader.welcome import welcome_to
from hpmpi.master.jobs import Jobs
from hpmpi.master.master import Master
from hpmpi.master.roster import Roster
from hpmpi.model.events import Drain, Due, Event, Heard, Interrupted, Learnt, Silent, Tick
from hpmpi.model.messages import Beat, Goodbye, Order, Outcome, Relay, Report, Retire, Stop
from hpmpi.model.records import Entry, Started
from hpmpi.model.trial import BASELINE
from hpmpi.storage.resume import begin, rules_of, trouble
from hpmpi.storage.run_folder import STATUS, UNWRITTEN
from hpmpi.storage.run_format import FORMAT
from hpmpi.study.settings import Settings
from hpmpi.transports import LEADER, Transport
from hpmpi.views import live
from hpmpi.views.live import LiveView
from hpmpi.worker.checkpoints import discard, discard_all_but, home_of, reached
from hpmpi.worker.limits import END_S

TICK_S = 0.1
"""How often silence and signals are looked at."""

START_S = 60.0
"""The least that a rank has for its first word: a file system may be slow to give it its files."""

GOODBYE_S = 1.0
"""How long the ranks may take to leave, once their children have ended."""

WAITS_FOR_NOTHING = "the searcher says LATER, and nothing is in work that it could learn from"

SILENT = "without isolation, a rank is silent while it works: is patience_s longer than a job?"

log = logging.getLogger("hpmpi")
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Report).decode


class Leader:
    """Lead one start of a study, from what its journal says to the end."""

    def __init__(  # noqa: PLR0913 - all that rank 0 leads with
        self,
        study: Settings,
        origin: Path,
        transport: Transport,
        *,
        jobs: Jobs,
        history: History,
        results_writer: ResultsWriter,
        remote_searcher: RemoteSearcher | None = None,
        learnt: Learnt | None = None,
    ) -> None:
        """Go on where the jobs, their history and the run folder are.

        `origin` is the study file's folder; `learnt` is what the searcher is to learn first.

        The `remote_searcher` is the searcher of the jobs, if that is in a process of its own.
        """
        self._study = study
        self._origin = origin
        self._store = store = results_writer.store
        self._lock_keeper = None if store.lock is None else LockKeeper(store.lock)
        self._thoughts = self._lock_keeper or nullcontext()
        self._results = results_writer
        self._searcher = remote_searcher
        self._learnt = learnt
        self._transport = transport
        self._start = os.urandom(8).hex()
        self._ranks = [rank for rank in range(transport.size) if rank != LEADER]
        self._history = history
        self._untold: list[Entry] = []
        self._zero = time.monotonic() - history.at
        self._stop_requests = StopRequests(store.folder)
        self._event_log = EventLog()
        self._view: LiveView | None = None
        patience_s = study.limits.patience_s
        self._disk = DiskPatience(self._is_hurried, self._beat, min(1.0, patience_s / 5))
        roster = Roster(self._ranks, patience_s, max(patience_s, START_S), self._now())
        self._master = Master(jobs, roster, rules_of(study), study.seed)

    def heed_launch(self) -> None:
        """Let `hpmpi launch` say when to drain."""
        self._stop_requests.heeds_launch = True

    def show_live(self) -> None:
        """Have a live view where stderr is a terminal, unless little is to be logged."""
        self._view = live.on_terminal()
        self._event_log = EventLog(is_beside=self._view is not None)

    def run(self) -> bool:
        """Lead until the end; tell whether the results were written.

        Raises StoreError where the run folder lets nobody go on, SearcherError where the study's
        own code has raised.
        """
        self._stop_requests.listen()
        try:
            with seldom_collected():
                written = self._lead()
        except StoreError:
            self._part_from_ranks()
            raise
        finally:
            if self._view is not None:
                self._view.stop()
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
        self._disk.write(lambda: self._store.status(self._start, "running"))
        guard.tell_guard(self._store.folder / STATUS, self._start)
        self._introduce()
        welcome = welcome_to(
            self._study, self._origin, self._store.folder, self._start, len(self._ranks)
        )
        for rank in self._ranks:
            self._send(rank, welcome)
        with ExitStack() as stack:
            # Last, so that the data go, too, where a rank of this node was hung until its end.
            stack.callback(rooms_of(self._study.data, self._start).leave)
            try:
                outcome = self._loop()
            finally:
                self._tell()
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
            objective_digest=objective_file.digest(self._study, self._origin),
        )
        going_on = self._history.results
        if self._history.starts and self._history.study.baseline != self._study.baseline:
            discard(*home_of(self._store.folder, BASELINE))  # another's are not to go on from
        self._disk.write(lambda: self._store.append(started))
        self._history.add(started)
        begin(self._master.jobs, self._study, started)
        if self._learnt is not None:
            self._handle(self._learnt)
        self._settle()
        name, folder = self._transport.name, self._store.folder
        self._event_log.introduce(self._history, f"({name}); results in {folder}", going_on)

    def _settle(self) -> None:
        """Find out how far the jobs had come that the last start had in work, and left no word."""
        trials = [key.trial for key in self._master.jobs.interrupted]
        if trials:
            folder = self._store.folder
            saved = {trial: reached(*home_of(folder, trial)) for trial in trials}
            self._handle(Interrupted(saved))

    # -- the loop ----------------------------------------------------------------------------------

    def _loop(self) -> Outcome:
        ticked_at = 0.0
        while self._master.outcome is None:
            came = self._transport.poll(
                TICK_S, self._searcher.descriptors() if self._searcher else ()
            )
            heard = self._passed_on([Heard(rank, decode(message)) for rank, message in came])
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
                self._tell()
                self._disk.write(self._store.sync)
        return self._master.outcome

    def _passed_on(self, heard: list[Heard]) -> list[Heard]:
        """Pass on what members of groups say to each other; return what is for the master."""
        for event in heard:
            if isinstance(event.report, Relay):
                for rank in event.report.ranks:
                    self._send(rank, event.report.word)
        return [event for event in heard if not isinstance(event.report, Relay)]

    def _hear_searcher(self) -> None:
        """Go on with what the searcher has thought of; what it raised comes when it is asked."""
        searcher, jobs = self._searcher, self._master.jobs
        if searcher is None:
            return
        is_new = searcher.poll() and (jobs.scheduler.awaits or searcher.error is not None)
        if searcher.waits and not jobs.open and not jobs.scheduler.promotable:
            searcher.fail(WAITS_FOR_NOTHING)
            is_new = True
        if is_new:
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
            reactions = [self._master.handle(event, now) for event in events]
        entries = [reaction.entry for reaction in reactions if reaction.entry is not None]
        if entries:
            self._disk.write(lambda: self._store.append(*entries))
        for reaction in reactions:
            for rank, order in reaction.orders:
                self._send(rank, order)
        if self._searcher is not None:
            self._searcher.send()
        self._untold += entries
        if self._study.run.keep == "incumbent":
            for reaction in reactions:
                for trial in reaction.discards:
                    discard(self._store.folder, trial)

    def _tell(self) -> None:
        """Tell people what has come since the last time: they can wait for it, and ranks can't."""
        entries, self._untold = self._untold, []
        for entry in entries:
            self._history.add(entry)
            self._event_log.tell(entry, self._history)
            if isinstance(entry.event, Silent):
                for rank in entry.event.ranks:
                    self._transport.forget(rank)
                if self._study.run.isolation == "none":
                    log.warning(SILENT)
        if self._view is not None:
            self._view.refresh(self._page)
        else:
            self._event_log.sum_up(self._history, self._now())

    def _page(self, top: int) -> tuple[Overview, str]:
        why = self._history.draining
        state = "running" if why is None else f"draining ({why})"
        return overview(self._history, self._now(), top), state

    def _beat(self) -> None:
        """Show the ranks that somebody is there."""
        for rank in self._present():
            self._send(rank, Beat())

    def _send(self, rank: int, order: Order) -> None:
        self._transport.send(rank, encode(order))

    # -- the end -----------------------------------------------------------------------------------

    def _end(self, outcome: Outcome) -> bool:
        for rank in self._present():
            self._send(rank, Retire())
        written = self._results.finish(outcome.value, self._hurries)
        if outcome is Outcome.COMPLETE and self._study.run.keep == "incumbent":
            kept = [standing.trial for standing in self._history.standings.best]
            for _ in discard_all_but(self._store.folder, kept):
                self._disk.write(self._store.sync)  # keeps the lock, too
        complete_but = outcome is Outcome.COMPLETE and not written
        state = UNWRITTEN if complete_but else outcome.value
        self._disk.write(lambda: self._store.status(self._start, state))
        self._store.close()
        self._part_from_ranks()
        return written

    def _hurries(self) -> bool:
        """Keep the lock; tell whether somebody wants the end at once."""
        self._disk.write(self._store.sync)
        return self._is_hurried()

    def _is_hurried(self) -> bool:
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
