"""What happens to the master, and what it then wants done."""

from typing import NamedTuple

from hpmpi.model.messages import Assign, Beat, Cancel, Message, Recall, Report, Save
from hpmpi.model.trial import Config, Metrics

# -- events ---------------------------------------------------------------------------------------


class Heard(Message, frozen=True):
    """A report came in."""

    rank: int
    report: Report


class Silent(Message, frozen=True):
    """Ranks were silent for longer than the patience: they are lost."""

    ranks: tuple[int, ...]


class Tick(Message, frozen=True):
    """Time passed and nothing is left to be heard."""


class Drain(Message, frozen=True):
    """Somebody wants this start to end, as by a signal; twice, at once."""

    why: str


class Due(Message, frozen=True):
    """The allocation was found to end at `ends_at`, which is `epoch_s` in seconds since 1970."""

    ends_at: float
    epoch_s: float


class Interrupted(Message, frozen=True):
    """The start before this one ended without a word, with jobs in work.

    `saved` has the resource of the newest checkpoint of each of their trials, where there is one.
    """

    saved: dict[int, int]


class Observation(NamedTuple):
    """A result of another study, as the searcher of this one learns it."""

    config: Config
    rung: int
    resource: int
    loss: float | None
    metrics: Metrics


class Learnt(Message, frozen=True):
    """The results of earlier runs were read: the searcher learns them before it is asked."""

    observations: tuple[Observation, ...]


Event = Heard | Silent | Tick | Drain | Due | Interrupted | Learnt


# -- orders ---------------------------------------------------------------------------------------


class Tell(NamedTuple):
    """Send an order to a rank."""

    rank: int
    order: Assign | Cancel | Recall | Beat | Save
