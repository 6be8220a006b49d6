"""Laws that hold for every scheduler that is built in."""

from collections.abc import Callable
from random import Random as Generator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hpmpi.master.schedulers
from hpmpi.master.schedulers import Scheduler, highest
from hpmpi.master.searchers.random import Random
from hpmpi.model.trial import WORST, Config, Goal, Job
from hpmpi.study.references import builtin, find
from tests.harness.build import SPACE
from tests.harness.insides import insides

Make = Callable[..., Scheduler]

WAITS = {"sha"}
"""Which schedulers may have no job while others are in work, though trials may be started."""

DROPS = {"sha", "top"}
"""Which know of a trial that it will not go on, though it has not come to the top."""

every_scheduler = pytest.mark.parametrize("name", builtin(hpmpi.master.schedulers))
losses = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, WORST]), min_size=1, max_size=60)


def start(name: str, seed: int = 0) -> Scheduler:
    """Start a scheduler by its name."""
    make: Make = find(name, hpmpi.master.schedulers)
    return make(Random(SPACE, seed, []), max_resource=27)


def go_on(scheduler: Scheduler, told: list[float], ranks: int = 4) -> list[Job]:
    """Have some ranks do jobs, each finished after those that began `ranks` jobs before it."""
    jobs: list[Job] = []
    for done, loss in enumerate(told):
        jobs += new_jobs(scheduler, done + ranks - len(jobs))
        scheduler.tell(jobs[done], loss, {})
    return jobs


def new_jobs(scheduler: Scheduler, count: int) -> list[Job]:
    """Ask for jobs, or as many as there are now."""
    jobs = []
    for _ in range(count):
        job = scheduler.ask(may_start=True, rungs=len(scheduler.rungs))
        if job is None:
            break
        jobs.append(job)
    return jobs


def fixed_losses(count: int) -> list[float]:
    """Draw losses, some of which are no number."""
    draw = Generator(5).random  # noqa: S311 - not for secrets
    return [WORST if draw() < 0.1 else round(draw(), 2) for _ in range(count)]


@every_scheduler
def test_rungs_ascend_to_the_top(name: str) -> None:
    scheduler = start(name)
    rungs = scheduler.rungs
    assert list(rungs) == sorted(set(rungs))
    assert highest(scheduler) == 27
    assert rungs[-1] == 27 or name == "pasha"


@every_scheduler
def test_a_job_trains_to_the_resource_of_its_rung(name: str) -> None:
    scheduler = start(name)
    for job in go_on(scheduler, fixed_losses(60)):
        assert job.resource == scheduler.rungs[job.rung]


@every_scheduler
def test_trials_are_numbered_as_they_are_chosen_and_climb_rung_by_rung(name: str) -> None:
    reached: list[int] = []
    for job in go_on(start(name), fixed_losses(60)):
        if job.trial == len(reached):
            assert job.rung == job.bracket
            reached.append(job.rung)
        else:
            reached[job.trial] += 1
            assert job.rung == reached[job.trial]


@every_scheduler
def test_a_trial_keeps_its_configuration(name: str) -> None:
    configs: dict[int, object] = {}
    for job in go_on(start(name), fixed_losses(60)):
        assert configs.setdefault(job.trial, job.config) == job.config
    assert len({msgspec.json.encode(config) for config in configs.values()}) == len(configs)


@every_scheduler
def test_the_same_seed_gives_the_same_jobs(name: str) -> None:
    told = fixed_losses(60)
    assert go_on(start(name, seed=3), told) == go_on(start(name, seed=3), told)


@every_scheduler
@given(before=losses, after=losses, ranks=st.integers(1, 4))
def test_who_is_told_what_was_goes_on_as_who_did_it(
    name: str, before: list[float], after: list[float], ranks: int
) -> None:
    scheduler, other = start(name), start(name)
    jobs: list[Job] = []
    for done, loss in enumerate(before):
        for job in new_jobs(scheduler, done + ranks - len(jobs)):
            other.adopt(job)
            jobs.append(job)
        assert other.tell(jobs[done], loss, {}) == scheduler.tell(jobs[done], loss, {})
    assert insides(other) == insides(scheduler)
    for job in jobs[len(before) :]:
        assert other.tell(job, 0.25, {}) == scheduler.tell(job, 0.25, {})
    assert go_on(other, after) == go_on(scheduler, after)


class Listening(Random):
    """A searcher that knows what it was told to have suggested."""

    def __init__(self) -> None:
        """Know nothing."""
        super().__init__(SPACE, 0, [])
        self.adopted: list[tuple[int, Config]] = []

    def adopt(self, trial: int, config: Config) -> None:
        """Note it."""
        self.adopted.append((trial, config))


@every_scheduler
@given(before=losses)
def test_the_searcher_is_told_of_each_suggestion_once(name: str, before: list[float]) -> None:
    jobs = go_on(start(name), before, ranks=1)
    searcher = Listening()
    make: Make = find(name, hpmpi.master.schedulers)
    scheduler = make(searcher, max_resource=27)
    for job in jobs:
        scheduler.adopt(job)
    begun = [(job.trial, job.config) for job in jobs if job.rung == job.bracket]
    assert searcher.adopted == begun


@every_scheduler
@given(before=losses)
def test_a_trial_may_have_another_configuration_than_was_suggested(
    name: str, before: list[float]
) -> None:
    scheduler, other = start(name), start(name)
    trial = len({job.trial for job in go_on(scheduler, before, ranks=1)})
    go_on(other, before, ranks=1)
    for job in new_jobs(other, 5):
        scheduler.adopt(msgspec.structs.replace(job, config={"x": 0.125}))
    following = new_jobs(scheduler, 5)
    assert [job.key for job in following] == [job.key for job in new_jobs(other, 5)]
    for job in following:
        assert (job.config == {"x": 0.125}) == (job.trial >= trial and job.rung > job.bracket)


@every_scheduler
@given(told=losses)
def test_to_ask_in_vain_changes_nothing(name: str, told: list[float]) -> None:
    scheduler = start(name)
    go_on(scheduler, told, ranks=1)
    while scheduler.ask(may_start=False, rungs=len(scheduler.rungs)) is not None:
        pass
    state = insides(scheduler)
    assert scheduler.ask(may_start=False, rungs=len(scheduler.rungs)) is None
    assert insides(scheduler) == state


@every_scheduler
@given(told=losses)
def test_without_leave_no_trial_is_started(name: str, told: list[float]) -> None:
    scheduler = start(name)
    trials = {job.trial for job in go_on(scheduler, told, ranks=1)}
    while (job := scheduler.ask(may_start=False, rungs=len(scheduler.rungs))) is not None:
        assert job.trial in trials
        assert job.rung > 0


@every_scheduler
@given(told=losses, data=st.data())
def test_only_the_rungs_that_there_is_time_for_are_asked_of(
    name: str, told: list[float], data: st.DataObject
) -> None:
    scheduler = start(name)
    go_on(scheduler, told, ranks=1)
    rungs = data.draw(st.integers(0, len(scheduler.rungs)))
    for _ in told:
        job = scheduler.ask(may_start=True, rungs=rungs)
        assert (job is None) == (rungs == 0) or name in WAITS
        assert job is None or job.rung < rungs


@every_scheduler
@given(told=losses, data=st.data())
def test_what_there_was_no_time_for_comes_when_there_is(
    name: str, told: list[float], data: st.DataObject
) -> None:
    scheduler, other = start(name), start(name)
    go_on(scheduler, told, ranks=1)
    go_on(other, told, ranks=1)
    rungs = data.draw(st.integers(0, len(scheduler.rungs)))
    jobs = [promoted(other, rungs=len(other.rungs))]
    while jobs[-1] is not None:
        jobs.append(promoted(other, rungs=len(other.rungs)))
    late = []
    for within in (rungs, len(scheduler.rungs)):
        while (job := promoted(scheduler, rungs=within)) is not None:
            late.append(job)
    assert {job.key for job in late} == {job.key for job in jobs if job is not None}


def promoted(scheduler: Scheduler, rungs: int) -> Job | None:
    """Ask for a job that is no new trial."""
    return scheduler.ask(may_start=False, rungs=rungs)


@every_scheduler
@given(told=losses)
def test_it_is_known_whether_a_trial_would_be_promoted(name: str, told: list[float]) -> None:
    scheduler = start(name)
    go_on(scheduler, told, ranks=1)
    for _ in range(len(told) + 1):
        state = insides(scheduler)
        promotable = scheduler.promotable
        assert insides(scheduler) == state, "to look changes nothing"
        assert promotable == (promoted(scheduler, rungs=len(scheduler.rungs)) is not None)


@every_scheduler
@given(told=losses)
def test_what_is_no_number_is_over(name: str, told: list[float]) -> None:
    scheduler = start(name)
    over: set[int] = set()
    for loss in told:
        job = scheduler.ask(may_start=True, rungs=len(scheduler.rungs))
        assert job is not None
        assert job.trial not in over, "what is over is not asked for again"
        told_over = scheduler.tell(job, loss, {})
        assert (job.trial in told_over) or loss < WORST
        over.update(told_over)


@every_scheduler
@given(told=losses)
def test_min_and_max_are_mirrors(name: str, told: list[float]) -> None:
    smallest, greatest = Goal("m", "min"), Goal("m", "max")
    down = go_on(start(name), [smallest.loss({"m": loss}) for loss in told])
    up = go_on(start(name), [greatest.loss({"m": -loss}) for loss in told])
    assert down == up


@every_scheduler
def test_the_top_is_over_and_what_is_over_is_not_asked_for_again(name: str) -> None:
    scheduler = start(name)
    reached, over = set(), set[int]()
    for loss in range(60):
        job = scheduler.ask(may_start=True, rungs=len(scheduler.rungs))
        assert job is not None
        assert job.trial not in over
        reached.add(job.resource)
        now_over = scheduler.tell(job, float(loss), {})
        assert not over & set(now_over), "that is said once"
        over.update(now_over)
        assert job.trial in now_over or job.resource < 27
        assert job.resource == 27 or now_over == [] or name in DROPS
    assert reached <= set(scheduler.rungs)
    assert scheduler.rungs[-1] in reached or name == "top"
