"""A group, as the objective of one of its members sees it: what holds for all is decided once.

    first member: decides, and tells          its rank --> rank 0 --> the others' ranks
    any other:    waits until it is told      <-- its child

The first waits for nobody, so nothing can wait for itself; one that waits for a first that is gone
is ended with the attempt. Each question has a topic, is counted by each member, and says what it is
about: who asks another question than the first is told so.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from hpmpi.errors import ObjectiveError
from hpmpi.model.messages import Agreed, Member
from hpmpi.model.trial import AttemptId

Told = tuple[str | int | bool | None, ...]


class Voice(NamedTuple):
    """How a member speaks with the others.

    `hear` waits for what the first has decided on the question of a topic and number.
    """

    say: Callable[[Agreed], object]
    hear: Callable[[AttemptId, str, int], Agreed]


class Group:
    """The members of an attempt; where it has one only, that decides for itself."""

    def __init__(self, attempt: AttemptId, member: Member, voice: Voice) -> None:
        """Speak for a member."""
        self.member = member
        self.index = member.index
        self.hosts = member.hosts
        self.size = len(member.ranks)
        self._attempt = attempt
        self._asked: Counter[str] = Counter()
        self._voice = voice

    @property
    def leads(self) -> bool:
        """Whether this is the member that decides."""
        return self.index == 0

    def agree(self, topic: str, about: int, decide: Callable[[], Told]) -> Told:
        """Decide, as the first member, or hear what it has decided.

        Raises ObjectiveError where the first was asked about something else.
        """
        if self.size == 1:
            return decide()
        number = self._asked[topic]
        self._asked[topic] += 1
        if self.leads:
            said = Agreed(self._attempt, topic, number, about, decide())
            self._voice.say(said)
            return said.answer
        told = self._voice.hear(self._attempt, topic, number)
        if told.about != about:
            raise ObjectiveError(
                f"member {self.index} asks {topic}({about}) where member 0 has asked "
                f"{topic}({told.about}): all members must ask the same, in the same order"
            )
        return told.answer


def nobody(*_: object) -> Agreed:
    """Hear of somebody else."""
    raise AssertionError("who is alone asks nobody")


MUTE = Voice(nobody, nobody)

ALONE = Group(AttemptId(0, 0, 0), Member(0, (0,), ()), MUTE)
"""The group of a trial that takes one rank."""
