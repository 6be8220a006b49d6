"""Runs that a program asks for: rank 0 leads one after the other, and says what came of each.

    program  --RunRequest-->  rank 0  --RunEnd-->  program

Rank 0 is no part of the program, which is somebody's notebook: rank 0 takes signals, adopts what
others leave behind and kills it, and leaves by os._exit. It is started for a run, with the
connection, and dies with who has started it; or it leads the ranks of an mpirun, and has started
the program.
"""

import logging
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from hpmpi import errors
from hpmpi.errors import HpmpiError
from hpmpi.guard import process_tree, streams
from hpmpi.leader import run
from hpmpi.leader.run import Plan
from hpmpi.leader.stderr_log import log_to_stderr
from hpmpi.model.messages import Outcome
from hpmpi.study.settings import Settings
from hpmpi.transports.framing import Frames
from hpmpi.views.run_view import Summary
from hpmpi.worker.entry import SIGNALS

log = logging.getLogger("hpmpi")

Lead = Callable[[Callable[[], Plan], int | None], Summary]
"""Leads what is planned, on so many workers, if somebody says how many; raises HpmpiError."""


class RunRequest(msgspec.Struct, frozen=True):
    """A checked study that is to be run; what it names is looked for from `origin`.

    `workers`: how many local processes, if somebody says so; `level`: what is logged.
    """

    study: Settings
    origin: str
    folder: str
    fresh: bool = False
    workers: int | None = None
    level: int = logging.INFO


class RunEnd(msgspec.Struct, frozen=True):
    """What a start of a run came to, and `why`; or the name of the `error` that was raised."""

    outcome: Outcome | None = None
    why: str = ""
    error: str = ""

    def raise_error(self) -> None:
        """Raise what was raised there, if anything was."""
        if self.error == errors.SettingsError.__name__:
            raise errors.SettingsError(self.why.split("\n"))
        if self.error:
            kind: type[HpmpiError] = getattr(errors, self.error)
            raise kind(self.why)


def answer(request: RunRequest, lead: Lead) -> RunEnd:
    """Lead the run that is asked for, and say what came of it."""
    log.setLevel(request.level)
    origin, folder = Path(request.origin), Path(request.folder)
    plan = partial(run.plan_for, request.study, origin, folder, fresh=request.fresh)
    try:
        summary = lead(plan, request.workers)
    except HpmpiError as error:
        return RunEnd(why=str(error), error=name_of(error))
    return end_of(summary)


def end_of(summary: Summary) -> RunEnd:
    """Say what the newest start of a run came to."""
    history = summary.history
    match summary.outcome:
        case Outcome.DRAINED:
            return RunEnd(summary.outcome, history.draining or "")
        case Outcome.UNFIT:
            return RunEnd(summary.outcome, history.refusal)
        case Outcome.FAILED:
            given_up = (it.error for it in reversed(history.failures) if it.final)
            return RunEnd(summary.outcome, next(given_up, ""))
        case outcome:
            return RunEnd(outcome)


def name_of(error: HpmpiError) -> str:
    """Name the kind of an error that others know, too."""
    return next(it.__name__ for it in type(error).__mro__ if it.__module__ == errors.__name__)


def main(descriptor: str) -> None:
    """Lead the run that is asked for at the other end of a socket, on local processes."""
    process_tree.die_with_parent()
    streams.settle()
    for number in SIGNALS:
        signal.signal(number, run.leave_early)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # held while this was starting
    log_to_stderr()
    frames = Frames(socket.socket(fileno=int(descriptor)))
    for message in frames.wait():  # or whoever asks is gone
        end = answer(msgspec.msgpack.decode(message, type=RunRequest), run.lead)
        frames.send(msgspec.msgpack.encode(end))
        frames.drain()


if __name__ == "__main__":
    main(*sys.argv[1:])
