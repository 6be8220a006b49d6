"""Handing out: which rank, or which slot of several, is given which job next.

What waits goes before what is asked for. Where a job may take several ranks, slots.py says on which
it begins, and whether it has to wait for them.
"""

import msgspec

from hpmpi.master import remaining
from hpmpi.master.jobs import Jobs
from hpmpi.master.quarantine import Quarantine
from hpmpi.master.reaction import Reaction
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Rules
from hpmpi.master.slots import Places
from hpmpi.model.messages import Member
from hpmpi.model.trial import JobKey


class Dispatcher:
    """Hand out what there is, as long as somebody is idle who may be given it.

    `is_short`: nothing was asked for, as fewer ranks are idle than any job takes.
    """

    def __init__(self, roster: Roster, rules: Rules, quarantine: Quarantine, seed: int) -> None:
        """Hand out to `roster`; `seed` is the study's."""
        self.is_short = False
        self._roster = roster
        self._rules = rules
        self._quarantine = quarantine
        self._seed = seed
        self._is_of_groups = not rules.sizes.are_one

    def dispatch(self, jobs: Jobs, now: float, reaction: Reaction) -> None:
        """Decide and order all that can be begun now."""
        if self._is_of_groups:
            self._dispatch_to_slots(jobs, now, reaction)
        else:
            self._dispatch_to_ranks(jobs, now, reaction)

    def _dispatch_to_ranks(self, jobs: Jobs, now: float, reaction: Reaction) -> None:
        able, doubted = self._roster.able, self._quarantine.doubted
        passed_over: set[int] = set()
        while (rank := self._roster.next_idle(passed_over)) is not None and not self._is_busy(jobs):
            may_start = remaining.may_start(jobs, self._rules)
            assigned = jobs.hand_out(rank, now, may_start=may_start, able=able, doubted=doubted)
            if assigned is not None:
                self._roster.give(rank, assigned.attempt)
                reaction.decide(assigned)
                reaction.tell(rank, jobs.order(assigned.attempt, now, self._seed))
            elif jobs.waits_at(now):
                passed_over.add(rank)
            else:
                break

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
            self._roster.give(rank, assigned.attempt, in_group=len(slot) > 1)
            member = Member(index, slot, hosts)
            reaction.tell(rank, msgspec.structs.replace(order, member=member))
        return True

    def _is_busy(self, jobs: Jobs) -> bool:
        """Tell whether no more may be in work; what was given up on alone holds nothing up."""
        return jobs.held > 0 and self._rules.is_full(len(self._roster.busy))
