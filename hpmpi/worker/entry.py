"""What another rank than the leader does: it serves.

The only place that asks for the rank. A thousand ranks start at once, from one file system: nothing
is imported here that only rank 0 needs, and MPI only when its turn has come.
"""

import os
import signal

from hpmpi.errors import HpmpiError
from hpmpi.transports import LEADER, Transport, launched, local
from hpmpi.worker import spawn
from hpmpi.worker.agent import Worker

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""What asks for a drain. Rank 0 alone decides when to leave."""

BAD_INPUT = 2
"""The exit code; rank 0 says what is wrong."""


def serves() -> bool:
    """Whether this process was started as another rank than the leader."""
    seen = launched()
    return is_local() or (seen is not None and seen.rank != LEADER)


def is_local() -> bool:
    """Whether it was started by a run, to be a local worker."""
    return local.VARIABLE in os.environ


def serve() -> int:
    """Be a worker rank; return the exit code."""
    for number in SIGNALS:
        # No SIG_IGN: the child would inherit it.
        signal.signal(number, lambda *_: None)
    forked = spawn.fork()
    try:
        transport = local.join() or join_mpi()
    except HpmpiError:
        return BAD_INPUT
    return Worker(transport, forked).serve()


def join_mpi() -> Transport:
    """Meet the other ranks over MPI."""
    from hpmpi.transports import mpi  # noqa: PLC0415 - importing it starts MPI

    return mpi.connect()
