"""What happens to the master, and what it then wants done: events and commands."""

import msgspec

from hpmpi.model.messages import Assign, Beat, Outcome, Report, Save
from hpmpi.model.records import Decision

# -- events ---------------------------------------------------------------------------------------


class Heard(msgspec.Struct, frozen=True):
    """A report came in."""

    rank: int
    report: Report


class Tick(msgspec.Struct, frozen=True):
    """Time passed and nothing is left to be heard."""


class Drain(msgspec.Struct, frozen=True):
    """Somebody wants this start to end, as by a signal; twice, at once."""

    why: str


class Due(msgspec.Struct, frozen=True):
    """The allocation was found to end at `ends_at`, which is `epoch_s` by the world's clock."""

    ends_at: float
    epoch_s: float


class Interrupted(msgspec.Struct, frozen=True):
    """The start before this one ended without a word, with jobs in work.

    `saved` has the resource of the newest checkpoint of each of their trials, where there is one.
    """

    saved: dict[int, int]


Event = Heard | Tick | Drain | Due | Interrupted


# -- commands -------------------------------------------------------------------------------------


class Tell(msgspec.Struct, frozen=True):
    """Send an order to a rank."""

    rank: int
    order: Assign | Beat | Save


class Record(msgspec.Struct, frozen=True):
    """Write a decision into the journal, before any later command is performed."""

    decision: Decision


class Discard(msgspec.Struct, frozen=True):
    """Nobody will go on from this trial's checkpoints."""

    trial: int


class Leave(msgspec.Struct, frozen=True):
    """End this start of the study."""

    outcome: Outcome


Command = Tell | Record | Discard | Leave
