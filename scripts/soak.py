"""Simulate many studies in every world, on all cores, for as long as there is time.

python scripts/soak.py --minutes 10 [--first SEED] [--seeds N] [--world WORLD ...]

The worlds take turns, so that each gets its share of the time. Exits with 1 if a study failed; each
that did is told with the command that shows it. Ctrl-C ends it early, and tells what was done.
"""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import NamedTuple

from harness import Words, count, seconds

from hpmpi.guard.process_tree import die_with_parent
from hpmpi.model.records import Started
from tests.harness.simulate import WORLDS, simulate


class Story(NamedTuple):
    """What came of one study."""

    world: str
    seed: int
    failed: bool
    decisions: int = 0
    starts: int = 0


def tell(world: str, seed: int) -> Story:
    """Simulate a study."""
    try:
        simulation = simulate(world, seed)
    except AssertionError:
        return Story(world, seed, failed=True)
    decisions = len(simulation.decisions)
    starts = sum(isinstance(line, Started) for line in simulation.lines)
    return Story(world, seed, failed=False, decisions=decisions, starts=starts)


def obey() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def stories(worlds: list[str], seeds: range, ends_at: float) -> Iterator[Story]:
    """Simulate world by world and seed by seed, on all cores, and begin none after the end."""
    pairs = ((world, seed) for seed in seeds for world in worlds)
    running: set[Future[Story]] = set()
    with ProcessPoolExecutor(os.cpu_count(), initializer=obey) as pool:
        while True:
            free = 2 * (os.cpu_count() or 1) - len(running)
            if time.monotonic() < ends_at:
                running |= {pool.submit(tell, *pair) for pair in islice(pairs, free)}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def table(worlds: list[str], told: list[Story]) -> Iterator[str]:
    """Sum up, a line a world."""
    columns = ("seeds", "failures", "decisions", "starts")
    yield f"{'world':12}" + "".join(f"{column:>12}" for column in columns)
    for world in [*worlds, "total"]:
        sums = Counter(dict.fromkeys(columns, 0))
        for story in told:
            if world in (story.world, "total"):
                one = (1, int(story.failed), story.decisions, story.starts)
                sums.update(dict(zip(columns, one, strict=True)))
        yield f"{world:12}" + "".join(f"{sums[column]:12,}" for column in columns)


def main() -> int:
    """Soak; return the exit code."""
    parser = Words(__doc__)
    parser.add_argument(
        "--minutes", type=seconds(0.01), required=True, help="begin none after that"
    )
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="default: 0")
    parser.add_argument("--seeds", type=count(), default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--world", choices=WORLDS, nargs="+", default=list(WORLDS))
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    told = []
    try:
        for story in stories(options.world, seeds, time.monotonic() + 60 * options.minutes):
            told.append(story)
            if story.failed:
                words = f"--world {story.world} --seed {story.seed} --trace"
                print(f"failed: {sys.executable} -m tests.harness.simulate {words}", flush=True)
    except KeyboardInterrupt:
        print("ended early")
    print("\n".join(table(options.world, told)))
    return int(any(story.failed for story in told))


if __name__ == "__main__":
    sys.exit(main())
