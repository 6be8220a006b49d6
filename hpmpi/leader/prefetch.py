"""Suggestions are prefetched: what a searcher beside rank 0 is asked for before it is needed.

    asks --> asked --hear--> ready --take--> begun, so many results later
                 ^             |
                 +-- too late -+

Suggestions are thought of for the next trials, in order. One that is `behind` by more results than
it may be is not taken: it is asked for again, with those after it, and what comes of the questions
before is void. It is, too, as soon as the next result would make it so. As many are asked for as
are begun while half of that many results come: so that is rare.
"""

import math
from collections import deque
from typing import NamedTuple

from hpmpi.master.searchers import LATER, Later
from hpmpi.model.trial import Config

UNUSED = 3
"""How often they are asked for again while none is taken: all trials may have begun."""


class Thought(NamedTuple):
    """A suggestion, None where there is no other; `after` so many results."""

    trial: int
    config: Config | None
    after: int


class Ahead:
    """At most so many suggestions, and how many results behind they may be; pure."""

    def __init__(self, most: int = 1, behind: float = math.inf) -> None:
        """Be asked for nothing yet."""
        self._most, self._behind = most, behind
        self._ready: deque[Thought] = deque()
        self._asked: deque[tuple[int, int]] = deque()
        self._void = 0
        self._next: int | None = None
        self._told = 0
        self._unused = 0
        self._is_postponed = self._has_learnt = False

    @property
    def thinks(self) -> bool:
        """Whether there is no answer yet to something."""
        return bool(self._asked)

    @property
    def waits(self) -> bool:
        """Whether the searcher said that it waits for results, and has learnt nothing since."""
        return self._is_postponed and not self._has_learnt

    def take(self, trial: int) -> Thought | None:
        """Take what is suggested for a trial, the next to begin; None if there is nothing yet."""
        self._next = trial
        if not self._ready or self._results_since(self._ready[0].after) > self._behind:
            return None
        thought = self._ready.popleft()
        assert thought.trial == trial, "trials begin one after the other"
        self._next, self._unused = trial + 1, 0
        return thought

    def learn(self, results: int) -> None:
        """Know that the searcher has learnt something, and so many results with it."""
        self._has_learnt = True
        self._told += results

    def hear(self, answer: Config | Later | None) -> None:
        """Take in the answer to the oldest question; None: there is no other."""
        trial, after = self._asked.popleft()
        if self._void:
            self._void -= 1
        elif answer is LATER:
            self._is_postponed, self._void = True, len(self._asked)
        else:
            assert not isinstance(answer, Later), "it is handled above"
            self._ready.append(Thought(trial, answer, after))

    def asks(self, *, soon: bool = False) -> range:
        """Say for which trials to ask now, in order: they are taken to be asked for.

        With `soon`, what the next result would make too late is asked for again already.
        """
        if self._next is None or self.waits:
            return range(0)
        self._is_postponed = False
        if self._is_late(soon=soon):
            self._ready.clear()
            self._void = len(self._asked)
        if self._ready and self._ready[-1].config is None:
            return range(0)
        begin = self._next + len(self._ready) + len(self._asked) - self._void
        trials = range(begin, self._next + self._size(self._next))
        self._asked += ((trial, self._told) for trial in trials)
        if trials:
            self._has_learnt = False
        return trials

    def _is_late(self, *, soon: bool) -> bool:
        """Tell whether what would be taken next is too late, or will be."""
        valid = [it.after for it in self._ready] or [it for _, it in self._asked][self._void :]
        if not valid:
            return False
        results = self._results_since(valid[0])
        if not soon:
            return results > self._behind
        is_soon = results >= self._behind and self._unused < UNUSED
        self._unused += is_soon
        return is_soon

    def _size(self, trial: int) -> int:
        """Say how many to ask for: those that begin while half of what they may miss comes in."""
        if self._behind == math.inf:
            return self._most
        return max(1, min(self._most, int(self._behind * (trial + 1) / max(self._told, 1) / 2)))

    def _results_since(self, after: int) -> int:
        return self._told - after
