"""What is said of a trial that was tried: whether a rung has gone on from the one below."""

import pytest

from hpmpi.leader.findings import goes_on, of_rung, pace
from hpmpi.leader.rehearsal import TriedRung
from hpmpi.model.messages import Answer, Failed, FailureKind, Finished, Point
from hpmpi.model.trial import AttemptId, Goal

ID = AttemptId(0, 0, 1)


def tried(  # noqa: PLR0913 - all that a rung is
    start: int = 0,
    resource: int = 3,
    *,
    answer: Answer = Finished(ID, {"loss": 0.5}),  # noqa: B008 - frozen
    reported: tuple[int, ...] = (),
    saved: tuple[int, ...] = (),
    read: bool | None = None,
    took_s: float = 6.0,
) -> TriedRung:
    """Try a rung."""
    points = [Point(at, {"loss": 1.0}) for at in reported]
    return TriedRung(start, resource, answer, took_s, points, dict.fromkeys(saved, 2000), read)


FIRST = tried(saved=(3,))


@pytest.mark.parametrize(
    ("first", "second", "goes", "said"),
    [
        (tried(), tried(0, 9), False, "no: the first rung saved no checkpoint"),
        (FIRST, tried(3, 9, read=False), False, "no: no file of the checkpoint was read"),
        (FIRST, tried(3, 9, read=True), True, "yes: the checkpoint at 3 was read"),
        (FIRST, tried(3, 9, read=True, reported=(4, 9)), True, "what was reported is beyond it"),
        (FIRST, tried(3, 9, read=True, reported=(3, 9)), False, "no: 3 was reported again"),
        (FIRST, tried(3, 9, read=True, reported=(1, 9)), False, "no: 1 was reported again"),
        (FIRST, tried(3, 9), True, "that can't be seen here; the checkpoint at 3 was there"),
        (FIRST, tried(3, 9, reported=(2,)), False, "no: 2 was reported again"),
    ],
)
def test_a_rung_has_gone_on_that_read_the_checkpoint_and_did_nothing_again(
    first: TriedRung,
    second: TriedRung,
    goes: bool,  # noqa: FBT001
    said: str,
) -> None:
    verdict, why = goes_on(first, second)
    assert verdict is goes
    assert said in why


def test_the_paces_are_told_beside_each_other() -> None:
    assert pace(FIRST, tried(3, 9, took_s=13.0)) == (
        "by the pace of the first rung, 6 more take 12 s, and all 9 from 0 18 s: it took 13 s"
    )


def test_what_a_rung_came_to_is_told() -> None:
    rung = tried(3, 9, saved=(4, 9), reported=(4, 5, 9))
    assert of_rung(rung, Goal("loss", "min"), None) == [
        "came back: loss 0.5; loss is studied, and less is better",
        "saved 2 checkpoints: at 4 (2 kB), at 9 (2 kB); reported 3 points",
        "took 6 s: 1 s for each of 6",
    ]


def test_what_no_run_would_take_is_told() -> None:
    no_number = Finished(ID, {"loss": float("nan")})
    assert (
        "is no number that counts" in of_rung(tried(answer=no_number), Goal("loss", "max"), 9.0)[0]
    )
    assert of_rung(tried(), Goal("loss", "max"), 5.0)[-1].startswith(
        "that is more than trial_time_s = 5"
    )
    failed = Failed(ID, FailureKind.EXCEPTION, "ValueError: no\n\nTraceback")
    said = of_rung(tried(answer=failed), Goal("loss", "min"), None)
    assert said == ["came to nothing: exception: ValueError: no", "took 6 s"]
