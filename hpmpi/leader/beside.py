"""A process of ours beside rank 0, at the other end of a connection."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from hpmpi.guard import oom, process_tree
from hpmpi.model.messages import escaped
from hpmpi.transports import unlaunched
from hpmpi.transports.framing import Frames
from hpmpi.transports.resources import THREADS
from hpmpi.worker import spawn
from hpmpi.worker.log_file import Output

ENDING_S = 5.0
"""How long it may take to end when it has hung up."""


class ProcessBeside:
    """A module that runs as a program, whose first word is the descriptor of its connection."""

    def __init__(self, log: Path, module: str, *words: str) -> None:
        """Start it; what it prints goes to the file `log`. Raises OSError."""
        self._log = log
        self.output = Output(log)
        # It inherits the mask: whoever signals all processes of a run means rank 0.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        # Rank 0 has no core of its own, and small sums take longer with threads: one, unless set.
        environment = dict.fromkeys(THREADS, "1") | unlaunched()
        try:
            self._process, wire = spawn.wired(
                module, *words, stdout=self.output, stderr=self.output, env=environment
            )
        except OSError:
            self.output.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.pid = self._process.pid
        oom.offer_to_kernel(self.pid)
        self.frames = Frames(wire)

    def end_told(self) -> str:
        """Say how it ends that has hung up, with its last words."""
        try:
            code = self._process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            return self.told("has hung up")
        killed = code < 0
        return self.told(
            f"was killed by {signal.Signals(-code).name}" if killed else f"has ended with {code}"
        )

    def told(self, did: str) -> str:
        """Say what it did, with its last words."""
        words = self.output.tail().rpartition("\n")[2]
        return f"{did}: {escaped(words)} ({self._log} says more)" if words else did

    def close(self) -> None:
        """End it, whatever it does, and what it has started."""
        self.frames.close()
        started = process_tree.below([self.pid])
        self._process.kill()
        self._process.wait()
        for pid in started:
            if pid != self.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.output.close()
