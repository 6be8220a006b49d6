"""What a prior is worth to a searcher, where it is right, and where it is wrong.

python scripts/bench_prior.py --tables DIR [--problems NAME ...] [--searchers gp random]
    [--strengths 0.125 0.5] [--trials 100] [--seeds 20] [--json FILE]

One worker trains each trial to the end, over recorded curves. Told is how many trials it takes, in
the mean over the seeds, until one is among the best hundredth of all that were recorded; who needs
more than --trials counts as one that has needed these. The right prior is near the best
that is known, by a twentieth of each range (the deviation, drawn anew for each seed); the wrong one
is half of each range away, or another choice.
"""

import argparse
import math
import statistics
from pathlib import Path
from random import Random as Generator

import harness
import msgspec
import numpy as np
from searched import TABLES, Problem, load

import hpmpi.master.searchers
from hpmpi.model.dimensions import Choice
from hpmpi.model.priors import WIDTH, Prior
from hpmpi.model.space import Space
from hpmpi.study.references import find

HIGHEST = math.nextafter(1.0, 0.0)
MOST_RIGHT, MOST_WRONG = 0.5, 1.2
"""What is wanted, of the trials that it takes without."""

OFF = 0.05
"""How far from the best one that is right is, in the unit cube: the deviation."""


def best_of(problem: Problem, tables: Path) -> list[float]:
    """Find where the best lies that is known, in the unit cube."""
    with np.load(tables / f"{problem.name}.npz", allow_pickle=False) as table:
        best: list[float] = table["X"][np.nanargmin(problem.losses[:, -1])].tolist()
    return best


def believed(space: Space, point: list[float], strength: float, seed: int) -> Space:
    """Have priors near a point."""
    random = Generator(seed)  # noqa: S311 - not for secrets
    near = [min(max(unit + random.gauss(0.0, OFF), 0.0), HIGHEST) for unit in point]
    pairs = zip(space.dimensions.values(), point, near, strict=True)
    units = [min(unit if isinstance(it, Choice) else off, HIGHEST) for it, unit, off in pairs]
    values = space.at(units)
    priors = {
        name: Prior(values[name], it.unit(values[name]), strength, width_of(it))
        for name, it in space.dimensions.items()
    }
    return msgspec.structs.replace(space, priors=priors)


def width_of(dimension: object) -> float:
    """Say how wide a prior is."""
    return 0.0 if isinstance(dimension, Choice) else WIDTH


def trials_to_good(problem: Problem, space: Space, searcher: str, seed: int, most: int) -> int:
    """Count trials until one is good."""
    asked = find(searcher, hpmpi.master.searchers)(space, seed, [])
    for trial in range(most):
        config = asked.ask(trial)
        loss = float(problem.losses[problem.row(config), -1])
        if loss <= problem.good:
            return trial + 1
        asked.tell(trial, 0, 1, None if math.isnan(loss) else loss, {})
    return most


def measured(problem: Problem, searcher: str, asked: argparse.Namespace) -> dict[str, float]:
    """Count with each prior, and with none: the means over the seeds."""
    best = best_of(problem, asked.tables)
    wrong = [(unit + 0.5) % 1.0 for unit in best]
    points: dict[str, tuple[list[float], float]] = {"none": (best, 0.0)}
    for strength in asked.strengths:
        points[f"right, {strength:g}"] = best, strength
        points[f"wrong, {strength:g}"] = wrong, strength
    counts: dict[str, list[int]] = {name: [] for name in points}
    for seed in range(asked.seeds):
        for name, (point, strength) in points.items():
            space = believed(problem.space, point, strength, seed) if strength else problem.space
            counts[name].append(trials_to_good(problem, space, searcher, seed, asked.trials))
    return {name: statistics.fmean(each) for name, each in counts.items()}


def main() -> None:
    """Measure, and tell."""
    options = harness.Options(__doc__ or "")
    add, count = options.add_argument, harness.count()
    add("--tables", type=Path, default=Path("tables"), metavar="DIR", help="where the curves are")
    add("--problems", nargs="+", choices=TABLES, default=["digits_mlp", "lcbench_covertype"])
    add("--searchers", nargs="+", choices=["gp", "random"], default=["gp", "random"])
    add("--strengths", type=float, nargs="+", default=[0.125, 0.5], metavar="S")
    add("--trials", type=count, default=100, metavar="N", help="at most")
    add("--seeds", type=count, default=20, metavar="N")
    asked = options.read()
    report = {}
    for name in asked.problems:
        for searcher in asked.searchers:
            counts = measured(load(name, asked.tables), searcher, asked)
            report[f"{name}, {searcher}"] = counts
            print(f"{name}, {searcher}: {counts['none']:.1f} trials without a prior")
            for prior, trials in counts.items():
                wanted = MOST_WRONG if prior.startswith("wrong") else MOST_RIGHT
                if prior != "none":
                    verdict = harness.verdict(trials / counts["none"], wanted, harness.LESS)
                    print(f"  {prior}: {trials:.1f}, of that {verdict}", flush=True)
    harness.write(asked.json, report)


if __name__ == "__main__":
    main()
