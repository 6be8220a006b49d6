"""The rules of the master, in every world, under many seeds."""

from collections import Counter
from functools import cache
from typing import TypeGuard

import msgspec
import pytest

from hpmpi.history.attempts import Fate
from hpmpi.history.history import History
from hpmpi.master.drain import NO_TIME, NOTHING_FITS
from hpmpi.master.shield import RAISED
from hpmpi.model.events import Event, Heard, Silent
from hpmpi.model.messages import Cancelled, FailureKind, Outcome, Returned, Unfit
from hpmpi.model.records import (
    Assigned,
    Back,
    Decision,
    Draining,
    Ended,
    Entry,
    Failure,
    Late,
    Result,
    Started,
    Stopped,
    Suspension,
    Unqueued,
)
from hpmpi.model.trial import BASELINE, AttemptId, JobKey
from hpmpi.study.settings import Settings
from tests.harness.simulate import WORLDS, Simulation, simulate

SEEDS = range(200)
HARD_SEEDS = [
    ("restarts", 1465),  # killed between the result that reached the target and leaving
    ("hosts", 23),  # a job is given up with a rank that is lost together with another who has it
    ("raising", 47),  # who asked for a drain in one that had begun by itself was not in the journal
    ("raising", 7),  # raised when told of a result, while others were in work
    ("raising", 79),  # raised when told of the result that reached the target
]


# They are made once in a process, which whoever comes first waits for.
pytestmark = pytest.mark.timeout(1200)


@cache
def simulations(world: str) -> list[Simulation]:
    return [simulate(world, seed) for seed in SEEDS]


def outcomes(world: str) -> set[Outcome | None]:
    return {simulation.outcome for simulation in simulations(world)}


def decided(world: str) -> Counter[type]:
    return Counter(type(it) for each in simulations(world) for it in each.decisions)


def happened(world: str) -> Counter[type]:
    """Count what happened, reports by what they are."""
    return Counter(kind_of(it) for each in simulations(world) for it in each.events)


def kind_of(event: Event) -> type:
    return type(event.report) if isinstance(event, Heard) else type(event)


def starts(world: str) -> int:
    return sum(isinstance(it, Started) for each in simulations(world) for it in each.lines)


@pytest.mark.parametrize("world", WORLDS)
def test_the_ledger_agrees_with_all_that_is_decided(world: str) -> None:
    assert len(simulations(world)) == len(SEEDS)


@pytest.mark.parametrize(("world", "seed"), HARD_SEEDS)
def test_what_failed_once_does_not_again(world: str, seed: int) -> None:
    assert simulate(world, seed).outcome in {Outcome.COMPLETE, Outcome.DESERTED}


@pytest.mark.parametrize("world", ["calm", "freezes", "failures", "hosts"])
def test_rank_0_may_be_killed_before_anything_it_does(world: str) -> None:
    for seed in (1, 2):
        for kill_at in range(1, simulate(world, seed).acts + 1):
            simulation = simulate(world, seed, kill_at=kill_at)
            starts = sum(isinstance(it, Started) for it in simulation.lines)
            assert starts >= 2 or simulation.killed_at_the_end


@pytest.mark.parametrize("world", WORLDS)
def test_one_seed_is_one_story(world: str) -> None:
    for seed in SEEDS[:5]:
        first: list[str] = []
        again: list[str] = []
        simulate(world, seed, first.append)
        simulate(world, seed, again.append)
        assert first == again


def test_each_complete_study_has_a_result_for_each_trial_or_gave_it_up() -> None:
    for simulation in (each for world in WORLDS for each in simulations(world)):
        study = simulation.study
        if simulation.outcome is Outcome.COMPLETE and simulation.ledger.exhausted:
            closed = {
                it.attempt.trial
                for it in simulation.decisions
                if isinstance(it, Result | Stopped) or (isinstance(it, Failure) and it.final)
            }
            assert closed - {BASELINE} == set(range(study.most_trials or 0))
            assert (BASELINE in closed) == (study.baseline is not None)


def test_budgets_and_plateaus_end_studies_in_all_worlds() -> None:
    for name, world in WORLDS.items():
        whys = [it.why for each in simulations(name) for it in each.decisions if is_end(it)]
        assert sum("max_resource_total" in why for why in whys) > 5
        assert world.several or sum("better" in why for why in whys) > (1 if world.method else 5)


def is_end(decision: Decision) -> TypeGuard[Ended]:
    return isinstance(decision, Ended)


def test_a_history_tells_what_was_spent_as_the_master_does() -> None:
    for simulation in (each for world in WORLDS for each in simulations(world)):
        reached = [
            max(0, (it.resource if it.fate is Fate.RESULT else it.saved) - it.start)
            for it in told(simulation).answers
        ]
        assert sum(reached) == simulation.master.jobs.tally.resource


def told(simulation: Simulation) -> History:
    """Add up the journal of a run."""
    history = History()
    goals = simulation.study.goal.each
    metric, mode = [it.metric for it in goals], [it.mode for it in goals]
    study = Settings("mine", {}, "train.py:train", metric=metric, mode=mode).toml()
    for line in simulation.lines:
        is_start = isinstance(line, Started)
        history.add(msgspec.structs.replace(line, settings=study) if is_start else line)
    return history


def test_a_calm_world_loses_and_repeats_nothing() -> None:
    assert outcomes("calm") == {Outcome.COMPLETE}
    assert not decided("calm").keys() & {Back, Failure, Late}
    assert not happened("calm").keys() & {Silent, Unfit, Cancelled}
    for simulation in simulations("calm"):
        tried = {it.attempt.number for it in simulation.decisions if isinstance(it, Assigned)}
        assert tried <= {1}


def test_crashes_lose_ranks_and_only_the_last_one_ends_a_study() -> None:
    assert outcomes("crashes") == {Outcome.COMPLETE, Outcome.DESERTED}
    assert happened("crashes")[Silent] > len(SEEDS)
    assert Back not in decided("crashes")


def test_frozen_ranks_come_back_and_their_late_answers_count() -> None:
    assert decided("freezes")[Back] > len(SEEDS)
    late = 0
    for simulation in simulations("freezes"):
        newest: dict[JobKey, int] = {}
        for it in simulation.decisions:
            if isinstance(it, Assigned):
                newest[it.attempt.job] = it.attempt.number
            if isinstance(it, Result):
                late += it.attempt.number < newest[it.attempt.job]
    assert late > 10


def test_who_works_at_what_is_done_ends_it_before_it_is_done_again() -> None:
    for world in ("freezes", "stopping"):
        assert happened(world)[Cancelled] > 50
        for simulation in simulations(world):
            for event in simulation.events:
                if isinstance(event, Heard) and isinstance(event.report, Cancelled):
                    assert event.report.attempt not in answered_by(simulation)


def answered_by(simulation: Simulation) -> set[AttemptId]:
    """List the attempts that came to a result."""
    return {it.attempt for it in simulation.decisions if isinstance(it, Result)}


def test_jobs_are_stopped_in_the_middle_and_their_ranks_go_on() -> None:
    assert outcomes("stopping") <= {Outcome.COMPLETE, Outcome.DESERTED}
    assert decided("stopping")[Stopped] > len(SEEDS)


def test_baselines_are_done_in_all_worlds_and_only_once() -> None:
    for world in WORLDS:
        results = [
            sum(isinstance(it, Result) and it.attempt.trial == BASELINE for it in each.decisions)
            for each in simulations(world)
        ]
        assert set(results) == {0, 1}


def test_what_was_suggested_is_written_once() -> None:
    for simulation in (each for world in WORLDS for each in simulations(world)):
        suggested = [
            it.trial
            for line in simulation.lines
            if isinstance(line, Entry)
            for it in line.suggested
            if it.config is not None
        ]
        assert suggested == list(range(len(suggested)))


def test_short_jobs_are_queued_and_given_back_where_they_are_held_up() -> None:
    for world in ("queues", "calm queues", "other queues"):
        assert happened(world)[Returned] > 10
        assert decided(world)[Unqueued] >= happened(world)[Returned]
        jobs = [it for each in simulations(world) for it in each.decisions]
        handed_out = [it for it in jobs if isinstance(it, Assigned)]
        assert sum(it.queued for it in handed_out) > len(handed_out) / 5
    assert outcomes("calm queues") == {Outcome.COMPLETE}


def test_failures_are_tried_again_and_given_up_in_the_end() -> None:
    finals = [
        it.final
        for each in simulations("failures")
        for it in each.decisions
        if isinstance(it, Failure)
    ]
    assert finals.count(True) > len(SEEDS)
    assert finals.count(False) > len(SEEDS)
    assert happened("failures")[Unfit] > 10


def test_hosts_and_links_are_lost_and_those_whose_link_is_mended_come_back() -> None:
    assert happened("hosts")[Silent] > len(SEEDS) / 2
    assert decided("hosts")[Back] > len(SEEDS) / 2


def test_messages_that_crawl_lose_nobody() -> None:
    assert outcomes("crawling") == {Outcome.COMPLETE}
    assert Silent not in happened("crawling")


def test_drains_leave_jobs_to_go_on_from_where_they_saved() -> None:
    assert decided("restarts")[Suspension] > 10


def test_power_failures_lose_lines_and_the_study_comes_to_its_end() -> None:
    assert outcomes("power") == {Outcome.COMPLETE}
    assert sum(each.lines_lost for each in simulations("power")) > len(SEEDS)


def test_restarts_are_many_and_all_come_to_the_end() -> None:
    assert outcomes("restarts") == {Outcome.COMPLETE}
    assert starts("restarts") > 3 * len(SEEDS)


def test_allocations_end_by_force_only_where_nobody_was_told_in_time() -> None:
    assert outcomes("queue") == {Outcome.COMPLETE}
    assert sum(each.forced for each in simulations("queue")) > 20


def test_runs_drain_before_the_end_and_when_nothing_else_fits() -> None:
    drains = [it for each in simulations("queue") for it in each.decisions]
    whys = Counter(it.why for it in drains if isinstance(it, Draining))
    assert whys.keys() == {NO_TIME, NOTHING_FITS}
    assert min(whys.values()) > 20


def test_searchers_that_think_for_long_lose_nobody() -> None:
    assert outcomes("thinking") == {Outcome.COMPLETE}
    assert Silent not in happened("thinking")


def test_while_a_searcher_thinks_all_else_goes_on() -> None:
    assert outcomes("later") <= {Outcome.COMPLETE, Outcome.DESERTED}
    assert {Assigned, Result, Failure} <= set(decided("later"))
    assert Silent in happened("later")


def test_a_job_that_takes_the_run_along_is_given_up_and_no_other() -> None:
    assert outcomes("killer") == {Outcome.COMPLETE}
    killed = 0
    for simulation in simulations("killer"):
        failures = [it for it in simulation.decisions if isinstance(it, Failure)]
        assert {it.kind for it in failures} <= {FailureKind.LOST}
        assert {it.attempt.trial for it in failures if it.final} <= {simulation.killer}
        killed += any(it.final for it in failures)
    assert killed > 0.85 * len(SEEDS)


def test_what_is_rounded_otherwise_after_a_restart_goes_on_from_what_was_tried() -> None:
    assert outcomes("other CPU") == {Outcome.COMPLETE}
    assert starts("other CPU") > 3 * len(SEEDS)


def test_a_searcher_that_raises_loses_nothing_and_goes_on_when_it_is_mended() -> None:
    assert outcomes("raising") == {Outcome.COMPLETE}
    drains = [it for each in simulations("raising") for it in each.decisions]
    raised = [it for it in drains if isinstance(it, Draining) and it.why.startswith(RAISED)]
    assert len(raised) > 20


def test_a_study_whose_ranks_are_all_there_is_not_deserted() -> None:
    for world in ("calm", "failures", "restarts", "crawling", "power", "queue"):
        assert Outcome.DESERTED not in outcomes(world)
