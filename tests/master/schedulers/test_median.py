"""Median stopping against the sentence of Vizier's paper, from all that was reported."""

from random import Random as Generator
from typing import Any

import pytest

from hpmpi.errors import SettingsError
from hpmpi.master.jobs import Jobs
from hpmpi.master.retries import Cause
from hpmpi.master.schedulers import Seen, median
from hpmpi.master.schedulers.median import Median
from hpmpi.master.searchers.random import Random
from hpmpi.master.suggestions import Suggestions
from hpmpi.model.messages import FailureKind, Finished, Point
from hpmpi.model.trial import BASELINE, WORST, AttemptId, Goal, Job
from tests.harness.build import SPACE
from tests.harness.papers import Vizier

MOST = 12


@pytest.mark.parametrize("most_steps", [1000, 3])
@pytest.mark.parametrize("seed", range(30))
def test_who_is_stopped_is_who_the_paper_stops(
    seed: int, most_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(median, "MOST_STEPS", most_steps)
    random = Generator(seed)  # noqa: S311 - not for secrets
    settings = {"min_resource": random.randint(1, 4), "min_trials": random.randint(1, 5)}
    scheduler = Median(Random(SPACE, 0, []), max_resource=MOST, **settings)
    vizier, stopped = Vizier(most=MOST, **settings), 0
    jobs: dict[int, Job] = {}
    steps: dict[int, int] = {}
    for _ in range(600):
        if len(jobs) < 4:
            job = scheduler.ask(may_start=True, rungs=1)
            assert job is not None
            jobs[job.trial], steps[job.trial] = job, 0
            continue
        trial = random.choice(list(jobs))
        job = jobs[trial]
        if random.random() < 0.1:  # another attempt, from a checkpoint
            steps[trial] = random.randint(0, steps[trial])
        if steps[trial] < MOST - 1:
            begins = steps[trial] + random.randint(1, 3)
            points = [(step, draw(random)) for step in range(begins, min(begins + 2, MOST))]
            steps[trial] = points[-1][0] if points else MOST - 1
            expected = vizier.stops(trial, points)
            seen = [Seen(step, loss, {}) for step, loss in points]
            assert scheduler.observe(job, [Seen(MOST - 1, None, {}), *seen]) == expected
            stopped += expected
            if expected:
                del jobs[trial]
        else:
            del jobs[trial]
            loss = WORST if random.random() < 0.1 else draw(random)
            assert scheduler.tell(job, loss, {}) == [trial]
            if loss < WORST:
                vizier.reported.setdefault(trial, []).append((MOST, loss))
                vizier.complete(trial)
            else:
                vizier.reported.pop(trial, None)
    assert stopped > 3


def draw(random: Generator) -> float:
    """Draw a loss; ties are frequent."""
    return WORST if random.random() < 0.02 else random.choice([0.1, 0.2, 0.3, 0.4, 0.5])


class Listening(Random):
    """A searcher that knows what it was told."""

    def __init__(self) -> None:
        """Know nothing."""
        super().__init__(SPACE, 0, [])
        self.told: list[tuple[Any, ...]] = []

    def tell(self, *told: Any) -> None:
        """Note it."""
        self.told.append(told)


def test_the_searcher_is_told_the_last_value_of_who_is_stopped() -> None:
    searcher = Listening()
    scheduler = Median(searcher, max_resource=9, min_trials=1)
    jobs = [scheduler.ask(may_start=True, rungs=1) for _ in range(2)]
    assert jobs[0] is not None
    assert jobs[1] is not None
    assert not scheduler.observe(jobs[0], [Seen(2, 0.5, {})])
    scheduler.tell(jobs[0], 0.1, {"loss": 0.1})
    points = [Seen(2, 0.8, {"loss": 0.8}), Seen(3, 0.7, {"loss": 0.7}), Seen(3, None, {"size": 1})]
    assert scheduler.observe(jobs[1], points)
    assert searcher.told == [(0, 0, 9, 0.1, {"loss": 0.1}), (1, 0, 3, 0.7, {"loss": 0.7})]


def test_who_is_as_good_as_the_median_goes_on() -> None:
    scheduler = Median(Random(SPACE, 0, []), max_resource=9, min_trials=1)
    jobs = [scheduler.ask(may_start=True, rungs=1) for _ in range(2)]
    assert jobs[0] is not None
    assert jobs[1] is not None
    scheduler.observe(jobs[0], [Seen(2, 0.5, {})])
    scheduler.tell(jobs[0], 0.1, {})
    assert not scheduler.observe(jobs[1], [Seen(2, 0.5, {})])


def test_only_the_newest_attempt_at_a_job_is_looked_at() -> None:
    suggestions = Suggestions(Random(SPACE, 0, []))
    scheduler = Median(suggestions, max_resource=9, min_trials=1)
    jobs = Jobs(scheduler, suggestions, Goal("loss", "min"), max_failures=3)
    poor, good = [Point(3, {"loss": 0.8})], [Point(3, {"loss": 0.1})]
    first, lost = (jobs.hand_out(rank, 0.0, may_start=True, able=3) for rank in (1, 2))
    assert first is not None
    assert lost is not None
    jobs.observe(first.attempt, good)
    jobs.take_result(Finished(first.attempt, {"loss": 0.1}), 1, 1.0)
    jobs.take_failure(lost.attempt, 2, Cause(FailureKind.LOST, "silent"), final=False)
    again = jobs.hand_out(3, 2.0, may_start=True, able=3)
    assert again is not None
    assert again.attempt.job == lost.attempt.job
    assert not jobs.observe(lost.attempt, poor)
    assert not jobs.observe(again.attempt, good)
    assert not jobs.observe(AttemptId(BASELINE, 0, 1), poor)
    assert jobs.observe(again.attempt, [Point(4, {"size": 1.0})]) is False


def test_without_curves_nobody_is_stopped() -> None:
    scheduler = Median(Random(SPACE, 0, []), max_resource=9)
    for done in range(20):
        job = scheduler.ask(may_start=True, rungs=1)
        assert job is not None
        assert scheduler.tell(job, float(done), {}) == [done]


def test_a_grace_beyond_the_end_is_refused() -> None:
    with pytest.raises(SettingsError, match="min_resource = 9 must not be greater than"):
        Median(Random(SPACE, 0, []), min_resource=9, max_resource=8)
