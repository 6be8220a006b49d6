"""Rounds of federated averaging to a target accuracy: by local work, and by how rows are dealt.

python scripts/fedavg.py [--rates RATE ...] [--seeds 5] [--rounds 100] [--dataset digits]
    [--deals iid shards] [--work E/B ...] [--clients 20] [--share 0.2] [--target 0.95] [--json FILE]

As in table 2 of McMahan et al. (arXiv 1602.05629): 2NN, E local epochs in batches of B. Of each
learning rate there is the median over the seeds (of the weights, the clients drawn, and the deal);
told is the least. Without --rates there are four, lower ones for small batches. On digits it is
compared with what an independent program came to.
"""

import argparse
import math
import statistics
from pathlib import Path

import harness

from hpmpi.model.trial import Config
from hpmpi.trainables.federated import train
from hpmpi.trainables.given import Given
from hpmpi.trainables.joint import begun
from hpmpi.trainables.members import ALONE

WORK: dict[str, Config] = {
    "1/all": {"epochs": 1, "batch_size": "all"},
    "5/all": {"epochs": 5, "batch_size": "all"},
    "1/10": {"epochs": 1, "batch_size": 10},
    "5/10": {"epochs": 5, "batch_size": 10},
}
"""E/B: what a client does in a round."""

RATES = {"all": [0.4, 0.8, 0.2, 0.1], 10: [0.1, 0.2, 0.4, 0.05]}
"""By the batch size; what is likely comes first, and the others need not be waited for."""

INDEPENDENT = {"iid": [37, 10, 14, 5], "shards": [66, 46, 42, 40]}
"""Of a numpy program that was written apart: digits, 20 clients, C = 0.2, 64-200-200-10."""

WITHIN = 1.5


def rounds(args: dict[str, object], config: Config, seed: int, most: int) -> float:
    """Count rounds to the target; infinity where that is more than `most`."""
    told = {**config, "deal_seed": seed}
    setting = train.setting(args, told, Given(args, Path(), None, seed), ALONE)
    state = begun(setting, seed)
    while state.reached is None:
        if state.resource >= most:
            return math.inf
        state = train.step(setting, state)
    return state.reached


def best_of(
    asked: argparse.Namespace, args: dict[str, object], work: Config
) -> tuple[float, float]:
    """Find the learning rate with the least median; return that, and the rate.

    What takes longer than the best so far need not be known.
    """
    best, at = math.inf, math.nan
    for rate in asked.rates or RATES[work["batch_size"]]:
        config = {**work, "learning_rate": rate}
        most = min(asked.rounds, best)
        median = statistics.median(
            rounds(args, config, seed, int(most)) for seed in range(asked.seeds)
        )
        if median < best:
            best, at = median, rate
    return best, at


def main() -> None:
    """Measure, and tell."""
    options = harness.Options(__doc__ or "")
    add, count = options.add_argument, harness.count()
    add("--rates", type=float, nargs="+", metavar="RATE")
    add("--deals", nargs="+", choices=INDEPENDENT, default=[*INDEPENDENT])
    add("--work", nargs="+", choices=WORK, default=[*WORK], metavar="E/B")
    add("--seeds", type=count, default=5, metavar="N")
    add("--rounds", type=count, default=100, metavar="N", help="at most")
    add("--dataset", default="digits")
    add("--clients", type=count, default=20, metavar="K")
    add("--share", type=float, default=0.2, metavar="C")
    add("--target", type=float, default=0.95, metavar="ACCURACY")
    asked = options.read()
    fixed = {"dataset": asked.dataset, "clients": asked.clients, "share": asked.share}
    report: dict[str, dict[str, float]] = {}
    for deal in asked.deals:
        args = {**fixed, "target_accuracy": asked.target, "deal": deal}
        for name in asked.work:
            theirs = INDEPENDENT[deal][[*WORK].index(name)]
            best, rate = best_of(asked, args, WORK[name])
            report[f"{deal}, {name}"] = {"rounds": best, "rate": rate}
            line = f"{deal}, E/B = {name}: {best:g} rounds (rate {rate:g})"
            if asked.dataset == "digits":
                factor = max(best / theirs, theirs / best)
                line += f", by a factor of {harness.verdict(factor, WITHIN, harness.LESS)}"
            print(line, flush=True)
    harness.write(asked.json, report)


if __name__ == "__main__":
    main()
