"""What asks rank 0 to end a start: its own signals, those that launch passes on, the allocation.

A signal handler only leaves a word, and a file is looked at now and then: the loop makes events.
"""

import math
import signal
import time
from collections import deque
from pathlib import Path
from types import FrameType

from hpmpi.model.timers import Every
from hpmpi.slurm import allocation
from hpmpi.storage import heartbeat_file
from hpmpi.worker.entry import SIGNALS

LOOK_S = 0.5
"""How often it is looked for what launch has to say: a file server may have to be asked."""

ECHO_S = 1.0
PASSING_ON_S = 5.0
"""A signal that follows another so soon is the same, by another way: mpirun's, and the shell's; or
launch's, which takes longer."""

NOTICE = "SIGUSR1"
NOTICE_S = 150.0
"""What slurm/tune.sh has Slurm send before the end of the allocation; at most so long before."""


class StopRequests:
    """Hears what there is; `signals` are those that nobody has heeded yet."""

    def __init__(self, folder: Path) -> None:
        """Hear nothing yet; `folder` is where launch leaves its words."""
        self.signals: deque[str] = deque()
        self.heeds_launch = False
        self._folder = folder
        self._signalled_at = -math.inf
        self._look_again = Every(LOOK_S)
        self._passed_on = 0
        self._allocation = allocation.EndTime()

    def listen(self) -> None:
        """Hear this process's signals from now on."""
        for number in SIGNALS:
            signal.signal(number, self._hear)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # who has started us may have held them

    def look(self, left_s: float | None) -> float | None:
        """Look what launch says; tell when the allocation ends, by the world's clock, if it is new.

        `left_s`: how long it is until its end, as far as that is known.
        """
        now = time.monotonic()
        if self.heeds_launch and self._look_again.is_due(now):
            new = heartbeat_file.read(self._folder).signals[self._passed_on :]
            self.signals.extend(each for each in new if not self._is_known(each, left_s))
            self._passed_on += len(new)  # a line that can't be read for once takes nothing back
        return self._allocation.poll(now)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if time.monotonic() - self._signalled_at >= ECHO_S:
            self._signalled_at = time.monotonic()
            self.signals.append(signal.Signals(number).name)

    def _is_known(self, passed_on: str, left_s: float | None) -> bool:
        """Tell whether rank 0 got a signal itself, or it is Slurm's notice of an end it knows."""
        echo = time.monotonic() - self._signalled_at < PASSING_ON_S
        noticed = left_s is not None and left_s < NOTICE_S
        return echo or (passed_on == NOTICE and noticed)
