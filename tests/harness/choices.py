"""Which job comes next, as the papers of the schedulers have it: sorted anew from all that was."""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from hpmpi.model.trial import BASELINE, WORST, JobKey, Losses

Result = tuple[Any, int, int]
"""Loss, or losses, or WORST; arrival, trial."""


class Past(NamedTuple):
    """All that was: jobs in the order of their beginning, results by rung, and what may be begun.

    `within`: how many rungs there is time for; `brackets` has that of each trial.
    """

    jobs: Iterable[JobKey]
    rungs: Sequence[Sequence[Result]]
    brackets: Mapping[int, int]
    eta: int
    within: int
    may_start: bool

    @property
    def new(self) -> JobKey | None:
        """The first job of the next trial, at the lowest rung."""
        return JobKey(len(self.brackets), 0) if self.may_start and self.within else None

    def went_on(self, rung: int) -> set[int]:
        """Find who has begun at a rung."""
        return {key.trial for key in self.jobs if key.rung == rung and key.trial != BASELINE}


def ranked(results: Iterable[Result]) -> list[Result]:
    """Sort results, best first; those that are no number come last."""
    failed = sorted(result for result in results if result[0] == WORST)
    others = [result for result in results if result[0] != WORST]
    by_fronts = bool(others) and isinstance(others[0][0], tuple)
    return [*(best_of_several(others) if by_fronts else sorted(others)), *failed]


def best_of_several(results: Iterable[Result]) -> list[Result]:
    """Sort by fronts, and in a front by how far its members lie from others, as NSGA-II has it."""
    left, ordered = list(results), list[Result]()
    while left:
        front = [it for it in left if not any(beats(other[0], it[0]) for other in left)]
        firsts = {losses: min(it[1] for it in front if it[0] == losses) for losses, _, _ in front}
        keys = {
            (-distance(losses, [*firsts]) if firsts[losses] == arrival else 0.0, arrival): result
            for result in front
            for losses, arrival, _ in [result]
        }
        ordered += [keys[key] for key in sorted(keys)]
        left = [it for it in left if it not in front]
    return ordered


def beats(one: Losses, other: Losses) -> bool:
    """Tell whether losses are better somewhere, and nowhere worse."""
    pairs = list(zip(one, other, strict=True))
    return all(mine <= its for mine, its in pairs) and any(mine < its for mine, its in pairs)


def distance(losses: Losses, front: Sequence[Losses]) -> float:
    """Add up, metric by metric, how far the neighbours in a front lie from each other."""
    total = 0.0
    for metric in range(len(losses)):
        column = sorted(front, key=lambda it: (it[metric], it))
        place, span = column.index(losses), column[-1][metric] - column[0][metric]
        if place in (0, len(column) - 1):
            total += math.inf
        elif 0 < span < math.inf:
            total += (column[place + 1][metric] - column[place - 1][metric]) / span
    return total


def asha(past: Past, *, delay: bool = False) -> JobKey | None:
    """Algorithm 2 of ASHA; with `delay`, that of Hyper-Tune."""
    for rung in reversed(range(past.within - 1)):
        trial = first_of_best(past, rung, set(past.brackets), delay=delay)
        if trial is not None:
            return JobKey(trial, rung + 1)
    return past.new


def hyperband(past: Past) -> JobKey | None:
    """Asynchronous Hyperband: ASHA in each bracket; trials are dealt to brackets by number."""
    for rung in reversed(range(past.within - 1)):
        for bracket in range(rung + 1):
            members = {trial for trial, its in past.brackets.items() if its == bracket}
            trial = first_of_best(past, rung, members)
            if trial is not None:
                return JobKey(trial, rung + 1)
    if past.new is None:
        return None
    high = len(past.rungs) - 1
    shares = [Fraction((high + 1) * past.eta**s, s + 1) for s in range(high, -1, -1)]
    turns = [bracket for bracket, n in enumerate(shares) for _ in range(-int(-n // 1))]
    return JobKey(past.new.trial, min(turns[past.new.trial % len(turns)], past.within - 1))


def first_of_best(past: Past, rung: int, members: set[int], *, delay: bool = False) -> int | None:
    """Find the best of a rung's best 1/eta that did not go on."""
    results = ranked([result for result in past.rungs[rung] if result[2] in members])
    gone = past.went_on(rung + 1) & members
    if delay and (len(gone) + 1) * past.eta > len(results):
        return None
    best = results[: len(results) // past.eta]
    return next((trial for loss, _, trial in best if loss != WORST and trial not in gone), None)


def sha(past: Past) -> JobKey | None:
    """Algorithm 1 of ASHA's paper, batch by batch; some batch may never be filled."""
    members = newest_batch(past)
    size, top = past.eta ** (len(past.rungs) - 1), len(past.rungs) - 1
    gone_on = top > 0 and bool(past.went_on(1) & set(members))
    if len(members) < size and not gone_on and (past.may_start or not members):
        return past.new
    for rung, results in enumerate(past.rungs):
        came = ranked([result for result in results if result[2] in members])
        if len(came) < len(members):
            return None
        best = came[: max(1, len(came) // past.eta)]
        members = [trial for loss, _, trial in best if loss != WORST]
        ahead = [trial for trial in members if trial not in past.went_on(rung + 1)]
        if rung < top and ahead:
            return JobKey(ahead[0], rung + 1) if rung + 1 < past.within else None
        if not members:
            break
    return past.new


def newest_batch(past: Past) -> list[int]:
    """Find the batch in work: one that was gone on with takes nobody more."""
    batch: list[int] = []
    gone_on = False
    for trial, rung in past.jobs:
        if rung > 0:
            gone_on = True
        elif gone_on or len(batch) == past.eta ** (len(past.rungs) - 1):
            batch, gone_on = [trial], False
        elif trial != BASELINE:
            batch.append(trial)
    return batch


def top(past: Past, k: int) -> JobKey | None:
    """All for one short rung, then the best k to the end."""
    if past.may_start or len(past.rungs[0]) < len(past.brackets):
        return past.new
    best = [trial for loss, _, trial in ranked(past.rungs[0])[:k] if loss != WORST]
    ahead = [trial for trial in best if trial not in past.went_on(1)]
    return JobKey(ahead[0], 1) if ahead and past.within > 1 else None
