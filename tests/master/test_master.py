"""The master, event by event: what it wants done, and what not. Whole stories are in traces/."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hpmpi.errors import ReplayError
from hpmpi.master.drain import LEAVE_S, NO_TIME
from hpmpi.master.incumbent import Best
from hpmpi.master.master import Master
from hpmpi.master.reaction import Reaction
from hpmpi.master.restart import redo
from hpmpi.master.retries import MAX_LOSSES
from hpmpi.master.searchers import OVER, Over
from hpmpi.master.searchers.random import Random
from hpmpi.master.seeds import seed_of
from hpmpi.master.shield import RAISED
from hpmpi.model.events import Drain, Due, Event, Heard, Silent, Tell, Tick
from hpmpi.model.messages import (
    Assign,
    Beat,
    Cancel,
    Cancelled,
    Failed,
    FailureKind,
    Finished,
    Goodbye,
    Outcome,
    Point,
    Progress,
    Ready,
    Report,
    Save,
    Suspended,
    Unfit,
)
from hpmpi.model.records import (
    Assigned,
    Back,
    Deadline,
    Decision,
    Draining,
    Ended,
    Entry,
    Failure,
    Late,
    Raised,
    Result,
    Started,
    Stopped,
    Suggestion,
    Suspension,
)
from hpmpi.model.trial import BASELINE, AttemptId, Config, JobKey, Metrics
from tests.harness.build import SPACE, Elsewhere, Study
from tests.harness.play import reaction_lines

NOTHING = Reaction(None, [], [])
FIRST = AttemptId(0, 0, 1)
SECOND = AttemptId(1, 0, 1)


def hear(master: Master, rank: int, report: Report, now: float = 0.0) -> Reaction:
    """Let a report come in."""
    return master.handle(Heard(rank, report), now)


def working(study: Study) -> Master:
    """Start a study whose ranks all have their first job: rank 1 has trial 0, and so on."""
    master = study.master()
    for rank in master.roster.workers:
        hear(master, rank, Ready("host", 100 + rank))
    return master


def finished(order: Assign | Assigned, loss: float, saved: int = 0) -> Finished:
    """Answer an order."""
    return Finished(order.attempt, {"loss": loss}, saved)


def failed(
    trial: int = 0,
    attempt: int = 1,
    kind: FailureKind = FailureKind.CRASH,
    error: str = "SIGSEGV",
    *,
    used: bool = False,
) -> Failed:
    """Say that an attempt at the lowest rung came to nothing."""
    return Failed(AttemptId(trial, 0, attempt), kind, error, used)


def orders(reaction: Reaction) -> dict[int, Assign]:
    """Find the jobs that are handed out, by rank."""
    return {rank: order for rank, order in reaction.orders if isinstance(order, Assign)}


def decided(reaction: Reaction) -> list[Decision]:
    """List what was decided."""
    return [] if reaction.entry is None else list(reaction.entry.decisions)


def decisions(reaction: Reaction, kind: type) -> list[Decision]:
    """Find the decisions of a kind."""
    return [it for it in decided(reaction) if isinstance(it, kind)]


def end(reaction: Reaction) -> Outcome | None:
    """Tell whether it is the end, and how."""
    last = decided(reaction)[-1:]
    return last[0].outcome if last and isinstance(last[0], Ended) else None


def pass_time(master: Master, *times: float, heard: tuple[int, ...] = ()) -> Reaction:
    """Let some ranks beat, and the others be silent."""
    for now in times:
        for rank in heard:
            hear(master, rank, Beat(), now)
        reaction = master.handle(Tick(), now)
    return reaction


def test_nobody_is_told_anything_before_being_heard() -> None:
    master = Study(ranks=3).master()
    assert master.handle(Tick(), 0.0) == NOTHING
    assert master.handle(Tick(), 4.0) == NOTHING


def test_a_beat_from_a_rank_that_is_not_ready_brings_no_work() -> None:
    assert hear(Study().master(), 1, Beat()) == Reaction(None, [Tell(1, Beat())], [])


def test_an_order_says_all_that_a_rank_must_know() -> None:
    study = Study(seed=5)
    order = orders(hear(study.master(), 1, Ready("host", 1)))[1]
    config = study.scheduler().ask(may_start=True, rungs=3)
    assert config is not None
    assert order == Assign(FIRST, 1, config.config, seed_of(5, 0), 0)


def test_a_line_has_what_happened_and_all_that_was_decided_on_it() -> None:
    study = Study()
    config = study.scheduler().ask(may_start=True, rungs=3)
    assert config is not None
    event = Heard(1, Ready("host", 7, ("a",)))
    reaction = study.master().handle(event, 2.0)
    entry, told, discards = reaction.entry, reaction.orders, reaction.discards
    suggested = (Suggestion(0, config.config),)
    assert entry == Entry(2.0, event, (Assigned(FIRST, 1, 1),), suggested)
    assert [(rank, type(order)) for rank, order in told] == [(1, Assign)]
    assert discards == []


def test_what_is_suggested_is_written_once_though_it_is_tried_again() -> None:
    master = Study(ranks=1).master()
    written = [hear(master, 1, it).entry for it in (Ready("host", 1), failed())]
    assert [[it.trial for it in entry.suggested] for entry in written if entry] == [[0], []]


FACTS: list[Event] = [
    Heard(2, Ready("host", 1)),
    Heard(2, Unfit("host", "no such module")),
    Heard(2, Progress(FIRST, [Point(1, {"loss": 0.9})])),
    Silent((2,)),
    Drain("signal"),
]


@pytest.mark.parametrize("fact", FACTS, ids=lambda it: type(it).__name__)
def test_facts_are_written_though_nothing_follows_from_them(fact: Event) -> None:
    master = working(Study(limit=1, grace_s=99.0))
    master.handle(Drain("before"), 0.5)
    reaction = master.handle(fact, 1.0)
    assert reaction.entry is not None
    assert reaction.entry.event == fact


@pytest.mark.parametrize(
    "event", [Tick(), Heard(1, Beat()), Heard(1, Goodbye())], ids=lambda it: type(it).__name__
)
def test_what_is_no_fact_is_written_only_where_something_follows(event: Event) -> None:
    assert working(Study()).handle(event, 1.0).entry is None
    entry = working(Study(time_s=1.0)).handle(event, 1.0).entry
    assert entry is not None
    assert entry.event == event


def test_points_of_a_curve_are_written_whoever_sends_them() -> None:
    report = Progress(FIRST, [Point(1, {"loss": 0.9})])
    assert hear(working(Study()), 2, report, 1.0) == Reaction(Entry(1.0, Heard(2, report)), [], [])


def test_who_is_silent_at_a_tick_is_what_the_line_says() -> None:
    master = working(Study(ranks=3, limit=2))
    reaction = pass_time(master, 4.0, 8.0, 10.5, heard=(1,))
    assert reaction.entry is not None
    assert reaction.entry.event == Silent((2, 3))
    assert decided(reaction) == [Failure(SECOND, FailureKind.LOST)]


def test_who_is_said_to_be_silent_is_lost_though_heard_just_now() -> None:
    master = working(Study(ranks=2, limit=2))
    hear(master, 2, Beat(), 1.0)
    assert decided(master.handle(Silent((2,)), 1.0)) == [Failure(SECOND, FailureKind.LOST)]
    assert master.roster.workers[2].lost
    assert decided(hear(master, 2, Beat(), 2.0)) == [Back(2, SECOND)]


def test_a_goodbye_calls_for_nothing() -> None:
    assert hear(working(Study()), 1, Goodbye()) == NOTHING


def test_a_promoted_trial_goes_on_from_its_newest_checkpoint() -> None:
    master = working(Study(ranks=1, eta=2, high=4, limit=2))
    hear(master, 1, Finished(AttemptId(0, 0, 1), {"loss": 0.5}, saved=1))
    order = orders(hear(master, 1, Finished(AttemptId(1, 0, 1), {"loss": 0.6}, saved=1)))[1]
    assert (order.attempt, order.resource, order.saved) == (AttemptId(0, 1, 1), 2, 1)


def test_a_late_result_with_an_older_checkpoint_takes_nothing_back() -> None:
    master = working(Study(ranks=1, eta=2, high=4, limit=4))
    master.jobs.saved[0] = 3
    hear(master, 1, Finished(AttemptId(0, 0, 1), {"loss": 0.5}, saved=1))
    assert master.jobs.saved[0] == 3


def test_the_second_answer_to_a_job_is_not_recorded() -> None:
    master = working(Study(limit=2))
    hear(master, 1, Finished(AttemptId(0, 0, 1), {"loss": 0.5}))
    assert hear(master, 1, Finished(FIRST, {"loss": 0.1})) == NOTHING
    assert isinstance(master.jobs.best, Best)
    assert master.jobs.best.incumbent is not None
    assert master.jobs.best.incumbent.loss == 0.5


FAILURES = [it for it in FailureKind if it not in {FailureKind.LOST, FailureKind.BAD_VALUE}]


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_of_any_kind_is_tried_again_as_often_as_may_be(kind: FailureKind) -> None:
    master = working(Study(ranks=1, failures=3, limit=1))
    for attempt in (1, 2):
        order = orders(hear(master, 1, failed(0, attempt, kind, f"no {attempt}")))[1]
        assert order.attempt == AttemptId(0, 0, attempt + 1)
    reaction = hear(master, 1, failed(0, 3, kind, "no 3"))
    failure = Failure(AttemptId(0, 0, 3), kind, final=True, over=(0,))
    assert decided(reaction)[0] == failure
    assert (end(reaction), reaction.orders, reaction.discards) == (Outcome.COMPLETE, [], [0])


def test_what_says_the_same_twice_is_not_tried_a_third_time() -> None:
    master = working(Study(ranks=1, failures=9, limit=1))
    raised = FailureKind.EXCEPTION
    said = ["ValueError: no\n\nline 1", "KeyError: 1", "ValueError: no\n\nline 2"]
    for attempt, error in enumerate(said, start=1):
        assert orders(hear(master, 1, failed(0, attempt, raised, error)))
    assert (
        end(hear(master, 1, failed(0, 4, raised, "ValueError: no\n\nline 3"))) is Outcome.COMPLETE
    )


def test_what_is_no_result_is_not_tried_again() -> None:
    master = working(Study(ranks=1, failures=9, limit=1))
    assert (
        end(hear(master, 1, failed(0, 1, FailureKind.BAD_VALUE, "it returned None")))
        is Outcome.COMPLETE
    )


def test_what_two_used_processes_say_is_not_the_same_twice() -> None:
    master = working(Study(ranks=1, failures=9, limit=1))
    for attempt in (1, 2, 3):
        said = failed(0, attempt, FailureKind.EXCEPTION, "no", used=True)
        assert orders(hear(master, 1, said))
    assert end(hear(master, 1, failed(0, 4, FailureKind.EXCEPTION, "no"))) is Outcome.COMPLETE


def test_what_has_failed_is_tried_again_in_a_fresh_process_and_nothing_else_is() -> None:
    master = working(Study(ranks=1, failures=3, limit=2))
    again = orders(hear(master, 1, failed(0, 1)))[1]
    assert (again.attempt.trial, again.fresh) == (0, True)
    once_more = orders(hear(master, 1, failed(0, 2)))[1]
    assert (once_more.attempt.trial, once_more.fresh) == (0, True)
    other = orders(hear(master, 1, failed(0, 3)))[1]
    assert (other.attempt.trial, other.fresh) == (1, False)


def test_a_crash_that_looks_like_an_exception_is_tried_again() -> None:
    master = working(Study(ranks=1, failures=3, limit=1))
    hear(master, 1, failed(0, 1, FailureKind.EXCEPTION, "no"))
    assert orders(hear(master, 1, failed(0, 2, FailureKind.CRASH, "no")))


def test_a_rank_that_comes_back_was_not_taken_by_its_job() -> None:
    master = working(Study(ranks=2, limit=2))
    opened = master.jobs.open[JobKey(1, 0)]
    for began in range(0, 64, 16):
        for now in range(began + 4, began + 16, 4):
            hear(master, 1, Beat(), now)
            master.handle(Tick(), now)
        assert (opened.lost, opened.holder) == ([1], None)
        hear(master, 2, Beat(), began + 16)
        assert (opened.lost, opened.holder) == ([], 2)
    assert opened.attempts == 1


def test_losses_and_failures_are_counted_apart() -> None:
    master = working(Study(ranks=4, failures=2, limit=1))
    hear(master, 1, failed(attempt=1))
    opened = master.jobs.open[JobKey(0, 0)]
    assert (opened.failures, opened.lost, opened.holder) == (1, [], 2)
    for now in (4.0, 8.0, 12.0):
        master.handle(Tick(), now)
        for rank in (1, 3, 4):
            hear(master, rank, Beat(), now)
    assert (opened.failures, opened.lost, opened.attempts) == (1, [2], 3)
    assert len(opened.lost) < MAX_LOSSES


def test_a_failure_of_an_older_attempt_counts_for_nothing() -> None:
    master = working(Study(ranks=1, limit=1))
    hear(master, 1, failed(attempt=1))
    assert hear(master, 1, failed(attempt=1)) == NOTHING
    assert master.jobs.open[JobKey(0, 0)].failures == 1


def test_work_that_waits_goes_before_new_work() -> None:
    master = working(Study(ranks=1, limit=9))
    assert orders(hear(master, 1, failed()))[1].attempt.trial == 0
    assert master.jobs.trials == 1


def test_max_trials_is_exact() -> None:
    master = working(Study(ranks=8, limit=5))
    assert master.jobs.trials == 5
    assert len(master.roster.idle) == 3
    assert master.outcome is None


def test_without_a_limit_there_is_always_another_trial() -> None:
    master = working(Study(ranks=8, limit=None))
    assert master.jobs.trials == 8
    assert not master.roster.idle


def test_it_is_over_when_nothing_is_open_and_nothing_can_be() -> None:
    master = working(Study(ranks=2, method="full", limit=2))
    assert end(hear(master, 1, Finished(AttemptId(0, 0, 1), {"loss": 0.5}))) is None
    assert end(hear(master, 2, Finished(AttemptId(1, 0, 1), {"loss": 0.6}))) is Outcome.COMPLETE


def test_after_the_end_nothing_is_done() -> None:
    master = working(Study())
    reaction = master.handle(Drain("signal"), 1.0)
    assert decided(reaction) == [Draining("signal")]
    assert reaction.orders == [Tell(1, Save()), Tell(2, Save())]
    last = master.handle(Drain("another"), 1.0)
    assert (decided(last), last.orders) == ([Ended(Outcome.DRAINED, "signal")], [])
    assert hear(master, 1, Finished(FIRST, {"loss": 0.5}), 2.0) == NOTHING
    assert hear(master, 1, Beat(), 2.0) == NOTHING
    assert master.handle(Drain("a third"), 3.0) == NOTHING
    assert master.handle(Tick(), 99.0) == NOTHING


def test_a_drain_without_jobs_is_over_at_once() -> None:
    reaction = Study().master().handle(Drain("signal"), 0.0)
    assert decided(reaction) == [Draining("signal"), Ended(Outcome.DRAINED, "signal")]


def test_a_drain_does_not_wait_for_lost_ranks() -> None:
    master = working(Study(ranks=2, limit=2, grace_s=99.0))
    for now in (4.0, 8.0):
        hear(master, 1, Beat(), now)
        master.handle(Tick(), now)
    hear(master, 1, Finished(AttemptId(0, 0, 1), {"loss": 0.5}), 9.0)
    assert master.handle(Drain("signal"), 9.0).orders == [Tell(2, Save())]
    hear(master, 1, Beat(), 9.9)
    reaction = master.handle(Tick(), 10.1)
    assert decided(reaction)[0] == Failure(SECOND, FailureKind.LOST)
    assert end(reaction) is Outcome.DRAINED


def test_a_rank_that_comes_back_in_a_drain_is_asked_to_save_as_well() -> None:
    master = working(Study(ranks=2, limit=2, grace_s=99.0))
    for now in (4.0, 8.0, 10.1):
        hear(master, 1, Beat(), now)
        master.handle(Tick(), now)
    master.handle(Drain("signal"), 11.0)
    assert Tell(2, Save()) in hear(master, 2, Beat(), 12.0).orders


def test_a_rank_that_comes_back_with_its_answer_is_asked_for_nothing() -> None:
    for answer in (Finished(SECOND, {"loss": 0.5}), Suspended(SECOND, 7), Cancelled(SECOND)):
        master = working(Study(ranks=2, limit=2, grace_s=99.0))
        pass_time(master, 4.0, 8.0, 10.1, heard=(1,))
        master.handle(Drain("signal"), 11.0)
        assert hear(master, 2, answer, 12.0).orders == []


def test_a_suspended_job_goes_on_where_it_was_saved() -> None:
    study = Study(ranks=1, limit=1)
    master = working(study)
    master.handle(Drain("signal"), 1.0)
    reaction = hear(master, 1, Suspended(FIRST, saved=7), 2.0)
    assert decided(reaction)[0] == Suspension(FIRST, 7)
    assert end(reaction) is Outcome.DRAINED
    again = study.master()
    again.jobs = master.jobs
    order = orders(hear(again, 1, Ready("host", 1)))[1]
    assert (order.attempt, order.saved) == (AttemptId(0, 0, 2), 7)


def test_a_suspension_that_nobody_waits_for_counts_for_nothing() -> None:
    master = working(Study(ranks=2))
    assert hear(master, 1, Suspended(AttemptId(0, 0, 2), saved=7)) == NOTHING
    assert hear(master, 2, Suspended(FIRST, saved=7)) == NOTHING


def test_when_the_drain_begins_follows_from_the_end_of_the_allocation() -> None:
    master = Study(grace_s=20.0).master()
    reaction = master.handle(Due(100.0, 1.7e9), 3.0)
    assert decided(reaction) == [Deadline(100.0 - 20.0 - LEAVE_S)]
    assert master.handle(Due(100.0, 1.7e9), 4.0) == NOTHING
    assert decisions(master.handle(Due(99.0, 1.7e9), 5.0), Deadline)
    assert decisions(master.handle(Due(99.0, 1.8e9), 6.0), Deadline)


def test_an_end_that_is_past_drains_at_once() -> None:
    master = working(Study(ranks=1, grace_s=20.0))
    reaction = master.handle(Due(1.0, 1.7e9), 4.0)
    assert decided(reaction) == [
        Deadline(1.0 - 20.0 - LEAVE_S),
        Draining(NO_TIME),
        Ended(Outcome.DRAINED, NO_TIME),
    ]
    assert reaction.orders == [Tell(1, Save())]


def test_the_second_who_asks_for_a_drain_that_began_by_itself_ends_it() -> None:
    master = working(Study(ranks=1, grace_s=20.0))
    reaction = master.handle(Due(35.0, 1.7e9), 5.0)
    assert decided(reaction)[1:] == [Draining(NO_TIME)]
    assert reaction.orders == [Tell(1, Save())]
    first = master.handle(Drain("signal"), 6.0)
    assert (decided(first), first.orders) == ([], [])
    assert end(master.handle(Drain("another"), 7.0)) is Outcome.DRAINED


def test_what_took_long_on_a_rank_that_was_given_up_on_tells_no_duration() -> None:
    master = working(Study(ranks=2, limit=2))
    for now in (4.0, 8.0, 10.1):
        hear(master, 1, Beat(), now)
        master.handle(Tick(), now)
    hear(master, 1, Finished(AttemptId(0, 0, 1), {"loss": 0.5}), 11.0)
    assert master.jobs.open[JobKey(1, 0)].holder == 1
    hear(master, 2, Finished(AttemptId(1, 0, 1), {"loss": 0.6}), 12.0)
    assert master.jobs.time_left._durations[0] == [11.0]


def test_a_job_took_as_long_as_its_last_attempt() -> None:
    master = working(Study(ranks=1, limit=1, high=1))
    hear(master, 1, failed(), 5.0)
    hear(master, 1, Finished(AttemptId(0, 0, 2), {"loss": 0.5}), 7.0)
    assert master.jobs.time_left._durations == {0: [2.0]}


def test_once_a_job_was_suspended_all_are_begun_that_may_not_be_finished() -> None:
    study = Study(ranks=2, limit=9, high=1)
    master = working(study)
    hear(master, 1, Finished(AttemptId(0, 0, 1), {"loss": 0.5}), 30.0)
    master.handle(Drain("signal"), 31.0)
    hear(master, 2, Suspended(AttemptId(1, 0, 1), saved=1), 32.0)
    again = study.master(now=40.0)
    again.jobs = master.jobs
    redo(again.jobs, Started(40.0, "", "", "", 2))
    again.handle(Due(70.0, 1.7e9), 40.0)
    assert orders(hear(again, 1, Ready("host", 1), 41.0))


def test_a_study_is_complete_though_there_is_little_time() -> None:
    master = working(Study(ranks=1, limit=1, method="full"))
    master.handle(Due(50.0, 1.7e9), 1.0)
    hear(master, 1, failed(), 2.0)
    reaction = hear(master, 1, Finished(AttemptId(0, 0, 2), {"loss": 0.5}), 30.0)
    assert end(reaction) is Outcome.COMPLETE
    assert decisions(reaction, Draining) == []


def test_no_more_jobs_are_in_work_than_may_be_and_who_comes_back_takes_a_place() -> None:
    master = working(Study(ranks=3, limit=9, max_concurrent=1))
    assert (master.jobs.held, list(master.roster.idle)) == (1, [2, 3])
    assert orders(hear(master, 1, Finished(AttemptId(0, 0, 1), {"loss": 0.5}), 1.0)).keys() == {2}
    for now in (4.0, 8.0, 11.1):
        hear(master, 1, Beat(), now)
        hear(master, 3, Beat(), now)
        reaction = master.handle(Tick(), now)
    assert orders(reaction).keys() == {3}
    assert orders(hear(master, 2, Beat(), 12.0)) == {}


def test_the_target_is_reached_by_what_is_as_good_at_the_highest_rung() -> None:
    master = working(Study(ranks=1, eta=2, high=2, target_loss=0.1))
    hear(master, 1, Finished(AttemptId(0, 0, 1), {"loss": 0.0}))
    order = orders(hear(master, 1, Finished(AttemptId(1, 0, 1), {"loss": 0.1})))[1]
    assert order.attempt.job == JobKey(0, 1)
    assert end(hear(master, 1, finished(order, 0.11))) is None
    hear(master, 1, Finished(AttemptId(2, 0, 1), {"loss": 0.1}))
    order = orders(hear(master, 1, Finished(AttemptId(3, 0, 1), {"loss": 0.1})))[1]
    assert order.attempt.rung == 1
    assert end(hear(master, 1, finished(order, 0.1))) is Outcome.COMPLETE


def test_a_target_counts_from_its_resource_on() -> None:
    master = working(Study(ranks=1, eta=2, high=4, target_loss=0.1, target_resource=2))
    hear(master, 1, Finished(AttemptId(0, 0, 1), {"loss": 0.1}))
    order = orders(hear(master, 1, Finished(AttemptId(1, 0, 1), {"loss": 0.2})))[1]
    assert (order.attempt.rung, order.resource) == (1, 2)
    assert end(hear(master, 1, finished(order, 0.1))) is Outcome.COMPLETE


def test_the_target_is_reached_by_what_is_as_good() -> None:
    master = working(Study(target_loss=0.1, method="full"))
    assert end(hear(master, 1, Finished(AttemptId(0, 0, 1), {"loss": 0.11}))) is None
    assert end(hear(master, 2, Finished(AttemptId(1, 0, 1), {"loss": 0.1}))) is Outcome.COMPLETE


def test_a_target_is_turned_with_the_mode() -> None:
    master = working(Study(mode="max", target_loss=-0.9, method="full"))
    assert end(hear(master, 1, Finished(AttemptId(0, 0, 1), {"score": 0.1}))) is None
    assert end(hear(master, 2, Finished(AttemptId(1, 0, 1), {"score": 0.95}))) is Outcome.COMPLETE


def test_a_rank_that_can_not_load_its_objective_ends_nothing_while_others_may() -> None:
    assert reaction_lines(hear(Study().master(), 1, Ready("host", 1))) == [
        "decided assigned trial 0 rung 0 attempt 1 rank 1",
        "tell rank 1: train trial 0 rung 0 attempt 1 to 1",
    ]


# -- attempts that nobody waits for ----------------------------------------------------------------


def with_two_at_work(study: Study | None = None) -> Master:
    """Have rank 3 do the job that rank 2, which was lost and is back, still does."""
    master = working(study or Study(ranks=3, limit=2))
    pass_time(master, 4.0, 8.0, 10.1, heard=(1, 3))
    assert master.jobs.open[JobKey(1, 0)].holder == 3
    assert decided(hear(master, 2, Beat(), 11.0)) == [Back(2, SECOND)]
    return master


def test_who_works_at_a_job_that_is_done_is_told_to_end_that() -> None:
    master = with_two_at_work()
    reaction = hear(master, 3, Finished(AttemptId(1, 0, 2), {"loss": 0.5}), 12.0)
    assert [it for it in reaction.orders if isinstance(it.order, Cancel)] == [
        Tell(2, Cancel(SECOND))
    ]


def test_the_older_attempt_may_be_the_first_and_the_newer_one_is_cancelled() -> None:
    reaction = hear(with_two_at_work(), 2, Finished(SECOND, {"loss": 0.5}), 12.0)
    assert Result(SECOND) in decided(reaction)
    assert Tell(3, Cancel(AttemptId(1, 0, 2))) in reaction.orders


def test_who_was_told_to_end_is_given_nothing_before_it_has() -> None:
    master = with_two_at_work(Study(ranks=3, limit=2, eta=2, high=2))
    hear(master, 3, Finished(AttemptId(1, 0, 2), {"loss": 0.5}), 12.0)
    assert 2 not in master.roster.idle
    assert decided(hear(master, 2, Cancelled(SECOND), 13.0)) == [Late(SECOND)]
    assert 2 in master.roster.idle


def test_a_result_that_crosses_its_cancellation_is_late() -> None:
    master = with_two_at_work()
    hear(master, 3, Finished(AttemptId(1, 0, 2), {"loss": 0.5}), 12.0)
    assert decided(hear(master, 2, Finished(SECOND, {"loss": 0.1}), 13.0)) == [Late(SECOND)]
    assert hear(master, 2, Cancelled(SECOND), 14.0) == NOTHING


def test_who_is_lost_is_not_told_to_end_before_it_is_back() -> None:
    master = with_two_at_work()
    master.handle(Silent((2,)), 11.5)
    reaction = hear(master, 3, Finished(AttemptId(1, 0, 2), {"loss": 0.5}), 12.0)
    assert all(it.rank != 2 for it in reaction.orders)
    back = hear(master, 2, Progress(SECOND, []), 13.0)
    assert (decided(back), back.orders) == ([Back(2, SECOND)], [Tell(2, Cancel(SECOND))])


def test_who_comes_back_while_its_job_is_open_is_told_nothing() -> None:
    master = working(Study(ranks=3, limit=2))
    pass_time(master, 4.0, 8.0, 10.1, heard=(1, 3))
    assert hear(master, 2, Progress(SECOND, []), 11.0).orders == []


def test_a_job_that_is_given_up_is_cancelled_where_it_is_still_done() -> None:
    master = with_two_at_work(Study(ranks=3, limit=2, failures=1))
    reaction = hear(master, 3, failed(1, 2), 12.0)
    assert decisions(reaction, Failure) == [
        Failure(AttemptId(1, 0, 2), FailureKind.CRASH, final=True, over=(1,))
    ]
    assert reaction.orders == [Tell(2, Cancel(SECOND))]


def test_a_failure_that_is_not_the_last_cancels_nothing() -> None:
    master = with_two_at_work(Study(ranks=3, limit=2, failures=2))
    assert hear(master, 3, failed(1, 2), 12.0).orders == []


def test_those_that_fall_silent_together_are_all_lost_before_any_is_told_anything() -> None:
    master = with_two_at_work(Study(ranks=3, limit=2))
    opened = master.jobs.open[JobKey(1, 0)]
    opened.lost = [7, 8]  # so that the next loss is the last
    reaction = master.handle(Silent((3, 2)), 12.0)
    assert decisions(reaction, Failure) == [
        Failure(AttemptId(1, 0, 2), FailureKind.LOST, final=True, over=(1,))
    ]
    assert reaction.orders == []


def test_a_scheduler_may_stop_a_job_in_the_middle() -> None:
    master = working(Study(ranks=2, method="stopping"))
    reaction = hear(master, 1, Progress(FIRST, [Point(1, {"loss": 0.9})]), 1.0)
    assert decided(reaction) == [Stopped(FIRST, over=(0,))]
    assert (reaction.orders, reaction.discards) == ([Tell(1, Cancel(FIRST))], [0])
    assert JobKey(0, 0) not in master.jobs.open
    assert 1 not in master.roster.idle
    assert orders(hear(master, 1, Cancelled(FIRST), 2.0))[1].attempt.trial == 2


def test_only_the_rank_that_has_a_job_can_have_it_stopped() -> None:
    master = working(Study(ranks=2, method="stopping"))
    assert decided(hear(master, 2, Progress(FIRST, [Point(1, {"loss": 0.9})]), 1.0)) == []
    assert JobKey(0, 0) in master.jobs.open


def test_a_scheduler_is_shown_the_points_of_the_newest_attempt_alone() -> None:
    master = with_two_at_work(Study(ranks=3, limit=2, method="stopping"))
    assert decided(hear(master, 2, Progress(SECOND, [Point(1, {"loss": 0.9})]), 12.0)) == []
    newest = AttemptId(1, 0, 2)
    reaction = hear(master, 3, Progress(newest, [Point(1, {"loss": 0.9})]), 13.0)
    assert decided(reaction)[0] == Stopped(newest, over=(1,))
    assert reaction.orders[:2] == [Tell(2, Cancel(SECOND)), Tell(3, Cancel(newest))]


# -- the baseline ----------------------------------------------------------------------------------


def test_the_baseline_goes_first_and_is_no_trial() -> None:
    master = Study(ranks=2, limit=1, baseline=9).master()
    reaction = hear(master, 1, Ready("host", 1))
    entry, told = reaction.entry, reaction.orders
    assert entry is not None
    assert (entry.decisions, entry.suggested) == (
        (Assigned(AttemptId(BASELINE, 0, 1), 9, 1),),
        (),
    )
    order = told[0].order
    assert isinstance(order, Assign)
    assert (order.config, order.resource) == ({}, 9)
    assert master.jobs.trials == 0
    assert orders(hear(master, 2, Ready("host", 2)))[2].attempt == FIRST


def test_a_baseline_that_is_better_than_all_is_not_the_incumbent() -> None:
    master = working(Study(ranks=2, limit=1, high=1, baseline=1, target_loss=0.2))
    reaction = hear(master, 1, Finished(AttemptId(BASELINE, 0, 1), {"loss": 0.1}))
    assert decided(reaction) == [Result(AttemptId(BASELINE, 0, 1))]
    assert isinstance(master.jobs.best, Best)
    assert master.jobs.best.incumbent is None
    assert end(hear(master, 2, Finished(FIRST, {"loss": 0.5}))) is Outcome.COMPLETE


def test_a_study_is_complete_only_with_its_baseline() -> None:
    master = working(Study(ranks=2, limit=1, high=1, baseline=1))
    assert end(hear(master, 2, Finished(FIRST, {"loss": 0.5}))) is None
    assert end(hear(master, 1, Finished(AttemptId(BASELINE, 0, 1), {"loss": 1.0}))) is (
        Outcome.COMPLETE
    )


def test_another_baseline_is_tried_though_there_was_one_and_its_attempts_are_counted_on() -> None:
    master = working(Study(ranks=1, limit=1, high=1, baseline=1))
    jobs = master.jobs
    jobs.want_baseline(1)
    hear(master, 1, Finished(AttemptId(BASELINE, 0, 1), {"loss": 0.1}))
    jobs.want_baseline(1)
    assert JobKey(BASELINE, 0) not in jobs.open, "that was done"
    jobs.want_baseline(1, "another")
    assert jobs.open[JobKey(BASELINE, 0)].newest == AttemptId(BASELINE, 0, 1)
    given = jobs.give(JobKey(BASELINE, 0), 1, 9.0)
    assert given.attempt == AttemptId(BASELINE, 0, 2)
    jobs.take_suspension(given.attempt, 1)
    jobs.want_baseline(1, "a third")
    again = jobs.give(JobKey(BASELINE, 0), 1, 9.0)
    assert again.attempt == AttemptId(BASELINE, 0, 3)
    assert jobs.order(again.attempt, 9.0, 0).saved == 0, "what another had saved is not for it"


def test_a_baseline_that_is_given_up_is_over_and_says_nothing_of_the_trials() -> None:
    master = working(Study(ranks=1, failures=1, baseline=1))
    attempt = AttemptId(BASELINE, 0, 1)
    reaction = hear(master, 1, Failed(attempt, FailureKind.EXIT, "no"))
    assert decided(reaction)[0] == Failure(attempt, FailureKind.EXIT, final=True)
    assert not master.jobs.hope._alike
    assert orders(reaction)[1].attempt == FIRST


def test_the_time_of_a_baseline_is_not_that_of_a_rung() -> None:
    master = working(Study(ranks=1, baseline=1))
    hear(master, 1, Finished(AttemptId(BASELINE, 0, 1), {"loss": 1.0}, saved=1), 30.0)
    assert not master.jobs.time_left._durations
    assert not master.jobs.time_left.saves


def test_nobody_stops_a_baseline_by_its_curve() -> None:
    master = working(Study(ranks=1, baseline=1, method="stopping"))
    report = Progress(AttemptId(BASELINE, 0, 1), [Point(1, {"loss": 0.9})])
    assert decided(hear(master, 1, report)) == []


# -- a restart -------------------------------------------------------------------------------------


def journal(master: Master) -> list[Entry]:
    """Have a rank given two jobs; return what is written of them."""
    entries = [hear(master, rank, Ready("host", rank)).entry for rank in (1, 2)]
    return [it for it in entries if it is not None]


def assigning(entry: Entry, assigned: Assigned) -> Entry:
    """Have something else be assigned in an entry."""
    return msgspec.structs.replace(entry, decisions=(assigned,))


def test_a_journal_that_can_not_be_derived_is_refused() -> None:
    first, second = journal(Study().master())
    for changed in (
        second,
        assigning(first, Assigned(AttemptId(0, 0, 2), 1, 1)),
        assigning(first, Assigned(FIRST, 2, 1)),
        assigning(first, Assigned(AttemptId(0, 1, 1), 1, 1)),
        assigning(first, Assigned(AttemptId(0, 9, 1), 1, 1)),
        assigning(first, Assigned(AttemptId(BASELINE, 1, 1), 1, 1)),
        msgspec.structs.replace(first, suggested=()),
    ):
        with pytest.raises(ReplayError, match="can't be derived"):
            redo(Study().jobs(), changed)


def test_the_configuration_that_was_tried_is_a_fact() -> None:
    study = Study(eta=2, high=4, limit=2)
    config: Config = {"x": 0.5}
    first, _ = journal(study.master())
    jobs = study.jobs()
    redo(jobs, msgspec.structs.replace(first, suggested=(Suggestion(0, config),)))
    redo(jobs, result(1.0, FIRST, 0.5))
    second = jobs.hand_out(1, 2.0, may_start=True, able=1)
    assert second is not None
    redo(jobs, result(3.0, SECOND, 0.6))
    promoted = jobs.hand_out(1, 4.0, may_start=True, able=1)
    assert promoted is not None
    assert promoted.attempt.job == JobKey(0, 1)
    assert jobs.open[JobKey(0, 1)].job.config == config


def result(at: float, attempt: AttemptId, loss: float) -> Entry:
    """Write that rank 1 has done a job."""
    report = Finished(attempt, {"loss": loss})
    return Entry(at, Heard(1, report), (Result(attempt),))


def test_what_was_suggested_and_not_begun_is_begun_first_and_not_written_again() -> None:
    study = Study(ranks=1)
    config: Config = {"x": 0.5}
    again = study.master()
    redo(again.jobs, Entry(0.0, Tick(), (), (Suggestion(0, config),)))
    redo(again.jobs, Started(1.0, "", "", "", 1))
    reaction = hear(again, 1, Ready("host", 1), 2.0)
    assert orders(reaction)[1].config == config
    assert reaction.entry is not None
    assert reaction.entry.suggested == ()


class Ending(Random):
    """A searcher that has one configuration, and counts how often it is asked."""

    asked = 0

    def ask(self, trial: int) -> Config | Over:
        """Give it."""
        self.asked += 1
        return super().ask(trial) if trial == 0 else OVER


def test_that_there_is_no_other_is_written_and_asked_for_once() -> None:
    searcher = Ending(SPACE, 0, [])
    master = Study(ranks=3, limit=9).master(searcher=searcher)
    entries = [hear(master, rank, Ready("host", rank)).entry for rank in (1, 2, 3)]
    suggested = [[it.config for it in entry.suggested] for entry in entries if entry]
    assert [len(it) for it in suggested] == [1, 1, 0]
    assert suggested[1] == [None]
    assert searcher.asked == 2


def test_a_result_or_failure_without_its_job_is_refused() -> None:
    failure = Entry(1.0, Heard(1, failed()), (Failure(FIRST, FailureKind.CRASH),))
    for entry in (result(1.0, FIRST, 0.5), failure):
        with pytest.raises(ReplayError, match=r"of .* not open|not the newest .* open"):
            redo(Study().jobs(), entry)


def test_a_result_that_nobody_has_told_is_refused() -> None:
    first, _ = journal(Study().master())
    jobs = Study().jobs()
    redo(jobs, first)
    for event in (Tick(), Heard(1, Finished(AttemptId(0, 0, 2), {"loss": 0.5}))):
        with pytest.raises(ReplayError):
            redo(jobs, Entry(1.0, event, (Result(FIRST),)))


def test_a_failure_that_would_not_have_been_the_last_is_refused() -> None:
    first, _ = journal(Study().master())
    jobs = Study(failures=3).jobs()
    redo(jobs, first)
    failure = Failure(FIRST, FailureKind.CRASH, final=True)
    with pytest.raises(ReplayError, match="final"):
        redo(jobs, Entry(1.0, Heard(1, failed()), (failure,)))


def test_a_start_reopens_the_jobs_that_nobody_holds_any_more() -> None:
    master = working(Study(ranks=3))
    redo(master.jobs, Entry(4.0, Tick(), (Ended(Outcome.DRAINED, "signal"),)))
    redo(master.jobs, Started(5.0, "", "", "", 2))
    assert not master.jobs.interrupted
    assert list(master.jobs.waiting) == [JobKey(0, 0), JobKey(1, 0), JobKey(2, 0)]
    assert [opened.holder for opened in master.jobs.open.values()] == [None, None, None]


def test_a_journal_that_charges_nobody_for_an_end_without_a_word_is_derived() -> None:
    master = working(Study(ranks=3))
    redo(master.jobs, Started(5.0, "", "", "", 2))
    assert list(master.jobs.interrupted) == [JobKey(0, 0), JobKey(1, 0), JobKey(2, 0)]
    assert not master.jobs.waiting
    redo(master.jobs, Entry(6.0, Heard(1, Ready("host", 1))))
    assert not master.jobs.interrupted
    assert list(master.jobs.waiting) == [JobKey(0, 0), JobKey(1, 0), JobKey(2, 0)]
    assert all(not opened.lost for opened in master.jobs.open.values())


def test_nobody_waits_for_checkpoints_that_a_complete_study_has_dropped() -> None:
    master = working(Study(ranks=2))
    hear(master, 1, Finished(FIRST, {"loss": 0.5}, saved=1))
    master.jobs.end(Outcome.DRAINED)
    assert master.jobs.saved == {0: 1}
    master.jobs.end(Outcome.COMPLETE)
    assert master.jobs.saved == {}


class Looked(OrderedDict[int, Any]):
    """Counts how many of its ranks are looked at by going through them."""

    looks = 0

    def __iter__(self) -> Iterator[int]:
        """Go through the ranks."""
        for rank in super().__iter__():
            self.looks += 1
            yield rank

    def values(self) -> Any:
        """Go through what is known of them."""
        self.looks += len(self)
        return super().values()


def looks(ranks: int) -> int:
    """Count the ranks that are looked at for a failure, a beat, a result and silence."""
    master = working(Study(ranks=ranks, max_concurrent=2, limit=None))
    idle, workers = Looked(master.roster.idle), Looked(master.roster.workers)
    master.roster.idle, master.roster.workers = idle, workers
    assert orders(hear(master, 1, failed())).keys() == {3}
    hear(master, 2, Beat())
    hear(master, 3, Finished(AttemptId(0, 0, 2), {"loss": 0.5}))
    master.handle(Tick(), 1.0)
    return idle.looks + workers.looks


@pytest.mark.parametrize("at", ["ask", "tell"])
def test_what_was_heard_is_kept_though_the_searcher_raises(at: str) -> None:
    raises_at = {"ask": 4, "tell": 3}[at]
    study = Study(ranks=2)
    master = study.master(searcher=Elsewhere(0, raises_at=raises_at))
    for rank in (1, 2):
        hear(master, rank, Ready("host", rank))
    why = f"{RAISED} LookupError: as told"
    reaction = hear(master, 1, Finished(FIRST, {"loss": 0.5}), 1.0)
    entry, told = reaction.entry, reaction.orders
    assert entry is not None
    assert entry.decisions == (Result(FIRST), Draining(why))
    assert entry.raised == Raised({"tell": 1, "ask": 2}[at], why)
    assert told == [Tell(2, Save())]
    reaction = hear(master, 2, Finished(SECOND, {"loss": 0.6}), 2.0)
    assert decided(reaction) == [Result(SECOND), Ended(Outcome.UNFIT, why)]
    assert reaction.entry is not None
    assert reaction.entry.raised is None


def test_a_searcher_hears_of_what_failed_and_of_what_is_no_number() -> None:
    heard: list[float | None] = []

    class Listening(Random):
        def tell(
            self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
        ) -> None:
            del trial, rung, resource, metrics
            heard.append(loss)

    study = Study(ranks=1, failures=1, limit=3)
    master = study.master(searcher=Listening(SPACE, 0, []))
    hear(master, 1, Ready("host", 1))
    hear(master, 1, failed(0, 1))
    hear(master, 1, Finished(AttemptId(1, 0, 1), {"loss": float("nan")}))
    hear(master, 1, Finished(AttemptId(2, 0, 1), {"loss": 0.5}))
    assert heard == [None, None, 0.5]


def test_a_decision_costs_the_same_however_many_ranks_are_idle() -> None:
    assert looks(8) == looks(800)


def test_an_unfit_rank_that_was_lost_takes_no_job_back() -> None:
    master = working(Study(ranks=2, limit=2))
    hear(master, 1, Unfit("host", "the child can't be started again"))
    master.handle(Silent((1,)), 11.0)
    assert decided(hear(master, 1, Beat(), 12.0)) == [Back(1)]
    assert FIRST.job in master.jobs.waiting
