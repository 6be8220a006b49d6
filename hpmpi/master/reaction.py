"""What the master wants done on an event.

A line of the journal, with all that was decided, is written before the orders that it leads to.
What nothing follows from, and is no fact that somebody wants to read, has no line.
"""

import msgspec

from hpmpi.model.events import Drain, Event, Heard, Interrupted, Learnt, Silent, Tell
from hpmpi.model.messages import Assign, Beat, Cancel, Progress, Ready, Recall, Save, Unfit
from hpmpi.model.records import Decision, Entry, Raised, Suggestion


class Reaction(msgspec.Struct):
    """What is to be done: to write the `entry`, then to send `orders`, then to discard.

    `discards`: the trials whose checkpoints nobody will go on from; `unsettled`: the decisions that
    are to be in the entry.
    """

    entry: Entry | None = None
    orders: list[Tell] = []
    discards: list[int] = []
    unsettled: list[Decision] = []

    def decide(self, decision: Decision) -> None:
        """Add a decision; they are in order."""
        self.unsettled.append(decision)

    def tell(self, rank: int, order: Assign | Cancel | Recall | Beat | Save) -> None:
        """Add an order."""
        self.orders.append(Tell(rank, order))

    def settle(
        self, event: Event, at: float, suggested: tuple[Suggestion, ...], raised: Raised | None
    ) -> None:
        """Make the line of the event, if there is anything to be said."""
        if self.unsettled or suggested or raised is not None or is_fact(event):
            self.entry = Entry(at, event, tuple(self.unsettled), suggested, raised)
            self.unsettled = []


def is_fact(event: Event) -> bool:
    """Tell whether people want to know of an event, whatever follows from it."""
    told = event.report if isinstance(event, Heard) else event
    return type(told) in FACTS


FACTS = {Ready, Unfit, Progress, Silent, Drain, Interrupted, Learnt}
"""Found by their types: each heartbeat pays for it."""
