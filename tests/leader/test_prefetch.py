"""What a searcher beside rank 0 is asked for, and when."""

from collections import deque
from random import Random

import pytest

from hpmpi.leader.prefetch import UNUSED, Ahead
from hpmpi.master.searchers import LATER
from hpmpi.model.trial import Config


def answer(ahead: Ahead, *trials: int) -> None:
    """Answer the oldest questions."""
    for trial in trials:
        ahead.hear({"x": trial})


def told(ahead: Ahead, results: int) -> None:
    """Have so many results come."""
    for _ in range(results):
        ahead.learn(1)


def test_nothing_is_asked_for_before_anything_is_needed() -> None:
    assert list(Ahead(4, 4).asks()) == []


def test_one_is_thought_of_ahead_and_never_asked_for_again() -> None:
    ahead = Ahead()
    assert ahead.take(3) is None
    assert list(ahead.asks()) == [3]
    answer(ahead, 3)
    told(ahead, 1000)
    assert list(ahead.asks(soon=True)) == []
    assert ahead.take(3) == (3, {"x": 3}, 0)
    assert list(ahead.asks()) == [4]


def test_as_many_are_thought_of_as_begin_while_half_of_what_they_may_miss_comes() -> None:
    ahead = Ahead(16, 16)
    ahead.take(64)  # at once, when there are as many ranks
    assert list(ahead.asks()) == [*range(64, 80)]
    ahead = Ahead(16, 16)
    told(ahead, 300)
    ahead.take(200)  # of three results two begin trials
    assert list(ahead.asks()) == [*range(200, 205)]


def test_what_is_too_late_is_asked_for_again_and_what_comes_of_the_question_before_is_void() -> (
    None
):
    ahead = Ahead(4, 2)
    ahead.take(10)
    told(ahead, 10)
    assert list(ahead.asks()) == [10]
    answer(ahead, 10)
    ahead.take(10)
    assert list(ahead.asks()) == [11]
    told(ahead, 2)
    assert list(ahead.asks()) == [], "the last that is in time"
    told(ahead, 1)
    assert ahead.take(11) is None
    assert list(ahead.asks()) == [11]
    ahead.hear({"x": -1})
    assert ahead.take(11) is None
    answer(ahead, 11)
    assert ahead.take(11) == (11, {"x": 11}, 13)


def test_what_would_be_too_late_soon_is_asked_for_again_while_nobody_waits_but_not_for_ever() -> (
    None
):
    ahead = Ahead(1, 1)
    ahead.take(0)
    assert list(ahead.asks()) == [0]
    answer(ahead, 0)
    again = 0
    for _ in range(10):
        told(ahead, 1)
        for trial in ahead.asks(soon=True):
            again += 1
            answer(ahead, trial)
    assert again == UNUSED
    assert ahead.take(0) is None
    assert list(ahead.asks()) == [0]


def test_who_waits_for_results_is_asked_again_when_it_has_learnt_more() -> None:
    ahead = Ahead(8, 8)
    ahead.take(1)
    assert list(ahead.asks()) == [*range(1, 9)]
    answer(ahead, 1, 2)
    ahead.hear(LATER)
    assert ahead.waits
    assert list(ahead.asks()) == []
    for _ in range(5):
        ahead.hear(LATER)
    ahead.learn(0)
    assert not ahead.waits
    assert list(ahead.asks()) == [*range(3, 9)]


def test_after_the_end_nothing_is_asked_for() -> None:
    ahead = Ahead(2, 8)
    ahead.take(5)
    assert list(ahead.asks()) == [5, 6]
    ahead.hear(None)
    ahead.hear(None)
    assert ahead.take(5) == (5, None, 0)
    assert list(ahead.asks()) == []


@pytest.mark.parametrize("seed", range(200))
def test_whatever_comes_when_suggestions_are_in_order_the_newest_and_not_too_late(
    seed: int,
) -> None:
    random = Random(seed)  # noqa: S311
    most, behind = random.randint(1, 8), random.randint(1, 8)
    ahead, questions = Ahead(most, behind), deque[tuple[int, int]]()
    newest: dict[int, Config] = {}
    trial = results = serial = 0
    for _ in range(300):
        soon = random.random() < 0.3
        match random.choice(["take", "take", "learn", "answer", "answer", "look"]):
            case "take":
                thought = ahead.take(trial)
                if thought is not None:
                    assert thought.config == newest[trial]
                    assert results - thought.after <= behind
                    trial += 1
            case "learn":
                results += 1
                ahead.learn(1)
            case "answer" if questions:
                asked, number = questions.popleft()
                ahead.hear({"x": number})
                assert ahead.thinks == bool(questions), asked
                continue
            case _:
                pass
        for asked in ahead.asks(soon=soon):
            serial += 1
            questions.append((asked, serial))
            newest[asked] = {"x": serial}
        assert len(ahead._ready) + len(ahead._asked) - ahead._void <= most
    assert trial > 10
