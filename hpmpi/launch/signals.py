"""The signals of `hpmpi launch`: they wait in a queue until it has time for them."""

import contextlib
import signal
from collections import deque
from collections.abc import Iterator

from hpmpi.worker.entry import SIGNALS

ENDINGS = (*SIGNALS, signal.SIGHUP, signal.SIGXCPU)
"""What would end it, and may be asked of Slurm before the end of an allocation."""


def hear() -> deque[signal.Signals]:
    """Have signals put into a queue from now on, instead of ending this process."""
    heard: deque[signal.Signals] = deque()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # Ctrl-C ends `| tee log` as well, and first
    for number in ENDINGS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # by nohup
            signal.signal(number, lambda number, _: heard.append(signal.Signals(number)))
    return heard


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold signals back: a process that is started meanwhile holds them back for good."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
