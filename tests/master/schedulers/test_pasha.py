"""PASHA against Algorithm 1 and soft ranking as they stand in the paper, from all that was."""

from collections.abc import Callable
from random import Random as Generator

import numpy as np
import pytest

from hpmpi.errors import SettingsError
from hpmpi.master.schedulers import Seen
from hpmpi.master.schedulers.asha import Asha
from hpmpi.master.schedulers.pasha import Pasha
from hpmpi.master.searchers.random import Random
from hpmpi.model.trial import WORST, Job
from hpmpi.study.checks import check
from tests.harness.asking import Choice
from tests.harness.build import SPACE
from tests.harness.papers import Paper

THREES = (1, 3, 9, 27)
TWOS = (1, 2, 4, 8, 16, 32)
"""Ladders, with eta = 3 and 2."""


def run(
    curve: Callable[[int, int], float],
    seed: int,
    trials: int,
    ladder: tuple[int, ...] = THREES,
) -> tuple[int, ...]:
    """Have jobs come in any order, with their curves, and compare with the paper; return rungs."""
    scheduler = Pasha(Random(SPACE, 0, []), max_resource=ladder[-1], eta=ladder[1])
    random, paper = Generator(seed), Paper(ladder)  # noqa: S311 - not for secrets
    open_jobs: list[Job] = []
    while paper.history.trials < trials:
        if len(open_jobs) < 5:
            job = scheduler.ask(may_start=True, rungs=len(scheduler.rungs))
            assert job is not None
            assert Choice(job.trial, job.rung) == paper.job()
            paper.history.events.append(Choice(job.trial, job.rung))
            open_jobs.append(job)
        else:
            job = open_jobs.pop(random.randrange(len(open_jobs)))
            if random.random() < 0.5:
                report(scheduler, paper, job, curve)
            loss = WORST if random.random() < 0.05 else curve(job.trial, job.resource)
            paper.came(job.trial, job.rung, loss)
            scheduler.tell(job, loss, {})
            assert scheduler.rungs == ladder[: paper.top + 1]
    return scheduler.rungs


def report(scheduler: Pasha, paper: Paper, job: Job, curve: Callable[[int, int], float]) -> None:
    """Have a job say what it has come to on its way, and of no loss now and then."""
    below = paper.ladder[job.rung - 1] if job.rung else 0
    for resource in range(below + 1, job.resource + 1):
        loss = curve(job.trial, resource)
        assert not scheduler.observe(job, [Seen(resource, None, {}), Seen(resource, loss, {})])
        if paper.top < len(paper.ladder) - 1:
            paper.values.setdefault(job.trial, {}).setdefault(resource, loss)


def noisy(seed: int, noise: float, digits: int = 3) -> Callable[[int, int], float]:
    """Draw curves that fall to a level of their own, with some noise; few digits make ties."""

    def curve(trial: int, resource: int) -> float:
        draw = Generator(f"{seed}/{trial}").random()  # noqa: S311 - not for secrets
        at = Generator(f"{seed}/{trial}/{resource}").random()  # noqa: S311
        return round(draw + 1 / resource + noise * at, digits)

    return curve


@pytest.mark.parametrize("ladder", [THREES, TWOS])
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.2, 2.0])
@pytest.mark.parametrize("seed", range(8))
def test_rungs_grow_and_trials_are_promoted_as_in_the_paper(
    seed: int, noise: float, ladder: tuple[int, ...]
) -> None:
    run(noisy(seed, noise), seed, 60, ladder)


@pytest.mark.parametrize("seed", range(8))
def test_where_many_tie_rungs_grow_and_trials_are_promoted_as_in_the_paper(seed: int) -> None:
    run(noisy(seed, 0.1, digits=1), seed, 60)


@pytest.mark.parametrize(
    ("seed", "noise", "ladder"), [(15, 0.2, THREES), (7, 0.5, THREES), (31, 0.1, TWOS)]
)
def test_noise_that_was_measured_below_counts_while_none_is_measured(
    seed: int, noise: float, ladder: tuple[int, ...]
) -> None:
    run(noisy(seed, noise), seed, 60, ladder)


@pytest.mark.parametrize(
    ("seed", "noise", "ladder"), [(48, 0.2, THREES), (22, 0.05, TWOS), (5, 0.5, TWOS)]
)
def test_where_curves_turn_out_to_be_less_noisy_all_are_compared_anew(
    seed: int, noise: float, ladder: tuple[int, ...]
) -> None:
    run(noisy(seed, noise), seed, 60, ladder)


def test_rungs_do_not_grow_where_the_ranking_stays() -> None:
    assert run(noisy(1, 0.0), seed=1, trials=100) == (1, 3)


def test_rungs_do_not_grow_where_trials_only_tie_that_did_not_below() -> None:
    def curve(trial: int, resource: int) -> float:
        return -float(trial if resource == 1 else trial // 10)

    assert run(curve, seed=1, trials=100) == (1, 3)


def test_rungs_grow_to_the_end_of_the_ladder_where_nothing_is_settled() -> None:
    assert (1, 3, 9, 27) in {run(noisy(seed, 2.0), seed, trials=100) for seed in range(5)}


def test_what_was_reported_beside_a_result_does_not_count() -> None:
    scheduler = Pasha(Random(SPACE, 0, []), max_resource=27)
    for rung in (0, 1):
        for trial in (0, 1):
            job = Job(trial, rung, THREES[rung], {"x": trial})
            scheduler.adopt(job)
            scheduler.observe(job, [Seen(1, -float(trial), {})])
            scheduler.tell(job, float(trial), {})
    assert scheduler.rungs == (1, 3)


@pytest.mark.parametrize("most", [1, 3])
def test_a_ladder_of_few_rungs_is_there_from_the_beginning(most: int) -> None:
    scheduler = Pasha(Random(SPACE, 0, []), max_resource=most)
    assert scheduler.rungs == Asha(Random(SPACE, 0, []), max_resource=most).rungs
    for done in range(9):
        job = scheduler.ask(may_start=True, rungs=len(scheduler.rungs))
        assert job is not None
        scheduler.tell(job, -float(done), {})
    assert len(scheduler.rungs) == min(2, most)


def test_who_is_at_the_highest_rung_is_not_over_before_the_ladder_ends() -> None:
    scheduler = Pasha(Random(SPACE, 0, []), max_resource=9)
    config = {"x": 0.5}
    scheduler.adopt(Job(0, 0, 1, config))
    assert scheduler.tell(Job(0, 0, 1, config), 0.5, {}) == []
    assert scheduler.tell(Job(0, 1, 3, config), 0.5, {}) == []
    assert scheduler.tell(Job(0, 2, 9, config), 0.5, {}) == [0]


@pytest.mark.parametrize(("target", "problems"), [(81, []), (82, ["81"])])
def test_a_target_may_be_as_high_as_rungs_may_grow(target: int, problems: list[str]) -> None:
    study = {
        "name": "s",
        "objective": "a.py:f",
        "metric": "loss",
        "mode": "min",
        "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
        "scheduler": {"method": "pasha", "max_resource": 81},
        "stop": {"target": 0.5, "target_resource": target},
    }
    said = []
    try:
        check(study)
    except SettingsError as error:
        said = error.problems
    assert [problem.rsplit(" ", 1)[1] for problem in said] == problems


Losses = list[list[float]]
"""By trial, the loss of each step."""


def cost(scheduler: Asha | Pasha, losses: Losses, *, trials: int = 256) -> int:
    """Add up what four ranks train, each trial from its checkpoint, until nothing is left.

    Time is what is trained: the rank that is ready first is given the next job.
    """
    ready, busy = [(0, False, rank) for rank in range(4)], dict[int, Job]()
    reached: dict[int, int] = {}
    begun = spent = 0
    while ready:
        now, _, rank = min(ready)
        ready.remove(min(ready))
        if rank in busy:
            done = busy.pop(rank)
            curve = range(reached.get(done.trial, 0) + 1, done.resource + 1)
            reached[done.trial] = done.resource
            values = losses[done.trial]
            scheduler.observe(done, [Seen(step, values[step - 1], {}) for step in curve])
            scheduler.tell(done, values[done.resource - 1], {})
        job = scheduler.ask(may_start=begun < trials, rungs=len(scheduler.rungs))
        if job is not None:
            begun += job.rung == 0
            takes = job.resource - reached.get(job.trial, 0)
            spent += takes
            busy[rank] = job
            ready.append((now + takes, False, rank))
        elif busy:  # it asks again after the next result
            ready.append((min(at for at, _, other in ready if other in busy), True, rank))
    return spent


def table(seed: int, noise: float) -> Losses:
    """Draw curves of 200 steps that come to a level of their own, as fast for all."""
    draw = np.random.default_rng(seed)
    levels = draw.beta(2, 3, (256, 1))
    curves = levels + (1 - levels) * np.exp(-np.arange(1, 201) / 10)
    return [list(map(float, row)) for row in curves + noise * draw.standard_normal(curves.shape)]


def saving(seed: int, noise: float) -> float:
    """Tell how many times as much ASHA costs."""
    losses = table(seed, noise)
    asha = Asha(Random(SPACE, 0, []), max_resource=200)
    return cost(asha, losses) / cost(Pasha(Random(SPACE, 0, []), max_resource=200), losses)


def test_where_the_ranking_is_settled_at_once_most_of_what_asha_costs_is_saved() -> None:
    assert min(saving(seed, noise=0.0) for seed in range(3)) > 2.5


def test_where_curves_are_noisy_half_of_what_asha_costs_is_saved_as_the_paper_has_it() -> None:
    savings = sorted(saving(seed, noise=0.01) for seed in range(7))
    assert savings[3] > 2
