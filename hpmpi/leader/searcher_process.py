"""The process of a searcher that thinks, started by remote_searcher.py with a connection.

It does what it is asked, one thing after the other, and ends when rank 0 hangs up. What the
searcher raises is told, with where in its code, and ends the process.
"""

import signal
import socket
import sys
from itertools import chain
from pathlib import Path

import msgspec

from hpmpi.errors import HpmpiError
from hpmpi.guard import process_tree, streams
from hpmpi.leader.remote_searcher import (
    Adopt,
    Ask,
    Learn,
    Observe,
    Order,
    SearcherRaised,
    Study,
    Suggested,
    Teach,
    Waits,
)
from hpmpi.master.searchers import LATER, OVER, Checked
from hpmpi.storage.resume import trouble
from hpmpi.study import methods, settings
from hpmpi.transports.framing import Frames
from hpmpi.worker.runner import leave_signals_to_the_rank


def obey(searcher: Checked, order: Order) -> Suggested | Waits | None:
    """Have a searcher do something; return what it answers."""
    match order:
        case Ask(trial):
            answer = searcher.ask(trial)
            if answer is LATER:
                return Waits(trial)
            return Suggested(trial, None if answer is OVER else answer)
        case Adopt(trial, config):
            searcher.adopt(trial, config)
        case Teach(trial, rung, resource, loss, metrics):
            searcher.tell(trial, rung, resource, loss, metrics)
        case Observe(trial, points):
            searcher.observe(trial, points)
        case Learn(observation):
            searcher.learn(*observation)
    return None


def serve(frames: Frames) -> None:
    """Make the searcher of the study that comes first, and have it do what comes then."""
    decode = msgspec.msgpack.Decoder(list[Order]).decode
    searcher: Checked | None = None
    while messages := frames.wait():
        for order in chain.from_iterable(map(decode, messages)):
            if isinstance(order, Study):
                study = settings.parse(order.settings)
                # Modules beside the study file can be imported from then on.
                methods.SEARCHER.find(study.searcher["method"], Path(order.origin))
                searcher = methods.build_searcher(study, ranks=order.ranks)
                continue
            assert searcher is not None, "the study comes first"
            answer = obey(searcher, order)
            if answer is not None:
                frames.send(msgspec.msgpack.encode(answer))
                frames.drain()


def main(descriptor: str) -> None:
    """Serve who is at the other end of a socket."""
    process_tree.die_with_parent()
    streams.settle()
    # Who signals all processes of a run means rank 0. But what the searcher starts hears signals.
    leave_signals_to_the_rank()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
    frames = Frames(socket.socket(fileno=int(descriptor)))
    try:
        serve(frames)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        said = str(error) if isinstance(error, HpmpiError) else str(trouble(error))
        frames.send(msgspec.msgpack.encode(SearcherRaised(said)))
        frames.drain()


if __name__ == "__main__":
    main(*sys.argv[1:])
