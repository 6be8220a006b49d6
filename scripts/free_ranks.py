"""A real Leader beside ranks that answer at once and cost nothing: what bench_flat.py measures.

python scripts/free_ranks.py FOLDER RANKS [TRIALS [PAUSE_S]]

Leads FOLDER/study.toml until so many trials are there, or its first job is handed out (0), or its
run.h5 is written; then prints what was found. With a pause, a rank answers after each: a searcher
that thinks beside rank 0 has time for it, and nothing is warm.

It imports nothing but what it needs, as its memory is measured.
"""

import gc
import json
import math
import os
import re
import resource
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import msgspec
from sleepers import loss

from hpmpi.leader import run
from hpmpi.model.messages import Assign, Beat, Finished, Goodbye, Order, Ready, Report, Stop
from hpmpi.transports import Traffic
from hpmpi.transports.resources import Share

TURN = 1
"""How many ranks answer at a time: MPICH tells of one message at a look."""

BEATS = 4000
"""How many heartbeats come after the results."""

FOUND = "found "
"""What the line with all that was found begins with."""


class FreeRanks:
    """Ranks that answer at once; they count what rank 0 does, but not what they do themselves."""

    rank = 0
    share = Share()
    name = "ranks that cost nothing"

    def __init__(self, trials: int, ranks: int, pause_s: float = 0.0) -> None:
        """Have the study drained after so many trials; none, when the first job is handed out."""
        self._pause_s = pause_s
        self.size = ranks + 1
        self.traffic = Traffic()
        self.underway: set[int] = set()
        self.begun_at = 0.0
        self.theirs_s = 0.0
        self.results = 0
        self.found: dict[str, float] = {}
        self._trials = trials
        self._decode = msgspec.msgpack.Decoder(Order).decode
        self._everybody = range(1, self.size)
        self._answers: deque[tuple[int, Report]]
        self._answers = deque((rank, Ready("here", rank)) for rank in self._everybody)
        self._beats: deque[tuple[int, Report]] = deque()

    def send(self, rank: int, message: bytes) -> None:
        """Answer an order."""
        arrived_at = time.process_time()
        match self._decode(message):
            case Assign(attempt=attempt) as order:
                if not self._trials:
                    raise FirstJobError
                if attempt.trial == self._trials and not self.found:
                    self._find(arrived_at)
                metrics = {
                    "loss": loss(attempt.trial, order.resource),
                    "size_bytes": 1e6 + attempt.trial,
                }
                self._answers.append((rank, Finished(attempt, metrics, order.resource)))
            case Stop():
                self._answers.append((rank, Goodbye()))
        self.theirs_s += time.process_time() - arrived_at

    def poll(self, timeout_s: float, wake: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """Hand over the answers of a few ranks; a searcher that thinks beside has time for it."""
        if not self._beats:
            if self._pause_s:  # to sleep for nothing takes 60 us, and leaves caches cold
                time.sleep(self._pause_s)
            if wake and not self._answers:
                select.select(wake, [], [], timeout_s)
        called_at = time.process_time()
        if "results" in self.found and "beat_us" not in self.found and not self._beats:
            self._find_beats(called_at)
        waiting = self._beats or self._answers
        answers = [waiting.popleft() for _ in range(min(TURN, len(waiting)))]
        results = sum(isinstance(answer, Finished) for _, answer in answers)
        if results and not self.begun_at:  # all have their first job
            self.begun_at, self.theirs_s = called_at, 0.0
        self.results += results
        messages = [(rank, msgspec.msgpack.encode(answer)) for rank, answer in answers]
        self.theirs_s += time.process_time() - called_at
        return messages

    def forget(self, rank: int) -> None:
        """Be silent."""

    def leave(self, timeout_s: float) -> None:
        """Be gone."""

    def _find(self, now: float) -> None:
        """Note what all trials have cost so far, and have heartbeats come."""
        self.found = {
            "result_us": self._spent_us(now) / self.results,
            "results": self.results,
            "memory_mb": memory_mb(),
            "collections": sum(each["collections"] for each in gc.get_stats()),
        }
        self.begun_at, self.theirs_s = now, 0.0
        self._beats.extend((rank, Beat()) for rank, _ in zip(cycle(self._everybody), range(BEATS)))

    def _find_beats(self, now: float) -> None:
        """Note what the heartbeats have cost, and have the study end."""
        self.found["beat_us"] = self._spent_us(now) / BEATS
        os.kill(os.getpid(), signal.SIGTERM)

    def _spent_us(self, now: float) -> float:
        return (now - self.begun_at - self.theirs_s) * 1e6


class Witnesses(FreeRanks):
    """Ranks that see how long rank 0 does not listen, until a results file is written."""

    def __init__(self, file: Path, ranks: int) -> None:
        """Have the study drained once there is such a file."""
        super().__init__(sys.maxsize, ranks)
        self._file = file
        self._deaf_since = math.inf
        self._deaf_s = 0.0

    def poll(self, timeout_s: float, wake: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """Hand over answers, and look at the clock."""
        self._deaf_s = max(self._deaf_s, time.monotonic() - self._deaf_since)
        if not self.found and self._file.exists():
            self.found = {"deaf_ms": 1e3 * self._deaf_s}
            os.kill(os.getpid(), signal.SIGTERM)
        messages = super().poll(timeout_s, wake)
        self._deaf_since = time.monotonic()
        return messages


class FirstJobError(Exception):
    """A job was handed out."""


def memory_mb() -> float:
    """Tell how much memory this process has, that it shares with others included."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None, "the kernel tells it"
    return int(found[1]) / 1024


def peak_mb() -> float:
    """Tell how much it has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def lead(folder: Path, number: int, trials: int | None, pause_s: float) -> None:
    """Lead the study in a folder, as `hpmpi run` does, and tell what was found."""
    changes = ["run.checkpoint_s=0.5"] if trials is None else []
    file = folder / "out" / "run.h5"
    ranks = Witnesses(file, number) if trials is None else FreeRanks(trials, number, pause_s)
    plan = run.prepare(folder / "study.toml", changes, folder / "out", fresh=False)
    taken = run.take_over(plan, number)
    del plan
    try:
        taken.lead(ranks)
    except FirstJobError:
        ranks.found = {
            "restarted_at": time.monotonic(),
            "restart_cpu_s": time.process_time(),
            "restart_mb": memory_mb(),
        }
    ranks.found["written_mb"] = peak_mb()
    print(FOUND + json.dumps(ranks.found), flush=True)
    os._exit(0)


if __name__ == "__main__":
    words = sys.argv[3:]
    pause_s = float(words[1]) if words[1:] else 0.0
    lead(Path(sys.argv[1]), int(sys.argv[2]), int(words[0]) if words else None, pause_s)
