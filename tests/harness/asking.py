"""Ask a scheduler and an oracle that knows nothing but all that was: they say the same."""

from collections.abc import Callable
from random import Random as Generator
from typing import NamedTuple

from hpmpi.master.schedulers import Scheduler
from hpmpi.model.trial import WORST, Job

LOSSES = [0.1, 0.2, 0.2, 0.3, 0.4, 0.5, 0.6, WORST]
"""Few, so that ties are frequent."""


class Choice(NamedTuple):
    """Which job is next: of a trial that has begun, or of the next by number."""

    trial: int
    rung: int
    bracket: int = 0


class Came(NamedTuple):
    """A job that has come."""

    trial: int
    rung: int
    loss: float


class History:
    """All that was: what was asked for, and what has come, in order."""

    def __init__(self) -> None:
        """Nothing was yet."""
        self.events: list[Choice | Came] = []

    @property
    def asked(self) -> list[Choice]:
        """What was asked for."""
        return [event for event in self.events if isinstance(event, Choice)]

    @property
    def came(self) -> list[Came]:
        """What has come."""
        return [event for event in self.events if isinstance(event, Came)]

    @property
    def trials(self) -> int:
        """How many trials have begun."""
        return len({choice.trial for choice in self.asked})

    def results(self, rung: int) -> list[tuple[float, int, int]]:
        """List what has come to a rung, best first: loss, arrival, trial."""
        return sorted(
            (event.loss, place, event.trial)
            for place, event in enumerate(self.came)
            if event.rung == rung
        )

    def was_asked(self, trial: int, rung: int) -> bool:
        """Tell whether a job was asked for."""
        return any((choice.trial, choice.rung) == (trial, rung) for choice in self.asked)


Oracle = Callable[[History, bool], Choice | None]


def compare(scheduler: Scheduler, oracle: Oracle, seed: int, steps: int = 300) -> History:
    """Ask both, and let what was asked for come in any order; they say the same."""
    random = Generator(seed)  # noqa: S311 - not for secrets
    history, open_jobs = History(), list[Job]()
    may_not_start = random.choice([0.0, 0.2])
    for _ in range(steps):
        if len(open_jobs) < 6 and random.random() < 0.6:
            may_start = random.random() >= may_not_start
            expected = oracle(history, may_start)
            job = scheduler.ask(may_start=may_start, rungs=len(scheduler.rungs))
            chosen = None if job is None else Choice(job.trial, job.rung, job.bracket)
            assert chosen == expected
            if job is not None and chosen is not None:
                assert job.resource == scheduler.rungs[job.rung]
                open_jobs.append(job)
                history.events.append(chosen)
        elif open_jobs:
            job = open_jobs.pop(random.randrange(len(open_jobs)))
            loss = random.choice(LOSSES)
            history.events.append(Came(job.trial, job.rung, loss))
            over = scheduler.tell(job, loss, {})
            assert len(set(over)) == len(over)
    return history


def best_of_top(results: list[tuple[float, int, int]], eta: int, promoted: set[int]) -> int | None:
    """Take the best 1/eta of a rung, and find the first that was not promoted."""
    for loss, _, trial in results[: len(results) // eta]:
        if loss < WORST and trial not in promoted:
            return trial
    return None
