"""The rules of the master, in every world, under many seeds."""

from collections import Counter
from functools import cache

import pytest

from hpmpi.master.master import NO_TIME, NOTHING_FITS
from hpmpi.master.shield import RAISED
from hpmpi.model.messages import FailureKind, Outcome
from hpmpi.model.records import (
    Assigned,
    Back,
    Draining,
    Failure,
    Lost,
    Refused,
    Result,
    Started,
    Suspension,
)
from tests.harness.simulate import WORLDS, Simulation, simulate

SEEDS = range(200)
HARD_SEEDS = [
    ("restarts", 1465),  # killed between the result that reached the target and leaving
    ("raising", 7),  # raised when told of a result, while others were in work
    ("raising", 79),  # raised when told of the result that reached the target
]


@cache
def simulations(world: str) -> list[Simulation]:
    return [simulate(world, seed) for seed in SEEDS]


def outcomes(world: str) -> set[Outcome | None]:
    return {simulation.outcome for simulation in simulations(world)}


def decided(world: str) -> Counter[type]:
    return Counter(type(it) for each in simulations(world) for it in each.decisions)


@pytest.mark.parametrize("world", WORLDS)
def test_the_ledger_agrees_with_all_that_is_decided(world: str) -> None:
    assert len(simulations(world)) == len(SEEDS)


@pytest.mark.parametrize(("world", "seed"), HARD_SEEDS)
def test_what_failed_once_does_not_again(world: str, seed: int) -> None:
    assert simulate(world, seed).outcome is Outcome.COMPLETE


@pytest.mark.parametrize("world", ["calm", "freezes", "failures", "hosts"])
def test_rank_0_may_be_killed_at_any_command(world: str) -> None:
    for seed in (1, 2):
        for kill_at in range(1, simulate(world, seed).commands + 1):
            simulation = simulate(world, seed, kill_at=kill_at)
            starts = [it for it in simulation.decisions if isinstance(it, Started)]
            assert len(starts) >= 2  # and again after a study that has failed


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
            done = {it.trial for it in simulation.decisions if isinstance(it, Result)}
            given_up = {
                it.trial for it in simulation.decisions if isinstance(it, Failure) and it.final
            }
            assert done | given_up == set(range(study.limit or 0))


def test_a_calm_world_loses_and_repeats_nothing() -> None:
    assert outcomes("calm") == {Outcome.COMPLETE}
    assert not decided("calm").keys() & {Lost, Back, Failure, Refused}
    for simulation in simulations("calm"):
        tried = {it.attempt for it in simulation.decisions if isinstance(it, Assigned)}
        assert tried <= {1}


def test_crashes_lose_ranks_and_only_the_last_one_ends_a_study() -> None:
    assert outcomes("crashes") == {Outcome.COMPLETE, Outcome.DESERTED}
    assert decided("crashes")[Lost] > len(SEEDS)
    assert Back not in decided("crashes")


def test_frozen_ranks_come_back_and_their_late_answers_count() -> None:
    assert decided("freezes")[Back] > len(SEEDS)
    late = 0
    for simulation in simulations("freezes"):
        newest: dict[tuple[int, int], int] = {}
        for it in simulation.decisions:
            if isinstance(it, Assigned):
                newest[it.trial, it.rung] = it.attempt
            if isinstance(it, Result):
                late += it.attempt < newest[it.trial, it.rung]
    assert late > 10


def test_failures_are_tried_again_and_given_up_in_the_end() -> None:
    finals = [
        it.final
        for each in simulations("failures")
        for it in each.decisions
        if isinstance(it, Failure)
    ]
    assert finals.count(True) > len(SEEDS)
    assert finals.count(False) > len(SEEDS)
    assert decided("failures")[Refused] > 10


def test_hosts_and_links_are_lost_and_those_whose_link_is_mended_come_back() -> None:
    assert decided("hosts")[Lost] > len(SEEDS)
    assert decided("hosts")[Back] > len(SEEDS) / 2


def test_messages_that_crawl_lose_nobody() -> None:
    assert outcomes("crawling") == {Outcome.COMPLETE}
    assert Lost not in decided("crawling")


def test_drains_leave_jobs_to_go_on_from_where_they_saved() -> None:
    assert decided("restarts")[Suspension] > 10


def test_power_failures_lose_decisions_and_the_study_comes_to_its_end() -> None:
    assert outcomes("power") == {Outcome.COMPLETE}
    assert sum(each.decisions_lost for each in simulations("power")) > len(SEEDS)


def test_restarts_are_many_and_all_come_to_the_end() -> None:
    assert outcomes("restarts") == {Outcome.COMPLETE}
    assert decided("restarts")[Started] > 3 * len(SEEDS)


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
    assert Lost not in decided("thinking")


def test_while_a_searcher_thinks_all_else_goes_on() -> None:
    assert outcomes("later") <= {Outcome.COMPLETE, Outcome.DESERTED}
    assert {Assigned, Result, Lost, Failure} <= set(decided("later"))


def test_a_job_that_takes_the_run_along_is_given_up_and_no_other() -> None:
    assert outcomes("killer") == {Outcome.COMPLETE}
    killed = 0
    for simulation in simulations("killer"):
        failures = [it for it in simulation.decisions if isinstance(it, Failure)]
        assert {it.kind for it in failures} <= {FailureKind.LOST}
        assert {it.trial for it in failures if it.final} <= {simulation.killer}
        killed += any(it.final for it in failures)
    assert killed > 0.9 * len(SEEDS)


def test_what_is_rounded_otherwise_after_a_restart_goes_on_from_what_was_tried() -> None:
    assert outcomes("other CPU") == {Outcome.COMPLETE}
    assert decided("other CPU")[Started] > 3 * len(SEEDS)


def test_a_searcher_that_raises_loses_nothing_and_goes_on_when_it_is_mended() -> None:
    assert outcomes("raising") == {Outcome.COMPLETE}
    drains = [it for each in simulations("raising") for it in each.decisions]
    raised = [it for it in drains if isinstance(it, Draining) and it.why.startswith(RAISED)]
    assert len(raised) > 20


def test_a_study_whose_ranks_are_all_there_is_not_deserted() -> None:
    for world in ("calm", "failures", "restarts", "crawling", "power", "queue"):
        assert Outcome.DESERTED not in outcomes(world)
