"""One attempt after the other, in one process: what the objective comes to is an answer.

Rules:

- An answer is the last word on its attempt: what the objective has left running reports no more.
- Where a drain's Suspend was raised the answer is Suspended, whatever the objective did with it.
"""

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext

from hpmpi.errors import ObjectiveError
from hpmpi.model.messages import (
    Answer,
    Assign,
    Done,
    Failed,
    FailureKind,
    Finished,
    Point,
    Progress,
    Suspended,
    Welcome,
)
from hpmpi.model.trial import Metrics
from hpmpi.worker import handle, objective, torch_world
from hpmpi.worker.error_text import told
from hpmpi.worker.group import ALONE, MUTE, Group, Voice
from hpmpi.worker.metrics import check


class AttemptEnded(SystemExit):
    """The rank wants this process to end: its job is over its limits, or the run is over."""


class Mishap(Exception):  # noqa: N818 - what is wrong need not be an error of anybody's
    """Why an attempt came to nothing; raised by an objective that knows better than Python."""

    def __init__(self, kind: FailureKind, error: str) -> None:
        """Say it as a report does."""
        super().__init__(error)
        self.kind = kind
        self.error = error


class AttemptRunner:
    """One attempt after the other, in one process.

    After each, the process goes back to the folder that it began in, and a timer that was set is
    stopped: it would go off in the middle of another job. What modules have in memory stays, and
    so do the environment, the import path and the handlers of signals, on which modules rely that
    were imported meanwhile. Who must have none of it asks for another process.
    """

    def __init__(self, welcome: Welcome) -> None:
        """Load the objective, and keep its `notes`; whatever the user's module raises comes out."""
        self._welcome = welcome
        self._function, self.notes = objective.prepare(welcome)
        self._request = handle.SuspendRequest()
        self._used = False
        self._began_in = here()
        self._timed = signal.getitimer(signal.ITIMER_REAL)[0] > 0.0

    def make(
        self,
        order: Assign,
        say: Callable[[Progress], None],
        drains: handle.Drains,
        voice: Voice = MUTE,
    ) -> Answer:
        """Make an attempt; whatever the objective does, but to end the process, is an answer."""
        used, self._used = self._used, True

        def publish(point: Point) -> None:
            say(Progress(order.attempt, [point]))

        group = ALONE if order.member is None else Group(order.attempt, order.member, voice)
        try:
            trial, checkpoints = handle.open_trial(
                self._welcome, order, publish, drains, request=self._request, group=group
            )
        except AttemptEnded:
            raise
        except BaseException as error:  # noqa: BLE001 - a file system
            return Failed(order.attempt, FailureKind.EXCEPTION, told(error), used)
        came = self._call(order, trial)
        self._go_back()
        if not self._timed:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        suspended = trial.end()
        if not group.leads and (suspended or not isinstance(came, Mishap)):
            return Done(order.attempt)
        newest = checkpoints.look() if suspended else checkpoints.newest
        saved = newest.resource if newest else 0
        if suspended:  # and it may have caught what told it so, in any of its processes
            return Suspended(order.attempt, saved)
        if isinstance(came, Mishap):
            return Failed(order.attempt, came.kind, came.error, used)
        return Finished(order.attempt, came, saved)

    def _go_back(self) -> None:
        try:  # noqa: SIM105 - for each job: contextlib takes longer than the call
            os.chdir(self._began_in)
        except OSError:  # it is gone
            pass

    def _surroundings(self, trial: handle.Trial) -> AbstractContextManager[object]:
        """Give an attempt the folder and the world that the study wants it to have."""
        has_world = self._welcome.world == "torch" and trial.group is not ALONE
        if not self._welcome.own_folder and not has_world:
            return nullcontext()
        with ExitStack() as stack:
            if self._welcome.own_folder:
                stack.enter_context(trial.working_folder())
            if has_world:
                joined = torch_world.joined(self._welcome.folder, trial.attempt, trial.group)
                stack.enter_context(joined)
            return stack.pop_all()

    def _call(self, order: Assign, trial: handle.Trial) -> Metrics | Mishap:
        pid = os.getpid()
        try:
            with self._surroundings(trial):
                value = self._function(order.config, trial)
                return check(value, self._welcome.metric) if trial.group.leads else {}
        except Mishap as mishap:
            return mishap
        except ObjectiveError as error:
            return Mishap(FailureKind.BAD_VALUE, told(error))
        except AttemptEnded:
            raise
        except SystemExit as error:
            return Mishap(FailureKind.EXIT, f"the objective called exit({error.code!r})")
        except BaseException as error:  # noqa: BLE001 - the user's objective
            return Mishap(FailureKind.EXCEPTION, told(error))
        finally:
            if os.getpid() != pid:  # the objective forked and came back twice: one has to answer
                os._exit(1)


def here() -> str:
    """Name the folder that this process is in; nothing where it is gone."""
    try:
        return os.getcwd()  # noqa: PTH109 - what os.chdir takes for each job
    except OSError:
        return ""
