"""The master, event by event: what it wants done, and what not. Whole stories are in traces/."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hpmpi.errors import ReplayError
from hpmpi.master.blame import MAX_LOSSES
from hpmpi.master.master import LEAVE_S, NO_TIME, Master
from hpmpi.master.searchers.random import Random
from hpmpi.master.seeds import seed_of
from hpmpi.master.shield import RAISED
from hpmpi.model.events import Command, Discard, Drain, Due, Heard, Leave, Record, Tell, Tick
from hpmpi.model.messages import (
    Assign,
    Beat,
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
)
from hpmpi.model.records import (
    Assigned,
    Curve,
    Deadline,
    Draining,
    Ended,
    Failure,
    Joined,
    Result,
    Started,
    Suspension,
)
from hpmpi.model.trial import Config, JobKey, Metrics
from hpmpi.storage.journal import DECODE
from tests.harness.build import SPACE, Elsewhere, Study
from tests.harness.play import command_line


def hear(master: Master, rank: int, report: Report, now: float = 0.0) -> list[Command]:
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
    return Finished(order.trial, order.rung, order.attempt, {"loss": loss}, saved)


def failed(
    trial: int = 0,
    attempt: int = 1,
    kind: FailureKind = FailureKind.CRASH,
    error: str = "SIGSEGV",
    *,
    used: bool = False,
) -> Failed:
    """Say that an attempt at the lowest rung came to nothing."""
    return Failed(trial, 0, attempt, kind, error, used)


def orders(commands: list[Command]) -> dict[int, Assign]:
    """Find the jobs that are handed out, by rank."""
    return {
        it.rank: it.order
        for it in commands
        if isinstance(it, Tell) and isinstance(it.order, Assign)
    }


def decisions(commands: list[Command], kind: type) -> list[object]:
    """Find the decisions of a kind."""
    return [
        it.decision for it in commands if isinstance(it, Record) and isinstance(it.decision, kind)
    ]


def test_nobody_is_told_anything_before_being_heard() -> None:
    master = Study(ranks=3).master()
    assert master.handle(Tick(), 0.0) == []
    assert master.handle(Tick(), 4.0) == []


def test_a_beat_from_a_rank_that_is_not_ready_brings_no_work() -> None:
    assert hear(Study().master(), 1, Beat()) == [Tell(1, Beat())]


def test_an_order_says_all_that_a_rank_must_know() -> None:
    study = Study(seed=5)
    order = orders(hear(study.master(), 1, Ready("host", 1)))[1]
    config = study.scheduler().ask(may_start=True, rungs=3)
    assert config is not None
    assert order == Assign(0, 0, 1, 1, config.config, seed_of(5, 0), 0)


def test_a_decision_comes_before_the_order_it_leads_to() -> None:
    commands = hear(Study().master(), 1, Ready("host", 7))
    assert [type(it) for it in commands] == [Record, Record, Tell]


def test_what_a_rank_says_of_the_study_is_recorded_once() -> None:
    master = Study(ranks=2).master()
    said = [("a", "b"), ("b", "c")]
    joined = [
        decisions(hear(master, rank, Ready("host", rank, notes)), Joined)
        for rank, notes in enumerate(said, start=1)
    ]
    assert joined == [
        [Joined(0.0, 1, "host", 1, ("a", "b"))],
        [Joined(0.0, 2, "host", 2, ("c",))],
    ]


def test_a_result_is_recorded_with_all_that_was_said() -> None:
    master = working(Study())
    report = Finished(1, 0, 1, {"loss": 0.5, "size": 3.0}, saved=1)
    results = decisions(hear(master, 2, report, 3.0), Result)
    assert results == [Result(3.0, 1, 0, 1, 1, 2, {"loss": 0.5, "size": 3.0}, 1)]


def test_points_of_a_curve_are_recorded_whoever_sends_them() -> None:
    master = working(Study())
    points = [Point(1, {"loss": 0.9})]
    assert hear(master, 2, Progress(0, 0, 1, points), 1.0) == [Record(Curve(1.0, 0, 0, 1, points))]


def test_a_goodbye_calls_for_nothing() -> None:
    assert hear(working(Study()), 1, Goodbye()) == []


def test_a_promoted_trial_goes_on_from_its_newest_checkpoint() -> None:
    master = working(Study(ranks=1, eta=2, high=4, limit=2))
    hear(master, 1, Finished(0, 0, 1, {"loss": 0.5}, saved=1))
    order = orders(hear(master, 1, Finished(1, 0, 1, {"loss": 0.6}, saved=1)))[1]
    assert (order.trial, order.rung, order.resource, order.saved) == (0, 1, 2, 1)


def test_a_late_result_with_an_older_checkpoint_takes_nothing_back() -> None:
    master = working(Study(ranks=1, eta=2, high=4, limit=4))
    master.jobs.saved[0] = 3
    hear(master, 1, Finished(0, 0, 1, {"loss": 0.5}, saved=1))
    assert master.jobs.saved[0] == 3


def test_the_second_answer_to_a_job_is_not_recorded() -> None:
    master = working(Study(limit=2))
    hear(master, 1, Finished(0, 0, 1, {"loss": 0.5}))
    assert hear(master, 1, Finished(0, 0, 1, {"loss": 0.1})) == []
    assert master.jobs.incumbent is not None
    assert master.jobs.incumbent.loss == 0.5


FAILURES = [it for it in FailureKind if it not in {FailureKind.LOST, FailureKind.BAD_VALUE}]


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_of_any_kind_is_tried_again_as_often_as_may_be(kind: FailureKind) -> None:
    master = working(Study(ranks=1, failures=3, limit=1))
    for attempt in (1, 2):
        order = orders(hear(master, 1, failed(0, attempt, kind, f"no {attempt}")))[1]
        assert (order.trial, order.attempt) == (0, attempt + 1)
    commands = hear(master, 1, failed(0, 3, kind, "no 3"))
    said = Failure(0.0, 0, 0, 3, 1, kind, "no 3", final=True)
    assert commands == [Record(said), Discard(0), Leave(Outcome.COMPLETE)]


def test_what_says_the_same_twice_is_not_tried_a_third_time() -> None:
    master = working(Study(ranks=1, failures=9, limit=1))
    raised = FailureKind.EXCEPTION
    said = ["ValueError: no\n\nline 1", "KeyError: 1", "ValueError: no\n\nline 2"]
    for attempt, error in enumerate(said, start=1):
        assert orders(hear(master, 1, failed(0, attempt, raised, error)))
    commands = hear(master, 1, failed(0, 4, raised, "ValueError: no\n\nline 3"))
    assert commands[-1] == Leave(Outcome.COMPLETE)


def test_what_is_no_result_is_not_tried_again() -> None:
    master = working(Study(ranks=1, failures=9, limit=1))
    commands = hear(master, 1, failed(0, 1, FailureKind.BAD_VALUE, "it returned None"))
    assert commands[-1] == Leave(Outcome.COMPLETE)


def test_what_two_used_processes_say_is_not_the_same_twice() -> None:
    master = working(Study(ranks=1, failures=9, limit=1))
    for attempt in (1, 2, 3):
        said = failed(0, attempt, FailureKind.EXCEPTION, "no", used=True)
        assert orders(hear(master, 1, said))
    commands = hear(master, 1, failed(0, 4, FailureKind.EXCEPTION, "no"))
    assert commands[-1] == Leave(Outcome.COMPLETE)


def test_what_an_old_journal_says_of_failures_comes_out_as_it_did() -> None:
    """It has tracebacks without a summary, and says nothing of processes."""
    trace = "Traceback (most recent call last):\\n  line {}\\nValueError: {}"
    told = [
        trace.format(1, "at 0x7f01"),
        trace.format(2, "at 0x7f02"),
        trace.format(3, "at 0x7f02"),
    ]
    jobs = Study(ranks=1, failures=9, limit=1).jobs()
    for attempt, error in enumerate(told, start=1):
        assert jobs.hand_out(1, 0.0, may_start=True, able=1) is not None
        final = ',"final":true' if attempt == 3 else ""
        old = '{{"type":"failure","at":1.0,"trial":0,"rung":0,"attempt":{},"rank":1,{}{}}}'
        line = old.format(attempt, f'"kind":"exception","error":"{error}"', final)
        jobs.redo(DECODE(line))
    assert jobs.open == {}


def test_what_has_failed_is_tried_again_in_a_fresh_process_and_nothing_else_is() -> None:
    master = working(Study(ranks=1, failures=3, limit=2))
    again = orders(hear(master, 1, failed(0, 1)))[1]
    assert (again.trial, again.fresh) == (0, True)
    once_more = orders(hear(master, 1, failed(0, 2)))[1]
    assert (once_more.trial, once_more.fresh) == (0, True)
    other = orders(hear(master, 1, failed(0, 3)))[1]
    assert (other.trial, other.fresh) == (1, False)


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
    assert hear(master, 1, failed(attempt=1)) == []
    assert master.jobs.open[JobKey(0, 0)].failures == 1


def test_work_that_waits_goes_before_new_work() -> None:
    master = working(Study(ranks=1, limit=9))
    assert orders(hear(master, 1, failed()))[1].trial == 0
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
    assert Leave(Outcome.COMPLETE) not in hear(master, 1, Finished(0, 0, 1, {"loss": 0.5}))
    assert hear(master, 2, Finished(1, 0, 1, {"loss": 0.6}))[-1] == Leave(Outcome.COMPLETE)


def test_after_the_end_nothing_is_done() -> None:
    master = working(Study())
    drains = [Record(Draining(1.0, "signal")), Tell(1, Save()), Tell(2, Save())]
    assert master.handle(Drain("signal"), 1.0) == drains
    assert master.handle(Drain("another"), 1.0) == [Leave(Outcome.DRAINED)]
    assert hear(master, 1, Finished(0, 0, 1, {"loss": 0.5}), 2.0) == []
    assert hear(master, 1, Beat(), 2.0) == []
    assert master.handle(Drain("a third"), 3.0) == []
    assert master.handle(Tick(), 99.0) == []


def test_a_drain_without_jobs_is_over_at_once() -> None:
    commands = Study().master().handle(Drain("signal"), 0.0)
    assert commands == [Record(Draining(0.0, "signal")), Leave(Outcome.DRAINED)]


def test_a_drain_does_not_wait_for_lost_ranks() -> None:
    master = working(Study(ranks=2, limit=2, grace_s=99.0))
    for now in (4.0, 8.0):
        hear(master, 1, Beat(), now)
        master.handle(Tick(), now)
    hear(master, 1, Finished(0, 0, 1, {"loss": 0.5}), 9.0)
    assert master.handle(Drain("signal"), 9.0)[1:] == [Tell(2, Save())]
    hear(master, 1, Beat(), 9.9)
    said = master.handle(Tick(), 10.1)
    assert (type(said[0]), said[-1]) == (Record, Leave(Outcome.DRAINED))


def test_a_rank_that_comes_back_in_a_drain_is_asked_to_save_as_well() -> None:
    master = working(Study(ranks=2, limit=2, grace_s=99.0))
    for now in (4.0, 8.0, 10.1):
        hear(master, 1, Beat(), now)
        master.handle(Tick(), now)
    master.handle(Drain("signal"), 11.0)
    assert Tell(2, Save()) in hear(master, 2, Beat(), 12.0)


def test_a_suspended_job_goes_on_where_it_was_saved() -> None:
    study = Study(ranks=1, limit=1)
    master = working(study)
    master.handle(Drain("signal"), 1.0)
    said = hear(master, 1, Suspended(0, 0, 1, saved=7), 2.0)
    assert said == [Record(Suspension(2.0, 0, 0, 1, 1, 7)), Leave(Outcome.DRAINED)]
    again = study.master()
    again.jobs = master.jobs
    order = orders(hear(again, 1, Ready("host", 1)))[1]
    assert (order.trial, order.attempt, order.saved) == (0, 2, 7)


def test_a_suspension_that_nobody_waits_for_counts_for_nothing() -> None:
    master = working(Study(ranks=2))
    assert hear(master, 1, Suspended(0, 0, 2, saved=7)) == []
    assert hear(master, 2, Suspended(0, 0, 1, saved=7)) == []


def test_an_end_is_recorded_with_when_the_drain_begins() -> None:
    master = Study(grace_s=20.0).master()
    commands = master.handle(Due(100.0, 1.7e9), 3.0)
    assert commands == [Record(Deadline(3.0, 100.0, 100.0 - 20.0 - LEAVE_S, 1.7e9))]
    assert master.handle(Due(100.0, 1.7e9), 4.0) == []
    assert decisions(master.handle(Due(99.0, 1.7e9), 5.0), Deadline)
    assert decisions(master.handle(Due(99.0, 1.8e9), 6.0), Deadline)


def test_an_end_that_is_past_drains_at_once() -> None:
    master = working(Study(ranks=1, grace_s=20.0))
    recorded, draining, save, leave = master.handle(Due(1.0, 1.7e9), 4.0)
    assert recorded == Record(Deadline(4.0, 1.0, 1.0 - 20.0 - LEAVE_S, 1.7e9))
    assert draining == Record(Draining(4.0, NO_TIME))
    assert (save, leave) == (Tell(1, Save()), Leave(Outcome.DRAINED))


def test_the_second_who_asks_for_a_drain_that_began_by_itself_ends_it() -> None:
    master = working(Study(ranks=1, grace_s=20.0))
    assert master.handle(Due(35.0, 1.7e9), 5.0)[1:] == [
        Record(Draining(5.0, NO_TIME)),
        Tell(1, Save()),
    ]
    assert master.handle(Drain("signal"), 6.0) == []
    assert master.handle(Drain("another"), 7.0) == [Leave(Outcome.DRAINED)]


def test_what_took_long_on_a_rank_that_was_given_up_on_tells_no_duration() -> None:
    master = working(Study(ranks=2, limit=2))
    for now in (4.0, 8.0, 10.1):
        hear(master, 1, Beat(), now)
        master.handle(Tick(), now)
    hear(master, 1, Finished(0, 0, 1, {"loss": 0.5}), 11.0)
    assert master.jobs.open[JobKey(1, 0)].holder == 1
    hear(master, 2, Finished(1, 0, 1, {"loss": 0.6}), 12.0)
    assert master.jobs.time_left._durations[0] == [11.0]


def test_a_job_took_as_long_as_its_last_attempt() -> None:
    master = working(Study(ranks=1, limit=1, high=1))
    hear(master, 1, failed(), 5.0)
    hear(master, 1, Finished(0, 0, 2, {"loss": 0.5}), 7.0)
    assert master.jobs.time_left._durations == [[2.0]]


def test_once_a_job_was_suspended_all_are_begun_that_may_not_be_finished() -> None:
    study = Study(ranks=2, limit=9, high=1)
    master = working(study)
    hear(master, 1, Finished(0, 0, 1, {"loss": 0.5}), 30.0)
    master.handle(Drain("signal"), 31.0)
    hear(master, 2, Suspended(1, 0, 1, saved=1), 32.0)
    again = study.master(now=40.0)
    again.jobs = master.jobs
    again.jobs.redo(Started(40.0, "", "", "", 2))
    again.handle(Due(70.0, 1.7e9), 40.0)
    assert orders(hear(again, 1, Ready("host", 1), 41.0))


def test_a_study_is_complete_though_there_is_little_time() -> None:
    master = working(Study(ranks=1, limit=1, method="full"))
    master.handle(Due(50.0, 1.7e9), 1.0)
    hear(master, 1, failed(), 2.0)
    commands = hear(master, 1, Finished(0, 0, 2, {"loss": 0.5}), 30.0)
    assert commands[-1] == Leave(Outcome.COMPLETE)
    assert decisions(commands, Draining) == []


def test_no_more_jobs_are_in_work_than_may_be_and_who_comes_back_takes_a_place() -> None:
    master = working(Study(ranks=3, limit=9, max_concurrent=1))
    assert (master.jobs.held, list(master.roster.idle)) == (1, [2, 3])
    assert orders(hear(master, 1, Finished(0, 0, 1, {"loss": 0.5}), 1.0)).keys() == {2}
    for now in (4.0, 8.0, 11.1):
        hear(master, 1, Beat(), now)
        hear(master, 3, Beat(), now)
        commands = master.handle(Tick(), now)
    assert orders(commands).keys() == {3}
    assert orders(hear(master, 2, Beat(), 12.0)) == {}


def test_the_target_is_reached_by_what_is_as_good_at_the_highest_rung() -> None:
    master = working(Study(ranks=1, eta=2, high=2, target_loss=0.1))
    hear(master, 1, Finished(0, 0, 1, {"loss": 0.0}))
    order = orders(hear(master, 1, Finished(1, 0, 1, {"loss": 0.1})))[1]
    assert (order.trial, order.rung) == (0, 1)
    assert Leave(Outcome.COMPLETE) not in hear(master, 1, finished(order, 0.11))
    hear(master, 1, Finished(2, 0, 1, {"loss": 0.1}))
    order = orders(hear(master, 1, Finished(3, 0, 1, {"loss": 0.1})))[1]
    assert order.rung == 1
    assert hear(master, 1, finished(order, 0.1))[-1] == Leave(Outcome.COMPLETE)


def test_a_target_counts_from_its_resource_on() -> None:
    master = working(Study(ranks=1, eta=2, high=4, target_loss=0.1, target_resource=2))
    hear(master, 1, Finished(0, 0, 1, {"loss": 0.1}))
    order = orders(hear(master, 1, Finished(1, 0, 1, {"loss": 0.2})))[1]
    assert (order.rung, order.resource) == (1, 2)
    assert hear(master, 1, finished(order, 0.1))[-1] == Leave(Outcome.COMPLETE)


def test_the_target_is_reached_by_what_is_as_good() -> None:
    master = working(Study(target_loss=0.1, method="full"))
    assert Leave(Outcome.COMPLETE) not in hear(master, 1, Finished(0, 0, 1, {"loss": 0.11}))
    assert hear(master, 2, Finished(1, 0, 1, {"loss": 0.1}))[-1] == Leave(Outcome.COMPLETE)


def test_a_target_is_turned_with_the_mode() -> None:
    master = working(Study(mode="max", target_loss=-0.9, method="full"))
    assert Leave(Outcome.COMPLETE) not in hear(master, 1, Finished(0, 0, 1, {"score": 0.1}))
    assert hear(master, 2, Finished(1, 0, 1, {"score": 0.95}))[-1] == Leave(Outcome.COMPLETE)


def test_a_rank_that_can_not_load_its_objective_ends_nothing_while_others_may() -> None:
    text = [command_line(it) for it in hear(Study().master(), 1, Ready("host", 1))]
    assert text[1:] == [
        "record assigned trial 0 rung 0 attempt 1 rank 1",
        "tell rank 1: train trial 0 rung 0 attempt 1 to 1",
    ]


def journal(master: Master) -> list[Assigned]:
    """Have a rank given two jobs; return what was recorded of them."""
    assigned = decisions(hear(master, 1, Ready("host", 1)), Assigned)
    assigned += decisions(hear(master, 2, Ready("host", 2)), Assigned)
    return [it for it in assigned if isinstance(it, Assigned)]


def test_a_journal_that_can_not_be_derived_is_refused() -> None:
    first, second = journal(Study().master())
    for changed in (
        second,
        msgspec.structs.replace(first, attempt=2),
        msgspec.structs.replace(first, resource=2),
    ):
        with pytest.raises(ReplayError, match="can't be derived"):
            Study().jobs().redo(changed)


def test_the_configuration_that_was_tried_is_a_fact() -> None:
    study = Study(eta=2, high=4, limit=2)
    config: Config = {"x": 0.5}
    first = msgspec.structs.replace(journal(study.master())[0], config=config)
    jobs = study.jobs()
    jobs.redo(first)
    jobs.redo(Result(1.0, 0, 0, 1, 1, 1, {"loss": 0.5}))
    second = jobs.hand_out(1, 2.0, may_start=True, able=1)
    assert second is not None
    jobs.redo(Result(3.0, 1, 0, 1, 1, 1, {"loss": 0.6}))
    promoted = jobs.hand_out(1, 4.0, may_start=True, able=1)
    assert promoted is not None
    assert (promoted.trial, promoted.rung) == (0, 1)
    assert jobs.open[JobKey(0, 1)].job.config == config


def test_a_result_or_failure_without_its_job_is_refused() -> None:
    result = Result(1.0, 0, 0, 1, 1, 1, {"loss": 0.5})
    failure = Failure(1.0, 0, 0, 1, 1, FailureKind.CRASH, "")
    for decision in (result, failure):
        with pytest.raises(ReplayError, match="not open"):
            Study().jobs().redo(decision)


def test_a_failure_that_would_not_have_been_the_last_is_refused() -> None:
    first, _ = journal(Study().master())
    master = Study(failures=3).master()
    master.jobs.redo(first)
    with pytest.raises(ReplayError, match="final"):
        master.jobs.redo(Failure(1.0, 0, 0, 1, 1, FailureKind.CRASH, "", final=True))


def test_a_start_reopens_the_jobs_that_nobody_holds_any_more() -> None:
    master = working(Study(ranks=3))
    master.jobs.redo(Ended(4.0, Outcome.DRAINED, "signal"))
    master.jobs.redo(Started(5.0, "", "", "", 2))
    assert not master.jobs.interrupted
    assert list(master.jobs.waiting) == [JobKey(0, 0), JobKey(1, 0), JobKey(2, 0)]
    assert [opened.holder for opened in master.jobs.open.values()] == [None, None, None]


def test_a_journal_that_charges_nobody_for_an_end_without_a_word_is_derived() -> None:
    master = working(Study(ranks=3))
    master.jobs.redo(Started(5.0, "", "", "", 2))
    assert list(master.jobs.interrupted) == [JobKey(0, 0), JobKey(1, 0), JobKey(2, 0)]
    assert not master.jobs.waiting
    master.jobs.redo(Joined(6.0, 1, "host", 1))
    assert not master.jobs.interrupted
    assert list(master.jobs.waiting) == [JobKey(0, 0), JobKey(1, 0), JobKey(2, 0)]
    assert all(not opened.lost for opened in master.jobs.open.values())


def test_nobody_waits_for_checkpoints_that_a_complete_study_has_dropped() -> None:
    master = working(Study(ranks=2))
    hear(master, 1, Finished(0, 0, 1, {"loss": 0.5}, saved=1))
    master.jobs.redo(Ended(1.0, Outcome.DRAINED, ""))
    assert master.jobs.saved == {0: 1}
    master.jobs.redo(Ended(1.0, Outcome.COMPLETE, ""))
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
    commands = hear(master, 1, failed())
    hear(master, 2, Beat())
    assert [command.rank for command in commands if isinstance(command, Tell)] == [3]
    hear(master, 3, Finished(0, 0, 2, {"loss": 0.5}))
    master.handle(Tick(), 1.0)
    return idle.looks + workers.looks


@pytest.mark.parametrize("at", ["ask", "tell"])
def test_what_was_heard_is_kept_though_the_searcher_raises(at: str) -> None:
    raises_at = {"ask": 4, "tell": 3}[at]
    study = Study(ranks=2)
    master = study.master(searcher=Elsewhere(0, raises_at=raises_at))
    for rank in (1, 2):
        hear(master, rank, Ready("host", rank))
    result, draining, save = hear(master, 1, Finished(0, 0, 1, {"loss": 0.5}), 1.0)
    assert result == Record(Result(1.0, 0, 0, 1, 1, 1, {"loss": 0.5}))
    assert draining == Record(Draining(1.0, f"{RAISED} LookupError: as told"))
    assert save == Tell(2, Save())
    commands = hear(master, 2, Finished(1, 0, 1, {"loss": 0.6}), 2.0)
    assert commands == [Record(Result(2.0, 1, 0, 1, 1, 2, {"loss": 0.6})), Leave(Outcome.UNFIT)]


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
    hear(master, 1, Finished(1, 0, 1, {"loss": float("nan")}))
    hear(master, 1, Finished(2, 0, 1, {"loss": 0.5}))
    assert heard == [None, None, 0.5]


def test_a_decision_costs_the_same_however_many_ranks_are_idle() -> None:
    assert looks(8) == looks(800)
