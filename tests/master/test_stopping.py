"""When it is enough: of resource, or of trials that bring nothing better."""

import pytest

from hpmpi.master.master import Master
from hpmpi.master.rules import Plateau, Rules
from hpmpi.master.tally import Tally
from hpmpi.model.events import Drain, Heard
from hpmpi.model.messages import (
    Cancelled,
    Finished,
    Outcome,
    Point,
    Progress,
    Ready,
    Report,
    Suspended,
)
from hpmpi.model.records import Assigned, Decision, Ended
from hpmpi.model.trial import BASELINE, AttemptId
from tests.harness.build import Study


def hear(master: Master, rank: int, report: Report) -> list[Decision]:
    """Let a report come in; return what is decided."""
    entry = master.handle(Heard(rank, report), 0.0).entry
    return [] if entry is None else list(entry.decisions)


def working(study: Study) -> Master:
    """Start a study whose ranks all have a job: rank 1 has trial 0, and so on."""
    master = study.master()
    for rank in master.roster.workers:
        hear(master, rank, Ready("host", rank))
    return master


def finish(master: Master, rank: int, loss: float, saved: int = 0) -> list[Decision]:
    """Let a rank come to the end of what it has in work."""
    held = master.roster.workers[rank].held
    assert held is not None
    return hear(master, rank, Finished(held, {"loss": loss}, saved))


def begins(decisions: list[Decision]) -> bool:
    return any(isinstance(it, Assigned) for it in decisions)


def test_when_all_is_spent_nothing_begins_and_what_is_in_work_may_end() -> None:
    master = working(Study(ranks=2, method="full", high=9, limit=None, max_resource_total=18))
    assert begins(finish(master, 1, 0.5))
    assert not begins(finish(master, 2, 0.5))
    assert master.outcome is None
    last = finish(master, 1, 0.5)
    assert last[-1] == Ended(Outcome.COMPLETE, "of max_resource_total = 18, 27 is spent")


def test_what_a_checkpoint_had_is_not_spent_again() -> None:
    for saved, spent in ((1, 3 + 2), (0, 3 + 3)):
        master = working(Study(ranks=1, high=9, eta=3))
        for _ in range(3):
            finish(master, 1, 0.5, saved)
        assert master.roster.workers[1].held == AttemptId(0, 1, 1)
        finish(master, 1, 0.5, saved and 3)
        assert master.jobs.tally.resource == spent


def test_a_suspension_has_spent_what_it_saved_and_its_job_the_rest() -> None:
    study = Study(ranks=1, method="full", high=9, limit=1)
    master = working(study)
    master.handle(Drain("signal"), 0.0)
    hear(master, 1, Suspended(AttemptId(0, 0, 1), saved=7))
    assert master.jobs.tally.resource == 7
    again = study.master()
    again.jobs = master.jobs
    hear(again, 1, Ready("host", 1))
    finish(again, 1, 0.5)
    assert again.jobs.tally.resource == 9


def test_a_drain_of_a_study_that_has_enough_is_complete() -> None:
    study = Study(ranks=2, method="full", high=9, max_resource_total=9, grace_s=0.0)
    master = working(study)
    finish(master, 1, 0.5)
    entry = master.handle(Drain("signal"), 1.0).entry
    assert entry is not None
    assert entry.decisions[-1] == Ended(Outcome.COMPLETE, "signal")


def test_what_waits_is_not_begun_when_it_is_enough() -> None:
    study = Study(ranks=1, method="full", high=9, limit=1, max_resource_total=5)
    master = working(study)
    master.handle(Drain("signal"), 0.0)
    last = hear(master, 1, Suspended(AttemptId(0, 0, 1), saved=5))
    assert last[-1] == Ended(Outcome.COMPLETE, "signal")


def losses(*values: float, rung: int = 0) -> Tally:
    """Have trials come to their first results."""
    tally = Tally()
    for loss in values:
        tally.trials += 1
        tally.compare(rung, loss)
    return tally


NO_NUMBER = float("inf")


@pytest.mark.parametrize(
    ("values", "flat"),
    [
        ([0.5], False),
        ([0.5, 0.5], False),
        ([0.5, 0.5, 0.6], True),
        ([0.5, 0.6, 0.4], False),
        ([0.5, 0.45, 0.4375], True),
        ([0.5, 0.4, 0.4, 0.5], True),
        ([0.5, 0.4375, 0.375, 0.3125], False),
        ([NO_NUMBER, NO_NUMBER, NO_NUMBER], False),
        ([0.5, NO_NUMBER, NO_NUMBER], True),
        ([NO_NUMBER, 0.5, 0.5], False),
        ([NO_NUMBER, 0.5, 0.5, NO_NUMBER], True),
    ],
)
def test_a_plateau_is_that_the_newest_trials_bring_nothing_better(
    values: list[float], *, flat: bool
) -> None:
    rules = Rules(plateau=Plateau(2, 0.0625))
    assert bool(rules.enough(losses(*values), top=0)) == flat


def test_what_comes_to_a_rung_late_is_better_all_the_same() -> None:
    rules = Rules(plateau=Plateau(2))
    tally = losses(0.5, 0.5, 0.5, rung=1)
    assert rules.enough(tally, top=1)
    tally.compare(1, 0.25)
    assert not rules.enough(tally, top=1)


def test_only_the_highest_rung_can_be_flat() -> None:
    rules = Rules(plateau=Plateau(2))
    tally = losses(0.5, 0.5, 0.5)
    assert not rules.enough(tally, top=1)
    tally.compare(1, 0.5)
    assert not rules.enough(tally, top=1)
    tally.trials += 2
    assert rules.enough(tally, top=1)
    assert not rules.enough(tally, top=2)  # pasha has another rung now


def test_a_plateau_that_was_none_goes_on() -> None:
    study = Study(ranks=3, method="full", high=1, limit=None, plateau=Plateau(2))
    master = working(study)
    finish(master, 1, 0.5)
    finish(master, 2, 0.5)
    assert not begins(finish(master, 3, 0.5))
    assert master.outcome is None
    decided = finish(master, 1, 0.25)
    assert sum(isinstance(it, Assigned) for it in decided) == 2


def test_trials_that_are_stopped_count_and_those_given_up_do_not() -> None:
    study = Study(ranks=1, method="stopping", high=1, limit=None, plateau=Plateau(2))
    master = working(study)
    finish(master, 1, 0.5)
    for trial in (1, 2):
        attempt = AttemptId(trial, 0, 1)
        hear(master, 1, Progress(attempt, [Point(1, {"loss": 0.9})]))
        assert master.jobs.tally.trials == trial + 1
        hear(master, 1, Cancelled(attempt))
    assert master.outcome is Outcome.COMPLETE


def test_a_trial_counts_once_at_however_many_rungs_it_has_results() -> None:
    master = working(Study(ranks=1, eta=2, high=4, limit=2))
    for counted in (1, 2, 2):
        finish(master, 1, 0.5)
        assert master.jobs.tally.trials == counted


def test_what_is_no_number_is_no_record_of_a_rung_that_nobody_had_come_to() -> None:
    tally = losses(0.5)
    tally.compare(1, NO_NUMBER)
    assert [record.rung for record in tally.records] == [0]


def test_the_baseline_spends_nothing() -> None:
    master = working(Study(ranks=1, method="full", high=9, limit=1, baseline=9))
    attempt = AttemptId(BASELINE, 0, 1)
    assert master.roster.workers[1].held == attempt
    hear(master, 1, Suspended(attempt, saved=7))
    finish(master, 1, 0.5)
    assert (master.jobs.tally.resource, master.jobs.tally.trials) == (0, 0)
