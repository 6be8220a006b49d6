#!/usr/bin/env python3
"""Torture a real study: kill, stop, continue and start again at random, then check what is left.

    python scripts/torture.py --minutes 10 --seed 7 --verbose
    python scripts/torture.py --seconds 20 --trials 60 --ranks 4 --workers
    python scripts/torture.py --minutes 2 --ranks 8 --sizes 1 2 4

A study of short trials runs under the mpirun of this Python (with `--workers`, without MPI) while
faults are injected into its processes, by a seed. Each start lives until a fault ends it or the
study is complete; then the same command is started again. A complete study is gone on with by more
trials, or the next one begins, until the time is over. The last one may then come to its end.

Exit code 0: every trial has its result, every result is there once, none that was ever seen in the
journal was lost, the journal can be derived again, and nothing is left running. Else 1, with what
is wrong and where to look.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from harness import Words, count, seconds

from tests.harness.runs import IS_OPEN_MPI
from tests.harness.torture_checks import check, figures
from tests.harness.torture_faults import DRAINS, KILLS, WOUNDS, Fault, Role
from tests.harness.torture_study import Start, Study, hung

LONGEST_LIFE_S = 10.0
"""How long a start is left alive, at most, before a fault that ends it."""

SPARED = 4
"""One start in so many is wounded before a rank has joined, when MPI outlives next to nothing."""

PAUSE_S = 0.4
"""Between two faults, on average."""

MPI = "Open MPI" if IS_OPEN_MPI else "MPICH"


class Torture:
    """All studies of a run of this program, and its figures."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        """Prepare."""
        self.faults: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        self.totals: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._options = options
        self._folder = folder
        self._dice = Random(options.seed)  # noqa: S311 - no secret
        self._began_at = time.monotonic()
        self._ends_at = self._began_at + options.seconds
        # Without mpirun there is neither a launcher nor a guard.
        ends = [each for each in KILLS + DRAINS if each.role is Role.LEADER or not options.workers]
        self._ends = ends

    def run(self) -> None:
        """Torture one study after the other, until the time is over."""
        seed = self._options.seed
        while not self.wrong and (time.monotonic() < self._ends_at or not self.codes):
            study = Study(self._folder / f"seed-{seed}", seed, self._options)
            try:
                self._torture(study)
                if not study.wrong:
                    study.wrong += check(study)
            finally:
                study.end_all()
            self.totals.update(figures(study))
            self.wrong += [f"{study.folder}: {each}" for each in study.wrong]
            seed += 1

    def _torture(self, study: Study) -> None:
        """Start a study until it is complete, then with more trials."""
        while not study.wrong:
            start = study.start()
            if not self._play(start):
                study.wrong += [f"start {study.begun} hangs:", *hung(start)]
                return
            study.look()
            self.codes[start.process.returncode] += 1
            study.wrong += start.problems()
            if self._dice.randrange(2) or start.lives_on():
                study.wrong += [f"left by start {study.begun}: {each}" for each in study.left()]
            if start.process.returncode == 0:
                if not study.raises_left or time.monotonic() >= self._ends_at:
                    return
                study.raises_left -= 1
                study.max_trials += self._options.trials

    def _play(self, start: Start) -> bool:
        """Do to a start what the dice say, till it is over; false if it hangs."""
        now = time.monotonic()
        wound_at, end_at = now, now + self._dice.uniform(0, LONGEST_LIFE_S)
        spared = self._dice.randrange(SPARED) > 0
        while not start.wait(0.01):
            if start.hangs:
                return False
            now = time.monotonic()
            if now >= self._ends_at:
                continue
            if now >= end_at and self._inject(start, self._ends):
                end_at = now + self._dice.uniform(0, LONGEST_LIFE_S)
            elif now >= wound_at:
                if not spared or start.joined():
                    self._inject(start, WOUNDS)
                wound_at = now + self._dice.expovariate(1 / PAUSE_S)
        return True

    def _inject(self, start: Start, faults: list[Fault]) -> bool:
        fault = self._dice.choices(faults, [each.weight for each in faults])[0]
        victim = start.suffer(fault, self._dice)
        if victim is not None:
            self.faults[fault.name] += 1
            if self._options.verbose:
                at = time.monotonic() - self._began_at
                print(f"{at:8.2f} s  start {start.study.begun}: {fault.name}: {victim}")
        return victim is not None

    def table(self) -> str:
        """Tell the figures."""
        how = "local processes" if self._options.workers else MPI
        lasted_s = time.monotonic() - self._began_at
        codes = ", ".join(f"{count} with {code}" for code, count in sorted(self.codes.items()))
        rows = [
            f"torture: seed {self._options.seed}, {self._options.ranks} ranks, {how}",
            f"{sum(self.faults.values()):7} faults injected in {lasted_s:.0f} s",
            *(f"{count:14} {name}" for name, count in self.faults.most_common()),
            f"{self.codes.total():7} starts, which ended: {codes}",
            *(f"{count:7} {name}" for name, count in self.totals.items()),
        ]
        return "\n".join(rows)


def main() -> int:
    """Read the options; torture; say what is wrong."""
    top = Words(__doc__)
    top.add_argument("--seed", type=int, default=0)
    top.add_argument("--minutes", type=seconds(0.01), default=2.0)
    top.add_argument("--seconds", type=seconds(1), help="instead of --minutes")
    top.add_argument("--ranks", type=count(2), default=8, help="rank 0 included")
    top.add_argument("--trials", type=count(), default=500)
    top.add_argument("--folder", type=Path, help="where the studies go, and stay")
    top.add_argument("--workers", action="store_true", help="without MPI")
    top.add_argument("--sizes", type=count(), nargs="+", help="ranks of a trial, by rung")
    top.add_argument("--verbose", action="store_true", help="tell each fault")
    options = top.parse_args()
    options.seconds = options.seconds or 60 * options.minutes
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="torture-"))).absolute()
    torture = Torture(options, folder)
    torture.run()
    print(torture.table())
    for each in torture.wrong:
        print(f"WRONG: {each}")
    if not torture.wrong and options.folder is None:
        shutil.rmtree(folder)
    return 1 if torture.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
