"""The journal alone tells what the ranks do, and where each job is."""

from hpmpi.history.attempts import Fate
from hpmpi.history.history import History
from hpmpi.history.ranks import RankState
from hpmpi.history.rungs import RungCounts
from hpmpi.master.retries import NO_WORD
from hpmpi.master.time_left import AllocationEnd
from hpmpi.model.events import Interrupted, Silent
from hpmpi.model.messages import FailureKind, Outcome, Point
from hpmpi.model.records import Failure, Line, Suspension, Unqueued
from hpmpi.model.trial import BASELINE, AttemptId
from tests.harness.histories import (
    assigned,
    back,
    deadline,
    draining,
    ended,
    entry,
    failure,
    late,
    lost,
    ready,
    result,
    returned,
    started,
    stopped,
    suspension,
    unfit,
)
from tests.harness.histories import history as told

ON_NODE1 = ready(1)


def history(*lines: Line) -> History:
    """Come to where lines lead, after a start on three ranks."""
    return told(*lines, ranks=3, rungs=[1, 3])


def ranks(*lines: Line) -> dict[str, int]:
    """Count the ranks by state, where there are any."""
    counts = history(*lines).ranks.counts()
    return {state.value: number for state, number in counts.items() if number}


def test_a_rank_is_awaited_until_it_joins() -> None:
    assert ranks() == {"awaited": 3}
    assert ranks(ON_NODE1) == {"idle": 1, "awaited": 2}


def test_a_rank_is_busy_until_it_answers() -> None:
    assert ranks(ON_NODE1, assigned(0)) == {"busy": 1, "awaited": 2}
    for answer in (result(0, 0.5), failure(0), suspension(0, 1), late(0)):
        assert ranks(ON_NODE1, assigned(0), answer) == {"idle": 1, "awaited": 2}


def test_what_is_queued_begins_when_its_rank_has_answered() -> None:
    lines = (ON_NODE1, assigned(0, at=1.0), assigned(1, at=1.5, queued=True))
    waits = history(*lines).attempts[AttemptId(1, 0, 1)]
    assert (waits.fate, waits.took_s(9.0)) == (Fate.QUEUED, 0.0)
    run = history(*lines, result(0, 0.5, at=4.0))
    first, second = run.attempts.values()
    assert (first.begun, first.ended) == (1.0, 4.0)
    assert (second.fate, second.begun) == (Fate.OPEN, 4.0)
    assert run.ranks.known[1].held is second
    assert ranks(*lines, result(0, 0.5), result(1, 0.5)) == {"idle": 1, "awaited": 2}


def test_what_was_queued_and_is_given_back_took_no_time() -> None:
    lines = (ON_NODE1, assigned(0, at=1.0), assigned(1, at=1.5, queued=True))
    cut = history(*lines, ended(Outcome.DRAINED, at=9.0))
    gone = entry(8.0, Silent((1,)), Unqueued(AttemptId(1, 0, 1)))
    for run in (history(*lines, returned(1, at=8.0)), history(*lines, gone), cut):
        attempt = run.attempts[AttemptId(1, 0, 1)]
        assert (attempt.fate, attempt.took_s(9.0)) == (Fate.RETURNED, 0.0)
    assert next((it.waiting, it.running) for it in history(*lines).rungs()) == (1, 1)


def test_a_rank_whose_trial_was_stopped_is_busy_until_it_says_so() -> None:
    lines = (ON_NODE1, assigned(0), stopped(0, Point(1, {"loss": 1.0}), at=2.0))
    assert ranks(*lines) == {"busy": 1, "awaited": 2}
    run = history(*lines, late(0, at=4.0))
    assert run.ranks.counts()[RankState.IDLE] == 1
    [attempt] = run.attempts.values()
    assert (attempt.fate, attempt.ended) == (Fate.STOPPED, 4.0)


def test_the_answer_of_an_older_attempt_frees_nobody_else() -> None:
    lines = (ON_NODE1, ready(2), assigned(0), failure(0), assigned(0, number=2, rank=2))
    assert ranks(*lines, result(0, 0.5)) == {"busy": 1, "idle": 1, "awaited": 1}


def test_a_lost_rank_that_comes_back_still_has_its_job() -> None:
    lines = (ON_NODE1, assigned(0), lost(1, (0, 0, 1)))
    assert ranks(*lines) == {"awaited": 2, "lost": 1}
    again = back(1, (0, 0, 1))
    assert ranks(*lines, again) == {"busy": 1, "awaited": 2}
    assert history(*lines, again).rungs()[0].running == 1
    assert ranks(*lines, again, late(0)) == {"idle": 1, "awaited": 2}


def test_a_rank_that_can_not_load_the_objective_is_unfit() -> None:
    refused = unfit(2, "no such module")
    assert ranks(refused) == {"awaited": 2, "unfit": 1}
    run = history(ON_NODE1, refused, lost(3))
    assert run.ranks.in_state(RankState.UNFIT) == {2: "node2"}
    assert run.ranks.in_state(RankState.LOST) == {3: ""}
    assert run.ranks.in_state(RankState.IDLE) == {1: "node1"}
    assert run.refusal == "no such module"


def test_a_start_knows_nothing_of_the_ranks_before_it() -> None:
    again = started(9.0, ranks=2, rungs=[1, 3], start="beef")
    lines = (ON_NODE1, assigned(0), deadline(9.0, 1e9, 8.0), draining("SIGTERM"))
    run = history(*lines, ended(Outcome.DRAINED), again)
    assert run.ranks.counts()[RankState.AWAITED] == 2
    assert run.ranks.known == {}
    assert (run.deadline, run.draining, run.outcome) == (None, None, None)
    assert (run.rungs()[0].running, run.rungs()[0].waiting) == (0, 1)


def test_what_was_in_work_when_a_start_died_is_cut_off_until_it_is_known_what_came_of_it() -> None:
    lines = (ON_NODE1, assigned(0), started(9.0, ranks=3, rungs=[1, 3], start="beef"))
    [attempt] = history(*lines).attempts.values()
    assert (attempt.fate, attempt.ended) == (Fate.CUT, 9.0)
    saved = entry(9.5, Interrupted({0: 1}), Suspension(attempt.id, 1))
    [attempt] = history(*lines, saved).attempts.values()
    assert (attempt.fate, attempt.ended, attempt.saved) == (Fate.SAVED, 9.5, 1)
    charged = entry(9.5, Interrupted({}), Failure(attempt.id, FailureKind.LOST))
    run = history(*lines, charged)
    assert [failed.error for failed in run.failures] == [NO_WORD]
    assert [attempt.fate for attempt in run.attempts.values()] == [Fate.LOST]


def test_the_newest_deadline_counts() -> None:
    run = history(deadline(9.0, 1e9, 8.0), deadline(99.0, 1e9 + 90, 98.0))
    assert run.deadline == AllocationEnd(99.0, 1e9 + 90, 98.0)


def test_a_note_is_told_once_whichever_rank_says_it() -> None:
    run = history(ready(1, "n", "blanks", "few rows"), ready(2, "n", "few rows"))
    assert list(run.notes) == ["blanks", "few rows"]


def test_a_rung_has_as_many_jobs_as_were_begun() -> None:
    run = history(
        *(ON_NODE1, assigned(0), result(0, 0.5), assigned(0, 1), result(0, 0.5, 1)),
        *(assigned(1), failure(1, FailureKind.TIME, final=True)),
        *(assigned(2), failure(2, FailureKind.TIME), assigned(3)),
        *(assigned(4, rank=2), stopped(4, rank=2)),
    )
    zero = RungCounts(0, 1, running=1, waiting=1, results=1, given_up=1, stopped=1, promoted=1)
    assert run.rungs() == [zero, RungCounts(1, 3, results=1)]


def test_what_begins_at_a_higher_rung_was_not_promoted() -> None:
    run = history(assigned(0, 1, config={"x": 1}), result(0, 0.5, 1), assigned(0, 3))
    assert run.rungs()[0] == RungCounts(0, 1)
    assert run.rungs()[1] == RungCounts(1, 3, results=1, promoted=1)
    assert run.rungs()[2] == RungCounts(3, 27, running=1)


def test_the_baseline_is_in_no_rung_and_its_rank_is_busy() -> None:
    run = history(ON_NODE1, assigned(BASELINE))
    assert run.rungs() == [RungCounts(0, 1), RungCounts(1, 3)]
    assert run.ranks.counts()[RankState.BUSY] == 1


def test_where_nobody_goes_on_no_job_is_running() -> None:
    [first, _] = history(ON_NODE1, assigned(0)).rungs(going_on=False)
    assert (first.running, first.waiting) == (0, 1)
