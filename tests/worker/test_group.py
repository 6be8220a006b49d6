"""What members of a group tell each other: agreements, and the fences of a world."""

from collections import deque

import pytest

from hpmpi.errors import ObjectiveError
from hpmpi.model.messages import Agreed, Fence, Member
from hpmpi.model.trial import AttemptId
from hpmpi.worker.group import Group, Voice
from hpmpi.worker.pmi import PmiDesk

ATTEMPT = AttemptId(3, 1, 2)
RANKS, HOSTS = (4, 6, 5), ("a", "a", "b")


def groups() -> list[Group]:
    """Have three members, of which the last two hear what the first says."""
    said: dict[tuple[AttemptId, str, int], Agreed] = {}

    def say(word: Agreed) -> None:
        said[word.attempt, word.topic, word.number] = word

    voice = Voice(say, lambda *asked: said[asked])
    return [Group(ATTEMPT, Member(index, RANKS, HOSTS), voice) for index in range(3)]


def test_what_the_first_decides_is_heard_by_all_in_the_same_order() -> None:
    answers = deque([(True,), (False,), (True,)])
    first, *others = groups()
    assert [first.agree("save", step, answers.popleft) for step in (1, 2, 3)] == [
        (True,),
        (False,),
        (True,),
    ]
    for other in others:
        heard = [other.agree("save", step, answers.popleft) for step in (1, 2, 3)]
        assert heard == [(True,), (False,), (True,)], "nobody else is asked"


def test_who_asks_another_question_is_told_so() -> None:
    first, other, _ = groups()
    first.agree("save", 4, lambda: (True,))
    with pytest.raises(ObjectiveError, match=r"member 1 asks save\(5\) .* asked save\(4\)"):
        other.agree("save", 5, lambda: (True,))


def desks() -> list[PmiDesk]:
    """Have three processes' desks."""
    return [PmiDesk(ATTEMPT, Member(index, RANKS, HOSTS), "world") for index in range(3)]


def meet(members: list[PmiDesk]) -> list[str]:
    """Have all come to a fence; return what each is told behind it."""
    opened = None
    for desk in members:
        fence = desk.hear("cmd=barrier_in")
        assert isinstance(fence, Fence)
        assert opened is None, "it is closed until all have come"
        opened = members[0].gather(fence)
    assert opened is not None
    return [desk.open(opened) for desk in members]


def test_what_is_put_before_a_fence_is_known_to_all_behind_it() -> None:
    members = desks()
    for step in ("one", "two"):
        for index, desk in enumerate(members):
            put = f"cmd=put kvsname=world key={step}-{index} value=at={index} {step}"
            assert desk.hear(put) == "cmd=put_result rc=0 msg=success"
        asked = f"cmd=get kvsname=world key={step}-2"
        assert members[0].hear(asked) == ("cmd=get_result rc=-1 msg=key_not_found value=unknown")
        assert meet(members) == ["cmd=barrier_out"] * 3
        for desk in members:
            found = desk.hear(asked)
            assert found == f"cmd=get_result rc=0 msg=success value=at=2 {step}"


def test_a_process_is_told_where_the_others_are() -> None:
    mapping = desks()[1].hear("cmd=get kvsname=world key=PMI_process_mapping")
    assert str(mapping).endswith("value=(vector,(0,1,2),(1,1,1))")
    assert desks()[1].hear("cmd=spawn") == "cmd=spawn_result rc=-1 msg=unknown"
