"""The judgement of an end, line by line."""

import signal

import pytest

from hpmpi.launch.judgement import MOST_BARREN, Ending, Judgement, ending, verdict
from hpmpi.leader.run import NO_WORLD, TRY_AGAIN
from hpmpi.model.messages import Outcome
from hpmpi.storage.run_folder import UNWRITTEN, RunStatus
from hpmpi.worker.entry import BAD_INPUT

BEFORE = RunStatus("s1", "complete")
NONE_YET = RunStatus("", "")
INTERRUPT, NOTICE = signal.SIGINT, signal.SIGUSR1


@pytest.mark.parametrize(
    ("after", "code", "comes_to"),
    [
        pytest.param(BEFORE, BAD_INPUT, Ending.UNFIT, id="refused"),
        pytest.param(BEFORE, TRY_AGAIN, Ending.LOST, id="did-not-meet"),
        pytest.param(BEFORE, NO_WORLD, Ending.APART, id="apart"),
        pytest.param(BEFORE, 0, Ending.LOST, id="never-began"),
        pytest.param(BEFORE, None, Ending.LOST, id="never-began-and-was-ended"),
        pytest.param(RunStatus("s2", "running"), 0, Ending.LOST, id="aborted-with-0"),
        pytest.param(RunStatus("s2", "running"), None, Ending.LOST, id="silent"),
        pytest.param(RunStatus("s2", "running"), BAD_INPUT, Ending.LOST, id="killed"),
        pytest.param(RunStatus("s2", "running"), NO_WORLD, Ending.LOST, id="killed-with-69"),
        pytest.param(RunStatus("s2", "running"), TRY_AGAIN, Ending.DRAINED, id="disk-full"),
        pytest.param(RunStatus("s2", "drained"), 137, Ending.DRAINED, id="drained-with-137"),
        pytest.param(RunStatus("s2", "complete"), 137, Ending.COMPLETE, id="complete-with-137"),
        pytest.param(RunStatus("s2", "complete"), None, Ending.COMPLETE, id="complete-and-stays"),
        pytest.param(RunStatus("s2", UNWRITTEN), 73, Ending.COMPLETE, id="without-results-file"),
        pytest.param(RunStatus("s2", "failed"), 0, Ending.FAILED, id="failed"),
        pytest.param(RunStatus("s2", "unfit"), 0, Ending.UNFIT, id="unfit"),
        pytest.param(RunStatus("s2", "deserted"), 0, Ending.DESERTED, id="deserted"),
        pytest.param(RunStatus("s2", "nonsense"), 0, Ending.LOST, id="nonsense"),
    ],
)
def test_the_status_says_how_ranks_have_ended_whatever_their_launcher_says(
    after: RunStatus, code: int | None, comes_to: Ending
) -> None:
    assert ending(BEFORE, after, code) is comes_to


def test_a_folder_without_a_start_is_like_any_other() -> None:
    assert ending(NONE_YET, NONE_YET, 0) is Ending.LOST
    assert ending(NONE_YET, RunStatus("s1", "drained"), 0) is Ending.DRAINED


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_an_ending_of_its_name(outcome: Outcome) -> None:
    assert ending(BEFORE, RunStatus("s2", outcome.value), 1).value == outcome.value


@pytest.mark.parametrize("came_to", [Ending.COMPLETE, Ending.FAILED, Ending.UNFIT])
@pytest.mark.parametrize("signals", [(), (INTERRUPT,), (NOTICE,)])
@pytest.mark.parametrize("barren", [0, MOST_BARREN])
def test_what_another_start_would_not_change_is_the_end(
    came_to: Ending, signals: tuple[signal.Signals, ...], barren: int
) -> None:
    assert verdict(came_to, signals, barren) is Judgement.DONE


@pytest.mark.parametrize(
    ("came_to", "signals", "barren", "what"),
    [
        (Ending.LOST, [], 0, Judgement.START_AGAIN),
        (Ending.LOST, [], MOST_BARREN - 1, Judgement.START_AGAIN),
        (Ending.LOST, [], MOST_BARREN, Judgement.GIVE_UP),
        (Ending.LOST, [NOTICE], 0, Judgement.REQUEUE),
        (Ending.LOST, [NOTICE], MOST_BARREN, Judgement.GIVE_UP),
        (Ending.LOST, [INTERRUPT], MOST_BARREN, Judgement.INTERRUPTED),
        (Ending.DESERTED, [], 0, Judgement.START_AGAIN),
        (Ending.DESERTED, [], MOST_BARREN, Judgement.GIVE_UP),
        (Ending.DESERTED, [NOTICE], 0, Judgement.REQUEUE),
        (Ending.DRAINED, [], 0, Judgement.REQUEUE),
        (Ending.DRAINED, [], MOST_BARREN, Judgement.GIVE_UP),
        (Ending.DRAINED, [NOTICE], 0, Judgement.REQUEUE),
        (Ending.DRAINED, [NOTICE, INTERRUPT], 0, Judgement.INTERRUPTED),
        (Ending.APART, [], 0, Judgement.GIVE_UP),
        (Ending.APART, [NOTICE], 0, Judgement.GIVE_UP),
        (Ending.APART, [INTERRUPT], 0, Judgement.INTERRUPTED),
    ],
)
def test_what_follows_from_an_ending(
    came_to: Ending, signals: list[signal.Signals], barren: int, what: Judgement
) -> None:
    assert verdict(came_to, signals, barren) is what
