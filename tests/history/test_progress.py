"""Laws of progress: the journal alone tells what the ranks do, and where each job is."""

from pathlib import Path

import pytest

from hpmpi.history.progress import Progress, RankState, Rung, state_of
from hpmpi.model.events import Event
from hpmpi.model.messages import FailureKind, Outcome
from hpmpi.model.records import (
    Assigned,
    Back,
    Deadline,
    Decision,
    Draining,
    Ended,
    Failure,
    Joined,
    Late,
    Lost,
    Refused,
    Result,
    Started,
    Suspension,
)
from hpmpi.model.trial import AttemptId, JobKey
from tests.harness.simulate import WORLDS, Simulation

START = Started(0.0, "", "", "cafe", 3, (1, 3))
ON_NODE1 = Joined(0.0, 1, "node1", 17)


def assigned(trial: int, rung: int = 0, attempt: int = 1, rank: int = 1) -> Assigned:
    """Hand a job out."""
    return Assigned(1.0, trial, rung, attempt, 3**rung, rank)


def result(trial: int, rung: int = 0, attempt: int = 1, rank: int = 1) -> Result:
    """Have a result come in."""
    return Result(2.0, trial, rung, attempt, 3**rung, rank, {"loss": 0.5})


def failure(trial: int, kind: FailureKind, *, final: bool = False) -> Failure:
    """Have the first attempt at a trial's first job fail on rank 1."""
    return Failure(2.0, trial, 0, 1, 1, kind, "", final=final)


def progress(*decisions: Decision) -> Progress:
    """Come to where decisions lead, after a start on three ranks."""
    made = Progress()
    for decision in (START, *decisions):
        made.add(decision)
    return made


def ranks(*decisions: Decision) -> dict[str, int]:
    """Count the ranks by state, where there are any."""
    return {each.value: number for each, number in progress(*decisions).ranks().items() if number}


def rung(made: Progress, number: int = 0) -> Rung:
    """Look at a rung of a run that goes on."""
    return made.rungs(going_on=True)[number]


def test_a_rank_is_awaited_until_it_joins() -> None:
    assert ranks() == {"awaited": 3}
    assert ranks(ON_NODE1) == {"idle": 1, "awaited": 2}


def test_a_rank_is_busy_until_it_answers() -> None:
    assert ranks(ON_NODE1, assigned(0)) == {"busy": 1, "awaited": 2}
    saved = Suspension(2.0, 0, 0, 1, 1, 1)
    late = Late(2.0, 0, 0, 1, 1)
    for answer in (result(0), failure(0, FailureKind.TIME), saved, late):
        assert ranks(ON_NODE1, assigned(0), answer) == {"idle": 1, "awaited": 2}


def test_the_answer_of_an_older_attempt_frees_nobody_else() -> None:
    done = (ON_NODE1, Joined(0.0, 2, "node2", 18), assigned(0), assigned(0, attempt=2, rank=2))
    assert ranks(*done, result(0, rank=1)) == {"busy": 1, "idle": 1, "awaited": 1}


def test_a_lost_rank_that_comes_back_still_has_its_job() -> None:
    lost = (ON_NODE1, assigned(0), Lost(2.0, 1), failure(0, FailureKind.LOST))
    assert ranks(*lost) == {"awaited": 2, "lost": 1}
    back = Back(3.0, 1, AttemptId(JobKey(0, 0), 1))
    assert ranks(*lost, back) == {"busy": 1, "awaited": 2}
    assert ranks(*lost, back, Late(4.0, 0, 0, 1, 1)) == {"idle": 1, "awaited": 2}


def test_a_rank_that_can_not_load_the_objective_is_unfit() -> None:
    refused = Refused(0.0, 2, "node2", "no such module")
    assert ranks(refused) == {"awaited": 2, "unfit": 1}
    made = progress(ON_NODE1, refused, Lost(5.0, 3))
    assert made.ranks_that_are(RankState.UNFIT) == [2]
    assert made.ranks_that_are(RankState.LOST) == [3]
    assert made.hosts == {1: "node1", 2: "node2"}


def test_a_start_knows_nothing_of_the_ranks_before_it() -> None:
    again = Started(9.0, "", "", "beef", 2, (1, 3))
    told = (ON_NODE1, assigned(0), Deadline(1.0, 9.0, 8.0, 1e9), Draining(1.0, "SIGTERM"))
    made = progress(*told, Ended(2.0, Outcome.DRAINED, "SIGTERM"), again)
    assert made.ranks()[RankState.AWAITED] == 2
    assert made.hosts == {}
    assert (made.deadline, made.draining) == (None, None)
    assert (rung(made).running, rung(made).waiting) == (0, 1)


def test_the_newest_deadline_counts() -> None:
    earlier, later = Deadline(1.0, 9.0, 8.0, 1e9), Deadline(2.0, 99.0, 98.0, 1e9 + 90)
    assert progress(earlier, later).deadline == later


def test_a_rung_has_as_many_jobs_as_were_begun() -> None:
    made = progress(
        *(ON_NODE1, assigned(0), result(0), assigned(0, rung=1), result(0, rung=1)),
        *(assigned(1), failure(1, FailureKind.TIME, final=True)),
        *(assigned(2), failure(2, FailureKind.TIME), assigned(3)),
    )
    assert rung(made) == Rung(0, 1, running=1, waiting=1, results=1, given_up=1, promoted=1)
    assert rung(made, 1) == Rung(1, 3, running=0, waiting=0, results=1, given_up=0, promoted=0)


def test_where_nobody_goes_on_no_job_is_running() -> None:
    [first, _] = progress(ON_NODE1, assigned(0)).rungs(going_on=False)
    assert (first.running, first.waiting) == (0, 1)


class Observed(Simulation):
    """A simulation in which the journal's progress is compared with the master's own books."""

    counted: int
    progress: Progress

    def handle(self, event: Event) -> None:
        """Compare after each event."""
        super().handle(event)
        for decision in self.decisions[self.counted :]:
            self.progress.add(decision)
        self.counted = len(self.decisions)
        opened = self.master.jobs.open
        held = {key for key, it in opened.items() if it.holder is not None}
        assert self.progress._newest == {key: it.attempts for key, it in opened.items()}
        assert self.progress._running == held
        for state in RankState:
            found = [it for it in self.master.roster.workers.values() if state_of(it) is state]
            assert self.progress.ranks()[state] == len(found)

    def _start(self) -> None:
        self.counted, self.progress = 0, Progress()
        super()._start()


@pytest.mark.parametrize("world", WORLDS)
def test_the_journal_tells_what_the_master_knows(world: str, tmp_path: Path) -> None:
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        assert Observed(WORLDS[world], seed, folder).run() is not None
