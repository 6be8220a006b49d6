"""How much memory hpmpi has for each worker, beside Ray Tune and Dask.

python scripts/bench_memory.py [--workers 4 8] [--repetitions 3] [--json FILE] [--against DIR]

Each has its trials, a worker's each, do nothing; then the proportional shares (PSS) of all that it
has started are summed, itself included: what is shared is counted once. Turn by turn; who is not
installed is left out with a word. Linux only.
"""

import math
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from functools import partial
from pathlib import Path

import harness
import psutil

OURS = {"hpmpi, in a child": "process", "hpmpi, in the rank": "none"}
PACKAGES = {"Ray Tune": "ray", "Dask": "distributed"}
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK")
SETTLE_S = 2.0

BETTER = {"hpmpi": harness.LESS}

COLUMNS = {
    "all / worker": (14, ".1f"),
    "worker ranks": (14, ".1f"),
    "rank 0": (10, ".1f"),
    "the rest": (10, ".1f"),
}

Megabytes = dict[str, float]
"""By part: a rank's workers, rank 0, and the rest."""


def ours(folder: Path, workers: int, isolation: str) -> list[str]:
    """Write a study; return what runs it."""
    study = harness.study(
        folder,
        'objective = "sleepers.py:resting"\n[space]\n'
        'x = { type = "float", low = 0, high = 1 }\n[limits]\npatience_s = 300\n'
        f'[run]\nisolation = "{isolation}"\n[objective_args]\nfolder = "{folder / "here"}"\n',
    )
    return [*harness.mpirun(workers + 1), *harness.hpmpi_run(study)]


def rest(folder: str) -> None:
    """Be a trial of another: say who this is, and sleep."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(1000)


def ray(folder: str, workers: int) -> None:
    """Have Ray Tune run the trials."""
    import ray  # noqa: PLC0415 - each contender imports what it needs, and no more
    from ray import tune  # noqa: PLC0415

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    tune.Tuner(
        lambda _config: rest(folder),
        tune_config=tune.TuneConfig(num_samples=workers, max_concurrent_trials=workers),
        run_config=tune.RunConfig(storage_path=f"{folder}/../ray", verbose=0),
    ).fit()


def dask(folder: str, workers: int) -> None:
    """Have a local cluster of Dask run the trials."""
    from distributed import Client  # noqa: PLC0415

    with Client(n_workers=workers, threads_per_worker=1, dashboard_address=None) as client:
        client.gather(client.map(rest, [folder] * workers, pure=False))


def measure(name: str, workers: int) -> Megabytes:
    """Start who has this name, wait until all trials sleep, and look; end it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as at:
        folder, here = Path(at), Path(at) / "here"
        here.mkdir()
        be = [sys.executable, __file__, "--be", PACKAGES.get(name, ""), str(here), str(workers)]
        command = ours(folder, workers, OURS[name]) if name in OURS else be
        with closing(harness.Program(command, folder, RAY_ENABLE_UV_RUN_RUNTIME_ENV="0")) as it:
            it.wait_until(lambda: len(list(here.iterdir())) >= workers)
            time.sleep(SETTLE_S)
            return parts(it.processes())


def parts(processes: list[psutil.Process]) -> Megabytes:
    """Sum the PSS of processes, parents first: of worker ranks, of rank 0, of the rest."""
    sums: Megabytes = defaultdict(float)
    ranks: dict[int, str] = {}
    for process in processes:
        ranks[process.pid] = rank_of(process) or ranks.get(process.ppid(), "")
        part = {"": "the rest", "0": "rank 0"}.get(ranks[process.pid], "workers")
        sums[part] += process.memory_full_info().pss / 2**20
    return dict(sums)


def rank_of(process: psutil.Process) -> str:
    """Read which rank a process is, or is of; '' where it is of none."""
    variables = process.environ()
    return next((variables[name] for name in RANKS if name in variables), "")


def summary(workers: int, measured: list[Megabytes]) -> list[float]:
    """Sum up the repetitions."""
    whole = statistics.median(sum(one.values()) for one in measured)
    middle = harness.medians(measured)
    by_part = [middle.get(part, math.nan) for part in ("workers", "rank 0", "the rest")]
    return [whole / workers, by_part[0] / workers, *by_part[1:]]


def main() -> None:
    """Measure, and tell."""
    if sys.argv[1:2] == ["--be"]:
        {"ray": ray, "distributed": dask}[sys.argv[2]](sys.argv[3], int(sys.argv[4]))
        return
    options = harness.Options(__doc__, repetitions=3)
    count = harness.count()
    options.add_argument("--workers", type=count, nargs="+", default=[4, 8], metavar="N")
    asked = options.read(BETTER)
    names = [*OURS, *harness.installed(PACKAGES)]
    report = {}
    for workers in asked.workers:
        measures = {name: partial(measure, name, workers) for name in names}
        report[workers] = measured = harness.turns(measures, asked.repetitions)
        rows = {name: summary(workers, each) for name, each in measured.items()}
        print(f"{workers} workers, MB of PSS; medians")
        print(*harness.table(COLUMNS, rows, first=24), sep="\n", end="\n\n", flush=True)
    harness.write(asked.json, report)


if __name__ == "__main__":
    main()
