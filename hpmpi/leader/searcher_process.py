"""The process of a searcher that thinks, started by remote_searcher.py with a connection.

It does what it is asked, one thing after the other, and ends when rank 0 hangs up. What the
searcher raises is told, with where in its code, and ends the process.
"""

import signal
import socket
import sys
from pathlib import Path

import msgspec

from hpmpi.errors import HpmpiError
from hpmpi.guard import process_tree, streams
from hpmpi.leader.remote_searcher import Adopt, Ask, Order, Raised, Study, Suggested, Tell
from hpmpi.master.searchers import LATER, Searcher
from hpmpi.storage.recovery import trouble
from hpmpi.study import methods, settings
from hpmpi.transports.framing import Frames
from hpmpi.worker.runner import leave_signals_to_the_rank


def obey(searcher: Searcher, order: Order) -> Suggested | None:
    """Have a searcher do something; return what it suggests."""
    match order:
        case Ask(trial):
            config = searcher.ask(trial)
            assert config is not LATER, "it is asked in its own process"
            return Suggested(trial, config)
        case Adopt(trial, config):
            searcher.adopt(trial, config)
        case Tell(trial, rung, resource, loss, metrics):
            searcher.tell(trial, rung, resource, loss, metrics)
    return None


def serve(frames: Frames) -> None:
    """Make the searcher of the study that comes first, and have it do what comes then."""
    decoder = msgspec.msgpack.Decoder(Study | Order)
    searcher: Searcher | None = None
    while messages := frames.wait():
        for message in messages:
            order = decoder.decode(message)
            if isinstance(order, Study):
                study = settings.parse(order.settings)
                # Modules beside the study file can be imported from then on.
                methods.SEARCHER.find(study.searcher["method"], Path(order.origin))
                searcher = methods.build_searcher(study)
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
        frames.send(msgspec.msgpack.encode(Raised(said)))
        frames.drain()


if __name__ == "__main__":
    main(*sys.argv[1:])
