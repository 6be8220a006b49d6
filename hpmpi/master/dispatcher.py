"""Handing out: which rank, or which slot of several, is given which job next.

What waits goes before what is asked for. Where a job may take several ranks, slots.py says on which
it begins, and whether it has to wait for them.

Where jobs are short, what is between a result and the next one counts: a millisecond, more where
there are many ranks. So a rank is given the next one, too, while it has one in work:

- Only where both are short, by what most of their rungs took, and take one rank; and while nothing
  waits, and nobody is idle. A longer one, a promotion mostly, waits for the next idle rank.
- Only on a rank whose last answer was a result: who fails is given one after the other.
- It is recalled, and waits as if it had never been handed out, when somebody is idle who could do
  it, when what is before it turns out to be long, and when the run drains. And where a longer one
  waits, on the rank that is expected to be done first, which then begins that.
"""

import msgspec

from hpmpi.master import remaining
from hpmpi.master.jobs import Jobs
from hpmpi.master.quarantine import Quarantine
from hpmpi.master.reaction import Reaction
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Rules
from hpmpi.master.slots import Places
from hpmpi.model.messages import Member, Recall
from hpmpi.model.records import Assigned
from hpmpi.model.trial import BASELINE, JobKey

LONG = 10
"""After how many times what is short a job holds up what is queued behind it."""


class Dispatcher:
    """Hand out what there is, as long as somebody is idle who may be given it.

    `is_short`: nothing was asked for, as fewer ranks are idle than any job takes; `succeeded`: a
    rank that goes on with what was queued, after a result.
    """

    def __init__(self, roster: Roster, rules: Rules, quarantine: Quarantine, seed: int) -> None:
        """Hand out to `roster`; `seed` is the study's."""
        self.is_short = False
        self.succeeded: int | None = None
        self._roster = roster
        self._rules = rules
        self._quarantine = quarantine
        self._seed = seed
        self._is_of_groups = not rules.sizes.are_one
        self._queues = rules.short_s > 0 and not self._is_of_groups

    def dispatch(self, jobs: Jobs, now: float, reaction: Reaction) -> None:
        """Decide and order all that can be begun now."""
        if self._is_of_groups:
            self._dispatch_to_slots(jobs, now, reaction)
        else:
            self._dispatch_to_ranks(jobs, now, reaction)

    def _dispatch_to_ranks(self, jobs: Jobs, now: float, reaction: Reaction) -> None:
        able, doubted = self._roster.able, self._quarantine.doubted
        passed_over: set[int] = set()
        given = [] if self.succeeded is None else [self.succeeded]
        thinks = False
        while (rank := self._roster.next_idle(passed_over)) is not None and not self._is_busy(jobs):
            may_start = remaining.may_start(jobs, self._rules)
            assigned = jobs.hand_out(rank, now, may_start=may_start, able=able, doubted=doubted)
            if assigned is not None:
                self._roster.give(rank, assigned.attempt, now)
                self._order(assigned, jobs, now, reaction)
                given.append(rank)
                continue
            thinks |= jobs.scheduler.awaits
            if not jobs.waits_at(now):
                break
            passed_over.add(rank)
        if not self._queues:
            return
        if self._roster.idle and not self._is_busy(jobs):
            self._recall_for_idle(reaction)
        elif not thinks:
            self._queue([rank for rank in given if rank not in doubted], jobs, now, reaction)

    def recall(self, rank: int, reaction: Reaction) -> bool:
        """Have a rank give back what is queued on it, unless it has begun by then; false if not."""
        worker = self._roster.workers[rank]
        if worker.queued is None or worker.recalled or worker.lost:
            return False
        worker.recalled = True
        reaction.tell(rank, Recall(worker.queued))
        return True

    def recall_from_behind_long(self, now: float, reaction: Reaction) -> None:
        """Recall what waits for a job that is not as short as it was expected to be."""
        for rank in sorted(self._roster.queues):
            if now - self._roster.workers[rank].since > LONG * self._rules.short_s:
                self.recall(rank, reaction)

    def recall_all(self, reaction: Reaction) -> None:
        """Recall all that has not begun."""
        for rank in sorted(self._roster.queues):
            self.recall(rank, reaction)

    def _recall_for_idle(self, reaction: Reaction) -> None:
        """Recall as much as there are ranks idle, from those who will come to theirs last."""
        workers = self._roster.workers
        able = (it for it in self._roster.queues if not workers[it].lost)
        queues = sorted(able, key=lambda it: (workers[it].since, it), reverse=True)
        lacking = len(self._roster.idle) - sum(workers[rank].recalled for rank in queues)
        for rank in queues:
            if lacking > 0:
                lacking -= self.recall(rank, reaction)

    def _recall_for_long(self, jobs: Jobs, reaction: Reaction) -> None:
        """Recall what is behind the job that is expected to end first."""

        def ends_at(rank: int) -> float:
            worker = self._roster.workers[rank]
            rung = 0 if worker.held is None else worker.held.rung
            return worker.since + (jobs.time_left.typical_s(rung) or 0.0)

        for rank in sorted(self._roster.queues, key=lambda it: (ends_at(it), it)):
            if self.recall(rank, reaction):
                return

    def _queue(self, ranks: list[int], jobs: Jobs, now: float, reaction: Reaction) -> None:
        """Queue another short job on each of some ranks that have a short one in work."""
        for rank in ranks:
            if jobs.waiting:
                return
            worker = self._roster.workers[rank]
            if worker.aside or worker.held is None or not self._is_short(worker.held.job, jobs):
                continue
            may_start = remaining.may_start(jobs, self._rules)
            key = jobs.ask(may_start=may_start, rungs=jobs.rungs_at(now))
            if key is None:
                return
            if not self._is_short(key, jobs):
                reaction.decide(jobs.put_off(key))
                self._recall_for_long(jobs, reaction)
                return
            assigned = jobs.give(key, rank, now, queued=True)
            self._roster.queue(rank, assigned.attempt)
            self._order(assigned, jobs, now, reaction)

    def _order(self, assigned: Assigned, jobs: Jobs, now: float, reaction: Reaction) -> None:
        """Have one rank told of its attempt, once that is decided."""
        reaction.decide(assigned)
        reaction.tell(assigned.rank, jobs.order(assigned.attempt, now, self._seed))

    def _is_short(self, key: JobKey, jobs: Jobs) -> bool:
        takes_s = jobs.time_left.typical_s(key.rung)
        return key.trial != BASELINE and takes_s is not None and takes_s <= self._rules.short_s

    def _dispatch_to_slots(self, jobs: Jobs, now: float, reaction: Reaction) -> None:
        """Do so where jobs may take several ranks: what waits first, then what is asked for."""
        doubted = self._quarantine.doubted
        places = Places(jobs, self._roster, self._rules, doubted, now)
        put_off: set[JobKey] = set()
        while (key := jobs.next_waiting(now, put_off)) is not None:
            if not self._place(key, places, reaction):
                put_off.add(key)
        while rungs := places.rungs():
            may_start = remaining.may_start(jobs, self._rules)
            key = jobs.ask(may_start=may_start, rungs=rungs)
            if key is None:
                break
            if not self._place(key, places, reaction):
                reaction.decide(jobs.put_off(key))
        self.is_short = places.is_short

    def _place(self, key: JobKey, places: Places, reaction: Reaction) -> bool:
        """Give a job to a slot; false where it has to wait for one."""
        slot = places.slot_for(key)
        if not slot:
            return False
        jobs, now = places.jobs, places.now
        assigned = jobs.give(key, slot[0], now, slot[1:])
        reaction.decide(assigned)
        order = jobs.order(assigned.attempt, now, self._seed)
        hosts = tuple(self._roster.hosts[rank] for rank in slot)
        for index, rank in enumerate(slot):
            self._roster.give(rank, assigned.attempt, now, in_group=len(slot) > 1)
            member = Member(index, slot, hosts)
            reaction.tell(rank, msgspec.structs.replace(order, member=member))
        return True

    def _is_busy(self, jobs: Jobs) -> bool:
        """Tell whether no more may be in work; what was given up on alone holds nothing up."""
        return jobs.held > 0 and self._rules.is_full(len(self._roster.busy))
