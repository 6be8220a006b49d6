"""What a rank's jobs use: CPU, memory, bytes read and written, by all processes of its family.

The kernel counts; here it is asked, by a few reads of /proc for each process. What a process has
waited for counts as its own, so a job that starts others is seen whole. It is asked when a job is
answered, but so seldom that it takes no more than SHARE of the time: where jobs are too short for
that, one is told what those before it have used as well, and for how long they ran. What memory is
shared is asked as seldom by itself: for that the kernel walks through all pages.

Rules:

- Memory is what can't be dropped: pages of files don't count. Of a process by itself it is the
  kernel's own peak; of several, the most that was seen when the supervisor looked at its limits.
  What others have as well is told beside it, as it is at the end: it only becomes less.
- Bytes are those of read() and write(), whether a disk, a cache or a file server had them; what is
  mapped is not seen, nor what a process had read that died.
- A control group of the rank's own would count no better: its peak has caches in it, and is that of
  all jobs.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hpmpi.guard.process_tree import LINUX
from hpmpi.model.timers import Sparing
from hpmpi.model.usage import GpuUsage, Usage
from hpmpi.worker.memory import KILO, shared_of

SHARE = 0.002
"""How much of the time measuring may take, and looking for what is shared as much again."""

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
"""In what the kernel tells CPU time."""


class Count(NamedTuple):
    """What processes have used since they began; the kernel's counts only grow."""

    cpu_s: float = 0.0
    read_bytes: int = 0
    written_bytes: int = 0


class Meter:
    """Measures the jobs of a rank, one after the other; times are of one monotonic clock."""

    def __init__(self) -> None:
        """Begin with a rank that has no process."""
        self._before = Count()
        self._begun_at = 0.0
        self._busy_s = 0.0
        self._peak_bytes = self._shared_bytes = 0
        self._measuring, self._walking = Sparing(SHARE), Sparing(SHARE)
        self._gpu: GpuUsage | None = None

    def start(self, pids: Sequence[int], waited_s: float) -> None:
        """Count from now on: processes are there that have done no job yet.

        `waited_s`: the CPU time of those that have ended, where the kernel adds it to none of them.
        """
        self._before = count(pids, waited_s)
        self._walking = Sparing(SHARE)
        reset_peaks(pids)

    def begin(self, now: float) -> None:
        """Take note that a job begins."""
        self._begun_at = now

    def see(self, memory_bytes: int, gpu: GpuUsage | None = None) -> None:
        """Take note of what is in use while a job is in work."""
        self._peak_bytes = max(self._peak_bytes, memory_bytes)
        self._gpu = gpu if self._gpu is None or gpu is None else self._gpu.beside(gpu)

    def end(self, now: float) -> bool:
        """Take note that a job is answered; tell whether it is time to measure."""
        self._busy_s += now - self._begun_at
        return self._measuring.is_due(now) and LINUX

    def measure(self, pids: Sequence[int], waited_s: float, now: float) -> Usage:
        """Say what the jobs have used that were answered since it was last said."""
        self._look_for_shared(pids, now)
        asked_at = time.perf_counter()
        before, self._before = self._before, count(pids, waited_s)
        usage = Usage(
            span_s=round(self._busy_s, 6),
            cpu_s=round(max(0.0, self._before.cpu_s - before.cpu_s), 3),
            memory_bytes=max(self._peak_bytes, peak_of(pids)),
            shared_bytes=self._shared_bytes,
            read_bytes=max(0, self._before.read_bytes - before.read_bytes),
            written_bytes=max(0, self._before.written_bytes - before.written_bytes),
            gpu=self._gpu,
        )
        self._busy_s, self._peak_bytes, self._gpu = 0.0, 0, None
        self._measuring.took(time.perf_counter() - asked_at, now)
        return usage

    def _look_for_shared(self, pids: Sequence[int], now: float) -> None:
        if self._walking.is_due(now):
            asked_at = time.perf_counter()
            self._shared_bytes = max(map(shared_of, pids), default=0)
            self._walking.took(time.perf_counter() - asked_at, now)


def count(pids: Sequence[int], waited_s: float) -> Count:
    """Count what processes have used, those included that have ended and were waited for."""
    cpu_s, read, written = waited_s, 0, 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has just ended
            times = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[11:15]
            cpu_s += TICK_S * sum(map(int, times))
            words = Path(f"/proc/{pid}/io").read_bytes().split(None, 4)
            read, written = read + int(words[1]), written + int(words[3])
    return Count(cpu_s, read, written)


def peak_of(pids: Sequence[int]) -> int:
    """Tell the most memory, in bytes, that a process has had by itself since it was asked last."""
    most = 0
    for pid in pids:
        with contextlib.suppress(OSError):  # it has just ended
            lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
            kilobytes = {
                name: int(line.split()[1])
                for line in lines
                if (name := line[:6]) in (b"VmHWM:", b"RssFil")
            }
            most = max(most, KILO * (kilobytes.get(b"VmHWM:", 0) - kilobytes.get(b"RssFil", 0)))
    reset_peaks(pids)
    return most


def reset_peaks(pids: Sequence[int]) -> None:
    """Have the kernel keep the peaks of memory from now on; man 5 proc, clear_refs."""
    for pid in pids:
        with contextlib.suppress(OSError):  # a kernel that does not, or it has ended
            Path(f"/proc/{pid}/clear_refs").write_bytes(b"5")
