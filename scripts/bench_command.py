"""How many programs a second hpmpi starts on four workers, beside a loop that does nothing else.

python scripts/bench_command.py [--trials 2000] [--only NAME ...]
    [--repetitions 5] [--json FILE] [--against DIR]

Each of hpmpi's trials runs /bin/echo, which says its loss; each of the others' /bin/true, which
says nothing. hpmpi runs as users run it: by mpirun, with journal and log, and its time is that in
its journal, as in bench_dispatch.py. "subprocess.run" is a loop of that in each of four processes.
All take their turns, and what is compared is the median of the repetitions' ratios. HyperQueue is
left out where it is not installed (`pip install .[bench]`).
"""

import os
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

import bench_dispatch
import harness
from contenders import WORKERS

STUDY = """
command = ["/bin/echo", '{{"loss": {x}}}']
[space]
x = { type = "float", low = 0.0, high = 1.0 }
"""

OURS = "hpmpi"
OTHERS = {"subprocess.run": 0.8, "hyperqueue": 3.0}
"""Who is there besides, and how many times as fast hpmpi is to be."""

PACKAGES = {"hyperqueue": "hyperqueue"}
BETTER = {"hpmpi$": harness.MORE}
COLUMNS = {"per second": (12, ",.0f"), "lowest": (9, ",.0f"), "highest": (9, ",.0f")}


def run_ours(trials: int) -> float:
    """Run a study; return its jobs a second."""
    with tempfile.TemporaryDirectory() as folder:
        study = harness.study(Path(folder), STUDY)
        sets = ("--set", f"stop.max_trials={trials}")
        harness.run([*harness.mpirun(WORKERS + 1), *harness.hpmpi_run(study, *sets)])
        return bench_dispatch.warm_rate(harness.history_of(study))


def rate_of(name: str, trials: int) -> float:
    """Run who has this name; return its programs a second."""
    rate = run_ours(trials) if name == OURS else bench_dispatch.run_other(name, trials)
    print(f"{trials} trials: {name} {rate:.0f}/s", file=sys.stderr)
    return rate


def main() -> None:
    """Time, and tell."""
    os.environ["LC_ALL"] = "C"  # echo looks for translations, which true has no need of
    options = harness.Options(__doc__, repetitions=5)
    everybody = [OURS, *OTHERS]
    options.add_argument("--trials", type=harness.count(WORKERS), default=2000, metavar="N")
    options.add_argument("--only", nargs="+", choices=everybody, default=everybody, metavar="NAME")
    asked = options.read(BETTER, narrow=["--only", OURS])
    absent = PACKAGES.keys() - harness.installed(PACKAGES)
    names = [name for name in everybody if name in asked.only and name not in absent]
    measures = {name: partial(rate_of, name, asked.trials) for name in names}
    rates = harness.turns(measures, asked.repetitions)
    rows = {name: (statistics.median(it), min(it), max(it)) for name, it in rates.items()}
    print(f"{asked.trials} programs, {WORKERS} workers")
    print(*harness.table(COLUMNS, rows, first=16), sep="\n")
    for name, least in OTHERS.items():
        if name in rates and OURS in rates:
            ratios = [ours / theirs for ours, theirs in zip(rates[OURS], rates[name], strict=True)]
            verdict = harness.verdict(statistics.median(ratios), least)
            print(f"{OURS} / {name}: {verdict}")
    harness.write(asked.json, rates)


if __name__ == "__main__":
    main()
