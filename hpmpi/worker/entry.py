"""The entry point of a worker rank: it serves.

The only place that asks for the rank. A thousand ranks start at once, from one file system: nothing
is imported here that only rank 0 needs, and MPI only when its turn has come.
"""

import os
import signal

from hpmpi.errors import HpmpiError
from hpmpi.guard import guard
from hpmpi.transports import LEADER, Transport, launched, local
from hpmpi.worker import spawn
from hpmpi.worker.agent import Agent

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
    agent = meet()
    return BAD_INPUT if agent is None else agent.serve()


def serve_script() -> int:
    """Be a worker rank in one run after the other, as a script has them; return the exit code."""
    agent = meet()
    if agent is None:
        return BAD_INPUT
    while (code := agent.serve()) == 0 and agent.welcomed:
        guard.tell_of_no_run()
        agent = Agent(agent.transport)
    return code


def meet() -> Agent | None:
    """Meet the other ranks; None where they do not form one world, as rank 0 says."""
    for number in SIGNALS:
        # No SIG_IGN: the child would inherit it.
        signal.signal(number, lambda *_: None)
    forked = spawn.fork()
    try:
        return Agent(local.join() or join_mpi(), forked)
    except HpmpiError:
        return None


def join_mpi() -> Transport:
    """Meet the other ranks over MPI."""
    from hpmpi.transports import mpi  # noqa: PLC0415 - importing it starts MPI

    return mpi.connect()
