"""Ranks in groups, in virtual time: the real ASHA over recorded curves, each job on several ranks.

A job begins when as many ranks as it needs are free; while one waits for that, no other begins.
"""

import math
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

import numpy as np
from searched import Problem

from hpmpi.master.schedulers.asha import Asha
from hpmpi.master.searchers.random import Random
from hpmpi.model.trial import WORST, Job

MOST_TRIALS = 20_000


class Scaling(NamedTuple):
    """How long a job takes on more ranks, as a share of what it takes on one.

    `serial`: the share of it that they can't divide (Amdahl); `cost`: what each doubling of the
    ranks adds, as a sum over a tree of them does.
    """

    serial: float
    cost: float

    def share(self, ranks: int) -> float:
        """Tell the time on so many ranks.

        >>> Scaling(0.5, 0.01).share(1), Scaling(0.5, 0.01).share(4)
        (1.0, 0.645)
        """
        return self.serial + (1 - self.serial) / ranks + self.cost * math.log2(ranks)


Width = Callable[[int], int]
"""How many ranks a job of a rung takes."""


def time_to_good(problem: Problem, ranks: int, width: Width, scaling: Scaling, seed: int) -> float:
    """Tell when a trial that was trained in full is among the best hundredth.

    In mean full trainings on one rank; infinity where MOST_TRIALS do not have one.
    """
    scheduler = Asha(Random(problem.space, seed, []), max_resource=problem.levels)
    free, now, trials, waiting, serial = ranks, 0.0, 0, None, count()
    reached: dict[int, tuple[int, int]] = {}  # by trial: the row, and the resource
    working: list[tuple[float, int, Job, int]] = []
    while trials < MOST_TRIALS:
        job = waiting or scheduler.ask(may_start=True, rungs=len(scheduler.rungs))
        assert job is not None, "a trial can always be started"
        waiting, needed = job, width(job.rung)
        if needed <= free:
            row, begun = reached.get(job.trial) or (problem.row(job.config), 0)
            reached[job.trial] = row, job.resource
            took = np.nansum(problem.seconds[row, begun : job.resource]) * scaling.share(needed)
            heappush(working, (now + took, next(serial), job, needed))
            free, waiting, trials = free - needed, None, trials + (begun == 0)
            continue
        now, _, over, held = heappop(working)
        free += held
        loss = float(problem.losses[reached[over.trial][0], over.resource - 1])
        if over.resource == problem.levels and loss <= problem.good:
            return now / float(np.nansum(problem.seconds, axis=1).mean())
        scheduler.tell(over, WORST if math.isnan(loss) else loss, {})
    return math.inf
