"""Several losses at once: fronts, and within a front who is least crowded.

Losses dominate others that they are nowhere worse than, and better than somewhere. The first front
is all that nothing dominates, the second all that nothing but the first does, and so on. In a front
those come first that lie furthest from their neighbours, its ends before all (Deb et al., A Fast
and Elitist Multiobjective Genetic Algorithm: NSGA-II, IEEE Transactions on Evolutionary Computation
6, 2002, sections III.A and III.B). Distances are those of different points: of equal ones the first
has it, and the others have none (as Fortin and Parizeau, Revisiting the NSGA-II Crowding-Distance
Computation, GECCO 2013). Other ties go to the lower number.

All of it is comparisons, and differences of floats, which come out the same everywhere.
"""

import math
from bisect import bisect, bisect_left
from collections.abc import Iterable
from operator import itemgetter, le
from typing import NamedTuple

from hpmpi.model.trial import Losses


class Ranked(NamedTuple):
    """What is ranked by its losses, under a number of its own."""

    losses: Losses
    number: int


Front = list[Ranked]
"""In the order of their losses: only who comes before can dominate."""

PAIR = 2


def dominates(one: Losses, other: Losses) -> bool:
    """Tell whether one is nowhere worse, and better somewhere.

    >>> dominates((1, 2), (1, 3)), dominates((1, 2), (1, 2)), dominates((1, 2), (2, 1))
    (True, False, False)
    """
    return one != other and all(map(le, one, other))


class Fronts:
    """The fronts of what was added so far, the first one first."""

    def __init__(self, members: Iterable[Ranked] = ()) -> None:
        """Sort what there is: by its losses first, as then nobody is pushed back any more.

        (Zhang et al., An Efficient Approach to Nondominated Sorting for Evolutionary Multiobjective
        Optimization, IEEE Transactions on Evolutionary Computation 19, 2015.)
        """
        self.fronts: list[Front] = []
        for losses, number in sorted(members):
            self.add(losses, number)

    def add(self, losses: Losses, number: int) -> None:
        """Add to a front, and push back whom that dominates, front by front.

        (Li et al., Efficient Nondomination Level Update Method for Steady-State Evolutionary
        Multiobjective Optimization, IEEE Transactions on Cybernetics 47, 2017.)
        """
        # Who is dominated by one of a front is dominated by one of each front before it.
        there = range(len(self.fronts))
        level = bisect_left(there, 1, key=lambda it: not is_beaten(losses, self.fronts[it]))
        moved = [Ranked(losses, number)]
        while moved and level < len(self.fronts):
            front = self.fronts[level]
            behind = front[bisect(front, moved[0]) :]
            pushed = [member for member in behind if is_beaten(member.losses, moved)]
            if pushed:
                gone = {member.number for member in pushed}
                front[:] = [member for member in front if member.number not in gone]
            front += moved
            front.sort()
            moved, level = pushed, level + 1
        if moved:
            self.fronts.append(moved)

    def best(self, count: int) -> list[int]:
        """List the best so many by number, best first."""
        found: list[int] = []
        for front in self.fronts:
            if len(found) >= count:
                break
            found += in_order(front)
        return found[:count]


class TopFront:
    """The first front at the highest rung reached: losses by number, in the order they came in."""

    def __init__(self) -> None:
        """Know of no result."""
        self.rung = -1
        self.members: dict[int, Losses] = {}

    def add(self, number: int, rung: int, losses: Losses) -> list[int] | None:
        """Take a result in; return whose place it takes, None where it is not on the front."""
        if rung < self.rung:
            return None
        others = {it: each for it, each in self.members.items() if it != number}
        if rung == self.rung:
            if any(dominates(other, losses) for other in others.values()):
                return None
            gone = [it for it, other in others.items() if dominates(losses, other)]
        else:
            gone = list(others)
        kept = {it: other for it, other in others.items() if it not in gone}
        self.rung, self.members = rung, {**kept, number: losses}
        return gone


def is_beaten(losses: Losses, front: Front) -> bool:
    """Tell whether one of a front dominates losses."""
    end = bisect_left(front, losses, key=itemgetter(0))
    # Of a pair, the second loss falls along a front: if any dominates, the last one before does.
    begin = max(0, end - 1) if len(losses) == PAIR else 0
    return any(dominates(member.losses, losses) for member in front[begin:end])


def in_order(front: Front) -> list[int]:
    """Sort the members of a front, those furthest from others first; return their numbers."""
    owners: dict[Losses, int] = {}
    for losses, number in front:
        owners.setdefault(losses, number)
    distances = crowding(owners)
    ranked = (
        (-distances[losses] if owners[losses] == number else 0.0, number)
        for losses, number in front
    )
    return [number for _, number in sorted(ranked)]


def crowding(front: Iterable[Losses]) -> dict[Losses, float]:
    """Compute how far different points lie from their neighbours, in shares of the front.

    >>> crowding([(0, 4), (1, 2), (4, 0)])
    {(0, 4): inf, (1, 2): 2.0, (4, 0): inf}
    """
    distances = dict.fromkeys(front, 0.0)
    for metric in range(len(next(iter(distances), ()))):
        ascending = sorted(distances, key=lambda losses: (losses[metric], losses))
        lowest, highest = ascending[0], ascending[-1]
        distances[lowest] = distances[highest] = math.inf
        span = highest[metric] - lowest[metric]
        if not 0 < span < math.inf:  # all are the same, or so far apart that it is no number
            continue
        for below, it, above in zip(ascending, ascending[1:], ascending[2:], strict=False):
            distances[it] += (above[metric] - below[metric]) / span
    return distances
