"""What happens to a child, and what is to be done to it: what its Lifecycle hears and says.

Beside these, a Lifecycle hears what its rank orders and its process reports.
"""

from enum import Enum
from typing import NamedTuple

from hpmpi.model.messages import Agreed, Assign, Cancel, Report, Retire, Save, Welcome

# -- events ----------------------------------------------------------------------------------------


class ChildStarted(NamedTuple):
    """There is a process; where there can't be, that is Unfit."""


class Unborn(NamedTuple):
    """No process has come of it: who was to fork it is gone, or can't."""


class HungUp(NamedTuple):
    """The process says no more, or `rubbish`."""

    rubbish: bool


class ChildTick(NamedTuple):
    """Time passed, and nothing is left to be heard; `used_mb`: its memory, if that was measured."""

    used_mb: float = 0.0


class Died(NamedTuple):
    """All of its family are gone; `taken`: the kernel killed somebody; `output`: its last words."""

    code: int
    taken: bool
    output: str


Event = (
    Assign
    | Cancel
    | Save
    | Retire
    | Agreed
    | Report
    | ChildStarted
    | Unborn
    | HungUp
    | ChildTick
    | Died
)

# -- commands --------------------------------------------------------------------------------------


class Send(NamedTuple):
    """Send the process an order."""

    order: Welcome | Assign | Save | Agreed


class PassOn(NamedTuple):
    """Pass a report on to the rank."""

    report: Report


class Act(Enum):
    """Do something to the process."""

    HANG_UP = "say no more to it"
    INTERRUPT = "send TERM to it alone"
    TERM = "send TERM to its family"
    KILL = "kill its family"


Command = Send | PassOn | Act
