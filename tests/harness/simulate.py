"""The master in a simulated cluster: virtual time, one seed, and all that can go wrong.

    python -m tests.harness.simulate --world crashes --seed 7 --seeds 200
    python -m tests.harness.simulate --world everything --seed 7 --trace

Ranks answer orders as real ones do, over messages that take their time and keep their order between
two ranks, as MPI promises. A world says what goes wrong: ranks die, stop and come back; whole hosts
die, and links are cut, some for good; messages crawl; objectives fail; rank 0 is killed between any
two of the things that it does, to go on from what its journal holds, of which a power failure takes
what was not synced; allocations end, which the master may have been told, and told otherwise since;
one trial takes the whole run along whenever it is tried; searchers think for long, round otherwise
after a restart, or raise until somebody mends them; schedulers stop jobs in work. The ledger checks
all that is decided; at each restart the journal alone must lead to where the master was; and in the
end all of it is decided once more, from the journal. A seed that fails once fails always: keep it
in test_simulation.py.
"""

import argparse
import copy
import heapq
import math
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import msgspec

from hpmpi.master.master import Master
from hpmpi.master.restart import redo
from hpmpi.model.events import Drain, Due, Event, Heard, Interrupted, Silent, Tell, Tick
from hpmpi.model.messages import (
    Assign,
    Beat,
    Cancel,
    Cancelled,
    Failed,
    FailureKind,
    Finished,
    Outcome,
    Point,
    Progress,
    Ready,
    Recall,
    Report,
    Returned,
    Save,
    Suspended,
    Unfit,
)
from hpmpi.model.records import Decision, Ended, Entry, Line, Started
from hpmpi.model.trial import BASELINE, AttemptId
from hpmpi.storage.journal import rows_of, text_of
from hpmpi.storage.run_folder import JOURNAL, Store, read
from tests.harness.build import OTHERS, Elsewhere, Method, draw_study
from tests.harness.insides import insides
from tests.harness.ledger import Ledger
from tests.harness.play import discard_line, entry_lines, event_line, order_line
from tests.harness.rederive import rederive
from tests.harness.shelf import checkpoint

MOST_EVENTS = 20_000
BEATS_PER_PATIENCE = 3
CRAWL_PER_PATIENCE = 0.4
"""Beats, and how long a message takes at most, so that one that crawls seems no silence."""

HOST_RANKS = 3
FIRST_KILL = 60
"""How many things rank 0 does at most, where it is to be killed."""

SCHEDULERS: tuple[Method, ...] = ("hyperband", "median", "pasha", "sha", "top")
"""Each has a world of its own."""

GO_ON = (Outcome.DRAINED, Outcome.FAILED)
"""After these, the same command is given again: by Slurm, or by who has mended the objective."""

LONGEST_THOUGHT = 8.0
"""In times of patience."""

DRAINS = 0.4
"""The share of those starts that are drained instead."""

LONGEST_ALLOCATION_S = 90.0
UNTOLD = 0.2
MOVED = 0.4
"""How long an allocation is; the shares whose end is not told, or is moved on the way."""

TICKS_PER_PATIENCE = 8
LOOP_S = 1e-6
SHORT_S, DRAGS_S = 4.5, 200.0
"""A job of resource 1 that takes no longer is short; and how long one takes that drags."""

MANY = 40
"""How many trials more a study has whose jobs are short: some durations must be known first."""

CHECKPOINTS = 0.01
SYNCS = 0.1
FAILURES = [kind for kind in FailureKind if kind is not FailureKind.LOST]
LOSSES = (float("nan"), float("inf"), float("-inf"))


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong: the chance of it at each beat, job or tick; how often rank 0 is killed.

    `bare`: the share of ranks that have one process for all, and can't do a job in a fresh one;
    `crawls`: the share of messages that take long, but not so long that a rank seems lost;
    `black_holes`: the share of ranks that fail whatever they are given; `powerless`: the share of
    kills that take what was not synced; `allocations`: how many starts are in one that ends;
    `thinks`: the share of new trials that rank 0 thinks long about; `later`: the share of times
    that the searcher, in a process of its own, has no answer yet; `killer`: whether a trial takes
    the run along; `cpus`: whether each start is on another processor; `raises`: whether the
    searcher raises once; `curves`: the share of jobs that report on the way, and may be stopped;
    `others`: whether trials are compared otherwise than by ASHA, by `method` if that is said;
    `several`: whether by several metrics, of which some are no number; `quarantine`: how many
    failures in a row put a rank aside, if any do; `short`: the share of studies whose lowest jobs
    are queued; `drags`: that of jobs that take much longer than others.
    """

    dies: float = 0.0
    stops: float = 0.0
    fails: float = 0.0
    no_number: float = 0.0
    unfit: float = 0.0
    held_up: float = 0.0
    host_dies: float = 0.0
    link_cut: float = 0.0
    crawls: float = 0.0
    black_holes: float = 0.0
    bare: float = 0.0
    powerless: float = 0.0
    kills: int = 0
    allocations: int = 0
    thinks: float = 0.0
    later: float = 0.0
    killer: bool = False
    cpus: bool = False
    raises: bool = False
    curves: float = 0.0
    others: bool = False
    several: bool = False
    quarantine: int = 0
    short: float = 0.0
    drags: float = 0.0
    method: Method | None = None


WORLDS: dict[str, World] = {
    "calm": World(),
    "crashes": World(dies=0.04),
    "freezes": World(stops=0.06, held_up=0.02),
    "failures": World(fails=0.3, no_number=0.2, unfit=0.05, black_holes=0.1, bare=0.3),
    "quarantine": World(
        quarantine=2, fails=0.3, unfit=0.05, black_holes=0.4, stops=0.03, dies=0.01, kills=1
    ),
    "hosts": World(host_dies=0.004, link_cut=0.02),
    "crawling": World(crawls=0.2, fails=0.1),
    "restarts": World(kills=4),
    "power": World(kills=4, powerless=0.7),
    "queue": World(allocations=5),
    "thinking": World(thinks=0.3, kills=1),
    "later": World(later=0.7, dies=0.02, fails=0.1, kills=2, allocations=2),
    "killer": World(killer=True),
    "other CPU": World(cpus=True, kills=4),
    "raising": World(raises=True, kills=1),
    "stopping": World(curves=0.7, stops=0.03, fails=0.1, kills=1),
    "others": World(
        others=True, dies=0.01, stops=0.03, fails=0.15, no_number=0.1, kills=2, allocations=2
    ),
    "others later": World(others=True, later=0.5, kills=2, powerless=0.3),
    "queues": World(
        short=1,
        drags=0.02,
        dies=0.01,
        stops=0.03,
        fails=0.1,
        unfit=0.02,
        held_up=0.02,
        black_holes=0.1,
        quarantine=3,
        powerless=0.3,
        kills=2,
        allocations=1,
    ),
    "calm queues": World(short=1, drags=0.03, curves=0.3, kills=1),
    "other queues": World(
        short=1, drags=0.02, others=True, later=0.2, stops=0.03, fails=0.1, kills=2
    ),
    "metrics": World(several=True, dies=0.01, stops=0.03, fails=0.1, no_number=0.1, kills=2),
    "other metrics": World(
        several=True, others=True, later=0.1, no_number=0.1, kills=2, powerless=0.3, allocations=1
    ),
    **{
        name: World(
            method=name,
            curves=0.7 if name == "median" else 0.0,
            dies=0.01,
            stops=0.03,
            fails=0.1,
            no_number=0.1,
            later=0.2,
            kills=2,
            allocations=1,
        )
        for name in SCHEDULERS
    },
    "everything": World(
        dies=0.02,
        stops=0.04,
        fails=0.15,
        no_number=0.1,
        unfit=0.04,
        held_up=0.02,
        host_dies=0.002,
        link_cut=0.01,
        crawls=0.05,
        black_holes=0.05,
        bare=0.2,
        powerless=0.3,
        kills=3,
        allocations=3,
        quarantine=3,
        short=0.5,
        drags=0.01,
    ),
}


class Killed(Exception):  # noqa: N818 - not an error, but what happens here
    """Rank 0 is no more."""


class Simulation:
    """One study in one world; all that happens follows from the seed."""

    def __init__(
        self,
        world: World,
        seed: int,
        folder: Path,
        say: Callable[[str], None] | None = None,
        kill_at: int | None = None,
    ) -> None:
        """Draw the study; `folder` is for its store.

        With `kill_at` rank 0 is killed once, instead of the thing with that number.
        """
        self.random = Random(seed)  # noqa: S311 - not for secrets
        self.world = world
        self.study = draw_study(self.random, seed, self._method(seed))
        self.study = msgspec.structs.replace(self.study, quarantine=world.quarantine)
        if Random(f"{seed}/short").random() < world.short:  # noqa: S311 - not for secrets
            self.study = msgspec.structs.replace(
                self.study,
                short_s=SHORT_S * self.study.low**0.5,
                limit=(self.study.limit or 0) + MANY,
            )
        if world.several:
            ends = {"target_loss": None, "plateau": None}  # which are of one metric
            self.study = msgspec.structs.replace(self.study, several=True, **ends)
        self.now = 0.0
        self.lines: list[Line] = []
        self.ledger = Ledger(self.study)
        self.ranks: dict[int, Rank] = {}
        self.outcome: Outcome | None = None
        self._folder = folder
        self._say = say
        self._kills = world.kills if kill_at is None else 1
        self._kill_at = kill_at
        self._queuing = Random(f"{seed}/queue")  # noqa: S311 - not for secrets
        self.draw_process = Random(f"{seed}/process").random  # noqa: S311 - not for secrets
        self.ways = Random(f"{seed}/ways")  # noqa: S311 - not for secrets
        self._allocations = world.allocations
        self._ends_at = math.inf
        self.saves = world.allocations == 0 or self._queuing.random() < 0.3
        self._moods = Random(f"{seed}/moods")  # noqa: S311 - not for secrets
        self.killer = self._moods.randrange(self.study.most_trials or 1) if world.killer else None
        self._raises_at = self._moods.randint(1, 60) if world.raises else None
        self._starts = 0
        self.acts = self.lines_lost = self.forced = 0
        self.killed_at_the_end = False
        self._acts_left = -1
        self._is_behind = True
        self._safe: tuple[int, int, Ledger] | None = None
        self._resumes_at = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0
        self._start()

    def _method(self, seed: int) -> Method:
        if self.world.method is not None:
            return self.world.method
        if self.world.others:
            return Random(f"{seed}/method").choice(OTHERS)  # noqa: S311 - not for secrets
        return "stopping" if self.world.curves else "asha"

    def run(self) -> Outcome:
        """Let things happen until the study is over; raises AssertionError if a rule is broken."""
        while self.outcome is None:
            assert self._serial < MOST_EVENTS, "every study comes to its end"
            self.now, _, happen = heapq.heappop(self._queue)
            try:
                happen()
            except Killed:
                self._start_again()
            if self._goes_on:
                self._start_again()
        os.close(self._store._journal._file)
        self._check_end()
        return self.outcome

    def at(self, time: float, happen: Callable[[], None]) -> None:
        """Let something happen, after all that was to happen at the same time."""
        self._serial += 1
        heapq.heappush(self._queue, (time, self._serial, happen))

    def handle(self, event: Event) -> None:
        """Let the master hear of an event as soon as it can; do what it wants done."""
        if self.now < self._resumes_at:
            self.at(self._resumes_at, lambda: self.handle(event))
            return
        self._tell_story(event_line(event, self.now))
        self.ledger.hear(event, self.now)
        self._is_behind = True
        reaction = self.master.handle(event, self.now)
        self._enter(reaction.entry)
        if self.outcome is not None:
            self.master.jobs.end(self.outcome)
        self._is_behind = False
        for rank, order in reaction.orders:
            self._live()
            self._tell_story(order_line(Tell(rank, order)))
            self.ledger.tell(rank, order)
            self.ranks[rank].send(order)
        for trial in reaction.discards:
            self._live()
            self._tell_story(discard_line(trial))
            self.ledger.discard(trial)
        assert self.outcome is self.master.outcome
        self.ledger.compare(self.master)
        if self.outcome is None:
            self.ledger.compare_duties(awaits=self.master.jobs.scheduler.awaits)
        if self._kills and self.random.random() < CHECKPOINTS:
            checkpoint(self._store)
            self._secure()

    def _enter(self, entry: Entry | None) -> None:
        if entry is None:
            self.ledger.enter(None)
            return
        try:
            self._live()
        except Killed:
            self._tear(entry)
            raise
        for line in entry_lines(entry):
            self._tell_story(line)
        self.ledger.enter(entry)
        self._append(entry)
        if self.world.powerless and self.random.random() < SYNCS:
            self._secure()
        if isinstance(entry.event, Silent):
            for rank in entry.event.ranks:
                self.ranks[rank].check_silent()
        for _, config, _ in entry.suggested:
            if config is not None:
                self._think()

    def _append(self, line: Line) -> None:
        self._store.append(line)
        self.lines.append(line)
        self.outcome = outcome_of(line)

    def _live(self) -> None:
        """Do another thing, unless rank 0 is killed before."""
        self.acts += 1
        self._acts_left -= 1
        if self._acts_left == 0:
            raise Killed

    def _think(self) -> None:
        """Hold the master up where it was a searcher's long thought that this came of."""
        if self._moods.random() < self.world.thinks:
            thinks_s = self._moods.uniform(0, LONGEST_THOUGHT * self.study.patience_s)
            self._resumes_at = self.now + thinks_s

    def _searcher_thinks(self) -> bool:
        return self.world.later > 0 and self._moods.random() < self.world.later

    def kill(self) -> None:
        """Have all of the run die."""
        self._tell_story("# all are killed")
        raise Killed

    def _tear(self, entry: Entry) -> None:
        """Leave half a line behind, as a kill may."""
        if self.random.random() < 0.5:
            torn = text_of(rows_of([entry], self._store.crc))
            os.write(self._store._journal._file, torn[: self.random.randrange(len(torn))])

    def _secure(self) -> None:
        """Note what not even a power failure takes: what was synced by now."""
        if self.world.powerless:
            self._safe = len(self.lines), self._store.length, copy.deepcopy(self.ledger)

    def _start_again(self) -> None:
        if self._safe is not None and self.random.random() < self.world.powerless:
            self._lose_power(*self._safe)
        self.outcome = outcome_of(self.lines[-1])
        if self.outcome is None or self._goes_on:
            os.close(self._store._journal._file)
            self._start()
        else:
            self.killed_at_the_end = True

    @property
    def decisions(self) -> list[Decision]:
        """All that was decided."""
        return [it for line in self.lines if isinstance(line, Entry) for it in line.decisions]

    @property
    def events(self) -> list[Event]:
        """All that happened, as far as it is written."""
        return [line.event for line in self.lines if isinstance(line, Entry)]

    @property
    def _goes_on(self) -> bool:
        """Whether the same command is given again."""
        mended = self.outcome is Outcome.UNFIT and self._raises_at is not None
        return self.outcome in GO_ON or mended

    def _lose_power(self, count: int, length: int, ledger: Ledger) -> None:
        """Cut the journal somewhere within the first line that was not synced."""
        self.lines_lost += len(self.lines) - count
        self._tell_story(f"# power failure: {len(self.lines) - count} lines lost")
        unsynced = (self._folder / JOURNAL).read_bytes()[length:].partition(b"\n")[0]
        torn = self.random.randrange(len(unsynced)) if unsynced else 0
        os.truncate(self._folder / JOURNAL, length + torn)
        del self.lines[count:]
        self.ledger = ledger
        self._is_behind = True

    def _start(self) -> None:
        """Start the study, or start it again: fresh ranks, and what the store holds."""
        drains = self._kills > 0 and self._kill_at is None and self.random.random() < DRAINS
        self._acts_left = -1
        if self._kills:
            self._kills -= 1
            if not drains:
                self._acts_left = self._kill_at or self.random.randint(1, FIRST_KILL)
        if self.outcome is not None:
            self.outcome, self._raises_at = None, None  # it is mended
        count = self.random.randint(1, 8)
        started = Started(self.now, "", "", "", count)
        self._tell_story(f"> {self.now:.3f} start ranks {count}")
        self._starts += 1
        cpu = self._starts if self.world.cpus else 0
        seed, most = self.study.seed, self.study.size
        searcher = Elsewhere(seed, cpu, self._raises_at, self._searcher_thinks, most)
        saved = read(self._folder)
        assert repr(saved.lines) == repr(self.lines), "a kill loses no line"
        self._store = Store(self._folder, saved)
        again = self.study.master(count, self.now, searcher)
        self._derive(again, started)
        if again.jobs.scheduler.error is not None:  # nothing was written, and it is mended
            self._raises_at = None
            os.close(self._store._journal._file)
            self._start()
            return
        self.master = again
        self._append(started)
        self.ledger.start(started)
        self.ledger.compare(self.master)
        self._is_behind = False
        self._secure()
        self._queue.clear()
        self._resumes_at = self.now
        self.ranks = {rank: Rank(self, rank) for rank in self.master.roster.workers}
        ranks = list(self.ranks.values())
        self._hosts = [ranks[at : at + HOST_RANKS] for at in range(0, count, HOST_RANKS)]
        self.at(self.now, self._begin)
        self._ends_at = math.inf
        if self._allocations:
            self._allocations -= 1
            self.at(self.now, self._allot)
        if drains:
            drained_at = self.now + self.random.uniform(0, 0.5 * self.study.start_s)
            self.at(drained_at, lambda: self.handle(Drain("signal")))
            if self.random.random() < 0.3:
                again_at = drained_at + self.random.uniform(0, self.study.grace_s)
                self.at(again_at, lambda: self.handle(Drain("another")))

    def _derive(self, master: Master, started: Started) -> None:
        """Bring a new master to where the journal ends: just where the one before was."""
        for line in self.lines:
            redo(master.jobs, line)
        if not self._is_behind and not self._has_raised(master, self.master):
            assert insides(master.jobs) == insides(self.master.jobs)
        redo(master.jobs, started)

    @staticmethod
    def _has_raised(*masters: Master) -> bool:
        """Tell whether the state of others' code is nowhere any more."""
        return any(master.jobs.scheduler.error is not None for master in masters)

    def _begin(self) -> None:
        """Say first what is known of what the last start had in work, where it said nothing."""
        if interrupted := self.master.jobs.interrupted:
            saved = {
                key.trial: self._moods.randint(1, self.master.jobs.open[key].job.resource)
                for key in interrupted
                if self.saves and key.trial != self.killer and self._moods.random() < 0.5
            }
            self.handle(Interrupted(saved))
        self._tick()

    def _allot(self) -> None:
        """Have an allocation that ends; most are told when, and some are told otherwise later."""
        told = self._queuing.random() >= UNTOLD
        self._end_after(self._queuing.uniform(0, LONGEST_ALLOCATION_S), told=told)
        if self._queuing.random() < MOVED:
            changes_at = self._queuing.uniform(self.now, self._ends_at)
            lasts_s = self._queuing.uniform(0, LONGEST_ALLOCATION_S)
            self.at(changes_at, lambda: self._end_after(lasts_s, told=told))

    def _end_after(self, seconds: float, *, told: bool) -> None:
        self._ends_at = self.now + seconds
        self.at(self._ends_at, self._end_allocation)
        if told:
            self.handle(Due(self._ends_at, self._ends_at))

    def _end_allocation(self) -> None:
        """Kill all, unless it is another time by now that the allocation ends at."""
        if self.now < self._ends_at:
            return
        drains_at = self.ledger.drains_at
        in_time = drains_at is not None and self.ledger.told_at <= drains_at
        assert self.world.held_up or not in_time, "who is told in time leaves in time"
        self._tell_story("# the allocation ends")
        self.forced += 1
        raise Killed

    def _tick(self) -> None:
        self.handle(Tick())
        patience_s = self.study.patience_s
        if self.random.random() < self.world.held_up:
            self._resumes_at = self.now + self.random.uniform(0, 2 * patience_s)
        self._harm_hosts()
        # What came in while the master was held up is heard before it judges silence.
        resumes_at = self._resumes_at + LOOP_S
        self.at(max(resumes_at, self.now + patience_s / TICKS_PER_PATIENCE), self._tick)

    def _harm_hosts(self) -> None:
        for ranks in self._hosts:
            if self.random.random() < self.world.host_dies:
                for rank in ranks:
                    rank.die()
            if self.random.random() < self.world.link_cut:
                # A fifth of the links that are cut never come back.
                for_ever = self.random.random() < 0.2
                lasts_s = 1e9 if for_ever else self.random.uniform(0, 3 * self.study.patience_s)
                for rank in ranks:
                    rank.cut(self.now + lasts_s)

    def _check_end(self) -> None:
        """Assert that the journal alone leads to the same end."""
        lines = read(self._folder).lines
        assert repr(lines) == repr(self.lines)
        rederive(self.study, lines)
        if not self._is_behind and not self._has_raised(self.master):
            again = self.study.jobs()
            for line in lines:
                redo(again, line)
            assert insides(again) == insides(self.master.jobs)

    def _tell_story(self, line: str) -> None:
        if self._say is not None:
            self._say(line)


class Rank:
    """A worker rank that keeps the contract of one, as long as it lives."""

    def __init__(self, simulation: Simulation, rank: int) -> None:
        """Load the objective, and beat."""
        self._simulation = simulation
        self._random = simulation.random
        self._rank = rank
        self._dead = False
        self._stopped_until = self._cut_until = 0.0
        self._is_black_hole = self._random.random() < simulation.world.black_holes
        self._is_bare = simulation.draw_process() < simulation.world.bare
        self._used = False
        self._sent_at = self._got_at = simulation.now
        self._job: Assign | None = None
        self._line: list[Assign] = []
        self._beat_s = simulation.study.patience_s / BEATS_PER_PATIENCE
        most_s = 0.8 * simulation.study.start_s
        if simulation.world.crawls:
            most_s -= CRAWL_PER_PATIENCE * simulation.study.patience_s
        first_word_s = self._random.uniform(0, most_s)
        self._later(first_word_s, self._load)
        self._later(first_word_s + self._random.uniform(0, self._beat_s), self._beat)

    def die(self) -> None:
        """Be no more."""
        self._dead = True

    def cut(self, until: float) -> None:
        """Hear nothing, and not be heard: what is sent meanwhile comes when the link does."""
        self._cut_until = max(self._cut_until, until)

    def send(self, order: Assign | Cancel | Recall | Beat | Save) -> None:
        """Have an order on its way to this rank."""
        self._got_at = self._arrival(self._got_at)
        self._later(self._got_at - self._simulation.now, lambda: self._get(order))

    def check_silent(self) -> None:
        """Assert that this rank was declared lost for a reason."""
        now, patience_s = self._simulation.now, self._simulation.study.patience_s
        lately = now - max(self._stopped_until, self._cut_until) < patience_s
        assert self._dead or lately, "a rank that lives and beats is not lost"

    def _load(self) -> None:
        fit = self._random.random() >= self._simulation.world.unfit
        self._report(Ready("host", self._rank) if fit else Unfit("host", "no such module"))

    def _beat(self) -> None:
        world = self._simulation.world
        self._report(Beat())
        self._later(self._beat_s, self._beat)
        if self._random.random() < world.dies:
            self._later(self._random.uniform(0, self._beat_s), self.die)
        if self._random.random() < world.stops:
            self._later(self._random.uniform(0, self._beat_s), self._stop)

    def _stop(self) -> None:
        patience_s = self._simulation.study.patience_s
        self._stopped_until = self._simulation.now + self._random.uniform(0, 3 * patience_s)

    def _get(self, order: Assign | Cancel | Recall | Beat | Save) -> None:
        match order:
            case Assign():
                assert not self._line, "a rank has one job in work, and one in line"
                self._line.append(order)
                self._go_on()
            case Recall(attempt) | Cancel(attempt) if self._leaves_line(attempt):
                is_recall = isinstance(order, Recall)
                self._report(Returned(attempt) if is_recall else Cancelled(attempt))
            case Cancel(attempt) if self._job and self._job.attempt == attempt:
                job = self._job
                self._later(self._simulation.ways.uniform(0, 1), lambda: self._end(job))
            case Save() if self._job and self._simulation.saves and self._random.random() < 0.7:
                job = self._job
                self._later(self._random.uniform(0, 2), lambda: self._suspend(job))
            case _:
                pass

    def _go_on(self) -> None:
        """Begin what is next in line, if nothing is in work."""
        if self._job is not None or not self._line:
            return
        self._job = order = self._line.pop(0)
        takes_s = self._random.uniform(0.2, 4) * order.resource**0.5
        drags = self._simulation.world.drags
        if drags and self._simulation.ways.random() < drags:
            takes_s += DRAGS_S
        if order.attempt.trial == self._simulation.killer:
            self._later(self._random.uniform(0, takes_s), self._simulation.kill)
        self._later(takes_s, lambda: self._answer(order))
        self._draw_curve(order, takes_s)

    def _leaves_line(self, attempt: AttemptId) -> bool:
        left = [it for it in self._line if it.attempt != attempt]
        was_in_it, self._line = len(left) < len(self._line), left
        return was_in_it

    def _suspend(self, job: Assign) -> None:
        if self._job is job:
            self._job = None
            saved = self._random.randint(1, job.resource)
            self._report(Suspended(job.attempt, saved))
            self._go_on()

    def _end(self, job: Assign) -> None:
        """End the process that does a job."""
        if self._job is job:
            self._job, self._used = None, False
            self._report(Cancelled(job.attempt))
            self._go_on()

    def _draw_curve(self, order: Assign, takes_s: float) -> None:
        """Report on the way, maybe."""
        ways = self._simulation.ways
        study = self._simulation.study
        if study.method == "median":
            for _ in range(3):
                point = Point(ways.randint(1, order.resource), study.metrics(ways.random()))
                self._later(ways.uniform(0, takes_s), partial(self._tell_point, order, point))
        elif ways.random() < self._simulation.world.curves:
            point = Point(order.resource, self._simulation.study.metrics(ways.random()))
            self._later(ways.uniform(0, takes_s), lambda: self._tell_point(order, point))

    def _tell_point(self, order: Assign, point: Point) -> None:
        if self._job is order:
            self._report(Progress(order.attempt, [point]))

    def _answer(self, order: Assign) -> None:
        if self._job is not order:  # it was ended before
            return
        self._job = None
        self._report_on(order)
        self._go_on()

    def _report_on(self, order: Assign) -> None:
        """Say what came of a job."""
        world, study = self._simulation.world, self._simulation.study
        used, self._used = self._used and (self._is_bare or not order.fresh), True
        if self._is_black_hole or self._random.random() < world.fails:
            if self._random.random() < world.unfit:
                self._report(Unfit("host", "the child can't be started again"))
            else:
                kind = self._random.choice(FAILURES)
                said = self._random.choice(["one", "another"])
                self._report(failed := Failed(order.attempt, kind, said, used))
                self._used = self._is_bare or not failed.spoils
            return
        # Few different losses: ties are frequent.
        chosen = 0.5 if order.attempt.trial == BASELINE else float(order.config["x"])
        loss = round(abs(chosen - 0.3) + 0.5 / order.resource, 1)
        if self._random.random() < world.no_number:
            loss = self._random.choice(LOSSES)
        size = round(abs(chosen - 0.8), 1)
        if loss in LOSSES and world.several and self._simulation.ways.random() < 0.5:
            loss, size = 0.1, loss
        saved = self._random.choice([0, order.resource]) if self._simulation.saves else 0
        self._report(Finished(order.attempt, study.metrics(loss, size), saved))

    def _report(self, report: Report) -> None:
        self._sent_at = self._arrival(self._sent_at)
        event = Heard(self._rank, report)
        self._simulation.at(self._sent_at, lambda: self._simulation.handle(event))

    def _arrival(self, before: float) -> float:
        now, patience_s = self._simulation.now, self._simulation.study.patience_s
        takes_s = self._random.expovariate(20)
        if self._random.random() < self._simulation.world.crawls:
            takes_s = self._random.uniform(0, CRAWL_PER_PATIENCE * patience_s)
        return max(before, now + takes_s, self._cut_until + takes_s)

    def _later(self, seconds: float, happen: Callable[[], None]) -> None:
        """Let this rank do something, unless it is dead then; if it is stopped, when it goes on."""

        def if_able() -> None:
            if self._stopped_until > self._simulation.now:
                self._simulation.at(self._stopped_until, if_able)
            elif not self._dead:
                happen()

        self._simulation.at(self._simulation.now + seconds, if_able)


def outcome_of(line: Line) -> Outcome | None:
    """Tell whether a start ends with a line, and how."""
    match line:
        case Entry(decisions=[*_, Ended(outcome)]):
            return outcome
        case _:
            return None


def simulate(
    world: str,
    seed: int,
    say: Callable[[str], None] | None = None,
    kill_at: int | None = None,
) -> Simulation:
    """Run one study to its end, its store in a temporary folder; a failure says how to see it."""
    with tempfile.TemporaryDirectory() as folder:
        simulation = Simulation(WORLDS[world], seed, Path(folder), say, kill_at)
        try:
            simulation.run()
        except Exception as error:
            raise AssertionError(f"see --world {world} --seed {seed} --trace") from error
    return simulation


def main() -> None:
    """Run seeds of worlds, until one fails."""
    parser = argparse.ArgumentParser(description="Simulate studies.")
    parser.add_argument("--world", choices=WORLDS, action="append", help="default: all")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--trace", action="store_true", help="say all that happens")
    options = parser.parse_args()
    say = print if options.trace else None
    for seed in range(options.seed, options.seed + options.seeds):
        for name in options.world or WORLDS:
            outcome = simulate(name, seed, say).outcome
            assert outcome is not None
            sys.stdout.write(f"{name} {seed}: {outcome.value}\n")


if __name__ == "__main__":
    main()
